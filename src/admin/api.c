/* From a request to the function that answers it: who asks, what for, and whether they may. */
#include "shoal/admin/api.h"

#include <string.h>

#include "shoal/admin/auth.h"
#include "shoal/admin/page.h"
#include "shoal/admin/place.h"
#include "shoal/admin/routes.h"
#include "shoal/admin/visitor.h"

#define PREFIX "/api"

struct route {
	const char *method;
	const char *path; /* {...} stands for one part of it */
	enum role role;   /* the least that may */
	void (*fn)(struct visitor *v);
	bool shards; /* speaks of the shards, and so needs to know them all */
};

/* Who the caller is, for a page that shows only what they may do; and the bots there are. */
static void session_look(struct visitor *v)
{
	json_begin_obj(&v->json);
	json_kv_str(&v->json, "role", role_name(v->role));
	json_key(&v->json, "bots");
	json_begin_arr(&v->json);
	for (const char *bot = v->api->conf->bots; bot && *bot; bot += bot[0] == ',') {
		size_t len = strcspn(bot, ",");

		json_put_span(&v->json, (struct span){bot, len});
		bot += len;
	}
	json_end_arr(&v->json);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}

static void routes_list(struct visitor *v);

static const struct route routes[] = {
    {"GET", "/api", ROLE_VIEWER, routes_list, false},
    {"GET", "/api/session", ROLE_VIEWER, session_look, false},
    {"GET", "/api/analytics/start-codes", ROLE_VIEWER, codes_list, false},
    {"POST", "/api/analytics/start-codes", ROLE_ADMIN, codes_add, false},
    {"PUT", "/api/analytics/start-codes/{code}", ROLE_ADMIN, codes_set, false},
    {"DELETE", "/api/analytics/start-codes/{code}", ROLE_ADMIN, codes_remove, false},
    {"GET", "/api/analytics/users", ROLE_VIEWER, users_list, false},
    {"GET", "/api/queue", ROLE_VIEWER, queue_look, true},
    {"GET", "/api/queue/lanes", ROLE_VIEWER, lanes_list, true},
    {"POST", "/api/queue/pause", ROLE_ADMIN, queue_pause_it, true},
    {"POST", "/api/queue/resume", ROLE_ADMIN, queue_resume_it, true},
    {"GET", "/api/workers", ROLE_VIEWER, workers_list, false},
    {"GET", "/api/performance", ROLE_VIEWER, performance_look, false},
    {"GET", "/api/events", ROLE_VIEWER, events_watch, false},
    {"GET", "/api/history", ROLE_VIEWER, history_look, false},
    {"GET", "/api/cache", ROLE_VIEWER, caches_look, false},
    {"POST", "/api/cache/{name}/invalidate", ROLE_ADMIN, caches_invalidate_it, false},
    {"POST", "/api/cache/{name}/reload", ROLE_ADMIN, caches_reload_it, false},
    {"GET", "/api/dead", ROLE_VIEWER, dead_list, true},
    {"GET", "/api/dead/{id}", ROLE_VIEWER, dead_show, true},
    {"POST", "/api/dead/{id}/retry", ROLE_ADMIN, dead_retry_it, true},
    {"DELETE", "/api/dead/{id}", ROLE_ADMIN, dead_drop_it, true},
    {"GET", "/api/audit", ROLE_VIEWER, audit_list, false},
};
#define NROUTES (sizeof(routes) / sizeof(routes[0]))

static void routes_list(struct visitor *v)
{
	json_begin_arr(&v->json);
	for (size_t i = 0; i < NROUTES; i++) {
		json_begin_obj(&v->json);
		json_kv_str(&v->json, "method", routes[i].method);
		json_kv_str(&v->json, "path", routes[i].path);
		json_kv_str(&v->json, "role", role_name(routes[i].role));
		json_end_obj(&v->json);
	}
	json_end_arr(&v->json);
	visitor_send(v, 200);
}

/* *param: what stands where the braces are; ptr NULL where there are none. */
static bool fits(const char *pattern, const char *path, struct span *param)
{
	const char *open = strchr(pattern, '{');
	size_t head = open ? (size_t)(open - pattern) : strlen(pattern), len;

	*param = (struct span){0};
	if (!open)
		return strcmp(pattern, path) == 0;
	if (strncmp(pattern, path, head) != 0)
		return false;
	len = strcspn(path + head, "/");
	*param = (struct span){path + head, len};
	return len > 0 && strcmp(path + head + len, strchr(open, '}') + 1) == 0;
}

/* HEAD is answered as GET, without the body. */
static bool is_method(const struct route *route, const char *method)
{
	return strcmp(route->method, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0;
}

/* The route, or NULL; *there: the path is one, whatever the method. */
static const struct route *find(struct visitor *v, const char **allow)
{
	const char *path = httpd_path(v->r), *method = httpd_method(v->r);
	const struct route *found = NULL;
	struct span param;

	*allow = NULL;
	for (size_t i = 0; i < NROUTES; i++) {
		if (!fits(routes[i].path, path, &param))
			continue;
		v->label = routes[i].path;
		v->param = param.ptr ? arena_strndup(v->a, param.ptr, param.len) : NULL;
		*allow = *allow ? arena_printf(v->a, "%s, %s", *allow, routes[i].method) : routes[i].method;
		if (!found && is_method(&routes[i], method))
			found = &routes[i];
	}
	return found;
}

static void refuse_method(struct visitor *v, const char *allow)
{
	visitor_refuse_with(v, 405, "method_not_allowed", arena_printf(v->a, "there is %s here", allow), "Allow",
	                    allow);
}

/* False: it was refused. */
static bool let_in(struct visitor *v, const struct route *route)
{
	struct login login = auth_login(v->api->auth, v->r);

	v->actor = login.actor;
	v->role = login.role;
	if (login.wait_ms)
		visitor_later(v, 429, "too_many_logins", "too many wrong tokens came from there", login.wait_ms);
	else if (login.role == ROLE_NONE)
		visitor_refuse(v, 401, "unauthorized", "%s",
		               login.tried ? "this token is not the right one"
		                           : "a token is missing: Authorization: Bearer TOKEN");
	else if (route && login.role < route->role)
		visitor_refuse(v, 403, "forbidden", "this token may look, and change nothing");
	else
		return true;
	return false;
}

/* False: it was refused. */
static bool knows_shards(struct visitor *v)
{
	unsigned shard;
	const char *why = place_any_foreign(v->api->place, &shard);

	if (why)
		visitor_refuse(v, 503, "version", "shard %u: %s", shard, why);
	return !why;
}

static bool is_api(const char *path)
{
	size_t len = strlen(PREFIX);

	return strncmp(path, PREFIX, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

bool admin_wants_body(void *arg, const struct httpd_request *r)
{
	const struct api *api = arg;

	return is_api(httpd_path(r)) && auth_peek(api->auth, r) != ROLE_NONE;
}

void admin_handle(void *arg, struct httpd_request *r)
{
	struct visitor *v = visitor_new(arg, r);
	const struct route *route;
	const char *allow;

	if (!is_api(httpd_path(r))) {
		if (page_serve(v))
			return;
		visitor_refuse(v, 404, "not_found", "there is no such path");
		return;
	}
	route = find(v, &allow);
	if (!let_in(v, route))
		return;
	if (route && route->shards && !knows_shards(v))
		return;
	if (route)
		route->fn(v);
	else if (allow)
		refuse_method(v, allow);
	else
		visitor_refuse(v, 404, "not_found", "there is no such path");
}
