/* The caches' Redis, for the subverbs of `shoal cache`. */
#ifndef SHOAL_CLI_CACHES_LINK_H
#define SHOAL_CLI_CACHES_LINK_H

#include "shoal/cli/session.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_admin.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_named.h"
#include "shoal/store/cache_void.h"

struct caches_link {
	struct session *s;
	redisContext *redis;          /* closed with the session's arena */
	char ident[CACHE_IDENT_SIZE]; /* of the server, as cache_admin.h wants it */
};

/* session_conf included. False after saying why not. */
bool caches_link_open(struct caches_link *l, struct session *s) __attribute__((warn_unused_result));
/* NULL after saying what was wrong. The answer lives as long as the arena. */
const redisReply *caches_link_ask(struct caches_link *l, const struct cache_call *call, struct arena *a);
/* What a function on l->redis returned: false after saying what was wrong. */
bool caches_link_done(struct caches_link *l, enum err err) __attribute__((warn_unused_result));
/* cache_fence_now. */
bool caches_link_fence(struct caches_link *l, struct cache_heard *heard) __attribute__((warn_unused_result));

/* --- over many keys, in bounded steps */

/* Of one cache, at least one; a is for this step alone. False after saying what was wrong: it ends. */
typedef bool caches_step_fn(void *arg, struct arena *a, enum cache_kind kind, const struct span *keys, size_t n);

struct caches_walk {
	struct caches_link *link;
	const char *doing;   /* for the progress: "looking" */
	const char *pattern; /* of `kind`; NULL: all values of all caches */
	enum cache_kind kind;
	bool filling;      /* with a pattern: also keys that are only being filled */
	int64_t budget_ms; /* then it stops; 0: takes as long as it takes */
	caches_step_fn *step;
	void *arg;
};
/* FAILED: it was said why. STOPPED: by Ctrl-C before the end, nothing was said yet. */
enum caches_walked { CACHES_WALKED, CACHES_WALK_OVER_BUDGET, CACHES_WALK_STOPPED, CACHES_WALK_FAILED };
enum caches_walked caches_walk(const struct caches_walk *w);

/* What is under these keys, into out[n], and added to t. sweep: as of cache_look_call. */
bool caches_tally_look(struct caches_link *l, struct arena *a, enum cache_kind kind, const struct span *keys, size_t n,
                       bool sweep, struct cache_seen *out, struct cache_tally *t) __attribute__((warn_unused_result));
/* Everything there is. False after saying why not. */
bool caches_tally_all(struct caches_link *l, struct cache_tally tally[CACHE_KINDS]) __attribute__((warn_unused_result));

#endif
