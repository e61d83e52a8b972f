/* cJSON keeps numbers as doubles, ends a string at U+0000 and takes some texts that are not JSON. So each text
 * first goes through one scan that copies nothing while there is nothing to change. What it changes:
 *
 *     \u0000, a lone \ud800..\udfff    ->  \ufffd                 the same length
 *     a number that a double (or its printing) would alter        ->  "\xFF<the literal>"
 *
 * 0xFF is in no well-formed text, so these strings are known from real ones. When the tree is there, mark_numbers()
 * makes them numbers again, with the literal in valuestring. */
#include "shoal/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK '\xFF'

enum {
	MAX_DEPTH = 200,
	MAX_DIGITS = 15, /* any integer of so many digits is exact in a double */
	MAX_LITERAL = 17,
	MARK_BYTES = 3 /* two quotes and the mark: how much longer a marked number is */
};

struct scan {
	const char *start, *at, *end;
	const char *copied; /* the text before this is in out already */
	struct buf out;     /* empty until there is something to change */
	int depth;
	const char *fault;
};

/* --- the scan */

static void replace(struct scan *s, const char *from, const char *to)
{
	buf_add(&s->out, s->copied, (size_t)(from - s->copied));
	s->copied = to;
}

static bool fail(struct scan *s, const char *at, const char *fault)
{
	s->at = at;
	s->fault = fault;
	return false;
}

static int hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v * 16 + c - '0';
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			v = v * 16 + (c | 32) - 'a' + 10;
		else
			return -1;
	}
	return v;
}

static bool is_low_surrogate(const char *p, const char *end)
{
	int v = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, end) : -1;

	return v >= 0xDC00 && v <= 0xDFFF;
}

/* p stands on a backslash. Returns what follows the escape, NULL where it is none. */
static const char *scan_escape(struct scan *s, const char *p)
{
	int v;

	if (s->end - p < 2)
		return NULL;
	if (p[1] != 'u')
		return p[1] != '\0' && strchr("\"\\/bfnrt", p[1]) ? p + 2 : NULL;
	v = hex4(p + 2, s->end);
	if (v < 0)
		return NULL;
	if (v >= 0xD800 && v <= 0xDBFF && is_low_surrogate(p + 6, s->end))
		return p + 12;
	if (v == 0 || (v >= 0xD800 && v <= 0xDFFF)) {
		replace(s, p, p + 6);
		buf_adds(&s->out, "\\ufffd");
	}
	return p + 6;
}

/* True for eight bytes without a quote, a backslash or a control character (DEL is one here). */
static inline bool plain8(const char *p)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	uint64_t w, quote, slash, del;

	memcpy(&w, p, sizeof(w));
	quote = w ^ (ones * '"');
	slash = w ^ (ones * '\\');
	del = w ^ (ones * 0x7F);
	/* Each term's high bit shows a zero byte (quote, backslash) or one below 0x20; a borrow can only add alarms. */
	return !(
	    (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((del - ones) & ~del) | ((w - ones * 0x20) & ~w)) &
	    highs);
}

static bool scan_string(struct scan *s)
{
	const char *p = s->at + 1;

	for (;;) {
		while (s->end - p >= 8 && plain8(p))
			p += 8;
		if (p == s->end)
			return fail(s, s->at, "string without an end");
		if (*p == '"')
			break;
		if ((unsigned char)*p < 0x20)
			return fail(s, p, "control character in a string");
		if (*p == '\\') {
			const char *next = scan_escape(s, p);

			if (!next)
				return fail(s, p, "no such escape in a string");
			p = next;
		} else {
			p++;
		}
	}
	s->at = p + 1;
	return true;
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* A literal that cJSON would not give back as it was written: too long to be exact, or a whole number written with
 * a fraction or an exponent (which is no integer here). */
static bool needs_mark(const char *from, const char *digits, const char *dot, const char *exp, const char *to)
{
	if (exp != to || to - from > MAX_LITERAL)
		return true;
	if (dot == exp)
		return dot - digits > MAX_DIGITS;
	for (const char *p = dot + 1; p < exp; p++) {
		if (*p != '0')
			return false;
	}
	return true;
}

static bool scan_number(struct scan *s)
{
	const char *from = s->at, *digits = from + (*from == '-'), *dot, *exp, *to;

	dot = skip_digits(digits, s->end);
	if (dot == digits || (*digits == '0' && dot - digits > 1))
		return fail(s, from, "not a number");
	exp = dot;
	if (dot < s->end && *dot == '.') {
		exp = skip_digits(dot + 1, s->end);
		if (exp == dot + 1)
			return fail(s, from, "not a number");
	}
	to = exp;
	if (exp < s->end && (*exp | 32) == 'e') {
		const char *p = exp + 1;

		p += p < s->end && (*p == '+' || *p == '-');
		to = skip_digits(p, s->end);
		if (to == p)
			return fail(s, from, "not a number");
	}
	if (needs_mark(from, digits, dot, exp, to)) {
		replace(s, from, to);
		buf_addc(&s->out, '"');
		buf_addc(&s->out, MARK);
		buf_add(&s->out, from, (size_t)(to - from));
		buf_addc(&s->out, '"');
	}
	s->at = to;
	return true;
}

/* What the scan has nothing to do with outside strings: it is cJSON's to judge. */
static bool is_passed_over(char c)
{
	static const bool no[256] = {
	    [0x00 ... 0x08] = true, [0x0B ... 0x0C] = true, [0x0E ... 0x1F] = true, ['"'] = true, ['-'] = true,
	    ['0' ... '9'] = true,   ['{'] = true,           ['}'] = true,           ['['] = true, [']'] = true};

	return !no[(unsigned char)c];
}

static bool scan_text(struct scan *s)
{
	for (;;) {
		while (s->at < s->end && is_passed_over(*s->at))
			s->at++;
		if (s->at == s->end)
			return true;
		char c = *s->at;

		if (c == '"') {
			if (!scan_string(s))
				return false;
		} else if (c == '-' || (c >= '0' && c <= '9')) {
			if (!scan_number(s))
				return false;
		} else if (c == '{' || c == '[') {
			if (++s->depth > MAX_DEPTH)
				return fail(s, s->at, "nested more than 200 deep");
			s->at++;
		} else if (c == '}' || c == ']') {
			s->depth--;
			s->at++;
		} else {
			return fail(s, s->at, "control character");
		}
	}
}

/* --- the tree */

static void set_number(cJSON *node)
{
	memmove(node->valuestring, node->valuestring + 1, strlen(node->valuestring));
	node->type = cJSON_Number;
	node->valuedouble = strtod(node->valuestring, NULL);
	node->valueint = node->valuedouble >= INT32_MAX   ? INT32_MAX
	                 : node->valuedouble <= INT32_MIN ? INT32_MIN
	                                                  : (int)node->valuedouble;
}

/* Makes the marked strings numbers again. False where one is the name of a member, which no number may be. */
static bool mark_numbers(cJSON *node)
{
	for (; node; node = node->next) {
		if (node->string && node->string[0] == MARK)
			return false;
		if (node->type == cJSON_String && node->valuestring[0] == MARK)
			set_number(node);
		if (node->child && !mark_numbers(node->child))
			return false;
	}
	return true;
}

/* cJSON takes a tree's many small pieces from the arena while it parses. Nothing of a tree is ever freed by itself, so
 * nobody may take it apart with functions of cJSON that do. Its hooks are the process's. */
static struct arena *parsing;

static void *tree_alloc(size_t size)
{
	return parsing ? arena_alloc(parsing, size) : mem_alloc(size);
}

static void tree_free(void *p)
{
	if (!parsing)
		free(p);
}

static cJSON *parse_into(struct arena *a, struct span text, const char **stop)
{
	static cJSON_Hooks hooks = {tree_alloc, tree_free};
	cJSON *tree;

	if (!parsing)
		cJSON_InitHooks(&hooks);
	parsing = a;
	tree = cJSON_ParseWithLengthOpts(text.ptr, text.len, stop, false);
	parsing = NULL;
	return tree;
}

/* Where in the text as it was given, from a place in the text that cJSON saw. */
static size_t original_offset(struct span seen, const char *at)
{
	size_t offset = at >= seen.ptr && at <= seen.ptr + seen.len ? (size_t)(at - seen.ptr) : seen.len;
	size_t marks = 0;

	for (size_t i = 0; i < offset; i++)
		marks += seen.ptr[i] == MARK;
	return offset - (marks * MARK_BYTES < offset ? marks * MARK_BYTES : offset);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static cJSON *build_tree(struct arena *a, struct span seen, bool changed, const char **why)
{
	const char *stop = seen.ptr;
	cJSON *tree = parse_into(a, seen, &stop);

	if (tree && stop == seen.ptr + seen.len && (!changed || mark_numbers(tree)))
		return tree;
	*why = arena_printf(a, "not JSON near byte %zu", original_offset(seen, stop));
	return NULL;
}

cJSON *json_parse(struct arena *a, struct span text, const char **why)
{
	struct scan s = {.start = text.ptr, .at = text.ptr, .end = text.ptr + text.len, .copied = text.ptr};
	cJSON *tree;
	bool changed;

	while (s.end > s.start && is_space(s.end[-1]))
		s.end--;
	if (s.end == s.start) {
		*why = "not JSON: empty";
		return NULL;
	}
	if (!utf8_valid((struct span){s.start, (size_t)(s.end - s.start)})) {
		*why = "not JSON: not UTF-8";
		return NULL;
	}
	buf_init(&s.out, SIZE_MAX / 4);
	if (!scan_text(&s)) {
		*why = arena_printf(a, "not JSON: %s at byte %zu", s.fault, (size_t)(s.at - s.start));
		buf_release(&s.out);
		return NULL;
	}
	changed = s.copied != s.start;
	if (changed)
		replace(&s, s.end, s.end);
	else
		s.out = (struct buf){0};
	tree =
	    build_tree(a, changed ? buf_span(&s.out) : (struct span){s.start, (size_t)(s.end - s.start)}, changed, why);
	buf_release(&s.out);
	return tree;
}

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

	while (valid && s.len - i >= 8 && plain8(s.ptr + i))
		i += 8;
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
