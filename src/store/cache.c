#include "shoal/store/cache.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_listen.h"
#include "shoal/store/cache_memory.h"
#include "shoal/store/cache_track.h"
#include "shoal/store/cache_void.h"

enum {
	WATCH_MS = 20,             /* how often it is looked whether all is ready */
	REWARM_MS = 1000,          /* between attempts to load */
	LISTEN_PATIENCE_MS = 5000, /* a worker begins without listening when this is over */
	NEGATIVE_MS = 60000,
	SWEEP_MS = 5,
	SWEEP_ENTRIES = 1000
};

struct cache {
	struct cache_opts opts;
	struct cache_gen *gen;
	struct cache_flights *flights;
	struct cache_memory *memory; /* NULL: none */
	struct cache_track *track;   /* the same */
	struct cache_listen *listen;
	struct cache_counts counts;
	struct cache_value *none[CACHE_KINDS]; /* of what is known not to be there */
	uint64_t epoch;                        /* of memory: it began anew so often */
	bool kept;                      /* Redis is away; memory is believed as long as Postgres is listened to */
	int64_t kept_since;             /* clock_ms() */
	int64_t opened_ms, came_ms;     /* Redis or Postgres, the last time */
	bool settled;                   /* what changed while it was away is void */
	int64_t loaded_ms[CACHE_KINDS]; /* wall clock when the list of all keys was last read; 0: never */
	bool warming[CACHE_KINDS], listened, ready;
	struct timer watch, rewarm, sweep;
	unsigned renewing; /* generations that end, for the listener */
	bool renew_failed;
	unsigned calls; /* answers of Redis that are to come */
	bool closed;
};

static void release(struct cache *c)
{
	if (c->closed && c->calls == 0)
		free(c);
}

/* --- memory */

/* Between a server's coming and the listener's word Redis and memory may hold what has changed; a while, should there
 * be no word. */
static bool doubtful(void *arg)
{
	struct cache *c = arg;

	if (cache_listen_doubtful(c->listen))
		return c->ready;
	c->settled = c->settled || cache_listen_settled(c->listen);
	return c->ready && !c->settled && clock_ms() < c->came_ms + LISTEN_PATIENCE_MS;
}

static uint64_t belief(void *arg)
{
	struct cache *c = arg;

	if (!c->memory)
		return 0;
	if (cache_track_sure(c->track))
		return doubtful(c) ? 0 : c->epoch;
	return c->kept && !redis_up(c->opts.redis) && cache_listen_sure(c->listen, c->kept_since) ? c->epoch : 0;
}

static void begin_memory(struct cache *c)
{
	c->epoch++;
	c->kept = false;
	cache_memory_clear(c->memory);
	timer_set(&c->sweep, SWEEP_MS);
}

static void sweep(void *arg)
{
	struct cache *c = arg;

	if (cache_memory_sweep(c->memory, SWEEP_ENTRIES))
		timer_set(&c->sweep, SWEEP_MS);
}

static struct cache_value *remembered(void *arg, enum cache_kind kind, struct span key)
{
	struct cache *c = arg;

	return belief(c) ? cache_memory_get(c->memory, kind, key) : NULL;
}

static int64_t ttl_s(const struct cache *c, enum cache_kind kind)
{
	return cache_ttl_s(kind, c->opts.player_ttl_s, c->opts.code_ttl_s);
}

static void remember(void *arg, enum cache_kind kind, struct span key, struct cache_value *v)
{
	struct cache *c = arg;
	int64_t life = ttl_s(c, kind) * 1000;

	if (!v->found && (life == 0 || life > NEGATIVE_MS))
		life = NEGATIVE_MS;
	cache_memory_put(c->memory, kind, key, v, life ? clock_ms() + life : 0);
}

static void listed(void *arg, enum cache_kind kind)
{
	struct cache *c = arg;

	c->loaded_ms[kind] = clock_wall_ms();
}

static void forget(struct cache *c, enum cache_kind kind, struct span key)
{
	log_debug("cache key changed", LOG_STR("cache", cache_defs[kind].name), LOG_SPAN("key", key));
	if (c->memory)
		cache_memory_drop(c->memory, kind, key);
	cache_flights_changed(c->flights, kind, key);
}

static void forget_kind(void *arg, enum cache_kind kind)
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
	case CACHE_KEY_VALUE: forget(c, kind, rest); break;
	case CACHE_KEY_GENERATION: forget_kind(c, kind); break;
	case CACHE_KEY_FENCE: /* leaves with the end of this turn, after the whole message */
		cache_fence_seen(c->opts.redis, rest, cache_track_member(c->track));
		break;
	case CACHE_KEY_ALIEN: break;
	}
}

static void on_flushed(void *arg)
{
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		forget_kind(arg, (enum cache_kind)kind);
}

static void on_tracking(void *arg)
{
	begin_memory(arg);
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

/* --- invalidation */

static void note_voided(enum cache_kind kind, struct span key)
{
	static struct metric *m;

	if (!m)
		m = metric_counter("shoal_cache_invalidations_total", "cache", "Invalidations, by cache");
	series_add(SERIES(m, cache_defs[kind].name), 1);
	LOG_AT(kind == CACHE_PLAYER || kind == CACHE_BOARD ? LOG_DEBUG : LOG_INFO, "cache invalidated",
	       LOG_STR("cache", cache_defs[kind].name), LOG_SPAN("key", key));
}

struct voiding {
	struct cache *cache;
	enum cache_kind kind;
	cache_done_fn *fn;
	void *arg;
	struct span key;
	char text[];
};

static struct voiding *voiding_new(struct cache *c, enum cache_kind kind, struct span key)
{
	struct voiding *v = mem_zalloc(sizeof(*v) + key.len);

	v->cache = c;
	v->kind = kind;
	memcpy(v->text, key.ptr, key.len);
	v->key = (struct span){v->text, key.len};
	c->calls++;
	return v;
}

static void voiding_end(struct voiding *v, enum err err)
{
	struct cache *c = v->cache;

	if (v->fn)
		v->fn(v->arg, err);
	free(v);
	c->calls--;
	release(c);
}

static void on_voided(void *arg, enum err err, const redisReply *reply)
{
	struct voiding *v = arg;

	if (err == ERR_OK && reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0)
		note_voided(v->kind, v->key);
	voiding_end(v, err);
}

void cache_invalidate(struct cache *c, enum cache_kind kind, struct span key, cache_done_fn *fn, void *arg)
{
	struct voiding *v = voiding_new(c, kind, key);

	v->fn = fn;
	v->arg = arg;
	forget(c, kind, key);
	cache_void(c->opts.redis, kind, &key, 1, NULL, on_voided, v);
}

/* --- what Postgres tells */

/* Redis may hold what this change made old, and nobody else may have heard of it. */
static void on_change_voided(void *arg, enum err err, const redisReply *reply)
{
	struct voiding *v = arg;

	if (err != ERR_OK && !v->cache->closed)
		cache_listen_doubt(v->cache->listen);
	on_voided(v, err, reply);
}

static void on_change_ended(void *arg, enum err err)
{
	struct voiding *v = arg;

	if (err == ERR_OK)
		note_voided(v->kind, v->key);
	else if (!v->cache->closed)
		cache_listen_doubt(v->cache->listen);
	voiding_end(v, err);
}

/* The next word of *text, which loses it. */
static struct span take_word(struct span *text)
{
	const char *end = memchr(text->ptr, ' ', text->len);
	size_t len = end ? (size_t)(end - text->ptr) : text->len;
	struct span word = {text->ptr, len};

	text->ptr += end ? len + 1 : len;
	text->len -= end ? len + 1 : len;
	return word;
}

/* Anybody who may connect to the database can send one. */
static void note_nonsense(struct span payload)
{
	static int64_t last;
	static unsigned held_back;

	if (!log_due(&last, &held_back))
		return;
	log_warn("a notice on channel shoal_cache makes no sense",
	         LOG_SPAN("payload", ((struct span){payload.ptr, payload.len < 100 ? payload.len : 100})),
	         LOG_INT("suppressed", held_back));
	held_back = 0;
}

/* "CACHE CHANGE KEY" */
static void on_change(void *arg, struct span payload)
{
	struct cache *c = arg;
	struct span key = payload, name = take_word(&key), transaction = take_word(&key);
	enum cache_kind kind;
	char change[400];

	if (!cache_kind_find(name, &kind) || transaction.len == 0 || transaction.len > 40 || !cache_key_valid(key)) {
		note_nonsense(payload);
		return;
	}
	snprintf(change, sizeof(change), "%.*s:%s:%.*s", (int)transaction.len, transaction.ptr, cache_defs[kind].name,
	         (int)key.len, key.ptr);
	if (span_is(key, "*")) {
		forget_kind(c, kind);
		cache_gen_renew(c->gen, kind, true, change, on_change_ended, voiding_new(c, kind, key));
	} else {
		forget(c, kind, key);
		cache_void(c->opts.redis, kind, &key, 1, change, on_change_voided, voiding_new(c, kind, key));
	}
}

static const char *ident(void *arg)
{
	struct cache *c = arg;

	return cache_gen_server(c->gen);
}

static void on_gap_closed(void *arg, enum err err)
{
	struct cache *c = arg;

	c->calls--;
	c->renew_failed |= err != ERR_OK;
	if (--c->renewing == 0 && !c->closed)
		cache_listen_renewed(c->listen, !c->renew_failed);
	release(c);
}

static void on_gap(void *arg)
{
	struct cache *c = arg;

	if (c->renewing > 0) /* its end tells */
		return;
	c->renewing = CACHE_KINDS;
	c->renew_failed = false;
	c->calls += CACHE_KINDS;
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		forget_kind(c, (enum cache_kind)kind);
		cache_gen_renew(c->gen, (enum cache_kind)kind, true, NULL, on_gap_closed, c);
	}
}

static void on_listening_lost(void *arg)
{
	struct cache *c = arg;

	if (c->kept)
		begin_memory(c);
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
	if (!belief(c)) {
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
	    (!c->listened && clock_ms() < c->opened_ms + LISTEN_PATIENCE_MS))
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

const char *cache_not_listening(const struct cache *c)
{
	return cache_listen_trouble(c->listen);
}

/* --- statistics */

static void put_memory(struct cache *c, enum cache_kind kind, struct json_writer *out)
{
	struct cache_memory_stats m = {0};

	if (c->memory)
		m = cache_memory_stats(c->memory, kind);
	json_key(out, "memory");
	json_begin_obj(out);
	json_kv_bool(out, "believed", belief(c) != 0);
	json_kv_i64(out, "entries", (int64_t)m.entries);
	json_kv_i64(out, "bytes", (int64_t)m.bytes);
	json_kv_i64(out, "evictions", (int64_t)m.evictions);
	json_kv_i64(out, "hits", cache_count_hits(&c->counts, kind, CACHE_MEMORY));
	json_kv_i64(out, "asked", cache_count_asked(&c->counts, kind, CACHE_MEMORY));
	json_kv_i64(out, "bypassed", c->counts.n[kind][CACHE_MEMORY][CACHE_BYPASS]);
	json_end_obj(out);
}

static void put_layer(const struct cache *c, enum cache_kind kind, enum cache_layer layer, struct json_writer *out)
{
	json_key(out, cache_layer_name(layer));
	json_begin_obj(out);
	json_kv_i64(out, "hits", cache_count_hits(&c->counts, kind, layer));
	json_kv_i64(out, "asked", cache_count_asked(&c->counts, kind, layer));
	json_kv_i64(out, "errors", c->counts.n[kind][layer][CACHE_ERROR]);
	json_end_obj(out);
}

static void put_loaded(int64_t wall_ms, struct json_writer *out)
{
	char text[32];

	clock_rfc3339(wall_ms, text, sizeof(text));
	json_kv_str(out, "last_loaded", wall_ms ? text : NULL);
}

void cache_put_stats(struct cache *c, struct json_writer *out)
{
	json_begin_arr(out);
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		json_begin_obj(out);
		json_kv_str(out, "cache", cache_defs[kind].name);
		json_kv_i64(out, "ttl_seconds", ttl_s(c, (enum cache_kind)kind));
		put_loaded(c->loaded_ms[kind], out);
		put_memory(c, (enum cache_kind)kind, out);
		put_layer(c, (enum cache_kind)kind, CACHE_REDIS, out);
		put_layer(c, (enum cache_kind)kind, CACHE_POSTGRES, out);
		json_end_obj(out);
	}
	json_end_arr(out);
}

/* --- life */

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

static void open_memory(struct cache *c)
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

static void open_flights(struct cache *c)
{
	struct cache_flight_opts o = {.loop = c->opts.loop,
	                              .redis = c->opts.redis,
	                              .pg = c->opts.pg,
	                              .gen = c->gen,
	                              .counts = &c->counts,
	                              .remembered = remembered,
	                              .belief = belief,
	                              .doubtful = doubtful,
	                              .remember = remember,
	                              .listed = listed,
	                              .arg = c};

	for (int kind = 0; kind < CACHE_KINDS; kind++)
		o.life_ms[kind] = cache_life_ms(ttl_s(c, (enum cache_kind)kind));
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
	timer_init(&c->sweep, opts->loop, sweep, c);
	c->gen = cache_gen_open(&(struct cache_gen_opts){opts->loop, opts->redis, forget_kind, c});
	open_flights(c);
	c->listen = cache_listen_open(&(struct cache_listen_opts){.loop = opts->loop,
	                                                          .redis = opts->redis,
	                                                          .pg = opts->pg,
	                                                          .url = opts->listen_url,
	                                                          .application_name = opts->id,
	                                                          .changed = on_change,
	                                                          .gap = on_gap,
	                                                          .lost = on_listening_lost,
	                                                          .arg = c});
	open_memory(c);
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
	release(c);
}
