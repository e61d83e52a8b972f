-- One batch of messages whose update's key has done its duty: Telegram numbers updates anew after a quiet week. It goes
-- when the guard goes, see fleet_old_guards.
-- The limit is a literal, so that every plan counts on it; src/worker/fleet_jobs.c knows it too.
-- $1 age of the oldest unsettled entry, ms
UPDATE messages SET update_key = NULL WHERE id = ANY (ARRAY(
	SELECT id FROM messages
	WHERE update_key IS NOT NULL AND created_at < now() - interval '2 days' - $1::bigint * interval '1 millisecond'
	ORDER BY created_at
	LIMIT 1000
	FOR UPDATE SKIP LOCKED))
