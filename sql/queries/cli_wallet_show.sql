-- The wallets of a person, all currencies.
-- $1 telegram_id
SELECT c.code AS currency, c.scale, coalesce(w.available, 0) AS available, coalesce(w.held, 0) AS held
FROM users u
CROSS JOIN currencies c
LEFT JOIN wallets w ON w.user_id = u.id AND w.currency = c.code
WHERE u.telegram_id = $1::bigint
ORDER BY c.code
