/* A worker's own memory of the caches: (kind, key) -> value, bounded in bytes over all kinds together. The bound counts
 * everything: the table, the entries, the values, what malloc adds. Values that were dropped while jobs hold them are
 * the jobs' and no longer counted. */
#ifndef SHOAL_STORE_CACHE_MEMORY_H
#define SHOAL_STORE_CACHE_MEMORY_H

#include "shoal/base/str.h"
#include "shoal/store/cache_kind.h"
#include "shoal/store/cache_value.h"

struct cache_memory;

enum { CACHE_KEY_MAX = 255 }; /* longer keys are never kept */

struct cache_memory *cache_memory_new(size_t bytes_max); /* 0 keeps nothing */
void cache_memory_free(struct cache_memory *m);          /* NULL does nothing */

/* NULL: not there, or its time is over. Counts a use. Borrowed: valid until the next call that is no cache_memory_get
 * of a key that is there; take a reference to keep it longer. */
struct cache_value *cache_memory_get(struct cache_memory *m, enum cache_kind kind, struct span key);

/* Takes a reference of its own, and the place of what was there before. until_ms: clock_ms() from which on it is none,
 * 0 for ever. False, with nothing under the key: the value is larger than an eighth of the bound, or the key too long.
 */
bool cache_memory_put(struct cache_memory *m, enum cache_kind kind, struct span key, struct cache_value *v,
                      int64_t until_ms);

bool cache_memory_drop(struct cache_memory *m, enum cache_kind kind, struct span key); /* true: it was there */

/* At once and in constant time, whatever there is: what was dropped is freed by later puts, or by cache_memory_sweep,
 * and counts towards the bound until then. */
void cache_memory_drop_kind(struct cache_memory *m, enum cache_kind kind);
void cache_memory_clear(struct cache_memory *m);

/* Looks at n places of the table for what was dropped, and frees it. True: there is more. */
bool cache_memory_sweep(struct cache_memory *m, size_t n);

struct cache_memory_stats {
	size_t entries, bytes; /* with those whose time is over and who were not asked for since */
	uint64_t evictions;    /* for want of room, before their time */
};
struct cache_memory_stats cache_memory_stats(const struct cache_memory *m, enum cache_kind kind);
size_t cache_memory_bytes(const struct cache_memory *m); /* of all: never over the bound */

#endif
