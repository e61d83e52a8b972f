#include "shoal/store/cache_count.h"

#include <stddef.h>

#include "shoal/base/metrics.h"

static const char *const layers[CACHE_LAYERS] = {"memory", "redis", "postgres"};
static const char *const results[CACHE_RESULTS] = {"hit", "negative", "miss", "bypass", "error"};

const char *cache_layer_name(enum cache_layer layer)
{
	return layers[layer];
}

const char *cache_result_name(enum cache_result result)
{
	return results[result];
}

void cache_count(struct cache_counts *c, enum cache_kind kind, enum cache_layer layer, enum cache_result result)
{
	static struct series *series[CACHE_KINDS][CACHE_LAYERS][CACHE_RESULTS];
	struct series **s = &series[kind][layer][result];

	if (!*s)
		*s = SERIES(metric_counter("shoal_cache_requests_total", "cache,layer,result",
		                           "Lookups in the caches, by layer and what came of them"),
		            cache_defs[kind].name, layers[layer], results[result]);
	series_add(*s, 1);
	c->n[kind][layer][result]++;
}

int64_t cache_count_hits(const struct cache_counts *c, enum cache_kind kind, enum cache_layer layer)
{
	return c->n[kind][layer][CACHE_HIT] + c->n[kind][layer][CACHE_NEGATIVE];
}

int64_t cache_count_asked(const struct cache_counts *c, enum cache_kind kind, enum cache_layer layer)
{
	int64_t sum = 0;

	for (int i = 0; i < CACHE_RESULTS; i++)
		sum += c->n[kind][layer][i];
	return sum;
}
