#include "shoal/store/cache_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_void.h"

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
	cache_release(c);
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
	cache_forget(c, kind, key);
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
void cache_on_change(void *arg, struct span payload)
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
		cache_forget_kind(c, kind);
		cache_gen_renew(c->gen, kind, true, change, on_change_ended, voiding_new(c, kind, key));
	} else {
		cache_forget(c, kind, key);
		cache_void(c->opts.redis, kind, &key, 1, change, on_change_voided, voiding_new(c, kind, key));
	}
}
static void on_gap_closed(void *arg, enum err err)
{
	struct cache *c = arg;

	c->calls--;
	c->renew_failed |= err != ERR_OK;
	if (--c->renewing == 0 && !c->closed)
		cache_listen_renewed(c->listen, !c->renew_failed);
	cache_release(c);
}

void cache_on_gap(void *arg)
{
	struct cache *c = arg;

	if (c->renewing > 0) /* its end tells */
		return;
	c->renewing = CACHE_KINDS;
	c->renew_failed = false;
	c->calls += CACHE_KINDS;
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		cache_forget_kind(c, (enum cache_kind)kind);
		cache_gen_renew(c->gen, (enum cache_kind)kind, true, NULL, on_gap_closed, c);
	}
}

void cache_on_listening_lost(void *arg)
{
	struct cache *c = arg;

	if (c->kept)
		cache_begin_memory(c);
}
