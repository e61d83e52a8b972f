/* Queries and forms: application/x-www-form-urlencoded and multipart/form-data. */
#include "shoal/io/httpd_parse.h"

#include <string.h>
#include <strings.h>

#define PAIRS_MAX 256

static bool pairs_add(struct http_pairs *pairs, struct arena *a, const char *name, const char *value)
{
	if (!pairs->v)
		pairs->v = arena_array(a, struct http_pair, PAIRS_MAX);
	if (pairs->n == PAIRS_MAX)
		return false;
	pairs->v[pairs->n++] = (struct http_pair){name, value};
	return true;
}

const char *http_pairs_get(const struct http_pairs *pairs, const char *name)
{
	for (size_t i = 0; i < pairs->n; i++) {
		if (strcmp(pairs->v[i].name, name) == 0)
			return pairs->v[i].value;
	}
	return NULL;
}

int http_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *http_percent_decode(struct arena *a, struct span s, bool plus_is_space)
{
	char *out = arena_strndup(a, s.ptr, s.len);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		int c = plus_is_space && s.ptr[i] == '+' ? ' ' : (unsigned char)s.ptr[i];
		if (c == '%') {
			int high = i + 2 < s.len ? http_hex_digit(s.ptr[i + 1]) : -1;
			int low = i + 2 < s.len ? http_hex_digit(s.ptr[i + 2]) : -1;
			if (high < 0 || low < 0)
				return NULL;
			c = high * 16 + low;
			i += 2;
		}
		if (c == 0)
			return NULL;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return out;
}

static bool add_urlencoded(struct http_pairs *pairs, struct arena *a, struct span item)
{
	const char *eq = memchr(item.ptr, '=', item.len);
	struct span name = {item.ptr, eq ? (size_t)(eq - item.ptr) : item.len};
	struct span value = eq ? (struct span){eq + 1, item.len - name.len - 1} : SPAN("");
	const char *n = http_percent_decode(a, name, true), *v = http_percent_decode(a, value, true);

	return n && v && pairs_add(pairs, a, n, v);
}

bool http_urlencoded_parse(struct http_pairs *pairs, struct arena *a, struct span text)
{
	while (text.len) {
		const char *amp = memchr(text.ptr, '&', text.len);
		struct span item = {text.ptr, amp ? (size_t)(amp - text.ptr) : text.len};
		if (item.len && !add_urlencoded(pairs, a, item))
			return false;
		text.ptr += item.len + (amp != NULL);
		text.len -= item.len + (amp != NULL);
	}
	return true;
}

/* The parameter of a header such as `form-data; name="x"; filename="y"`; NULL if it is not there. */
static const char *parameter(struct arena *a, const char *header, const char *name)
{
	size_t len = strlen(name);
	const char *p = strchr(header, ';');

	while (p) {
		p += 1 + strspn(p + 1, " \t");
		bool found = strncasecmp(p, name, len) == 0 && p[len] == '=';
		p += strcspn(p, "=;");
		if (*p == '=' && p[1] == '"') {
			const char *start = p + 2, *end = strchr(start, '"');
			if (!end)
				return NULL;
			if (found)
				return arena_strndup(a, start, (size_t)(end - start));
			p = end + 1;
		} else if (found) {
			return arena_strndup(a, p + 1, strcspn(p + 1, "; \t"));
		}
		p = strchr(p, ';');
	}
	return NULL;
}

static const char *find(struct span s, const char *what)
{
	return s.len ? memmem(s.ptr, s.len, what, strlen(what)) : NULL;
}

/* The value of a part's Content-Disposition line. */
static const char *disposition(struct arena *a, struct span head)
{
	static const char name[] = "Content-Disposition:";

	while (head.len) {
		const char *end = find(head, "\r\n");
		size_t len = end ? (size_t)(end - head.ptr) : head.len;
		if (len >= sizeof(name) - 1 && strncasecmp(head.ptr, name, sizeof(name) - 1) == 0)
			return arena_strndup(a, head.ptr, len);
		head.ptr += len + (end ? 2 : 0);
		head.len -= len + (end ? 2 : 0);
	}
	return NULL;
}

/* part: header lines, an empty line, the value. */
static bool add_part(struct http_pairs *pairs, struct arena *a, struct span part)
{
	bool bare = span_starts(part, "\r\n");
	const char *end = bare ? part.ptr : find(part, "\r\n\r\n");
	if (!end)
		return false;
	struct span value = {end + (bare ? 2 : 4), 0};
	value.len = part.len - (size_t)(value.ptr - part.ptr);
	const char *line = disposition(a, (struct span){part.ptr, (size_t)(end - part.ptr)});
	const char *name = line ? parameter(a, line, "name") : NULL;

	if (!name)
		return false;
	if (parameter(a, line, "filename") || (value.len && memchr(value.ptr, '\0', value.len)))
		return true;
	return pairs_add(pairs, a, name, arena_strndup(a, value.ptr, value.len));
}

bool http_multipart_parse(struct http_pairs *pairs, struct arena *a, const char *content_type, struct span body)
{
	const char *boundary = parameter(a, content_type, "boundary");

	if (!boundary || !*boundary || strlen(boundary) > 70)
		return false;
	const char *mark = arena_printf(a, "\r\n--%s", boundary);
	size_t len = strlen(mark);
	const char *p;

	if (span_starts(body, mark + 2)) {
		body.ptr += len - 2;
		body.len -= len - 2;
	} else if ((p = find(body, mark)) != NULL) {
		body.len -= (size_t)(p - body.ptr) + len;
		body.ptr = p + len;
	} else {
		return false;
	}
	while (span_starts(body, "\r\n")) {
		body.ptr += 2;
		body.len -= 2;
		if ((p = find(body, mark)) == NULL ||
		    !add_part(pairs, a, (struct span){body.ptr, (size_t)(p - body.ptr)}))
			return false;
		body.len -= (size_t)(p - body.ptr) + len;
		body.ptr = p + len;
	}
	return span_starts(body, "--");
}
