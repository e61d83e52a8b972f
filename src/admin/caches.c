/* /api/cache: what the fleet asked of each layer of each cache, and what is in it now. */
#include "shoal/admin/roster.h"
#include "shoal/admin/routes.h"
#include "shoal/admin/walk.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_report.h"

enum { COUNT_MS = 500 }; /* of very many values only what can be counted meanwhile */

struct looking {
	struct cache_report reports[CACHE_KINDS];
	struct walked walked;
	struct cache_loaded loaded[CACHE_NAMED];
	int kind; /* whose list of all keys is asked for */
};

/* As the workers have it; where none is alive, as they would. */
static int64_t ttl_of(const struct visitor *v, int kind)
{
	const struct looking *l = v->state;
	const struct conf *c = v->api->conf;

	return l->reports[kind].ttl_s >= 0 ? l->reports[kind].ttl_s
	                                   : cache_ttl_s((enum cache_kind)kind, c->player_ttl_s, c->code_ttl_s);
}

/* --- telling */

static void begin_layer(struct json_writer *out, const struct cache_report *r, enum cache_layer layer)
{
	json_key(out, cache_layer_name(layer));
	json_begin_obj(out);
	cache_report_put_asked(out, r->layer[layer].hits, r->layer[layer].asked);
	json_kv_i64(out, "bypassed", r->layer[layer].bypassed);
	json_kv_i64(out, "errors", r->layer[layer].errors);
}

static void put_layers(struct visitor *v, int kind)
{
	const struct looking *l = v->state;
	const struct cache_report *r = &l->reports[kind];
	const struct cache_tally *t = &l->walked.tally[kind];
	struct json_writer *out = &v->json;

	json_key(out, "layers");
	json_begin_obj(out);
	begin_layer(out, r, CACHE_MEMORY);
	json_kv_i64(out, "entries", r->entries);
	json_kv_i64(out, "bytes", r->bytes);
	json_kv_i64(out, "evictions", r->evictions);
	json_kv_i64(out, "believing", r->believing);
	json_end_obj(out);
	begin_layer(out, r, CACHE_REDIS);
	json_kv_i64(out, "entries", cache_tally_believed(t));
	json_kv_i64(out, "negative", t->n[CACHE_HOLDS_NEGATIVE]);
	json_kv_i64(out, "void", t->n[CACHE_HOLDS_VOID]);
	json_kv_i64(out, "bytes", t->bytes);
	json_end_obj(out);
	begin_layer(out, r, CACHE_POSTGRES);
	json_end_obj(out);
	json_end_obj(out);
}

/* A question that memory or Redis could answer is a hit; one that went to Postgres is a miss. */
static void put_cache(struct visitor *v, int kind)
{
	const struct looking *l = v->state;
	const struct cache_report *r = &l->reports[kind];
	int64_t hits = r->layer[CACHE_MEMORY].hits + r->layer[CACHE_REDIS].hits;
	struct json_writer *out = &v->json;

	json_begin_obj(out);
	json_kv_str(out, "cache", cache_defs[kind].name);
	json_kv_str(out, "keys", cache_defs[kind].keys);
	json_kv_i64(out, "entries", cache_tally_believed(&l->walked.tally[kind]));
	json_kv_i64(out, "bytes", l->walked.tally[kind].bytes);
	json_kv_bool(out, "all_counted", l->walked.whole);
	cache_report_put_asked(out, hits, hits + r->layer[CACHE_POSTGRES].asked);
	json_kv_i64(out, "ttl_seconds", ttl_of(v, kind));
	visitor_kv_time(v, "last_loaded", l->loaded[kind].at_ms ? l->loaded[kind].at_ms : -1);
	json_kv_str(out, "loaded", l->loaded[kind].how);
	json_kv_i64(out, "workers", r->workers);
	put_layers(v, kind);
	json_end_obj(out);
}

static void tell(struct visitor *v)
{
	json_begin_arr(&v->json);
	for (int kind = 0; kind < CACHE_NAMED; kind++)
		put_cache(v, kind);
	json_end_arr(&v->json);
	visitor_send(v, 200);
}

/* --- asking: the workers, then Redis for all values, then for the list of each cache */

static void ask_list(struct visitor *v);

static void on_list(void *arg, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;
	struct looking *l = v->state;
	struct cache_shown list;

	if (err == ERR_OK)
		err = cache_show_read(reply, cache_gen_server(v->api->gen), v->a, &list);
	if (err != ERR_OK) {
		visitor_failed(v, err, "Redis");
		return;
	}
	l->loaded[l->kind] = cache_loaded_of((enum cache_kind)l->kind, &list, ttl_of(v, l->kind));
	l->kind++;
	ask_list(v);
}

static void ask_list(struct visitor *v)
{
	struct looking *l = v->state;
	struct cache_call *c;

	if (l->kind == CACHE_NAMED) {
		tell(v);
		return;
	}
	c = cache_show_call(v->a, (enum cache_kind)l->kind, SPAN(CACHE_WHOLE));
	redis_eval(v->api->cache, c->script, on_list, v, c->nkeys, c->argc, c->argv);
}

static void on_walked(void *arg, const struct walked *w)
{
	struct visitor *v = arg;
	struct looking *l = v->state;

	if (w->err != ERR_OK) {
		visitor_failed(v, w->err, "Redis");
		return;
	}
	l->walked = *w;
	ask_list(v);
}

static void on_alive(void *arg, enum err err, const struct roster_answer *answer)
{
	struct visitor *v = arg;
	struct looking *l = v->state;

	if (err != ERR_OK) {
		visitor_failed(v, err, "Redis");
		return;
	}
	cache_report_init(l->reports);
	for (size_t i = 0; i < answer->alive.n; i++)
		cache_report_add(l->reports, json_get(answer->alive.v[i], "caches"));
	walk_begin(v->api, &(struct walk_opts){.all = true, .budget_ms = COUNT_MS}, on_walked, v);
}

void caches_look(struct visitor *v)
{
	v->state = arena_new(v->a, struct looking);
	roster_ask(v->api->roster, v->a, on_alive, v);
}
