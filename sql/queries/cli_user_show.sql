-- A person at a glance; times in ms since 1970.
-- $1 telegram_id
SELECT u.id, u.telegram_id, u.first_name, u.username, u.language_code, u.acquisition_source,
	wall_ms(u.age_verified_at) AS age_verified_at,
	wall_ms(u.suspended_at) AS suspended_at,
	wall_ms(u.created_at) AS created_at,
	wall_ms(u.last_seen_at) AS last_seen_at,
	(SELECT string_agg(bot, ',' ORDER BY bot) FROM bot_users WHERE user_id = u.id AND blocked_at IS NOT NULL)
		AS blocked_bots,
	(SELECT count(*) FROM chats WHERE user_id = u.id) AS chats,
	(SELECT count(*) FROM messages m JOIN chats c ON c.id = m.chat_id WHERE c.user_id = u.id) AS messages,
	(SELECT count(*) FROM activity_daily WHERE user_id = u.id) AS active_days,
	(SELECT count(*) FROM escrows WHERE buyer_id = u.id) + (SELECT count(*) FROM escrows WHERE seller_id = u.id) AS trades
FROM users u
WHERE u.telegram_id = $1::bigint
