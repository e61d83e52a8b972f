#include "shoal/wire/own.h"

#include <string.h>

struct span refused_encode(int64_t chat_id, struct arena *a)
{
	return span_of(arena_printf(a, "{\"shoal\":\"refused\",\"chat_id\":%lld}", (long long)chat_id));
}

struct span due_encode(const char *what, const char *of, int64_t chat_id, struct arena *a)
{
	struct buf b;
	struct json_writer w;
	struct span out;

	buf_init(&b, 4096);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_kv_str(&w, "shoal", "due");
	json_kv_i64(&w, "chat_id", chat_id);
	json_kv_str(&w, "what", what);
	json_kv_str(&w, "of", of);
	json_end_obj(&w);
	ENSURE(!b.failed);
	out = arena_span(a, buf_span(&b));
	buf_release(&b);
	return out;
}

static void read_with(const cJSON *with, struct arena *a, struct update *u)
{
	struct option *v = arena_array(a, struct option, (size_t)cJSON_GetArraySize(with) + 1);
	const cJSON *one;

	u->options = v;
	cJSON_ArrayForEach(one, with)
	{
		if (!cJSON_IsString(one))
			continue;
		v[u->noptions] = (struct option){.name = one->string, .value = one->valuestring};
		if (!span_i64(span_of(one->valuestring), &v[u->noptions].id))
			v[u->noptions].id = 0;
		u->noptions++;
	}
}

static bool read_due(const cJSON *root, struct arena *a, struct update *u)
{
	const char *what = json_str(root, "what"), *of = json_str(root, "of");

	if (!what || !*what || !of)
		return false;
	u->kind = UPDATE_DUE;
	u->word = what;
	u->args[u->nargs++] = of;
	read_with(json_obj(root, "with"), a, u);
	return true;
}

bool own_begins(struct span body)
{
	return span_starts(body, "{\"shoal\":");
}

bool own_read(const cJSON *root, struct arena *a, struct update *u)
{
	const char *what = json_str(root, "shoal");
	int64_t chat_id;

	if (!what || !json_i64(root, "chat_id", &chat_id))
		return false;
	if (strcmp(what, "refused") == 0)
		u->kind = UPDATE_REFUSED;
	else if (strcmp(what, "due") != 0 || !read_due(root, a, u))
		return false;
	u->kind_name = u->kind == UPDATE_DUE ? "due" : "refused";
	u->chat_id = chat_id;
	return true;
}
