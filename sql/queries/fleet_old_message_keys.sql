-- One batch of messages whose update's key has done its duty: Telegram numbers updates anew after a quiet week.
-- The limit is a literal, so that every plan counts on it; src/worker/fleet_jobs.c knows it too.
UPDATE messages SET update_key = NULL WHERE id = ANY (ARRAY(
	SELECT id FROM messages
	WHERE update_key IS NOT NULL AND created_at < now() - interval '2 days'
	ORDER BY created_at
	LIMIT 1000
	FOR UPDATE SKIP LOCKED))
