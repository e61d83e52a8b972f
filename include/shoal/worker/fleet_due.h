/* Jobs of the fleet that find in Postgres what is due: pending trades whose time is over, and people who have yet to
 * hear that an admin decided their trade or their match. They change nothing themselves: for each they append an entry,
 * by which the bot lets the money return or tells the person. */
#ifndef SHOAL_WORKER_FLEET_DUE_H
#define SHOAL_WORKER_FLEET_DUE_H

#include "shoal/worker/fleet.h"

void fleet_trades_step(struct fleet_run *run);
void fleet_matches_step(struct fleet_run *run);

#endif
