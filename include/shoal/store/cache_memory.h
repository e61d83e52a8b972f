/* A worker's own memory of the caches: (kind, key) -> value, bounded in bytes over all kinds together. The bound counts
 * everything: the table, the entries, the values, what malloc adds. Values that were dropped while jobs hold them are
 * the jobs' and no longer counted. Where strangers choose keys they cannot make them collide: the hash is keyed.
 *
 * What is in use stays: a clock whose hand takes the entries that were not used since it came by last, and comes four
 * times by the others before it takes one of their (at most three) uses off. That costs two bits an entry and nothing
 * at a hit. In percent of lookups, 1,000,000 players and room for 98,000 (make bench-cache):
 *
 *                                            this    LRU  CLOCK  SIEVE  S3-FIFO  W-TinyLFU
 *     Zipf 0.80                              56.1   48.5   49.7   55.9     56.9       57.0
 *     Zipf 0.99                              80.4   76.5   77.2   80.6     80.9       80.6
 *     Zipf 1.10                              90.4   88.6   89.0   90.5     90.7       90.3
 *     0.99 and a fifth of one-time keys      78.4   71.6   72.7   79.4     80.6       79.3
 *     0.99 and popularity that moves         77.5   76.1   76.8   73.5     78.6       77.7
 *
 * The better ones need lists, 16 bytes and more an entry of 160: on the plain loads that costs what they lead by. */
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
