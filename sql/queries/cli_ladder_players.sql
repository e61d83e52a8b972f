-- Players by name, with their ratings, the best first; times in ms since 1970.
-- $1 part of the name, or NULL   $2 discord_uid, or NULL: an id is enough where both are given
-- $3 country, or NULL   $4 region, or NULL   $5 limit
SELECT p.discord_uid, p.player_name, p.country, p.region, m.ratings, m.ratings -> 0 ->> 'race' AS race,
	(m.ratings -> 0 ->> 'mmr')::int AS mmr, (m.ratings -> 0 ->> 'games_played')::int AS games_played,
	wall_ms(p.tos_accepted_at) AS tos_accepted_at,
	wall_ms(p.setup_completed_at) AS setup_completed_at,
	wall_ms(p.created_at) AS created_at
FROM (
	SELECT * FROM players
	WHERE ($1::text IS NULL OR discord_uid = $2::bigint OR position(lower($1::text) IN lower(player_name)) > 0)
		AND ($3::text IS NULL OR country = upper($3::text)) AND ($4::text IS NULL OR lower(region) = lower($4::text))
	ORDER BY lower(player_name), discord_uid LIMIT $5::bigint
) p
CROSS JOIN LATERAL (
	SELECT coalesce(jsonb_agg(to_jsonb(r) - 'discord_uid' ORDER BY r.mmr DESC, r.race), '[]') AS ratings
	FROM mmrs_1v1 r WHERE r.discord_uid = p.discord_uid
) m
ORDER BY lower(p.player_name), p.discord_uid
