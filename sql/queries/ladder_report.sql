-- A player reports how a match ended. When both say the same it is settled and both ratings change; else it is in conflict.
-- One whose races are not known changes no ratings.
-- $1 key   $2 effects
-- $3 discord_uid
-- $4 match_id
-- $5 report: of the one who reports; 1, 2 or draw
-- $6 other: what the other one has reported; NULL: nothing yet
-- $7 result: what the match is then: 1, 2, draw, conflict; NULL: still open
-- $8 mmr_1: where it is settled, what player 1 is told to have then
-- $9 mmr_2: player 2
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), match AS (
	SELECT m.* FROM guard, matches_1v1 m
	WHERE m.id = $4::bigint AND m.result IS NULL AND $3::bigint IN (m.player_1, m.player_2)
		AND CASE $3::bigint WHEN m.player_1 THEN m.report_2 ELSE m.report_1 END IS NOT DISTINCT FROM $6::text
	FOR UPDATE OF m
), rated AS (
	SELECT s.* FROM match m, settle_mmrs(m.player_1, m.race_1, m.player_2, m.race_2, $7::text) s
	WHERE $7::text <> 'conflict' AND m.race_1 IS NOT NULL AND m.race_2 IS NOT NULL
), reported AS (
	UPDATE matches_1v1 m SET report_1 = CASE $3::bigint WHEN m.player_1 THEN $5::text ELSE m.report_1 END,
		report_2 = CASE $3::bigint WHEN m.player_2 THEN $5::text ELSE m.report_2 END, result = $7::text,
		mmr_change_1 = (SELECT change FROM rated), mmr_change_2 = (SELECT -change FROM rated),
		played_at = CASE WHEN $7::text <> 'conflict' THEN now() END
	FROM match WHERE m.id = match.id
	RETURNING m.id
), log AS (
	INSERT INTO player_action_logs (discord_uid, action, details, idempotency_key)
	SELECT $3::bigint, 'reported match result', jsonb_build_object('match', id, 'report', $5::text, 'result', $7::text),
		$1::text
	FROM reported
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'match'),
	expect(0, (SELECT count(*) FROM rated WHERE (mmr_1, mmr_2) IS DISTINCT FROM ($8::int, $9::int)), 'mmr')
FROM reported
