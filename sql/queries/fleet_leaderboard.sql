-- Makes the leaderboard anew, if anything has changed and nobody else is at it: how many entries it has, or NULL.
SELECT leaderboard_refresh(false)
