-- What a decision of the escrow bot needs to know: the person, the question that is open with them, the trade that a
-- button or an invitation names with both its people, and a row for each currency with their wallet, which repeats the
-- other columns. The seller of a pending trade is the person who opened its invitation, if anybody. The time is this
-- server's: whether a trade's time is over is decided by the clock by which it is written.
-- $1 telegram_id   $2 bot   $3 public_id of a trade, or NULL   $4 token of an invitation, or NULL
SELECT wall_ms(now()) AS now_ms, one.*, c.code AS wallet_currency, c.scale AS wallet_scale,
	coalesce(w.available, 0) AS wallet_available, coalesce(w.held, 0) AS wallet_held
FROM (
	SELECT u.id AS user_id, u.suspended_at IS NOT NULL AS user_suspended, b.blocked_at IS NOT NULL AS user_blocked,
		d.state ->> 'step' AS draft_step, d.state ->> 'amount' AS draft_amount,
		d.state ->> 'currency' AS draft_currency, d.state ->> 'terms' AS draft_terms, d.state ->> 'mark' AS draft_mark,
		e.id AS trade_id, e.public_id AS trade_public_id, e.status AS trade_status, e.amount AS trade_amount,
		e.currency AS trade_currency, k.scale AS trade_scale, e.terms AS trade_terms,
		wall_ms(e.expires_at) AS trade_expires_ms,
		i.id AS invitation_id, i.token AS invitation_token, i.telegram_id AS invitation_telegram_id,
		p.id AS buyer_id, p.telegram_id AS buyer_telegram_id, p.first_name AS buyer_first_name,
		p.language_code AS buyer_language_code, pb.blocked_at IS NOT NULL AS buyer_blocked,
		s.id AS seller_id, s.telegram_id AS seller_telegram_id, s.first_name AS seller_first_name,
		s.language_code AS seller_language_code, sb.blocked_at IS NOT NULL AS seller_blocked
	FROM (VALUES (1)) always
	LEFT JOIN users u ON u.telegram_id = $1::bigint
	LEFT JOIN bot_users b ON b.bot = $2::text AND b.user_id = u.id
	LEFT JOIN conversations d ON d.bot = $2::text AND d.chat_id = $1::bigint
	LEFT JOIN escrows e ON e.id = coalesce((SELECT id FROM escrows WHERE public_id = $3::text),
		(SELECT escrow_id FROM invitations WHERE token = $4::text))
	LEFT JOIN currencies k ON k.code = e.currency
	LEFT JOIN LATERAL (
		SELECT id, token, telegram_id FROM invitations WHERE escrow_id = e.id ORDER BY id DESC LIMIT 1
	) i ON true
	LEFT JOIN users p ON p.id = e.buyer_id
	LEFT JOIN bot_users pb ON pb.bot = $2::text AND pb.user_id = p.id
	LEFT JOIN LATERAL (
		SELECT * FROM users WHERE id = e.seller_id
		UNION ALL
		SELECT * FROM users WHERE e.seller_id IS NULL AND telegram_id = i.telegram_id
	) s ON true
	LEFT JOIN bot_users sb ON sb.bot = $2::text AND sb.user_id = s.id
) one
CROSS JOIN currencies c
LEFT JOIN wallets w ON w.user_id = one.user_id AND w.currency = c.code
ORDER BY c.code
