#include "shoal/gateway/tables.h"

#include <stdlib.h>

#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/shards.h"

#define REDIS_TIMEOUT_MS 1000 /* somebody waits, 3 s at most */
#define STATEMENT_TIMEOUT_MS 2000
#define PATIENCE_MS 1500 /* with both, one after the other */

struct tables {
	struct loop *loop;
	struct redis *redis;
	struct pg *pg;
	struct cache *cache;
};

struct question {
	struct arena *arena;
	tables_fn *fn; /* NULL: was told that nobody could tell in time */
	void *arg;
	struct timer patience;
};

static void redis_came(void *arg)
{
	struct tables *t = arg;

	cache_redis_came(t->cache);
}

struct tables *tables_open(struct loop *l, const struct conf *conf, const char *id, struct arena *a, const char **why)
{
	struct tables *t;

	if (shards_check_cache(conf->cache_redis_url, a, why) != ERR_OK ||
	    pg_check_url(conf->postgres_url, a, why) != ERR_OK ||
	    pg_check_url(conf->postgres_direct_url, a, why) != ERR_OK)
		return NULL;
	t = mem_zalloc(sizeof(*t));
	t->loop = l;
	t->pg = pg_open(l, &(struct pg_opts){.url = conf->postgres_url,
	                                     .application_name = "shoal-gateway",
	                                     .connections = 1,
	                                     .prepare = conf->pg_prepare,
	                                     .keepalive_s = (unsigned)conf->pg_keepalive_s,
	                                     .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
	                                     .slow_ms = (unsigned)conf->slow_query_ms});
	t->redis = redis_open(l, &(struct redis_opts){.url = conf->cache_redis_url,
	                                              .home = CACHE_HOME,
	                                              .label = "cache",
	                                              .timeout_ms = REDIS_TIMEOUT_MS,
	                                              .on_up = redis_came,
	                                              .arg = t});
	t->cache = cache_open(&(struct cache_opts){.loop = l,
	                                           .redis = t->redis,
	                                           .pg = t->pg,
	                                           .redis_url = conf->cache_redis_url,
	                                           .listen_url = conf->postgres_direct_url,
	                                           .id = id,
	                                           .memory_bytes = (size_t)conf->memory_cache_mb << 20,
	                                           .player_ttl_s = conf->player_ttl_s,
	                                           .code_ttl_s = conf->code_ttl_s});
	return t;
}

void tables_retire(struct tables *t)
{
	cache_retire(t->cache);
}

void tables_close(struct tables *t)
{
	if (!t)
		return;
	cache_close(t->cache);
	pg_close(t->pg);
	redis_close(t->redis);
	free(t);
}

static const struct static_table *table_of(struct cache_value *v, struct arena *a)
{
	if (!v || !v->found)
		return NULL;
	cache_value_hold(v, a);
	return &v->table;
}

const struct static_table *tables_peek(struct tables *t, const char *name, struct arena *a)
{
	return table_of(cache_peek(t->cache, CACHE_STATIC, span_of(name)), a);
}

static void on_value(void *arg, enum err err, struct cache_value *v)
{
	struct question q = *(struct question *)arg;

	timer_release(&((struct question *)arg)->patience);
	free(arg);
	if (q.fn)
		q.fn(q.arg, err == ERR_OK ? table_of(v, q.arena) : NULL);
}

/* The cache goes on asking, and has it for the next one. */
static void give_up(void *arg)
{
	struct question *q = arg;
	tables_fn *fn = q->fn;

	q->fn = NULL;
	fn(q->arg, NULL);
}

void tables_get(struct tables *t, const char *name, struct arena *a, tables_fn *fn, void *arg)
{
	struct question *q = mem_alloc(sizeof(*q));

	*q = (struct question){.arena = a, .fn = fn, .arg = arg};
	timer_init(&q->patience, t->loop, give_up, q);
	timer_set(&q->patience, PATIENCE_MS);
	cache_get(t->cache, CACHE_STATIC, span_of(name), on_value, q);
}
