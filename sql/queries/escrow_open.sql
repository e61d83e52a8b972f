-- An invitation is opened for the first time: whoever does that is the only one who can accept it. What the bot was asking
-- them about a trade of their own is over.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 invitation_id
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), person AS (
	INSERT INTO users AS u (telegram_id, first_name, username, language_code, last_seen_at)
	SELECT $3::bigint, $4::text, $5::text, $6::text, now() FROM guard
	ON CONFLICT (telegram_id) DO UPDATE SET
		first_name = excluded.first_name, username = excluded.username, language_code = excluded.language_code,
		last_seen_at = now()
	WHERE u.suspended_at IS NULL
	RETURNING u.id
), unblocked AS (
	UPDATE bot_users SET blocked_at = NULL FROM person
	WHERE bot = $7::text AND user_id = person.id AND blocked_at IS NOT NULL
), opened AS (
	UPDATE invitations i SET telegram_id = $3::bigint FROM person, escrows e
	WHERE i.id = $8::bigint AND i.telegram_id IS NULL AND i.status = 'active'
		AND e.id = i.escrow_id AND e.status = 'pending' AND e.buyer_id <> person.id
		AND (e.expires_at > now() OR isfinite(e.expires_at) IS NOT TRUE) -- NULL, infinite: it has no end
	RETURNING i.id
), dialogue AS (
	UPDATE conversations SET state = '{}', updated_at = now() FROM opened
	WHERE bot = $7::text AND chat_id = $3::bigint AND state <> '{}'
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, (SELECT count(*) FROM opened), 'changed')
