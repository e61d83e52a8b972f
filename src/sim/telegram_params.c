/* Parameters of a call, however they came: query, form, multipart or JSON. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "shoal/base/json.h"
#include "shoal/sim/call.h"

#define PARAMS_MAX (4u << 20)

static const char *as_text(struct call *c, const cJSON *v)
{
	struct json_writer w;
	struct buf b;

	if (cJSON_IsString(v))
		return v->valuestring;
	if (cJSON_IsBool(v))
		return cJSON_IsTrue(v) ? "true" : "false";
	buf_init(&b, PARAMS_MAX);
	json_writer_init(&w, &b);
	json_put(&w, v);
	const char *text = arena_strndup(c->arena, b.ptr ? b.ptr : "", b.len);
	buf_release(&b);
	return text;
}

static const cJSON *member(struct call *c, const char *name)
{
	const cJSON *v = json_get(c->json, name);
	return v && !cJSON_IsNull(v) ? v : NULL;
}

const char *param_text(struct call *c, const char *name)
{
	const cJSON *v = member(c, name);
	const char *text = v ? as_text(c, v) : NULL;

	if (!text && c->req)
		text = httpd_query(c->req, name);
	if (!text && c->req && !c->json)
		text = httpd_form(c->req, name);
	return text && *text ? text : NULL;
}

bool param_bool(struct call *c, const char *name)
{
	const char *text = param_text(c, name);
	return text && (strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 || strcmp(text, "1") == 0);
}

bool param_i64(struct call *c, const char *name, int64_t *out)
{
	const char *text = param_text(c, name);
	return !text || span_i64(span_of(text), out);
}

const cJSON *param_json(struct call *c, const char *name, bool *bad)
{
	const cJSON *v = member(c, name);
	const char *text, *why;

	*bad = false;
	if (v && !cJSON_IsString(v))
		return v;
	text = param_text(c, name);
	if (!text)
		return NULL;
	v = json_parse(c->arena, span_of(text), &why);
	*bad = v == NULL;
	return v;
}

static void add_named(struct call *c, struct json_writer *w, const char *names)
{
	char name[64];

	for (const char *p = names; *p;) {
		size_t n = strcspn(p, " ");
		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		const char *text = httpd_query(c->req, name);
		if (!text && !c->json)
			text = httpd_form(c->req, name);
		if (text && !member(c, name))
			json_kv_str(w, name, text);
		p += n;
		p += strspn(p, " ");
	}
}

char *params_record(struct call *c)
{
	struct json_writer w;
	struct buf b;
	const cJSON *v;

	buf_init(&b, PARAMS_MAX);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	for (v = c->json ? c->json->child : NULL; v; v = v->next) {
		if (!c->req && strcmp(v->string, "method") == 0)
			continue;
		json_key(&w, v->string);
		json_put(&w, v);
	}
	if (c->req)
		add_named(c, &w, c->method->params);
	json_end_obj(&w);
	char *json = mem_strdup(b.failed ? "{}" : b.ptr);
	buf_release(&b);
	return json;
}
