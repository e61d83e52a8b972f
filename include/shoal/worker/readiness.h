/* Whether a worker can do its work: what it lacks, for its health page, its gauges, and for itself, as one that lacks
 * what every update needs takes none. */
#ifndef SHOAL_WORKER_READINESS_H
#define SHOAL_WORKER_READINESS_H

#include "shoal/io/health.h"
#include "shoal/worker/worker.h"

/* The health of the queue's shards, once they are open. */
void readiness_init(struct worker *w);
void readiness_checks(struct worker *w, struct health *h);
/* shoal_cut_off, before it is shown. */
void readiness_gauges(struct worker *w);

/* It lacks what every update needs: Postgres, the caches' Redis, a bot that can be served, or the
 * list of shards that the others have. */
bool readiness_cut_off(struct worker *w);

#endif
