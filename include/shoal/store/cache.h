/* Start codes and personas in Redis, shared by the fleet, loaded whole from Postgres (SPEC 6).
 *
 *   shoal:cache:{startcode}       hash: code -> JSON, "#<id>" -> JSON, "" -> "loaded ms" (the marker of a whole load)
 *   shoal:cache:{persona}         hash: "<id>" -> JSON, "" -> marker, "default" -> JSON of the default persona
 *   shoal:cache:{NAME}:version    counter: raised by every invalidation; a load that began before one is thrown away
 *
 * An update's lookup costs one round trip. Where the marker is missing (first start, Redis restarted empty, just
 * invalidated) one worker loads under a lock, the others wait a bounded time. */
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
void cache_close(struct cache *c);

/* Starts loading what is not loaded. The worker calls it once both servers are reached. */
void cache_warm(struct cache *c);
bool cache_warmed(const struct cache *c); /* both caches were seen loaded at least once: readiness */

/* Looks up at once: the code (NULL: none asked) with its persona, the default persona, and the persona with this id (0:
 * none). The facts and the arena must live until fn is called; fn is called exactly once, never inside the call.
 * ERR_UNREACHABLE and the like: neither Redis nor Postgres could tell. */
typedef void cache_fn(void *arg, enum err err);
void cache_lookup_start(struct cache *c, const char *code, struct arena *a, struct facts *f, cache_fn *fn, void *arg);
void cache_lookup_persona(struct cache *c, int64_t id, struct arena *a, struct fact_persona *p, cache_fn *fn,
                          void *arg);

/* After a change has committed in Postgres: voids the cache so that the next reader loads it anew. */
void cache_invalidate(struct cache *c, const char *name, cache_fn *fn, void *arg);
/* The same for the CLI, on a blocking connection. ERR_INVALID: no such cache. */
enum err cache_invalidate_now(redisContext *conn, const char *name);

#endif
