/* The beacons of the workers that are alive. */
#ifndef SHOAL_CLI_BEACONS_H
#define SHOAL_CLI_BEACONS_H

#include "shoal/cli/session.h"
#include "shoal/io/redis.h"
#include "shoal/store/beacons.h"

/* False after saying what was wrong; v is to be freed all the same. The objects live in the session's arena. */
bool beacons_read(struct session *s, redisContext *redis, struct beacons *out) __attribute__((warn_unused_result));

#endif
