/* The fleet's job of the ladder bot: pairs of those who wait for an opponent leave the line, each as the entry that
 * makes its match; and so does who has waited too long. */
#ifndef SHOAL_WORKER_FLEET_MATCHER_H
#define SHOAL_WORKER_FLEET_MATCHER_H

#include "shoal/worker/fleet.h"

void fleet_matcher_step(struct fleet_run *run);

#endif
