/* shoal cache invalidate: keys, those that match a pattern, or all of a cache are forgotten by the whole fleet. */
#include <stdlib.h>
#include <string.h>

#include "shoal/base/json.h"
#include "shoal/cli/caches.h"
#include "shoal/cli/caches_forget.h"
#include "shoal/cli/long_work.h"
#include "shoal/store/cache_key.h"

enum { NOTED_MAX = 100 };

static const struct out_col columns[] = {{"cache", OUT_TEXT},
                                         {"values", OUT_INT},
                                         {"heard", OUT_INT},
                                         {"silent", OUT_INT},
                                         {"stopped", OUT_BOOL},
                                         {"dry_run", OUT_BOOL},
                                         {0}};

struct work {
	struct session *s;
	struct caches_link link;
	enum cache_kind kind;
	const char *const *operands; /* behind the cache */
	size_t n;
	bool all, dry;
	bool complete; /* it was not stopped, and did not fail */
	bool counts;   /* the first pass */
	struct cache_tally tally;
	struct caches_forgotten forgotten;
};

/* --- steps */

static bool forget(struct work *w, const struct span *keys, size_t n)
{
	for (size_t i = 0; i < n; i += CACHE_VOID_KEYS) {
		size_t some = n - i < CACHE_VOID_KEYS ? n - i : CACHE_VOID_KEYS;
		int64_t values;

		w->forgotten.begun = true;
		if (!caches_link_done(&w->link, cache_void_now(w->link.redis, w->kind, keys + i, some, &values)))
			return false;
	}
	return true;
}

static bool step(void *arg, struct arena *a, enum cache_kind kind, const struct span *keys, size_t n)
{
	struct work *w = arg;
	struct cache_tally again = {0};

	if (!caches_tally_look(&w->link, a, kind, keys, n, false, arena_array(a, struct cache_seen, n),
	                       w->counts ? &w->tally : &again))
		return false;
	return w->dry || forget(w, keys, n);
}

static bool walk(struct work *w, const char *pattern)
{
	enum caches_walked walked = caches_walk(&(struct caches_walk){.link = &w->link,
	                                                              .doing = w->dry ? "looking" : "forgetting",
	                                                              .pattern = pattern,
	                                                              .kind = w->kind,
	                                                              .filling = !w->dry,
	                                                              .step = step,
	                                                              .arg = w});

	w->forgotten.stopped |= walked == CACHES_WALK_STOPPED;
	return walked != CACHES_WALK_FAILED;
}

/* --- which */

static int by_bytes(const void *a, const void *b)
{
	return strcmp(((const struct span *)a)->ptr, ((const struct span *)b)->ptr);
}

/* Those that are no patterns, each once. */
static size_t exact_keys(const struct work *w, struct span *out)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < w->n; i++)
		if (!cache_is_pattern(span_of(w->operands[i])))
			out[n++] = span_of(w->operands[i]);
	if (n > 1)
		qsort(out, n, sizeof(*out), by_bytes);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !span_eq(out[i], out[kept - 1]))
			out[kept++] = out[i];
	return kept;
}

static bool forget_keys(struct work *w)
{
	struct span *keys = arena_array(w->s->a, struct span, w->n + 1), with[2];
	size_t n = exact_keys(w, keys);

	if (n > 0 && !step(w, w->s->a, w->kind, keys, n))
		return false;
	return w->dry || forget(w, with, cache_named_companions(w->kind, with));
}

static bool forget_patterns(struct work *w)
{
	for (size_t i = 0; i < w->n && !w->forgotten.stopped; i++)
		if (cache_is_pattern(span_of(w->operands[i])) && !walk(w, w->operands[i]))
			return false;
	return true;
}

/* What somebody was filling when it began is a value or still being filled when the second pass begins, whatever the
 * first one met. */
static bool forget_named(struct work *w)
{
	bool good;

	w->counts = true;
	good = forget_keys(w) && forget_patterns(w);
	w->counts = false;
	w->forgotten.values = cache_tally_believed(&w->tally);
	if (!good || (!w->dry && !w->forgotten.stopped && !forget_patterns(w)))
		return false;
	return w->dry || caches_link_fence(&w->link, &w->forgotten.heard);
}

static bool count_all(struct work *w)
{
	w->counts = true;
	if (!walk(w, "*"))
		return false;
	w->forgotten.values = cache_tally_believed(&w->tally);
	return true;
}

/* --- telling */

/* {"all":false,"values":2,"complete":true,"keys":["1","default"]}; of many the first. */
static const char *details(const struct work *w)
{
	struct json_writer out;
	const char *text;
	struct buf b;

	buf_init(&b, 1 << 20);
	json_writer_init(&out, &b);
	json_begin_obj(&out);
	json_kv_bool(&out, "all", w->all);
	json_kv_i64(&out, "values", w->forgotten.values);
	json_kv_bool(&out, "complete", w->complete);
	json_key(&out, "keys");
	json_begin_arr(&out);
	for (size_t i = 0; i < w->n && i < NOTED_MAX; i++)
		json_put_str(&out, w->operands[i]);
	json_end_arr(&out);
	json_end_obj(&out);
	text = arena_span(w->s->a, buf_span(&b)).ptr;
	buf_release(&b);
	return text;
}

static int put(const struct work *w)
{
	const struct caches_forgotten *f = &w->forgotten;
	struct out o;

	out_begin_one(&o, true, columns);
	out_row(&o);
	out_text(&o, cache_defs[w->kind].name);
	out_int(&o, f->values);
	if (w->dry) {
		out_null(&o);
		out_null(&o);
	} else {
		out_int(&o, f->heard.heard);
		out_int(&o, f->heard.silent);
	}
	out_bool(&o, f->stopped);
	out_bool(&o, w->dry);
	return out_end(&o, NULL);
}

static int say(const struct work *w)
{
	int64_t n = w->forgotten.values;

	if (w->dry)
		return out_done(false, "%lld value%s would be forgotten", (long long)n, n == 1 ? "" : "s");
	return out_done(false, "%s", caches_forgotten_text(w->s->a, &w->forgotten));
}

static int tell(const struct work *w)
{
	int code = w->s->json ? put(w) : say(w);

	if (w->forgotten.stopped)
		return session_fail(w->s, EXIT_FAILED, "stopped before it was through: %s",
		                    w->dry   ? "there may be more"
		                    : w->all ? "all are void, and what was not removed goes with its time"
		                             : "what was forgotten stays so, the rest is as it was");
	return code;
}

/* --- */

static bool read_operands(struct work *w)
{
	if (!caches_operand(w->s, &w->kind))
		return false;
	if (w->all == (w->n > 0)) {
		session_usage(w->s, w->all ? "name keys, or say --all, not both"
		                           : "say what: KEY..., which may be patterns in quotes, or --all");
		return false;
	}
	for (size_t i = 0; i < w->n; i++)
		if (cache_is_pattern(span_of(w->operands[i])) ? !caches_pattern_operand(w->s, w->operands[i])
		                                              : !caches_key_operand(w->s, w->kind, w->operands[i]))
			return false;
	return true;
}

static int forget_and_tell(struct work *w)
{
	if (!w->all ? forget_named(w) : w->dry ? count_all(w) : caches_forget_all(&w->link, w->kind, &w->forgotten)) {
		w->complete = !w->forgotten.stopped;
		return tell(w);
	}
	if (w->forgotten.begun)
		session_fail(
		    w->s, w->s->code,
		    "some of it may be forgotten, and not every worker may have heard: call it again to be sure");
	return w->s->code;
}

int caches_invalidate(struct session *s)
{
	struct work w = {.s = s,
	                 .operands = s->args->operands + 1,
	                 .n = s->args->noperands - 1,
	                 .all = args_has(s->args, "all"),
	                 .dry = args_has(s->args, "dry-run")};
	int code;

	if (!read_operands(&w) || !caches_link_open(&w.link, s))
		return s->code;
	long_work_hold();
	code = forget_and_tell(&w);
	if (w.forgotten.begun)
		session_note(s, "cache.invalidate", arena_printf(s->a, "cache:%s", cache_defs[w.kind].name),
		             details(&w));
	long_work_let_go();
	return code;
}
