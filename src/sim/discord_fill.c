/* What a bot sends, put into a message. */
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/sim/discord_check.h"
#include "shoal/sim/discord_object.h"

#define DEPTH_MAX 8

static char *copy(struct span s)
{
	char *out = mem_alloc(s.len + 1);

	if (s.len > 0)
		memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
	return out;
}

/* --- components: each gets an id, as there */

static void put_components(struct json_writer *w, const cJSON *list, int64_t *next, int depth);

static void put_component(struct json_writer *w, const cJSON *v, int64_t *next, int depth)
{
	const cJSON *member;
	int64_t id = ++*next;

	json_begin_obj(w);
	json_i64(v, "id", &id);
	json_kv_i64(w, "id", id);
	cJSON_ArrayForEach(member, v)
	{
		if (strcmp(member->string, "id") == 0 || cJSON_IsNull(member))
			continue;
		json_key(w, member->string);
		if (strcmp(member->string, "components") == 0 && cJSON_IsArray(member) && depth > 0)
			put_components(w, member, next, depth - 1);
		else
			json_put(w, member);
	}
	json_end_obj(w);
}

static void put_components(struct json_writer *w, const cJSON *list, int64_t *next, int depth)
{
	const cJSON *v;

	json_begin_arr(w);
	cJSON_ArrayForEach(v, list) put_component(w, v, next, depth);
	json_end_arr(w);
}

static const char *components_json(struct discord *d, const cJSON *list)
{
	struct buf *b = &d->sim->scratch;
	struct json_writer w;
	int64_t next = 0;

	buf_clear(b);
	json_writer_init(&w, b);
	put_components(&w, list, &next, DEPTH_MAX);
	return b->ptr;
}

/* --- who is told: those whom the text names, as far as they may be */

static bool lists(const cJSON *list, const char *s, size_t n)
{
	const cJSON *v;

	cJSON_ArrayForEach(v, list)
	{
		if (cJSON_IsString(v) && strlen(v->valuestring) == n && memcmp(v->valuestring, s, n) == 0)
			return true;
	}
	return false;
}

static void fill_mentions(struct discord *d, struct dc_message *m, const cJSON *allowed)
{
	const cJSON *parse = json_arr(allowed, "parse"), *users = json_arr(allowed, "users");
	bool anyone = !allowed || lists(parse, "users", 5), any = false;
	struct buf *b = &d->sim->scratch;
	struct json_writer w;

	buf_clear(b);
	json_writer_init(&w, b);
	json_begin_arr(&w);
	for (const char *p = m->content; (p = strstr(p, "<@")) != NULL; p++) {
		const char *id = p + 2 + (p[2] == '!');
		size_t n = strspn(id, "0123456789");
		int64_t number;

		if (n == 0 || id[n] != '>' || !span_i64((struct span){id, n}, &number) || !dc_user(d, number))
			continue;
		if (!anyone && !lists(users, id, n))
			continue;
		json_put_id(&w, number);
		any = true;
	}
	json_end_arr(&w);
	message_set(&m->mentions, any ? b->ptr : NULL);
	m->everyone = (!allowed || lists(parse, "everyone", 8)) &&
	              (strstr(m->content, "@everyone") || strstr(m->content, "@here"));
}

/* --- all of it */

static bool names(const cJSON *body, const char *name)
{
	return json_get(body, name) != NULL;
}

bool dc_would_be_empty(const struct dc_message *m, const cJSON *body)
{
	bool text = m && m->content[0], embeds = m && m->embeds;

	if (names(body, "content"))
		text = dc_trimmed(json_str(body, "content") ? json_str(body, "content") : "").len > 0;
	if (names(body, "embeds"))
		embeds = cJSON_GetArraySize(json_arr(body, "embeds")) > 0;
	return !text && !embeds;
}

static void fill_nonce(struct discord *d, struct dc_message *m, const cJSON *nonce)
{
	if (nonce && !cJSON_IsNull(nonce))
		message_set(&m->nonce, dc_json(d, nonce));
}

void dc_fill(struct discord *d, struct dc_message *m, const cJSON *body)
{
	const cJSON *embeds = json_arr(body, "embeds"), *components = json_arr(body, "components");
	const char *content = json_str(body, "content");
	int64_t flags = 0;

	if (names(body, "content")) {
		char *text = copy(dc_trimmed(content ? content : ""));

		message_set(&m->content, text);
		free(text);
	}
	if (names(body, "embeds"))
		message_set(&m->embeds, cJSON_GetArraySize(embeds) > 0 ? dc_json(d, embeds) : NULL);
	if (names(body, "components"))
		message_set(&m->components, cJSON_GetArraySize(components) > 0 ? components_json(d, components) : NULL);
	if (names(body, "content") || names(body, "allowed_mentions"))
		fill_mentions(d, m, json_obj(body, "allowed_mentions"));
	fill_nonce(d, m, json_get(body, "nonce"));
	/* who sees a message is decided when it is made; of the flags only this one changes later */
	if (json_i64(body, "flags", &flags))
		m->flags = (m->flags & ~(int64_t)DC_FLAG_NO_EMBEDS) | (flags & DC_FLAG_NO_EMBEDS);
	m->flags &= ~(int64_t)DC_FLAG_LOADING;
}
