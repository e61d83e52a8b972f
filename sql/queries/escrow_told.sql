-- One of the two hears what an admin decided; nobody is told twice.
-- $1 key   $2 effects
-- $3 trade_id
-- $4 telegram_id
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), told AS (
	DELETE FROM escrow_notices n USING guard, users u
	WHERE n.escrow_id = $3::bigint AND u.telegram_id = $4::bigint AND n.user_id = u.id
	RETURNING n.user_id
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, (SELECT count(*) FROM told), 'told')
