/* What the files of the lookups share, cache_flight*.c; besides them only tests look into it. */
#ifndef SHOAL_STORE_CACHE_FLIGHT_PARTS_H
#define SHOAL_STORE_CACHE_FLIGHT_PARTS_H

#include "shoal/store/cache_flight.h"
#include "shoal/store/cache_lease.h"
#include "shoal/store/cache_want.h"

enum { CACHE_FLIGHT_BUCKETS = 512 };

/* As drawn in cache_flight.h. */
enum flight_state { ASK, RENEW, WHOLE, LEASE, BUSY, FETCH, FILL };

struct flight {
	struct cache_flights *all; /* NULL: closed; the answer that is to come frees it */
	struct flight *next;       /* in its bucket */
	enum cache_kind kind;
	enum flight_state state;
	struct cache_wants serving; /* began before what is under way was sent */
	struct cache_wants waiting; /* came later */
	struct timer poll;
	unsigned rounds;
	bool called;  /* an answer is to come */
	bool changed; /* the key was written since what is under way was sent: it is not to be remembered */
	bool leased, whole_asked;
	uint64_t belief;  /* when ASK was sent */
	int64_t patience; /* clock_ms(); 0: nobody else has been waited for */
	struct cache_lease lease;
	struct cache_value *value; /* fetched, to be filled */
	struct span key;
	char text[];
};

struct cache_flights {
	struct cache_flight_opts opts;
	struct flight *buckets[CACHE_FLIGHT_BUCKETS];
	struct cache_wants told;
	struct task tell;
	bool telling, closed;
};

/* --- cache_flight_table.c: which there are, and what becomes of who waits */

struct flight *flight_find(struct cache_flights *all, enum cache_kind kind, struct span key);
struct flight *flight_new(struct cache_flights *all, enum cache_kind kind, struct span key);
/* Its answers have all come, and nobody finds it any more. */
void flight_free(struct flight *f);
/* Tells who has an answer; a task. */
void flight_tell(void *arg);
/* An answer has come: false when nobody is there for it any more. */
bool flight_landed(struct flight *f);
/* Takes v. Those who are served are told; who came later looks anew. */
void flight_answer(struct flight *f, enum err err, struct cache_value *v);
/* Takes v, what was read since this state was entered: it may be remembered. */
void flight_found(struct flight *f, struct cache_value *v);
bool flight_whole(const struct flight *f); /* it looks for the list of all keys */
void flight_count(const struct flight *f, enum cache_layer layer, enum cache_result result);
void flight_count_found(const struct flight *f, enum cache_layer layer, const struct cache_value *v);

/* --- cache_flight.c: Redis */

void flight_ask(struct flight *f);
void flight_redis_failed(struct flight *f, enum err err, const redisReply *reply); /* goes on past it */

/* --- cache_flight_fetch.c: Postgres */

/* leased: what comes may be stored. */
void flight_fetch(struct flight *f, bool leased);

#endif
