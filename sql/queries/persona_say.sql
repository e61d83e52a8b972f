-- A person said something to a persona and got an answer.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 persona_id
-- $9 chat_id: their chat with it; NULL: it is made
-- $10 turns: answers given in it so far
-- $11 open: true: it becomes the chat opened last
-- $12 said
-- $13 answer
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), person AS (
	UPDATE users u SET first_name = $4::text, username = $5::text, language_code = $6::text, last_seen_at = now()
	FROM guard
	WHERE u.telegram_id = $3::bigint AND u.suspended_at IS NULL AND u.age_verified_at IS NOT NULL
	RETURNING u.id
), unblocked AS (
	UPDATE bot_users SET blocked_at = NULL FROM person
	WHERE bot = $7::text AND user_id = person.id AND blocked_at IS NOT NULL
), made AS (
	INSERT INTO chats (user_id, persona_id, opened_at, turns)
	SELECT person.id, p.id, now(), 1
	FROM person, (SELECT id FROM personas WHERE id = $8::bigint FOR KEY SHARE) p
	WHERE $9::bigint IS NULL
	ON CONFLICT (user_id, persona_id) DO NOTHING
	RETURNING id
), known AS (
	UPDATE chats SET turns = turns + 1, opened_at = CASE WHEN $11::boolean THEN now() ELSE opened_at END
	FROM person
	WHERE chats.id = $9::bigint AND chats.user_id = person.id AND chats.persona_id = $8::bigint
		AND chats.turns = $10::bigint AND ($11::boolean OR chats.opened_at IS NOT NULL)
	RETURNING chats.id
), chat AS (
	SELECT id FROM made UNION ALL SELECT id FROM known
), stored AS (
	INSERT INTO messages (chat_id, update_key, direction, text)
	SELECT chat.id, line.key, line.direction, line.text
	FROM chat, (VALUES ($1::text, 'in', $12::text), (NULL, 'out', $13::text)) line (key, direction, text)
	ORDER BY line.direction
), counted AS (
	INSERT INTO activity_daily AS a (user_id, day, messages)
	SELECT person.id, (now() AT TIME ZONE 'UTC')::date, 1 FROM person
	ON CONFLICT (user_id, day) DO UPDATE SET messages = a.messages + 1
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, (SELECT count(*) FROM chat), 'changed')
