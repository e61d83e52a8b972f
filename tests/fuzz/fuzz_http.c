/* links: io base */
/* What a stranger sends to the gateway or to the admin's door: a head, then a body in chunks, in pieces of any size,
 * then that body as a form and as JSON. */
#include "fuzz.h"

#include "shoal/base/json.h"
#include "shoal/io/httpd_parse.h"

/* In pieces, each of a size that the input chooses; what comes out must not depend on them. */
static void chunked(struct span text, uint8_t piece, struct arena *a, struct buf *out)
{
	struct http_chunked c = {0};
	size_t from = 0, have = 0;

	while (from < text.len && c.state != CHUNK_DONE && !out->failed) {
		have += piece % 37 + 1u;
		if (have > text.len - from)
			have = text.len - from;
		long used = http_chunked_feed(&c, exact(a, (struct span){text.ptr + from, have}), out);
		MUST(used <= (long)have);
		if (used < 0)
			return;
		from += (size_t)used;
		have -= (size_t)used;
		if (from + have == text.len && used == 0)
			break;
	}
}

static void forms(const struct http_head *h, struct span body, struct arena *a)
{
	struct http_pairs pairs = {0};
	const char *type = http_head_get(h, "Content-Type"), *why;

	if (http_urlencoded_parse(&pairs, a, body))
		MUST(pairs.n <= 256);
	http_multipart_parse(&pairs, a, type ? type : "multipart/form-data; boundary=B", body);
	cJSON *root = json_parse(a, body, &why);
	if (root) {
		struct json_writer w;
		struct buf b;
		buf_init(&b, 1 << 22);
		json_writer_init(&w, &b);
		json_put(&w, root);
		MUST(b.failed || json_parse(a, buf_span(&b), &why));
		buf_release(&b);
	}
}

static void fuzz(const uint8_t *data, size_t size)
{
	struct span text = {(const char *)data, size};
	const char *end = size ? memmem(data, size, "\r\n\r\n", 4) : NULL;
	size_t head = end ? (size_t)(end - text.ptr) : size;
	struct span body = end ? (struct span){end + 4, size - head - 4} : (struct span){"", 0};
	struct http_head h;
	struct arena a;

	arena_init(&a);
	int status = http_head_parse(&h, &a, exact(&a, (struct span){text.ptr, head}));
	MUST(status == 0 || status == 400 || status == 417 || status == 431 || status == 501 || status == 505);
	if (status == 0) {
		MUST(h.path[0] == '/' || strcmp(h.path, "*") == 0);
		MUST(h.length >= 0 && !(h.chunked && http_head_get(&h, "Content-Length")));
		http_pairs_get(&h.query, "q");
	}
	struct buf whole, pieces;
	buf_init(&whole, 4096);
	buf_init(&pieces, 4096);
	chunked(body, 36, &a, &whole);
	chunked(body, (uint8_t)size, &a, &pieces);
	if (!whole.failed && !pieces.failed)
		MUST(whole.len == pieces.len && (whole.len == 0 || memcmp(whole.ptr, pieces.ptr, whole.len) == 0));
	if (status == 0) {
		forms(&h, exact(&a, body), &a);
		forms(&h, exact(&a, buf_span(&whole)), &a);
	}
	buf_release(&whole);
	buf_release(&pieces);
	arena_release(&a);
}
