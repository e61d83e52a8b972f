/* Making the fleet forget all of a cache: what `invalidate --all` and `reload` share. */
#ifndef SHOAL_CLI_CACHES_FORGET_H
#define SHOAL_CLI_CACHES_FORGET_H

#include "shoal/cli/caches_link.h"

struct caches_forgotten {
	int64_t values; /* that were believed */
	struct cache_heard heard;
	bool begun;   /* some may be void, also where it failed */
	bool stopped; /* at Ctrl-C; what was voided until then is, and the workers have heard */
};

/* Between long_work_hold and its end. All values are void, and every worker has heard, when it returns. Then what is
 * void goes from Redis, in steps with progress. False after saying what was wrong. */
bool caches_forget_all(struct caches_link *l, enum cache_kind kind, struct caches_forgotten *out)
    __attribute__((warn_unused_result));

/* "12 values forgotten; 4 workers have heard", in the arena. */
const char *caches_forgotten_text(struct arena *a, const struct caches_forgotten *f);

#endif
