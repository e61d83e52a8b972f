-- All that is stored about a person, as one JSON object.
-- $1 telegram_id
SELECT json_build_object(
	'user', to_jsonb(u) || jsonb_build_object('telegram_id', u.telegram_id::text),
	'bot_users', (SELECT coalesce(json_agg(to_jsonb(b) - 'user_id' ORDER BY b.bot), '[]')
		FROM bot_users b WHERE b.user_id = u.id),
	'conversations', (SELECT coalesce(json_agg(to_jsonb(v) || jsonb_build_object('chat_id', v.chat_id::text)
			ORDER BY v.bot), '[]')
		FROM conversations v WHERE v.chat_id = u.telegram_id),
	'start_code_uses', (SELECT coalesce(json_agg(json_build_object('code', s.code, 'used_at', c.used_at)), '[]')
		FROM start_code_uses c JOIN start_codes s ON s.id = c.code_id WHERE c.user_id = u.id),
	'chats', (SELECT coalesce(json_agg(to_jsonb(k) - 'user_id' || jsonb_build_object('persona', p.key,
			'messages', (SELECT coalesce(jsonb_agg(to_jsonb(m) - 'chat_id' ORDER BY m.id), '[]')
				FROM messages m WHERE m.chat_id = k.id))
			ORDER BY k.id), '[]')
		FROM chats k JOIN personas p ON p.id = k.persona_id WHERE k.user_id = u.id),
	'activity_daily', (SELECT coalesce(json_agg(to_jsonb(d) - 'user_id' ORDER BY d.day), '[]')
		FROM activity_daily d WHERE d.user_id = u.id),
	'wallets', (SELECT coalesce(json_agg(to_jsonb(w) - 'user_id' ORDER BY w.currency), '[]')
		FROM wallets w WHERE w.user_id = u.id),
	'escrows', (SELECT coalesce(json_agg(to_jsonb(e) - 'buyer_id' - 'seller_id' - 'changed_by' || jsonb_build_object(
			'role', CASE WHEN e.buyer_id = u.id THEN 'buyer' ELSE 'seller' END) ORDER BY e.id), '[]')
		FROM escrows e WHERE u.id IN (e.buyer_id, e.seller_id)),
	'invitations', (SELECT coalesce(json_agg(to_jsonb(i) - 'telegram_id' ORDER BY i.id), '[]')
		FROM invitations i WHERE i.telegram_id = u.telegram_id),
	'ledger_entries', (SELECT coalesce(json_agg(to_jsonb(l) - 'user_id' - 'booked_in' || jsonb_build_object('kind', t.kind, 'key', t.key,
			'created_at', t.created_at) ORDER BY l.id), '[]')
		FROM ledger_entries l JOIN ledger_transactions t ON t.id = l.transaction_id WHERE l.user_id = u.id),
	'guards', (SELECT coalesce(json_agg(to_jsonb(g) ORDER BY g.at, g.key), '[]')
		FROM guards g
		WHERE strpos(g.effects, '"c":' || u.telegram_id || ',') > 0 OR g.key IN (
			SELECT m.update_key FROM messages m JOIN chats k ON k.id = m.chat_id
			WHERE k.user_id = u.id AND m.update_key IS NOT NULL)),
	'admin_audit', (SELECT coalesce(json_agg(to_jsonb(a) - 'actor' ORDER BY a.id), '[]')
		FROM admin_audit a WHERE a.target = 'user:' || u.id)
) AS everything
FROM users u
WHERE u.telegram_id = $1::bigint
