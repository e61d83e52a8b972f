#include "shoal/store/lanes_found.h"

#include <stdlib.h>
#include <string.h>

struct lane_found lane_found(unsigned shard, const struct queue_lane *lane, int64_t now_ms)
{
	int64_t oldest = queue_id_ms(lane->holder), age = now_ms > oldest ? now_ms - oldest : 0;

	return (struct lane_found){shard, *lane, oldest, oldest < 0 ? -1 : age};
}

static int by_name(const void *a, const void *b)
{
	const struct lane_found *x = a, *y = b;

	return x->shard != y->shard ? (x->shard < y->shard ? -1 : 1) : strcmp(x->lane.lane.ptr, y->lane.lane.ptr);
}

static int by_need(const void *a, const void *b)
{
	const struct lane_found *x = a, *y = b;

	if (x->lane.waiting != y->lane.waiting)
		return x->lane.waiting > y->lane.waiting ? -1 : 1;
	if (x->oldest_ms != y->oldest_ms)
		return x->oldest_ms < y->oldest_ms ? -1 : 1;
	return by_name(a, b);
}

size_t lanes_found_sort(struct lane_found *v, size_t n)
{
	size_t kept = 0;

	if (n > 1)
		qsort(v, n, sizeof(*v), by_name);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || by_name(&v[i], &v[kept - 1]) != 0)
			v[kept++] = v[i];
	if (kept > 1)
		qsort(v, kept, sizeof(*v), by_need);
	return kept;
}
