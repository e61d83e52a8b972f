/* Loading one cache whole from Postgres into a Redis hash, once for all who wait: cache.h says by which keys. */
#ifndef SHOAL_STORE_CACHE_LOAD_H
#define SHOAL_STORE_CACHE_LOAD_H

#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"

struct cache_load;

struct cache_load_opts {
	const char *name; /* "startcode" */
	const char *hash, *lease;
	const char *statement; /* in sql/queries; its rows are (field, value) */
	struct loop *loop;
	struct redis *redis;
	struct pg *pg;
};

/* rows: the whole table, read after the wait began, valid during the call. NULL with ERR_OK: Redis has it, ask there.
 * NULL with an error: Postgres could not tell. */
typedef void cache_load_fn(void *arg, enum err err, const PGresult *rows);

/* Embedded in who waits; must live until fn is called or the load is closed. */
struct cache_wait {
	cache_load_fn *fn;
	void *arg;
	struct cache_wait *next;
};

/* The texts of opts must live as long as the load. */
struct cache_load *cache_load_open(const struct cache_load_opts *opts);
void cache_load_close(struct cache_load *l); /* who waits is not called any more; NULL does nothing */

/* direct: Redis could not tell, so do not ask it. fn is never called inside this call. */
void cache_load_wait(struct cache_load *l, struct cache_wait *w, bool direct);

#endif
