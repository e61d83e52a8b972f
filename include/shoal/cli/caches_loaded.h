/* Whether, and when, a cache was loaded whole into Redis. */
#ifndef SHOAL_CLI_CACHES_LOADED_H
#define SHOAL_CLI_CACHES_LOADED_H

#include "shoal/cli/caches_link.h"

struct caches_loaded {
	const char *how; /* "whole", "one by one", "no" */
	int64_t at_ms;   /* wall clock; 0: it is not loaded, or by another configuration than ours */
};

/* ttl_s: of the values, as the workers have it (cache_ttl_s). False after saying what was wrong. */
bool caches_loaded_ask(struct caches_link *l, enum cache_kind kind, int64_t ttl_s, struct caches_loaded *out)
    __attribute__((warn_unused_result));

#endif
