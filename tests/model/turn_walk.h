/* One random walk: a few workers, their connections, their deaths, and a world that appends, pauses, deletes and moves
 * the clock. The same seed takes the same steps. */
#ifndef SHOAL_TESTS_TURN_WALK_H
#define SHOAL_TESTS_TURN_WALK_H

#include "turn_redis.h"

/* A step is one call of the script. At the end everything must come to rest and nothing be left over.
 * true: all was as the model says. false: `why` says what was not; `at` is the step; trace, if not NULL, got the steps.
 */
struct walk_result {
	bool ok;
	long at;
	char why[400];
};
void walk_run(struct turn_redis *, uint64_t seed, long steps, FILE *trace, unsigned long long *tally,
              struct walk_result *out);

#endif
