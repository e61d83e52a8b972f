-- A known person blocked the bot or let it in again, or the platform says so.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 bot
-- $5 blocked
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), marked AS (
	INSERT INTO bot_users (bot, user_id, blocked_at)
	SELECT $4::text, u.id, CASE WHEN $5::boolean THEN now() END
	FROM guard, users u
	WHERE u.telegram_id = $3::bigint
	ON CONFLICT (bot, user_id) DO UPDATE SET blocked_at = excluded.blocked_at
	RETURNING user_id
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'changed')
FROM marked
