#include "shoal/store/cache_value.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/err.h"
#include "shoal/base/json.h"
#include "shoal/store/cache_build.h"
#include "shoal/store/cache_key.h"

/* --- members of objects. Not there and null are the same; another type makes no sense. */

static bool read_text(const cJSON *obj, const char *name, const char **out)
{
	const cJSON *v = json_get(obj, name);

	*out = cJSON_GetStringValue(v);
	return *out || !v || cJSON_IsNull(v);
}

static bool read_i64(const cJSON *obj, const char *name, bool *there, int64_t *out)
{
	const cJSON *v = json_get(obj, name);

	*there = json_value_i64(v, out);
	return *there || !v || cJSON_IsNull(v);
}

static bool read_ms(const cJSON *obj, const char *name, int64_t *out)
{
	bool there;

	return read_i64(obj, name, &there, out);
}

/* --- start codes */

static bool read_code(const cJSON *obj, struct fact_code *c)
{
	const char *persona;

	*c = (struct fact_code){.asked = true, .found = true, .code = json_str(obj, "code")};
	return c->code && json_i64(obj, "id", &c->id) && json_bool(obj, "active", &c->active) &&
	       read_text(obj, "persona_id", &persona) && (!persona || span_i64(span_of(persona), &c->persona_id)) &&
	       read_i64(obj, "max_uses", &c->limited, &c->max_uses) && read_ms(obj, "expires_ms", &c->expires_ms);
}

static struct cache_value *new_code(struct span key, const cJSON *json)
{
	struct cache_build b;
	struct fact_code c, *to;

	if (!read_code(json, &c) || !span_is(key, c.code))
		return NULL;
	b = cache_build_begin(CACHE_STARTCODE, true, sizeof(c) + cache_build_text_bytes(c.code));
	to = cache_build_take(&b, sizeof(*to));
	*to = c;
	to->code = cache_build_text(&b, c.code);
	return cache_build_end(&b);
}

static struct cache_value *new_alias(struct span code)
{
	struct cache_build b;
	const char **alias;
	char *text;

	if (code.len == 0 || memchr(code.ptr, '\0', code.len) || !utf8_valid(code))
		return NULL;
	b = cache_build_begin(CACHE_STARTCODE, true, sizeof(*alias) + code.len + 1);
	alias = cache_build_take(&b, sizeof(*alias));
	*alias = text = cache_build_take(&b, code.len + 1);
	memcpy(text, code.ptr, code.len);
	return cache_build_end(&b);
}

static struct cache_value *read_startcode(struct span key, struct span text, struct arena *a)
{
	const char *why;

	if (span_starts(key, "#"))
		return new_alias(text);
	return new_code(key, json_parse(a, text, &why));
}

/* --- personas */

static bool read_replies(const cJSON *list, struct fact_persona *p, const char **replies)
{
	const cJSON *item;

	p->replies = replies;
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item))
			return false;
		replies[p->nreplies++] = item->valuestring;
	}
	return true;
}

static bool read_persona_json(const cJSON *obj, struct arena *a, struct fact_persona *p)
{
	const cJSON *list = json_arr(obj, "replies");

	*p = (struct fact_persona){
	    .found = true,
	    .key = json_str(obj, "key"),
	    .name = json_str(obj, "name"),
	    .greeting = json_str(obj, "greeting"),
	};
	return p->key && p->name && p->greeting && list && read_text(obj, "prompt", &p->prompt) &&
	       json_i64(obj, "id", &p->id) && json_bool(obj, "active", &p->active) &&
	       read_replies(list, p, arena_array(a, const char *, (size_t)cJSON_GetArraySize(list)));
}

static size_t persona_bytes(const struct fact_persona *p)
{
	size_t bytes = sizeof(*p) + p->nreplies * sizeof(*p->replies) + cache_build_text_bytes(p->key) +
	               cache_build_text_bytes(p->name) + cache_build_text_bytes(p->greeting) +
	               cache_build_text_bytes(p->prompt);

	for (size_t i = 0; i < p->nreplies; i++)
		bytes += cache_build_text_bytes(p->replies[i]);
	return bytes;
}

static struct cache_value *read_persona(struct span key, struct span text, struct arena *a)
{
	const char *why, **replies;
	struct fact_persona p, *to;
	struct cache_build b;
	int64_t id;

	if (!read_persona_json(json_parse(a, text, &why), a, &p) ||
	    !(span_is(key, "default") || (span_i64(key, &id) && id == p.id)))
		return NULL;
	b = cache_build_begin(CACHE_PERSONA, true, persona_bytes(&p));
	to = cache_build_take(&b, sizeof(*to));
	*to = p;
	to->replies = replies = cache_build_take(&b, p.nreplies * sizeof(*replies));
	for (size_t i = 0; i < p.nreplies; i++)
		replies[i] = cache_build_text(&b, p.replies[i]);
	to->key = cache_build_text(&b, p.key);
	to->name = cache_build_text(&b, p.name);
	to->greeting = cache_build_text(&b, p.greeting);
	to->prompt = cache_build_text(&b, p.prompt);
	return cache_build_end(&b);
}

/* --- players */

static struct cache_value *read_player(struct span key, struct span text, struct arena *a)
{
	const char *why;
	const cJSON *obj = json_parse(a, text, &why);
	struct fact_player p = {.found = true}, *to;
	struct cache_build b;

	if (!span_i64(key, &p.uid) || !cJSON_IsObject(obj) || !read_text(obj, "name", &p.name) ||
	    !read_text(obj, "country", &p.country) || !read_text(obj, "region", &p.region) ||
	    !read_ms(obj, "tos_ms", &p.tos_ms) || !read_ms(obj, "setup_ms", &p.setup_ms))
		return NULL;
	b = cache_build_begin(CACHE_PLAYER, true,
	                      sizeof(p) + cache_build_text_bytes(p.name) + cache_build_text_bytes(p.country) +
	                          cache_build_text_bytes(p.region));
	to = cache_build_take(&b, sizeof(*to));
	*to = p;
	to->name = cache_build_text(&b, p.name);
	to->country = cache_build_text(&b, p.country);
	to->region = cache_build_text(&b, p.region);
	return cache_build_end(&b);
}

/* --- static tables */

static bool read_row(const cJSON *obj, struct static_row *row)
{
	const cJSON *active = json_get(obj, "active");

	*row = (struct static_row){.code = json_str(obj, "code"), .name = json_str(obj, "name"), .active = true};
	return row->code && row->name && read_text(obj, "game", &row->game) &&
	       (!active || json_bool(obj, "active", &row->active));
}

static int by_code(const void *a, const void *b, void *rows)
{
	const struct static_row *r = rows;

	return strcmp(r[*(const unsigned *)a].code, r[*(const unsigned *)b].code);
}

/* order: places in rows, sorted by code. False: two rows have one code. */
static bool sort_rows(struct static_row *rows, size_t n, unsigned *order)
{
	for (size_t i = 0; i < n; i++)
		order[i] = (unsigned)i;
	qsort_r(order, n, sizeof(*order), by_code, rows);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(rows[order[i - 1]].code, rows[order[i]].code) == 0)
			return false;
	}
	return true;
}

static bool read_rows(const cJSON *list, struct static_row *rows, size_t *bytes)
{
	const cJSON *item;

	*bytes = 0;
	cJSON_ArrayForEach(item, list)
	{
		if (!read_row(item, rows))
			return false;
		*bytes += cache_build_text_bytes(rows->code) + cache_build_text_bytes(rows->name) +
		          cache_build_text_bytes(rows->game);
		rows++;
	}
	return true;
}

static struct cache_value *read_static(struct span key, struct span text, struct arena *a)
{
	const char *why;
	const cJSON *list = json_parse(a, text, &why);
	size_t n = (size_t)cJSON_GetArraySize(list), texts;
	struct static_row *rows = arena_array(a, struct static_row, n), *to;
	unsigned *order = arena_array(a, unsigned, n);
	struct static_table *t;
	struct cache_build b;

	(void)key;
	if (!cJSON_IsArray(list) || !read_rows(list, rows, &texts) || !sort_rows(rows, n, order))
		return NULL;
	b = cache_build_begin(CACHE_STATIC, true, sizeof(*t) + n * (sizeof(*to) + sizeof(*order)) + texts);
	t = cache_build_take(&b, sizeof(*t));
	to = cache_build_take(&b, n * sizeof(*to));
	*t = (struct static_table){
	    .n = n, .rows = to, .by_code = memcpy(cache_build_take(&b, n * sizeof(*order)), order, n * sizeof(*order))};
	for (size_t i = 0; i < n; i++) {
		to[i].code = cache_build_text(&b, rows[i].code);
		to[i].name = cache_build_text(&b, rows[i].name);
		to[i].game = cache_build_text(&b, rows[i].game);
		to[i].active = rows[i].active;
	}
	return cache_build_end(&b);
}

/* --- pages of the leaderboard */

static bool read_entries(const cJSON *list, struct fact_entry *v, size_t *bytes)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		v->race = json_str(item, "race");
		if (!v->race || !read_text(item, "name", &v->name) || !read_text(item, "country", &v->country) ||
		    !json_i64(item, "place", &v->place) || !json_i64(item, "mmr", &v->mmr) ||
		    !json_i64(item, "games", &v->played))
			return false;
		*bytes += cache_build_text_bytes(v->name) + cache_build_text_bytes(v->country) +
		          cache_build_text_bytes(v->race);
		v++;
	}
	return true;
}

static bool read_board_json(const cJSON *obj, struct fact_board *p, const char **texts[7])
{
	static const char *const names[] = {"unknown",   "race",        "region",      "country",
	                                    "race_name", "region_name", "country_name"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!read_text(obj, names[i], texts[i]))
			return false;
	}
	return json_i64(obj, "page", &p->page) && json_i64(obj, "pages", &p->pages) &&
	       json_i64(obj, "total", &p->total);
}

static struct cache_value *read_board(struct span key, struct span text, struct arena *a)
{
	const char *why;
	const cJSON *obj = json_parse(a, text, &why), *list = json_arr(obj, "entries");
	struct fact_board p = {.known = true, .n = (size_t)cJSON_GetArraySize(list)}, *to;
	const char **texts[] = {&p.unknown,   &p.race,        &p.region,      &p.country,
	                        &p.race_name, &p.region_name, &p.country_name};
	struct fact_entry *v = arena_array(a, struct fact_entry, p.n), *entries;
	size_t bytes = 0;
	struct cache_build b;

	(void)key;
	if (!cJSON_IsObject(obj) || !list || !read_board_json(obj, &p, texts) || !read_entries(list, v, &bytes))
		return NULL;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		bytes += cache_build_text_bytes(*texts[i]);
	b = cache_build_begin(CACHE_BOARD, true, sizeof(p) + p.n * sizeof(*v) + bytes);
	to = cache_build_take(&b, sizeof(*to));
	p.v = entries = cache_build_take(&b, p.n * sizeof(*v));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		*texts[i] = cache_build_text(&b, *texts[i]);
	for (size_t i = 0; i < p.n; i++) {
		entries[i] = v[i];
		entries[i].name = cache_build_text(&b, v[i].name);
		entries[i].country = cache_build_text(&b, v[i].country);
		entries[i].race = cache_build_text(&b, v[i].race);
	}
	*to = p;
	return cache_build_end(&b);
}

/* --- all keys of a cache */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool read_keys(const cJSON *list, const char **keys, size_t *bytes)
{
	const cJSON *item;
	size_t n = 0;

	*bytes = 0;
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item))
			return false;
		keys[n++] = item->valuestring;
		*bytes += strlen(item->valuestring);
	}
	qsort(keys, n, sizeof(*keys), by_text);
	return *bytes <= UINT32_MAX;
}

static struct cache_value *new_directory(enum cache_kind kind, const cJSON *list, struct arena *a)
{
	size_t n = (size_t)cJSON_GetArraySize(list), bytes;
	const char **keys = arena_array(a, const char *, n);
	struct code_directory *d;
	struct cache_build b;
	unsigned *starts;
	char *texts;

	if (!cJSON_IsArray(list) || !read_keys(list, keys, &bytes))
		return NULL;
	b = cache_build_begin(kind, true, sizeof(*d) + (n + 1) * sizeof(*starts) + bytes);
	d = cache_build_take(&b, sizeof(*d));
	starts = cache_build_take(&b, (n + 1) * sizeof(*starts));
	texts = cache_build_take(&b, bytes);
	*d = (struct code_directory){.n = n, .starts = starts, .texts = texts};
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(keys[i]);

		memcpy(texts + starts[i], keys[i], len);
		starts[i + 1] = starts[i] + (unsigned)len;
	}
	return cache_build_end(&b);
}

static struct cache_value *new_many(enum cache_kind kind)
{
	struct cache_build b = cache_build_begin(kind, true, sizeof(struct code_directory));
	struct code_directory *d = cache_build_take(&b, sizeof(*d));

	d->many = true;
	return cache_build_end(&b);
}

static struct cache_value *read_directory(enum cache_kind kind, struct span text, struct arena *a)
{
	const char *why;

	return span_is(text, "many") ? new_many(kind) : new_directory(kind, json_parse(a, text, &why), a);
}

/* --- all kinds */

static struct cache_value *(*const readers[CACHE_KINDS])(struct span key, struct span text, struct arena *a) = {
    [CACHE_STARTCODE] = read_startcode, [CACHE_PERSONA] = read_persona, [CACHE_PLAYER] = read_player,
    [CACHE_STATIC] = read_static,       [CACHE_BOARD] = read_board,
};

struct cache_value *cache_value_read(enum cache_kind kind, struct span key, struct span text, bool found)
{
	struct cache_value *v;
	struct arena a;

	ENSURE(kind < CACHE_KINDS);
	if (!found)
		return cache_build_begin(kind, false, 0).value;
	if (text.len > CACHE_TEXT_MAX)
		return NULL;
	arena_init(&a);
	v = span_is(key, CACHE_WHOLE) ? read_directory(kind, text, &a) : readers[kind](key, text, &a);
	arena_release(&a);
	return v;
}
