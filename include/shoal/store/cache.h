/* The caches of start codes, personas, players and static tables (SPEC 6): a worker's memory, then Redis, then
 * Postgres.
 *
 *   memory    cache_memory.h; believed only while tracking says that nothing is missed (cache_track.h), or, while Redis
 *             is away, as long as Postgres has been listened to without a break (cache_listen.h)
 *   Redis     cache_key.h, cache_gen.h; shared by the fleet, filled by one worker a key (cache_flight.h)
 *   Postgres  sql/queries/cache_*; its triggers notify of every change
 *
 * A change commits in Postgres first; then its keys are voided: by whoever made it, and again (once for all) by whoever
 * hears the notice first. */
#ifndef SHOAL_STORE_CACHE_H
#define SHOAL_STORE_CACHE_H

#include "shoal/base/err.h"
#include "shoal/base/json.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_flight.h"
#include "shoal/store/cache_kind.h"
#include "shoal/store/cache_value.h"

struct cache;

struct cache_opts {
	struct loop *loop;
	struct redis *redis;    /* its on_up calls cache_redis_came */
	struct pg *pg;          /* its on_change calls cache_pg_came, where it is up */
	const char *redis_url;  /* of the same server */
	const char *listen_url; /* of Postgres, not of a pooler */
	const char *id;         /* of this worker: printable, unique in the fleet, at most 200 bytes */
	size_t memory_bytes;    /* 0: no memory */
	int64_t player_ttl_s;
	int64_t code_ttl_s;       /* of start codes and personas; 0: until changed */
	void (*ready)(void *arg); /* cache_ready has become true; may be NULL */
	void *arg;
};

struct cache *cache_open(const struct cache_opts *opts);
/* Who waits gets ERR_UNREACHABLE inside this call. Comes before Redis and Postgres are closed. NULL does nothing. */
void cache_close(struct cache *c);
void cache_redis_came(struct cache *c);
/* What changed before the listener is back may have been heard by nobody: until then nothing that is cached is
 * believed. */
void cache_pg_came(struct cache *c);
/* Before the end of the process, while the loop still turns: goes on without a memory, and tells the fleet, so that
 * nobody who invalidates waits for this worker. */
void cache_retire(struct cache *c);

/* What is loaded whole was read once, and what changed while nobody listened is void: from now on answers are right.
 * Also where Postgres cannot be listened to for long: then changes by plain SQL are not noticed, and
 * cache_listen_wrong says so. */
bool cache_ready(const struct cache *c);
/* What the clock of the caches' Redis says now, ms since 1970; 0: nobody knows. */
int64_t cache_redis_ms(const struct cache *c);
const char *cache_not_listening(const struct cache *c); /* NULL, or why */

/* From memory alone, at once; NULL: it is not there, or memory cannot be believed now. Borrowed until the next turn of
 * the loop: cache_value_hold keeps it. A key that is not valid (cache_key.h) has a negative value nowhere: NULL. */
struct cache_value *cache_peek(struct cache *c, enum cache_kind kind, struct span key);
/* Past memory; the key must be valid. fn is called exactly once, never inside the call. ERR_UNREACHABLE and the like:
 * neither Redis nor Postgres could tell. */
void cache_get(struct cache *c, enum cache_kind kind, struct span key, cache_fn *fn, void *arg);

/* After a change has committed in Postgres. The key must be valid. fn may be NULL; ERR_OK: no worker will read the old
 * value from Redis. */
typedef void cache_done_fn(void *arg, enum err err);
void cache_invalidate(struct cache *c, enum cache_kind kind, struct span key, cache_done_fn *fn, void *arg);

/* For `shoal cache stats`: an array, an object a cache. cache_report.h reads it. */
void cache_put_stats(struct cache *c, struct json_writer *out);

#endif
