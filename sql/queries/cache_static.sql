-- One static table: the JSON array of its rows with all their columns; countries by name, whatever the database's
-- collation, their accents left out of account.
-- $1 key: the table's name
SELECT $1::text AS field, value
FROM (SELECT CASE $1::text
	WHEN 'maps' THEN (SELECT coalesce(json_agg(m ORDER BY code COLLATE "C"), '[]') FROM maps m)
	WHEN 'races' THEN (SELECT coalesce(json_agg(r ORDER BY code COLLATE "C"), '[]') FROM races r)
	WHEN 'regions' THEN (SELECT coalesce(json_agg(r ORDER BY code COLLATE "C"), '[]') FROM regions r)
	WHEN 'countries' THEN (SELECT coalesce(json_agg(c ORDER BY
		translate(name, 'Åãçéíôü', 'Aaceiou') COLLATE "C", code COLLATE "C"), '[]') FROM countries c)
	END::text AS value) one
WHERE value IS NOT NULL
