/* Delivery of updates by webhook: what updates.c and webhook.c tell each other. */
#ifndef SHOAL_SIM_WEBHOOK_H
#define SHOAL_SIM_WEBHOOK_H

#include "shoal/sim/updates.h"

void webhook_init(struct updates *q);
/* The lane has an update at its head: deliver it when a webhook is set and the lane is not busy or resting. */
void webhook_ready(struct lane *l);

/* In updates.c. */
void updates_remove(struct updates *q, struct update *u); /* may free its lane */
bool update_expired(const struct update *u);
void updates_lane_idle(struct lane *l); /* frees it when nothing hangs on it */

#endif
