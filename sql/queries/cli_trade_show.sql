-- All that is known of a trade: its two people, its way, its money, what admins did; times in ms since 1970.
-- $1 public_id
SELECT e.public_id, e.status, e.amount, c.scale, e.currency, e.terms,
	b.telegram_id AS buyer, b.first_name AS buyer_name, s.telegram_id AS seller, s.first_name AS seller_name,
	i.status AS invitation, i.telegram_id AS invited,
	wall_ms(e.created_at) AS created_at,
	wall_ms(e.updated_at) AS updated_at,
	wall_ms(e.expires_at) AS expires_at,
	(SELECT coalesce(jsonb_agg(jsonb_build_object('at', v.at, 'status', v.status, 'by', CASE
			WHEN v.user_id = e.buyer_id THEN 'buyer' WHEN v.user_id IS NOT NULL THEN 'seller' ELSE 'system' END)
			ORDER BY v.id), '[]')
		FROM escrow_events v WHERE v.escrow_id = e.id) AS events,
	(SELECT coalesce(jsonb_agg(jsonb_build_object('at', t.created_at, 'kind', t.kind, 'account', l.account, 'of', CASE
			WHEN l.user_id = e.buyer_id THEN 'buyer' ELSE 'seller' END,
			'amount', round(l.amount / 10::numeric ^ c.scale, c.scale)::text) ORDER BY l.id), '[]')
		FROM ledger_transactions t JOIN ledger_entries l ON l.transaction_id = t.id WHERE t.escrow_id = e.id) AS ledger,
	(SELECT coalesce(jsonb_agg(to_jsonb(a) - 'id' - 'target' ORDER BY a.id), '[]')
		FROM admin_audit a WHERE a.target = 'trade:' || e.public_id) AS audit
FROM escrows e
JOIN currencies c ON c.code = e.currency
JOIN users b ON b.id = e.buyer_id
LEFT JOIN users s ON s.id = e.seller_id
LEFT JOIN LATERAL (SELECT status, telegram_id FROM invitations WHERE escrow_id = e.id ORDER BY id DESC LIMIT 1) i ON true
WHERE e.public_id = $1::text
