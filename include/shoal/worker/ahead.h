/* The place in the flood budget for an update's first message, asked for while its commit is under way, so that the
 * message leaves as soon as it may. A refusal counts for nothing: the stage that replies asks as ever, and waits there.
 * A place that was given and not used, because the commit failed or took very long, is lost to everybody: one message
 * less. */
#ifndef SHOAL_WORKER_AHEAD_H
#define SHOAL_WORKER_AHEAD_H

#include "shoal/worker/job.h"

/* One more operation of the job, or none where it would be of no use. */
void ahead_ask(struct job *j);
enum ahead {
	AHEAD_NONE,   /* it has no place */
	AHEAD_BOOKED, /* it has one, but the platform may have refused others meanwhile: to be asked about as booked */
	AHEAD_GO,
};
/* What the call has of it. A place is used up by this. */
enum ahead ahead_take(struct job *j, const struct call *c);

#endif
