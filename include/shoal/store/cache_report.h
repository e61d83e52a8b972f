/* What the workers tell of their caches once a second (cache_put_stats), added up. */
#ifndef SHOAL_STORE_CACHE_REPORT_H
#define SHOAL_STORE_CACHE_REPORT_H

#include <stdint.h>

#include "shoal/base/json.h"
#include "shoal/store/cache_count.h"
#include "shoal/store/cache_kind.h"

/* Of one cache. What a worker did not tell counts as 0. */
struct cache_report {
	int64_t workers;                   /* that told of it */
	int64_t believing;                 /* those who believe their memory now */
	int64_t ttl_s;                     /* of the last one; -1: none told */
	int64_t loaded_ms;                 /* when a worker last took in the list of all keys; 0: none has */
	int64_t entries, bytes, evictions; /* of the memories */
	struct {
		int64_t asked, hits; /* the rest are misses */
		int64_t bypassed, errors;
	} layer[CACHE_LAYERS];
};

void cache_report_init(struct cache_report reports[CACHE_KINDS]);
/* caches: as one worker told it; NULL, or what makes no sense, adds nothing. */
void cache_report_add(struct cache_report reports[CACHE_KINDS], const cJSON *caches);
/* hits, misses and hit_rate_pct (one decimal; null: nothing was asked), into the object that is open. */
void cache_report_put_asked(struct json_writer *out, int64_t hits, int64_t asked);

#endif
