-- One batch of guards that nothing can ask for any more, oldest first. Two that run at once take different rows. How long
-- they stand is GUARD_LIFE_S in include/shoal/store/guard.h, too.
-- The limit is a literal, so that every plan counts on it; src/worker/fleet_jobs.c knows it too.
DELETE FROM guards WHERE key = ANY (ARRAY(
	SELECT key FROM guards
	WHERE at < now() - interval '2 days'
	ORDER BY at
	LIMIT 1000
	FOR UPDATE SKIP LOCKED))
