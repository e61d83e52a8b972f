/* Looking things up in a tree (json_parse.c makes it), and the writer. */
#include "shoal/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/json_plain.h"

/* --- looking things up */

cJSON *json_get(const cJSON *obj, const char *name)
{
	return cJSON_IsObject(obj) ? cJSON_GetObjectItemCaseSensitive(obj, name) : NULL;
}

cJSON *json_obj(const cJSON *obj, const char *name)
{
	cJSON *v = json_get(obj, name);

	return cJSON_IsObject(v) ? v : NULL;
}

cJSON *json_arr(const cJSON *obj, const char *name)
{
	cJSON *v = json_get(obj, name);

	return cJSON_IsArray(v) ? v : NULL;
}

const char *json_str(const cJSON *obj, const char *name)
{
	return cJSON_GetStringValue(json_get(obj, name));
}

bool json_bool(const cJSON *obj, const char *name, bool *out)
{
	cJSON *v = json_get(obj, name);

	if (!cJSON_IsBool(v))
		return false;
	*out = cJSON_IsTrue(v);
	return true;
}

bool json_value_i64(const cJSON *value, int64_t *out)
{
	const double limit = 9007199254740992.0; /* 2^53 */

	if (!cJSON_IsNumber(value))
		return false;
	if (value->valuestring)
		return span_i64(span_of(value->valuestring), out);
	if (!(value->valuedouble >= -limit && value->valuedouble <= limit) ||
	    value->valuedouble != trunc(value->valuedouble))
		return false;
	*out = (int64_t)value->valuedouble;
	return true;
}

bool json_i64(const cJSON *obj, const char *name, int64_t *out)
{
	return json_value_i64(json_get(obj, name), out);
}

bool json_num(const cJSON *obj, const char *name, double *out)
{
	cJSON *v = json_get(obj, name);

	if (!cJSON_IsNumber(v) || !isfinite(v->valuedouble))
		return false;
	*out = v->valuedouble;
	return true;
}

/* --- the writer */

void json_writer_init(struct json_writer *w, struct buf *out)
{
	*w = (struct json_writer){.out = out};
}

/* Before every value: the comma that it may need. After it one is needed. */
static void separate(struct json_writer *w)
{
	if (w->comma)
		buf_addc(w->out, ',');
	w->comma = true;
}

static void begin(struct json_writer *w, char c)
{
	separate(w);
	buf_addc(w->out, c);
	w->comma = false;
}

static void end(struct json_writer *w, char c)
{
	buf_addc(w->out, c);
	w->comma = true;
}

void json_begin_obj(struct json_writer *w)
{
	begin(w, '{');
}

void json_end_obj(struct json_writer *w)
{
	end(w, '}');
}

void json_begin_arr(struct json_writer *w)
{
	begin(w, '[');
}

void json_end_arr(struct json_writer *w)
{
	end(w, ']');
}

static void add_escaped(struct buf *out, unsigned char c)
{
	static const char names[] = "\"\"\\\\\nn\tt\rr\bb\ff";

	for (const char *p = names; *p; p += 2) {
		if ((unsigned char)*p == c) {
			buf_addc(out, '\\');
			buf_addc(out, p[1]);
			return;
		}
	}
	buf_addf(out, "\\u%04x", c);
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\' && c != 0x7F;
}

/* How many bytes from i on need no escape, at eight a time; valid: all of s is UTF-8. */
static size_t plain_run(struct span s, size_t i, bool valid)
{
	size_t from = i;

	for (unsigned plain = 8; plain == 8 && valid && s.len - i >= 8; i += plain)
		plain = json_plain8(s.ptr + i);
	while (i < s.len && is_plain((unsigned char)s.ptr[i])) {
		size_t n = valid || (unsigned char)s.ptr[i] < 0x80 ? 1 : utf8_char_len(s.ptr + i, s.len - i);

		if (n == 0)
			break;
		i += n;
	}
	return i - from;
}

static void add_quoted(struct buf *out, struct span s)
{
	bool valid = utf8_valid(s);

	buf_addc(out, '"');
	for (size_t i = 0; i < s.len;) {
		size_t n = plain_run(s, i, valid);

		buf_add(out, s.ptr + i, n);
		i += n;
		if (i == s.len)
			break;
		if (is_plain((unsigned char)s.ptr[i]))
			buf_adds(out, "\xEF\xBF\xBD");
		else
			add_escaped(out, (unsigned char)s.ptr[i]);
		i++;
	}
	buf_addc(out, '"');
}

void json_key(struct json_writer *w, const char *name)
{
	separate(w);
	add_quoted(w->out, span_of(name));
	buf_addc(w->out, ':');
	w->comma = false;
}

void json_put_span(struct json_writer *w, struct span s)
{
	separate(w);
	add_quoted(w->out, s);
}

void json_put_str(struct json_writer *w, const char *s)
{
	if (s)
		json_put_span(w, span_of(s));
	else
		json_put_null(w);
}

void json_put_i64(struct json_writer *w, int64_t v)
{
	separate(w);
	buf_add_i64(w->out, v);
}

void json_put_id(struct json_writer *w, int64_t v)
{
	separate(w);
	buf_addc(w->out, '"');
	buf_add_i64(w->out, v);
	buf_addc(w->out, '"');
}

void json_put_num(struct json_writer *w, double v)
{
	char text[32];

	if (!isfinite(v)) {
		json_put_null(w);
		return;
	}
	/* The shorter form where it reads back as the same number. */
	snprintf(text, sizeof(text), "%.15g", v);
	if (strtod(text, NULL) != v)
		snprintf(text, sizeof(text), "%.17g", v);
	json_put_raw(w, span_of(text));
}

void json_put_bool(struct json_writer *w, bool v)
{
	json_put_raw(w, v ? SPAN("true") : SPAN("false"));
}

void json_put_null(struct json_writer *w)
{
	json_put_raw(w, SPAN("null"));
}

void json_put_raw(struct json_writer *w, struct span json)
{
	separate(w);
	buf_add(w->out, json.ptr, json.len);
}

static void put_number(struct json_writer *w, const cJSON *value)
{
	int64_t v;

	if (value->valuestring)
		json_put_raw(w, span_of(value->valuestring));
	else if (json_value_i64(value, &v))
		json_put_i64(w, v);
	else
		json_put_num(w, value->valuedouble);
}

static void put_children(struct json_writer *w, const cJSON *value)
{
	for (const cJSON *child = value->child; child; child = child->next) {
		if (cJSON_IsObject(value))
			json_key(w, child->string);
		json_put(w, child);
	}
}

void json_put(struct json_writer *w, const cJSON *value)
{
	if (cJSON_IsObject(value)) {
		json_begin_obj(w);
		put_children(w, value);
		json_end_obj(w);
	} else if (cJSON_IsArray(value)) {
		json_begin_arr(w);
		put_children(w, value);
		json_end_arr(w);
	} else if (cJSON_IsString(value)) {
		json_put_str(w, value->valuestring);
	} else if (cJSON_IsNumber(value)) {
		put_number(w, value);
	} else if (cJSON_IsBool(value)) {
		json_put_bool(w, cJSON_IsTrue(value));
	} else {
		json_put_null(w);
	}
}

void json_kv_str(struct json_writer *w, const char *name, const char *v)
{
	json_key(w, name);
	json_put_str(w, v);
}

void json_kv_i64(struct json_writer *w, const char *name, int64_t v)
{
	json_key(w, name);
	json_put_i64(w, v);
}

void json_kv_id(struct json_writer *w, const char *name, int64_t v)
{
	json_key(w, name);
	json_put_id(w, v);
}

void json_kv_num(struct json_writer *w, const char *name, double v)
{
	json_key(w, name);
	json_put_num(w, v);
}

void json_kv_bool(struct json_writer *w, const char *name, bool v)
{
	json_key(w, name);
	json_put_bool(w, v);
}
