/* Reading caches whole from Postgres into Redis, for who remembers nothing himself: an operator's reload. It is done as
 * the workers do it (cache_flight.h): under the lease that keeps old values out, and once where several want it. */
#ifndef SHOAL_STORE_CACHE_LOAD_H
#define SHOAL_STORE_CACHE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/err.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_kind.h"

struct cache_load;

struct cache_load_opts {
	struct loop *loop;
	struct redis *redis; /* its on_up calls cache_load_redis_came */
	struct pg *pg;
	int64_t player_ttl_s, code_ttl_s;
};

struct cache_load *cache_load_open(const struct cache_load_opts *opts);
/* Who waits gets ERR_UNREACHABLE inside this call. Before Redis and Postgres are closed. NULL does nothing. */
void cache_load_close(struct cache_load *l);
void cache_load_redis_came(struct cache_load *l);

/* keys: on the list of what was loaded; many: there are too many, and none was (cache_defs[].whole_max). Never called
 * inside cache_load_whole. Whether Redis kept it all tells cache_show_call of the list: it may have no room, or have
 * been told of a change meanwhile. */
typedef void cache_load_fn(void *arg, enum err err, size_t keys, bool many);
/* A cache that can be (cache_defs[].all). What is loaded already stays: to have it read anew, end its generation
 * first. */
void cache_load_whole(struct cache_load *l, enum cache_kind kind, cache_load_fn *fn, void *arg);

#endif
