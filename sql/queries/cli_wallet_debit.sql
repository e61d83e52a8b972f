-- Money goes out, once for each key, as far as it is available.
-- $1 telegram_id   $2 currency   $3 amount   $4 key   $5 actor
WITH person AS (
	SELECT id FROM users WHERE telegram_id = $1::bigint FOR KEY SHARE
), before AS (
	SELECT t.kind = 'debit' AND o.user_id = (SELECT id FROM person) AND o.currency = $2::text
		AND o.amount = $3::bigint AS same
	FROM ledger_transactions t LEFT JOIN ledger_entries o ON o.transaction_id = t.id AND o.account = 'outside'
	WHERE t.key = $4::text
), purse AS (
	SELECT w.user_id AS id FROM person JOIN wallets w ON w.user_id = person.id
	WHERE w.currency = $2::text AND w.available >= $3::bigint AND NOT EXISTS (SELECT FROM before)
	FOR NO KEY UPDATE OF w
), booked AS MATERIALIZED (
	SELECT id AS user_id,
		book($4::text, 'debit', NULL, $2::text, $3::bigint, 'available', id, 'outside', id) AS transaction_id
	FROM purse
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $5::text, 'wallet.debit', 'user:' || user_id,
		jsonb_build_object('currency', $2::text, 'amount', $3::bigint, 'key', $4::text, 'transaction', transaction_id)
	FROM booked
)
SELECT (SELECT count(*) FROM person) AS people, (SELECT count(*) FROM booked) AS booked,
	(SELECT count(*) FROM before) AS before, coalesce((SELECT same FROM before), false) AS same
