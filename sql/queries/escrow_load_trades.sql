-- A page of a person's trades, newest first, and one more than a page holds where there are more: a row for each, which
-- repeats the other columns; one row where there are none. Pending trades of others to which they are invited are theirs.
-- Of the page after $4 the rows come newest first, too.
-- $1 telegram_id   $2 bot   $3 older than this trade, or NULL   $4 newer than this trade, or NULL
WITH me AS (
	SELECT u.id, u.telegram_id, u.suspended_at, b.blocked_at, d.state
	FROM users u
	LEFT JOIN bot_users b ON b.bot = $2::text AND b.user_id = u.id
	LEFT JOIN conversations d ON d.bot = $2::text AND d.chat_id = u.telegram_id
	WHERE u.telegram_id = $1::bigint
), page AS (
	SELECT id FROM (
		(SELECT e.id FROM me JOIN escrows e ON e.buyer_id = me.id
		WHERE $4::bigint IS NULL AND e.id < coalesce($3::bigint, 9223372036854775807) ORDER BY e.id DESC LIMIT 7)
		UNION ALL
		(SELECT e.id FROM me JOIN escrows e ON e.seller_id = me.id
		WHERE $4::bigint IS NULL AND e.id < coalesce($3::bigint, 9223372036854775807) ORDER BY e.id DESC LIMIT 7)
		UNION ALL
		(SELECT e.id FROM me JOIN invitations i ON i.telegram_id = me.telegram_id AND i.status = 'active'
		JOIN escrows e ON e.id = i.escrow_id
		WHERE $4::bigint IS NULL AND e.id < coalesce($3::bigint, 9223372036854775807) ORDER BY e.id DESC LIMIT 7)
	) older ORDER BY id DESC LIMIT 7
), page_back AS (
	SELECT id FROM (
		(SELECT e.id FROM me JOIN escrows e ON e.buyer_id = me.id WHERE e.id > $4::bigint ORDER BY e.id LIMIT 7)
		UNION ALL
		(SELECT e.id FROM me JOIN escrows e ON e.seller_id = me.id WHERE e.id > $4::bigint ORDER BY e.id LIMIT 7)
		UNION ALL
		(SELECT e.id FROM me JOIN invitations i ON i.telegram_id = me.telegram_id AND i.status = 'active'
		JOIN escrows e ON e.id = i.escrow_id WHERE e.id > $4::bigint ORDER BY e.id LIMIT 7)
	) newer ORDER BY id LIMIT 7
)
SELECT me.id AS user_id, me.suspended_at IS NOT NULL AS user_suspended, me.blocked_at IS NOT NULL AS user_blocked,
	me.state ->> 'step' AS draft_step, me.state ->> 'mark' AS draft_mark,
	e.id AS listed_id, e.public_id AS listed_public_id, e.status AS listed_status, e.amount AS listed_amount,
	e.currency AS listed_currency, c.scale AS listed_scale, e.buyer_id = me.id AS listed_mine
FROM me
LEFT JOIN (SELECT id FROM page UNION ALL SELECT id FROM page_back) listed ON true
LEFT JOIN escrows e ON e.id = listed.id
LEFT JOIN currencies c ON c.code = e.currency
ORDER BY e.id DESC
