-- A page of the leaderboard, ten entries and what stands around them. A page after the last one is the last one; where a
-- filter means nothing, `unknown` says which.
-- $1 key: RACE|REGION|COUNTRY|PAGE, each filter as somebody said it, or empty: any
SELECT $1::text AS field, jsonb_build_object('unknown', f.unknown, 'race', short_code(f.race),
	'race_name', CASE WHEN f.race IS NOT NULL THEN race_label(f.race) END, 'region', short_code(f.region),
	'region_name', (SELECT name FROM regions WHERE code = f.region), 'country', f.country,
	'country_name', (SELECT name FROM countries WHERE code = f.country), 'total', total, 'pages', pages, 'page', page,
	'entries', (SELECT coalesce(jsonb_agg(jsonb_build_object('place', (page - 1) * 10 + e.n, 'name', e.player_name,
			'race', race_label(e.race), 'country', e.country, 'mmr', -e.below, 'games', e.games_played) ORDER BY e.n), '[]')
		FROM leaderboard_entries(f.race, f.region, f.country, (page - 1) * 10 + 1, 10) WITH ORDINALITY e
			(discord_uid, race, below, player_name, country, region, games_played, n)
		WHERE f.unknown IS NULL))::text AS value
FROM leaderboard_filter(split_part($1::text, '|', 1), split_part($1::text, '|', 2), split_part($1::text, '|', 3)) f,
	LATERAL (SELECT CASE WHEN f.unknown IS NULL THEN leaderboard_total(f.race, f.region, f.country) ELSE 0 END AS total) t,
	LATERAL (SELECT greatest((total + 9) / 10, 1) AS pages) p,
	LATERAL (SELECT least(greatest(key_id(split_part($1::text, '|', 4)), 1), pages) AS page) q
