-- All start codes, each with the number of people who came by it, by one GROUP BY; times in ms since 1970.
SELECT c.code, p.key AS persona, c.description, c.active, c.max_uses, wall_ms(c.expires_at) AS expires_at,
	coalesce(n.users, 0) AS user_count, wall_ms(c.created_at) AS created_at
FROM start_codes c
LEFT JOIN personas p ON p.id = c.persona_id
LEFT JOIN (SELECT code_id, count(*) AS users FROM start_code_uses GROUP BY code_id) n ON n.code_id = c.id
ORDER BY c.code COLLATE "C"
