-- The last match of a player that is not settled; where there is none, the last one: what it changed, and the ratings
-- before that, given what they are now. Without ratings where its races are not known, or it changed none.
-- $1 discord_uid
WITH open AS (
	SELECT * FROM matches_1v1 WHERE player_1 = $1::bigint AND result IS NULL
	UNION ALL
	SELECT * FROM matches_1v1 WHERE player_2 = $1::bigint AND result IS NULL
	ORDER BY id DESC LIMIT 1
), last AS (
	(SELECT * FROM matches_1v1 WHERE player_1 = $1::bigint ORDER BY id DESC LIMIT 1)
	UNION ALL
	(SELECT * FROM matches_1v1 WHERE player_2 = $1::bigint ORDER BY id DESC LIMIT 1)
	ORDER BY id DESC LIMIT 1
), match AS (
	SELECT * FROM open UNION ALL SELECT * FROM last WHERE NOT EXISTS (SELECT FROM open)
)
SELECT m.id AS match_id, m.player_1 AS match_player_1, m.player_2 AS match_player_2,
	coalesce(p1.player_name, p1.discord_uid::text) AS match_name_1,
	coalesce(p2.player_name, p2.discord_uid::text) AS match_name_2,
	m.report_1 AS match_report_1, m.report_2 AS match_report_2, m.result AS match_result,
	m.channel_1 AS match_channel_1, m.channel_2 AS match_channel_2, r.mmr_1 AS match_mmr_1, r.mmr_2 AS match_mmr_2,
	coalesce(m.mmr_change_1, elo_change(r.mmr_1, r.mmr_2, '1')) AS match_if_1,
	coalesce(m.mmr_change_1, elo_change(r.mmr_1, r.mmr_2, '2')) AS match_if_2,
	coalesce(m.mmr_change_1, elo_change(r.mmr_1, r.mmr_2, 'draw')) AS match_if_draw
FROM match m
JOIN players p1 ON p1.discord_uid = m.player_1
JOIN players p2 ON p2.discord_uid = m.player_2,
LATERAL (SELECT num_nulls(m.race_1, m.race_2) = 0
	AND (coalesce(m.result, 'conflict') = 'conflict' OR m.mmr_change_1 IS NOT NULL) AS yes) rated,
LATERAL (SELECT
	CASE WHEN rated.yes THEN coalesce((SELECT mmr FROM mmrs_1v1 WHERE discord_uid = m.player_1 AND race = m.race_1), 1500)
		- coalesce(m.mmr_change_1, 0) END AS mmr_1,
	CASE WHEN rated.yes THEN coalesce((SELECT mmr FROM mmrs_1v1 WHERE discord_uid = m.player_2 AND race = m.race_2), 1500)
		- coalesce(m.mmr_change_2, 0) END AS mmr_2) r
