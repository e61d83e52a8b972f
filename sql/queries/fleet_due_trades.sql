-- One batch of pending trades whose time is over, oldest first, behind the one where the last batch ended.
-- The limit is a literal, so that every plan counts on it; src/worker/fleet_due.c knows it too.
-- $1 expires_at of the last one, or NULL   $2 its id
SELECT e.public_id, (SELECT telegram_id FROM users WHERE id = e.buyer_id) AS telegram_id, e.expires_at, e.id
FROM escrows e
WHERE e.status = 'pending' AND e.expires_at <= now() AND isfinite(e.expires_at)
	AND ($1::timestamptz IS NULL OR (e.expires_at, e.id) > ($1::timestamptz, $2::bigint))
ORDER BY e.expires_at, e.id
LIMIT 500
