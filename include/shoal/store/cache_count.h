/* What the caches were asked and what came of it: for shoal_cache_requests_total and for `shoal cache stats`. */
#ifndef SHOAL_STORE_CACHE_COUNT_H
#define SHOAL_STORE_CACHE_COUNT_H

#include <stdint.h>

#include "shoal/store/cache_kind.h"

enum cache_layer { CACHE_MEMORY, CACHE_REDIS, CACHE_POSTGRES, CACHE_LAYERS };
enum cache_result {
	CACHE_HIT,
	CACHE_NEGATIVE, /* a hit: it is known that there is none */
	CACHE_MISS,
	CACHE_BYPASS, /* memory could not be believed, or Redis not be asked */
	CACHE_ERROR,
	CACHE_RESULTS
};

/* Since the start of the process. */
struct cache_counts {
	int64_t n[CACHE_KINDS][CACHE_LAYERS][CACHE_RESULTS];
};

const char *cache_layer_name(enum cache_layer layer);
const char *cache_result_name(enum cache_result result);
void cache_count(struct cache_counts *c, enum cache_kind kind, enum cache_layer layer, enum cache_result result);
/* Answers of a layer, and those of them that it had. */
int64_t cache_count_asked(const struct cache_counts *c, enum cache_kind kind, enum cache_layer layer);
int64_t cache_count_hits(const struct cache_counts *c, enum cache_kind kind, enum cache_layer layer);

#endif
