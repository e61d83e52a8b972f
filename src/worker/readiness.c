#include "shoal/worker/readiness.h"

#include "shoal/base/clock.h"
#include "shoal/worker/reach.h"

#define WORK_STUCK_MS 300000

static const char *check_pg(void *arg)
{
	const struct worker *w = arg;
	return pg_up(w->pg) ? reach_pg_trouble(w->reach) : pg_trouble(w->pg);
}

static const char *check_redis(void *arg)
{
	const struct worker *w = arg;
	return redis_up(w->redis) ? reach_redis_trouble(w->reach) : "the caches' Redis cannot be reached";
}

bool readiness_cut_off(struct worker *w)
{
	return check_pg(w) || check_redis(w) || !reach_any(w->reach) || shards_any_foreign(&w->health);
}

static const char *shard_trouble(const void *arg, unsigned shard)
{
	const struct worker *w = arg;
	const char *why = queue_trouble(w->shards[shard].queue);
	return why ? why : redis_check_trouble(&w->shards[shard].check);
}

static const char *shard_foreign(const void *arg, unsigned shard)
{
	const struct worker *w = arg;
	return queue_foreign(w->shards[shard].queue);
}

void readiness_init(struct worker *w)
{
	w->health =
	    (struct shards_health){.n = w->nshards, .trouble = shard_trouble, .foreign = shard_foreign, .arg = w};
	shards_health_init(&w->health);
}

static const char *check_drain(void *arg)
{
	const struct worker *w = arg;
	return w->draining ? "draining" : NULL;
}

static const char *check_cache(void *arg)
{
	const struct worker *w = arg;
	return cache_ready(w->cache) ? NULL : "caches are not loaded yet";
}

static const char *check_listen(void *arg)
{
	const struct worker *w = arg;
	return cache_not_listening(w->cache);
}

/* Alive means that entries can move. What a restart would not help (Redis away, or refusing) is a matter of readiness.
 */
static const char *check_moving(void *arg)
{
	const struct worker *w = arg;
	for (unsigned i = 0; i < w->nshards; i++)
		if (queue_stuck(w->shards[i].queue))
			return queue_trouble(w->shards[i].queue);
	return NULL;
}

/* Everything that a job waits for has a limit of its own, together far less than this; but for the word of a shard that
 * is away: there a restart would only make orphans of what is in hand. */
static const char *check_working(void *arg)
{
	const struct worker *w = arg;
	for (unsigned i = 0; i < w->nshards; i++)
		if (!queue_up(w->shards[i].queue))
			return NULL;
	int64_t patience_ms = WORK_STUCK_MS + w->conf.responder_timeout_s * 1000;
	bool stuck = w->njobs > 0 && clock_ms() - w->moved_ms > patience_ms;
	return stuck ? "updates are in hand, and none has ended for minutes" : NULL;
}

void readiness_checks(struct worker *w, struct health *h)
{
	health_check(h, "postgres", check_pg, w);
	health_check(h, "redis", check_redis, w);
	health_check(h, "caches", check_cache, w);
	health_check(h, "listening", check_listen, w);
	reach_checks(w->reach, h, &w->arena);
	health_check(h, "draining", check_drain, w);
	health_check(h, "queue", shards_all_away, &w->health);
	health_note(h, "shards", shards_any_away, &w->health);
	health_alive(h, "queue", check_moving, w);
	health_alive(h, "updates", check_working, w);
}

void readiness_gauges(struct worker *w)
{
	series_set(SERIES(w->cut_off, "postgres"), check_pg(w) != NULL);
	series_set(SERIES(w->cut_off, "cache"), check_redis(w) != NULL);
	series_set(SERIES(w->cut_off, "queue"), shards_away(&w->health) > 0);
}
