#include "shoal/store/cache_parts.h"

#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_key.h"

enum { NEGATIVE_MS = 60000, SWEEP_MS = 5, SWEEP_ENTRIES = 1000 };

/* --- memory */

/* Between a server's coming and the listener's word Redis and memory may hold what has changed; a while, should there
 * be no word. */
bool cache_doubtful(void *arg)
{
	struct cache *c = arg;

	if (cache_listen_doubtful(c->listen))
		return c->ready;
	c->settled = c->settled || cache_listen_settled(c->listen);
	return c->ready && !c->settled && clock_ms() < c->came_ms + CACHE_LISTEN_PATIENCE_MS;
}

uint64_t cache_belief(void *arg)
{
	struct cache *c = arg;

	if (!c->memory)
		return 0;
	if (cache_track_sure(c->track))
		return cache_doubtful(c) ? 0 : c->epoch;
	return c->kept && !redis_up(c->opts.redis) && cache_listen_sure(c->listen, c->kept_since) ? c->epoch : 0;
}

void cache_begin_memory(struct cache *c)
{
	c->epoch++;
	c->kept = false;
	cache_memory_clear(c->memory);
	timer_set(&c->sweep, SWEEP_MS);
}

void cache_sweep(void *arg)
{
	struct cache *c = arg;

	if (cache_memory_sweep(c->memory, SWEEP_ENTRIES))
		timer_set(&c->sweep, SWEEP_MS);
}

struct cache_value *cache_remembered(void *arg, enum cache_kind kind, struct span key)
{
	struct cache *c = arg;

	return cache_belief(c) ? cache_memory_get(c->memory, kind, key) : NULL;
}

int64_t cache_ttl_of(const struct cache *c, enum cache_kind kind)
{
	return cache_ttl_s(kind, c->opts.player_ttl_s, c->opts.code_ttl_s);
}

void cache_remember(void *arg, enum cache_kind kind, struct span key, struct cache_value *v)
{
	struct cache *c = arg;
	int64_t life = cache_ttl_of(c, kind) * 1000;

	if (!v->found && (life == 0 || life > NEGATIVE_MS))
		life = NEGATIVE_MS;
	cache_memory_put(c->memory, kind, key, v, life ? clock_ms() + life : 0);
}

void cache_forget(struct cache *c, enum cache_kind kind, struct span key)
{
	log_debug("cache key changed", LOG_STR("cache", cache_defs[kind].name), LOG_SPAN("key", key));
	if (c->memory)
		cache_memory_drop(c->memory, kind, key);
	cache_flights_changed(c->flights, kind, key);
}

void cache_forget_kind(void *arg, enum cache_kind kind)
{
	struct cache *c = arg;

	if (c->memory) {
		cache_memory_drop_kind(c->memory, kind);
		timer_set(&c->sweep, SWEEP_MS);
	}
	if (c->flights)
		cache_flights_changed_kind(c->flights, kind);
}

/* --- what tracking tells */

static void on_key_changed(void *arg, struct span name)
{
	struct cache *c = arg;
	enum cache_kind kind;
	struct span rest;

	switch (cache_key_read(name, &kind, &rest)) {
	case CACHE_KEY_VALUE: cache_forget(c, kind, rest); break;
	case CACHE_KEY_GENERATION: cache_forget_kind(c, kind); break;
	case CACHE_KEY_FENCE: /* leaves with the end of this turn, after the whole message */
		cache_fence_seen(c->opts.redis, rest, cache_track_member(c->track));
		break;
	case CACHE_KEY_ALIEN: break;
	}
}

static void on_flushed(void *arg)
{
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		cache_forget_kind(arg, (enum cache_kind)kind);
}

static void on_tracking(void *arg)
{
	cache_begin_memory(arg);
}

/* What memory holds was right when tracking was last certain; whoever has listened since before that knows what changed
 * since. */
static void on_tracking_lost(void *arg)
{
	struct cache *c = arg;
	int64_t since = cache_track_sure_ms(c->track);

	if (c->kept || !since)
		return;
	c->kept = cache_listen_sure(c->listen, since);
	c->kept_since = since;
}
static const char *ident(void *arg)
{
	struct cache *c = arg;

	return cache_gen_server(c->gen);
}
void cache_open_memory(struct cache *c)
{
	if (!c->opts.memory_bytes)
		return;
	c->memory = cache_memory_new(c->opts.memory_bytes);
	c->track = cache_track_open(&(struct cache_track_opts){.loop = c->opts.loop,
	                                                       .redis = c->opts.redis,
	                                                       .url = c->opts.redis_url,
	                                                       .id = c->opts.id,
	                                                       .ident = ident,
	                                                       .changed = on_key_changed,
	                                                       .flushed = on_flushed,
	                                                       .begins = on_tracking,
	                                                       .lost = on_tracking_lost,
	                                                       .arg = c});
}
