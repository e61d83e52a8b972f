-- Trades, newest first; times in ms since 1970.
-- $1 status, or NULL   $2 telegram_id of one of the two, or NULL   $3 limit
SELECT e.public_id, e.status, e.amount, c.scale, e.currency, b.telegram_id AS buyer, s.telegram_id AS seller,
	wall_ms(e.created_at) AS created_at,
	wall_ms(e.updated_at) AS updated_at
FROM escrows e
JOIN currencies c ON c.code = e.currency
JOIN users b ON b.id = e.buyer_id
LEFT JOIN users s ON s.id = e.seller_id
WHERE ($1::text IS NULL OR e.status = $1::text)
	AND ($2::bigint IS NULL OR e.buyer_id = (SELECT id FROM users WHERE telegram_id = $2::bigint)
		OR e.seller_id = (SELECT id FROM users WHERE telegram_id = $2::bigint))
ORDER BY e.created_at DESC, e.id DESC
LIMIT $3::bigint
