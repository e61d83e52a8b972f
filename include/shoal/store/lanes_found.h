/* Busy lanes of several shards (queue_admin.h) together, those with most waiting first. */
#ifndef SHOAL_STORE_LANES_FOUND_H
#define SHOAL_STORE_LANES_FOUND_H

#include "shoal/store/queue_admin.h"

struct lane_found {
	unsigned shard;
	struct queue_lane lane;
	int64_t oldest_ms, age_ms; /* of the entry that holds it: since 1970, and by its Redis' clock; -1: not known */
};
struct lane_found lane_found(unsigned shard, const struct queue_lane *lane, int64_t now_ms);

/* Each once, as a scan may name one twice, in order; how many are left. */
size_t lanes_found_sort(struct lane_found *v, size_t n);

#endif
