/* Whether, and when, a cache was loaded whole into Redis. */
#ifndef SHOAL_CLI_CACHES_LOADED_H
#define SHOAL_CLI_CACHES_LOADED_H

#include "shoal/cli/caches_link.h"

/* ttl_s: of the values, as the workers have it (cache_ttl_s). False after saying what was wrong. */
bool caches_loaded_ask(struct caches_link *l, enum cache_kind kind, int64_t ttl_s, struct cache_loaded *out)
    __attribute__((warn_unused_result));

#endif
