-- A person who has confirmed their age, now or before, opens a chat with a persona.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 source: text of the code that becomes it; NULL: it stays as it is
-- $9 code_id: of that code
-- $10 verify: true: their age is confirmed by this, false: it was before
-- $11 persona_id: NULL: there is no persona, no chat is opened
-- $12 chat_id: their chat with it; NULL: it is made
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), person AS (
	INSERT INTO users AS u (telegram_id, first_name, username, language_code, acquisition_source, age_verified_at,
		last_seen_at)
	SELECT $3::bigint, $4::text, $5::text, $6::text, $8::text, now(), now() FROM guard WHERE $10::boolean
	ON CONFLICT (telegram_id) DO UPDATE SET
		first_name = excluded.first_name, username = excluded.username, language_code = excluded.language_code,
		age_verified_at = now(), last_seen_at = now(),
		acquisition_source = coalesce(u.acquisition_source, excluded.acquisition_source)
	WHERE u.suspended_at IS NULL AND u.age_verified_at IS NULL
		AND ($8::text IS NULL OR u.acquisition_source IS NULL)
	RETURNING u.id
), seen AS (
	UPDATE users u SET first_name = $4::text, username = $5::text, language_code = $6::text, last_seen_at = now(),
		acquisition_source = coalesce(u.acquisition_source, $8::text)
	FROM guard
	WHERE NOT $10::boolean AND u.telegram_id = $3::bigint AND u.suspended_at IS NULL
		AND u.age_verified_at IS NOT NULL AND ($8::text IS NULL OR u.acquisition_source IS NULL)
	RETURNING u.id
), somebody AS (
	SELECT id FROM person UNION ALL SELECT id FROM seen
), unblocked AS (
	UPDATE bot_users SET blocked_at = NULL FROM somebody
	WHERE bot = $7::text AND user_id = somebody.id AND blocked_at IS NOT NULL
), made AS (
	INSERT INTO chats (user_id, persona_id, opened_at)
	SELECT somebody.id, p.id, now()
	FROM somebody, (SELECT id FROM personas WHERE id = $11::bigint FOR KEY SHARE) p
	WHERE $12::bigint IS NULL
	ON CONFLICT (user_id, persona_id) DO NOTHING
	RETURNING id
), opened AS (
	UPDATE chats SET opened_at = now() FROM somebody
	WHERE chats.id = $12::bigint AND chats.user_id = somebody.id AND chats.persona_id = $11::bigint
	RETURNING chats.id
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'changed'),
	expect(num_nonnulls($11::bigint), (SELECT count(*) FROM made) + (SELECT count(*) FROM opened), 'changed'),
	sum(CASE WHEN $8::text IS NOT NULL THEN use_code($9::bigint, somebody.id) END)
FROM somebody
