/* What the files of the caches share, cache.c, cache_believe.c, cache_hear.c and cache_stats.c, and nobody else. */
#ifndef SHOAL_STORE_CACHE_PARTS_H
#define SHOAL_STORE_CACHE_PARTS_H

#include "shoal/store/cache.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_listen.h"
#include "shoal/store/cache_memory.h"
#include "shoal/store/cache_track.h"

enum { CACHE_LISTEN_PATIENCE_MS = 5000 }; /* a worker begins without listening when this is over */

struct cache {
	struct cache_opts opts;
	struct cache_gen *gen;
	struct cache_flights *flights;
	struct cache_memory *memory; /* NULL: none */
	struct cache_track *track;   /* the same */
	struct cache_listen *listen;
	struct cache_counts counts;
	struct cache_value *none[CACHE_KINDS]; /* of what is known not to be there */
	uint64_t epoch;                        /* of memory: it began anew so often */
	bool kept;                      /* Redis is away; memory is believed as long as Postgres is listened to */
	int64_t kept_since;             /* clock_ms() */
	int64_t opened_ms, came_ms;     /* Redis or Postgres, the last time */
	bool settled;                   /* what changed while it was away is void */
	int64_t loaded_ms[CACHE_KINDS]; /* wall clock when the list of all keys was last read; 0: never */
	bool warming[CACHE_KINDS], listened, ready;
	struct timer watch, rewarm, sweep;
	unsigned renewing; /* generations that end, for the listener */
	bool renew_failed;
	unsigned calls; /* answers of Redis that are to come */
	bool closed;
};

void cache_release(struct cache *c); /* when it is closed and nothing is to come */
/* Of its values, as configured; 0: for ever. */
int64_t cache_ttl_of(const struct cache *c, enum cache_kind kind);

/* --- cache_believe.c: a worker's memory, and until when it is believed */

void cache_open_memory(struct cache *c);
bool cache_doubtful(void *arg);
/* The epoch of memory; 0: it may not be believed now. */
uint64_t cache_belief(void *arg);
void cache_begin_memory(struct cache *c);
void cache_sweep(void *arg);
struct cache_value *cache_remembered(void *arg, enum cache_kind kind, struct span key);
void cache_remember(void *arg, enum cache_kind kind, struct span key, struct cache_value *v);
/* What is remembered, and what is being read. */
void cache_forget(struct cache *c, enum cache_kind kind, struct span key);
void cache_forget_kind(void *arg, enum cache_kind kind);

/* --- cache_hear.c: what makes values void */

void cache_on_change(void *arg, struct span payload); /* what a notice tells */
void cache_on_gap(void *arg);
void cache_on_listening_lost(void *arg);

#endif
