-- Makes a start code, unless there is one or its persona is missing.
-- $1 code   $2 key of its persona   $3 description   $4 max_uses   $5 expires_at   $6 active   $7 actor
WITH persona AS (
	SELECT id FROM personas WHERE key = $2::text FOR KEY SHARE
), added AS (
	INSERT INTO start_codes (code, persona_id, description, max_uses, expires_at, active)
	SELECT $1::text, persona.id, $3::text, $4::bigint, $5::timestamptz, $6::boolean FROM persona
	ON CONFLICT (code) DO NOTHING
	RETURNING *
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $7::text, 'code.add', 'code:' || added.code, to_jsonb(added) FROM added
)
SELECT (SELECT count(*) FROM persona) AS personas, (SELECT count(*) FROM added) AS added
