-- What operators did, the last first. One row more than wanted tells that there are more; times in ms since 1970.
-- $1 id after which to go on, NULL: from the start   $2 how many
SELECT id, wall_ms(at) AS at, actor, action, target, details
FROM admin_audit WHERE id < coalesce($1::bigint, 9223372036854775807)
ORDER BY id DESC LIMIT $2::bigint + 1
