-- The buyer cancels a trade that nobody has accepted yet.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 trade_id
-- $9 invited: who had opened its invitation, as was decided on, and is told; NULL: nobody
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), person AS (
	UPDATE users u SET first_name = $4::text, username = $5::text, language_code = $6::text, last_seen_at = now()
	FROM guard
	WHERE u.telegram_id = $3::bigint AND u.suspended_at IS NULL
	RETURNING u.id
), unblocked AS (
	UPDATE bot_users SET blocked_at = NULL FROM person
	WHERE bot = $7::text AND user_id = person.id AND blocked_at IS NOT NULL
), trade AS (
	UPDATE escrows e SET status = 'cancelled', changed_by = person.id FROM person
	WHERE e.id = $8::bigint AND e.status = 'pending' AND e.buyer_id = person.id
	RETURNING e.id, e.buyer_id, e.amount, e.currency
), invitation AS (
	UPDATE invitations i SET status = 'expired' FROM trade WHERE i.escrow_id = trade.id AND i.status = 'active'
	RETURNING i.id, i.telegram_id
), newest AS ( -- the one that is shown, as where the trade is loaded
	SELECT max(i.id) AS id FROM invitations i JOIN trade ON i.escrow_id = trade.id
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, (SELECT count(*) FROM trade), 'changed'),
	expect(0, (SELECT count(*) FROM invitation JOIN newest USING (id) WHERE telegram_id IS DISTINCT FROM $9::bigint), 'changed'),
	(SELECT sum(book('trade:' || id || ':end', 'cancel', id, currency, amount, 'held', buyer_id, 'available', buyer_id))
	FROM trade)
