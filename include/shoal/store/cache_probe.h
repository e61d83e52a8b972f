/* Whether a listener hears what the pool's database tells. Two connection strings may lead to two databases, or, after
 * a failover, to two servers; then every change would go unheard, and nothing else would show it. So the pool says a
 * word that nobody else knows, "probe WORD" on channel shoal_cache, and the listener has to hear it. */
#ifndef SHOAL_STORE_CACHE_PROBE_H
#define SHOAL_STORE_CACHE_PROBE_H

#include <stdbool.h>

#include "shoal/base/str.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"

struct cache_probe;

struct cache_probe_opts {
	struct loop *loop;
	struct pg *pg;
	void (*heard)(void *arg);
	/* The word was said, and was not heard within two seconds. */
	void (*unheard)(void *arg);
	void *arg;
};

struct cache_probe *cache_probe_open(const struct cache_probe_opts *opts);
void cache_probe_close(struct cache_probe *p); /* before the pool; NULL does nothing */

/* Begins anew, with another word. Where the pool is down it waits until that can be asked. One of the callbacks
 * follows, once, unless it is stopped. */
void cache_probe_begin(struct cache_probe *p);
void cache_probe_stop(struct cache_probe *p);

/* What was heard. False: it is no probe; those of others are. Calls `heard` where it is ours. */
bool cache_probe_take(struct cache_probe *p, struct span payload);

#endif
