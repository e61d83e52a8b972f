/* The job of the fleet that removes what is void in the caches' Redis. Values that hold until they are changed have no
 * end there (cache_kind.h), and those of a generation that has ended are written over only where somebody asks for them
 * again. */
#ifndef SHOAL_WORKER_FLEET_CACHES_H
#define SHOAL_WORKER_FLEET_CACHES_H

#include "shoal/worker/fleet.h"

/* A piece of the names, and the void ones among them. rows: of those. */
void fleet_caches_step(struct fleet_run *run);

#endif
