#include <string.h>
#include <strings.h>

#include "shoal/wire/telegram.h"

#define DEPTH_MAX 32

static const char *const tags[] = {"b",   "strong", "i",          "em", "u",        "ins",  "s",   "strike",
                                   "del", "span",   "tg-spoiler", "a",  "tg-emoji", "code", "pre", "blockquote"};

struct reader {
	const char *p, *end;
	unsigned depth;
	signed char open[DEPTH_MAX]; /* indices into tags */
	const char *why;
};

static int tag_index(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (strlen(tags[i]) == len && strncasecmp(tags[i], name, len) == 0)
			return (int)i;
	}
	return -1;
}

/* The rest of a tag: attributes with their quotes, up to '>'. */
static bool skip_attributes(struct reader *r)
{
	char quote = 0;

	for (; r->p < r->end; r->p++) {
		if (quote) {
			if (*r->p == quote)
				quote = 0;
		} else if (*r->p == '"' || *r->p == '\'') {
			quote = *r->p;
		} else if (*r->p == '>') {
			r->p++;
			return true;
		}
	}
	r->why = "a tag does not end";
	return false;
}

static bool read_tag(struct reader *r)
{
	bool closing;
	const char *name;
	int tag;

	r->p++;
	closing = r->p < r->end && *r->p == '/';
	r->p += closing;
	name = r->p;
	while (r->p < r->end && *r->p != '>' && *r->p != ' ' && *r->p != '\n')
		r->p++;
	tag = tag_index(name, (size_t)(r->p - name));
	if (tag < 0)
		r->why = "a tag that Telegram does not know, or a '<' that is not escaped";
	else if (closing && (r->depth == 0 || r->open[r->depth - 1] != tag))
		r->why = "a tag is closed that is not the one open";
	else if (!closing && r->depth == DEPTH_MAX)
		r->why = "tags are nested too deep";
	if (r->why || !skip_attributes(r))
		return false;
	if (closing)
		r->depth--;
	else
		r->open[r->depth++] = (signed char)tag;
	return true;
}

/* Units of the entity at r->p, which it steps over; what is none is a plain '&'. *c is the ASCII character it stands
 * for, or 'x'. */
static size_t read_entity(struct reader *r, char *c)
{
	static const struct {
		const char *name;
		char c;
	} named[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}};
	size_t left = (size_t)(r->end - r->p), i = 2;
	unsigned base = 10;
	unsigned long v = 0;

	for (size_t k = 0; k < sizeof(named) / sizeof(named[0]); k++) {
		size_t len = strlen(named[k].name);

		if (left >= len && memcmp(r->p, named[k].name, len) == 0) {
			r->p += len;
			*c = named[k].c;
			return 1;
		}
	}
	*c = '&';
	if (left < 4 || r->p[1] != '#') {
		r->p++;
		return 1;
	}
	if (r->p[2] == 'x' || r->p[2] == 'X') {
		base = 16;
		i = 3;
	}
	for (; i < left && r->p[i] != ';' && v <= 0x10ffff; i++) {
		char d = r->p[i];
		unsigned digit = d >= '0' && d <= '9'   ? (unsigned)(d - '0')
		                 : d >= 'a' && d <= 'f' ? (unsigned)(d - 'a' + 10)
		                 : d >= 'A' && d <= 'F' ? (unsigned)(d - 'A' + 10)
		                                        : 99;

		if (digit >= base)
			break;
		v = v * base + digit;
	}
	if (i >= left || r->p[i] != ';' || v == 0 || v > 0x10ffff) {
		r->p++;
		return 1;
	}
	r->p += i + 1;
	*c = v < 0x80 ? (char)v : 'x';
	return v > 0xffff ? 2 : 1;
}

bool telegram_html_units(struct span html, size_t *units, bool *blank, const char **why)
{
	struct reader r = {.p = html.ptr, .end = html.ptr + html.len};

	*units = 0;
	*blank = true;
	if (!utf8_valid(html)) {
		*why = "the text is not UTF-8";
		return false;
	}
	while (r.p < r.end) {
		char c = *r.p;

		if (c == '<') {
			if (!read_tag(&r)) {
				*why = r.why;
				return false;
			}
			continue;
		}
		if (c == '&') {
			*units += read_entity(&r, &c);
		} else {
			size_t len = utf8_char_len(r.p, (size_t)(r.end - r.p));

			*units += len == 4 ? 2 : 1;
			r.p += len;
		}
		if (c != ' ' && !(c >= '\t' && c <= '\r'))
			*blank = false;
	}
	if (r.depth > 0) {
		*why = "a tag is not closed";
		return false;
	}
	return true;
}
