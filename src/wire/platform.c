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

static void put_errand(struct json_writer *w, const struct errand *o)
{
	json_begin_obj(w);
	json_kv_str(w, "o", o->what);
	json_key(w, "w");
	json_begin_arr(w);
	for (size_t i = 0; i < o->n; i++)
		json_put_str(w, o->words[i]);
	json_end_arr(w);
	json_end_obj(w);
}

static void put_call(struct json_writer *w, const struct call *c)
{
	json_begin_obj(w);
	json_kv_str(w, "m", c->method);
	json_kv_i64(w, "c", c->chat_id);
	json_kv_bool(w, "g", c->group);
	if (c->message_id)
		json_kv_i64(w, "i", c->message_id);
	if (c->token)
		json_kv_str(w, "t", c->token);
	json_key(w, "b");
	json_put_raw(w, c->body);
	json_end_obj(w);
}

/* At most so many bytes: an escape is six for one. */
static size_t longest(const struct effects *e)
{
	size_t max = 16;

	for (const struct errand *o = e->errands; o; o = o->next) {
		max += strlen(o->what) * 6 + 32;
		for (size_t i = 0; i < o->n; i++)
			max += strlen(o->words[i]) * 6 + 3;
	}
	for (size_t i = 0; i < e->ncalls; i++)
		max += e->calls[i].body.len + 160 + (e->calls[i].token ? strlen(e->calls[i].token) * 6 : 0);
	return max;
}

struct span effects_encode(const struct effects *e, struct arena *a)
{
	struct buf b;
	struct json_writer w;

	buf_init(&b, longest(e));
	json_writer_init(&w, &b);
	json_begin_arr(&w);
	for (const struct errand *o = e->errands; o; o = o->next)
		put_errand(&w, o);
	for (size_t i = 0; i < e->ncalls; i++)
		put_call(&w, &e->calls[i]);
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
	json_i64(stored, "i", &c->message_id);
	if (!is_method(c->method) || !body || !json_i64(stored, "c", &c->chat_id) || !json_bool(stored, "g", &c->group))
		return false;
	buf_init(&b, max);
	json_writer_init(&w, &b);
	json_put(&w, body);
	c->body = finish(&b, a);
	return true;
}

static bool errand_decode(const cJSON *stored, struct errand *o)
{
	const cJSON *words = json_arr(stored, "w"), *word;

	*o = (struct errand){.what = json_str(stored, "o")};
	if (!o->what || !words || cJSON_GetArraySize(words) > ERRAND_WORDS)
		return false;
	cJSON_ArrayForEach(word, words)
	{
		if (!cJSON_IsString(word))
			return false;
		o->words[o->n++] = word->valuestring;
	}
	return true;
}

enum err effects_decode(struct span text, struct arena *a, struct effects *out)
{
	const char *why;
	const cJSON *root = json_parse(a, text, &why), *stored;
	const struct errand **last = &out->errands;
	struct errand *o;

	if (!cJSON_IsArray(root))
		return ERR_INVALID;
	*out = (struct effects){.calls = arena_array(a, struct call, (size_t)cJSON_GetArraySize(root) + 1)};
	cJSON_ArrayForEach(stored, root)
	{
		if (json_get(stored, "o")) {
			o = arena_new(a, struct errand);
			if (!errand_decode(stored, o))
				return ERR_INVALID;
			*last = o;
			last = (const struct errand **)&o->next;
			/* Written anew a text can only grow by escapes, at most sixfold. */
		} else if (!call_decode(stored, text.len * 6 + 64, a, &out->calls[out->ncalls++])) {
			return ERR_INVALID;
		}
	}
	return ERR_OK;
}
