-- One value of the cache of players: what the guard checks and commands need of them; times in ms since 1970.
-- $1 key: discord_uid
SELECT discord_uid::text AS field,
	json_build_object('name', player_name, 'country', country, 'region', region,
		'tos_ms', floor(extract(epoch FROM tos_accepted_at) * 1000)::bigint,
		'setup_ms', floor(extract(epoch FROM setup_completed_at) * 1000)::bigint)::text AS value
FROM players WHERE discord_uid = key_id($1::text)
