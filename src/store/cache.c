#include "shoal/store/cache.h"

#include <stdlib.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_parts.h"

enum {
	WATCH_MS = 20,   /* how often it is looked whether all is ready */
	REWARM_MS = 1000 /* between attempts to load */
};

void cache_release(struct cache *c)
{
	if (c->closed && c->calls == 0)
		free(c);
}
/* --- lookups */

/* The value of what is not on the list of all keys, where memory has that. */
static struct cache_value *unlisted(struct cache *c, enum cache_kind kind, struct span key)
{
	const struct cache_value *list = cache_memory_get(c->memory, kind, SPAN(CACHE_WHOLE));

	return list && cache_is_unlisted(list, key) ? c->none[kind] : NULL;
}

struct cache_value *cache_peek(struct cache *c, enum cache_kind kind, struct span key)
{
	struct cache_value *v;

	if (!c->memory || !cache_key_valid(key))
		return NULL;
	if (!cache_belief(c)) {
		cache_count(&c->counts, kind, CACHE_MEMORY, CACHE_BYPASS);
		return NULL;
	}
	v = cache_memory_get(c->memory, kind, key);
	if (!v && cache_defs[kind].all)
		v = unlisted(c, kind, key);
	cache_count(&c->counts, kind, CACHE_MEMORY, !v ? CACHE_MISS : v->found ? CACHE_HIT : CACHE_NEGATIVE);
	return v;
}

void cache_get(struct cache *c, enum cache_kind kind, struct span key, cache_fn *fn, void *arg)
{
	ENSURE(!c->closed);
	cache_flights_get(c->flights, kind, key, fn, arg);
}

/* --- warm */

struct warming {
	struct cache *cache;
	enum cache_kind kind;
};

static void on_warm(void *arg, enum err err, struct cache_value *v)
{
	struct warming *w = arg;
	struct cache *c = w->cache;

	(void)v;
	if (!c->closed) {
		c->warming[w->kind] = false;
		if (err != ERR_OK)
			timer_set(&c->rewarm, REWARM_MS);
	}
	free(w);
}

static void cache_warm(struct cache *c)
{
	/* what is loaded before might be void at once */
	if (!redis_up(c->opts.redis) || !pg_up(c->opts.pg) ||
	    (!c->listened && clock_ms() < c->opened_ms + CACHE_LISTEN_PATIENCE_MS))
		return;
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		struct warming *w;

		if (!cache_defs[kind].all || c->loaded_ms[kind] || c->warming[kind])
			continue;
		w = mem_alloc(sizeof(*w));
		*w = (struct warming){c, (enum cache_kind)kind};
		c->warming[kind] = true;
		cache_flights_get(c->flights, (enum cache_kind)kind, SPAN(CACHE_WHOLE), on_warm, w);
	}
}

static void warm_again(void *arg)
{
	cache_warm(arg);
}

static bool all_loaded(const struct cache *c)
{
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		if (cache_defs[kind].all && !c->loaded_ms[kind])
			return false;
	return true;
}

static void watch(void *arg)
{
	struct cache *c = arg;

	c->listened |= cache_listen_settled(c->listen);
	if (!timer_armed(&c->rewarm))
		cache_warm(c);
	c->ready = all_loaded(c);
	if (!c->ready)
		timer_set(&c->watch, WATCH_MS);
	else if (c->opts.ready)
		c->opts.ready(c->opts.arg);
}

bool cache_ready(const struct cache *c)
{
	return c->ready;
}

int64_t cache_redis_ms(const struct cache *c)
{
	return cache_listen_redis_ms(c->listen);
}

const char *cache_not_listening(const struct cache *c)
{
	return cache_listen_trouble(c->listen);
}
/* --- life */

static void listed(void *arg, enum cache_kind kind)
{
	struct cache *c = arg;

	c->loaded_ms[kind] = clock_wall_ms();
}

static void server_came(struct cache *c)
{
	c->came_ms = clock_ms();
	c->settled = cache_listen_settled(c->listen);
}

void cache_redis_came(struct cache *c)
{
	cache_gen_redis_came(c->gen);
	cache_listen_redis_came(c->listen);
	server_came(c);
}

void cache_pg_came(struct cache *c)
{
	server_came(c);
}
static void open_flights(struct cache *c)
{
	struct cache_flight_opts o = {.loop = c->opts.loop,
	                              .redis = c->opts.redis,
	                              .pg = c->opts.pg,
	                              .gen = c->gen,
	                              .counts = &c->counts,
	                              .remembered = cache_remembered,
	                              .belief = cache_belief,
	                              .doubtful = cache_doubtful,
	                              .remember = cache_remember,
	                              .listed = listed,
	                              .arg = c};

	for (int kind = 0; kind < CACHE_KINDS; kind++)
		o.life_ms[kind] = 1000 * cache_ttl_of(c, (enum cache_kind)kind);
	c->flights = cache_flights_open(&o);
}

struct cache *cache_open(const struct cache_opts *opts)
{
	struct cache *c = mem_zalloc(sizeof(*c));

	c->opts = *opts;
	c->opened_ms = clock_ms();
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		c->none[kind] = cache_value_read((enum cache_kind)kind, SPAN("-"), SPAN(""), false);
	timer_init(&c->watch, opts->loop, watch, c);
	timer_init(&c->rewarm, opts->loop, warm_again, c);
	timer_init(&c->sweep, opts->loop, cache_sweep, c);
	c->gen = cache_gen_open(&(struct cache_gen_opts){opts->loop, opts->redis, cache_forget_kind, c});
	open_flights(c);
	c->listen = cache_listen_open(&(struct cache_listen_opts){.loop = opts->loop,
	                                                          .redis = opts->redis,
	                                                          .pg = opts->pg,
	                                                          .url = opts->listen_url,
	                                                          .application_name = opts->id,
	                                                          .changed = cache_on_change,
	                                                          .gap = cache_on_gap,
	                                                          .lost = cache_on_listening_lost,
	                                                          .arg = c});
	cache_open_memory(c);
	timer_set(&c->watch, WATCH_MS);
	return c;
}

void cache_retire(struct cache *c)
{
	cache_track_close(c->track);
	cache_memory_free(c->memory);
	timer_stop(&c->sweep);
	c->track = NULL;
	c->memory = NULL;
	c->kept = false;
}

void cache_close(struct cache *c)
{
	if (!c)
		return;
	c->closed = true;
	cache_retire(c);
	timer_release(&c->watch);
	timer_release(&c->rewarm);
	timer_release(&c->sweep);
	cache_listen_close(c->listen);
	cache_flights_close(c->flights);
	cache_gen_close(c->gen);
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		cache_value_unref(c->none[kind]);
	cache_release(c);
}
