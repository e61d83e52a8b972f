/* The stages that have a file of their own; the table is job_stages of job.h, and only the runner calls them. */
#ifndef SHOAL_WORKER_STAGES_H
#define SHOAL_WORKER_STAGES_H

#include "shoal/worker/job.h"

enum step load(struct job *j);
enum step commit(struct job *j);
enum step reply(struct job *j);
void reply_abandon(struct job *j); /* gives back what a job that ends in the middle of it holds */
/* The last: the queue hears what became of the entry; so do the metrics and the log. */
enum step settle(struct job *j);
/* The update's line in the log, where it wants one (SHOAL_LOG_UPDATES). */
void settle_log(const struct job *j, enum job_outcome outcome);

/* The queue itself made a dead letter of an entry that workers died of: frees the press that it held. */
void settle_killer(struct worker *w, struct span bot, struct span key, struct span body);

#endif
