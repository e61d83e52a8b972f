-- Changes what is given of a start code; NULL leaves a thing as it is. And the code as code_counts has it.
-- $1 code   $2 key of its persona, '': none   $3 description, '': none   $4 max_uses, 0: no limit
-- $5 expires_at, '': never   $6 active   $7 actor
WITH persona AS (
	SELECT id FROM personas WHERE key = $2::text FOR KEY SHARE
), old AS (
	SELECT * FROM start_codes WHERE code = $1::text FOR UPDATE
), changed AS (
	UPDATE start_codes c SET
		persona_id = CASE WHEN $2::text IS NULL THEN c.persona_id ELSE (SELECT id FROM persona) END,
		description = CASE WHEN $3::text IS NULL THEN c.description ELSE nullif($3::text, '') END,
		max_uses = CASE WHEN $4::bigint IS NULL THEN c.max_uses ELSE nullif($4::bigint, 0) END,
		expires_at = CASE WHEN $5::text IS NULL THEN c.expires_at ELSE nullif($5::text, '')::timestamptz END,
		active = coalesce($6::boolean, c.active),
		updated_at = now()
	FROM old
	WHERE c.id = old.id AND (coalesce($2::text, '') = '' OR EXISTS (SELECT FROM persona))
	RETURNING c.*
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $7::text, 'code.set', 'code:' || old.code,
		jsonb_build_object('before', to_jsonb(old), 'after', to_jsonb(changed))
	FROM old, changed
)
SELECT (SELECT count(*) FROM old) AS codes, (SELECT count(*) FROM changed) AS changed,
	changed.code, (SELECT key FROM personas p WHERE p.id = changed.persona_id) AS persona, changed.description,
	changed.active, changed.max_uses, wall_ms(changed.expires_at) AS expires_at,
	(SELECT count(*) FROM start_code_uses u WHERE u.code_id = changed.id) AS user_count,
	wall_ms(changed.created_at) AS created_at
FROM (SELECT) one LEFT JOIN changed ON true
