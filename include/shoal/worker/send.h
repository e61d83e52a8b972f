/* Calls of a platform's API on behalf of a job. */
#ifndef SHOAL_WORKER_SEND_H
#define SHOAL_WORKER_SEND_H

#include "shoal/worker/job.h"

/* One operation of the job. What came of it is in j->ruling; no answer is CALL_OUTAGE. */
void send_call(struct job *j, const struct call *c);

#endif
