-- Suspends a person or lets them in again; who already is so stays as they are.
-- $1 telegram_id   $2 suspend   $3 actor
WITH changed AS (
	UPDATE users SET suspended_at = CASE WHEN $2::boolean THEN now() END
	WHERE telegram_id = $1::bigint AND (suspended_at IS NOT NULL) <> $2::boolean
	RETURNING id
), audit AS (
	INSERT INTO admin_audit (actor, action, target)
	SELECT $3::text, CASE WHEN $2::boolean THEN 'user.suspend' ELSE 'user.unsuspend' END, 'user:' || id FROM changed
)
SELECT (SELECT count(*) FROM users WHERE telegram_id = $1::bigint) AS people, (SELECT count(*) FROM changed) AS changed
