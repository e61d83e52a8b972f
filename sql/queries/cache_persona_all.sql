-- The cache of personas, whole: "<id>" -> JSON, and "default" -> JSON of the default one, where there is one. No rows
-- where there are too many personas for that.
-- $1 personas at most
WITH fitting AS (
	SELECT * FROM personas WHERE (
		SELECT count(*) <= $1::bigint FROM (SELECT FROM personas LIMIT $1::bigint + 1) few)
), lines AS (
	SELECT id, key, active, json_build_object('id', id, 'key', key, 'name', name, 'greeting', greeting,
		'prompt', prompt, 'replies', array_remove(replies, NULL), 'active', active)::text AS value
	FROM fitting
)
SELECT id::text AS field, value FROM lines
UNION ALL
(SELECT 'default', value FROM lines WHERE active ORDER BY key = 'default' DESC, id LIMIT 1)
