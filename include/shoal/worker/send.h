/* Calls of a platform's API on behalf of a job. */
#ifndef SHOAL_WORKER_SEND_H
#define SHOAL_WORKER_SEND_H

#include "shoal/worker/job.h"

/* One operation of the job. What came of it is in j->ruling; no answer is CALL_OUTAGE. */
void send_call(struct job *j, const struct call *c);
/* Of no job: whatever comes of it. c is copied. */
void send_alone(struct worker *w, const struct bot *bot, const struct call *c);

#endif
