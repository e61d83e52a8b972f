/* Looking a value up in Redis and, where it is not there, in Postgres: one flight a key and process, whoever asks
 * meanwhile waits for it.
 *
 *   ASK ------- hit -----------------------------------------------.
 *    |  \---- no generation of this server --> RENEW --> ASK        |
 *    | none                                                         |
 *   WHOLE  the cache is loaded whole first (its key "%"), so that   |
 *    |     what it does not list is known not to be there --------- +
 *   LEASE -- busy --> BUSY (until tracking tells, or a while) --> ASK
 *    | yours                                                        |
 *   FETCH --> FILL -- refused: it was voided meanwhile --> ASK      |
 *    |          \---- stored --------------------------------------+--> all who wait
 *    '-- without a lease: Redis is away, full, or has what makes no sense; those who began before it was sent
 *
 * What was read from Redis serves who began before it was read; who came later looks again. So nobody is told a value
 * older than an invalidation that had ended before he asked. */
#ifndef SHOAL_STORE_CACHE_FLIGHT_H
#define SHOAL_STORE_CACHE_FLIGHT_H

#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_count.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_kind.h"
#include "shoal/store/cache_value.h"

struct cache_flights;

struct cache_flight_opts {
	struct loop *loop;
	struct redis *redis;
	struct pg *pg;
	struct cache_gen *gen;
	struct cache_counts *counts;
	int64_t life_ms[CACHE_KINDS]; /* of a value in Redis; 0: for ever */
	/* What is in memory now, and may be believed; NULL: nothing. Borrowed until the loop turns. */
	struct cache_value *(*remembered)(void *arg, enum cache_kind kind, struct span key);
	/* A number that stays the same as long as memory may be believed without a break; 0: it may not, now. */
	uint64_t (*belief)(void *arg);
	/* Redis may hold old values now, and is to be passed by. */
	bool (*doubtful)(void *arg);
	/* A value to be remembered. */
	void (*remember)(void *arg, enum cache_kind kind, struct span key, struct cache_value *v);
	void (*listed)(void *arg, enum cache_kind kind); /* the list of all keys was read; may be NULL */
	void *arg;
};

struct cache_flights *cache_flights_open(const struct cache_flight_opts *opts);
/* Who waits gets ERR_UNREACHABLE inside this call, unless his answer is known. Before the generations, Redis and
 * Postgres are closed. */
void cache_flights_close(struct cache_flights *f); /* NULL does nothing */

/* Whether a cache's list of all keys says that there is no such key. Aliases are on no list. */
bool cache_is_unlisted(const struct cache_value *list, struct span key);

/* v: borrowed, valid during the call; NULL unless err is ERR_OK. Never called inside cache_flights_get. */
typedef void cache_fn(void *arg, enum err err, struct cache_value *v);
void cache_flights_get(struct cache_flights *f, enum cache_kind kind, struct span key, cache_fn *fn, void *arg);

/* This key, cache, or everything was written or voided: what is being read is not to be remembered, and who waits for
 * somebody else's fill looks. */
void cache_flights_changed(struct cache_flights *f, enum cache_kind kind, struct span key);
void cache_flights_changed_kind(struct cache_flights *f, enum cache_kind kind);

#endif
