/* A call of Discord's API: what it is answered, and what is kept of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/sim/discord_call.h"

#define PARAMS_MAX (4u << 20)

/* --- results and refusals */

void dc_call_begin(struct dc_call *c)
{
	buf_clear(&c->sim->out);
	json_writer_init(&c->w, &c->sim->out);
	c->status = 200;
}

enum dc_outcome dc_fail(struct dc_call *c, int status, int64_t code, const char *message)
{
	c->status = status;
	c->code = code;
	c->message = arena_strdup(c->arena, message);
	return DC_DONE;
}

enum dc_outcome dc_invalid(struct dc_call *c, struct dc_check *check)
{
	c->check = check;
	return dc_fail(c, 400, 50035, "Invalid Form Body");
}

enum dc_outcome dc_no_content(struct dc_call *c)
{
	c->status = 204;
	return DC_DONE;
}

void dc_too_many(struct dc_call *c, double seconds, enum fault_scope scope)
{
	c->retry_after_s = seconds;
	c->scope = scope;
	dc_fail(c, 429, 0, "You are being rate limited.");
}

static void write_refusal(struct dc_call *c, struct buf *out)
{
	struct json_writer w;

	buf_clear(out);
	if (c->status == 429 && c->scope == SCOPE_ADDRESS) {
		buf_adds(out, "error code: 1015");
		return;
	}
	json_writer_init(&w, out);
	json_begin_obj(&w);
	json_kv_str(&w, "message", c->message);
	if (c->status == 429) {
		json_kv_num(&w, "retry_after", round(c->retry_after_s * 1000) / 1000);
		json_kv_bool(&w, "global", c->scope == SCOPE_GLOBAL);
	} else {
		json_kv_i64(&w, "code", c->code);
	}
	if (c->check) {
		json_key(&w, "errors");
		dc_check_write(c->check, &w);
	}
	json_end_obj(&w);
}

/* --- the answer */

struct headers {
	const char *v[32];
	size_t n;
};

static void add(struct headers *h, const char *name, const char *value)
{
	h->v[h->n++] = name;
	h->v[h->n++] = value;
}

static void add_allowance(struct dc_call *c, struct headers *h)
{
	const struct dc_allowance *a = &c->allowance;
	double reset_s = (double)a->reset_us / 1e6;

	if (a->limit == 0)
		return;
	add(h, "X-RateLimit-Limit", arena_printf(c->arena, "%u", a->limit));
	add(h, "X-RateLimit-Remaining", arena_printf(c->arena, "%u", a->remaining));
	add(h, "X-RateLimit-Reset", arena_printf(c->arena, "%.3f", (double)clock_wall_ms() / 1000 + reset_s));
	add(h, "X-RateLimit-Reset-After", arena_printf(c->arena, "%.3f", reset_s));
	add(h, "X-RateLimit-Bucket", a->bucket);
}

static void reply(struct dc_call *c, int status, struct span body)
{
	static const char *const scopes[] = {
	    [SCOPE_USER] = "user", [SCOPE_GLOBAL] = "global", [SCOPE_SHARED] = "shared"};
	bool barred = status == 429 && c->scope == SCOPE_ADDRESS;
	struct headers h = {0};

	if (!barred)
		add_allowance(c, &h);
	if (status == 429)
		add(&h, "Retry-After", arena_printf(c->arena, "%.0f", ceil(c->retry_after_s)));
	if (status == 429 && !barred)
		add(&h, "X-RateLimit-Scope", scopes[c->scope]);
	if (status == 429 && c->scope == SCOPE_GLOBAL)
		add(&h, "X-RateLimit-Global", "true");
	h.v[h.n] = NULL;
	httpd_reply(c->req, status, barred ? "text/plain" : status == 204 ? NULL : "application/json", body, h.v);
}

static char *params_of(struct dc_call *c)
{
	struct json_writer w;
	struct buf b;
	char *json;

	buf_init(&b, PARAMS_MAX);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_kv_str(&w, "path", httpd_path(c->req));
	if (c->interaction)
		json_kv_id(&w, "interaction_id", c->interaction->id);
	if (c->json) {
		json_key(&w, "body");
		json_put(&w, c->json);
	}
	json_end_obj(&w);
	json = mem_strdup(b.failed ? "{}" : b.ptr);
	buf_release(&b);
	return json;
}

void dc_record(struct dc_call *c, int status, bool applied)
{
	const char *what = c->check ? dc_check_text(c->check) : c->message;
	struct record_entry e = {
	    .at_ms = c->at_ms,
	    .took_us = clock_us() - c->at_us,
	    .bot = c->discord->name,
	    .method = c->method,
	    .via = "http",
	    .params = params_of(c),
	    .description = what ? mem_strdup(what) : NULL,
	    .status = status,
	    .applied = applied,
	    .chat_id = c->channel_id,
	    .message_id = c->message_id,
	};

	*(status >= 200 && status < 300 ? &c->count->ok : &c->count->refused) += 1;
	if ((status == 401 || status == 403 || status == 429) && !(status == 429 && c->scope == SCOPE_SHARED))
		dc_limits_invalid(c->discord->limits, clock_us());
	memcpy(e.worker, c->worker, sizeof(e.worker));
	record_add(&c->sim->record, &e);
}

static void on_late_reply(void *arg)
{
	struct dc_call *c = arg;

	reply(c, c->status, span_of(c->body));
}

/* The effect took place; the fault decides what the caller hears of it. */
static void answer_with_fault(struct dc_call *c, bool applied)
{
	struct buf *out = &c->sim->out;

	switch (c->fault.after ? c->fault.kind : FAULT_NONE) {
	case FAULT_DELAY:
		dc_record(c, c->status, applied);
		c->body = arena_strndup(c->arena, out->ptr ? out->ptr : "", out->len);
		held_for(c->sim, &c->held, c->req, c->fault.ms, on_late_reply, c);
		break;
	case FAULT_500:
		dc_fail(c, 500, 0, "500: Internal Server Error");
		dc_record(c, 500, applied);
		write_refusal(c, out);
		reply(c, 500, buf_span(out));
		break;
	case FAULT_RESET:
		dc_record(c, 0, applied);
		httpd_drop(c->req);
		break;
	case FAULT_HANG:
		dc_record(c, 0, applied);
		held_forever(c->sim, &c->held, c->req);
		break;
	default: dc_record(c, c->status, applied); reply(c, c->status, buf_span(out));
	}
}

void dc_call_end(struct dc_call *c)
{
	struct buf *out = &c->sim->out;
	bool applied = c->status < 300;

	if (applied && out->failed)
		dc_fail(c, 500, 0, "500: Internal Server Error");
	if (c->status == 204)
		buf_clear(out);
	else if (c->status >= 300)
		write_refusal(c, out);
	answer_with_fault(c, applied);
}

void dc_call_refuse(struct dc_call *c)
{
	write_refusal(c, &c->sim->out);
	reply(c, c->status, buf_span(&c->sim->out));
}
