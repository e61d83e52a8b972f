#include "shoal/cli/caches_link.h"

#include <stdio.h>

#include "shoal/base/clock.h"
#include "shoal/cli/long_work.h"
#include "shoal/store/cache_key.h"

static void close_redis(void *redis)
{
	redisFree(redis);
}

bool caches_link_open(struct caches_link *l, struct session *s)
{
	const char *why = NULL;

	*l = (struct caches_link){.s = s};
	if (!session_conf(s))
		return false;
	l->redis = redis_connect_now(s->conf.cache_redis_url, CACHE_HOME, s->a, &why);
	if (!l->redis) {
		session_fail(s, EXIT_NO_SERVER, "cannot reach Redis: %s", why);
		return false;
	}
	arena_defer(s->a, close_redis, l->redis);
	return caches_link_done(l, cache_gen_ident_now(l->redis, l->ident));
}

static void release(void *reply)
{
	freeReplyObject(reply);
}

const redisReply *caches_link_ask(struct caches_link *l, const struct cache_call *call, struct arena *a)
{
	redisReply *r;
	enum err err = redis_eval_now(l->redis, call->script, call->nkeys, call->argc, call->argv, &r);

	if (r)
		arena_defer(a, release, r);
	if (err == ERR_OK)
		return r;
	if (r && err != ERR_FULL)
		session_fail(l->s, (int)exit_code_of(err), "Redis says: %s", r->str);
	else
		(void)!caches_link_done(l, err);
	return NULL;
}

bool caches_link_done(struct caches_link *l, enum err err)
{
	if (err == ERR_OK)
		return true;
	if (l->redis->err)
		session_fail(l->s, EXIT_NO_SERVER, "Redis did not answer: %s", redis_trouble_now(l->redis));
	else if (err == ERR_DENIED)
		session_fail(l->s, EXIT_FAILED, "Redis does not let this user do it, or does not say who it is (INFO)");
	else if (err == ERR_FULL)
		session_fail(l->s, EXIT_FAILED, "Redis is full (maxmemory), and refused it: make room and try again");
	else
		session_fail(l->s, (int)exit_code_of(err), "Redis could not do it: %s", err_text(err));
	return false;
}

bool caches_link_fence(struct caches_link *l, struct cache_heard *heard)
{
	enum err err = cache_fence_now(l->redis, heard);

	if (err != ERR_TIMEOUT)
		return caches_link_done(l, err);
	session_fail(
	    l->s, EXIT_NO_SERVER,
	    "it is forgotten in Redis, but %u of %u workers have not heard of it yet: call it again to be sure",
	    heard->silent, heard->silent + heard->heard);
	return false;
}

/* --- over many keys */

/* Calls of one cache each, in the order of the caches. */
static bool step(const struct caches_walk *w, struct arena *a, const struct cache_names *names)
{
	struct span *keys = arena_array(a, struct span, names->n + 1);

	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		size_t n = 0;

		for (size_t i = 0; i < names->n; i++)
			if ((int)names->v[i].kind == kind)
				keys[n++] = names->v[i].key;
		if (n > 0 && !w->step(w->arg, a, (enum cache_kind)kind, keys, n))
			return false;
	}
	return true;
}

/* One call's worth; *cursor goes on, NULL at the end. */
static bool go(const struct caches_walk *w, struct arena *a, const char **cursor, size_t *found)
{
	struct cache_call *call = w->pattern ? cache_match_call(a, w->kind, span_of(w->pattern), w->filling, *cursor)
	                                     : cache_scan_call(a, *cursor);
	const redisReply *r = caches_link_ask(w->link, call, a);
	struct cache_names names;

	if (!r)
		return false;
	if (!caches_link_done(w->link, cache_names_read(r, a, &names)))
		return false;
	*cursor = names.cursor;
	*found = names.n;
	return step(w, a, &names);
}

enum caches_walked caches_walk(const struct caches_walk *w)
{
	int64_t deadline = w->budget_ms ? clock_ms() + w->budget_ms : INT64_MAX;
	enum caches_walked walked = CACHES_WALKED;
	const char *cursor = NULL;
	struct long_work work;
	char at[32];

	long_work_begin(&work, w->doing, 0);
	do {
		struct arena a;
		size_t found = 0;

		arena_init(&a);
		if (!go(w, &a, &cursor, &found))
			walked = CACHES_WALK_FAILED;
		else if (!long_work_step(&work, (int64_t)found) && cursor)
			walked = CACHES_WALK_STOPPED;
		else if (cursor && clock_ms() >= deadline)
			walked = CACHES_WALK_OVER_BUDGET;
		if (cursor) {
			snprintf(at, sizeof(at), "%s", cursor);
			cursor = at;
		}
		arena_release(&a);
	} while (cursor && walked == CACHES_WALKED);
	long_work_end(&work);
	return walked;
}

/* --- counting */

bool caches_tally_look(struct caches_link *l, struct arena *a, enum cache_kind kind, const struct span *keys, size_t n,
                       bool sweep, struct cache_seen *out, struct cache_tally *t)
{
	const redisReply *r = caches_link_ask(l, cache_look_call(a, l->ident, kind, keys, n, sweep), a);

	if (!r || !caches_link_done(l, cache_look_read(r, out, n)))
		return false;
	cache_tally_add(t, keys, out, n);
	return true;
}

struct all {
	struct caches_link *link;
	struct cache_tally *tally;
};

static bool tally_step(void *arg, struct arena *a, enum cache_kind kind, const struct span *keys, size_t n)
{
	struct all *all = arg;

	return caches_tally_look(all->link, a, kind, keys, n, false, arena_array(a, struct cache_seen, n),
	                         &all->tally[kind]);
}

bool caches_tally_all(struct caches_link *l, struct cache_tally tally[CACHE_KINDS])
{
	struct all all = {l, tally};

	for (int kind = 0; kind < CACHE_KINDS; kind++)
		tally[kind] = (struct cache_tally){0};
	switch (caches_walk(&(struct caches_walk){.link = l, .doing = "looking", .step = tally_step, .arg = &all})) {
	case CACHES_WALK_STOPPED:
		session_fail(l->s, EXIT_FAILED, "stopped before all values were counted");
		return false;
	case CACHES_WALK_FAILED: return false;
	default: return true;
	}
}
