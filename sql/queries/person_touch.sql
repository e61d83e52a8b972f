-- many: A person whom we took to have blocked the bot wrote again; nothing else changes.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[]::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
		asked (key, effects, telegram_id, first_name, username, language_code, bot)
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
	WHERE u.telegram_id = mine.telegram_id AND u.suspended_at IS NULL
	RETURNING u.id, mine.bot
), unblocked AS (
	UPDATE bot_users b SET blocked_at = NULL FROM person
	WHERE b.bot = person.bot AND b.user_id = person.id AND b.blocked_at IS NOT NULL
	RETURNING b.user_id
)
SELECT expect((SELECT count(*) FROM asked), (SELECT count(*) FROM guard), 'changed'),
	expect((SELECT count(*) FROM asked), count(*), 'changed')
FROM unblocked
