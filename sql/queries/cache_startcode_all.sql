-- The cache of start codes, whole: code -> JSON, "#<id>" -> code; and last "%" -> JSON array of all codes.
-- Where there are too many codes for that: "%" -> many, alone.
-- $1 codes at most
WITH size AS (
	SELECT count(*) <= $1::bigint AS fits FROM (SELECT FROM start_codes LIMIT $1::bigint + 1) few
), codes AS (
	SELECT * FROM start_codes WHERE (SELECT fits FROM size)
), lines AS (
	SELECT 1 AS part, code AS field,
		json_build_object('id', id, 'code', code, 'persona_id', persona_id::text, 'active', active,
			'max_uses', max_uses, 'expires_ms', CASE
				WHEN isfinite(expires_at) THEN greatest(floor(extract(epoch FROM expires_at) * 1000)::bigint, 1)
				WHEN expires_at < now() THEN 1
			END)::text AS value
	FROM codes
	UNION ALL
	SELECT 2, '#' || id, code FROM codes
	UNION ALL
	SELECT 3, '%', CASE WHEN fits THEN
		coalesce((SELECT json_agg(code ORDER BY code COLLATE "C") FROM codes)::text, '[]') ELSE 'many' END
	FROM size
)
SELECT field, value FROM lines ORDER BY part
