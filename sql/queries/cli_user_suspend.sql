-- Suspends a person or lets them in again; who already is so stays as they are.
-- $1 telegram_id   $2 suspend   $3 actor
WITH person AS (
	SELECT id, suspended_at IS NOT NULL AS suspended FROM users WHERE telegram_id = $1::bigint FOR NO KEY UPDATE
), changed AS (
	UPDATE users u SET suspended_at = CASE WHEN $2::boolean THEN now() END
	FROM person
	WHERE u.id = person.id AND person.suspended <> $2::boolean
	RETURNING u.id
), audit AS (
	INSERT INTO admin_audit (actor, action, target)
	SELECT $3::text, CASE WHEN $2::boolean THEN 'user.suspend' ELSE 'user.unsuspend' END, 'user:' || id FROM changed
)
SELECT (SELECT count(*) FROM person) AS people, (SELECT count(*) FROM changed) AS changed
