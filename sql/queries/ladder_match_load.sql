-- The two who were paired, as far as they are still players and have reported their matches, and what a match may be
-- played as, on and where.
-- $1 player_1
-- $2 player_2
WITH free AS (
	SELECT discord_uid, coalesce(player_name, discord_uid::text) AS name FROM players p
	WHERE discord_uid IN ($1::bigint, $2::bigint) AND setup_completed_at IS NOT NULL
		AND NOT EXISTS (SELECT FROM matches_1v1
			WHERE player_1 = p.discord_uid AND result IS NULL AND report_1 IS NULL)
		AND NOT EXISTS (SELECT FROM matches_1v1
			WHERE player_2 = p.discord_uid AND result IS NULL AND report_2 IS NULL)
), choice AS (
	SELECT 'race' AS kind, code, coalesce(nullif(name, ''), code) || coalesce(' (' || nullif(game, '') || ')', '') AS name
	FROM races
	UNION ALL
	SELECT 'map', code, coalesce(nullif(name, ''), code) FROM maps WHERE active
	UNION ALL
	SELECT 'region', code, coalesce(nullif(name, ''), code) FROM regions
)
SELECT a.discord_uid AS match_player_1, b.discord_uid AS match_player_2,
	a.name AS match_name_1, b.name AS match_name_2, c.kind AS choice_kind, c.code AS choice_code, c.name AS choice_name,
	CASE WHEN c.kind IS NOT NULL THEN false END AS choice_last, CASE WHEN c.kind IS NOT NULL THEN 0 END AS choice_mmr
FROM (SELECT) one
LEFT JOIN free a ON a.discord_uid = $1::bigint
LEFT JOIN free b ON b.discord_uid = $2::bigint
LEFT JOIN choice c ON true
ORDER BY c.kind, c.code
