-- The same as users_page of those whose first name, user name or code begins so, or who have this Telegram id. Up to ten
-- thousand they are found by index, and counted; more are so many that the newest ones are found by going back.
-- $1 id after which to go on, NULL: from the start   $2 how many   $3 how many to pass over
-- $4 the beginning   $5 telegram_id, NULL: it is none
WITH today AS (
	SELECT (now() AT TIME ZONE 'UTC')::date AS day
), few AS MATERIALIZED (
	(SELECT id FROM users
	WHERE lower(username) COLLATE "C" >= lower($4::text) COLLATE "C"
		AND lower(username) COLLATE "C" < (lower($4::text) || U&'\+10FFFF') COLLATE "C"
	LIMIT 10001)
	UNION
	(SELECT id FROM users
	WHERE lower(first_name) COLLATE "C" >= lower($4::text) COLLATE "C"
		AND lower(first_name) COLLATE "C" < (lower($4::text) || U&'\+10FFFF') COLLATE "C"
	LIMIT 10001)
	UNION
	(SELECT id FROM users
	WHERE acquisition_source COLLATE "C" >= $4::text COLLATE "C"
		AND acquisition_source COLLATE "C" < ($4::text || U&'\+10FFFF') COLLATE "C"
	LIMIT 10001)
	UNION
	SELECT id FROM users WHERE telegram_id = $5::bigint
), total AS (
	SELECT least(count(*), 10000) AS n, count(*) <= 10000 AS exact FROM few
), one AS (
	SELECT few.id FROM few, total WHERE total.exact AND few.id < coalesce($1::bigint, 9223372036854775807)
	ORDER BY few.id DESC OFFSET $3::bigint LIMIT 201 -- the most that may be wanted, which the planner can know
), other AS (
	SELECT id FROM users
	WHERE NOT (SELECT exact FROM total) AND id < coalesce($1::bigint, 9223372036854775807)
		AND (starts_with(lower(username), lower($4::text)) OR starts_with(lower(first_name), lower($4::text))
		OR starts_with(acquisition_source, $4::text) OR telegram_id = $5::bigint)
	ORDER BY id DESC OFFSET $3::bigint LIMIT 201
), page AS MATERIALIZED (
	SELECT id, telegram_id, first_name, username, acquisition_source, created_at, last_seen_at
	FROM (TABLE one UNION ALL TABLE other LIMIT $2::bigint + 1) wanted JOIN users USING (id)
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
