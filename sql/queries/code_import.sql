-- Makes many start codes. Fewer than given: something changed since the check, and the caller rolls back.
-- $1 the rows: [{"code", "persona", "description", "max_uses", "expires_at", "active", ...}]   $2 actor
WITH given AS (
	SELECT * FROM jsonb_to_recordset($1::jsonb)
		r (code text, persona text, description text, max_uses bigint, expires_at timestamptz, active boolean)
), persona AS (
	SELECT id, key FROM personas WHERE key IN (SELECT persona FROM given) FOR KEY SHARE
), added AS (
	INSERT INTO start_codes (code, persona_id, description, max_uses, expires_at, active)
	SELECT g.code, p.id, g.description, g.max_uses, g.expires_at, g.active
	FROM given g LEFT JOIN persona p ON p.key = g.persona
	WHERE g.persona IS NULL OR p.id IS NOT NULL
	ON CONFLICT (code) DO NOTHING
	RETURNING *
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $2::text, 'code.add', 'code:' || added.code, to_jsonb(added) || '{"imported": true}' FROM added
)
SELECT count(*) AS added FROM added
