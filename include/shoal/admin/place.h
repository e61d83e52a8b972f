/* Whether the shards are where the workers have them. Another list of servers would show a part of the queue as all of
 * it. */
#ifndef SHOAL_ADMIN_PLACE_H
#define SHOAL_ADMIN_PLACE_H

#include "shoal/admin/api.h"

struct shards_place;

/* Before the connections of the shards, whose number api knows; closed after them. */
struct shards_place *place_open(struct api *api);
void place_close(struct shards_place *p);

/* on_up of a shard's connection, and its arg. */
void place_came(void *shard);
void *place_shard(struct shards_place *p, unsigned shard);

/* NULL, or how the shard is marked and what to do, as of 2 s ago at most where it answers; NULL while it is away, or
 * has not told yet. */
const char *place_foreign(const struct shards_place *p, unsigned shard);
/* Of the first such shard, whose number is put into *shard. */
const char *place_any_foreign(const struct shards_place *p, unsigned *shard);

#endif
