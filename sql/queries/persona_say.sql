-- many: A person said something to a persona and got an answer.
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
WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[]::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
		$8::text[]::bigint[], $9::text[]::bigint[], $10::text[]::bigint[], $11::text[]::boolean[], $12::text[],
		$13::text[]) WITH ORDINALITY
		asked (key, effects, telegram_id, first_name, username, language_code, bot, persona_id, chat_id, turns, open,
			said, answer, n)
), guard AS (
	INSERT INTO guards (key, effects) SELECT key, effects FROM asked RETURNING key
), todo AS MATERIALIZED (
	SELECT asked.* FROM (SELECT count(*) FROM guard) first, asked
), mine AS MATERIALIZED ( -- theirs are the first rows that are locked, in order, as by all that is for many; later they
	-- are found by the same index, which costs less than another one would
	SELECT todo.* FROM todo, LATERAL (SELECT FROM users WHERE telegram_id = todo.telegram_id FOR NO KEY UPDATE) u
), person AS (
	UPDATE users u SET first_name = mine.first_name, username = mine.username, language_code = mine.language_code,
		last_seen_at = now()
	FROM mine
	WHERE u.telegram_id = mine.telegram_id AND u.suspended_at IS NULL AND u.age_verified_at IS NOT NULL
	RETURNING u.id, mine.n, mine.key, mine.bot, mine.persona_id, mine.chat_id, mine.turns, mine.open, mine.said,
		mine.answer
), unblocked AS (
	UPDATE bot_users b SET blocked_at = NULL FROM person
	WHERE b.bot = person.bot AND b.user_id = person.id AND b.blocked_at IS NOT NULL
), made AS (
	INSERT INTO chats (user_id, persona_id, opened_at, turns)
	SELECT person.id, p.id, now(), 1
	FROM person, LATERAL (SELECT id FROM personas WHERE id = person.persona_id FOR KEY SHARE) p
	WHERE person.chat_id IS NULL
	ON CONFLICT (user_id, persona_id) DO NOTHING
	RETURNING id, user_id
), known AS (
	UPDATE chats SET turns = chats.turns + 1, opened_at = CASE WHEN person.open THEN now() ELSE opened_at END
	FROM person
	WHERE chats.id = person.chat_id AND chats.user_id = person.id AND chats.persona_id = person.persona_id
		AND chats.turns = person.turns AND (person.open OR chats.opened_at IS NOT NULL)
	RETURNING chats.id, chats.user_id
), chat AS (
	SELECT * FROM made UNION ALL SELECT * FROM known
), stored AS (
	INSERT INTO messages (chat_id, update_key, direction, text)
	SELECT chat.id, line.key, line.direction, line.text
	FROM chat JOIN person ON person.id = chat.user_id,
		LATERAL (VALUES (person.key, 'in', person.said), (NULL, 'out', person.answer)) line (key, direction, text)
	ORDER BY person.n, line.direction
), counted AS (
	INSERT INTO activity_daily AS a (user_id, day, messages)
	SELECT person.id, (now() AT TIME ZONE 'UTC')::date, 1 FROM person
	ON CONFLICT (user_id, day) DO UPDATE SET messages = a.messages + 1
)
SELECT expect((SELECT count(*) FROM asked), (SELECT count(*) FROM guard), 'changed'),
	expect((SELECT count(*) FROM asked), (SELECT count(*) FROM chat), 'changed')
