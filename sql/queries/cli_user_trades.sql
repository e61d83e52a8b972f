-- What of a person's money is still under way: open trades, one of them by its public id, and whether their wallets hold
-- anything.
-- $1 id
SELECT count(e.id) AS open, min(e.public_id) AS one,
	EXISTS (SELECT FROM wallets WHERE user_id = $1::bigint AND available + held > 0) AS money
FROM escrows e
WHERE (e.buyer_id = $1::bigint OR e.seller_id = $1::bigint) AND e.status IN ('pending', 'active', 'disputed')
