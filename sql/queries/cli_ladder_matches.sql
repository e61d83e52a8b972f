-- Matches, newest first; times in ms since 1970.
-- $1 state: open, conflict or settled; NULL: any   $2 discord_uid of one of the two, or NULL   $3 limit
WITH wanted AS (
	(SELECT id FROM matches_1v1 WHERE $1::text IS NULL AND $2::bigint IS NULL ORDER BY id DESC LIMIT $3::bigint)
	UNION
	(SELECT id FROM matches_1v1 WHERE $1::text <> 'settled' AND $2::bigint IS NULL
		AND (result IS NULL OR result = 'conflict') AND coalesce(result, 'open') = $1::text
	ORDER BY id DESC LIMIT $3::bigint)
	UNION
	(SELECT id FROM matches_1v1 WHERE $1::text = 'settled' AND $2::bigint IS NULL AND result <> 'conflict'
	ORDER BY id DESC LIMIT $3::bigint)
	UNION
	(SELECT id FROM matches_1v1 WHERE player_1 = $2::bigint AND ($1::text IS NULL OR $1::text =
		CASE WHEN result IS NULL THEN 'open' WHEN result = 'conflict' THEN 'conflict' ELSE 'settled' END)
	ORDER BY id DESC LIMIT $3::bigint)
	UNION
	(SELECT id FROM matches_1v1 WHERE player_2 = $2::bigint AND ($1::text IS NULL OR $1::text =
		CASE WHEN result IS NULL THEN 'open' WHEN result = 'conflict' THEN 'conflict' ELSE 'settled' END)
	ORDER BY id DESC LIMIT $3::bigint)
)
SELECT m.id, m.player_1, p1.player_name AS name_1, m.race_1, m.player_2, p2.player_name AS name_2, m.race_2, m.map,
	m.region, m.report_1, m.report_2, m.result, m.mmr_change_1, m.mmr_change_2,
	wall_ms(m.created_at) AS created_at,
	wall_ms(m.played_at) AS played_at
FROM (SELECT id FROM wanted ORDER BY id DESC LIMIT $3::bigint) w
JOIN matches_1v1 m ON m.id = w.id
JOIN players p1 ON p1.discord_uid = m.player_1
JOIN players p2 ON p2.discord_uid = m.player_2
ORDER BY m.id DESC
