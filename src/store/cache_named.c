#include "shoal/store/cache_named.h"

#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/rules.h"

bool cache_named_find(const char *name, enum cache_kind *kind)
{
	return cache_kind_find(span_of(name), kind) && *kind < CACHE_NAMED;
}

/* --- keys */

static bool is_id(const char *key)
{
	const char *digits = key + (key[0] == '-');
	int64_t v;

	return (digits[0] != '0' || (digits[1] == '\0' && digits == key)) && span_i64(span_of(key), &v);
}

static bool is_startcode(struct arena *a, const char *key)
{
	return key[0] == '#' ? is_id(key + 1) : rule_code(a, key) == NULL;
}

static bool is_persona(struct arena *a, const char *key)
{
	(void)a;
	return is_id(key) || strcmp(key, "default") == 0;
}

static bool is_player(struct arena *a, const char *key)
{
	(void)a;
	return is_id(key);
}

static bool is_static(struct arena *a, const char *key)
{
	static const char *const tables[] = {"maps", "races", "regions", "countries"};

	(void)a;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (strcmp(key, tables[i]) == 0)
			return true;
	return false;
}

static bool (*const fits[CACHE_NAMED])(struct arena *a, const char *key) = {
    [CACHE_STARTCODE] = is_startcode,
    [CACHE_PERSONA] = is_persona,
    [CACHE_PLAYER] = is_player,
    [CACHE_STATIC] = is_static,
};

bool cache_named_fits(struct arena *a, enum cache_kind kind, const char *key)
{
	return fits[kind](a, key) || (cache_defs[kind].all && strcmp(key, CACHE_WHOLE) == 0);
}

size_t cache_named_companions(enum cache_kind kind, struct span out[2])
{
	size_t n = 0;

	if (kind == CACHE_STARTCODE || kind == CACHE_PERSONA)
		out[n++] = SPAN(CACHE_WHOLE);
	if (kind == CACHE_PERSONA)
		out[n++] = SPAN("default");
	return n;
}

/* --- what there is */

void cache_tally_add(struct cache_tally *t, const struct span *keys, const struct cache_seen *seen, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!span_is(keys[i], CACHE_WHOLE)) /* nobody has put that in */
			t->n[seen[i].holds]++;
		t->bytes += seen[i].bytes;
	}
}

int64_t cache_tally_believed(const struct cache_tally *t)
{
	return t->n[CACHE_HOLDS_VALUE] + t->n[CACHE_HOLDS_NEGATIVE];
}

/* The list of all keys is written last, and lives as long as the values: its age is that of the load. */
static int64_t began(int64_t lives_ms, int64_t ttl_s)
{
	int64_t age = cache_whole_ms(1000 * ttl_s) - lives_ms;

	return lives_ms < 0 || age < 0 ? 0 : clock_wall_ms() - age;
}

struct cache_loaded cache_loaded_of(enum cache_kind kind, const struct cache_shown *list, int64_t ttl_s)
{
	if (!cache_defs[kind].all)
		return (struct cache_loaded){.how = "one by one"};
	if (list->holds != CACHE_HOLDS_VALUE)
		return (struct cache_loaded){.how = "no"};
	return (struct cache_loaded){.how = span_is(list->text, "many") ? "one by one" : "whole",
	                             .at_ms = began(list->lives_ms, ttl_s)};
}
