-- many: A known person blocked the bot or let it in again, or the platform says so.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 bot
-- $5 blocked
WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[]::bigint[], $4::text[], $5::text[]::boolean[])
		asked (key, effects, telegram_id, bot, blocked)
), guard AS (
	INSERT INTO guards (key, effects) SELECT key, effects FROM asked RETURNING key
), todo AS MATERIALIZED (
	SELECT asked.* FROM (SELECT count(*) FROM guard) first, asked
), person AS ( -- theirs are the first rows that are locked, in order, as by all that is for many
	SELECT u.id, todo.bot, todo.blocked FROM todo JOIN users u USING (telegram_id)
	ORDER BY telegram_id FOR NO KEY UPDATE OF u
), marked AS (
	INSERT INTO bot_users (bot, user_id, blocked_at)
	SELECT bot, id, CASE WHEN blocked THEN now() END FROM person
	ON CONFLICT (bot, user_id) DO UPDATE SET blocked_at = excluded.blocked_at
	RETURNING user_id
)
SELECT expect((SELECT count(*) FROM asked), (SELECT count(*) FROM guard), 'changed'),
	expect((SELECT count(*) FROM asked), count(*), 'changed')
FROM marked
