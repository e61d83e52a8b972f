/* A call's way: route, faults, token, limits, body, effect. */
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
		dc_too_many(c, DC_INVALID_WINDOW_MS / 1000.0, SCOPE_ADDRESS);
		return false;
	}
	if (!dc_limits_take(l, &c->route->quota, (unsigned)index_of(c->route), major, c->at_us, &c->allowance)) {
		dc_too_many(c, (double)c->allowance.reset_us / 1e6, SCOPE_USER);
		return false;
	}
	wait_us = c->route->by_bot ? dc_limits_take_global(l, c->at_us) : 0;
	if (wait_us)
		dc_too_many(c, (double)wait_us / 1e6, SCOPE_GLOBAL);
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
		dc_too_many(c, c->fault.retry_after_s, c->fault.scope);
		dc_call_end(c);
		break;
	case FAULT_500: refuse(c, 500, 0, "500: Internal Server Error"); break;
	case FAULT_400: refuse(c, 400, 0, "400: Bad Request"); break;
	case FAULT_403: refuse(c, 403, 50001, "Missing Access"); break;
	case FAULT_RESET:
		dc_record(c, 0, false);
		httpd_drop(c->req);
		break;
	case FAULT_HANG:
		dc_record(c, 0, false);
		held_forever(c->sim, &c->held, c->req);
		break;
	default: run(c);
	}
}

static void take_fault(struct dc_call *c)
{
	const struct fault *f = faults_hit(&c->sim->faults, c->method, c->discord->name, c->channel_id);

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
	dc_call_refuse(c);
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
	c->method = c->route->name;
	c->count = &d->counts[index_of(c->route)];
	if (c->token.len > 0)
		c->interaction = dc_by_token(d, c->token);
	c->channel_id = c->interaction                                 ? c->interaction->channel->id
	                : strncmp(c->route->path, "/channels", 9) == 0 ? c->ids[0]
	                                                               : 0;
	take_fault(c);
	run_with_fault(c);
}
