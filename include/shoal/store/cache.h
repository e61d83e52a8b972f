/* Start codes and personas in Redis, shared by the fleet, loaded whole from Postgres (SPEC 6).
 *
 *   shoal:{cache}:startcode         hash: code -> JSON, "#<id>" -> code, "" -> ms of loading (the mark of a whole load)
 *   shoal:{cache}:persona           hash: "<id>" -> JSON, "default" -> id of the default persona, "" -> as above
 *   shoal:{cache}:NAME:lease        who loads it now; an invalidation removes it, and what was read under it is not
 *                                   stored
 *   shoal:{cache}:NAME:fill:TOKEN   filled aside, then renamed
 *
 * A lookup costs one round trip. Where the mark is missing (first start, Redis restarted empty, just invalidated) one
 * worker loads, the others wait up to 2 s and then ask Postgres themselves, as all do while Redis cannot be asked. One
 * statement fetches the whole table and serves every lookup that began before it was sent. */
#ifndef SHOAL_STORE_CACHE_H
#define SHOAL_STORE_CACHE_H

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/model/facts.h"

struct cache;

struct cache_opts {
	struct loop *loop;
	struct redis *redis;
	struct pg *pg;
};
struct cache *cache_open(const struct cache_opts *opts);
/* Lookups that wait get ERR_UNREACHABLE inside this call. Comes before Redis and Postgres are closed. */
void cache_close(struct cache *c);

/* Starts loading what is not loaded, and tries again until it is. The worker calls it once both servers are reached. */
void cache_warm(struct cache *c);
bool cache_warmed(const struct cache *c); /* both caches were read at least once: readiness */

/* Looks up at once: the code (NULL: none asked) with its persona, and the default persona: facts code, code_persona,
 * fallback. The facts and the arena must live until fn is called; fn is called exactly once, never inside the call.
 * ERR_UNREACHABLE and the like: neither Redis nor Postgres could tell. */
typedef void cache_fn(void *arg, enum err err);
void cache_lookup_start(struct cache *c, const char *code, struct arena *a, struct facts *f, cache_fn *fn, void *arg);
void cache_lookup_persona(struct cache *c, int64_t id, struct arena *a, struct fact_persona *p, cache_fn *fn,
                          void *arg);

/* After a change has committed in Postgres: voids the cache so that the next reader loads it anew. Never calls back
 * inside the call. ERR_INVALID: no such cache. */
void cache_invalidate(struct cache *c, const char *name, cache_fn *fn, void *arg);
/* The same for the CLI, on a blocking connection. */
enum err cache_invalidate_now(redisContext *conn, const char *name) __attribute__((warn_unused_result));

#endif
