-- The cache of personas, whole: "<id>" -> JSON, "default" -> JSON of the default one, where there is one; and last
-- "%" -> JSON array of all these keys. Where there are too many personas for that: "%" -> many, alone.
-- $1 personas at most; more than 16 MB of texts are too many, too
WITH size AS (
	SELECT count(*) <= $1::bigint AND coalesce(sum(octet_length(greeting) + coalesce(octet_length(prompt), 0) +
		octet_length(replies::text)), 0) <= 16000000 AS fits
	FROM (SELECT greeting, prompt, replies FROM personas LIMIT $1::bigint + 1) few
), fitting AS (
	SELECT id, key, active, json_build_object('id', id, 'key', key, 'name', name, 'greeting', greeting,
		'prompt', prompt, 'replies', ARRAY(SELECT r FROM unnest(replies) r WHERE r IS NOT NULL), 'active', active)::text AS value
	FROM personas WHERE (SELECT fits FROM size)
), lines AS (
	SELECT 1 AS part, id::text AS field, value FROM fitting
	UNION ALL
	(SELECT 2, 'default', value FROM fitting WHERE active ORDER BY key = 'default' DESC, id LIMIT 1)
)
SELECT field, value FROM (
	SELECT part, field, value FROM lines
	UNION ALL
	SELECT 3, '%', CASE WHEN fits THEN coalesce((SELECT json_agg(field) FROM lines)::text, '[]') ELSE 'many' END
	FROM size
) whole ORDER BY part
