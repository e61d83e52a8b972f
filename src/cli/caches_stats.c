/* shoal cache stats: what the workers that are alive asked of each layer since they began, and what is in it now. */
#include <stdio.h>
#include <stdlib.h>

#include "shoal/cli/beacons.h"
#include "shoal/cli/caches.h"
#include "shoal/cli/caches_loaded.h"
#include "shoal/store/cache_report.h"

#define HEAD                                                                                                           \
	{"cache", OUT_TEXT}, {"layer", OUT_TEXT}, {"entries", OUT_INT}, {"bytes", OUT_INT},                            \
	{                                                                                                              \
		"hits", OUT_INT                                                                                        \
	}
#define TAIL                                                                                                           \
	{"errors", OUT_INT}, {"ttl_seconds", OUT_INT},                                                                 \
	{                                                                                                              \
		"last_loaded", OUT_TIME                                                                                \
	}

static const struct out_col columns_table[] = {HEAD, {"misses", OUT_INT}, {"hit_rate_pct", OUT_NUM}, TAIL, {0}};
static const struct out_col columns_json[] = {HEAD,
                                              {"misses", OUT_INT},
                                              {"hit_rate_pct", OUT_NUM},
                                              TAIL,
                                              {"bypassed", OUT_INT},
                                              {"evictions", OUT_INT},
                                              {"void", OUT_INT},
                                              {"workers", OUT_INT},
                                              {"believing", OUT_INT},
                                              {0}};
static const struct out_col columns_workers[] = {
    {"worker", OUT_TEXT},        {"cache", OUT_TEXT},       {"believed", OUT_BOOL},
    {"entries", OUT_INT},        {"bytes", OUT_INT},        {"hits", OUT_INT},
    {"misses", OUT_INT},         {"hit_rate_pct", OUT_NUM}, {"bypassed", OUT_INT},
    {"evictions", OUT_INT},      {"redis_hits", OUT_INT},   {"redis_misses", OUT_INT},
    {"postgres_asked", OUT_INT}, {"last_loaded", OUT_TIME}, {0}};

/* A number that a layer may not have. */
static void put_int(struct out *o, bool known, int64_t v)
{
	if (known)
		out_int(o, v);
	else
		out_null(o);
}

static void put_time(struct out *o, int64_t ms)
{
	if (ms)
		out_time(o, ms);
	else
		out_null(o);
}

/* Hits, misses, and their rate with one decimal. */
static void put_asked(struct out *o, int64_t hits, int64_t asked)
{
	out_int(o, hits);
	out_int(o, asked - hits);
	if (asked)
		out_num(o, (double)(hits * 1000 / asked) / 10);
	else
		out_null(o);
}

/* --- by worker */

static void put_worker(struct out *o, const char *id, int kind, const struct cache_report *r)
{
	out_row(o);
	out_text(o, id);
	out_text(o, cache_defs[kind].name);
	out_bool(o, r->believing > 0);
	out_int(o, r->entries);
	out_int(o, r->bytes);
	put_asked(o, r->layer[CACHE_MEMORY].hits, r->layer[CACHE_MEMORY].asked);
	out_int(o, r->layer[CACHE_MEMORY].bypassed);
	out_int(o, r->evictions);
	out_int(o, r->layer[CACHE_REDIS].hits);
	out_int(o, r->layer[CACHE_REDIS].asked - r->layer[CACHE_REDIS].hits);
	out_int(o, r->layer[CACHE_POSTGRES].asked);
	put_time(o, r->loaded_ms);
}

static int by_worker(struct session *s, const struct beacons *alive)
{
	struct cache_report reports[CACHE_KINDS];
	struct out o;

	out_begin(&o, s->json, columns_workers);
	for (size_t i = 0; i < alive->n; i++) {
		cache_report_init(reports);
		cache_report_add(reports, json_get(alive->v[i], "caches"));
		for (int kind = 0; kind < CACHE_NAMED; kind++)
			if (reports[kind].workers)
				put_worker(&o, json_str(alive->v[i], "id"), kind, &reports[kind]);
	}
	return out_end(&o, "no worker is alive");
}

/* --- of the fleet */

struct fleet {
	struct cache_report reports[CACHE_KINDS];
	struct cache_tally tally[CACHE_KINDS];
	struct cache_loaded loaded[CACHE_KINDS];
};

/* As the workers have it; where none is alive, as they would. */
static int64_t ttl_of(const struct session *s, const struct fleet *f, int kind)
{
	return f->reports[kind].ttl_s >= 0
	           ? f->reports[kind].ttl_s
	           : cache_ttl_s((enum cache_kind)kind, s->conf.player_ttl_s, s->conf.code_ttl_s);
}

/* What is in Postgres is no copy: it has no entries, no life, and was never loaded. */
static void put_layer(struct session *s, struct out *o, const struct fleet *f, int kind, enum cache_layer layer)
{
	const struct cache_report *r = &f->reports[kind];
	const struct cache_tally *t = &f->tally[kind];
	bool memory = layer == CACHE_MEMORY, redis = layer == CACHE_REDIS;

	out_row(o);
	out_text(o, cache_defs[kind].name);
	out_text(o, cache_layer_name(layer));
	put_int(o, memory || redis, memory ? r->entries : cache_tally_believed(t));
	put_int(o, memory || redis, memory ? r->bytes : t->bytes);
	put_asked(o, r->layer[layer].hits, r->layer[layer].asked);
	out_int(o, r->layer[layer].errors);
	put_int(o, memory || redis, ttl_of(s, f, kind));
	put_time(o, memory ? r->loaded_ms : redis ? f->loaded[kind].at_ms : 0);
	if (!s->json)
		return;
	put_int(o, memory || redis, r->layer[layer].bypassed);
	put_int(o, memory, r->evictions);
	put_int(o, redis, t->n[CACHE_HOLDS_VOID]);
	out_int(o, r->workers);
	put_int(o, memory, r->believing);
}

static bool look(struct caches_link *l, const struct beacons *alive, struct fleet *f)
{
	cache_report_init(f->reports);
	for (size_t i = 0; i < alive->n; i++)
		cache_report_add(f->reports, json_get(alive->v[i], "caches"));
	if (!caches_tally_all(l, f->tally))
		return false;
	for (int kind = 0; kind < CACHE_NAMED; kind++)
		if (!caches_loaded_ask(l, (enum cache_kind)kind, ttl_of(l->s, f, kind), &f->loaded[kind]))
			return false;
	return true;
}

static void say_believing(const struct cache_report *r)
{
	if (r->workers == 0)
		fprintf(stderr, "no worker is alive\n");
	else if (r->believing < r->workers)
		fprintf(stderr, "%lld of %lld workers do not believe their memory now: --workers shows which\n",
		        (long long)(r->workers - r->believing), (long long)r->workers);
}

static int of_fleet(struct caches_link *l, const struct beacons *alive)
{
	struct fleet f;
	struct out o;
	int code;

	if (!look(l, alive, &f))
		return l->s->code;
	out_begin(&o, l->s->json, l->s->json ? columns_json : columns_table);
	for (int kind = 0; kind < CACHE_NAMED; kind++)
		for (int layer = 0; layer < CACHE_LAYERS; layer++)
			put_layer(l->s, &o, &f, kind, (enum cache_layer)layer);
	code = out_end(&o, NULL);
	if (!l->s->json)
		say_believing(&f.reports[0]);
	return code;
}

int caches_stats(struct session *s)
{
	struct caches_link link;
	struct beacons alive;
	int code;

	if (!caches_link_open(&link, s))
		return s->code;
	if (!beacons_read(s, link.redis, &alive))
		code = s->code;
	else if (args_has(s->args, "workers"))
		code = by_worker(s, &alive);
	else
		code = of_fleet(&link, &alive);
	free(alive.v);
	return code;
}
