/* What the worker says by itself where no decision does: that somebody is too fast, that a command is no more, that
 * something failed. A platform that was told to wait for an answer (Discord: "thinking...") gets one, or the promise is
 * taken back. None of it has an effect, and none is worth an attempt. */
#ifndef SHOAL_WORKER_COURTESY_H
#define SHOAL_WORKER_COURTESY_H

#include <stdbool.h>

#include "shoal/worker/job.h"

/* Fills the decision of an update that is throttled, or that no command handles; it may stay empty. */
void courtesy_decide(struct job *j);
/* Adds the call that takes the promise back, where the decision answers nothing; room for one is there. */
void courtesy_dismiss(struct job *j);
/* What is said of an update that becomes a dead letter. False: nothing, as nobody waits for it, or not any more. */
bool courtesy_sorry(const struct platform *p, const struct update *u, struct arena *a, struct call *out);

#endif
