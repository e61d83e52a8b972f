-- One value of the cache of players: what the guard checks and commands need of them. Times in ms since 1970; the lowest
-- is 1, as 0 is none to those who read it.
-- $1 key: discord_uid
SELECT discord_uid::text AS field,
	json_build_object('name', player_name, 'country', country, 'region', region,
		'tos_ms', CASE WHEN tos_accepted_at IS NOT NULL THEN
			greatest(floor(extract(epoch FROM tos_accepted_at) * 1000)::bigint, 1) END,
		'setup_ms', CASE WHEN setup_completed_at IS NOT NULL THEN
			greatest(floor(extract(epoch FROM setup_completed_at) * 1000)::bigint, 1) END)::text AS value
FROM players WHERE discord_uid = key_id($1::text)
