-- The cache of start codes, whole: code -> JSON, and "#<id>" -> code.
SELECT code AS field,
	json_build_object('id', id, 'code', code, 'persona_id', persona_id::text, 'active', active,
		'max_uses', max_uses, 'expires_ms', CASE
			WHEN isfinite(expires_at) THEN greatest(floor(extract(epoch FROM expires_at) * 1000)::bigint, 1)
			WHEN expires_at < now() THEN 1
		END)::text AS value
FROM start_codes
UNION ALL
SELECT '#' || id, code FROM start_codes
