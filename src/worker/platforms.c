#include "shoal/worker/platforms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/bots/registry.h"
#include "shoal/store/refusals.h"
#include "shoal/worker/breaker.h"

#define FAILURES 5 /* in a row: one lost answer is no outage */
#define PAUSE_MS 10000
#define SHUT_OUT_MS 60000    /* then it is tried again, however long it is said to last */
#define TOKEN_PAUSE_MS 60000 /* a wrong token stays wrong until somebody acts */
#define PROBE_TIMEOUT_MS 5000
#define BOTS_MAX 8
#define PLATFORMS_MAX 4

/* One bot of this worker: what it speaks with serves, or is missing, or is refused. */
struct served {
	struct platforms *all;
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
	struct platforms *all;
	const struct platform *platform;
	struct breaker breaker;
	struct refusals *refusals; /* NULL: the platform does not count them */
	struct served *asker;      /* a bot with a token: probes with it */
	char trouble[60];
};

struct platforms {
	struct platforms_opts opts;
	struct served bots[BOTS_MAX];
	struct api apis[PLATFORMS_MAX];
	unsigned nbots, napis;
	char except[256];
	struct metric *requests, *errors, *cut_off, *refusals;
};

/* ---- what can be served */

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

static void list_except(struct platforms *r)
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
	struct platforms *r = arg;

	list_except(r);
	r->opts.changed(r->opts.arg);
}

static const struct served *served_find(const struct platforms *r, const struct bot *bot)
{
	for (unsigned i = 0; i < r->nbots; i++)
		if (r->bots[i].bot == bot)
			return &r->bots[i];
	BUG("the bot \"%s\" does not run here", bot->name);
}

const char *platforms_trouble(const struct platforms *r, const struct bot *bot)
{
	return served_trouble(served_find(r, bot));
}

const char *platforms_except(const struct platforms *r)
{
	return r->except;
}

const struct credentials *platforms_credentials(const struct platforms *r, const struct bot *bot)
{
	return &served_find(r, bot)->who;
}

bool platforms_any(const struct platforms *r)
{
	for (unsigned i = 0; i < r->nbots; i++)
		if (!served_trouble(&r->bots[i]))
			return true;
	return false;
}

/* ---- what is heard */

static void count_error(struct platforms *r, const char *peer, const char *kind)
{
	series_add(SERIES(r->errors, peer, kind), 1);
}

static void heard(struct served *s, enum err err, const struct ruling *ruling)
{
	struct platforms *r = s->all;
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

void platforms_heard(struct platforms *r, const struct bot *bot, enum err err, const struct ruling *ruling)
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
	series_add(SERIES(s->all->requests, p->name, p->probe, status), 1);
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
	s->probe = http_send(s->all->opts.http, &req, probed, s);
	arena_release(&a);
}

static void probe_api(void *arg)
{
	struct api *api = arg;

	probe_bot(api->asker);
}

static void api_changed(void *arg)
{
	changed(((struct api *)arg)->all);
}

static void bot_changed(void *arg)
{
	changed(((struct served *)arg)->all);
}

/* ---- life */

static void set_gauges(void *arg)
{
	struct platforms *r = arg;

	for (unsigned i = 0; i < r->napis; i++)
		series_set(SERIES(r->cut_off, r->apis[i].platform->name), api_trouble(&r->apis[i]) != NULL);
	for (unsigned i = 0; i < r->napis; i++)
		if (r->apis[i].refusals)
			series_set(SERIES(r->refusals, r->apis[i].platform->name),
			           (double)refusals_lately(r->apis[i].refusals));
}

static struct api *api_of(struct platforms *r, const struct bot *bot)
{
	const struct platform *platform = platform_of(bot->platform);
	struct api *api = r->apis;

	while (api < r->apis + r->napis && api->platform != platform)
		api++;
	if (api < r->apis + r->napis)
		return api;
	ENSURE(r->napis < PLATFORMS_MAX);
	r->napis++;
	*api = (struct api){.all = r, .platform = platform};
	snprintf(api->trouble, sizeof(api->trouble), "%s cannot be reached", platform->name);
	breaker_init(&api->breaker, &(struct breaker_opts){.loop = r->opts.loop,
	                                                   .peer = platform->name,
	                                                   .trouble = api->trouble,
	                                                   .failures = FAILURES,
	                                                   .pause_ms = PAUSE_MS,
	                                                   .probe = probe_api,
	                                                   .changed = api_changed,
	                                                   .arg = api});
	return api;
}

/* The first bot that can speak with it. */
static void api_used(struct api *api, struct served *asker)
{
	const struct platforms_opts *o = &api->all->opts;

	api->asker = asker;
	if (api->platform->refusals_most)
		api->refusals = refusals_open(&(struct refusals_opts){.loop = o->loop,
		                                                      .redis = o->redis,
		                                                      .platform = api->platform->name,
		                                                      .most = api->platform->refusals_most,
		                                                      .changed = api_changed,
		                                                      .arg = api});
}

static void bot_add(struct platforms *r, const struct bot *bot)
{
	struct served *s = &r->bots[r->nbots];

	ENSURE(r->nbots < BOTS_MAX);
	r->nbots++;
	*s = (struct served){.all = r, .bot = bot, .api = api_of(r, bot)};
	s->who = (struct credentials){.api = conf_platform_api(r->opts.conf, s->api->platform->name),
	                              .token = conf_bot_token(r->opts.conf, bot->name),
	                              .app_id = conf_bot_app_id(r->opts.conf, bot->name)};
	if (!s->who.token)
		s->missing = "token";
	else if (s->api->platform->wants_app_id && !s->who.app_id)
		s->missing = "application id";
	if (!s->missing && !s->api->asker)
		api_used(s->api, s);
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

struct platforms *platforms_open(const struct platforms_opts *opts)
{
	struct platforms *r = mem_zalloc(sizeof(*r));

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
	return conf_expects_bot(s->all->opts.conf, s->bot->name) ? s->trouble : NULL;
}

void platforms_checks(struct platforms *r, struct health *h, struct arena *a)
{
	for (unsigned i = 0; i < r->napis; i++)
		health_check(h, r->apis[i].platform->name, check_api, &r->apis[i]);
	for (unsigned i = 0; i < r->nbots; i++)
		health_check(h, arena_printf(a, "bot %s", r->bots[i].bot->name), check_bot, &r->bots[i]);
}

void platforms_close(struct platforms *r)
{
	for (unsigned i = 0; i < r->napis; i++) {
		breaker_release(&r->apis[i].breaker);
		refusals_close(r->apis[i].refusals);
	}
	for (unsigned i = 0; i < r->nbots; i++)
		breaker_release(&r->bots[i].breaker);
	free(r);
}
