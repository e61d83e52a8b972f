/* The fleet's job of the escrow bot: pending trades whose time is over, and people who have yet to hear that an admin
 * decided their trade. It changes nothing itself: for each it appends an entry, by which the bot lets the money return
 * or tells the person. */
#ifndef SHOAL_WORKER_FLEET_TRADES_H
#define SHOAL_WORKER_FLEET_TRADES_H

#include "shoal/worker/fleet.h"

void fleet_trades_step(struct fleet_run *run);

#endif
