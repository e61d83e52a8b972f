#include "shoal/store/shards_health.h"

#include <stdio.h>

#include "shoal/base/metrics.h"

unsigned shards_away(const struct shards_health *h)
{
	unsigned away = 0;

	for (unsigned i = 0; i < h->n; i++)
		away += h->trouble(h->arg, i) != NULL;
	return away;
}

const char *shards_any_away(void *shards_health)
{
	struct shards_health *h = shards_health;
	size_t used = 0;

	for (unsigned i = 0; i < h->n && used < sizeof(h->text); i++) {
		const char *why = h->trouble(h->arg, i);

		if (why)
			used += (size_t)snprintf(h->text + used, sizeof(h->text) - used, "%sshard %u: %s",
			                         used ? "; " : "", i, why);
	}
	return used ? h->text : NULL;
}

bool shards_any_foreign(const struct shards_health *h)
{
	for (unsigned i = 0; h->foreign && i < h->n; i++)
		if (h->foreign(h->arg, i))
			return true;
	return false;
}

const char *shards_all_away(void *shards_health)
{
	const struct shards_health *h = shards_health;

	return shards_away(h) == h->n || shards_any_foreign(h) ? shards_any_away(shards_health) : NULL;
}

static void set_gauges(void *arg)
{
	const struct shards_health *h = arg;
	struct metric *m =
	    metric_gauge("shoal_shard_up", "shard", "1 while this shard of the queue serves this program");

	for (unsigned i = 0; i < h->n; i++) {
		char shard[12];

		snprintf(shard, sizeof(shard), "%u", i);
		series_set(SERIES(m, shard), h->trouble(h->arg, i) == NULL);
	}
}

void shards_health_init(struct shards_health *h)
{
	metrics_on_render(set_gauges, h);
}
