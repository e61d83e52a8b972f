-- All start codes, each with the number of people who came by it, by one GROUP BY; times in ms since 1970.
SELECT c.code, p.key AS persona, c.description, c.active, c.max_uses,
	CASE
		WHEN isfinite(c.expires_at) THEN floor(extract(epoch FROM c.expires_at) * 1000)::bigint
		WHEN c.expires_at < now() THEN 0
	END AS expires_at,
	coalesce(n.users, 0) AS user_count,
	floor(extract(epoch FROM c.created_at) * 1000)::bigint AS created_at
FROM start_codes c
LEFT JOIN personas p ON p.id = c.persona_id
LEFT JOIN (SELECT code_id, count(*) AS users FROM start_code_uses GROUP BY code_id) n ON n.code_id = c.id
ORDER BY c.code COLLATE "C"
