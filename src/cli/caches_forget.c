#include "shoal/cli/caches_forget.h"

#include "shoal/cli/long_work.h"

enum { COUNT_MS = 1000 }; /* for which the end of a generation waits until its values are counted */

struct counting {
	struct caches_link *link;
	struct cache_tally tally;
	bool sweep;
};

static bool count(void *arg, struct arena *a, enum cache_kind kind, const struct span *keys, size_t n)
{
	struct counting *c = arg;

	return caches_tally_look(c->link, a, kind, keys, n, c->sweep, arena_array(a, struct cache_seen, n), &c->tally);
}

static enum caches_walked walk(struct counting *c, enum cache_kind kind, const char *doing, int64_t budget_ms)
{
	return caches_walk(&(struct caches_walk){.link = c->link,
	                                         .doing = doing,
	                                         .pattern = "*",
	                                         .kind = kind,
	                                         .budget_ms = budget_ms,
	                                         .step = count,
	                                         .arg = c});
}

/* Who wants all of it void wants it soon: of very many, only what could be counted, or was removed after, is told. */
bool caches_forget_all(struct caches_link *l, enum cache_kind kind, struct caches_forgotten *out)
{
	struct counting before = {.link = l}, after = {.link = l, .sweep = true};
	enum caches_walked walked;

	*out = (struct caches_forgotten){0};
	walked = walk(&before, kind, "counting", COUNT_MS);
	if (walked != CACHES_WALK_FAILED && long_work_stopping()) {
		session_fail(l->s, EXIT_FAILED, "stopped before anything was forgotten");
		return false;
	}
	if (walked == CACHES_WALK_FAILED)
		return false;
	out->begun = true;
	if (!caches_link_done(l, cache_gen_end_now(l->redis, kind)) || !caches_link_fence(l, &out->heard))
		return false;
	walked = walk(&after, kind, "removing", 0);
	out->stopped = walked == CACHES_WALK_STOPPED;
	out->values = cache_tally_believed(&before.tally);
	if (after.tally.n[CACHE_HOLDS_VOID] > out->values + before.tally.n[CACHE_HOLDS_VOID])
		out->values = after.tally.n[CACHE_HOLDS_VOID] - before.tally.n[CACHE_HOLDS_VOID];
	return walked != CACHES_WALK_FAILED;
}

const char *caches_forgotten_text(struct arena *a, const struct caches_forgotten *f)
{
	const char *text =
	    arena_printf(a, "%lld value%s forgotten; %u program%s heard", (long long)f->values,
	                 f->values == 1 ? "" : "s", f->heard.heard, f->heard.heard == 1 ? " has" : "s have");

	if (f->heard.silent == 0)
		return text;
	return arena_printf(a, "%s, %u said nothing and may not believe %s memory now", text, f->heard.silent,
	                    f->heard.silent == 1 ? "its" : "their");
}
