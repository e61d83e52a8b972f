/* Whose the shards of this program's list are, by the marks that their Redis told last (`conf`, fields v and shard),
 * and which of those without a mark it may mark as its own. An emptied Redis has none: a program with another list,
 * left over beside the right ones, must not take it from them. */
#ifndef SHOAL_STORE_SHARD_MARKS_H
#define SHOAL_STORE_SHARD_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/store/shards.h"

/* Of a shard that was another's: so long it must have been without a mark. Its owner's programs look once a second. */
#define SHARD_BARE_MS 10000

/* All zero: nothing was told yet. It outlives connections, as the servers outlive them; so a shard that was another's
 * and is away is another's still. */
struct shard_marks {
	struct {
		bool anothers;         /* when it last had a mark */
		int64_t bare_since_ms; /* clock_ms when this connection first told that it has none now; 0: not told */
	} v[SHARDS_LIMIT];
};

enum shard_mark { MARK_OURS, MARK_ANOTHERS, MARK_NONE };

void shard_marks_told(struct shard_marks *m, unsigned shard, enum shard_mark mark);
/* The connection is another one now, or gone: nobody has watched in between. */
void shard_marks_unseen(struct shard_marks *m, unsigned shard);
/* Not while any other shard of the list is another's: the list is wrong then. */
bool shard_marks_may_mark(const struct shard_marks *m, unsigned shard);

#endif
