/* What the workers that are alive tell of themselves (worker/beacon.h): each writes a key of its own in the caches'
 * Redis every second, which lives five. */
#ifndef SHOAL_STORE_BEACONS_H
#define SHOAL_STORE_BEACONS_H

#include "shoal/base/json.h"

#define BEACON_KEY "shoal:{cache}:worker:" /* and the worker's id */

struct beacons {
	const cJSON **v; /* objects with an "id"; free() */
	size_t n, room;
};

/* What makes no sense is left out, as is one that is there already. The object lives in the arena. */
void beacons_add(struct beacons *b, struct arena *a, struct span text);
void beacons_sort(struct beacons *b);                                 /* by id */
int64_t beacons_in_state(const struct beacons *b, const char *state); /* "running", "draining", "cut off" */

#endif
