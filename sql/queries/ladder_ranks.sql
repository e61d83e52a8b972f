-- A player's entries among those that pass the filters of a leaderboard, the best first. None where a filter means nothing.
-- $1 discord_uid
-- $2 race: as it was said, or '': any; so the next
-- $3 region
-- $4 country
SELECT race_label(e.race) AS rank_race, -e.below AS rank_mmr, leaderboard_place(f.race, f.region, f.country, e) AS rank_place
FROM leaderboard_filter($2::text, $3::text, $4::text) f
JOIN leaderboard_1v1 e ON e.discord_uid = $1::bigint AND f.unknown IS NULL AND (f.race IS NULL OR e.race = f.race)
	AND (f.region IS NULL OR e.region = f.region) AND (f.country IS NULL OR e.country = f.country)
ORDER BY e.below, e.race
