-- A player changes the country.
-- $1 key   $2 effects
-- $3 discord_uid
-- $4 country: two letters, or its name
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), player AS (
	UPDATE players p SET country = country_of($4::text)
	FROM guard
	WHERE p.discord_uid = $3::bigint AND p.setup_completed_at IS NOT NULL AND country_of($4::text) IS NOT NULL
	RETURNING p.discord_uid, p.country
), log AS (
	INSERT INTO player_action_logs (discord_uid, action, details, idempotency_key)
	SELECT discord_uid, 'changed country', jsonb_build_object('country', country), $1::text FROM player
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'country')
FROM player
