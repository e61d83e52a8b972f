#include "shoal/worker/reach.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/metrics.h"
#include "shoal/store/sql.h"
#include "shoal/worker/breaker.h"
#include "shoal/worker/job.h"
#include "shoal/worker/platforms.h"

#define FAILURES 5            /* in a row: one lost answer or one odd query is no outage */
#define RESPONDER_FAILURES 10 /* it fails now and then, and nobody is lost without it */
#define PAUSE_MS 10000

struct reach {
	struct reach_opts opts;
	struct platforms *platforms;
	struct breaker reads, writes, redis, responder;
	bool ask_responder; /* the one question that finds out whether it answers again */
	struct metric *cut_off;
};

static void changed(void *arg)
{
	struct reach *r = arg;

	r->opts.changed(r->opts.arg);
}

/* ---- platforms */

void reach_heard_platform(struct reach *r, const struct bot *bot, enum err err, const struct ruling *ruling)
{
	platforms_heard(r->platforms, bot, err, ruling);
}

const char *reach_bot_trouble(const struct reach *r, const struct bot *bot)
{
	return platforms_trouble(r->platforms, bot);
}

const struct credentials *reach_credentials(const struct reach *r, const struct bot *bot)
{
	return platforms_credentials(r->platforms, bot);
}

const char *reach_except(const struct reach *r)
{
	return platforms_except(r->platforms);
}

bool reach_any(const struct reach *r)
{
	return platforms_any(r->platforms);
}

void reach_checks(struct reach *r, struct health *h, struct arena *a)
{
	platforms_checks(r->platforms, h, a);
}

/* ---- Postgres and Redis */

const char *reach_pg_trouble(const struct reach *r)
{
	const char *why = breaker_trouble(&r->reads);

	return why ? why : breaker_trouble(&r->writes);
}

const char *reach_redis_trouble(const struct reach *r)
{
	return breaker_trouble(&r->redis);
}

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
static void probed_pg(struct breaker *b, enum err err, const struct pg_fault *fault)
{
	if (err == ERR_OK)
		breaker_good(b);
	else
		breaker_failed(b, fault->message[0] ? fault->message : err_text(err));
}

static void probed_reads(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct reach *r = arg;

	(void)rows;
	probed_pg(&r->reads, err, fault);
}

static void probed_writes(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct reach *r = arg;

	(void)rows;
	probed_pg(&r->writes, err, fault);
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
	const struct reach *r = arg;

	if (r->opts.conf->responder_url)
		series_set(SERIES(r->cut_off, "responder"), breaker_is_open(&r->responder));
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
	r->cut_off = metric_gauge("shoal_cut_off", "peer", "1 while this peer does not serve");
	r->platforms =
	    platforms_open(&(struct platforms_opts){opts->loop, opts->conf, opts->http, opts->redis, changed, r});
	server_init(r, &r->reads, "postgres", "Postgres does not serve", FAILURES, probe_reads);
	server_init(r, &r->writes, "postgres", "Postgres takes no changes", FAILURES, probe_writes);
	server_init(r, &r->redis, "cache", "the caches' Redis does not serve", FAILURES, probe_redis);
	server_init(r, &r->responder, "responder", "the responder does not answer", RESPONDER_FAILURES,
	            probe_responder);
	metrics_on_render(set_gauges, r);
	return r;
}

void reach_close(struct reach *r)
{
	platforms_close(r->platforms);
	breaker_release(&r->reads);
	breaker_release(&r->writes);
	breaker_release(&r->redis);
	breaker_release(&r->responder);
	free(r);
}
