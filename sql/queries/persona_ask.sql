-- many: The age question was asked: the person's row is made or refreshed, and a first start code becomes their source.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 source: text of the code that becomes it; NULL: it stays as it is
-- $9 code_id: of that code
WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[]::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
		$8::text[], $9::text[]::bigint[])
		asked (key, effects, telegram_id, first_name, username, language_code, bot, source, code_id)
), guard AS (
	INSERT INTO guards (key, effects) SELECT key, effects FROM asked RETURNING key
), todo AS MATERIALIZED (
	SELECT asked.* FROM (SELECT count(*) FROM guard) first, asked
), person AS (
	INSERT INTO users AS u (telegram_id, first_name, username, language_code, acquisition_source, last_seen_at)
	SELECT telegram_id, first_name, username, language_code, source, now() FROM todo
	ON CONFLICT (telegram_id) DO UPDATE SET
		first_name = excluded.first_name, username = excluded.username, language_code = excluded.language_code,
		acquisition_source = coalesce(u.acquisition_source, excluded.acquisition_source), last_seen_at = now()
	WHERE u.suspended_at IS NULL AND u.age_verified_at IS NULL
		AND (excluded.acquisition_source IS NULL OR u.acquisition_source IS NULL)
	RETURNING u.id, u.telegram_id
), somebody AS (
	SELECT person.id, todo.bot, todo.source, todo.code_id FROM person JOIN todo USING (telegram_id)
), unblocked AS (
	UPDATE bot_users b SET blocked_at = NULL FROM somebody
	WHERE b.bot = somebody.bot AND b.user_id = somebody.id AND b.blocked_at IS NOT NULL
)
SELECT expect((SELECT count(*) FROM asked), (SELECT count(*) FROM guard), 'changed'),
	expect((SELECT count(*) FROM asked), count(*), 'changed'),
	sum(CASE WHEN source IS NOT NULL THEN use_code(code_id, id) END)
FROM somebody
