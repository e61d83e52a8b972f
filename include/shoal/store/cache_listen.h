/* How the fleet hears of every change of the database that a cache could hold, also of one by plain SQL: triggers
 * notify (sql/migrations/003_cache.sql), and every worker listens. One connection a worker and no job of the fleet:
 * nobody's death leaves a gap, and a worker's memory stays certain while Redis is away.
 *
 * A listener that hears nothing may listen to the wrong database: it counts only once it has heard what was told
 * through the pool (cache_probe.h).
 *
 * What nobody heard: a connection that begins to listen asks Redis whether others listened without a break meanwhile.
 * One of them says so, about once a second, in `shoal:{cache}:listening`: a time of Redis, such that every change that
 * committed before is void by now. Where nobody did, all generations end. */
#ifndef SHOAL_STORE_CACHE_LISTEN_H
#define SHOAL_STORE_CACHE_LISTEN_H

#include <stdbool.h>

#include "shoal/base/str.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"

struct cache_listen;

struct cache_listen_opts {
	struct loop *loop;
	struct redis *redis;
	struct pg *pg;   /* through which changes are made */
	const char *url; /* of the same database, not of a pooler */
	const char *application_name;
	/* A change has committed; payload is "CACHE CHANGE KEY", KEY "*": anything. Its voids are to be called for
	 * inside this call, on the same connection to Redis. */
	void (*changed)(void *arg, struct span payload);
	/* Nobody knows what changed: all generations are to end. cache_listen_renewed() tells when they have. */
	void (*gap)(void *arg);
	void (*lost)(void *arg); /* nothing is heard until it is heard without a gap again */
	void *arg;
};

struct cache_listen *cache_listen_open(const struct cache_listen_opts *opts);
void cache_listen_close(struct cache_listen *l); /* before Redis; NULL does nothing */

/* Answers `gap`: all generations have ended since, or could not be (then it asks again, after a while). */
void cache_listen_renewed(struct cache_listen *l, bool done);
/* Redis can be asked again: what is open is asked at once, before anybody reads from it. */
void cache_listen_redis_came(struct cache_listen *l);
/* A change could not be voided in Redis: what this worker heard proves nothing until `gap` has been answered. */
void cache_listen_doubt(struct cache_listen *l);

/* It listens to the pool's database, and the question whether there was a gap is answered. */
bool cache_listen_settled(const struct cache_listen *l);
/* It listens, and does not know yet whether there was a gap, or knows of changes that are not void in Redis. */
bool cache_listen_doubtful(const struct cache_listen *l);
/* Everything that committed up to three seconds ago was heard, without a break since before since_ms (clock_ms()). */
bool cache_listen_sure(const struct cache_listen *l, int64_t since_ms);
/* What Redis' clock says now, ms since 1970, as heard within the last seconds; 0: nothing was heard. */
int64_t cache_listen_redis_ms(const struct cache_listen *l);
const char *cache_listen_trouble(const struct cache_listen *l); /* NULL: it listens */

#endif
