#include "shoal/store/cache_value.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/err.h"
#include "shoal/base/json.h"

size_t cache_malloc_bytes(size_t size)
{
	enum { HEAD = 8, UNIT = 16, SMALLEST = 32 };
	size_t bytes = (size + HEAD + UNIT - 1) / UNIT * UNIT;

	return bytes < SMALLEST ? SMALLEST : bytes;
}

/* --- one allocation: the head, the member in use, arrays, texts. Its size is counted first, then it is filled. */

#define HEAD_BYTES offsetof(struct cache_value, code)
_Static_assert(HEAD_BYTES == offsetof(struct cache_value, directory), "the members begin at one place");

struct filler {
	struct cache_value *v;
	char *at, *end;
};

static struct filler value_new(enum cache_kind kind, bool found, size_t body)
{
	size_t size = HEAD_BYTES + body;
	struct cache_value *v = mem_zalloc(size);

	v->refs = 1;
	v->kind = kind;
	v->found = found;
	v->bytes = cache_malloc_bytes(size);
	return (struct filler){.v = v, .at = (char *)v + HEAD_BYTES, .end = (char *)v + size};
}

static void *take(struct filler *f, size_t size)
{
	char *p = f->at;

	ENSURE(size <= (size_t)(f->end - p));
	f->at += size;
	return p;
}

static size_t text_bytes(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static const char *take_text(struct filler *f, const char *s)
{
	size_t size = text_bytes(s);

	return s ? memcpy(take(f, size), s, size) : NULL;
}

static struct cache_value *value_of(const struct filler *f)
{
	ENSURE(f->at == f->end);
	return f->v;
}

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
	struct filler f;
	struct fact_code c, *to;

	if (!read_code(json, &c) || !span_is(key, c.code))
		return NULL;
	f = value_new(CACHE_STARTCODE, true, sizeof(c) + text_bytes(c.code));
	to = take(&f, sizeof(*to));
	*to = c;
	to->code = take_text(&f, c.code);
	return value_of(&f);
}

static struct cache_value *new_alias(struct span code)
{
	struct filler f;
	const char **alias;
	char *text;

	if (code.len == 0 || memchr(code.ptr, '\0', code.len) || !utf8_valid(code))
		return NULL;
	f = value_new(CACHE_STARTCODE, true, sizeof(*alias) + code.len + 1);
	alias = take(&f, sizeof(*alias));
	*alias = text = take(&f, code.len + 1);
	memcpy(text, code.ptr, code.len);
	return value_of(&f);
}

static int compare_spans(struct span a, struct span b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

	return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int by_text(const void *a, const void *b)
{
	return compare_spans(span_of(*(const char *const *)a), span_of(*(const char *const *)b));
}

static struct cache_value *new_many(enum cache_kind kind)
{
	struct filler f = value_new(kind, true, sizeof(struct code_directory));
	struct code_directory *d = take(&f, sizeof(*d));

	d->many = true;
	return value_of(&f);
}

static bool read_codes(const cJSON *list, const char **codes, size_t *bytes)
{
	const cJSON *item;
	size_t n = 0;

	*bytes = 0;
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item))
			return false;
		codes[n++] = item->valuestring;
		*bytes += strlen(item->valuestring);
	}
	qsort(codes, n, sizeof(*codes), by_text);
	return *bytes <= UINT32_MAX;
}

static struct cache_value *new_directory(enum cache_kind kind, const cJSON *list, struct arena *a)
{
	size_t n = (size_t)cJSON_GetArraySize(list), bytes;
	const char **codes = arena_array(a, const char *, n);
	struct code_directory *d;
	struct filler f;
	unsigned *starts;
	char *texts;

	if (!cJSON_IsArray(list) || !read_codes(list, codes, &bytes))
		return NULL;
	f = value_new(kind, true, sizeof(*d) + (n + 1) * sizeof(*starts) + bytes);
	d = take(&f, sizeof(*d));
	starts = take(&f, (n + 1) * sizeof(*starts));
	texts = take(&f, bytes);
	*d = (struct code_directory){.n = n, .starts = starts, .texts = texts};
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(codes[i]);

		memcpy(texts + starts[i], codes[i], len);
		starts[i + 1] = starts[i] + (unsigned)len;
	}
	return value_of(&f);
}

bool directory_has(const struct code_directory *d, struct span code)
{
	size_t low = 0, high = d->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct span here = {d->texts + d->starts[mid], d->starts[mid + 1] - d->starts[mid]};
		int order = compare_spans(code, here);

		if (order == 0)
			return true;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
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
	size_t bytes = sizeof(*p) + p->nreplies * sizeof(*p->replies) + text_bytes(p->key) + text_bytes(p->name) +
	               text_bytes(p->greeting) + text_bytes(p->prompt);

	for (size_t i = 0; i < p->nreplies; i++)
		bytes += text_bytes(p->replies[i]);
	return bytes;
}

static bool is_id(struct span key, int64_t *id)
{
	return span_i64(key, id);
}

static struct cache_value *read_persona(struct span key, struct span text, struct arena *a)
{
	const char *why, **replies;
	struct fact_persona p, *to;
	struct filler f;
	int64_t id;

	if (!read_persona_json(json_parse(a, text, &why), a, &p) ||
	    !(span_is(key, "default") || (is_id(key, &id) && id == p.id)))
		return NULL;
	f = value_new(CACHE_PERSONA, true, persona_bytes(&p));
	to = take(&f, sizeof(*to));
	*to = p;
	to->replies = replies = take(&f, p.nreplies * sizeof(*replies));
	for (size_t i = 0; i < p.nreplies; i++)
		replies[i] = take_text(&f, p.replies[i]);
	to->key = take_text(&f, p.key);
	to->name = take_text(&f, p.name);
	to->greeting = take_text(&f, p.greeting);
	to->prompt = take_text(&f, p.prompt);
	return value_of(&f);
}

/* --- players */

static struct cache_value *read_player(struct span key, struct span text, struct arena *a)
{
	const char *why;
	const cJSON *obj = json_parse(a, text, &why);
	struct fact_player p = {.found = true}, *to;
	struct filler f;

	if (!is_id(key, &p.uid) || !cJSON_IsObject(obj) || !read_text(obj, "name", &p.name) ||
	    !read_text(obj, "country", &p.country) || !read_text(obj, "region", &p.region) ||
	    !read_ms(obj, "tos_ms", &p.tos_ms) || !read_ms(obj, "setup_ms", &p.setup_ms))
		return NULL;
	f = value_new(CACHE_PLAYER, true,
	              sizeof(p) + text_bytes(p.name) + text_bytes(p.country) + text_bytes(p.region));
	to = take(&f, sizeof(*to));
	*to = p;
	to->name = take_text(&f, p.name);
	to->country = take_text(&f, p.country);
	to->region = take_text(&f, p.region);
	return value_of(&f);
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
		*bytes += text_bytes(rows->code) + text_bytes(rows->name) + text_bytes(rows->game);
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
	struct filler f;

	(void)key;
	if (!cJSON_IsArray(list) || !read_rows(list, rows, &texts) || !sort_rows(rows, n, order))
		return NULL;
	f = value_new(CACHE_STATIC, true, sizeof(*t) + n * (sizeof(*to) + sizeof(*order)) + texts);
	t = take(&f, sizeof(*t));
	to = take(&f, n * sizeof(*to));
	*t = (struct static_table){
	    .n = n, .rows = to, .by_code = memcpy(take(&f, n * sizeof(*order)), order, n * sizeof(*order))};
	for (size_t i = 0; i < n; i++) {
		to[i].code = take_text(&f, rows[i].code);
		to[i].name = take_text(&f, rows[i].name);
		to[i].game = take_text(&f, rows[i].game);
		to[i].active = rows[i].active;
	}
	return value_of(&f);
}

const struct static_row *static_find(const struct static_table *t, const char *code)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct static_row *row = &t->rows[t->by_code[mid]];
		int order = strcmp(code, row->code);

		if (order == 0)
			return row;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* --- all kinds */

static struct cache_value *read_directory(enum cache_kind kind, struct span text, struct arena *a)
{
	const char *why;

	return span_is(text, "many") ? new_many(kind) : new_directory(kind, json_parse(a, text, &why), a);
}

static struct cache_value *(*const readers[CACHE_KINDS])(struct span key, struct span text, struct arena *a) = {
    [CACHE_STARTCODE] = read_startcode,
    [CACHE_PERSONA] = read_persona,
    [CACHE_PLAYER] = read_player,
    [CACHE_STATIC] = read_static,
};

struct cache_value *cache_value_read(enum cache_kind kind, struct span key, struct span text, bool found)
{
	struct cache_value *v;
	struct arena a;

	ENSURE(kind < CACHE_KINDS);
	if (!found)
		return value_new(kind, false, 0).v;
	arena_init(&a);
	v = span_is(key, "%") ? read_directory(kind, text, &a) : readers[kind](key, text, &a);
	arena_release(&a);
	return v;
}

struct cache_value *cache_value_ref(struct cache_value *v)
{
	v->refs++;
	return v;
}

void cache_value_unref(struct cache_value *v)
{
	if (!v)
		return;
	ENSURE(v->refs > 0);
	if (--v->refs == 0)
		free(v);
}

static void give_back(void *v)
{
	cache_value_unref(v);
}

void cache_value_hold(struct cache_value *v, struct arena *a)
{
	arena_defer(a, give_back, cache_value_ref(v));
}
