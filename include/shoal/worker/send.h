/* Calls of a platform's API on behalf of a job. */
#ifndef SHOAL_WORKER_SEND_H
#define SHOAL_WORKER_SEND_H

#include "shoal/io/http.h"
#include "shoal/worker/job.h"

/* One operation of the job: fn(j, ...) ends it with job_end(). */
void send_call(struct job *j, const struct call *c, http_fn *fn);

#endif
