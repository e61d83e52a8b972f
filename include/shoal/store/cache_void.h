/* Forgetting values of the caches in Redis, after what they hold has changed in Postgres. It voids the leases of who is
 * filling them, too. Tracking tells the workers, within a millisecond or so; whoever has to know that all of them have
 * heard puts a fence behind it (cache_fence.h). */
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

#endif
