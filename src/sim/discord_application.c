/* Calls about the bot and its application, and the questions to a new interactions endpoint. */
#include <stdlib.h>
#include <string.h>

#include "shoal/sim/discord_call.h"
#include "shoal/sim/discord_interaction.h"
#include "shoal/sim/discord_object.h"

#define PROBE_BODY_MAX 4096

enum dc_outcome dc_get_me(struct dc_call *c)
{
	dc_write_bot(&c->w, c->discord);
	return DC_DONE;
}

enum dc_outcome dc_get_application(struct dc_call *c)
{
	const struct discord *d = c->discord;
	struct json_writer *w = &c->w;

	json_begin_obj(w);
	json_kv_id(w, "id", d->app_id);
	json_kv_str(w, "name", d->name);
	json_key(w, "icon");
	json_put_null(w);
	json_kv_str(w, "description", "");
	json_kv_str(w, "verify_key", d->public_key);
	json_kv_bool(w, "bot_public", false);
	json_kv_bool(w, "bot_require_code_grant", false);
	json_kv_i64(w, "flags", 0);
	json_key(w, "interactions_endpoint_url");
	json_put_str(w, d->endpoint);
	json_key(w, "bot");
	dc_write_bot(w, d);
	json_end_obj(w);
	return DC_DONE;
}

/* --- a new endpoint: a PING signed well wants PONG, one signed badly 401 */

struct dc_probe {
	struct dc_call *call;
	struct discord *discord;
	struct http_call *http;
	bool forged; /* which of the two is on its way */
	char *url, *body;
};

static void probe_free(struct dc_probe *p)
{
	p->discord->probe = NULL;
	free(p->url);
	free(p->body);
	free(p);
}

static void probe_send(struct dc_probe *p);

static void refuse(struct dc_call *c)
{
	struct dc_check *check = dc_check_new(c->arena);

	dc_wrong(check, "interactions_endpoint_url", "APPLICATION_INTERACTIONS_ENDPOINT_URL_INVALID",
	         "The specified interactions endpoint url could not be verified.");
	dc_invalid(c, check);
}

static bool is_pong(const struct http_response *res, struct arena *a)
{
	const char *why;
	int64_t type = 0;

	return res->status == 200 && json_i64(json_parse(a, res->body, &why), "type", &type) && type == 1;
}

static void on_probe(void *arg, enum err err, const struct http_response *res)
{
	struct dc_probe *p = arg;
	struct dc_call *c = p->call;
	bool good = err == ERR_OK && (p->forged ? res->status == 401 : is_pong(res, c->arena));

	p->http = NULL;
	if (good && !p->forged) {
		p->forged = true;
		probe_send(p);
		return;
	}
	dc_call_begin(c);
	if (good) {
		message_set(&p->discord->endpoint, p->url);
		dc_get_application(c);
	} else {
		refuse(c);
	}
	probe_free(p);
	dc_call_end(c);
}

static void probe_send(struct dc_probe *p)
{
	static const struct dc_forgery forged = {.other_key = true};

	p->http = dc_send_raw(p->discord, p->url, span_of(p->body), p->forged ? &forged : NULL, on_probe, p);
}

static void probe_begin(struct dc_call *c, const char *url)
{
	struct discord *d = c->discord;
	struct dc_probe *p = mem_zalloc(sizeof(*p));
	struct buf b;
	struct json_writer w;

	buf_init(&b, PROBE_BODY_MAX);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_kv_id(&w, "id", dc_snowflake());
	json_kv_id(&w, "application_id", d->app_id);
	json_kv_i64(&w, "type", DC_PING);
	json_kv_str(&w, "token", "of-a-question");
	json_kv_i64(&w, "version", 1);
	json_key(&w, "user");
	dc_write_bot(&w, d);
	json_end_obj(&w);
	*p = (struct dc_probe){.call = c, .discord = d, .url = mem_strdup(url), .body = b.ptr};
	d->probe = p;
	probe_send(p);
}

void dc_probe_end(struct discord *d)
{
	struct dc_probe *p = d->probe;

	if (!p)
		return;
	http_cancel(p->http);
	httpd_drop(p->call->req);
	probe_free(p);
}

enum dc_outcome dc_edit_application(struct dc_call *c)
{
	static const struct dc_field fields[] = {{"interactions_endpoint_url", DC_STRING, false, 0, 2048, NULL},
	                                         {"description", DC_STRING, false, 0, 400, NULL},
	                                         {0}};
	static const struct dc_shape shape = {fields, NULL};
	struct dc_check *check = dc_check_new(c->arena);
	const cJSON *url = json_get(c->json, "interactions_endpoint_url");

	dc_check_shape(check, &shape, c->json);
	if (check->n)
		return dc_invalid(c, check);
	if (cJSON_IsNull(url) || (cJSON_IsString(url) && !url->valuestring[0])) {
		message_set(&c->discord->endpoint, NULL);
	} else if (url && c->discord->probe) {
		return dc_fail(c, 400, 0, "another endpoint is being verified");
	} else if (url) {
		probe_begin(c, url->valuestring);
		return DC_WAIT;
	}
	return dc_get_application(c);
}
