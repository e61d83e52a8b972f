/* Asking all shards of the queue at once. */
#ifndef SHOAL_ADMIN_SHARDS_H
#define SHOAL_ADMIN_SHARDS_H

#include "shoal/admin/api.h"
#include "shoal/store/queue_call.h"
#include "shoal/store/queue_stats.h"

/* Called once for each shard, in any order, never inside the call that asked. reply: as of redis_fn. */
typedef void shards_each_fn(void *arg, unsigned shard, enum err err, const redisReply *reply);
/* calls: one a shard; NULL leaves it out. They and the arena must last until the last answer. */
void shards_ask(struct api *api, struct arena *a, struct queue_call *const *calls, shards_each_fn *fn, void *arg);

/* What a visitor is told has failed: "Redis", or "Redis of shard 1" where there are several. */
const char *shards_server(const struct api *api, struct arena *a, unsigned shard);

/* What each shard counts. */
struct shard_numbers {
	enum err err;
	struct queue_stats stats;
};
typedef void shards_numbers_fn(void *arg, const struct shard_numbers *v);
/* v: one a shard, in the arena, which must last until then. */
void shards_numbers(struct api *api, struct arena *a, shards_numbers_fn *fn, void *arg);
/* The sum of those in reach, whose number is returned. */
unsigned shards_sum(const struct api *api, const struct shard_numbers *v, struct queue_stats *total);

#endif
