-- A person accepts the terms of service, and is a player from then on.
-- $1 key   $2 effects
-- $3 discord_uid
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), player AS (
	INSERT INTO players AS p (discord_uid, tos_accepted_at) SELECT $3::bigint, now() FROM guard
	ON CONFLICT (discord_uid) DO UPDATE SET tos_accepted_at = excluded.tos_accepted_at WHERE p.tos_accepted_at IS NULL
	RETURNING discord_uid
), log AS (
	INSERT INTO player_action_logs (discord_uid, action, idempotency_key)
	SELECT discord_uid, 'accepted terms of service', $1::text FROM player
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'accepted')
FROM player
