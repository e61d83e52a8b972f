/* A bot method's way: token, method, parameters, faults, limits, effect, answer, record. */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/sim/call.h"
#include "shoal/sim/limits.h"

static const struct method methods[] = {
    {"getMe", "", tg_get_me, false},
    {"getUpdates", "offset limit timeout allowed_updates", tg_get_updates, false},
    {"setWebhook", "url ip_address max_connections allowed_updates drop_pending_updates secret_token", tg_set_webhook,
     false},
    {"deleteWebhook", "drop_pending_updates", tg_delete_webhook, false},
    {"getWebhookInfo", "", tg_get_webhook_info, false},
    {"sendMessage",
     "chat_id message_thread_id text parse_mode entities link_preview_options disable_notification protect_content "
     "message_effect_id reply_parameters reply_to_message_id allow_sending_without_reply disable_web_page_preview "
     "reply_markup",
     tg_send_message, true},
    {"editMessageText",
     "chat_id message_id inline_message_id text parse_mode entities link_preview_options disable_web_page_preview "
     "reply_markup",
     tg_edit_message_text, false},
    {"editMessageReplyMarkup", "chat_id message_id inline_message_id reply_markup", tg_edit_message_reply_markup,
     false},
    {"deleteMessage", "chat_id message_id", tg_delete_message, false},
    {"answerCallbackQuery", "callback_query_id text show_alert url cache_time", tg_answer_callback_query, false},
    {"sendChatAction", "chat_id message_thread_id action", tg_send_chat_action, false},
    {"setMyCommands", "commands scope language_code", tg_set_my_commands, false},
    {"getMyCommands", "scope language_code", tg_get_my_commands, false},
    {"deleteMyCommands", "scope language_code", tg_delete_my_commands, false},
    {"setMyDescription", "description language_code", tg_set_my_description, false},
    {"getMyDescription", "language_code", tg_get_my_description, false},
    {"getChat", "chat_id", tg_get_chat, false},
};

#define METHODS (sizeof(methods) / sizeof(methods[0]))
_Static_assert(METHODS <= METHODS_MAX, "struct sim counts calls by method");

static const struct method *find_method(const char *name)
{
	for (size_t i = 0; i < METHODS; i++) {
		if (strcasecmp(name, methods[i].name) == 0)
			return &methods[i];
	}
	return NULL;
}

/* --- answers */

void call_begin(struct call *c)
{
	buf_clear(&c->sim->out);
	buf_adds(&c->sim->out, "{\"ok\":true,\"result\":");
	json_writer_init(&c->w, &c->sim->out);
	c->status = 200;
}

enum outcome call_true(struct call *c)
{
	json_put_bool(&c->w, true);
	return CALL_DONE;
}

enum outcome call_fail(struct call *c, int status, const char *fmt, ...)
{
	va_list ap;
	char text[512];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->status = status;
	c->description = arena_strdup(c->arena, text);
	return CALL_DONE;
}

static enum outcome too_many(struct call *c, int64_t seconds)
{
	c->retry_after_s = seconds;
	return call_fail(c, 429, "Too Many Requests: retry after %lld", (long long)seconds);
}

static void write_refusal(struct call *c, struct buf *out)
{
	struct json_writer w;

	buf_clear(out);
	json_writer_init(&w, out);
	json_begin_obj(&w);
	json_kv_bool(&w, "ok", false);
	json_kv_i64(&w, "error_code", c->status);
	json_kv_str(&w, "description", c->description);
	if (c->retry_after_s) {
		json_key(&w, "parameters");
		json_begin_obj(&w);
		json_kv_i64(&w, "retry_after", c->retry_after_s);
		json_end_obj(&w);
	}
	json_end_obj(&w);
}

static void reply(struct httpd_request *r, int status, struct span body, int64_t retry_after_s)
{
	char seconds[24];
	const char *headers[] = {"Retry-After", seconds, NULL};

	snprintf(seconds, sizeof(seconds), "%lld", (long long)retry_after_s);
	httpd_reply(r, status, "application/json", body, retry_after_s ? headers : NULL);
}

static void record(struct call *c, int status, bool applied)
{
	struct method_count *count = &c->sim->counts[c->method - methods];

	*(status == 200 ? &count->ok : &count->refused) += 1;
	struct record_entry e = {
	    .at_ms = c->at_ms,
	    .took_us = clock_us() - c->at_us,
	    .bot = c->bot->name,
	    .method = c->method->name,
	    .via = c->via,
	    .params = params_record(c),
	    .description = c->description ? mem_strdup(c->description) : NULL,
	    .status = status,
	    .applied = applied,
	    .chat_id = c->chat_id,
	    .message_id = c->message_id,
	};
	memcpy(e.worker, c->worker, sizeof(e.worker));
	record_add(&c->sim->record, &e);
}

static void on_late_reply(void *arg)
{
	struct call *c = arg;

	reply(c->req, c->status, span_of(c->body), c->retry_after_s);
}

/* The effect took place; the fault decides what the caller hears of it. */
static void answer_with_fault(struct call *c, bool applied)
{
	struct buf *out = &c->sim->out;

	switch (c->fault.after ? c->fault.kind : FAULT_NONE) {
	case FAULT_DELAY:
		record(c, c->status, applied);
		c->body = arena_strndup(c->arena, out->ptr, out->len);
		held_for(c->sim, &c->held, c->req, c->fault.ms, on_late_reply, c);
		break;
	case FAULT_500:
		call_fail(c, 500, "Internal Server Error");
		record(c, 500, applied);
		write_refusal(c, out);
		reply(c->req, 500, buf_span(out), 0);
		break;
	case FAULT_RESET:
		record(c, 0, applied);
		httpd_drop(c->req);
		break;
	case FAULT_HANG:
		record(c, 0, applied);
		held_forever(c->sim, &c->held, c->req);
		break;
	default: record(c, c->status, applied); reply(c->req, c->status, buf_span(out), c->retry_after_s);
	}
}

void call_end(struct call *c)
{
	struct buf *out = &c->sim->out;
	bool applied = c->status == 200;

	if (applied)
		buf_addc(out, '}');
	if (applied && out->failed) {
		buf_clear(out);
		call_fail(c, 500, "Internal Server Error: the answer is too long");
	}
	if (c->status != 200)
		write_refusal(c, out);
	if (c->req)
		answer_with_fault(c, applied);
	else
		record(c, c->status, applied);
}

void api_write_counts(const struct sim *s, struct json_writer *w)
{
	json_begin_obj(w);
	for (size_t i = 0; i < METHODS; i++) {
		if (s->counts[i].ok + s->counts[i].refused == 0)
			continue;
		json_key(w, methods[i].name);
		json_begin_obj(w);
		json_kv_i64(w, "ok", (int64_t)s->counts[i].ok);
		json_kv_i64(w, "refused", (int64_t)s->counts[i].refused);
		json_end_obj(w);
	}
	json_end_obj(w);
}

/* --- running */

static bool within_limits(struct call *c)
{
	int64_t chat_id = 0;
	const char *text = param_text(c, "chat_id");
	struct chat *chat = text && span_i64(span_of(text), &chat_id) ? bot_chat(c->bot, chat_id) : NULL;

	if (!c->sim->opts.limits || !c->method->counts || !chat || chat->blocked)
		return true;
	int64_t wait_s = limits_take(c->bot, chat, c->at_us);
	if (wait_s)
		too_many(c, wait_s);
	return wait_s == 0;
}

static void run(struct call *c)
{
	call_begin(c);
	if (!within_limits(c) || c->method->run(c) == CALL_DONE)
		call_end(c);
}

static void on_run(void *arg)
{
	run(arg);
}

static void refuse(struct call *c, int status, const char *fallback)
{
	call_begin(c);
	call_fail(c, status, "%s", c->fault.description ? c->fault.description : fallback);
	c->fault.kind = FAULT_NONE;
	call_end(c);
}

static void run_with_fault(struct call *c)
{
	switch (c->fault.after ? FAULT_NONE : c->fault.kind) {
	case FAULT_DELAY: held_for(c->sim, &c->held, c->req, c->fault.ms, on_run, c); break;
	case FAULT_429:
		call_begin(c);
		too_many(c, (int64_t)ceil(c->fault.retry_after_s));
		call_end(c);
		break;
	case FAULT_500: refuse(c, 500, "Internal Server Error"); break;
	case FAULT_400: refuse(c, 400, "Bad Request: refused on request"); break;
	case FAULT_403: refuse(c, 403, "Forbidden: bot was blocked by the user"); break;
	case FAULT_RESET:
		record(c, 0, false);
		httpd_drop(c->req);
		break;
	case FAULT_HANG:
		record(c, 0, false);
		held_forever(c->sim, &c->held, c->req);
		break;
	default: run(c);
	}
}

static void take_fault(struct call *c)
{
	const char *text;

	if (!c->sim->faults.first)
		return;
	text = param_text(c, "chat_id");
	if (!text || !span_i64(span_of(text), &c->chat_id))
		c->chat_id = 0;
	const struct fault *f = faults_hit(&c->sim->faults, c->method->name, c->bot->name, c->chat_id);
	if (!f)
		return;
	c->fault = *f;
	if (f->description)
		c->fault.description = arena_strdup(c->arena, f->description);
}

/* --- requests */

void api_worker_name(const char *user_agent, char out[32])
{
	const char *mark = user_agent ? strstr(user_agent, "shoal-worker/") : NULL;
	size_t n = 0;

	if (mark)
		for (mark += strlen("shoal-worker/"); n < 31 && isgraph((unsigned char)mark[n]); n++)
			out[n] = mark[n];
	out[n] = '\0';
}

static void refuse_request(struct sim *s, struct httpd_request *r, int status, const char *description)
{
	struct call c = {.sim = s, .status = status, .description = description};
	write_refusal(&c, &s->out);
	reply(r, status, buf_span(&s->out), 0);
}

static bool looks_like_token(struct span t)
{
	const char *colon = t.len ? memchr(t.ptr, ':', t.len) : NULL;
	int64_t id;
	return colon && span_i64((struct span){t.ptr, (size_t)(colon - t.ptr)}, &id) && id > 0;
}

static bool is_json(struct httpd_request *r)
{
	const char *type = httpd_header(r, "Content-Type");
	return type && strncasecmp(type, "application/json", 16) == 0;
}

static struct call *new_call(struct bot *b, const struct method *m, struct arena *a)
{
	struct call *c = arena_new(a, struct call);

	*c = (struct call){.sim = b->sim, .bot = b, .method = m, .arena = a, .via = "http"};
	c->at_ms = clock_wall_ms();
	c->at_us = clock_us();
	return c;
}

void api_handle(struct sim *s, struct httpd_request *r, const char *path)
{
	const char *token = path + 4, *slash = strchr(token, '/'), *why, *verb = httpd_method(r);
	struct span t = {token, slash ? (size_t)(slash - token) : 0};
	struct bot *b = slash ? sim_bot_by_token(s, t) : NULL;

	if (!b) {
		bool shaped = slash && looks_like_token(t);
		refuse_request(s, r, shaped ? 401 : 404, shaped ? "Unauthorized" : "Not Found");
		return;
	}
	const struct method *m = find_method(slash + 1);
	if (!m) {
		refuse_request(s, r, 404, "Not Found: method not found");
		return;
	}
	if (strcmp(verb, "GET") != 0 && strcmp(verb, "POST") != 0) {
		refuse_request(s, r, 405, "Method Not Allowed");
		return;
	}
	struct call *c = new_call(b, m, httpd_arena(r));
	struct span body = httpd_body(r);
	c->req = r;
	api_worker_name(httpd_header(r, "User-Agent"), c->worker);
	if (body.len && is_json(r)) {
		c->json = json_parse(c->arena, body, &why);
		if (!cJSON_IsObject(c->json)) {
			refuse_request(s, r, 400, "Bad Request: can't parse the request body as a JSON object");
			return;
		}
	}
	take_fault(c);
	run_with_fault(c);
}

void api_webhook_reply(struct bot *b, struct span body, const char *worker)
{
	struct arena a;
	const char *why;

	arena_init(&a);
	const cJSON *json = json_parse(&a, body, &why);
	const char *name = json_str(json, "method");
	const struct method *m = name ? find_method(name) : NULL;
	if (m && m->run != tg_get_updates) {
		struct call *c = new_call(b, m, &a);
		c->json = json;
		c->via = "webhook";
		snprintf(c->worker, sizeof(c->worker), "%s", worker);
		run(c);
	}
	arena_release(&a);
}
