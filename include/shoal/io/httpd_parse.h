/* The reading half of the HTTP server: request heads, chunked bodies, queries and forms, from bytes that a stranger
 * sent. No sockets here. What two parsers could read differently (a length given twice, folded headers, bare line
 * feeds, spaces before a colon) is refused, so that nothing can be smuggled past a proxy. */
#ifndef SHOAL_IO_HTTPD_PARSE_H
#define SHOAL_IO_HTTPD_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/str.h"

struct http_pair {
	const char *name, *value;
};

struct http_pairs {
	struct http_pair *v; /* in the arena given to the parser */
	size_t n;
};

struct http_head {
	const char *method; /* literal */
	const char *path;   /* decoded, starts with '/', or is "*" */
	struct http_pairs query, headers;
	bool chunked;
	int64_t length; /* Content-Length, 0 without; unused when chunked */
	bool keep_alive;
	bool expects_continue;
};

/* text: the request line and header lines, without the empty line that ends them. Returns 0, or the HTTP status to
 * refuse with: 400, 417, 431, 501, 505. Nothing of *h points into text. */
int http_head_parse(struct http_head *h, struct arena *a, struct span text);
/* The first header of that name, NULL if there is none. */
const char *http_head_get(const struct http_head *h, const char *name);
size_t http_head_count(const struct http_head *h, const char *name);

enum http_chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_DONE };
struct http_chunked {
	enum http_chunk_state state;
	uint64_t left;       /* of this chunk's data */
	size_t trailer_size; /* so far */
};
/* Takes what it can from text and adds the body's bytes to out. Returns how much of text it used up; -1 when it is
 * ill-formed; out->failed tells that the body is too long. More is needed until the state is CHUNK_DONE. */
long http_chunked_feed(struct http_chunked *c, struct span text, struct buf *out);

/* "a=1&b=x%20y". '+' is a space, at most 256 fields. False on a bad escape or on U+0000. */
bool http_urlencoded_parse(struct http_pairs *pairs, struct arena *a, struct span text);
/* multipart/form-data. Parts with a file name and parts that hold U+0000 are left out. False when it is
 * ill-formed. */
bool http_multipart_parse(struct http_pairs *pairs, struct arena *a, const char *content_type, struct span body);
/* NULL on a bad escape or on U+0000. */
const char *http_percent_decode(struct arena *a, struct span s, bool plus_is_space);
int http_hex_digit(char c); /* -1 if it is none */

const char *http_pairs_get(const struct http_pairs *pairs, const char *name);

/* The usual words for a status. */
const char *http_status_text(int status);

#endif
