/* Request heads and chunked bodies. */
#include "shoal/io/httpd_parse.h"

#include <string.h>
#include <strings.h>

#define HEADERS_MAX 100
#define LENGTH_MAX INT64_C(1000000000000000)
#define CHUNK_LINE_MAX 256
#define TRAILER_MAX 8192

static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", NULL};

static const bool token_chars[256] = {
    ['0' ... '9'] = true,  ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
    ['#' ... '\''] = true, ['*'] = true,         ['+'] = true,         ['-'] = true,
    ['.'] = true,          ['^' ... '`'] = true, ['|'] = true,         ['~'] = true,
};

static bool is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!token_chars[(unsigned char)s.ptr[i]])
			return false;
	}
	return s.len > 0;
}

/* Cuts *rest at the first c: the part before it, and *rest after it. False when there is no c. */
static bool cut(struct span *rest, char c, struct span *part)
{
	const char *p = rest->len ? memchr(rest->ptr, c, rest->len) : NULL;

	if (!p)
		return false;
	*part = (struct span){rest->ptr, (size_t)(p - rest->ptr)};
	rest->len -= part->len + 1;
	rest->ptr = p + 1;
	return true;
}

/* The next line, without its CRLF; the last one may lack it. False on a bare CR or LF. */
static bool next_line(struct span *rest, struct span *line)
{
	if (!cut(rest, '\n', line)) {
		*line = *rest;
		*rest = (struct span){NULL, 0};
	} else if (line->len == 0 || line->ptr[--line->len] != '\r') {
		return false;
	}
	return line->len == 0 || !memchr(line->ptr, '\r', line->len);
}

static struct span trim(struct span s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static bool same_word(struct span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

static int parse_method(struct http_head *h, struct span s)
{
	if (!is_token(s))
		return 400;
	for (const char *const *m = methods; *m; m++) {
		if (span_is(s, *m)) {
			h->method = *m;
			return 0;
		}
	}
	return 501;
}

static int parse_version(struct http_head *h, struct span s)
{
	if (s.len != 8 || !span_starts(s, "HTTP/") || s.ptr[6] != '.' || s.ptr[5] < '0' || s.ptr[5] > '9' ||
	    s.ptr[7] < '0' || s.ptr[7] > '9')
		return 400;
	if (s.ptr[5] != '1')
		return 505;
	h->keep_alive = s.ptr[7] != '0';
	return 0;
}

/* "http://host/path" is how a client speaks to a proxy; its host says nothing to us. */
static struct span without_authority(struct span s)
{
	static const char *const schemes[] = {"http://", "https://", NULL};

	for (const char *const *scheme = schemes; *scheme; scheme++) {
		size_t len = strlen(*scheme);
		if (s.len < len || strncasecmp(s.ptr, *scheme, len) != 0)
			continue;
		for (s.ptr += len, s.len -= len; s.len && s.ptr[0] != '/' && s.ptr[0] != '?'; s.ptr++, s.len--)
			;
		return s.len && s.ptr[0] == '/' ? s : SPAN("/");
	}
	return s;
}

static int parse_target(struct http_head *h, struct arena *a, struct span target)
{
	struct span path;

	for (size_t i = 0; i < target.len; i++) {
		unsigned char c = (unsigned char)target.ptr[i];
		if (c <= ' ' || c >= 0x7f || c == '#')
			return 400;
	}
	if (span_is(target, "*") && strcmp(h->method, "OPTIONS") == 0) {
		h->path = "*";
		return 0;
	}
	target = without_authority(target);
	if (!span_starts(target, "/"))
		return 400;
	if (cut(&target, '?', &path)) {
		if (!http_urlencoded_parse(&h->query, a, target))
			return 400;
	} else {
		path = target;
	}
	h->path = http_percent_decode(a, path, false);
	return h->path ? 0 : 400;
}

static int parse_request_line(struct http_head *h, struct arena *a, struct span line)
{
	struct span method, target;
	int status;

	if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target))
		return 400;
	if ((status = parse_method(h, method)) == 0 && (status = parse_version(h, line)) == 0)
		status = parse_target(h, a, target);
	return status;
}

/* What the headers mean for the connection. One function each; old: HTTP/1.0. */
struct framing {
	struct http_head *h;
	bool old, has_length, has_host;
};

static int on_content_length(struct framing *f, struct span value)
{
	int64_t n;

	if (value.len == 0 || value.ptr[0] == '-' || !span_i64(value, &n) || n > LENGTH_MAX)
		return 400;
	if (f->has_length && n != f->h->length)
		return 400;
	f->has_length = true;
	f->h->length = n;
	return 0;
}

static int on_transfer_encoding(struct framing *f, struct span value)
{
	if (f->old || f->h->chunked)
		return 400;
	if (!same_word(value, "chunked"))
		return 501;
	f->h->chunked = true;
	return 0;
}

static int on_connection(struct framing *f, struct span value)
{
	struct span word;
	bool more = true;

	while (more) {
		more = cut(&value, ',', &word);
		word = trim(more ? word : value);
		if (same_word(word, "close"))
			f->h->keep_alive = false;
		else if (same_word(word, "keep-alive") && f->old)
			f->h->keep_alive = true;
	}
	return 0;
}

static int on_expect(struct framing *f, struct span value)
{
	if (!same_word(value, "100-continue"))
		return 417;
	f->h->expects_continue = !f->old;
	return 0;
}

static int on_host(struct framing *f, struct span value)
{
	(void)value;
	if (f->has_host)
		return 400;
	f->has_host = true;
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(struct framing *f, struct span value);
} framing_headers[] = {
    {"Content-Length", on_content_length},
    {"Transfer-Encoding", on_transfer_encoding},
    {"Connection", on_connection},
    {"Expect", on_expect},
    {"Host", on_host},
};

static int frame(struct framing *f, struct span name, struct span value)
{
	for (size_t i = 0; i < sizeof(framing_headers) / sizeof(framing_headers[0]); i++) {
		if (same_word(name, framing_headers[i].name))
			return framing_headers[i].fn(f, value);
	}
	return 0;
}

/* --- the lines */

static bool is_value(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* s is of a copy, and what stands behind it there has been read. */
static const char *ended(struct span s)
{
	((char *)s.ptr)[s.len] = '\0';
	return s.ptr;
}

static int parse_header(struct framing *f, struct span line)
{
	struct http_pairs *headers = &f->h->headers;
	struct span name;
	int status;

	if (headers->n == HEADERS_MAX)
		return 431;
	if (!cut(&line, ':', &name) || !is_token(name))
		return 400;
	line = trim(line);
	if (!is_value(line))
		return 400;
	status = frame(f, name, line);
	headers->v[headers->n++] = (struct http_pair){ended(name), ended(line)};
	return status;
}

static size_t count_lines(struct span text)
{
	struct span line;
	size_t n = 1;

	while (cut(&text, '\n', &line))
		n++;
	return n;
}

static int parse_headers(struct http_head *h, struct arena *a, struct span text)
{
	struct framing f = {.h = h, .old = !h->keep_alive};
	size_t lines = count_lines(text);
	struct span line;
	int status;

	h->headers.v = arena_array(a, struct http_pair, lines < HEADERS_MAX ? lines : HEADERS_MAX);
	text = arena_span(a, text);
	while (text.len) {
		if (!next_line(&text, &line))
			return 400;
		if ((status = parse_header(&f, line)) != 0)
			return status;
	}
	if (h->chunked && f.has_length)
		return 400;
	return f.has_host || f.old ? 0 : 400;
}

int http_head_parse(struct http_head *h, struct arena *a, struct span text)
{
	struct span line;
	int status;

	*h = (struct http_head){.method = "", .path = ""};
	if (!next_line(&text, &line))
		return 400;
	status = parse_request_line(h, a, line);
	return status ? status : parse_headers(h, a, text);
}

const char *http_head_get(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->headers.n; i++) {
		if (strcasecmp(h->headers.v[i].name, name) == 0)
			return h->headers.v[i].value;
	}
	return NULL;
}

size_t http_head_count(const struct http_head *h, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < h->headers.n; i++)
		count += strcasecmp(h->headers.v[i].name, name) == 0;
	return count;
}

/* A whole line from text, CRLF cut: its length with the CRLF, 0 when more is needed, -1 when it cannot be one. */
static long chunk_line(struct span text, size_t max, struct span *line)
{
	const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
	size_t len = end ? (size_t)(end - text.ptr) : text.len;

	if (len > max || (end && (len == 0 || end[-1] != '\r')))
		return -1;
	if (!end)
		return 0;
	*line = (struct span){text.ptr, len - 1};
	return (long)len + 1;
}

static bool chunk_size(struct span line, uint64_t *size)
{
	size_t i, end;

	*size = 0;
	for (i = 0; i < line.len && http_hex_digit(line.ptr[i]) >= 0; i++) {
		if (i == 12)
			return false;
		*size = *size * 16 + (uint64_t)http_hex_digit(line.ptr[i]);
	}
	end = i;
	while (end < line.len && (line.ptr[end] == ' ' || line.ptr[end] == '\t'))
		end++;
	/* extensions are allowed, also behind blanks (RFC 9112, 7.1.1), and say nothing to us; blanks alone are not */
	return i > 0 && (i == line.len || (end < line.len && line.ptr[end] == ';')) &&
	       !memchr(line.ptr, '\r', line.len);
}

/* Each step: bytes used up, 0 when it needs more, -1 when ill-formed. */
static long feed_size(struct http_chunked *c, struct span text, struct buf *out)
{
	struct span line;
	long used = chunk_line(text, CHUNK_LINE_MAX, &line);

	if (used <= 0)
		return used;
	if (!chunk_size(line, &c->left))
		return -1;
	if (c->left > out->max - out->len)
		out->failed = true; /* known before the data comes */
	c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
	return used;
}

static long feed_data(struct http_chunked *c, struct span text, struct buf *out)
{
	size_t n = text.len < c->left ? text.len : (size_t)c->left;

	buf_add(out, text.ptr, n);
	c->left -= n;
	if (c->left == 0)
		c->state = CHUNK_DATA_END;
	return (long)n;
}

static long feed_data_end(struct http_chunked *c, struct span text, struct buf *out)
{
	struct span line;
	long used = chunk_line(text, 1, &line);

	(void)out;
	if (used > 0)
		c->state = CHUNK_SIZE;
	return used;
}

static long feed_trailer(struct http_chunked *c, struct span text, struct buf *out)
{
	struct span line;
	long used = chunk_line(text, TRAILER_MAX - c->trailer_size, &line);

	(void)out;
	if (used > 0) {
		if (line.len == 0)
			c->state = CHUNK_DONE;
		c->trailer_size += line.len;
	}
	return used;
}

long http_chunked_feed(struct http_chunked *c, struct span text, struct buf *out)
{
	static long (*const step[])(struct http_chunked *, struct span, struct buf *) = {
	    [CHUNK_SIZE] = feed_size,
	    [CHUNK_DATA] = feed_data,
	    [CHUNK_DATA_END] = feed_data_end,
	    [CHUNK_TRAILER] = feed_trailer,
	};
	long total = 0;

	while (c->state != CHUNK_DONE && text.len && !out->failed) {
		long used = step[c->state](c, text, out);
		if (used < 0)
			return -1;
		if (used == 0)
			break;
		total += used;
		text.ptr += used;
		text.len -= (size_t)used;
	}
	return total;
}

const char *http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
	    {200, "OK"},
	    {201, "Created"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {301, "Moved Permanently"},
	    {302, "Found"},
	    {303, "See Other"},
	    {304, "Not Modified"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {410, "Gone"},
	    {413, "Content Too Large"},
	    {415, "Unsupported Media Type"},
	    {417, "Expectation Failed"},
	    {422, "Unprocessable Content"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].status == status)
			return texts[i].text;
	}
	return "Status";
}
