-- many: A person who has confirmed their age, now or before, opens a chat with a persona.
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
WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[]::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
		$8::text[], $9::text[]::bigint[], $10::text[]::boolean[], $11::text[]::bigint[], $12::text[]::bigint[])
		asked (key, effects, telegram_id, first_name, username, language_code, bot, source, code_id, verify,
			persona_id, chat_id)
), guard AS (
	INSERT INTO guards (key, effects) SELECT key, effects FROM asked RETURNING key
), todo AS MATERIALIZED (
	SELECT asked.* FROM (SELECT count(*) FROM guard) first, asked
), mine AS MATERIALIZED ( -- theirs are the first rows that are locked, in order, as by all that is for many; later they
	-- are found by the same index, which costs less than another one would
	SELECT todo.* FROM todo, LATERAL (SELECT FROM users WHERE telegram_id = todo.telegram_id FOR NO KEY UPDATE) u
), person AS (
	INSERT INTO users AS u (telegram_id, first_name, username, language_code, acquisition_source, age_verified_at,
		last_seen_at)
	SELECT telegram_id, first_name, username, language_code, source, now(), now()
	FROM (SELECT count(*) FROM mine) first, todo WHERE verify
	ON CONFLICT (telegram_id) DO UPDATE SET
		first_name = excluded.first_name, username = excluded.username, language_code = excluded.language_code,
		age_verified_at = now(), last_seen_at = now(),
		acquisition_source = coalesce(u.acquisition_source, excluded.acquisition_source)
	WHERE u.suspended_at IS NULL AND u.age_verified_at IS NULL
		AND (excluded.acquisition_source IS NULL OR u.acquisition_source IS NULL)
	RETURNING u.id, u.telegram_id
), seen AS (
	UPDATE users u SET first_name = mine.first_name, username = mine.username, language_code = mine.language_code,
		last_seen_at = now(), acquisition_source = coalesce(u.acquisition_source, mine.source)
	FROM mine
	WHERE NOT mine.verify AND u.telegram_id = mine.telegram_id AND u.suspended_at IS NULL
		AND u.age_verified_at IS NOT NULL AND (mine.source IS NULL OR u.acquisition_source IS NULL)
	RETURNING u.id, mine.bot, mine.source, mine.code_id, mine.persona_id, mine.chat_id
), somebody AS (
	SELECT * FROM seen UNION ALL
	SELECT person.id, todo.bot, todo.source, todo.code_id, todo.persona_id, todo.chat_id
	FROM person JOIN todo USING (telegram_id)
), unblocked AS (
	UPDATE bot_users b SET blocked_at = NULL FROM somebody
	WHERE b.bot = somebody.bot AND b.user_id = somebody.id AND b.blocked_at IS NOT NULL
), made AS (
	INSERT INTO chats (user_id, persona_id, opened_at)
	SELECT somebody.id, p.id, now()
	FROM somebody, LATERAL (SELECT id FROM personas WHERE id = somebody.persona_id FOR KEY SHARE) p
	WHERE somebody.chat_id IS NULL
	ON CONFLICT (user_id, persona_id) DO NOTHING
	RETURNING id
), opened AS (
	UPDATE chats SET opened_at = now() FROM somebody
	WHERE chats.id = somebody.chat_id AND chats.user_id = somebody.id AND chats.persona_id = somebody.persona_id
	RETURNING chats.id
)
SELECT expect((SELECT count(*) FROM asked), (SELECT count(*) FROM guard), 'changed'),
	expect((SELECT count(*) FROM asked), count(*), 'changed'),
	expect((SELECT count(persona_id) FROM asked), (SELECT count(*) FROM made) + (SELECT count(*) FROM opened),
		'changed'),
	sum(CASE WHEN source IS NOT NULL THEN use_code(code_id, id) END)
FROM somebody
