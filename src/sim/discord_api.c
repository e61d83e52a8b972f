/* A call's way: route, token, limits, body, faults, effect, answer, record. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/sim/call.h"
#include "shoal/sim/discord_call.h"
#include "shoal/sim/discord_interaction.h"
#include "shoal/sim/discord_object.h"

#define AUTHORIZATION "Bot "
#define PARAMS_MAX (4u << 20)

/* In a path # is a snowflake, $ the token of an interaction. */
static const struct dc_route {
	const char *name, *verb, *path;
	bool by_bot; /* in its name: needs its token, and counts for its 50 a second */
	bool body;
	struct dc_quota quota;
	enum dc_outcome (*run)(struct dc_call *c);
} routes[] = {
    {"getCurrentUser", "GET", "/users/@me", true, false, {30, 30000}, dc_get_me},
    {"createDM", "POST", "/users/@me/channels", true, true, {10, 10000}, dc_open_dm},
    {"getCurrentApplication", "GET", "/applications/@me", true, false, {5, 5000}, dc_get_application},
    {"editCurrentApplication", "PATCH", "/applications/@me", true, true, {5, 5000}, dc_edit_application},
    {"getCommands", "GET", "/applications/#/commands", true, false, {10, 10000}, dc_get_commands},
    {"putCommands", "PUT", "/applications/#/commands", true, true, {5, 20000}, dc_put_commands},
    {"getChannel", "GET", "/channels/#", true, false, {10, 10000}, dc_get_channel},
    {"createMessage", "POST", "/channels/#/messages", true, true, {5, 5000}, dc_create_message},
    {"getMessage", "GET", "/channels/#/messages/#", true, false, {10, 10000}, dc_get_message},
    {"editMessage", "PATCH", "/channels/#/messages/#", true, true, {5, 5000}, dc_edit_message},
    {"deleteMessage", "DELETE", "/channels/#/messages/#", true, false, {5, 1000}, dc_delete_message},
    {"createFollowup", "POST", "/webhooks/#/$", false, true, {5, 2000}, dc_create_followup},
    {"getOriginal", "GET", "/webhooks/#/$/messages/@original", false, false, {5, 2000}, dc_get_original},
    {"editOriginal", "PATCH", "/webhooks/#/$/messages/@original", false, true, {5, 2000}, dc_edit_original},
    {"deleteOriginal", "DELETE", "/webhooks/#/$/messages/@original", false, false, {5, 2000}, dc_delete_original},
    {"getFollowup", "GET", "/webhooks/#/$/messages/#", false, false, {5, 2000}, dc_get_followup},
    {"editFollowup", "PATCH", "/webhooks/#/$/messages/#", false, true, {5, 2000}, dc_edit_followup},
    {"deleteFollowup", "DELETE", "/webhooks/#/$/messages/#", false, false, {5, 2000}, dc_delete_followup},
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))
_Static_assert(ROUTES <= METHODS_MAX, "struct discord counts calls by route");

static size_t index_of(const struct dc_route *r)
{
	return (size_t)(r - routes);
}

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

static void too_many(struct dc_call *c, double seconds, enum fault_scope scope)
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

static void record(struct dc_call *c, int status, bool applied)
{
	struct method_count *count = &c->discord->counts[index_of(c->route)];
	const char *what = c->check ? dc_check_text(c->check) : c->message;
	struct record_entry e = {
	    .at_ms = c->at_ms,
	    .took_us = clock_us() - c->at_us,
	    .bot = c->discord->name,
	    .method = c->route->name,
	    .via = "http",
	    .params = params_of(c),
	    .description = what ? mem_strdup(what) : NULL,
	    .status = status,
	    .applied = applied,
	    .chat_id = c->channel_id,
	    .message_id = c->message_id,
	};

	*(status >= 200 && status < 300 ? &count->ok : &count->refused) += 1;
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
		record(c, c->status, applied);
		c->body = arena_strndup(c->arena, out->ptr ? out->ptr : "", out->len);
		held_for(c->sim, &c->held, c->req, c->fault.ms, on_late_reply, c);
		break;
	case FAULT_500:
		dc_fail(c, 500, 0, "500: Internal Server Error");
		record(c, 500, applied);
		write_refusal(c, out);
		reply(c, 500, buf_span(out));
		break;
	case FAULT_RESET:
		record(c, 0, applied);
		httpd_drop(c->req);
		break;
	case FAULT_HANG:
		record(c, 0, applied);
		held_forever(c->sim, &c->held, c->req);
		break;
	default: record(c, c->status, applied); reply(c, c->status, buf_span(out));
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

void dc_write_counts(const struct discord *d, struct json_writer *w)
{
	json_begin_obj(w);
	for (size_t i = 0; i < ROUTES; i++) {
		if (d->counts[i].ok + d->counts[i].refused == 0)
			continue;
		json_key(w, routes[i].name);
		json_begin_obj(w);
		json_kv_i64(w, "ok", (int64_t)d->counts[i].ok);
		json_kv_i64(w, "refused", (int64_t)d->counts[i].refused);
		json_end_obj(w);
	}
	json_end_obj(w);
}

/* --- running */

static bool is_json(struct httpd_request *r)
{
	const char *type = httpd_header(r, "Content-Type");

	return type && strncasecmp(type, "application/json", 16) == 0;
}

static bool read_body(struct dc_call *c)
{
	struct span body = httpd_body(c->req);
	const char *why;

	if (!c->route->body)
		return true;
	if (!is_json(c->req)) {
		dc_fail(c, 400, 50035, "Expected \"Content-Type\" header to be one of {'application/json'}.");
		return false;
	}
	c->json = json_parse(c->arena, body, &why);
	if (!c->json || !(cJSON_IsObject(c->json) || cJSON_IsArray(c->json))) {
		c->json = NULL;
		dc_fail(c, 400, 50109, "The request body contains invalid JSON.");
	}
	return c->json != NULL;
}

static bool within_limits(struct dc_call *c)
{
	struct dc_limits *l = c->discord->limits;
	int64_t major = c->interaction ? c->interaction->id : c->ids[0], wait_us;
	uint64_t total;

	if (!c->sim->opts.limits)
		return true;
	if ((int64_t)dc_limits_invalid_count(l, c->at_us, &total) >= c->discord->invalid_max) {
		too_many(c, DC_INVALID_WINDOW_MS / 1000.0, SCOPE_ADDRESS);
		return false;
	}
	if (!dc_limits_take(l, &c->route->quota, (unsigned)index_of(c->route), major, c->at_us, &c->allowance)) {
		too_many(c, (double)c->allowance.reset_us / 1e6, SCOPE_USER);
		return false;
	}
	wait_us = c->route->by_bot ? dc_limits_take_global(l, c->at_us) : 0;
	if (wait_us)
		too_many(c, (double)wait_us / 1e6, SCOPE_GLOBAL);
	return wait_us == 0;
}

static bool may_call(struct dc_call *c)
{
	const char *given = httpd_header(c->req, "Authorization");
	size_t n = strlen(AUTHORIZATION);

	if (!c->route->by_bot ||
	    (given && strncmp(given, AUTHORIZATION, n) == 0 && strcmp(given + n, c->discord->token) == 0))
		return true;
	dc_fail(c, 401, 0, "401: Unauthorized");
	return false;
}

/* A call by the token of an interaction: 404 where it never became one, 401 where it has run out. */
static bool by_token(struct dc_call *c)
{
	struct dc_interaction *i = c->interaction;

	if (c->token.len == 0)
		return true;
	if (c->ids[0] != c->discord->app_id || (i && (i->state != DC_ANSWERED || i->kind == DC_AUTOCOMPLETE)))
		dc_fail(c, 404, 10015, "Unknown Webhook");
	else if (!i || !dc_token_lives(i))
		dc_fail(c, 401, 50027, "Invalid Webhook Token");
	return c->status < 300;
}

static void run(struct dc_call *c)
{
	dc_call_begin(c);
	if (!may_call(c) || !within_limits(c) || !by_token(c) || !read_body(c) || c->route->run(c) == DC_DONE)
		dc_call_end(c);
}

static void on_run(void *arg)
{
	run(arg);
}

static void refuse(struct dc_call *c, int status, int64_t code, const char *fallback)
{
	dc_call_begin(c);
	dc_fail(c, status, code, c->fault.description ? c->fault.description : fallback);
	c->fault.kind = FAULT_NONE;
	dc_call_end(c);
}

static void run_with_fault(struct dc_call *c)
{
	switch (c->fault.after ? FAULT_NONE : c->fault.kind) {
	case FAULT_DELAY: held_for(c->sim, &c->held, c->req, c->fault.ms, on_run, c); break;
	case FAULT_429:
		dc_call_begin(c);
		too_many(c, c->fault.retry_after_s, c->fault.scope);
		dc_call_end(c);
		break;
	case FAULT_500: refuse(c, 500, 0, "500: Internal Server Error"); break;
	case FAULT_400: refuse(c, 400, 0, "400: Bad Request"); break;
	case FAULT_403: refuse(c, 403, 50001, "Missing Access"); break;
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

static void take_fault(struct dc_call *c)
{
	const struct fault *f = faults_hit(&c->sim->faults, c->route->name, c->discord->name, c->channel_id);

	if (!f)
		return;
	c->fault = *f;
	if (f->description)
		c->fault.description = arena_strdup(c->arena, f->description);
}

/* --- requests */

/* Whether path is as the route's; fills in what stands in it. */
static bool fits(struct dc_call *c, const char *pattern, const char *path)
{
	size_t nids = 0;

	memset(c->ids, 0, sizeof(c->ids));
	c->token = (struct span){0};
	for (; *pattern; pattern++) {
		size_t n = strcspn(path, "/");

		if (*pattern == '#') {
			if (!span_i64((struct span){path, n}, &c->ids[nids++]))
				return false;
			path += n;
		} else if (*pattern == '$') {
			c->token = (struct span){path, n};
			path += n;
		} else if (*pattern != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

/* /api, /api/v10; versions differ in nothing that is played here */
static const char *behind_version(const char *path)
{
	path += strlen("/api");
	if (strncmp(path, "/v9/", 4) == 0)
		return path + 3;
	return strncmp(path, "/v10/", 5) == 0 ? path + 4 : path;
}

static const struct dc_route *find_route(struct dc_call *c, const char *verb, const char *path, bool *other_verb)
{
	for (size_t i = 0; i < ROUTES; i++) {
		if (!fits(c, routes[i].path, path))
			continue;
		if (strcmp(routes[i].verb, verb) == 0)
			return &routes[i];
		*other_verb = true;
	}
	return NULL;
}

static void refuse_route(struct dc_call *c, bool other_verb)
{
	if (other_verb)
		dc_fail(c, 405, 0, "405: Method Not Allowed");
	else
		dc_fail(c, 404, 0, "404: Not Found");
	write_refusal(c, &c->sim->out);
	reply(c, c->status, buf_span(&c->sim->out));
}

void dc_api_handle(struct discord *d, struct httpd_request *r, const char *path)
{
	struct dc_call *c = arena_new(httpd_arena(r), struct dc_call);
	bool other_verb = false;

	*c = (struct dc_call){.sim = d->sim, .discord = d, .req = r, .arena = httpd_arena(r)};
	c->at_ms = clock_wall_ms();
	c->at_us = clock_us();
	api_worker_name(httpd_header(r, "User-Agent"), c->worker);
	c->route = find_route(c, httpd_method(r), behind_version(path), &other_verb);
	if (!c->route) {
		refuse_route(c, other_verb);
		return;
	}
	if (c->token.len > 0)
		c->interaction = dc_by_token(d, c->token);
	c->channel_id = c->interaction                                 ? c->interaction->channel->id
	                : strncmp(c->route->path, "/channels", 9) == 0 ? c->ids[0]
	                                                               : 0;
	take_fault(c);
	run_with_fault(c);
}
