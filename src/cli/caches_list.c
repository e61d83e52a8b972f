/* shoal cache list: what each cache is, and what of it lies in Redis. */
#include "shoal/cli/caches.h"
#include "shoal/cli/caches_loaded.h"

static const struct out_col columns[] = {
    {"cache", OUT_TEXT},
    {"entries", OUT_INT},
    {"negative", OUT_INT},
    {"void", OUT_INT},
    {"bytes", OUT_INT},
    {"loaded", OUT_TEXT},
    {"whole_max", OUT_INT},
    {"ttl_seconds", OUT_INT},
    {"last_loaded", OUT_TIME},
    {"keys", OUT_TEXT},
    {0},
};

static int64_t ttl_of(const struct session *s, int kind)
{
	return cache_ttl_s((enum cache_kind)kind, s->conf.player_ttl_s, s->conf.code_ttl_s);
}

static void put(struct session *s, struct out *o, int kind, const struct cache_tally *t, const struct cache_loaded *l)
{
	out_row(o);
	out_text(o, cache_defs[kind].name);
	out_int(o, cache_tally_believed(t));
	out_int(o, t->n[CACHE_HOLDS_NEGATIVE]);
	out_int(o, t->n[CACHE_HOLDS_VOID]);
	out_int(o, t->bytes);
	out_text(o, l->how);
	out_int(o, cache_defs[kind].whole_max);
	out_int(o, ttl_of(s, kind));
	if (l->at_ms)
		out_time(o, l->at_ms);
	else
		out_null(o);
	out_text(o, cache_defs[kind].keys);
}

int caches_list(struct session *s)
{
	struct cache_loaded loaded[CACHE_KINDS];
	struct cache_tally tally[CACHE_KINDS];
	struct caches_link link;
	struct out o;

	if (!caches_link_open(&link, s) || !caches_tally_all(&link, tally))
		return s->code;
	for (int kind = 0; kind < CACHE_NAMED; kind++)
		if (!caches_loaded_ask(&link, (enum cache_kind)kind, ttl_of(s, kind), &loaded[kind]))
			return s->code;
	out_begin(&o, s->json, columns);
	for (int kind = 0; kind < CACHE_NAMED; kind++)
		put(s, &o, kind, &tally[kind], &loaded[kind]);
	return out_end(&o, NULL);
}
