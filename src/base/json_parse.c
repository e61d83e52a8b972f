/* A text becomes a tree of cJSON's nodes in one pass. cJSON's own parser is not used: it keeps numbers as doubles, ends
 * a string at U+0000, takes some texts that are not JSON, and is three times slower with its allocation of each piece.
 *
 * The text is copied into the arena once, and its strings stay where they are in the copy: what an escape stands for is
 * never longer than the escape, and the closing quote becomes the end. */
#include "shoal/base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/json_plain.h"

enum {
	MAX_DEPTH = 200,
	MAX_DIGITS = 15 /* any integer of so many digits is exact in a double */
};

struct parser {
	struct arena *arena;
	char *start, *at, *end; /* *end is NUL, so what looks at the next byte needs no bound */
	int depth;
	const char *fault; /* NULL: not what belongs here */
};

static bool fail(struct parser *p, char *at, const char *fault)
{
	p->at = at;
	p->fault = fault;
	return false;
}

/* What stands here begins nothing that could. */
static bool unexpected(struct parser *p)
{
	unsigned char c = (unsigned char)*p->at;

	return fail(p, p->at, p->at < p->end && c < 0x20 ? "control character" : NULL);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_space(struct parser *p)
{
	while (is_space(*p->at))
		p->at++;
}

/* --- strings */

/* -1: not four digits. */
static int hex4(const char *p)
{
	int v = 0;

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

static char *put_utf8(char *to, int code)
{
	if (code < 0x80) {
		*to++ = (char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (char)(0xC0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*to++ = (char)(0xE0 | code >> 12);
		} else {
			*to++ = (char)(0xF0 | code >> 18);
			*to++ = (char)(0x80 | (code >> 12 & 0x3F));
		}
		*to++ = (char)(0x80 | (code >> 6 & 0x3F));
	}
	*to++ = (char)(0x80 | (code & 0x3F));
	return to;
}

/* from stands on \u. Returns what follows, NULL where it is no such escape; U+0000 and half a pair become U+FFFD. */
static char *unescape_code(char *from, char **to)
{
	int v = hex4(from + 2), low;

	if (v < 0)
		return NULL;
	from += 6;
	if (v >= 0xD800 && v <= 0xDBFF && from[0] == '\\' && from[1] == 'u') {
		low = hex4(from + 2);
		if (low >= 0xDC00 && low <= 0xDFFF) {
			*to = put_utf8(*to, 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00));
			return from + 6;
		}
	}
	*to = put_utf8(*to, v == 0 || (v >= 0xD800 && v <= 0xDFFF) ? 0xFFFD : v);
	return from;
}

/* from stands on a backslash. */
static char *unescape(char *from, char **to)
{
	static const char names[] = "\"\"\\\\//b\bf\fn\nr\rt\t";

	if (from[1] == 'u')
		return unescape_code(from, to);
	for (const char *n = names; *n; n += 2) {
		if (from[1] == *n) {
			*(*to)++ = n[1];
			return from + 2;
		}
	}
	return NULL;
}

/* p stands on the opening quote. NULL: it is no string. */
static char *parse_string(struct parser *p)
{
	char *const text = p->at + 1;
	char *from = text, *to = text;

	for (;;) {
		char *run = from, *next;

		for (unsigned plain = 8; plain == 8 && p->end - from >= 8; from += plain)
			plain = json_plain8(from);
		while (*from != '"' && *from != '\\' && (unsigned char)*from >= 0x20)
			from++;
		if (to != run)
			memmove(to, run, (size_t)(from - run));
		to += from - run;
		if (*from == '"')
			break;
		if (*from != '\\') {
			bool cut = from == p->end;

			fail(p, cut ? text - 1 : from, cut ? "string without an end" : "control character in a string");
			return NULL;
		}
		next = unescape(from, &to);
		if (!next) {
			fail(p, from, "no such escape in a string");
			return NULL;
		}
		from = next;
	}
	*to = '\0';
	p->at = from + 1;
	return text;
}

/* --- numbers */

static char *skip_digits(char *p)
{
	while (*p >= '0' && *p <= '9')
		p++;
	return p;
}

/* Where the number that begins with these digits ends, by JSON's rules; *whole: an integer. NULL: it is none. */
static char *number_end(char *digits, bool *whole)
{
	char *end = skip_digits(digits), *more;

	if (end == digits || (*digits == '0' && end - digits > 1))
		return NULL;
	*whole = true;
	if (*end == '.') {
		more = skip_digits(end + 1);
		if (more == end + 1)
			return NULL;
		end = more;
		*whole = false;
	}
	if ((*end | 32) == 'e') {
		char *exponent = end + 1 + (end[1] == '+' || end[1] == '-');

		more = skip_digits(exponent);
		if (more == exponent)
			return NULL;
		end = more;
		*whole = false;
	}
	return end;
}

/* Whatever a double, or its printing, could alter keeps its literal in valuestring; -0 becomes 0. */
static bool parse_number(struct parser *p, cJSON *node)
{
	char *from = p->at, *digits = from + (*from == '-'), *end;
	bool whole;
	double v = 0;

	end = number_end(digits, &whole);
	if (!end)
		return fail(p, from, "not a number");
	if (whole && end - digits <= MAX_DIGITS) {
		for (const char *d = digits; d < end; d++)
			v = v * 10 + (*d - '0');
		v = digits > from ? -v : v;
	} else {
		node->valuestring = arena_strndup(p->arena, from, (size_t)(end - from));
		v = strtod(node->valuestring, NULL);
	}
	node->type = cJSON_Number;
	node->valuedouble = v;
	node->valueint = v >= INT32_MAX ? INT32_MAX : v <= INT32_MIN ? INT32_MIN : (int)v;
	p->at = end;
	return true;
}

/* --- values */

static bool parse_word(struct parser *p, cJSON *node)
{
	static const struct {
		const char *word;
		int type;
	} words[] = {{"true", cJSON_True}, {"false", cJSON_False}, {"null", cJSON_NULL}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i].word);

		if (strncmp(p->at, words[i].word, len) == 0) {
			node->type = words[i].type;
			p->at += len;
			return true;
		}
	}
	return unexpected(p);
}

static bool parse_value(struct parser *p, cJSON *node);

static bool parse_name(struct parser *p, cJSON *member)
{
	skip_space(p);
	if (*p->at != '"')
		return unexpected(p);
	member->string = parse_string(p);
	if (!member->string)
		return false;
	skip_space(p);
	if (*p->at != ':')
		return unexpected(p);
	p->at++;
	return true;
}

/* What stands between the brackets, as cJSON links it: the first one's prev is the last. */
static bool parse_children(struct parser *p, cJSON *node, char close)
{
	cJSON *last = NULL;

	if (++p->depth > MAX_DEPTH)
		return fail(p, p->at, "nested more than 200 deep");
	node->type = close == '}' ? cJSON_Object : cJSON_Array;
	p->at++;
	skip_space(p);
	for (bool more = *p->at != close; more;) {
		cJSON *child = arena_new(p->arena, cJSON);

		if ((close == '}' && !parse_name(p, child)) || !parse_value(p, child))
			return false;
		if (last)
			last->next = child;
		else
			node->child = child;
		child->prev = last;
		node->child->prev = last = child;
		skip_space(p);
		more = *p->at == ',';
		if (!more && *p->at != close)
			return unexpected(p);
		p->at += more;
	}
	p->at++;
	p->depth--;
	return true;
}

static bool parse_value(struct parser *p, cJSON *node)
{
	skip_space(p);
	switch (*p->at) {
	case '{': return parse_children(p, node, '}');
	case '[': return parse_children(p, node, ']');
	case '"':
		node->type = cJSON_String;
		node->valuestring = parse_string(p);
		return node->valuestring;
	case '-':
	case '0' ... '9': return parse_number(p, node);
	default: return parse_word(p, node);
	}
}

static const char *explain(const struct parser *p)
{
	size_t at = (size_t)(p->at - p->start);

	return p->fault ? arena_printf(p->arena, "not JSON: %s at byte %zu", p->fault, at)
	                : arena_printf(p->arena, "not JSON near byte %zu", at);
}

cJSON *json_parse(struct arena *a, struct span text, const char **why)
{
	struct parser p = {.arena = a};
	cJSON *tree;

	while (text.len > 0 && is_space(text.ptr[text.len - 1]))
		text.len--;
	if (text.len == 0) {
		*why = "not JSON: empty";
		return NULL;
	}
	if (!utf8_valid(text)) {
		*why = "not JSON: not UTF-8";
		return NULL;
	}
	p.start = p.at = arena_strndup(a, text.ptr, text.len);
	p.end = p.start + text.len;
	if (span_starts(text, "\xEF\xBB\xBF")) /* a byte order mark */
		p.at += 3;
	tree = arena_new(a, cJSON);
	if (!parse_value(&p, tree) || (p.at != p.end && !unexpected(&p))) {
		*why = explain(&p);
		return NULL;
	}
	return tree;
}
