/* How a worker learns that values in Redis changed, and until when it may believe its memory.
 *
 * A connection of its own: CLIENT TRACKING in broadcast mode over "shoal:{cache}:v:", redirected to itself, so that it
 * is lost together with what it would have told (RESP2: hiredis 0.14 knows no other). It is asked every half second;
 * the answer proves that everything before was delivered. Only then, and after `shoal:{cache}:trusts` says so to the
 * fleet, memory may be believed: for CACHE_TRUST_MS from when the question was asked. A process that was stopped, or
 * whose connection hangs, runs out of it by itself. */
#ifndef SHOAL_STORE_CACHE_TRACK_H
#define SHOAL_STORE_CACHE_TRACK_H

#include <stdbool.h>

#include "shoal/base/str.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"

struct cache_track;

struct cache_track_opts {
	struct loop *loop;
	struct redis *redis; /* the ordinary connection to the same server */
	const char *url;     /* of that server */
	const char *id;      /* of this worker, in the fleet; at most 200 bytes */
	/* Who the server of the ordinary connection is (cache_gen.h), "" while it is not known: tracking must come from
	 * the same. */
	const char *(*ident)(void *arg);
	/* A tracked key was written or removed; name is valid during the call. */
	void (*changed)(void *arg, struct span name);
	void (*flushed)(void *arg); /* all of them */
	/* Memory may be believed from now on, for what is read from now on: what it holds from before is to go. */
	void (*begins)(void *arg);
	void (*lost)(void *arg); /* the connection went: nothing is told until `begins` */
	void *arg;
};

struct cache_track *cache_track_open(const struct cache_track_opts *opts);
/* Before the ordinary connection is closed. The fleet need not wait for this worker any more. */
void cache_track_close(struct cache_track *t); /* NULL does nothing */

/* Memory may be believed now. */
bool cache_track_sure(const struct cache_track *t);
/* When it was last certain, clock_ms(); 0: never, or its end is forgotten. For who has another way to know. */
int64_t cache_track_sure_ms(const struct cache_track *t);
/* The name under which memory is believed now, as in `trusts`: another one each time that it begins. */
const char *cache_track_member(const struct cache_track *t);

#endif
