/* SHOAL_REDIS_URL as the shards of the stream, for every program that touches it: a server each, or, with ?shards=N,
 * those of one cluster, which all have its URL and differ by their keys (queue_home). */
#ifndef SHOAL_STORE_SHARDS_H
#define SHOAL_STORE_SHARDS_H

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

#define SHARDS_LIMIT 64

/* One URL per shard, each checked. ERR_INVALID: *why is one line that names the variable, the value without its
 * password, and what is wrong. The texts live in a. */
enum err shards_parse(const char *redis_url, struct arena *a, const char ***urls, unsigned *n, const char **why)
    __attribute__((warn_unused_result));
/* The same for SHOAL_CACHE_REDIS_URL, which is one server, or a cluster. */
enum err shards_check_cache(const char *url, struct arena *a, const char **why) __attribute__((warn_unused_result));

#endif
