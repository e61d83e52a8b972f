-- One of the two hears how an admin settled their match; nobody is told twice.
-- $1 key   $2 effects
-- $3 match_id
-- $4 side
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), told AS (
	DELETE FROM ladder_notices n USING guard WHERE n.match_id = $3::bigint AND n.side = $4::int RETURNING n.side
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, (SELECT count(*) FROM told), 'told')
