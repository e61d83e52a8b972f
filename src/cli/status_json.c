/* A look at the fleet as one JSON object. */
#include "shoal/base/clock.h"
#include "shoal/cli/status.h"

static double tenth(double v)
{
	return (double)(int64_t)(v * 10 + 0.5) / 10;
}

static void kv_time(struct json_writer *w, const char *name, int64_t ms)
{
	char text[32];

	clock_rfc3339(ms, text, sizeof(text));
	json_kv_str(w, name, ms > 0 ? text : NULL);
}

static void put_servers(struct json_writer *w, const struct status *s)
{
	json_key(w, "servers");
	json_begin_arr(w);
	for (size_t i = 0; i < s->nservers; i++) {
		json_begin_obj(w);
		json_kv_str(w, "name", s->servers[i].name);
		json_kv_bool(w, "reachable", !s->servers[i].why);
		json_kv_str(w, "error", s->servers[i].why);
		json_kv_num(w, "ms", (double)(int64_t)(s->servers[i].ms * 1000 + 0.5) / 1000);
		json_end_obj(w);
	}
	json_end_arr(w);
}

static void put_took(struct json_writer *w, const struct latency *l)
{
	json_kv_i64(w, "count", (int64_t)latency_count(l));
	performance_put_quantiles(w, l);
}

static void put_named(struct json_writer *w, const char *key, const char *what, const struct performance_lines *lines)
{
	json_key(w, key);
	json_begin_arr(w);
	for (size_t i = 0; i < lines->n; i++) {
		json_begin_obj(w);
		json_kv_str(w, "bot", lines->v[i]->bot);
		if (what)
			json_kv_str(w, what, lines->v[i]->name);
		put_took(w, &lines->v[i]->took);
		json_end_obj(w);
	}
	json_end_arr(w);
}

static void put_updates(struct json_writer *w, const struct status *s)
{
	json_begin_obj(w);
	json_kv_num(w, "per_second", tenth(s->per_second));
	json_kv_i64(w, "done", s->done);
	json_kv_i64(w, "window_seconds", s->performance.window_s);
	put_took(w, &s->performance.all);
	put_named(w, "bots", NULL, &s->performance.bots);
	put_named(w, "commands", "command", &s->performance.commands);
	put_named(w, "stages", "stage", &s->performance.stages);
	json_end_obj(w);
}

/* null where no shard answers. */
static void put_queue(struct json_writer *w, const struct status *s)
{
	unsigned known = 0;

	for (unsigned i = 0; i < s->nshards; i++)
		known += !s->servers[i].why;
	json_key(w, "queue");
	if (!known) {
		json_put_null(w);
		return;
	}
	json_begin_obj(w);
	queue_stats_put(w, &s->total);
	json_key(w, "shards");
	json_begin_arr(w);
	for (unsigned i = 0; i < s->nshards; i++) {
		json_begin_obj(w);
		json_kv_i64(w, "shard", i);
		json_kv_bool(w, "reachable", !s->servers[i].why);
		if (!s->servers[i].why)
			queue_stats_put(w, &s->shards[i]);
		json_end_obj(w);
	}
	json_end_arr(w);
	json_end_obj(w);
}

static void put_workers(struct json_writer *w, const struct status *s)
{
	static const char *const texts[] = {"id", "host", "state", "version", NULL};
	static const char *const numbers[] = {"pid", "in_flight", "in_flight_max", "done", "flood_waiting", NULL};

	json_begin_arr(w);
	for (size_t i = 0; i < s->workers.n; i++) {
		const cJSON *told = s->workers.v[i];

		json_begin_obj(w);
		for (const char *const *name = texts; *name; name++)
			json_kv_str(w, *name, json_str(told, *name));
		for (const char *const *name = numbers; *name; name++)
			json_kv_i64(w, *name, status_count(told, *name));
		json_kv_num(w, "per_second", tenth(status_number(told, "per_second")));
		json_end_obj(w);
	}
	json_end_arr(w);
}

static void put_layer(struct json_writer *w, const struct cache_report *r, enum cache_layer layer)
{
	json_key(w, cache_layer_name(layer));
	json_begin_obj(w);
	cache_report_put_asked(w, r->layer[layer].hits, r->layer[layer].asked);
	json_kv_i64(w, "errors", r->layer[layer].errors);
	json_end_obj(w);
}

static void put_caches(struct json_writer *w, const struct status *s)
{
	json_begin_arr(w);
	for (int kind = 0; kind < CACHE_NAMED; kind++) {
		const struct cache_report *r = &s->caches[kind];

		json_begin_obj(w);
		json_kv_str(w, "cache", cache_defs[kind].name);
		json_kv_i64(w, "entries", r->entries);
		json_kv_i64(w, "bytes", r->bytes);
		json_kv_i64(w, "workers", r->workers);
		json_kv_i64(w, "believing", r->believing);
		for (int layer = 0; layer < CACHE_LAYERS; layer++)
			put_layer(w, r, (enum cache_layer)layer);
		json_end_obj(w);
	}
	json_end_arr(w);
}

static void put_flood(struct json_writer *w, const struct status *s)
{
	json_begin_obj(w);
	json_kv_i64(w, "waiting", s->flood_waiting);
	json_kv_i64(w, "waits", s->flood_waits);
	json_end_obj(w);
}

static void put_jobs(struct json_writer *w, const struct status *s)
{
	json_begin_arr(w);
	for (size_t i = 0; i < s->njobs; i++) {
		json_begin_obj(w);
		json_kv_str(w, "job", s->jobs[i].name);
		json_kv_bool(w, "running", s->jobs[i].running);
		json_kv_i64(w, "done", s->jobs[i].done);
		json_kv_i64(w, "failed", s->jobs[i].failed);
		kv_time(w, "last_ended_at", s->jobs[i].ended_ms);
		json_end_obj(w);
	}
	json_end_arr(w);
}

/* null, each: the caches' Redis is away. */
static void put_told(struct json_writer *w, const struct status *s)
{
	static const struct {
		const char *name;
		void (*put)(struct json_writer *w, const struct status *s);
	} parts[] = {{"updates", put_updates},
	             {"workers", put_workers},
	             {"caches", put_caches},
	             {"flood", put_flood},
	             {"fleet_jobs", put_jobs}};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		json_key(w, parts[i].name);
		if (s->told)
			parts[i].put(w, s);
		else
			json_put_null(w);
	}
}

void status_json(const struct status *s, struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_begin_obj(&w);
	kv_time(&w, "at", s->at_ms);
	json_kv_bool(&w, "all_reachable", status_all_up(s));
	put_servers(&w, s);
	put_queue(&w, s);
	put_told(&w, s);
	json_end_obj(&w);
}
