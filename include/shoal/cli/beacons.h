/* What the workers that are alive tell of themselves: each writes a key of its own in the caches' Redis every second,
 * which lives five. */
#ifndef SHOAL_CLI_BEACONS_H
#define SHOAL_CLI_BEACONS_H

#include "shoal/base/json.h"
#include "shoal/cli/session.h"
#include "shoal/io/redis.h"

struct beacons {
	const cJSON **v; /* by id; free() */
	size_t n, room;
};

/* False after saying what was wrong; v is to be freed all the same. The objects live in the session's arena. */
bool beacons_read(struct session *s, redisContext *redis, struct beacons *out) __attribute__((warn_unused_result));

#endif
