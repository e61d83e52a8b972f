/* Knowing that the whole fleet has heard: a fence is put behind what was voided before (cache_void.h, cache_gen.h) on
 * the same connection, and waited for until every worker has seen it; at most for CACHE_TRUST_MS, after which a silent
 * worker may not believe its memory any more.
 *
 * What a fence does not cover: a worker that cannot reach Redis at all goes on with its memory as long as it listens to
 * Postgres, from which it hears of the change within milliseconds by itself; and a clock of Redis that is set forward
 * between two looks takes as much from the wait. */
#ifndef SHOAL_STORE_CACHE_FENCE_H
#define SHOAL_STORE_CACHE_FENCE_H

#include <stdbool.h>

#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"

/* Of the workers that had a memory. */
struct cache_heard {
	unsigned heard;  /* have forgotten */
	unsigned silent; /* said nothing, and may not believe now what they remember from before; or have left */
};

/* Waits until no worker answers from memory with what was voided on this connection before. ERR_DENIED: the server does
 * not tell who it is. ERR_TIMEOUT: after some seconds, which only a Redis whose clock is set back can cause. */
enum err cache_fence_now(redisContext *c, struct cache_heard *out) __attribute__((warn_unused_result));

/* The same on a loop: fn is called exactly once, never inside the call, with these errors or those of redis_fn. */
struct cache_fences;
typedef void cache_fence_fn(void *arg, enum err err, struct cache_heard heard);
struct cache_fences *cache_fences_open(struct loop *l, struct redis *r);
/* Who waits gets ERR_UNREACHABLE inside this call. Before Redis is closed. NULL does nothing. */
void cache_fences_close(struct cache_fences *f);
void cache_fence(struct cache_fences *f, cache_fence_fn *fn, void *arg);

/* A worker has seen a fence, and all that was voided before it. member: cache_track_member. */
void cache_fence_seen(struct redis *r, struct span fence, const char *member);

#endif
