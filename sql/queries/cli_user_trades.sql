-- What of a person's money is still under way: open trades, one of them by its public id, and what their wallets hold, as
-- "1.50 USD, 0.00100000 BTC", NULL: nothing.
-- $1 id
SELECT count(e.id) AS open, min(e.public_id) AS one,
	(SELECT string_agg(round((w.available + w.held::numeric) / 10::numeric ^ c.scale, c.scale) || ' ' || c.code, ', '
			ORDER BY c.code)
		FROM wallets w JOIN currencies c ON c.code = w.currency
		WHERE w.user_id = $1::bigint AND w.available + w.held::numeric > 0) AS money
FROM escrows e
WHERE (e.buyer_id = $1::bigint OR e.seller_id = $1::bigint) AND e.status IN ('pending', 'active', 'disputed')
