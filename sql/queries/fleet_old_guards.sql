-- One batch of guards that nothing can ask for any more, oldest first. Two that run at once take different rows.
-- Unsettled entries may ask, also dead letters that were retried within GUARD_LIFE_S (include/shoal/store/guard.h), whose
-- new entry is younger than the guard: hence both ages, one on top of the other.
-- The limit is a literal, so that every plan counts on it; src/worker/fleet_jobs.c knows it too.
-- $1 age of the oldest unsettled entry, ms
DELETE FROM guards WHERE key = ANY (ARRAY(
	SELECT key FROM guards
	WHERE at < now() - interval '2 days' - $1::bigint * interval '1 millisecond'
	ORDER BY at
	LIMIT 1000
	FOR UPDATE SKIP LOCKED))
