/* Which shards serve a program: for /readyz, and the gauge shoal_shard_up{shard}. A program that has any is ready:
 * whoever balances by readiness shall not take the others away, too. */
#ifndef SHOAL_STORE_SHARDS_HEALTH_H
#define SHOAL_STORE_SHARDS_HEALTH_H

#include <stdbool.h>

/* Embedded in its owner, which lives as long as the process' metrics. */
struct shards_health {
	unsigned n;
	const char *(*trouble)(const void *arg, unsigned shard); /* NULL: it serves; else why not, in short words */
	/* Not NULL: the whole program is wrong about the shards, and may use none. May be NULL. */
	const char *(*foreign)(const void *arg, unsigned shard);
	const void *arg;
	char text[400];
};

/* After the members were set. */
void shards_health_init(struct shards_health *h);
unsigned shards_away(const struct shards_health *h);
bool shards_any_foreign(const struct shards_health *h);
/* Both are a health_fn. "shard 1: no connection; shard 3: ...", valid until the next call; the first is NULL while any
 * shard serves and none is foreign, the second while all do. */
const char *shards_all_away(void *shards_health);
const char *shards_any_away(void *shards_health);

#endif
