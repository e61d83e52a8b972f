-- One value of the cache of start codes: of a code its JSON, of "#<id>" the code.
-- $1 key
SELECT code AS field,
	json_build_object('id', id, 'code', code, 'persona_id', persona_id::text, 'active', active,
		'max_uses', max_uses, 'expires_ms', CASE
			WHEN isfinite(expires_at) THEN greatest(floor(extract(epoch FROM expires_at) * 1000)::bigint, 1)
			WHEN expires_at < now() THEN 1
		END)::text AS value
FROM start_codes WHERE code = $1::text
UNION ALL
SELECT '#' || id, code FROM start_codes WHERE starts_with($1::text, '#') AND id = key_id(substr($1::text, 2))
