#include "shoal/worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "shoal/base/args.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/version.h"
#include "shoal/io/health.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/shards.h"
#include "shoal/worker/beacon.h"
#include "shoal/worker/fleet.h"
#include "shoal/worker/job.h"
#include "shoal/worker/names.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/readiness.h"
#include "shoal/worker/schema.h"
#include "shoal/worker/taking.h"
#include "shoal/worker/timings.h"

#define TICK_MS 1000
#define CLOCKS_APART_MS 10000 /* further than networks and a heard time of a moment ago explain */
#define STATEMENT_TIMEOUT_MS 10000
#define ANSWER_MAX (4 << 20) /* a platform's answer is a few KiB; a responder's may be longer */

/* ---- ending */

/* The fleet's jobs and every queue. */
static void one_left(void *arg)
{
	struct worker *w = arg;
	if (++w->nleft == w->nshards + 1)
		loop_stop(w->loop);
}

static void leave(struct worker *w)
{
	if (w->leaving)
		return;
	w->leaving = true;
	if (w->njobs)
		log_warn("giving back what is still in hand", LOG_INT("jobs", w->njobs));
	timer_stop(&w->tick);
	beacon_end(w);
	cache_retire(w->cache);
	for (unsigned i = 0; i < w->nshards; i++)
		queue_leave(w->shards[i].queue, one_left, w);
}

static void drain_over(void *arg)
{
	leave(arg);
}

static void on_stop(void *arg, int signum)
{
	struct worker *w = arg;
	if (w->draining) {
		leave(w);
		return;
	}
	log_info("draining", LOG_INT("signal", signum), LOG_INT("jobs", w->njobs));
	w->draining = true;
	fleet_stop(w->fleet, one_left, w);
	timer_set(&w->drain_timer, w->conf.drain_s * 1000);
	if (w->njobs == 0)
		leave(w);
}

void worker_job_over(struct worker *w)
{
	w->moved_ms = clock_ms();
	if (w->draining && w->njobs == 0)
		leave(w);
	if (w->suspect && w->njobs == 1)
		job_ready(w->suspect);
	taking_poke(w);
}

static void run_ready(void *arg)
{
	job_run_ready(arg);
}

/* ---- start */

static void pg_changed(void *arg, bool up)
{
	struct worker *w = arg;
	if (up) {
		cache_pg_came(w->cache);
		reach_pg_came(w->reach);
		schema_look(w->pg);
		taking_pg_came(w);
	}
	taking_poke(w);
}

static void redis_came(void *arg)
{
	struct worker *w = arg;
	cache_redis_came(w->cache);
	flood_redis_came(w->flood); /* before anybody asks whether a message may go */
	reach_redis_came(w->reach);
	taking_poke(w);
}

/* Times that people see, and the age of Discord's tokens, go by this machine's clock. */
static void look_at_clock(struct worker *w)
{
	static int64_t last;
	static unsigned suppressed;
	int64_t redis = cache_redis_ms(w->cache), ahead = redis ? clock_wall_ms() - redis : 0;

	series_set(w->clock_ahead, (double)ahead / 1e3);
	if ((ahead < CLOCKS_APART_MS && ahead > -CLOCKS_APART_MS) || !log_due(&last, &suppressed))
		return;
	log_warn("this machine's clock and Redis' differ", LOG_NUM("ahead_s", (double)ahead / 1e3),
	         LOG_INT("suppressed", suppressed));
	suppressed = 0;
}

static void tick(void *arg)
{
	struct worker *w = arg;
	beacon_send(w);
	look_at_clock(w);
	timer_set(&w->tick, TICK_MS);
}

static void set_gauges(void *arg)
{
	struct worker *w = arg;
	series_set(w->inflight, w->njobs);
	readiness_gauges(w);
}

static void metrics_init(struct worker *w)
{
	static const double statements[] = {0, 1, 2, 3, 4, 6, 10};
	w->updates = metric_counter("shoal_updates_total", "bot,kind,outcome", "Updates by what became of them");
	w->update_seconds =
	    metric_histogram("shoal_update_seconds", "bot,command", "From taking an update to settling it", NULL, 0);
	w->stage_seconds =
	    metric_histogram("shoal_stage_seconds", "bot,stage", "Time of an update in each stage", NULL, 0);
	w->sql_per_update =
	    metric_histogram("shoal_sql_per_update", "bot", "SQL statements of one update", statements, 7);
	w->platform_requests = metric_counter("shoal_platform_requests_total", "platform,method,status",
	                                      "Calls of the platforms' APIs; status 0: no answer");
	w->inflight = SERIES0(metric_gauge("shoal_inflight", "", "Updates in this worker's hands"));
	w->takeovers = SERIES0(metric_counter("shoal_takeovers_total", "", "Entries taken over from dead workers"));
	w->flood_wait =
	    SERIES0(metric_histogram("shoal_flood_wait_seconds", "", "Waits for the flood budget", NULL, 0));
	w->asked_again = metric_counter("shoal_asked_again_total", "bot,why",
	                                "Updates that may have asked Postgres more than twice");
	w->unasked = metric_counter("shoal_unasked_total", "what",
	                            "Updates and messages that went on while Redis could not be asked for their limit");
	w->clock_ahead = SERIES0(metric_gauge("shoal_clock_ahead_seconds", "",
	                                      "How far this machine's clock is ahead of the caches' Redis'"));
	w->cut_off = metric_gauge("shoal_cut_off", "peer", "1 while this peer does not serve");
	metrics_on_render(set_gauges, w);
}

/* Settles what the configuration leaves to the program. NULL, or why it cannot run. */
static const char *resolve(struct worker *w, const char ***urls)
{
	const char *why = NULL;
	if (shards_parse(w->conf.redis_url, &w->arena, urls, &w->nshards, &why) != ERR_OK)
		return why;
	if (shards_check_cache(w->conf.cache_redis_url, &w->arena, &why) != ERR_OK)
		return why;
	if (pg_check_url(w->conf.postgres_url, &w->arena, &why) != ERR_OK)
		return arena_printf(&w->arena, "SHOAL_POSTGRES_URL: %s", why);
	if (pg_check_url(w->conf.postgres_direct_url, &w->arena, &why) != ERR_OK)
		return arena_printf(&w->arena, "SHOAL_POSTGRES_DIRECT_URL: %s", why);
	return NULL;
}

static void name_worker(struct worker *w)
{
	char host[64] = "worker", random[9];
	random_hex(random, 4);
	if (!w->conf.worker_id && gethostname(host, sizeof(host)) != 0)
		snprintf(host, sizeof(host), "worker");
	host[sizeof(host) - 1] = 0;
	snprintf(w->id, sizeof(w->id), "%.60s-%s", w->conf.worker_id ? w->conf.worker_id : host, random);
	for (char *p = w->id; *p; p++) /* it becomes part of keys, headers and JSON */
		if (*p <= ' ' || *p > '~' || *p == '~' || *p == '"' || *p == '\\')
			*p = '_';
}

/* The fleet's work is by the shards that the others have. */
static bool unfit(const void *arg)
{
	const struct worker *w = arg;
	return shards_any_foreign(&w->health);
}

static void open_all(struct worker *w, const char **urls)
{
	char agent[100];
	snprintf(agent, sizeof(agent), "shoal-worker/%s", w->id);
	w->pg = pg_open(w->loop, &(struct pg_opts){.url = w->conf.postgres_url,
	                                           .application_name = agent,
	                                           .connections = (unsigned)w->conf.pg_connections,
	                                           .prepare = w->conf.pg_prepare,
	                                           .plan_once = true,
	                                           .writes = true,
	                                           .keepalive_s = (unsigned)w->conf.pg_keepalive_s,
	                                           .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
	                                           .slow_ms = (unsigned)w->conf.slow_query_ms,
	                                           .on_change = pg_changed,
	                                           .arg = w});
	w->redis = redis_open(w->loop, &(struct redis_opts){.url = w->conf.cache_redis_url,
	                                                    .home = CACHE_HOME,
	                                                    .label = "cache",
	                                                    .timeout_ms = 2000,
	                                                    .on_up = redis_came,
	                                                    .arg = w});
	w->cache = cache_open(&(struct cache_opts){.loop = w->loop,
	                                           .redis = w->redis,
	                                           .pg = w->pg,
	                                           .redis_url = w->conf.cache_redis_url,
	                                           .listen_url = w->conf.postgres_direct_url,
	                                           .id = w->id,
	                                           .memory_bytes = (size_t)w->conf.memory_cache_mb << 20,
	                                           .player_ttl_s = w->conf.player_ttl_s,
	                                           .code_ttl_s = w->conf.code_ttl_s,
	                                           .ready = taking_poke,
	                                           .arg = w});
	w->flood = flood_open(w->loop, w->redis, &w->conf);
	w->http = http_open(w->loop, &(struct http_opts){OUTLET_CALLS, ANSWER_MAX, arena_strdup(&w->arena, agent)});
	w->reach =
	    reach_open(&(struct reach_opts){w->loop, &w->conf, w->http, w->pg, w->flood, w->redis, taking_poke, w});
	w->timings = timings_new();
	w->names = names_open(w->loop, &w->conf, w->http, w->reach);
	taking_open(w, urls);
	readiness_init(w);
	struct redis **shards = arena_array(&w->arena, struct redis *, w->nshards);
	for (unsigned i = 0; i < w->nshards; i++)
		shards[i] = queue_redis(w->shards[i].queue);
	w->fleet = fleet_open(&(struct fleet_opts){.loop = w->loop,
	                                           .pg = w->pg,
	                                           .redis = w->redis,
	                                           .shards = shards,
	                                           .nshards = w->nshards,
	                                           .pg_url = w->conf.postgres_direct_url,
	                                           .unfit = unfit,
	                                           .arg = w,
	                                           .jobs = fleet_jobs});
}

static void close_all(struct worker *w)
{
	http_close(w->http);
	cache_close(w->cache);
	pg_close(w->pg);
	job_drop_ready(w);
	for (unsigned i = 0; i < w->nshards; i++)
		queue_close(w->shards[i].queue);
	redis_close(w->redis);
	fleet_free(w->fleet);
	flood_close(w->flood);
	names_close(w->names);
	timings_free(w->timings);
	reach_close(w->reach);
	timer_release(&w->drain_timer);
	timer_release(&w->tick);
	task_cancel(&w->ready_task);
}

int verb_worker(int argc, char **argv)
{
	static struct worker w;
	const char *why = NULL, **urls = NULL;
	static const struct arg_opt no_options[] = {{0}};
	struct args args;
	arena_init(&w.arena);
	if (!args_parse(&args, &w.arena, argc, argv, no_options) || !args_count(&args, 0, 0, ""))
		return EXIT_USAGE;
	if (conf_load(&w.conf, &w.arena, NULL, &why) != ERR_OK || (why = resolve(&w, &urls))) {
		fprintf(stderr, "shoal worker: %s\n", why);
		return EXIT_FAILED;
	}
	name_worker(&w);
	log_init(w.conf.log, w.conf.log_format, "worker", w.id);
	signal(SIGPIPE, SIG_IGN);
	w.started_ms = clock_wall_ms();
	w.loop = loop_new();
	w.ready_last = &w.ready;
	outlet_init(&w.outlet);
	w.ready_task = (struct task){.fn = run_ready, .arg = &w};
	timer_init(&w.drain_timer, w.loop, drain_over, &w);
	timer_init(&w.tick, w.loop, tick, &w);
	metrics_init(&w);
	struct health *health = health_open(w.loop, w.conf.metrics_listen, &w.arena, &why);
	if (why) {
		fprintf(stderr, "shoal worker: %s\n", why);
		return EXIT_FAILED;
	}
	open_all(&w, urls);
	readiness_checks(&w, health);
	loop_on_signal(w.loop, SIGTERM, on_stop, &w);
	loop_on_signal(w.loop, SIGINT, on_stop, &w);
	timer_set(&w.tick, TICK_MS);
	log_info("worker started", LOG_STR("version", shoal_version), LOG_STR("bots", w.conf.bots),
	         LOG_INT("inflight", w.conf.inflight));
	loop_run(w.loop);
	log_info("worker stopped", LOG_INT("done", w.done));
	close_all(&w);
	health_close(health);
	loop_free(w.loop);
	arena_release(&w.arena);
	return EXIT_DONE;
}
