/* The buckets in which a platform counts the calls of a route, one for each chat: what its answers tell of them, kept
 * for the fleet in the caches' Redis (lua/route.lua). Only flood.c. */
#ifndef SHOAL_STORE_FLOOD_ROUTE_H
#define SHOAL_STORE_FLOOD_ROUTE_H

#include "shoal/io/redis.h"
#include "shoal/store/flood.h"

/* what: FLOOD_BOOKED: it may go now, and is counted; FLOOD_ROUTE_EMPTY, FLOOD_ROUTE_FIRST. Only where err is ERR_OK. */
typedef void flood_route_fn(void *arg, enum err err, enum flood_what what, int64_t wait_ms);
/* Asked when all else lets it go. */
void flood_route_ask(struct redis *r, const struct flood_message *m, flood_route_fn *fn, void *arg);
void flood_route_tell(struct redis *r, const char *bot, const char *route, int64_t chat_id,
                      const struct flood_told *told);

#endif
