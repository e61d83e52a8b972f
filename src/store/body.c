#include "shoal/store/body.h"

#include <openssl/evp.h>
#include <string.h>

#include "shoal/base/json.h"

enum { TEXT_MAX = 1 << 30 };

struct span body_field(const struct span *fields, size_t n, const char *name)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		if (span_is(fields[i], name))
			return fields[i + 1];
	return (struct span){0};
}

/* What the buffer holds, as a text of the arena. */
static struct span taken(struct buf *b, struct arena *a)
{
	struct span s;

	ENSURE(!b->failed);
	s = arena_span(a, buf_span(b));
	buf_release(b);
	return s;
}

static bool is_known(struct span name)
{
	static const char *const known[] = {"bot", "lane", "key", "at", "body"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_is(name, known[i]))
			return true;
	return false;
}

static bool came_before(const struct span *fields, size_t i)
{
	for (size_t k = 0; k < i; k += 2)
		if (span_eq(fields[k], fields[i]))
			return true;
	return false;
}

struct span body_other_fields(const struct span *fields, size_t n, struct arena *a)
{
	struct json_writer w;
	struct buf b;
	size_t others = 0;

	buf_init(&b, TEXT_MAX);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	for (size_t i = 0; i + 1 < n; i += 2) {
		if (is_known(fields[i]) || came_before(fields, i))
			continue;
		json_key(&w, arena_span(a, fields[i]).ptr);
		json_put_span(&w, fields[i + 1]);
		others++;
	}
	json_end_obj(&w);
	if (others > 0)
		return taken(&b, a);
	buf_release(&b);
	return (struct span){0};
}

static void put_object(struct json_writer *w, const cJSON *object)
{
	json_begin_obj(w);
	for (const cJSON *m = object->child; m; m = m->next) {
		json_key(w, m->string);
		if (strcmp(m->string, "token") == 0)
			json_put_str(w, "***");
		else
			json_put(w, m);
	}
	json_end_obj(w);
}

struct body body_read(struct span bytes, struct arena *a)
{
	const char *why;
	const cJSON *root = json_parse(a, bytes, &why);
	struct body body = {0};
	struct json_writer w;
	struct buf b;

	buf_init(&b, TEXT_MAX);
	if (root) {
		json_writer_init(&w, &b);
		if (cJSON_IsObject(root))
			put_object(&w, root);
		else
			json_put(&w, root);
		body.json = taken(&b, a);
		return body;
	}
	buf_add_utf8(&b, bytes);
	body.text = taken(&b, a);
	body.base64.ptr = arena_alloc(a, (bytes.len + 2) / 3 * 4 + 1);
	body.base64.len =
	    (size_t)EVP_EncodeBlock((unsigned char *)body.base64.ptr, (const unsigned char *)bytes.ptr, (int)bytes.len);
	return body;
}
