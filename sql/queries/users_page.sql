-- A page of people, the newest first, each with what they wrote on the last 14 days (today last) and for how many days in
-- a row they have, to today or yesterday; days are UTC. One row more than wanted tells that there are more. No people:
-- one row without an id. In all they are counted, or, over two million, taken from what Postgres knows without.
-- $1 id after which to go on, NULL: from the start   $2 how many   $3 how many to pass over
WITH today AS (
	SELECT (now() AT TIME ZONE 'UTC')::date AS day
), known AS (
	SELECT reltuples::bigint AS n FROM pg_class WHERE oid = 'users'::regclass
), total AS (
	SELECT CASE WHEN n > 2000000 THEN n ELSE (SELECT count(*) FROM users) END AS n, n <= 2000000 AS exact FROM known
), page AS MATERIALIZED (
	SELECT * FROM (
		SELECT id, telegram_id, first_name, username, acquisition_source, created_at, last_seen_at
		FROM users WHERE id < coalesce($1::bigint, 9223372036854775807)
		ORDER BY id DESC OFFSET $3::bigint LIMIT 201 -- the most that may be wanted, which the planner can know
	) most LIMIT $2::bigint + 1
), days AS (
	SELECT a.user_id, a.day, a.messages, first_value(a.day) OVER back AS latest,
		a.day + (row_number() OVER back)::integer AS run -- the same for days that follow each other
	FROM page JOIN activity_daily a ON a.user_id = page.id CROSS JOIN today
	WHERE a.messages > 0 AND a.day <= today.day
	WINDOW back AS (PARTITION BY a.user_id ORDER BY a.day DESC)
), streak AS (
	SELECT d.user_id, count(*) AS days FROM days d CROSS JOIN today
	WHERE d.run = d.latest + 1 AND d.latest >= today.day - 1
	GROUP BY d.user_id
), sparkline AS (
	SELECT page.id, json_agg(coalesce(d.messages, 0) ORDER BY ago.n DESC) AS counts
	FROM page CROSS JOIN today CROSS JOIN generate_series(0, 13) ago (n)
	LEFT JOIN days d ON d.user_id = page.id AND d.day = today.day - ago.n
	GROUP BY page.id
)
SELECT total.n AS total, total.exact AS total_is_exact, page.id, page.telegram_id, page.first_name, page.username,
	page.acquisition_source, wall_ms(page.created_at) AS created_at, wall_ms(page.last_seen_at) AS last_seen_at,
	sparkline.counts AS sparkline, coalesce(streak.days, 0) AS streak_days
FROM total
LEFT JOIN page ON true
LEFT JOIN sparkline ON sparkline.id = page.id
LEFT JOIN streak ON streak.user_id = page.id
ORDER BY page.id DESC
