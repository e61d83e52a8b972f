-- The dialogue about a new trade goes on by one question, or ends.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 was: mark of the last question; NULL: none was asked
-- $9 step: what is asked now; NULL: the dialogue ends
-- $10 amount: as typed
-- $11 currency
-- $12 terms
-- $13 mark: of this question
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
	INSERT INTO conversations AS v (bot, chat_id, state)
	SELECT $7::text, $3::bigint, CASE WHEN $9::text IS NULL THEN '{}' ELSE jsonb_strip_nulls(jsonb_build_object(
		'step', $9::text, 'amount', $10::text, 'currency', $11::text, 'terms', $12::text, 'mark', $13::text)) END
	FROM person
	ON CONFLICT (bot, chat_id) DO UPDATE SET state = excluded.state, updated_at = now()
	WHERE v.state ->> 'mark' IS NOT DISTINCT FROM $8::text
	RETURNING chat_id
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, (SELECT count(*) FROM dialogue), 'changed')
