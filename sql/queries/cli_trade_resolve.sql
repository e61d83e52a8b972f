-- An admin decides a dispute, or an active trade whose two people cannot: the money goes to one of the two, and both are to
-- be told. `before`: it was decided in the same way already.
-- $1 public_id   $2 status that it becomes: released or refunded   $3 note   $4 actor   $5 also where nobody disputed it
WITH before AS (
	SELECT id, status, buyer_id, seller_id, changed_by FROM escrows WHERE public_id = $1::text FOR NO KEY UPDATE
), trade AS (
	UPDATE escrows e SET status = $2::text, changed_by = NULL FROM before
	WHERE e.id = before.id AND (before.status = 'disputed' OR (before.status = 'active' AND $5::boolean))
	RETURNING e.id, e.public_id, e.buyer_id, e.seller_id, e.amount, e.currency, before.status AS was
), booked AS MATERIALIZED (
	SELECT public_id, was, book('trade:' || id || ':end', CASE $2::text WHEN 'released' THEN 'release' ELSE 'refund' END, id,
			currency, amount, 'held', buyer_id, 'available',
			CASE $2::text WHEN 'released' THEN seller_id ELSE buyer_id END) AS transaction_id
	FROM trade
), notices AS (
	INSERT INTO escrow_notices (escrow_id, user_id)
	SELECT trade.id, person.id FROM trade, unnest(ARRAY[trade.buyer_id, trade.seller_id]) person (id)
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $4::text, 'trade.resolve', 'trade:' || public_id,
		jsonb_build_object('outcome', $2::text, 'was', was, 'note', $3::text, 'transaction', transaction_id)
	FROM booked
)
SELECT before.status, b.telegram_id AS buyer, s.telegram_id AS seller, (SELECT count(*) FROM booked) AS resolved,
	(before.status = $2::text AND before.changed_by IS NULL)::int AS before
FROM before
JOIN users b ON b.id = before.buyer_id
LEFT JOIN users s ON s.id = before.seller_id
