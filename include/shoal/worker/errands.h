/* What decisions have done in Redis besides replies, by name and with these words (model/decision.h):
 *
 *   forget CACHE KEY                            what the cache holds under the key has changed
 *   enter PLAYER SERIAL TILL RACES NAME VALUE...   into the line of those who wait for an opponent (store/line.h)
 *   paired KEY PLAYER WHAT...                      what became of a pairing (the same) */
#ifndef SHOAL_WORKER_ERRANDS_H
#define SHOAL_WORKER_ERRANDS_H

#include "shoal/worker/job.h"

/* Begins all errands of j->effects, each an operation of the job; what fails goes to j->op_err. NULL, or why one of
 * them makes no sense; then none has begun. */
const char *errands_begin(struct job *j);

#endif
