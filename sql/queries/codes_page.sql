-- A page of start codes, each with the number of people who came by it, all counted by one GROUP BY: those that most came
-- by first, or in the order of bytes. One row more than wanted tells that there are more; no codes: one row without a
-- code. Times in ms since 1970.
-- $1 begin after this code, NULL: from the start   $2 and by how many people came by that   $3 how many
-- $4 most people first   $5 a part of code, persona or description, NULL: all
WITH counted AS (
	SELECT c.code, p.key AS persona, c.description, c.active, c.max_uses, c.expires_at, c.created_at,
		coalesce(n.users, 0) AS user_count, CASE WHEN $4::boolean THEN coalesce(n.users, 0) ELSE 0 END AS place
	FROM start_codes c
	LEFT JOIN personas p ON p.id = c.persona_id
	LEFT JOIN (SELECT code_id, count(*) AS users FROM start_code_uses GROUP BY code_id) n ON n.code_id = c.id
	WHERE $5::text IS NULL OR strpos(lower(c.code), lower($5)) > 0 OR strpos(lower(c.description), lower($5)) > 0
		OR strpos(p.key, lower($5)) > 0
), total AS (
	SELECT count(*) AS n, sum(user_count) AS people FROM counted
), page AS (
	SELECT * FROM counted
	WHERE $1::text IS NULL OR place < $2::bigint OR (place = $2::bigint AND code COLLATE "C" > $1 COLLATE "C")
	ORDER BY place DESC, code COLLATE "C" LIMIT $3::bigint + 1
)
SELECT total.n AS total, coalesce(total.people, 0) AS people, code, persona, description, active, max_uses,
	wall_ms(expires_at) AS expires_at, user_count, wall_ms(created_at) AS created_at
FROM total LEFT JOIN page ON true
ORDER BY place DESC, code COLLATE "C"
