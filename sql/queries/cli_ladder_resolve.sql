-- An admin says how a match ended that its players do not agree on, or of which they say nothing: it is settled as if both
-- had reported so, and they are to be told. One whose races are not known changes no ratings.
-- $1 match id   $2 result: 1, 2 or draw   $3 note, or NULL   $4 actor
WITH before AS (
	SELECT * FROM matches_1v1 WHERE id = $1::bigint FOR UPDATE
), rated AS (
	SELECT s.* FROM before b, settle_mmrs(b.player_1, b.race_1, b.player_2, b.race_2, $2::text) s
	WHERE coalesce(b.result, 'conflict') = 'conflict' AND b.race_1 IS NOT NULL AND b.race_2 IS NOT NULL
), settled AS (
	UPDATE matches_1v1 m SET result = $2::text, played_at = now(),
		mmr_change_1 = (SELECT change FROM rated), mmr_change_2 = (SELECT -change FROM rated)
	FROM before WHERE m.id = before.id AND coalesce(before.result, 'conflict') = 'conflict'
	RETURNING m.id, m.mmr_change_1
), notices AS (
	INSERT INTO ladder_notices (match_id, side) SELECT settled.id, v.side FROM settled, (VALUES (1), (2)) v (side)
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $4::text, 'ladder.resolve', 'match:' || settled.id, jsonb_build_object('result', $2::text, 'note', $3::text,
		'before', before.result, 'report_1', before.report_1, 'report_2', before.report_2,
		'mmr_change_1', settled.mmr_change_1, 'mmr_change_2', -settled.mmr_change_1)
	FROM settled, before
)
SELECT before.result, before.player_1, before.player_2, (SELECT count(*) FROM settled) AS settled,
	coalesce((SELECT mmr_change_1 FROM settled), before.mmr_change_1) AS change,
	coalesce(a.player_name, before.player_1::text) AS name_1, coalesce(b.player_name, before.player_2::text) AS name_2
FROM before
JOIN players a ON a.discord_uid = before.player_1
JOIN players b ON b.discord_uid = before.player_2
