/* The right to fill one value of a cache in Redis, or a whole cache (its key "%"): who has it reads from Postgres and
 * stores, unless the right was taken back by an invalidation meanwhile. */
#ifndef SHOAL_STORE_CACHE_LEASE_H
#define SHOAL_STORE_CACHE_LEASE_H

#include <libpq-fe.h>
#include <stdint.h>

#include "shoal/base/str.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_kind.h"

enum { CACHE_LEASE_MS = 2000 }; /* a filler that dies costs so much */

struct cache_lease {
	enum cache_kind kind;
	struct span key;     /* the caller's */
	char token[25];      /* "": nobody has asked */
	char generation[64]; /* under which it was asked for */
};

/* reply: one of the words of lua/cache_lease.lua. The lease must live until fn is called. */
void cache_lease_ask(struct cache_lease *l, struct redis *r, struct span generation, redis_fn *fn, void *arg);
/* rows: (key, text), its own among them, or there is none. life_ms: of each; 0: for ever. reply: 1 when all is stored,
 * 0: the lease is gone. */
void cache_lease_fill(const struct cache_lease *l, struct redis *r, const PGresult *rows, int64_t life_ms, redis_fn *fn,
                      void *arg);
/* Nothing is stored, so that only the lease goes: the next one need not wait for its end. */
void cache_lease_give_back(const struct cache_lease *l, struct redis *r);

#endif
