-- Confirm: the trade is made, its money held, the invitation written, the dialogue over.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 was: mark of the review that is confirmed
-- $9 public_id
-- $10 currency
-- $11 amount
-- $12 terms
-- $13 token: of the invitation
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
), dialogue AS (
	UPDATE conversations SET state = '{}', updated_at = now() FROM person
	WHERE bot = $7::text AND chat_id = $3::bigint AND state ->> 'mark' = $8::text AND state ->> 'step' = 'review'
	RETURNING person.id AS buyer_id
), purse AS (
	SELECT w.user_id FROM wallets w, dialogue
	WHERE w.user_id = dialogue.buyer_id AND w.currency = $10::text AND w.available >= $11::bigint
	FOR NO KEY UPDATE OF w
), trade AS (
	INSERT INTO escrows (public_id, buyer_id, amount, currency, status, terms, expires_at, changed_by)
	SELECT $9::text, purse.user_id, $11::bigint, $10::text, 'pending', $12::text, now() + interval '24 hours',
		purse.user_id
	FROM purse
	RETURNING id, buyer_id, amount, currency, expires_at
), invited AS (
	INSERT INTO invitations (escrow_id, token, status, expires_at)
	SELECT trade.id, $13::text, 'active', trade.expires_at FROM trade
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, (SELECT count(*) FROM dialogue), 'changed'),
	expect(1, (SELECT count(*) FROM trade), 'funds'),
	(SELECT sum(book('trade:' || id || ':hold', 'hold', id, currency, amount, 'available', buyer_id, 'held', buyer_id))
	FROM trade)
