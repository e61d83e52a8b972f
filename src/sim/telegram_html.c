/* The HTML that messages may be written in, as strictly as the platform takes it: known tags and attributes only,
 * everything closed in order, four named entities. */
#include "shoal/sim/telegram.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 100

struct tag {
	const char *name, *type; /* type NULL: decided by the attributes */
};
static const struct tag tags[] = {
    {"b", "bold"},
    {"strong", "bold"},
    {"i", "italic"},
    {"em", "italic"},
    {"u", "underline"},
    {"ins", "underline"},
    {"s", "strikethrough"},
    {"strike", "strikethrough"},
    {"del", "strikethrough"},
    {"tg-spoiler", "spoiler"},
    {"span", "spoiler"},
    {"code", "code"},
    {"pre", "pre"},
    {"a", "text_link"},
    {"blockquote", "blockquote"},
    {"tg-emoji", "custom_emoji"},
    {"tg-time", "date_time"},
};

struct open_tag {
	const struct tag *tag;
	size_t offset;      /* UTF-16 units of text before it */
	size_t at;          /* bytes of text before it */
	const char *value;  /* href, language, emoji-id, unix */
	const char *format; /* of tg-time */
	bool expandable;
};

struct parser {
	struct arena *a;
	struct span in;
	size_t pos;
	struct formatted *out;
	size_t units;
	struct open_tag stack[DEPTH_MAX];
	size_t depth;
	const char *why;
};

static bool fail(struct parser *p, const char *why)
{
	p->why = why;
	return false;
}

static bool fail_at(struct parser *p, const char *what, size_t at)
{
	return fail(p, arena_printf(p->a, "%s at byte offset %zu", what, at));
}

static char peek(const struct parser *p)
{
	return p->pos < p->in.len ? p->in.ptr[p->pos] : '\0';
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct parser *p)
{
	while (is_space(peek(p)))
		p->pos++;
}

static size_t encode_utf8(unsigned long c, char out[4])
{
	if (c < 0x80)
		return out[0] = (char)c, 1;
	if (c < 0x800)
		return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
	if (c < 0x10000)
		return out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63)),
		       out[2] = (char)(0x80 | (c & 63)), 3;
	return out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 63)),
	       out[2] = (char)(0x80 | (c >> 6 & 63)), out[3] = (char)(0x80 | (c & 63)), 4;
}

/* &lt; and the like at pos: writes what it stands for and moves on. 0: it is no entity, the '&' stands for itself. */
static size_t decode_entity(struct parser *p, char out[4])
{
	static const struct {
		const char *name;
		char c;
	} named[] = {{"&lt", '<'}, {"&gt", '>'}, {"&amp", '&'}, {"&quot", '"'}};
	const char *s = p->in.ptr + p->pos;
	size_t left = p->in.len - p->pos;

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		size_t n = strlen(named[i].name);
		if (left >= n && memcmp(s, named[i].name, n) == 0) {
			p->pos += n + (left > n && s[n] == ';');
			out[0] = named[i].c;
			return 1;
		}
	}
	if (left < 3 || s[1] != '#')
		return 0;
	bool hex = s[2] == 'x' || s[2] == 'X';
	size_t i = hex ? 3 : 2, start = i;
	unsigned long c = 0;
	for (; i < left && c <= 0x10ffff; i++) {
		int digit = s[i] >= '0' && s[i] <= '9' ? s[i] - '0' : -1;
		if (hex && digit < 0 && ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'f'))
			digit = (s[i] | 0x20) - 'a' + 10;
		if (digit < 0)
			break;
		c = c * (hex ? 16 : 10) + (unsigned long)digit;
	}
	if (i == start || c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	p->pos += i + (i < left && s[i] == ';');
	return encode_utf8(c, out);
}

/* The next character of the input, entities decoded; returns its bytes. */
static size_t next_char(struct parser *p, char out[4])
{
	if (peek(p) == '&') {
		size_t n = decode_entity(p, out);
		if (n)
			return n;
	}
	size_t n = utf8_char_len(p->in.ptr + p->pos, p->in.len - p->pos);
	n = n ? n : 1;
	memcpy(out, p->in.ptr + p->pos, n);
	p->pos += n;
	return n;
}

static void put_text(struct parser *p, const char *s, size_t n)
{
	memcpy(p->out->text + p->out->len, s, n);
	p->out->len += n;
	p->units += n == 4 ? 2 : 1;
}

static const char *lower_name(struct parser *p, size_t start)
{
	char *name = arena_strndup(p->a, p->in.ptr + start, p->pos - start);
	for (char *c = name; *c; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	}
	return name;
}

static const struct tag *find_tag(const char *name)
{
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (strcmp(name, tags[i].name) == 0)
			return &tags[i];
	}
	return NULL;
}

static bool read_value(struct parser *p, size_t tag_at, const char **out)
{
	char quote = peek(p), c[4];
	size_t start = p->pos;

	if (quote != '"' && quote != '\'') {
		while (p->pos < p->in.len && !is_space(peek(p)) && peek(p) != '>')
			p->pos++;
		*out = arena_strndup(p->a, p->in.ptr + start, p->pos - start);
		return true;
	}
	p->pos++;
	char *value = arena_alloc(p->a, p->in.len - p->pos + 1);
	size_t n = 0;
	while (p->pos < p->in.len && peek(p) != quote) {
		size_t len = next_char(p, c);
		memcpy(value + n, c, len);
		n += len;
	}
	if (p->pos == p->in.len)
		return fail_at(p, "Unclosed start tag", tag_at);
	p->pos++;
	*out = value;
	return true;
}

static bool take_attribute(struct parser *p, struct open_tag *o, const char *name, const char *value)
{
	const char *tag = o->tag->name;

	if (strcmp(tag, "a") == 0 && strcmp(name, "href") == 0)
		o->value = value;
	else if (strcmp(tag, "code") == 0 && strcmp(name, "class") == 0 && strncmp(value, "language-", 9) == 0)
		o->value = value + 9;
	else if (strcmp(tag, "span") == 0 && strcmp(name, "class") == 0 && strncmp(value, "tg-", 3) == 0)
		o->value = value;
	else if (strcmp(tag, "tg-emoji") == 0 && strcmp(name, "emoji-id") == 0)
		o->value = value;
	else if (strcmp(tag, "tg-time") == 0 && strcmp(name, "unix") == 0)
		o->value = value;
	else if (strcmp(tag, "tg-time") == 0 && strcmp(name, "format") == 0)
		o->format = value;
	else if (strcmp(tag, "blockquote") == 0 && strcmp(name, "expandable") == 0)
		o->expandable = true;
	(void)p; /* others are passed over, as the platform does */
	return true;
}

static bool read_attribute(struct parser *p, struct open_tag *o, size_t tag_at)
{
	size_t start = p->pos;
	const char *value = "";

	while (p->pos < p->in.len && !is_space(peek(p)) && peek(p) != '=' && peek(p) != '>' && peek(p) != '/')
		p->pos++;
	if (p->pos == start)
		return fail(p, arena_printf(p->a, "Empty attribute name in the tag \"%s\" at byte offset %zu",
		                            o->tag->name, tag_at));
	const char *name = lower_name(p, start);
	skip_space(p);
	if (peek(p) == '=') {
		p->pos++;
		skip_space(p);
		if (!read_value(p, tag_at, &value))
			return false;
	} else if (strcmp(name, "expandable") != 0) {
		return fail(p, arena_printf(p->a,
		                            "Expected equal sign in declaration of an attribute of the tag \"%s\" "
		                            "at byte offset %zu",
		                            o->tag->name, tag_at));
	}
	return take_attribute(p, o, name, value);
}

static bool check_attributes(struct parser *p, const struct open_tag *o)
{
	const char *tag = o->tag->name;
	int64_t unix_time;

	if (strcmp(tag, "span") == 0 && (!o->value || strcmp(o->value, "tg-spoiler") != 0))
		return fail(p, "Tag \"span\" must have class \"tg-spoiler\"");
	if (strcmp(tag, "tg-emoji") == 0 && (!o->value || !*o->value))
		return fail(p, "Tag \"tg-emoji\" must have attribute \"emoji-id\"");
	if (strcmp(tag, "tg-time") == 0 && (!o->value || !span_i64(span_of(o->value), &unix_time)))
		return fail(p, "Tag \"tg-time\" must have attribute \"unix\"");
	return true;
}

static bool start_tag(struct parser *p)
{
	size_t at = p->pos++, start = p->pos;
	struct open_tag o = {.offset = p->units, .at = p->out->len};

	while (p->pos < p->in.len && !is_space(peek(p)) && peek(p) != '>' && peek(p) != '/')
		p->pos++;
	if (p->pos == p->in.len)
		return fail_at(p, "Unclosed start tag", at);
	const char *name = lower_name(p, start);
	o.tag = find_tag(name);
	if (!o.tag)
		return fail(p, arena_printf(p->a, "Unsupported start tag \"%s\" at byte offset %zu", name, at));
	if (p->depth == DEPTH_MAX)
		return fail_at(p, "Too many nested tags", at);
	for (skip_space(p); peek(p) != '>'; skip_space(p)) {
		if (p->pos == p->in.len)
			return fail_at(p, "Unclosed start tag", at);
		if (!read_attribute(p, &o, at))
			return false;
	}
	p->pos++;
	p->stack[p->depth++] = o;
	return check_attributes(p, &o);
}

static bool is_link(const char *url)
{
	return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0 ||
	       strncasecmp(url, "tg://", 5) == 0;
}

/* An address without a scheme is a web address. */
static const char *link_of(struct parser *p, const struct open_tag *o)
{
	const char *url = o->value ? o->value : arena_strndup(p->a, p->out->text + o->at, p->out->len - o->at);
	if (is_link(url))
		return url;
	return strchr(url, '.') && !strchr(url, ' ') && !strchr(url, ':') ? arena_printf(p->a, "http://%s/", url)
	                                                                  : NULL;
}

/* <pre><code class="language-x"> is one thing: the inner tag only lends its language. */
static bool inside_code(struct parser *p, const struct open_tag *o)
{
	for (size_t i = 0; i < p->depth; i++) {
		struct open_tag *outer = &p->stack[i];
		if (strcmp(outer->tag->name, "code") != 0 && strcmp(outer->tag->name, "pre") != 0)
			continue;
		if (strcmp(o->tag->name, "code") == 0 && o->value && outer->offset == o->offset)
			outer->value = o->value;
		return true;
	}
	return false;
}

static void add_entity(struct parser *p, const struct open_tag *o)
{
	struct entity e = {.type = o->tag->type, .offset = o->offset, .length = p->units - o->offset};

	if (e.length == 0 || inside_code(p, o))
		return;
	if (strcmp(e.type, "text_link") == 0) {
		e.extra_name = "url";
		e.extra = link_of(p, o);
		if (!e.extra)
			return;
	} else if (strcmp(e.type, "pre") == 0 && o->value) {
		e.extra_name = "language";
		e.extra = o->value;
	} else if (strcmp(e.type, "custom_emoji") == 0) {
		e.extra_name = "custom_emoji_id";
		e.extra = o->value;
	} else if (strcmp(e.type, "date_time") == 0) {
		if (!span_i64(span_of(o->value), &e.unix_time))
			return;
		e.extra_name = o->format && *o->format ? "date_time_format" : NULL;
		e.extra = o->format;
	} else if (o->expandable) {
		e.type = "expandable_blockquote";
	}
	formatted_add(p->a, p->out, e);
}

static bool end_tag(struct parser *p)
{
	size_t at = p->pos, start = p->pos + 2;

	p->pos = start;
	while (p->pos < p->in.len && !is_space(peek(p)) && peek(p) != '>')
		p->pos++;
	const char *name = lower_name(p, start);
	skip_space(p);
	if (peek(p) != '>')
		return fail_at(p, "Unclosed end tag", at);
	if (p->depth == 0)
		return fail_at(p, "Unexpected end tag", at);
	struct open_tag *o = &p->stack[p->depth - 1];
	if (*name && strcmp(name, o->tag->name) != 0)
		return fail(p, arena_printf(p->a,
		                            "Unmatched end tag at byte offset %zu, expected \"</%s>\", found "
		                            "\"</%s>\"",
		                            at, o->tag->name, name));
	p->pos++;
	p->depth--;
	add_entity(p, o);
	return true;
}

bool tg_parse_html(struct arena *a, struct span s, struct formatted *out, const char **why)
{
	struct parser *p = arena_new(a, struct parser);
	char c[4];

	*p = (struct parser){.a = a, .in = s, .out = out};
	*out = (struct formatted){.text = arena_alloc(a, s.len + 1)};
	while (p->pos < s.len) {
		if (peek(p) != '<') {
			size_t n = next_char(p, c);
			put_text(p, c, n);
		} else if (!(p->pos + 1 < s.len && s.ptr[p->pos + 1] == '/' ? end_tag(p) : start_tag(p))) {
			*why = p->why;
			return false;
		}
	}
	if (p->depth) {
		*why = arena_printf(a, "Can't find end tag corresponding to start tag \"%s\"",
		                    p->stack[p->depth - 1].tag->name);
		return false;
	}
	return true;
}
