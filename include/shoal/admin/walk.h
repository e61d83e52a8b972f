/* Going over what lies in the caches' Redis, in bounded steps, so that neither it nor the loop is held up. */
#ifndef SHOAL_ADMIN_WALK_H
#define SHOAL_ADMIN_WALK_H

#include "shoal/admin/api.h"
#include "shoal/store/cache_named.h"

struct walked {
	enum err err;
	bool whole; /* false: time ran out before all was seen */
	struct cache_tally tally[CACHE_KINDS];
};

struct walk_opts {
	bool all;             /* the caches, or only one: */
	enum cache_kind kind; /* that one */
	bool sweep;           /* removes what is void */
	int64_t budget_ms;    /* then it stops; 0: takes as long as it takes */
};

/* fn is called exactly once, never inside the call. */
typedef void walk_fn(void *arg, const struct walked *w);
void walk_begin(struct api *api, const struct walk_opts *opts, walk_fn *fn, void *arg);

#endif
