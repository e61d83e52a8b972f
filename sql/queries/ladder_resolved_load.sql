-- A match as an admin settled it: what it changed, and the ratings before that, given what they are now.
-- $1 match_id
SELECT m.id AS match_id, m.player_1 AS match_player_1, m.player_2 AS match_player_2,
	p1.player_name AS match_name_1, p2.player_name AS match_name_2, m.result AS match_result,
	m.channel_1 AS match_channel_1, m.channel_2 AS match_channel_2,
	r1.mmr - m.mmr_change_1 AS match_mmr_1, r2.mmr - m.mmr_change_2 AS match_mmr_2,
	m.mmr_change_1 AS match_if_1, m.mmr_change_1 AS match_if_2, m.mmr_change_1 AS match_if_draw
FROM matches_1v1 m
JOIN players p1 ON p1.discord_uid = m.player_1
JOIN players p2 ON p2.discord_uid = m.player_2
LEFT JOIN mmrs_1v1 r1 ON r1.discord_uid = m.player_1 AND r1.race = m.race_1
LEFT JOIN mmrs_1v1 r2 ON r2.discord_uid = m.player_2 AND r2.race = m.race_2
WHERE m.id = key_id($1::text)
