/* The caches as operators name them: which there are, what may be a key of one, what goes with it. */
#ifndef SHOAL_STORE_CACHE_NAMED_H
#define SHOAL_STORE_CACHE_NAMED_H

#include <stdbool.h>
#include <stddef.h>

#include "shoal/base/arena.h"
#include "shoal/store/cache_admin.h"
#include "shoal/store/cache_kind.h"

/* False: there is none such. */
bool cache_named_find(const char *name, enum cache_kind *kind) __attribute__((warn_unused_result));

/* Whether it can be a key of the cache, there or not; also "%", the list of all keys. */
bool cache_named_fits(struct arena *a, enum cache_kind kind, const char *key);
/* What else is to be forgotten with any key: a code that was missing is missing on the list of all, too; a persona may
 * be the default one. */
size_t cache_named_companions(enum cache_kind kind, struct span out[2]);

/* How many keys there are by what they hold, without the list of all keys, and all their bytes in Redis. */
struct cache_tally {
	int64_t n[CACHE_HOLDS_VALUE + 1], bytes;
};
void cache_tally_add(struct cache_tally *t, const struct span *keys, const struct cache_seen *seen, size_t n);
int64_t cache_tally_believed(const struct cache_tally *t); /* values, and negatives */

/* Whether, and when, a cache was loaded whole into Redis. */
struct cache_loaded {
	const char *how; /* "whole", "one by one", "no" */
	int64_t at_ms;   /* wall clock; 0: it is not loaded, or by another configuration than ours */
};
/* list: of the key "%"; not looked at where the cache is never loaded whole. ttl_s: of the values, as the workers have
 * it (cache_ttl_s). */
struct cache_loaded cache_loaded_of(enum cache_kind kind, const struct cache_shown *list, int64_t ttl_s);

#endif
