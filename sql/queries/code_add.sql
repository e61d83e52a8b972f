-- Makes a start code, unless there is one or its persona is missing; and the code as code_counts has it.
-- $1 code   $2 key of its persona, NULL: none   $3 description   $4 max_uses   $5 expires_at   $6 active   $7 actor
WITH persona AS (
	SELECT id, key FROM personas WHERE key = $2::text FOR KEY SHARE
), added AS (
	INSERT INTO start_codes (code, persona_id, description, max_uses, expires_at, active)
	SELECT $1::text, persona.id, $3::text, $4::bigint, $5::timestamptz, $6::boolean
	FROM (SELECT) one LEFT JOIN persona ON true
	WHERE $2::text IS NULL OR persona.id IS NOT NULL
	ON CONFLICT (code) DO NOTHING
	RETURNING *
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $7::text, 'code.add', 'code:' || added.code, to_jsonb(added) FROM added
)
SELECT (SELECT count(*) FROM persona) + ($2::text IS NULL)::integer AS personas, (SELECT count(*) FROM added) AS added,
	added.code, (SELECT key FROM persona) AS persona, added.description, added.active, added.max_uses,
	wall_ms(added.expires_at) AS expires_at, 0 AS user_count, wall_ms(added.created_at) AS created_at
FROM (SELECT) one LEFT JOIN added ON true
