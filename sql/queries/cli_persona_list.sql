-- All personas with the numbers of codes and chats that use them.
SELECT p.key, p.name, p.greeting, p.prompt, to_jsonb(p.replies) AS replies, p.active, cardinality(p.replies) AS answers,
	coalesce(c.n, 0) AS codes, coalesce(k.n, 0) AS chats
FROM personas p
LEFT JOIN (SELECT persona_id, count(*) AS n FROM start_codes GROUP BY persona_id) c ON c.persona_id = p.id
LEFT JOIN (SELECT persona_id, count(*) AS n FROM chats GROUP BY persona_id) k ON k.persona_id = p.id
ORDER BY p.key COLLATE "C"
