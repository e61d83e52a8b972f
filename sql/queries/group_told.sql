-- Remembers that a group was told that the bot acts in private chats only.
-- $1 key   $2 effects
-- $3 bot
-- $4 chat_id
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), told AS (
	INSERT INTO conversations (bot, chat_id, state)
	SELECT $3::text, $4::bigint, '{"told_private_only": true}' FROM guard
	ON CONFLICT (bot, chat_id) DO NOTHING
	RETURNING chat_id
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'told_before')
FROM told
