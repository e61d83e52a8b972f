-- The age question was asked: the person's row is made or refreshed, and a first start code becomes their source.
-- $1 key   $2 effects
-- $3 telegram_id
-- $4 first_name
-- $5 username
-- $6 language_code
-- $7 bot
-- $8 source: text of the code that becomes it; NULL: it stays as it is
-- $9 code_id: of that code
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), person AS (
	INSERT INTO users AS u (telegram_id, first_name, username, language_code, acquisition_source, last_seen_at)
	SELECT $3::bigint, $4::text, $5::text, $6::text, $8::text, now() FROM guard
	ON CONFLICT (telegram_id) DO UPDATE SET
		first_name = excluded.first_name, username = excluded.username, language_code = excluded.language_code,
		acquisition_source = coalesce(u.acquisition_source, excluded.acquisition_source), last_seen_at = now()
	WHERE u.suspended_at IS NULL AND u.age_verified_at IS NULL
		AND ($8::text IS NULL OR u.acquisition_source IS NULL)
	RETURNING u.id
), unblocked AS (
	UPDATE bot_users SET blocked_at = NULL FROM person
	WHERE bot = $7::text AND user_id = person.id AND blocked_at IS NOT NULL
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'changed'),
	sum(CASE WHEN $8::text IS NOT NULL THEN use_code($9::bigint, person.id) END)
FROM person
