-- The cache of personas, whole: "<id>" -> JSON, and "default" -> id of the default one.
SELECT id::text AS field,
	json_build_object('id', id, 'key', key, 'name', name, 'greeting', greeting, 'prompt', prompt,
		'replies', array_remove(replies, NULL), 'active', active)::text AS value
FROM personas
UNION ALL
(SELECT 'default', id::text FROM personas WHERE active ORDER BY key = 'default' DESC, id LIMIT 1)
