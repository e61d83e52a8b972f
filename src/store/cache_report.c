#include "shoal/store/cache_report.h"

#include "shoal/base/clock.h"

void cache_report_init(struct cache_report reports[CACHE_KINDS])
{
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		reports[kind] = (struct cache_report){.ttl_s = -1};
}

/* Whoever can write into that Redis can tell anything: no sum of it shall overflow. */
static int64_t number(const cJSON *obj, const char *name)
{
	const int64_t most = INT64_C(1000000000000000);
	int64_t v = 0;

	return json_i64(obj, name, &v) && v > 0 ? v < most ? v : most : 0;
}

static void add_layer(struct cache_report *r, enum cache_layer layer, const cJSON *told)
{
	r->layer[layer].asked += number(told, "asked");
	r->layer[layer].hits += number(told, "hits");
	r->layer[layer].bypassed += number(told, "bypassed");
	r->layer[layer].errors += number(told, "errors");
}

static void add(struct cache_report *r, const cJSON *told)
{
	const cJSON *memory = json_obj(told, "memory");
	const char *loaded = json_str(told, "last_loaded");
	bool believed = false;
	int64_t ms;

	r->workers++;
	r->believing += json_bool(memory, "believed", &believed) && believed;
	if (json_i64(told, "ttl_seconds", &ms))
		r->ttl_s = ms;
	if (loaded && clock_parse_rfc3339(loaded, &ms) && ms > r->loaded_ms)
		r->loaded_ms = ms;
	r->entries += number(memory, "entries");
	r->bytes += number(memory, "bytes");
	r->evictions += number(memory, "evictions");
	for (int layer = 0; layer < CACHE_LAYERS; layer++)
		add_layer(r, (enum cache_layer)layer, json_obj(told, cache_layer_name((enum cache_layer)layer)));
}

void cache_report_add(struct cache_report reports[CACHE_KINDS], const cJSON *caches)
{
	const cJSON *told;
	enum cache_kind kind;

	if (!cJSON_IsArray(caches))
		return;
	cJSON_ArrayForEach(told, caches)
	{
		if (cache_kind_find(span_of(json_str(told, "cache")), &kind))
			add(&reports[kind], told);
	}
}

void cache_report_put_asked(struct json_writer *out, int64_t hits, int64_t asked)
{
	json_kv_i64(out, "hits", hits);
	json_kv_i64(out, "misses", asked - hits);
	json_key(out, "hit_rate_pct");
	if (asked)
		json_put_num(out, (double)(hits * 1000 / asked) / 10);
	else
		json_put_null(out);
}
