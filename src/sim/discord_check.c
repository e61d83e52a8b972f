/* What is wrong with what a bot sends. */
#include "shoal/sim/discord_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/err.h"

#define ERRORS_MAX 100

struct dc_check *dc_check_new(struct arena *a)
{
	struct dc_check *c = arena_new(a, struct dc_check);

	c->a = a;
	return c;
}

/* --- where we are */

static size_t enter(struct dc_check *c, const char *name)
{
	size_t before = c->len, room = sizeof(c->path) - before;
	int n = snprintf(c->path + before, room, "%s%s", before > 0 ? "/" : "", name);

	ENSURE(n > 0 && (size_t)n < room); /* names and depths are ours */
	c->len += (size_t)n;
	return before;
}

static size_t enter_at(struct dc_check *c, size_t i)
{
	char number[24];

	snprintf(number, sizeof(number), "%zu", i);
	return enter(c, number);
}

static void leave(struct dc_check *c, size_t before)
{
	c->len = before;
	c->path[before] = '\0';
}

/* --- what is wrong there */

void dc_wrong(struct dc_check *c, const char *name, const char *code, const char *fmt, ...)
{
	size_t before = name ? enter(c, name) : c->len;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (c->n == c->cap && c->n < ERRORS_MAX) {
		struct dc_error *more = arena_array(c->a, struct dc_error, c->cap ? 2 * c->cap : 8);

		if (c->n)
			memcpy(more, c->errors, c->n * sizeof(*more));
		c->errors = more;
		c->cap = c->cap ? 2 * c->cap : 8;
	}
	if (c->n < c->cap)
		c->errors[c->n++] = (struct dc_error){
		    .path = arena_strdup(c->a, c->path),
		    .code = arena_strdup(c->a, code),
		    .message = arena_strdup(c->a, text),
		};
	leave(c, before);
}

void dc_missing(struct dc_check *c, const char *name)
{
	dc_wrong(c, name, "BASE_TYPE_REQUIRED", "This field is required");
}

/* --- one value */

struct span dc_trimmed(const char *s)
{
	size_t n;

	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		n--;
	return (struct span){s, n};
}

static void check_string(struct dc_check *c, const struct dc_field *f, const cJSON *v)
{
	int64_t units;

	if (!cJSON_IsString(v)) {
		dc_wrong(c, NULL, "STRING_TYPE_CONVERT", "Could not interpret the value as string.");
		return;
	}
	units = (int64_t)utf8_utf16_len(f->type == DC_TEXT ? dc_trimmed(v->valuestring) : span_of(v->valuestring));
	if (f->max == 0 || (units >= f->min && units <= f->max))
		return;
	if (f->min > 0)
		dc_wrong(c, NULL, "BASE_TYPE_BAD_LENGTH", "Must be between %lld and %lld in length.", (long long)f->min,
		         (long long)f->max);
	else
		dc_wrong(c, NULL, "BASE_TYPE_MAX_LENGTH", "Must be %lld or fewer in length.", (long long)f->max);
}

static void check_int(struct dc_check *c, const struct dc_field *f, const cJSON *v)
{
	int64_t n;

	/* a number in a string is taken, as there */
	if (!json_value_i64(v, &n) && !(cJSON_IsString(v) && span_i64(span_of(v->valuestring), &n)))
		dc_wrong(c, NULL, "NUMBER_TYPE_COERCE", "Value is not int.");
	else if (f->max != 0 && n > f->max)
		dc_wrong(c, NULL, "NUMBER_TYPE_MAX", "int value should be less than or equal to %lld.",
		         (long long)f->max);
	else if (f->max != 0 && n < f->min)
		dc_wrong(c, NULL, "NUMBER_TYPE_MIN", "int value should be greater than or equal to %lld.",
		         (long long)f->min);
}

static void check_snowflake(struct dc_check *c, const cJSON *v)
{
	int64_t n;

	if (!json_value_i64(v, &n) && !(cJSON_IsString(v) && span_i64(span_of(v->valuestring), &n) && n >= 0))
		dc_wrong(c, NULL, "NUMBER_TYPE_COERCE", "Value is not snowflake.");
}

static void check_url(struct dc_check *c, const struct dc_field *f, const cJSON *v)
{
	struct dc_field length = {.type = DC_STRING, .min = f->min, .max = f->max};
	const char *s = cJSON_IsString(v) ? v->valuestring : "";
	const char *rest = strstr(s, "://");

	check_string(c, &length, v);
	if (!cJSON_IsString(v))
		return;
	if (!rest || !rest[3] || strpbrk(s, " \t\r\n"))
		dc_wrong(c, NULL, "URL_TYPE_INVALID_URL", "Not a well formed URL.");
	else if (strncmp(s, "http://", 7) != 0 && strncmp(s, "https://", 8) != 0 && strncmp(s, "discord://", 10) != 0)
		dc_wrong(c, NULL, "URL_TYPE_INVALID_SCHEME", "Scheme must be one of http, https, discord.");
}

static void check_list(struct dc_check *c, const struct dc_field *f, const cJSON *v)
{
	const cJSON *element;
	size_t i = 0;
	int n = cJSON_GetArraySize(v);

	if (!cJSON_IsArray(v)) {
		dc_wrong(c, NULL, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
		return;
	}
	if (f->max != 0 && (n > f->max || n < f->min)) {
		if (f->min > 0)
			dc_wrong(c, NULL, "BASE_TYPE_BAD_LENGTH", "Must be between %lld and %lld in length.",
			         (long long)f->min, (long long)f->max);
		else
			dc_wrong(c, NULL, "BASE_TYPE_MAX_LENGTH", "Must be %lld or fewer in length.",
			         (long long)f->max);
		return;
	}
	cJSON_ArrayForEach(element, v)
	{
		size_t before = enter_at(c, i++);

		if (f->of)
			dc_check_shape(c, f->of, element);
		leave(c, before);
	}
}

static void check_value(struct dc_check *c, const struct dc_field *f, const cJSON *v)
{
	switch (f->type) {
	case DC_ANY: break;
	case DC_STRING:
	case DC_TEXT: check_string(c, f, v); break;
	case DC_INT: check_int(c, f, v); break;
	case DC_NUMBER:
		if (!cJSON_IsNumber(v))
			dc_wrong(c, NULL, "NUMBER_TYPE_COERCE", "Value is not float.");
		break;
	case DC_BOOL:
		if (!cJSON_IsBool(v))
			dc_wrong(c, NULL, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.");
		break;
	case DC_SNOWFLAKE: check_snowflake(c, v); break;
	case DC_URL: check_url(c, f, v); break;
	case DC_OBJECT:
		if (!cJSON_IsObject(v))
			dc_wrong(c, NULL, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType");
		else if (f->of)
			dc_check_shape(c, f->of, v);
		break;
	case DC_LIST: check_list(c, f, v); break;
	}
}

void dc_check_fields(struct dc_check *c, const struct dc_field *fields, const cJSON *obj)
{
	for (const struct dc_field *f = fields; f->name; f++) {
		const cJSON *v = json_get(obj, f->name);
		size_t before;

		if (!v || cJSON_IsNull(v)) {
			if (f->required)
				dc_missing(c, f->name);
			continue;
		}
		before = enter(c, f->name);
		check_value(c, f, v);
		leave(c, before);
	}
}

void dc_check_shape(struct dc_check *c, const struct dc_shape *shape, const cJSON *v)
{
	if (shape->fields && !cJSON_IsObject(v)) {
		dc_wrong(c, NULL, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType");
		return;
	}
	if (shape->fields)
		dc_check_fields(c, shape->fields, v);
	if (shape->more)
		shape->more(c, v);
}

void dc_check_at(struct dc_check *c, const char *at, const struct dc_shape *shape, const cJSON *v)
{
	size_t before = enter(c, at);

	dc_check_shape(c, shape, v);
	leave(c, before);
}

void dc_check_each(struct dc_check *c, const char *name, const struct dc_shape *shape, const cJSON *list)
{
	struct dc_field f = {.name = name, .type = DC_LIST, .of = shape};
	size_t before = enter(c, name);

	check_value(c, &f, list);
	leave(c, before);
}

/* --- telling it */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct dc_error *)a)->path, ((const struct dc_error *)b)->path);
}

/* The part of a path that begins at `at`; *next is behind it. */
static size_t part(const char *path, size_t at, size_t *next)
{
	size_t n = strcspn(path + at, "/");

	*next = path[at + n] ? at + n + 1 : at + n;
	return n;
}

/* Those of errors[from..to) share all of their paths before `at`. */
static void write_level(struct dc_check *c, struct json_writer *w, size_t from, size_t to, size_t at)
{
	char name[64];
	size_t next;

	json_begin_obj(w);
	if (!c->errors[from].path[at]) {
		json_key(w, "_errors");
		json_begin_arr(w);
		for (; from < to && !c->errors[from].path[at]; from++) {
			json_begin_obj(w);
			json_kv_str(w, "code", c->errors[from].code);
			json_kv_str(w, "message", c->errors[from].message);
			json_end_obj(w);
		}
		json_end_arr(w);
	}
	while (from < to) {
		size_t n = part(c->errors[from].path, at, &next), end = from + 1, ignored;

		while (end < to && part(c->errors[end].path, at, &ignored) == n &&
		       strncmp(c->errors[end].path + at, c->errors[from].path + at, n) == 0)
			end++;
		snprintf(name, sizeof(name), "%.*s", (int)n, c->errors[from].path + at);
		json_key(w, name);
		write_level(c, w, from, end, next);
		from = end;
	}
	json_end_obj(w);
}

void dc_check_write(struct dc_check *c, struct json_writer *w)
{
	qsort(c->errors, c->n, sizeof(*c->errors), by_path);
	write_level(c, w, 0, c->n, 0);
}

const char *dc_check_text(struct dc_check *c)
{
	const char *out = "";

	for (size_t i = 0; i < c->n; i++) {
		const struct dc_error *e = &c->errors[i];

		out = arena_printf(c->a, "%s%s%s%s%s", out, i ? "; " : "", e->path, *e->path ? ": " : "", e->message);
	}
	return out;
}
