/* Looks at how a Redis of the stream is set up, and says in the log what it found: it must persist, must not evict, and
 * must be 7.0 or later. */
#ifndef SHOAL_STORE_REDIS_CHECK_H
#define SHOAL_STORE_REDIS_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/io/redis.h"

struct redis_setup {
	char version[24]; /* "7.0.15"; "" while not known */
	bool appendonly;
	char appendfsync[16]; /* "" where CONFIG is refused */
	char policy[32];      /* maxmemory-policy */
	int64_t maxmemory;    /* bytes, 0: no limit */
};

/* Embedded in its owner, which sets the first two and outlives the connection; the rest starts at zero. */
struct redis_check {
	struct redis *redis;
	unsigned shard; /* for the log */
	struct redis_setup setup, fresh;
	bool known;      /* setup holds an answer */
	char run_id[48]; /* of the server that answered last; "" where INFO is refused */
};

/* Asks. To be called whenever the connection is up (on_up): after a failover the new server may be set up otherwise.
 * What is as it was is not logged again. */
void redis_check_start(struct redis_check *c);

/* NULL, or why this server cannot hold the stream (too old): for /readyz. A server that was not asked yet is no trouble
 * here. */
const char *redis_check_trouble(const struct redis_check *c);

#endif
