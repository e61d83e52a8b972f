-- Nobody accepted in time: the money goes back to the buyer. By the clock, whoever's update noticed it.
-- $1 key   $2 effects
-- $3 trade_id
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), trade AS (
	UPDATE escrows e SET status = 'expired', changed_by = NULL FROM guard
	WHERE e.id = $3::bigint AND e.status = 'pending' AND e.expires_at <= now()
	RETURNING e.id, e.buyer_id, e.amount, e.currency
), invitation AS (
	UPDATE invitations i SET status = 'expired' FROM trade WHERE i.escrow_id = trade.id AND i.status = 'active'
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, (SELECT count(*) FROM trade), 'changed'),
	(SELECT sum(book('trade:' || id || ':end', 'expire', id, currency, amount, 'held', buyer_id, 'available', buyer_id))
	FROM trade)
