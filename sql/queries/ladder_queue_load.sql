-- What a player may choose from, with what they chose last time and their ratings; and the match that they have not
-- reported yet.
-- $1 discord_uid
WITH open AS (
	SELECT * FROM matches_1v1 WHERE player_1 = $1::bigint AND result IS NULL AND report_1 IS NULL
	UNION ALL
	SELECT * FROM matches_1v1 WHERE player_2 = $1::bigint AND result IS NULL AND report_2 IS NULL
	ORDER BY id DESC LIMIT 1
), match AS (
	SELECT m.id, m.player_1, m.player_2, coalesce(a.player_name, a.discord_uid::text) AS name_1,
		coalesce(b.player_name, b.discord_uid::text) AS name_2
	FROM open m
	JOIN players a ON a.discord_uid = m.player_1
	JOIN players b ON b.discord_uid = m.player_2
), last AS (
	SELECT last_chosen_races, last_chosen_vetoes FROM preferences_1v1 WHERE discord_uid = $1::bigint
), choice AS (
	SELECT 'race' AS kind, r.code, coalesce(nullif(r.name, ''), r.code) || coalesce(' (' || nullif(r.game, '') || ')', '') AS name,
		coalesce(r.code = ANY (coalesce((SELECT last_chosen_races FROM last), '{}')), false) AS last,
		coalesce(m.mmr, 1500) AS mmr
	FROM races r LEFT JOIN mmrs_1v1 m ON m.discord_uid = $1::bigint AND m.race = r.code
	UNION ALL
	SELECT 'map', code, coalesce(nullif(name, ''), code),
		coalesce(code = ANY (coalesce((SELECT last_chosen_vetoes FROM last), '{}')), false), 0
	FROM maps WHERE active
)
SELECT m.id AS match_id, m.player_1 AS match_player_1, m.player_2 AS match_player_2, m.name_1 AS match_name_1,
	m.name_2 AS match_name_2, c.kind AS choice_kind, c.code AS choice_code, c.name AS choice_name,
	c.last AS choice_last, c.mmr AS choice_mmr
FROM (SELECT) one LEFT JOIN match m ON true LEFT JOIN choice c ON true
ORDER BY c.kind, c.code
