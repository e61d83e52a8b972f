-- Makes the leaderboard anew, after whoever is at it now: how many entries it has.
SELECT leaderboard_refresh(true) AS entries
