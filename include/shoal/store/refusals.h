/* How often a platform refused calls of the fleet lately (ruling.refused). Of too many it shuts the whole address out;
 * before that nothing more is sent to it for ten minutes. Counted for all workers together in the caches' Redis
 * (lua/refusals.lua): they may share an address, and then it is right; where they do not, it is on the safe side. */
#ifndef SHOAL_STORE_REFUSALS_H
#define SHOAL_STORE_REFUSALS_H

#include <stdint.h>

#include "shoal/io/loop.h"
#include "shoal/io/redis.h"

struct refusals;

struct refusals_opts {
	struct loop *loop;
	struct redis *redis;  /* closes before the refusals do */
	const char *platform; /* the key is "shoal:{cache}:refusals:PLATFORM" */
	unsigned most;        /* so many in ten minutes are too many */
	/* It has begun, or is over; may be called inside refusals_count and refusals_shut_out. */
	void (*changed)(void *arg);
	void *arg;
};

struct refusals *refusals_open(const struct refusals_opts *opts);
void refusals_close(struct refusals *r);
/* One more. What Redis cannot be told now it is told later. */
void refusals_count(struct refusals *r);
/* The platform has shut this address out already, for ms. That is this program's trouble alone: others may have another
 * address. */
void refusals_shut_out(struct refusals *r, int64_t ms);
/* NULL, or why nothing may be sent, for people. Valid until the next change. */
const char *refusals_trouble(const struct refusals *r);
/* In the last ten minutes, as last heard. */
int64_t refusals_lately(const struct refusals *r);

#endif
