/* The control API: requests under /sim/ to deeds and listings. */
#include "shoal/sim/control.h"

#include <stdio.h>
#include <string.h>

#include "shoal/base/json.h"
#include "shoal/sim/control_show.h"
#include "shoal/sim/discord_show.h"

static const char *const no_store[] = {"Cache-Control", "no-store", NULL};

static void reply_out(struct sim *s, struct httpd_request *r, int status)
{
	if (s->out.failed)
		httpd_reply_error(r, 500, "too_long", "the answer is too long");
	else
		httpd_reply(r, status, "application/json", buf_span(&s->out), no_store);
}

static void reply_deed(struct deed *d, struct httpd_request *r, bool done)
{
	struct json_writer w;

	if (!done) {
		const char *code = d->status == 404   ? "not_found"
		                   : d->status == 409 ? "conflict"
		                   : d->status == 503 ? "full"
		                                      : "invalid";
		httpd_reply_error(r, d->status, code, d->why);
		return;
	}
	buf_clear(&d->sim->out);
	json_writer_init(&w, &d->sim->out);
	json_begin_obj(&w);
	json_key(&w, "update_id");
	if (d->update_id >= 0)
		json_put_i64(&w, d->update_id);
	else
		json_put_null(&w);
	if (d->message_id)
		json_kv_i64(&w, "message_id", d->message_id);
	if (d->chat_id)
		json_kv_i64(&w, "chat_id", d->chat_id);
	if (d->query_id[0])
		json_kv_str(&w, "callback_query_id", d->query_id);
	json_end_obj(&w);
	reply_out(d->sim, r, 200);
}

/* --- requests with a body */

static bool with_bot(struct deed *d, struct httpd_request *r, const cJSON *body)
{
	const char *name = json_str(body, "bot");

	d->bot = name || d->sim->nbots != 1 ? sim_bot(d->sim, name) : d->sim->bots[0];
	if (!d->bot)
		httpd_reply_error(r, 404, "not_found", "bot: there is no bot of this name");
	return d->bot != NULL;
}

static bool block(struct deed *d, const cJSON *spec)
{
	return deed_block(d, spec, true);
}

static bool unblock(struct deed *d, const cJSON *spec)
{
	return deed_block(d, spec, false);
}

static bool any_deed(struct deed *d, const cJSON *spec)
{
	if (json_get(spec, "update"))
		return deed_update(d, spec);
	return json_get(spec, "data") ? deed_press(d, spec) : deed_message(d, spec);
}

static void post_many(struct deed *d, struct httpd_request *r, const cJSON *body)
{
	const cJSON *list = json_arr(body, "updates"), *spec;
	int64_t accepted = 0, last = -1;
	struct json_writer w;
	bool done = true;

	if (!list) {
		httpd_reply_error(r, 422, "invalid", "updates: a list is needed");
		return;
	}
	cJSON_ArrayForEach(spec, list)
	{
		done = any_deed(d, spec);
		if (!done)
			break;
		accepted++;
		last = d->update_id >= 0 ? d->update_id : last;
	}
	buf_clear(&d->sim->out);
	json_writer_init(&w, &d->sim->out);
	json_begin_obj(&w);
	json_kv_i64(&w, "accepted", accepted);
	json_kv_i64(&w, "last_update_id", last);
	if (!done) { /* those before it took place */
		json_key(&w, "error");
		json_begin_obj(&w);
		json_kv_str(&w, "code", d->status == 503 ? "full" : "invalid");
		json_kv_str(&w, "message", d->why);
		json_end_obj(&w);
	}
	json_end_obj(&w);
	reply_out(d->sim, r, done ? 200 : d->status);
}

static void post_user(struct deed *d, struct httpd_request *r, const cJSON *body)
{
	struct user *u;
	struct json_writer w;

	if (!deed_user(d, body, &u)) {
		reply_deed(d, r, false);
		return;
	}
	buf_clear(&d->sim->out);
	json_writer_init(&w, &d->sim->out);
	show_user(&w, u);
	reply_out(d->sim, r, 200);
}

static void post_fault(struct deed *d, struct httpd_request *r, const cJSON *body)
{
	const char *why;

	if (!faults_add(&d->sim->faults, body, d->arena, &why)) {
		httpd_reply_error(r, 422, "invalid", why);
		return;
	}
	httpd_reply(r, 200, "application/json", SPAN("{\"ok\":true}"), NULL);
}

static void post_reset(struct deed *d, struct httpd_request *r, const cJSON *body)
{
	(void)body;
	sim_reset(d->sim);
	httpd_reply(r, 200, "application/json", SPAN("{\"ok\":true}"), NULL);
}

static const struct post {
	const char *path;
	bool (*deed)(struct deed *d, const cJSON *spec); /* of one bot */
	void (*handle)(struct deed *d, struct httpd_request *r, const cJSON *body);
	bool bot;
} posts[] = {
    {"/sim/message", deed_message, NULL, true}, {"/sim/press", deed_press, NULL, true},
    {"/sim/block", block, NULL, true},          {"/sim/unblock", unblock, NULL, true},
    {"/sim/groups", deed_group, NULL, true},    {"/sim/update", deed_update, NULL, true},
    {"/sim/messages", NULL, post_many, true},   {"/sim/users", NULL, post_user, false},
    {"/sim/faults", NULL, post_fault, false},   {"/sim/reset", NULL, post_reset, false},
};

static void run_post(struct sim *s, struct httpd_request *r, const struct post *p)
{
	struct span text = httpd_body(r);
	struct deed d = {.sim = s, .arena = httpd_arena(r)};
	const char *why;
	const cJSON *body = json_parse(d.arena, text.len ? text : SPAN("{}"), &why);

	if (!cJSON_IsObject(body)) {
		httpd_reply_error(r, 400, "bad_request", body ? "the body must be a JSON object" : why);
		return;
	}
	if (p->bot && !with_bot(&d, r, body))
		return;
	if (p->deed)
		reply_deed(&d, r, p->deed(&d, body));
	else
		p->handle(&d, r, body);
}

/* --- requests that look */

static int64_t number(struct httpd_request *r, const char *name, int64_t fallback)
{
	const char *text = httpd_query(r, name);
	int64_t v;
	return text && span_i64(span_of(text), &v) ? v : fallback;
}

static void get_chat(struct sim *s, struct httpd_request *r)
{
	struct bot *b = sim_bot(s, httpd_query(r, "bot"));
	struct chat *c = b ? bot_chat(b, number(r, "chat_id", 0)) : NULL;
	int64_t after = number(r, "after", 0), ms = number(r, "wait", 0);

	if (!b) {
		httpd_reply_error(r, 404, "not_found", "bot: there is no bot of this name");
		return;
	}
	if (c && after >= c->seq && ms > 0) {
		chat_wait(c, r, after, ms < 60000 ? ms : 60000);
		return;
	}
	if (c)
		control_write_chat(c, after);
	else
		show_no_chat(s, b);
	reply_out(s, r, 200);
}

static void get_calls(struct sim *s, struct httpd_request *r)
{
	show_calls(s, number(r, "after", 0), number(r, "limit", 1000));
	reply_out(s, r, 200);
}

static void get_chats(struct sim *s, struct httpd_request *r)
{
	show_chats(s, sim_bot(s, httpd_query(r, "bot")), number(r, "limit", 500));
	reply_out(s, r, 200);
}

static void get_listing(struct sim *s, struct httpd_request *r, void (*write)(struct sim *, struct json_writer *))
{
	struct json_writer w;

	buf_clear(&s->out);
	json_writer_init(&w, &s->out);
	write(s, &w);
	reply_out(s, r, 200);
}

static void write_faults(struct sim *s, struct json_writer *w)
{
	faults_write(&s->faults, w);
}

static const struct get {
	const char *path;
	void (*handle)(struct sim *s, struct httpd_request *r);
	void (*write)(struct sim *s, struct json_writer *w);
} gets[] = {
    {"/sim/chat", get_chat, NULL},       {"/sim/calls", get_calls, NULL}, {"/sim/chats", get_chats, NULL},
    {"/sim/users", NULL, show_users},    {"/sim/bots", NULL, show_bots},  {"/sim/stats", NULL, control_write_stats},
    {"/sim/faults", NULL, write_faults},
};

/* A page of another origin must not play people here. */
static bool foreign(struct httpd_request *r)
{
	const char *origin = httpd_header(r, "Origin"), *host = httpd_header(r, "Host");
	const char *authority = origin ? strstr(origin, "://") : NULL;

	return origin && (!authority || !host || strcmp(authority + 3, host) != 0);
}

void control_handle(struct sim *s, struct httpd_request *r, const char *path)
{
	const char *verb = httpd_method(r);
	bool known = false;

	if (foreign(r)) {
		httpd_reply_error(r, 403, "forbidden", "requests from pages of another origin are refused");
		return;
	}
	if (strncmp(path, "/sim/discord/", 13) == 0) {
		dc_control_handle(s->discord, r, path);
		return;
	}
	if (strcmp(verb, "DELETE") == 0 && strcmp(path, "/sim/faults") == 0) {
		faults_clear(&s->faults);
		httpd_reply(r, 200, "application/json", SPAN("{\"ok\":true}"), NULL);
		return;
	}
	for (size_t i = 0; i < sizeof(posts) / sizeof(posts[0]); i++) {
		if (strcmp(path, posts[i].path) != 0)
			continue;
		known = true;
		if (strcmp(verb, "POST") == 0) {
			run_post(s, r, &posts[i]);
			return;
		}
	}
	for (size_t i = 0; i < sizeof(gets) / sizeof(gets[0]); i++) {
		if (strcmp(path, gets[i].path) != 0)
			continue;
		known = true;
		if (strcmp(verb, "GET") != 0)
			continue;
		if (gets[i].handle)
			gets[i].handle(s, r);
		else
			get_listing(s, r, gets[i].write);
		return;
	}
	if (known)
		httpd_reply_error(r, 405, "method", "this path does not know that method");
	else
		httpd_reply_error(r, 404, "not_found", "there is no such path");
}
