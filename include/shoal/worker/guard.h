/* The guard row of an update: whether it was committed before, and with which effects. */
#ifndef SHOAL_WORKER_GUARD_H
#define SHOAL_WORKER_GUARD_H

#include "shoal/worker/job.h"

/* One operation of the job. A row that is found sets j->guarded and makes j->effects the stored ones; what fails goes
 * to j->op_err. */
void guard_ask(struct job *j);

#endif
