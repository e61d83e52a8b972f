-- The invited person accepts and becomes the seller.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 trade_id
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
	UPDATE escrows e SET status = 'active', seller_id = person.id, changed_by = person.id FROM person, invitations i
	WHERE e.id = $8::bigint AND e.status = 'pending' AND e.buyer_id <> person.id
		AND (e.expires_at > now() OR isfinite(e.expires_at) IS NOT TRUE) -- NULL, infinite: it has no end
		AND i.escrow_id = e.id AND i.telegram_id = $3::bigint AND i.status = 'active'
	RETURNING e.id
), invitation AS (
	UPDATE invitations i SET status = 'accepted' FROM trade
	WHERE i.escrow_id = trade.id AND i.telegram_id = $3::bigint AND i.status = 'active'
	RETURNING i.id
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, (SELECT count(*) FROM trade), 'changed'),
	expect(1, (SELECT count(*) FROM invitation), 'changed')
