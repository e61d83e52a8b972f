-- One batch of those who have yet to hear what an admin decided, by trade.
-- The limit is a literal, so that every plan counts on it; src/worker/fleet_due.c knows it too.
-- $1 trade of the last one, or NULL   $2 its person
SELECT e.public_id, u.telegram_id, n.escrow_id, n.user_id
FROM escrow_notices n
JOIN escrows e ON e.id = n.escrow_id
JOIN users u ON u.id = n.user_id
WHERE $1::bigint IS NULL OR (n.escrow_id, n.user_id) > ($1::bigint, $2::bigint)
ORDER BY n.escrow_id, n.user_id
LIMIT 500
