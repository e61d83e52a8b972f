#include "shoal/cli/csv.h"

#include <string.h>

enum { FIELDS_MAX = 100 };

void csv_open(struct csv *c, struct arena *a, struct span text)
{
	*c = (struct csv){.a = a, .text = text, .line = 1};
	if (span_starts(text, "\xEF\xBB\xBF"))
		c->at = 3;
}

/* The byte at hand, -1 at the end. */
static int peek(const struct csv *c)
{
	return c->at < c->text.len ? (unsigned char)c->text.ptr[c->at] : -1;
}

static bool bad(struct csv *c, const char *why)
{
	c->why = why;
	return false;
}

/* Takes a line break or the end; false where neither is. */
static bool take_end(struct csv *c)
{
	if (peek(c) < 0)
		return true;
	if (peek(c) == '\r' && c->at + 1 < c->text.len && c->text.ptr[c->at + 1] == '\n')
		c->at++;
	if (peek(c) != '\n')
		return false;
	c->at++;
	c->line++;
	return true;
}

static bool take_plain(struct csv *c, struct buf *b)
{
	size_t n;

	for (n = c->at; n < c->text.len && !memchr(",\r\n\"", c->text.ptr[n], 4); n++)
		continue;
	buf_add(b, c->text.ptr + c->at, n - c->at);
	c->at = n;
	if (peek(c) == '"')
		return bad(c, "a quote inside a field that does not begin with one");
	if (peek(c) == '\r' && (c->at + 1 >= c->text.len || c->text.ptr[c->at + 1] != '\n'))
		return bad(c, "a carriage return without a line feed");
	return true;
}

static bool take_quoted(struct csv *c, struct buf *b)
{
	for (c->at++; peek(c) >= 0; c->at++) {
		if (peek(c) == '"') {
			c->at++;
			if (peek(c) != '"')
				return memchr(",\r\n", peek(c) < 0 ? '\n' : peek(c), 3) != NULL ||
				       bad(c, "text behind a closing quote");
		} else if (peek(c) == '\n') {
			c->line++;
		}
		buf_addc(b, (char)peek(c));
	}
	c->line = c->began;
	return bad(c, "a quote that is never closed");
}

static bool take_field(struct csv *c, struct buf *b)
{
	struct span s;

	buf_clear(b);
	buf_adds(b, "");
	if (c->nfields == FIELDS_MAX)
		return bad(c, "more than 100 fields");
	if (!(peek(c) == '"' ? take_quoted(c, b) : take_plain(c, b)))
		return false;
	s = arena_span(c->a, buf_span(b));
	if (memchr(s.ptr, '\0', s.len))
		return bad(c, "a NUL byte");
	if (!utf8_valid(s))
		return bad(c, "text that is not valid UTF-8");
	c->field[c->nfields++] = s.ptr;
	return true;
}

static enum csv_got take_record(struct csv *c, struct buf *b)
{
	c->began = c->line;
	c->nfields = 0;
	do {
		if (c->nfields > 0)
			c->at++; /* the comma */
		if (!take_field(c, b))
			return CSV_BAD;
	} while (peek(c) == ',');
	if (!take_end(c)) {
		c->why = "a carriage return without a line feed";
		return CSV_BAD;
	}
	return CSV_RECORD;
}

enum csv_got csv_next(struct csv *c)
{
	enum csv_got got;
	struct buf b;

	while (peek(c) == '\n' || (peek(c) == '\r' && c->at + 1 < c->text.len && c->text.ptr[c->at + 1] == '\n'))
		(void)take_end(c);
	if (peek(c) < 0)
		return CSV_END;
	if (!c->field)
		c->field = arena_array(c->a, const char *, FIELDS_MAX);
	buf_init(&b, c->text.len + 1);
	got = take_record(c, &b);
	buf_release(&b);
	return got;
}

static bool needs_quotes(const char *s)
{
	size_t len = strlen(s);

	return strpbrk(s, ",\"\r\n") || (len > 0 && (strchr(" \t", s[0]) || strchr(" \t", s[len - 1])));
}

void csv_put(struct buf *b, const char *const *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *s = fields[i];
		bool quoted = needs_quotes(s) || (n == 1 && !*s) || (i == 0 && strncmp(s, "\xEF\xBB\xBF", 3) == 0);

		if (i > 0)
			buf_addc(b, ',');
		if (quoted)
			buf_addc(b, '"');
		for (; *s; s++) {
			if (*s == '"')
				buf_addc(b, '"');
			buf_addc(b, *s);
		}
		if (quoted)
			buf_addc(b, '"');
	}
	buf_addc(b, '\n');
}
