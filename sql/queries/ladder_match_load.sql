-- The two who were paired, as far as they are still players, and what a match may be played as, on and where.
-- $1 player_1
-- $2 player_2
WITH choice AS (
	SELECT 'race' AS kind, code, coalesce(nullif(name, ''), code) || coalesce(' (' || nullif(game, '') || ')', '') AS name
	FROM races
	UNION ALL
	SELECT 'map', code, coalesce(nullif(name, ''), code) FROM maps WHERE active
	UNION ALL
	SELECT 'region', code, coalesce(nullif(name, ''), code) FROM regions
)
SELECT a.discord_uid AS match_player_1, b.discord_uid AS match_player_2,
	coalesce(a.player_name, a.discord_uid::text) AS match_name_1,
	coalesce(b.player_name, b.discord_uid::text) AS match_name_2, c.kind AS choice_kind, c.code AS choice_code, c.name AS choice_name,
	CASE WHEN c.kind IS NOT NULL THEN false END AS choice_last, CASE WHEN c.kind IS NOT NULL THEN 0 END AS choice_mmr
FROM (SELECT) one
LEFT JOIN players a ON a.discord_uid = $1::bigint AND a.setup_completed_at IS NOT NULL
LEFT JOIN players b ON b.discord_uid = $2::bigint AND b.setup_completed_at IS NOT NULL
LEFT JOIN choice c ON true
ORDER BY c.kind, c.code
