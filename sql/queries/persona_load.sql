-- many: What a decision of the persona bot needs to know of a person: one row, or none for a person never seen.
-- Codes and personas come from the cache: this never reads their tables.
-- $1 telegram_id   $2 bot   $3 persona of the start code, or NULL   $4 the default persona, or NULL
SELECT asked.n,
	u.id AS user_id,
	u.age_verified_at IS NOT NULL AS user_age_verified,
	u.suspended_at IS NOT NULL AS user_suspended,
	b.blocked_at IS NOT NULL AS user_blocked,
	u.acquisition_source AS user_source,
	c.id AS chat_id, c.persona_id AS chat_persona_id, c.turns AS chat_turns,
	k.id AS code_chat_id, k.persona_id AS code_chat_persona_id, k.turns AS code_chat_turns,
	f.id AS fallback_chat_id, f.persona_id AS fallback_chat_persona_id, f.turns AS fallback_chat_turns
FROM unnest($1::text[]::bigint[], $2::text[], $3::text[]::bigint[], $4::text[]::bigint[]) WITH ORDINALITY
	asked (telegram_id, bot, code_persona_id, fallback_id, n)
JOIN users u ON u.telegram_id = asked.telegram_id
LEFT JOIN bot_users b ON b.bot = asked.bot AND b.user_id = u.id
LEFT JOIN LATERAL (
	SELECT id, persona_id, turns FROM chats
	WHERE user_id = u.id AND opened_at IS NOT NULL
	ORDER BY opened_at DESC, id DESC LIMIT 1
) c ON true
LEFT JOIN chats k ON k.user_id = u.id AND k.persona_id = asked.code_persona_id
LEFT JOIN chats f ON f.user_id = u.id AND f.persona_id = asked.fallback_id
