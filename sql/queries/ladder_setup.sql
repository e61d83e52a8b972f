-- A player who has accepted the terms tells who they are, for the first time or anew.
-- $1 key   $2 effects
-- $3 discord_uid
-- $4 player_name
-- $5 country: two letters, or its name
-- $6 region: its code
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), player AS (
	UPDATE players p SET player_name = $4::text, country = country_of($5::text), region = r.code,
		setup_completed_at = coalesce(p.setup_completed_at, now())
	FROM guard, regions r
	WHERE p.discord_uid = $3::bigint AND p.tos_accepted_at IS NOT NULL AND r.code = lower($6::text)
		AND country_of($5::text) IS NOT NULL
	RETURNING p.*
), log AS (
	INSERT INTO player_action_logs (discord_uid, action, details, idempotency_key)
	SELECT discord_uid, 'completed player setup',
		jsonb_build_object('name', player_name, 'country', country, 'region', region), $1::text
	FROM player
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'place')
FROM player
