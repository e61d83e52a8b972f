-- many: Who has been here before comes back by a start code. Of those who are as it is presumed, who have confirmed their
-- age, have a source and a chat with the persona, and are not suspended, that chat is opened again; of all others this
-- writes nothing, and their rows are those of persona_load (test_persona_sql holds one against the other).
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 persona_id: whose chat is opened
-- $9 code_persona_id: persona of the start code, or NULL
-- $10 fallback_id: the default persona, or NULL
WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[]::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
		$8::text[]::bigint[], $9::text[]::bigint[], $10::text[]::bigint[]) WITH ORDINALITY
		asked (key, effects, telegram_id, first_name, username, language_code, bot, persona_id, code_persona_id,
			fallback_id, n)
), back AS MATERIALIZED ( -- as things stand; whether it still is so is seen under their locks
	SELECT asked.*, u.user_id, u.chat_id FROM asked, LATERAL ( -- the limit: each by the index, never all in one go
		SELECT u.id AS user_id, c.id AS chat_id
		FROM users u JOIN chats c ON c.user_id = u.id AND c.persona_id = asked.persona_id
		WHERE u.telegram_id = asked.telegram_id AND u.suspended_at IS NULL AND u.age_verified_at IS NOT NULL
			AND u.acquisition_source IS NOT NULL
		LIMIT 1
	) u
), guard AS (
	INSERT INTO guards (key, effects) SELECT key, effects FROM back RETURNING key
), todo AS MATERIALIZED (
	SELECT back.* FROM (SELECT count(*) FROM guard) first, back ORDER BY n
), mine AS MATERIALIZED ( -- theirs are the first rows that are locked, in order, as by all that is for many; they are
	-- always found by the same index, which costs less than another one would
	SELECT todo.* FROM todo, LATERAL (
		SELECT FROM users WHERE telegram_id = todo.telegram_id AND suspended_at IS NULL AND age_verified_at IS NOT NULL
			AND acquisition_source IS NOT NULL
		FOR NO KEY UPDATE
	) u
), opened AS (
	UPDATE chats SET opened_at = now() FROM mine
	WHERE chats.id = mine.chat_id AND chats.user_id = mine.user_id AND chats.persona_id = mine.persona_id
	RETURNING mine.n, mine.telegram_id, mine.first_name, mine.username, mine.language_code, mine.bot, mine.user_id
), seen AS (
	UPDATE users u SET first_name = opened.first_name, username = opened.username,
		language_code = opened.language_code, last_seen_at = now()
	FROM opened WHERE u.telegram_id = opened.telegram_id
), unblocked AS (
	UPDATE bot_users b SET blocked_at = NULL FROM opened
	WHERE b.bot = opened.bot AND b.user_id = opened.user_id AND b.blocked_at IS NOT NULL
)
SELECT asked.n, opened.n IS NOT NULL AS presumed, p.*
FROM (SELECT expect((SELECT count(*) FROM back), (SELECT count(*) FROM opened), 'changed')) done (of), asked
LEFT JOIN opened USING (n)
LEFT JOIN LATERAL (
	SELECT u.id AS user_id,
		u.age_verified_at IS NOT NULL AS user_age_verified,
		u.suspended_at IS NOT NULL AS user_suspended,
		b.blocked_at IS NOT NULL AS user_blocked,
		u.acquisition_source AS user_source,
		c.opened[2] AS chat_id, c.opened[3] AS chat_persona_id, c.opened[4] AS chat_turns,
		c.code[1] AS code_chat_id, c.code[2] AS code_chat_persona_id, c.code[3] AS code_chat_turns,
		c.fallback[1] AS fallback_chat_id, c.fallback[2] AS fallback_chat_persona_id, c.fallback[3] AS fallback_chat_turns
	FROM users u
	LEFT JOIN bot_users b ON b.bot = asked.bot AND b.user_id = u.id
	LEFT JOIN LATERAL (
		SELECT max(ARRAY[date_part('epoch', least(greatest(opened_at, '0001-01-01'), '9999-12-31')) * 1000000, id,
				persona_id, turns]::bigint[]) FILTER (WHERE opened_at IS NOT NULL) AS opened,
			max(ARRAY[id, persona_id, turns]) FILTER (WHERE persona_id = asked.code_persona_id) AS code,
			max(ARRAY[id, persona_id, turns]) FILTER (WHERE persona_id = asked.fallback_id) AS fallback
		FROM chats WHERE user_id = u.id
	) c ON true
	WHERE opened.n IS NULL AND u.telegram_id = asked.telegram_id
) p ON true
WHERE done.of IS NOT NULL AND (opened.n IS NOT NULL OR p.user_id IS NOT NULL)
