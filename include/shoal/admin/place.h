/* Whether the shards are where the workers have them. Another list of servers would show a part of the queue as all of
 * it. */
#ifndef SHOAL_ADMIN_PLACE_H
#define SHOAL_ADMIN_PLACE_H

#include "shoal/admin/api.h"

struct place;

/* Before the connections of the shards, whose number api knows; closed after them. */
struct place *place_open(struct api *api);
void place_close(struct place *p);

/* on_up of a shard's connection, and its arg. */
void place_came(void *place_shard);
void *place_shard(struct place *p, unsigned shard);

/* As of 2 s ago: NULL, or how the shard is marked and what to do. */
const char *place_foreign(const struct place *p, unsigned shard);
/* Of any shard, which is put into *shard. */
const char *place_any_foreign(const struct place *p, unsigned *shard);

#endif
