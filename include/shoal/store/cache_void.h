/* Forgetting values of the caches in Redis, after what they hold has changed in Postgres. It voids the leases of who is
 * filling them, too. Tracking tells the workers, within a millisecond or so; whoever has to know that all of them have
 * heard puts a fence behind it and waits, at most for CACHE_TRUST_MS, after which a silent worker may not believe its
 * memory any more.
 *
 * What a fence does not cover: a worker that cannot reach Redis at all goes on with its memory as long as it listens to
 * Postgres, from which it hears of the change within milliseconds by itself; and a clock of Redis that is set forward
 * between two looks takes as much from the wait. */
#ifndef SHOAL_STORE_CACHE_VOID_H
#define SHOAL_STORE_CACHE_VOID_H

#include <stdbool.h>

#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_kind.h"

#define CACHE_VOID_KEYS 64 /* of one call */

/* change: the name of the change, a text of at most 400 bytes; nothing is done where it was told within the
 * last minute. NULL: done in any case. reply: an integer, how many values there were, -1: told before. The keys must be
 * valid (cache_key.h), 1 to CACHE_VOID_KEYS of them. */
void cache_void(struct redis *r, enum cache_kind kind, const struct span *keys, size_t n, const char *change,
                redis_fn *fn, void *arg);

/* On a blocking connection. */
enum err cache_void_now(redisContext *c, enum cache_kind kind, const struct span *keys, size_t n, int64_t *values)
    __attribute__((warn_unused_result));
/* Of the workers that had a memory. */
struct cache_heard {
	unsigned heard;  /* have forgotten */
	unsigned silent; /* said nothing, and may not believe now what they remember from before; or have left */
};
/* Waits until no worker answers from memory with what was voided on this connection before. ERR_DENIED: the server does
 * not tell who it is. ERR_TIMEOUT: after some seconds, which only a Redis whose clock is set back can cause. */
enum err cache_fence_now(redisContext *c, struct cache_heard *out) __attribute__((warn_unused_result));

/* A worker has seen a fence, and all that was voided before it. member: cache_track_member. */
void cache_fence_seen(struct redis *r, struct span fence, const char *member);

#endif
