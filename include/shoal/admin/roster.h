/* Who works: what the workers tell of themselves (store/beacons.h), asked for by their names, so that a question costs
 * the same however much else lies in that Redis. Names come from the queue, where every worker is registered; the whole
 * key space is looked through for others (a worker that cannot reach the queue) only now and then, and nobody waits for
 * that. */
#ifndef SHOAL_ADMIN_ROSTER_H
#define SHOAL_ADMIN_ROSTER_H

#include "shoal/admin/api.h"
#include "shoal/base/arena.h"
#include "shoal/store/beacons.h"

struct roster;

struct roster *roster_open(struct api *api);
void roster_close(struct roster *r);

struct roster_answer {
	struct beacons alive;      /* by id */
	const struct span *timing; /* of each, as store/latency.h has it; ptr NULL: it told none */
};
/* fn is called exactly once, never inside the call. The answer lives in the arena, which must last until then;
 * with an error there is none. ERR_OK with nobody alive is an answer. */
typedef void roster_fn(void *arg, enum err err, const struct roster_answer *answer);
void roster_ask(struct roster *r, struct arena *a, roster_fn *fn, void *arg);

#endif
