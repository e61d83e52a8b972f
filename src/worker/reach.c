#include "shoal/worker/reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/bots/registry.h"
#include "shoal/store/refusals.h"
#include "shoal/store/sql.h"
#include "shoal/worker/breaker.h"
#include "shoal/worker/job.h"

#define FAILURES 5            /* in a row: one lost answer or one odd query is no outage */
#define RESPONDER_FAILURES 10 /* it fails now and then, and nobody is lost without it */
#define PAUSE_MS 10000
#define SHUT_OUT_MS 60000    /* then it is tried again, however long it is said to last */
#define TOKEN_PAUSE_MS 60000 /* a wrong token stays wrong until somebody acts */
#define PROBE_TIMEOUT_MS 5000
#define BOTS_MAX 8
#define PLATFORMS_MAX 4

/* One bot of this worker: what it speaks with serves, or is missing, or is refused. */
struct served {
	struct reach *reach;
	const struct bot *bot;
	struct credentials who;
	const char *missing; /* of these; NULL: nothing */
	struct api *api;
	struct breaker breaker;
	struct http_call *probe;
	char trouble[120]; /* what breaker.opts.trouble says */
};

/* The API of one platform. */
struct api {
	struct reach *reach;
	const struct platform *platform;
	struct breaker breaker;
	struct refusals *refusals; /* NULL: the platform does not count them */
	struct served *asker;      /* a bot with a token: probes with it */
	char trouble[60];
};

struct reach {
	struct reach_opts opts;
	struct served bots[BOTS_MAX];
	struct api apis[PLATFORMS_MAX];
	unsigned nbots, napis;
	struct breaker reads, writes, redis, responder;
	bool ask_responder; /* the one question that finds out whether it answers again */
	char except[256];
	struct metric *requests, *errors, *cut_off, *refusals;
};

/* ---- what the worker can serve */

static const char *api_trouble(const struct api *api)
{
	const char *why = refusals_trouble(api->refusals);

	return why ? why : breaker_trouble(&api->breaker);
}

static const char *served_trouble(const struct served *s)
{
	const char *why = api_trouble(s->api);

	if (!why && s->missing)
		why = s->trouble;
	return why ? why : breaker_trouble(&s->breaker);
}

static void list_except(struct reach *r)
{
	size_t n = 0;

	r->except[0] = '\0';
	for (unsigned i = 0; i < r->nbots; i++)
		if (served_trouble(&r->bots[i]))
			n += (size_t)snprintf(r->except + n, sizeof(r->except) - n, "%s%s", n ? "," : "",
			                      r->bots[i].bot->name);
	ENSURE(n < sizeof(r->except));
}

static void changed(void *arg)
{
	struct reach *r = arg;

	list_except(r);
	r->opts.changed(r->opts.arg);
}

static const struct served *served_find(const struct reach *r, const struct bot *bot)
{
	for (unsigned i = 0; i < r->nbots; i++)
		if (r->bots[i].bot == bot)
			return &r->bots[i];
	BUG("the bot \"%s\" does not run here", bot->name);
}

const char *reach_bot_trouble(const struct reach *r, const struct bot *bot)
{
	return served_trouble(served_find(r, bot));
}

const char *reach_pg_trouble(const struct reach *r)
{
	const char *why = breaker_trouble(&r->reads);

	return why ? why : breaker_trouble(&r->writes);
}

const char *reach_redis_trouble(const struct reach *r)
{
	return breaker_trouble(&r->redis);
}

const char *reach_except(const struct reach *r)
{
	return r->except;
}

const struct credentials *reach_credentials(const struct reach *r, const struct bot *bot)
{
	return &served_find(r, bot)->who;
}

bool reach_any(const struct reach *r)
{
	for (unsigned i = 0; i < r->nbots; i++)
		if (!served_trouble(&r->bots[i]))
			return true;
	return false;
}

/* ---- platforms */

static void count_error(struct reach *r, const char *peer, const char *kind)
{
	series_add(SERIES(r->errors, peer, kind), 1);
}

static void heard(struct served *s, enum err err, const struct ruling *ruling)
{
	struct reach *r = s->reach;
	const char *peer = s->api->platform->name;

	if (err == ERR_OK && ruling->refused && s->api->refusals)
		refusals_count(s->api->refusals);
	if (err == ERR_OK && ruling->shut_out && s->api->refusals)
		refusals_shut_out(s->api->refusals, ruling->wait_ms < SHUT_OUT_MS ? ruling->wait_ms : SHUT_OUT_MS);
	if (err != ERR_OK) { /* counted by kind where it happened */
		breaker_failed(&s->api->breaker, err_text(err));
		return;
	}
	if (ruling->verdict == CALL_OUTAGE) {
		count_error(r, peer, "failing");
		breaker_failed(&s->api->breaker, ruling->why);
		return;
	}
	breaker_good(&s->api->breaker);
	if (ruling->verdict == CALL_DENIED) {
		count_error(r, peer, "denied");
		breaker_failed(&s->breaker, ruling->why);
	} else {
		breaker_good(&s->breaker);
	}
}

void reach_heard_platform(struct reach *r, const struct bot *bot, enum err err, const struct ruling *ruling)
{
	heard((struct served *)served_find(r, bot), err, ruling);
}

static void probed(void *arg, enum err err, const struct http_response *res)
{
	struct served *s = arg;
	const struct platform *p = s->api->platform;
	struct ruling ruling = {.verdict = CALL_OUTAGE};
	struct arena a;
	char status[16];

	s->probe = NULL;
	arena_init(&a);
	snprintf(status, sizeof(status), "%d", err == ERR_OK ? res->status : 0);
	series_add(SERIES(s->reach->requests, p->name, p->probe, status), 1);
	if (err == ERR_OK) {
		const struct response heard_of = {res->status, res->body, res->retry_after_ms, res->headers};
		p->judge(&heard_of, &a, &ruling);
	}
	heard(s, err, &ruling);
	if ((err != ERR_OK || ruling.verdict == CALL_OUTAGE) && breaker_is_open(&s->breaker))
		breaker_failed(&s->breaker, err == ERR_OK ? ruling.why : err_text(err));
	arena_release(&a);
}

/* Another probe later. */
static void put_off(struct breaker *b, const char *why)
{
	if (breaker_is_open(b))
		breaker_failed(b, why);
}

static void probe_bot(void *arg)
{
	struct served *s = arg;
	const struct platform *p = s->api->platform;
	const char *stop = refusals_trouble(s->api->refusals);
	struct request r;
	struct arena a;

	if (s->probe) /* its answer tells both, the platform's breaker and the token's */
		return;
	if (stop) {
		put_off(&s->breaker, stop);
		put_off(&s->api->breaker, stop);
		return;
	}
	arena_init(&a);
	p->request(&s->who, &(struct call){.method = p->probe}, &a, &r);
	const struct http_request req = {.method = r.method,
	                                 .url = r.url,
	                                 .headers = r.headers,
	                                 .body = r.body,
	                                 .keep = p->headers,
	                                 .timeout_ms = PROBE_TIMEOUT_MS,
	                                 .peer = p->name};
	s->probe = http_send(s->reach->opts.http, &req, probed, s);
	arena_release(&a);
}

static void probe_api(void *arg)
{
	struct api *api = arg;

	probe_bot(api->asker);
}

static void api_changed(void *arg)
{
	changed(((struct api *)arg)->reach);
}

static void bot_changed(void *arg)
{
	changed(((struct served *)arg)->reach);
}

/* ---- Postgres and Redis */

/* Whether the server is at fault. A connection that went is the pool's business, and so is losing a race. */
static bool server_fails(enum err err, const struct pg_fault *fault)
{
	return job_is_outage(err) && err != ERR_CONFLICT && fault->sqlstate[0];
}

static void heard_pg(struct breaker *b, enum err err, const struct pg_fault *fault)
{
	char why[160];

	if (err == ERR_OK) {
		breaker_good(b);
	} else if (server_fails(err, fault)) {
		snprintf(why, sizeof(why), "%s %s", fault->sqlstate, fault->message);
		breaker_failed(b, why);
	}
}

void reach_heard_read(struct reach *r, enum err err, const struct pg_fault *fault)
{
	heard_pg(&r->reads, err, fault);
}

void reach_heard_write(struct reach *r, enum err err, const struct pg_fault *fault)
{
	heard_pg(&r->writes, err, fault);
}

void reach_heard_redis(struct reach *r, enum err err)
{
	if (err == ERR_OK)
		breaker_good(&r->redis);
	else
		breaker_failed(&r->redis, err_text(err));
}

/* A probe's failure counts whatever it is. */
static void probed_pg(struct breaker *b, enum err err, PGresult *res, const struct pg_fault *fault)
{
	PQclear(res);
	if (err == ERR_OK)
		breaker_good(b);
	else
		breaker_failed(b, fault->message[0] ? fault->message : err_text(err));
}

static void probed_reads(void *arg, enum err err, PGresult *res, const struct pg_fault *fault)
{
	struct reach *r = arg;

	probed_pg(&r->reads, err, res, fault);
}

static void probed_writes(void *arg, enum err err, PGresult *res, const struct pg_fault *fault)
{
	struct reach *r = arg;

	probed_pg(&r->writes, err, res, fault);
}

static void probe_reads(void *arg)
{
	struct reach *r = arg;
	const struct pg_params p = {.n = 1, .v = {SPAN("")}};

	pg_exec(r->opts.pg, sql_get("guard_find"), &p, probed_reads, r);
}

static void probe_writes(void *arg)
{
	struct reach *r = arg;

	pg_exec(r->opts.pg, sql_get("guard_probe"), NULL, probed_writes, r);
}

static void probed_redis(void *arg, enum err err, bool double_click, bool throttled, bool notice)
{
	struct reach *r = arg;

	(void)double_click;
	(void)throttled;
	(void)notice;
	if (err == ERR_OK)
		breaker_good(&r->redis);
	else
		breaker_failed(&r->redis, err_text(err));
}

/* The admission of a redelivered update of nobody: it changes nothing, and needs all that any admission needs. */
static void probe_redis(void *arg)
{
	struct reach *r = arg;

	flood_admit(r->opts.flood, "probe", 0, 0, NULL, "probe", true, probed_redis, r);
}

void reach_pg_came(struct reach *r)
{
	breaker_hurry(&r->reads);
	breaker_hurry(&r->writes);
}

void reach_redis_came(struct reach *r)
{
	breaker_hurry(&r->redis);
}

/* ---- the responder: its failing keeps nothing from being done */

static void probe_responder(void *arg)
{
	struct reach *r = arg;

	r->ask_responder = true;
}

bool reach_responder(struct reach *r)
{
	bool ask = !breaker_is_open(&r->responder) || r->ask_responder;

	r->ask_responder = false;
	return ask;
}

void reach_heard_responder(struct reach *r, bool answered)
{
	if (answered)
		breaker_good(&r->responder);
	else
		breaker_failed(&r->responder, "no answer");
}

/* ---- life */

static void set_gauges(void *arg)
{
	struct reach *r = arg;

	for (unsigned i = 0; i < r->napis; i++)
		series_set(SERIES(r->cut_off, r->apis[i].platform->name), api_trouble(&r->apis[i]) != NULL);
	for (unsigned i = 0; i < r->napis; i++)
		if (r->apis[i].refusals)
			series_set(SERIES(r->refusals, r->apis[i].platform->name),
			           (double)refusals_lately(r->apis[i].refusals));
	if (r->opts.conf->responder_url)
		series_set(SERIES(r->cut_off, "responder"), breaker_is_open(&r->responder));
}

static struct api *api_of(struct reach *r, const struct bot *bot)
{
	const struct platform *platform = platform_of(bot->platform);
	struct api *api = r->apis;

	while (api < r->apis + r->napis && api->platform != platform)
		api++;
	if (api < r->apis + r->napis)
		return api;
	ENSURE(r->napis < PLATFORMS_MAX);
	r->napis++;
	*api = (struct api){.reach = r, .platform = platform};
	snprintf(api->trouble, sizeof(api->trouble), "%s cannot be reached", platform->name);
	breaker_init(&api->breaker, &(struct breaker_opts){.loop = r->opts.loop,
	                                                   .peer = platform->name,
	                                                   .trouble = api->trouble,
	                                                   .failures = FAILURES,
	                                                   .pause_ms = PAUSE_MS,
	                                                   .probe = probe_api,
	                                                   .changed = api_changed,
	                                                   .arg = api});
	if (platform->refusals_most)
		api->refusals = refusals_open(&(struct refusals_opts){.loop = r->opts.loop,
		                                                      .redis = r->opts.redis,
		                                                      .platform = platform->name,
		                                                      .most = platform->refusals_most,
		                                                      .changed = api_changed,
		                                                      .arg = api});
	return api;
}

static void bot_add(struct reach *r, const struct bot *bot)
{
	struct served *s = &r->bots[r->nbots];

	ENSURE(r->nbots < BOTS_MAX);
	r->nbots++;
	*s = (struct served){.reach = r, .bot = bot, .api = api_of(r, bot)};
	s->who = (struct credentials){.api = conf_platform_api(r->opts.conf, s->api->platform->name),
	                              .token = conf_bot_token(r->opts.conf, bot->name),
	                              .app_id = conf_bot_app_id(r->opts.conf, bot->name)};
	if (!s->who.token)
		s->missing = "token";
	else if (s->api->platform->wants_app_id && !s->who.app_id)
		s->missing = "application id";
	if (!s->missing && !s->api->asker)
		s->api->asker = s;
	if (s->missing) {
		snprintf(s->trouble, sizeof(s->trouble), "the bot \"%.40s\" has no %s", bot->name, s->missing);
		if (conf_expects_bot(r->opts.conf, bot->name))
			log_error("a bot cannot speak: its updates wait", LOG_STR("bot", bot->name),
			          LOG_STR("missing", s->missing));
	} else {
		snprintf(s->trouble, sizeof(s->trouble), "the token of the bot \"%.40s\" is refused", bot->name);
	}
	breaker_init(&s->breaker, &(struct breaker_opts){.loop = r->opts.loop,
	                                                 .peer = bot->name,
	                                                 .trouble = s->trouble,
	                                                 .failures = 1,
	                                                 .pause_ms = TOKEN_PAUSE_MS,
	                                                 .probe = probe_bot,
	                                                 .changed = bot_changed,
	                                                 .arg = s});
}

static void server_init(struct reach *r, struct breaker *b, const char *peer, const char *trouble, unsigned failures,
                        void (*probe)(void *arg))
{
	breaker_init(b, &(struct breaker_opts){.loop = r->opts.loop,
	                                       .peer = peer,
	                                       .trouble = trouble,
	                                       .failures = failures,
	                                       .pause_ms = PAUSE_MS,
	                                       .probe = probe,
	                                       .changed = changed,
	                                       .arg = r});
}

struct reach *reach_open(const struct reach_opts *opts)
{
	struct reach *r = mem_zalloc(sizeof(*r));

	r->opts = *opts;
	r->requests = metric_counter("shoal_platform_requests_total", "platform,method,status",
	                             "Calls of the platforms' APIs; status 0: no answer");
	r->errors = metric_counter("shoal_errors_total", "peer,kind", "Errors by peer and kind.");
	r->cut_off = metric_gauge("shoal_cut_off", "peer", "1 while this peer does not serve");
	r->refusals = metric_gauge("shoal_platform_refusals", "platform",
	                           "Calls of the fleet that the platform refused in the last ten minutes");
	for (const struct bot *const *b = bots_all; *b; b++)
		if (conf_has_bot(opts->conf, (*b)->name))
			bot_add(r, *b);
	server_init(r, &r->reads, "postgres", "Postgres does not serve", FAILURES, probe_reads);
	server_init(r, &r->writes, "postgres", "Postgres takes no changes", FAILURES, probe_writes);
	server_init(r, &r->redis, "cache", "the caches' Redis does not serve", FAILURES, probe_redis);
	server_init(r, &r->responder, "responder", "the responder does not answer", RESPONDER_FAILURES,
	            probe_responder);
	metrics_on_render(set_gauges, r);
	list_except(r);
	return r;
}

static const char *check_api(void *arg)
{
	return api_trouble(arg);
}

static const char *check_bot(void *arg)
{
	const struct served *s = arg;

	if (!s->missing)
		return breaker_trouble(&s->breaker);
	return conf_expects_bot(s->reach->opts.conf, s->bot->name) ? s->trouble : NULL;
}

void reach_checks(struct reach *r, struct health *h, struct arena *a)
{
	for (unsigned i = 0; i < r->napis; i++)
		health_check(h, r->apis[i].platform->name, check_api, &r->apis[i]);
	for (unsigned i = 0; i < r->nbots; i++)
		health_check(h, arena_printf(a, "bot %s", r->bots[i].bot->name), check_bot, &r->bots[i]);
}

void reach_close(struct reach *r)
{
	for (unsigned i = 0; i < r->napis; i++)
		breaker_release(&r->apis[i].breaker);
	for (unsigned i = 0; i < r->napis; i++)
		refusals_close(r->apis[i].refusals);
	for (unsigned i = 0; i < r->nbots; i++)
		breaker_release(&r->bots[i].breaker);
	breaker_release(&r->reads);
	breaker_release(&r->writes);
	breaker_release(&r->redis);
	breaker_release(&r->responder);
	free(r);
}
