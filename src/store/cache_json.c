#include "shoal/store/cache_json.h"

#include "shoal/base/json.h"

bool cache_json_code(struct span json, struct arena *a, struct fact_code *out)
{
	const char *why, *persona;
	cJSON *obj = json_parse(a, json, &why);
	struct fact_code c = {.asked = out->asked};

	c.code = json_str(obj, "code");
	persona = json_str(obj, "persona_id");
	if (!c.code || !json_i64(obj, "id", &c.id) || !json_bool(obj, "active", &c.active) ||
	    (persona && !span_i64(span_of(persona), &c.persona_id)))
		return false;
	c.limited = json_i64(obj, "max_uses", &c.max_uses);
	json_i64(obj, "expires_ms", &c.expires_ms);
	c.found = true;
	*out = c;
	return true;
}

static bool read_replies(const cJSON *list, struct arena *a, struct fact_persona *p)
{
	int n = cJSON_GetArraySize(list);
	const char **replies = arena_array(a, const char *, (size_t)n);
	const cJSON *item;

	p->replies = replies;
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item))
			return false;
		replies[p->nreplies++] = item->valuestring;
	}
	return true;
}

bool cache_json_persona(struct span json, struct arena *a, struct fact_persona *out)
{
	const char *why;
	cJSON *obj = json_parse(a, json, &why), *replies = json_arr(obj, "replies");
	struct fact_persona p = {
	    .key = json_str(obj, "key"),
	    .name = json_str(obj, "name"),
	    .greeting = json_str(obj, "greeting"),
	    .prompt = json_str(obj, "prompt"),
	};

	if (!p.key || !p.name || !p.greeting || !replies || !json_i64(obj, "id", &p.id) ||
	    !json_bool(obj, "active", &p.active) || !read_replies(replies, a, &p))
		return false;
	p.found = true;
	*out = p;
	return true;
}
