/* What Redis still keeps of a person who is erased: their updates among the dead letters, and keys with their id. */
#ifndef SHOAL_CLI_FORGET_H
#define SHOAL_CLI_FORGET_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/cli/session.h"

/* Removes from the dead letters of all shards those of this person's lanes, and counts them. False after saying which
 * shards could not be asked; the others were. Doing it again does no harm. */
bool forget_dead_letters(struct session *s, int64_t telegram_id, int64_t *removed);
/* Removes what the limits of the fleet and the locks of pressed buttons know of this person. False as above. */
bool forget_limits(struct session *s, int64_t telegram_id);

#endif
