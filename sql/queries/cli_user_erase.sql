-- Erases a person who is held. The row stays without a name, for the counts and ledgers that refer to it. The guards of
-- the last two days stay too, so that nothing is done twice, but lose the texts that they keep; effects_encode() writes
-- the chat of a stored call as "c":ID, and ESCROW_CARD a trade's id as code.
-- $1 id   $2 telegram_id   $3 actor   $4 what they gave up with their wallets, or NULL
WITH theirs AS (
	SELECT id FROM chats WHERE user_id = $1::bigint
), trades AS ( -- wherever one is shown to the other side, whenever it ended, their name may stand
	SELECT public_id FROM escrows WHERE buyer_id = $1::bigint OR seller_id = $1::bigint
	UNION
	SELECT e.public_id FROM invitations i JOIN escrows e ON e.id = i.escrow_id WHERE i.telegram_id = $2::bigint
), lines AS (
	SELECT count(*) AS n FROM messages WHERE chat_id IN (SELECT id FROM theirs)
), silent AS (
	UPDATE guards SET effects = NULL
	WHERE strpos(effects, '"c":' || $2::bigint || ',') > 0 OR (effects IS NOT NULL AND key IN (
		SELECT update_key FROM messages WHERE chat_id IN (SELECT id FROM theirs) AND update_key IS NOT NULL))
		OR EXISTS (SELECT FROM regexp_matches(effects, '<code>([A-Za-z0-9_-]{1,32})</code>', 'g') shown (words)
			JOIN trades ON trades.public_id = shown.words[1])
), no_chats AS (
	DELETE FROM chats WHERE user_id = $1::bigint RETURNING id
), no_activity AS (
	DELETE FROM activity_daily WHERE user_id = $1::bigint
), no_bots AS (
	DELETE FROM bot_users WHERE user_id = $1::bigint
), no_conversations AS (
	DELETE FROM conversations WHERE chat_id = $2::bigint
), no_invitations AS (
	UPDATE invitations SET telegram_id = NULL WHERE telegram_id = $2::bigint
), no_notices AS (
	DELETE FROM escrow_notices WHERE user_id = $1::bigint
), no_terms AS (
	UPDATE escrows SET terms = NULL WHERE buyer_id = $1::bigint AND terms IS NOT NULL
), nobody AS (
	UPDATE users SET telegram_id = NULL, first_name = NULL, username = NULL, language_code = NULL,
		age_verified_at = NULL, suspended_at = NULL, last_seen_at = NULL
	WHERE id = $1::bigint
), counts AS (
	SELECT (SELECT count(*) FROM no_chats) AS chats, lines.n AS messages FROM lines
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $3::text, 'user.erase', 'user:' || $1::bigint,
		to_jsonb(counts) || jsonb_strip_nulls(jsonb_build_object('given_up', $4::text))
	FROM counts
)
SELECT chats, messages FROM counts
