-- Makes a persona, unless there is one.
-- $1 key   $2 name   $3 greeting   $4 prompt   $5 replies, a JSON array   $6 active   $7 actor
WITH added AS (
	INSERT INTO personas (key, name, greeting, prompt, replies, active)
	VALUES ($1::text, $2::text, $3::text, $4::text,
		ARRAY(SELECT value FROM jsonb_array_elements_text($5::jsonb) WITH ORDINALITY t (value, n) ORDER BY n),
		$6::boolean)
	ON CONFLICT (key) DO NOTHING
	RETURNING *
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $7::text, 'persona.add', 'persona:' || added.key, to_jsonb(added) FROM added
)
SELECT count(*) AS added FROM added
