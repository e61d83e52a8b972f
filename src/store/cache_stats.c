#include "shoal/store/cache_parts.h"

#include "shoal/base/clock.h"

static void put_memory(struct cache *c, enum cache_kind kind, struct json_writer *out)
{
	struct cache_memory_stats m = {0};

	if (c->memory)
		m = cache_memory_stats(c->memory, kind);
	json_key(out, "memory");
	json_begin_obj(out);
	json_kv_bool(out, "believed", cache_belief(c) != 0);
	json_kv_i64(out, "entries", (int64_t)m.entries);
	json_kv_i64(out, "bytes", (int64_t)m.bytes);
	json_kv_i64(out, "evictions", (int64_t)m.evictions);
	json_kv_i64(out, "hits", cache_count_hits(&c->counts, kind, CACHE_MEMORY));
	json_kv_i64(out, "asked", cache_count_asked(&c->counts, kind, CACHE_MEMORY));
	json_kv_i64(out, "bypassed", c->counts.n[kind][CACHE_MEMORY][CACHE_BYPASS]);
	json_end_obj(out);
}

static void put_layer(const struct cache *c, enum cache_kind kind, enum cache_layer layer, struct json_writer *out)
{
	json_key(out, cache_layer_name(layer));
	json_begin_obj(out);
	json_kv_i64(out, "hits", cache_count_hits(&c->counts, kind, layer));
	json_kv_i64(out, "asked", cache_count_asked(&c->counts, kind, layer));
	json_kv_i64(out, "errors", c->counts.n[kind][layer][CACHE_ERROR]);
	json_end_obj(out);
}

static void put_loaded(int64_t wall_ms, struct json_writer *out)
{
	char text[32];

	clock_rfc3339(wall_ms, text, sizeof(text));
	json_kv_str(out, "last_loaded", wall_ms ? text : NULL);
}

void cache_put_stats(struct cache *c, struct json_writer *out)
{
	json_begin_arr(out);
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		json_begin_obj(out);
		json_kv_str(out, "cache", cache_defs[kind].name);
		json_kv_i64(out, "ttl_seconds", cache_ttl_of(c, (enum cache_kind)kind));
		put_loaded(c->loaded_ms[kind], out);
		put_memory(c, (enum cache_kind)kind, out);
		put_layer(c, (enum cache_kind)kind, CACHE_REDIS, out);
		put_layer(c, (enum cache_kind)kind, CACHE_POSTGRES, out);
		json_end_obj(out);
	}
	json_end_arr(out);
}
