-- The static tables, whole, each as cache_static has it; and "%" -> JSON array of their names.
SELECT 'maps' AS field, coalesce(json_agg(m ORDER BY code COLLATE "C"), '[]')::text AS value FROM maps m
UNION ALL
SELECT 'races', coalesce(json_agg(r ORDER BY code COLLATE "C"), '[]')::text FROM races r
UNION ALL
SELECT 'regions', coalesce(json_agg(r ORDER BY code COLLATE "C"), '[]')::text FROM regions r
UNION ALL
SELECT 'countries', coalesce(json_agg(c ORDER BY
	translate(name, 'Åãçéíôü', 'Aaceiou') COLLATE "C", code COLLATE "C"), '[]')::text FROM countries c
UNION ALL
SELECT '%', '["maps", "races", "regions", "countries"]'
