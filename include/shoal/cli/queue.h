/* The subverbs of `shoal queue` that have files of their own. */
#ifndef SHOAL_CLI_QUEUE_H
#define SHOAL_CLI_QUEUE_H

#include "shoal/cli/session.h"

int queue_peek(struct session *s);
int queue_lanes(struct session *s);
int queue_pause(struct session *s);
int queue_resume(struct session *s);

#endif
