#include "shoal/wire/platform.h"

#include <string.h>

const struct platform *platform_of(enum platform_id id)
{
	static const struct platform *const platforms[] = {
	    [PLATFORM_TELEGRAM] = &platform_telegram, [PLATFORM_DISCORD] = &platform_discord};

	return (size_t)id < sizeof(platforms) / sizeof(platforms[0]) ? platforms[id] : NULL;
}

static struct span finish(struct buf *b, struct arena *a)
{
	struct span out;

	ENSURE(!b->failed);
	out = arena_span(a, buf_span(b));
	buf_release(b);
	return out;
}

struct span calls_encode(const struct call *calls, size_t n, struct arena *a)
{
	struct buf b;
	struct json_writer w;
	size_t max = 16;

	for (size_t i = 0; i < n; i++)
		max += calls[i].body.len + 128 + (calls[i].token ? strlen(calls[i].token) * 6 : 0);
	buf_init(&b, max);
	json_writer_init(&w, &b);
	json_begin_arr(&w);
	for (size_t i = 0; i < n; i++) {
		json_begin_obj(&w);
		json_kv_str(&w, "m", calls[i].method);
		json_kv_i64(&w, "c", calls[i].chat_id);
		json_kv_bool(&w, "g", calls[i].group);
		if (calls[i].token)
			json_kv_str(&w, "t", calls[i].token);
		json_key(&w, "b");
		json_put_raw(&w, calls[i].body);
		json_end_obj(&w);
	}
	json_end_arr(&w);
	return finish(&b, a);
}

/* The name becomes part of a URL, or chooses one. */
static bool is_method(const char *m)
{
	size_t n = 0;

	if (!m)
		return false;
	for (; m[n]; n++) {
		if (!((m[n] >= 'a' && m[n] <= 'z') || (m[n] >= 'A' && m[n] <= 'Z')))
			return false;
	}
	return n > 0 && n <= 64;
}

static bool call_decode(const cJSON *stored, size_t max, struct arena *a, struct call *c)
{
	const cJSON *body = json_obj(stored, "b");
	struct buf b;
	struct json_writer w;

	c->method = json_str(stored, "m");
	c->token = json_str(stored, "t");
	if (!is_method(c->method) || !body || !json_i64(stored, "c", &c->chat_id) || !json_bool(stored, "g", &c->group))
		return false;
	buf_init(&b, max);
	json_writer_init(&w, &b);
	json_put(&w, body);
	c->body = finish(&b, a);
	return true;
}

enum err calls_decode(struct span text, struct arena *a, struct call **calls, size_t *n)
{
	const char *why;
	const cJSON *root = json_parse(a, text, &why), *stored;
	size_t i = 0;

	if (!cJSON_IsArray(root))
		return ERR_INVALID;
	*n = (size_t)cJSON_GetArraySize(root);
	*calls = arena_array(a, struct call, *n + 1);
	cJSON_ArrayForEach(stored, root)
	{
		/* Written anew a text can only grow by escapes, at most sixfold. */
		if (!call_decode(stored, text.len * 6 + 64, a, &(*calls)[i++]))
			return ERR_INVALID;
	}
	return ERR_OK;
}

struct span refused_encode(int64_t chat_id, struct arena *a)
{
	return span_of(arena_printf(a, "{\"shoal\":\"refused\",\"chat_id\":%lld}", (long long)chat_id));
}

struct span due_encode(const char *what, const char *of, int64_t chat_id, struct arena *a)
{
	struct buf b;
	struct json_writer w;

	buf_init(&b, 4096);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_kv_str(&w, "shoal", "due");
	json_kv_i64(&w, "chat_id", chat_id);
	json_kv_str(&w, "what", what);
	json_kv_str(&w, "of", of);
	json_end_obj(&w);
	return finish(&b, a);
}
