#include "shoal/store/cache_admin.h"

#include <string.h>

#include "shoal/store/cache_key.h"

#define LOOK_AT "1000" /* names, of one scan */
#define LEASES "shoal:{cache}:l:"

static struct redis_script scan_script = {.name = "lua/cache_scan.lua"};
static struct redis_script look_script = {.name = "lua/cache_look.lua"};
static struct redis_script show_script = {.name = "lua/cache_show.lua"};

static struct cache_call *call_new(struct arena *a, struct redis_script *script, size_t words)
{
	struct cache_call *c = arena_new(a, struct cache_call);

	c->script = script;
	c->argv = arena_array(a, struct span, words);
	return c;
}

static void add(struct cache_call *c, struct span word)
{
	c->argv[c->argc++] = word;
}

static void add_key(struct cache_call *c, struct span name)
{
	ENSURE(c->nkeys == c->argc);
	add(c, name);
	c->nkeys++;
}

static char *new_name(struct arena *a)
{
	return arena_alloc(a, CACHE_NAME_BYTES);
}

/* --- names */

static struct cache_call *scan(struct arena *a, enum cache_kind kind, struct span pattern, const char *cursor)
{
	struct cache_call *c = call_new(a, &scan_script, 4);

	add_key(c, cache_key_generation(new_name(a), kind));
	add(c, cursor ? span_of(cursor) : SPAN("0"));
	add(c, pattern);
	add(c, SPAN(LOOK_AT));
	return c;
}

struct cache_call *cache_scan_call(struct arena *a, const char *cursor)
{
	return scan(a, (enum cache_kind)0, SPAN(CACHE_TRACKED "*"), cursor);
}

/* Nothing before the pattern needs an escape: braces are no pattern here. */
struct cache_call *cache_match_call(struct arena *a, enum cache_kind kind, struct span pattern, bool filling,
                                    const char *cursor)
{
	ENSURE(cache_key_valid(pattern));
	return scan(a, kind,
	            span_of(arena_printf(a, "shoal:{cache}:%s:%s:%.*s", filling ? "[vl]" : "v", cache_defs[kind].name,
	                                 (int)pattern.len, pattern.ptr)),
	            cursor);
}

bool cache_is_pattern(struct span key)
{
	for (size_t i = 0; i < key.len; i++)
		if (strchr("*?[\\", key.ptr[i]))
			return true;
	return false;
}

/* A lease is named as what it fills. */
static bool read_name(const redisReply *r, struct arena *a, struct cache_name *out)
{
	struct span name;

	if (r->type != REDIS_REPLY_STRING)
		return false;
	name = arena_span(a, (struct span){r->str, r->len});
	if (span_starts(name, LEASES))
		name = arena_span(a, span_of(arena_printf(a, CACHE_TRACKED "%s", name.ptr + strlen(LEASES))));
	return cache_key_read(name, &out->kind, &out->key) == CACHE_KEY_VALUE && cache_key_valid(out->key);
}

enum err cache_names_read(const redisReply *r, struct arena *a, struct cache_names *out)
{
	const redisReply *names;

	*out = (struct cache_names){0};
	if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 2 || r->element[0]->type != REDIS_REPLY_STRING ||
	    r->element[1]->type != REDIS_REPLY_ARRAY)
		return ERR_PROTOCOL;
	names = r->element[1];
	if (strcmp(r->element[0]->str, "0") != 0)
		out->cursor = arena_strdup(a, r->element[0]->str);
	out->v = arena_array(a, struct cache_name, names->elements + 1);
	for (size_t i = 0; i < names->elements; i++)
		out->n += read_name(names->element[i], a, &out->v[out->n]);
	return ERR_OK;
}

/* --- what is under them */

struct cache_call *cache_look_call(struct arena *a, const char *ident, enum cache_kind kind, const struct span *keys,
                                   size_t n, bool sweep)
{
	struct cache_call *c = call_new(a, &look_script, n + 3);

	add_key(c, cache_key_generation(new_name(a), kind));
	for (size_t i = 0; i < n; i++)
		add_key(c, cache_key_value(new_name(a), kind, keys[i]));
	add(c, span_of(ident));
	add(c, sweep ? SPAN("sweep") : SPAN(""));
	return c;
}

enum err cache_look_read(const redisReply *r, struct cache_seen *out, size_t n)
{
	if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 2 * n)
		return ERR_PROTOCOL;
	for (size_t i = 0; i < n; i++) {
		const redisReply *holds = r->element[2 * i], *bytes = r->element[2 * i + 1];

		if (holds->type != REDIS_REPLY_INTEGER || bytes->type != REDIS_REPLY_INTEGER ||
		    holds->integer < CACHE_HOLDS_NOTHING || holds->integer > CACHE_HOLDS_VALUE)
			return ERR_PROTOCOL;
		out[i] = (struct cache_seen){(enum cache_holds)holds->integer, bytes->integer};
	}
	return ERR_OK;
}

/* --- one value */

struct cache_call *cache_show_call(struct arena *a, enum cache_kind kind, struct span key)
{
	struct cache_call *c = call_new(a, &show_script, 4);

	add_key(c, cache_key_generation(new_name(a), kind));
	add_key(c, cache_key_value(new_name(a), kind, key));
	add_key(c, cache_key_lease(new_name(a), kind, key));
	add_key(c, cache_key_lease(new_name(a), kind, SPAN(CACHE_WHOLE)));
	return c;
}

static struct span text_at(const redisReply *r, size_t i, struct arena *a)
{
	const redisReply *e = r->element[i];

	return e->type == REDIS_REPLY_STRING ? arena_span(a, (struct span){e->str, e->len}) : (struct span){0};
}

/* The text behind "GENERATION|", where that is one of this server and the one in force. */
static enum cache_holds judge(struct span generation, const char *ident, struct span value, struct span *text)
{
	size_t len = generation.len, head = strlen(ident);

	*text = (struct span){0};
	if (!value.ptr)
		return CACHE_HOLDS_NOTHING;
	if (len <= head || memcmp(generation.ptr, ident, head) != 0 || generation.ptr[head] != '-' ||
	    value.len <= len || memcmp(value.ptr, generation.ptr, len) != 0 || value.ptr[len] != '|')
		return CACHE_HOLDS_VOID;
	*text = (struct span){value.ptr + len + 1, value.len - len - 1};
	return text->len ? CACHE_HOLDS_VALUE : CACHE_HOLDS_NEGATIVE;
}

enum err cache_show_read(const redisReply *r, const char *ident, struct arena *a, struct cache_shown *out)
{
	*out = (struct cache_shown){0};
	if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 5)
		return ERR_PROTOCOL;
	for (size_t i = 2; i < 5; i++)
		if (r->element[i]->type != REDIS_REPLY_INTEGER)
			return ERR_PROTOCOL;
	out->generation = text_at(r, 0, a);
	out->holds = judge(out->generation, ident, text_at(r, 1, a), &out->text);
	out->lives_ms = r->element[2]->integer;
	out->filling_ms = r->element[3]->integer;
	out->filling_all_ms = r->element[4]->integer;
	return ERR_OK;
}
