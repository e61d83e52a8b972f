-- many: What a decision of the persona bot needs to know of a person: one row, or none for a person never seen.
-- Codes and personas come from the cache: this never reads their tables.
-- $1 telegram_id   $2 bot   $3 persona of the start code, or NULL   $4 the default persona, or NULL
SELECT asked.n,
	u.id AS user_id,
	u.age_verified_at IS NOT NULL AS user_age_verified,
	u.suspended_at IS NOT NULL AS user_suspended,
	b.blocked_at IS NOT NULL AS user_blocked,
	u.acquisition_source AS user_source,
	c.opened[2] AS chat_id, c.opened[3] AS chat_persona_id, c.opened[4] AS chat_turns,
	c.code[1] AS code_chat_id, c.code[2] AS code_chat_persona_id, c.code[3] AS code_chat_turns,
	c.fallback[1] AS fallback_chat_id, c.fallback[2] AS fallback_chat_persona_id, c.fallback[3] AS fallback_chat_turns
FROM unnest($1::text[]::bigint[], $2::text[], $3::text[]::bigint[], $4::text[]::bigint[]) WITH ORDINALITY
	asked (telegram_id, bot, code_persona_id, fallback_id, n)
JOIN users u ON u.telegram_id = asked.telegram_id
LEFT JOIN bot_users b ON b.bot = asked.bot AND b.user_id = u.id
LEFT JOIN LATERAL ( -- their chats, looked up once: the one opened last, to the microsecond, that of the code, the default one
	SELECT max(ARRAY[date_part('epoch', least(greatest(opened_at, '0001-01-01'), '9999-12-31')) * 1000000, id, persona_id,
			turns]::bigint[]) FILTER (WHERE opened_at IS NOT NULL) AS opened,
		max(ARRAY[id, persona_id, turns]) FILTER (WHERE persona_id = asked.code_persona_id) AS code,
		max(ARRAY[id, persona_id, turns]) FILTER (WHERE persona_id = asked.fallback_id) AS fallback
	FROM chats WHERE user_id = u.id
) c ON true
