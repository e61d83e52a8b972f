-- One value of the cache of personas: the JSON of the persona with this id, or of the default one: key `default`, else
-- the lowest id of those that are active.
-- $1 key: an id, or default
SELECT $1::text AS field,
	json_build_object('id', id, 'key', key, 'name', name, 'greeting', greeting, 'prompt', prompt,
		'replies', ARRAY(SELECT r FROM unnest(replies) r WHERE r IS NOT NULL), 'active', active)::text AS value
FROM personas
WHERE id = CASE $1::text
	WHEN 'default' THEN coalesce((SELECT id FROM personas WHERE key = 'default' AND active),
		(SELECT min(id) FROM personas WHERE active))
	ELSE key_id($1::text)
END
