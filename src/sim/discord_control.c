/* The control API of the simulated Discord: requests under /sim/discord/. */
#include <string.h>

#include "shoal/base/json.h"
#include "shoal/sim/discord_deeds.h"
#include "shoal/sim/discord_interaction.h"
#include "shoal/sim/discord_show.h"

#define WAIT_MS 60000
#define BATCH_MAX 10000

static const char *const no_store[] = {"Cache-Control", "no-store", NULL};

static void reply_out(struct discord *d, struct httpd_request *r)
{
	if (d->sim->out.failed)
		httpd_reply_error(r, 500, "too_long", "the answer is too long");
	else
		httpd_reply(r, 200, "application/json", buf_span(&d->sim->out), no_store);
}

static void reply_refusal(const struct dc_deed *d, struct httpd_request *r)
{
	httpd_reply_error(r, d->status,
	                  d->status == 404   ? "not_found"
	                  : d->status == 409 ? "conflict"
	                                     : "invalid",
	                  d->why);
}

static int64_t query_number(struct httpd_request *r, const char *name, int64_t fallback)
{
	const char *text = httpd_query(r, name);
	int64_t v;

	return text && span_i64(span_of(text), &v) ? v : fallback;
}

/* --- deeds */

/* "wait": none, first (the first response; unless told otherwise) or done (also what it promised). */
static void reply_interaction(struct dc_interaction *i, struct httpd_request *r, const cJSON *body)
{
	const char *wait = json_str(body, "wait");
	int64_t ms = WAIT_MS;

	json_i64(body, "wait_ms", &ms);
	if (wait && strcmp(wait, "none") == 0) {
		dc_show_interaction(i);
		reply_out(i->discord, r);
	} else {
		dc_wait_for(i, r, wait && strcmp(wait, "done") == 0 ? DC_UNTIL_DONE : DC_UNTIL_FIRST, ms);
	}
}

static const struct deed_kind {
	const char *name;
	struct dc_interaction *(*run)(struct dc_deed *d, const cJSON *spec);
} deeds[] = {
    {"command", dc_deed_command}, {"autocomplete", dc_deed_autocomplete},
    {"press", dc_deed_press},     {"submit", dc_deed_submit},
    {"ping", dc_deed_ping},
};
#define DEEDS (sizeof(deeds) / sizeof(deeds[0]))

static const struct deed_kind *deed_of(const char *name)
{
	for (size_t i = 0; i < DEEDS; i++) {
		if (strcmp(name, deeds[i].name) == 0)
			return &deeds[i];
	}
	return NULL;
}

/* {"deeds":[{"do":"command",...},...]}: sent in this order, none of them waited for; the first that cannot be ends it.
 */
static void post_many(struct dc_deed *d, struct httpd_request *r, const cJSON *body)
{
	const cJSON *list = json_arr(body, "deeds"), *spec;
	struct json_writer w;
	struct buf ids;

	d->why = list && cJSON_GetArraySize(list) <= BATCH_MAX ? NULL : "deeds: a list of at most 10000 is needed";
	d->status = 422;
	buf_init(&ids, 1 << 20);
	json_writer_init(&w, &ids);
	json_begin_obj(&w);
	json_key(&w, "ids");
	json_begin_arr(&w);
	cJSON_ArrayForEach(spec, list)
	{
		const char *what = json_str(spec, "do");
		const struct deed_kind *k = what ? deed_of(what) : NULL;
		struct dc_interaction *i = !d->why && k ? k->run(d, spec) : NULL;

		if (!d->why && !k)
			dc_refuse(d, 422, "do: command, autocomplete, press, submit or ping");
		if (i)
			json_put_id(&w, i->id);
	}
	json_end_arr(&w);
	json_end_obj(&w);
	if (d->why)
		reply_refusal(d, r);
	else
		httpd_reply(r, 200, "application/json", buf_span(&ids), no_store);
	buf_release(&ids);
}

/* --- what no client would send */

static void on_raw(void *arg, enum err err, const struct http_response *res)
{
	struct httpd_request *r = arg;
	struct json_writer w;
	struct buf b;

	buf_init(&b, 1 << 20);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_kv_i64(&w, "status", err == ERR_OK ? res->status : 0);
	if (err == ERR_OK)
		json_kv_str(&w, "body", res->body.ptr ? res->body.ptr : "");
	else
		json_kv_str(&w, "error", err_text(err));
	json_end_obj(&w);
	httpd_reply(r, 200, "application/json", buf_span(&b), no_store);
	buf_release(&b);
}

/* {"body": text or object, "timestamp", "signature", "other_key"} */
static void post_raw(struct dc_deed *d, struct httpd_request *r, const cJSON *body)
{
	const cJSON *given = json_get(body, "body");
	struct dc_forgery f = {.timestamp = json_str(body, "timestamp"), .signature = json_str(body, "signature")};
	struct sim *s = d->discord->sim;
	struct json_writer w;

	if (!given || !d->discord->endpoint) {
		httpd_reply_error(r, 422, "invalid", given ? "no interactions_endpoint_url is set" : "body: is needed");
		return;
	}
	json_bool(body, "other_key", &f.other_key);
	buf_clear(&s->scratch);
	json_writer_init(&w, &s->scratch);
	if (cJSON_IsString(given))
		buf_adds(&s->scratch, given->valuestring);
	else
		json_put(&w, given);
	dc_send_raw(d->discord, d->discord->endpoint, buf_span(&s->scratch), &f, on_raw, r);
}

/* --- the world */

static void post_user(struct dc_deed *d, struct httpd_request *r, const cJSON *body)
{
	struct dc_user *u;

	if (!dc_deed_user(d, body, &u)) {
		reply_refusal(d, r);
		return;
	}
	dc_show_user(d->discord, u);
	reply_out(d->discord, r);
}

/* Makes tokens older: that of one interaction, or all. */
static void post_age(struct dc_deed *d, struct httpd_request *r, const cJSON *body)
{
	int64_t seconds = 0, id = 0;
	struct dc_interaction *i;

	if (!json_i64(body, "seconds", &seconds) || seconds < 0 || seconds > 1000000) {
		httpd_reply_error(r, 422, "invalid", "seconds: 0 to 1000000");
		return;
	}
	if (json_get(body, "interaction_id") && !dc_spec_id(d, body, "interaction_id", &id)) {
		reply_refusal(d, r);
		return;
	}
	TAILQ_FOREACH(i, &d->discord->all_interactions, link)
	{
		if (!id || i->id == id)
			i->aged_us += seconds * 1000000;
	}
	httpd_reply(r, 200, "application/json", SPAN("{\"ok\":true}"), no_store);
}

static void post_app(struct dc_deed *d, struct httpd_request *r, const cJSON *body)
{
	const cJSON *url = json_get(body, "interactions_endpoint_url");
	int64_t answer_ms = d->discord->answer_ms, invalid = d->discord->invalid_max;

	json_i64(body, "answer_ms", &answer_ms);
	json_i64(body, "invalid_limit", &invalid);
	if (answer_ms < 1 || answer_ms > 600000 || invalid < 1 || invalid > 1000000000 ||
	    (url && !cJSON_IsString(url) && !cJSON_IsNull(url))) {
		httpd_reply_error(
		    r, 422, "invalid",
		    "answer_ms: 1 to 600000; invalid_limit: 1 or more; interactions_endpoint_url: a text or null");
		return;
	}
	d->discord->answer_ms = answer_ms;
	d->discord->invalid_max = invalid;
	if (url)
		message_set(&d->discord->endpoint, url->valuestring);
	dc_show_app(d->discord);
	reply_out(d->discord, r);
}

static const struct post {
	const char *name;
	void (*handle)(struct dc_deed *d, struct httpd_request *r, const cJSON *body);
} posts[] = {
    {"many", post_many}, {"raw", post_raw}, {"users", post_user}, {"age", post_age}, {"app", post_app},
};

static bool run_post(struct discord *discord, struct httpd_request *r, const char *name)
{
	struct dc_deed d = {.discord = discord, .arena = httpd_arena(r)};
	const struct deed_kind *k = deed_of(name);
	struct span text = httpd_body(r);
	const struct post *p = NULL;
	struct dc_interaction *i;
	const cJSON *body;
	const char *why;

	for (size_t n = 0; n < sizeof(posts) / sizeof(posts[0]); n++) {
		if (strcmp(name, posts[n].name) == 0)
			p = &posts[n];
	}
	if (!k && !p)
		return false;
	body = json_parse(d.arena, text.len ? text : SPAN("{}"), &why);
	if (!cJSON_IsObject(body)) {
		httpd_reply_error(r, 400, "bad_request", body ? "the body must be a JSON object" : why);
	} else if (p) {
		p->handle(&d, r, body);
	} else {
		i = k->run(&d, body);
		if (i)
			reply_interaction(i, r, body);
		else
			reply_refusal(&d, r);
	}
	return true;
}

/* --- looking */

static void get_app(struct discord *d, struct httpd_request *r)
{
	dc_show_app(d);
	reply_out(d, r);
}

static void get_users(struct discord *d, struct httpd_request *r)
{
	dc_show_users(d);
	reply_out(d, r);
}

static void get_feed(struct discord *d, struct httpd_request *r)
{
	struct dc_user *u = dc_user(d, query_number(r, "user_id", 0));
	int64_t after = query_number(r, "after", 0), ms = query_number(r, "wait", 0);

	if (!u) {
		httpd_reply_error(r, 404, "not_found", "user_id: there is no such person");
		return;
	}
	if (after > 0 && ms > 0 && !dc_feed_has(d, u, after)) {
		dc_feed_wait(d, r, u, after, ms < WAIT_MS ? ms : WAIT_MS);
		return;
	}
	dc_show_feed(d, u, after);
	reply_out(d, r);
}

static void get_interaction(struct discord *d, struct httpd_request *r)
{
	struct dc_interaction *i = dc_interaction(d, query_number(r, "id", 0));

	if (!i) {
		httpd_reply_error(r, 404, "not_found", "id: there is no such interaction");
		return;
	}
	dc_show_interaction(i);
	reply_out(d, r);
}

static void get_interactions(struct discord *d, struct httpd_request *r)
{
	dc_show_interactions(d, query_number(r, "after", 0), query_number(r, "limit", 1000));
	reply_out(d, r);
}

static const struct get {
	const char *name;
	void (*handle)(struct discord *d, struct httpd_request *r);
} gets[] = {
    {"app", get_app},
    {"users", get_users},
    {"feed", get_feed},
    {"interaction", get_interaction},
    {"interactions", get_interactions},
};

static bool run_get(struct discord *d, struct httpd_request *r, const char *name)
{
	for (size_t i = 0; i < sizeof(gets) / sizeof(gets[0]); i++) {
		if (strcmp(name, gets[i].name) != 0)
			continue;
		gets[i].handle(d, r);
		return true;
	}
	return false;
}

void dc_control_handle(struct discord *d, struct httpd_request *r, const char *path)
{
	const char *name = path + strlen("/sim/discord/"), *verb = httpd_method(r);

	if (!d)
		httpd_reply_error(r, 404, "not_found",
		                  "this simulator plays no Discord: shoal sim --discord NAME=APP_ID:TOKEN");
	else if (!(strcmp(verb, "POST") == 0 ? run_post(d, r, name) : strcmp(verb, "GET") == 0 && run_get(d, r, name)))
		httpd_reply_error(r, 404, "not_found", "there is no such path, or it does not know that method");
}
