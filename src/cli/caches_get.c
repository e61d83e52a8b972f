/* shoal cache get: one value in Redis, and whether it is what Postgres has. One that is not cached is shown as Postgres
 * has it, and said not to be cached. */
#include <stdio.h>
#include <string.h>

#include "shoal/base/json.h"
#include "shoal/cli/body.h"
#include "shoal/cli/caches.h"
#include "shoal/cli/caches_link.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_value.h"

enum { TEXT_MAX = 1 << 28 };

#define ABOUT                                                                                                          \
	{"cache", OUT_TEXT}, {"key", OUT_KEY}, {"source", OUT_TEXT}, {"state", OUT_TEXT}, {"postgres", OUT_TEXT},      \
	    {"expires_in_seconds", OUT_INT}, {"generation", OUT_TEXT},                                                 \
	{                                                                                                              \
		"filling", OUT_BOOL                                                                                    \
	}

static const struct out_col columns[] = {ABOUT, {0}};
static const struct out_col columns_json[] = {ABOUT, {"value", OUT_JSON}, {0}};

struct got {
	struct session *s;
	enum cache_kind kind;
	const char *key;
	struct cache_shown redis;
	bool asked_postgres;
	struct span postgres; /* ptr NULL: there is none */
};

static bool is_cached(const struct got *g)
{
	return g->redis.holds == CACHE_HOLDS_VALUE || g->redis.holds == CACHE_HOLDS_NEGATIVE;
}

/* --- asking */

static bool ask_redis(struct got *g)
{
	struct caches_link link;
	const redisReply *r;

	if (!caches_link_open(&link, g->s))
		return false;
	r = caches_link_ask(&link, cache_show_call(g->s->a, g->kind, span_of(g->key)), g->s->a);
	return r && caches_link_done(&link, cache_show_read(r, link.ident, g->s->a, &g->redis));
}

/* The list of all keys is no value of Postgres. */
static bool ask_postgres(struct got *g)
{
	PGresult *res;

	if (strcmp(g->key, CACHE_WHOLE) == 0)
		return true;
	if (!session_pg(g->s) || !(res = session_run(g->s, cache_defs[g->kind].one, PARAMS(span_of(g->key)))))
		return false;
	g->asked_postgres = true;
	if (PQntuples(res) > 0)
		g->postgres = (struct span){PQgetvalue(res, 0, 1), (size_t)PQgetlength(res, 0, 1)};
	return true;
}

/* --- telling */

static bool is_same(struct got *g)
{
	struct span redis = g->redis.text, postgres = g->postgres;
	const char *why;
	cJSON *a, *b;

	if (g->redis.holds == CACHE_HOLDS_NEGATIVE || !postgres.ptr)
		return g->redis.holds == CACHE_HOLDS_NEGATIVE && !postgres.ptr;
	if (span_eq(redis, postgres) || g->key[0] == '#')
		return span_eq(redis, postgres);
	a = json_parse(g->s->a, redis, &why);
	b = json_parse(g->s->a, postgres, &why);
	return a && b && cJSON_Compare(a, b, true);
}

static const char *compared(struct got *g)
{
	return !g->asked_postgres ? NULL
	       : !is_cached(g)    ? g->postgres.ptr ? "has it" : "has none"
	       : is_same(g)       ? "same"
	       : g->postgres.ptr  ? "differs"
	                          : "has none";
}

/* What is no JSON (the code of an id, the word `many`) as a JSON text. */
static struct span as_json(struct got *g, struct span text)
{
	const char *why;
	const cJSON *v = g->key[0] == '#' ? NULL : json_parse(g->s->a, text, &why);
	struct json_writer w;
	struct buf b;

	buf_init(&b, TEXT_MAX);
	json_writer_init(&w, &b);
	if (v)
		json_put(&w, v);
	else
		json_put_span(&w, text);
	ENSURE(!b.failed);
	text = arena_span(g->s->a, buf_span(&b));
	buf_release(&b);
	return text;
}

static const char *state_of(struct got *g)
{
	static const char *const states[] = {[CACHE_HOLDS_NOTHING] = "not cached",
	                                     [CACHE_HOLDS_VOID] = "void",
	                                     [CACHE_HOLDS_NEGATIVE] = "negative",
	                                     [CACHE_HOLDS_VALUE] = "value"};
	struct cache_value *v;

	if (g->redis.holds != CACHE_HOLDS_VALUE)
		return states[g->redis.holds];
	v = cache_value_read(g->kind, span_of(g->key), g->redis.text, true);
	cache_value_unref(v);
	return v ? "value" : "unreadable";
}

static int print(struct got *g, struct span text)
{
	const struct cache_shown *r = &g->redis;
	struct session *s = g->s;
	struct out o;
	int code;

	out_begin_one(&o, s->json, s->json ? columns_json : columns);
	out_row(&o);
	out_text(&o, cache_defs[g->kind].name);
	out_text(&o, g->key);
	out_text(&o, is_cached(g) ? "redis" : "postgres");
	out_text(&o, state_of(g));
	out_text(&o, compared(g));
	if (is_cached(g) && r->lives_ms >= 0)
		out_int(&o, r->lives_ms / 1000);
	else
		out_null(&o);
	if (r->generation.ptr)
		out_span(&o, r->generation);
	else
		out_null(&o);
	out_bool(&o, r->filling_ms >= 0 || r->filling_all_ms >= 0);
	if (s->json && text.ptr)
		out_span(&o, as_json(g, text));
	else if (s->json)
		out_null(&o);
	code = out_end(&o, NULL);
	if (s->json || !text.ptr || code != EXIT_DONE)
		return code;
	return body_print(&(struct body){.json = as_json(g, text)});
}

/* The exit code tells of the cache, whatever Postgres has. */
static int not_cached(struct got *g)
{
	const char *dead = g->redis.holds == CACHE_HOLDS_VOID ? " (what Redis has of it is void)" : "";
	const char *filling = g->redis.filling_ms >= 0 ? ", and is being filled now" : "";
	struct session *s = g->s;
	int code = EXIT_DONE;

	if (g->postgres.ptr)
		code = print(g, g->postgres);
	if (code != EXIT_DONE)
		return code;
	return session_fail(s, EXIT_NOT_THERE, "%s %s is not cached%s%s; %s", cache_defs[g->kind].name, g->key, dead,
	                    filling,
	                    g->postgres.ptr     ? "this is what PostgreSQL has"
	                    : g->asked_postgres ? "PostgreSQL has none, either"
	                                        : "it is loaded with the next question for a key that Redis has not");
}

int caches_get(struct session *s)
{
	struct got g = {.s = s, .key = s->args->operands[1]};
	bool asked;

	if (!caches_operand(s, &g.kind) || !caches_key_operand(s, g.kind, g.key) || !ask_redis(&g))
		return s->code;
	asked = ask_postgres(&g);
	if (is_cached(&g)) /* without Postgres, which was said, it is only not compared */
		return print(&g, g.redis.text.len ? g.redis.text : (struct span){0});
	return asked ? not_cached(&g) : s->code;
}
