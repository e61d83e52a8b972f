/* The last stage: the queue hears what became of the entry; so do the metrics and the log. */
#ifndef SHOAL_WORKER_SETTLE_H
#define SHOAL_WORKER_SETTLE_H

#include "shoal/worker/job.h"

enum step settle(struct job *j);

#endif
