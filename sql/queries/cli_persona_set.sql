-- Changes what is given of a persona; NULL leaves a thing as it is.
-- $1 key   $2 name   $3 greeting   $4 prompt, '': none   $5 replies, a JSON array that replaces them all
-- $6 active   $7 actor
WITH old AS (
	SELECT * FROM personas WHERE key = $1::text FOR NO KEY UPDATE
), changed AS (
	UPDATE personas p SET
		name = coalesce($2::text, p.name),
		greeting = coalesce($3::text, p.greeting),
		prompt = CASE WHEN $4::text IS NULL THEN p.prompt ELSE nullif($4::text, '') END,
		replies = CASE WHEN $5::text IS NULL THEN p.replies ELSE ARRAY(
			SELECT value FROM jsonb_array_elements_text($5::jsonb) WITH ORDINALITY t (value, n) ORDER BY n) END,
		active = coalesce($6::boolean, p.active)
	FROM old
	WHERE p.id = old.id
	RETURNING p.*
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $7::text, 'persona.set', 'persona:' || old.key,
		jsonb_build_object('before', to_jsonb(old), 'after', to_jsonb(changed))
	FROM old, changed
)
SELECT count(*) AS changed FROM changed
