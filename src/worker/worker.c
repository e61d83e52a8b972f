#include "shoal/worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoal/base/args.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/version.h"
#include "shoal/io/health.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/queue_stats.h"
#include "shoal/store/shards.h"
#include "shoal/worker/beacon.h"
#include "shoal/worker/fleet.h"
#include "shoal/worker/job.h"
#include "shoal/worker/names.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/schema.h"
#include "shoal/worker/stages.h"
#include "shoal/worker/timings.h"

#define TICK_MS 1000
#define CLOCKS_APART_MS 10000 /* further than networks and a heard time of a moment ago explain */
#define STATEMENT_TIMEOUT_MS 10000
#define WORK_STUCK_MS 300000
#define ANSWER_MAX (4 << 20) /* a platform's answer is a few KiB; a responder's may be longer */

/* ---- what every update needs: NULL while it is there, else why it is not */

static const char *check_pg(void *arg)
{
	const struct worker *w = arg;
	return pg_up(w->pg) ? reach_pg_trouble(w->reach) : pg_trouble(w->pg);
}

static const char *check_redis(void *arg)
{
	const struct worker *w = arg;
	return redis_up(w->redis) ? reach_redis_trouble(w->reach) : "the caches' Redis cannot be reached";
}

bool worker_cut_off(struct worker *w)
{
	return check_pg(w) || check_redis(w) || !reach_any(w->reach);
}

/* ---- the queue's callbacks */

/* Another one first each time, that room for one does not always go to the same. */
static void poke_all(void *arg)
{
	struct worker *w = arg;
	unsigned first = w->poked++;
	for (unsigned i = 0; i < w->nshards && !w->leaving; i++)
		queue_poke(w->shards[(first + i) % w->nshards].queue);
}

static void on_short(void *arg, unsigned shard)
{
	struct worker *w = arg;
	for (unsigned i = 0; i < w->nshards && !w->leaving; i++)
		if (i != shard)
			queue_poke(w->shards[i].queue);
}

/* What another shard may still take of its share. Where there are more shards than room each takes what it finds. */
static unsigned kept_for(const struct worker *w, const struct queue *q)
{
	unsigned share = (unsigned)w->conf.inflight / w->nshards, used = queue_in_hand(q) + queue_wanted(q);
	return queue_has_more(q) && used < share ? share - used : 0;
}

/* Each shard has an equal share of SHOAL_INFLIGHT, and lends to others what it has no entries for. */
static unsigned room(void *arg, unsigned shard)
{
	struct worker *w = arg;
	unsigned used = w->njobs;
	if (w->draining || w->suspect || worker_cut_off(w) || !cache_ready(w->cache) || shards_any_foreign(&w->health))
		return 0;
	for (unsigned i = 0; i < w->nshards; i++) {
		if (w->njobs > 0 && queue_wants_empty_hands(w->shards[i].queue))
			return 0; /* until our hands are empty */
		used += queue_wanted(w->shards[i].queue) + (i == shard ? 0 : kept_for(w, w->shards[i].queue));
	}
	return used < w->conf.inflight ? (unsigned)w->conf.inflight - used : 0;
}

static const char *except(void *arg)
{
	const struct worker *w = arg;
	return reach_except(w->reach);
}

static bool empty_handed(void *arg)
{
	const struct worker *w = arg;
	if (w->draining)
		return true;
	for (unsigned i = 0; i < w->nshards; i++)
		if (queue_wanted(w->shards[i].queue)) /* another shard is about to fill them */
			return false;
	return w->njobs == 0;
}

static void on_entry(void *arg, struct queue_entry *e)
{
	struct worker *w = arg;
	if (e->takeovers)
		series_add(w->takeovers, 1);
	if (w->njobs == 0)
		w->moved_ms = clock_ms();
	struct job *j = job_new(w, e);
	if (e->takeovers >= 2) /* two workers have died of it: nobody else's work beside it, from this moment on */
		w->suspect = j;
	job_ready(j);
}

static void on_lost(void *arg, struct queue_entry *e)
{
	(void)arg;
	struct job *j = e->user;
	if (j->pending == 0) /* else it hears of it when its operation ends */
		job_ready(j);
}

static void on_duplicate(void *arg, struct span bot)
{
	struct worker *w = arg;
	char name[32];
	snprintf(name, sizeof(name), "%.*s", (int)(bot.len < 31 ? bot.len : 31), bot.ptr);
	series_add(SERIES(w->updates, conf_has_bot(&w->conf, name) ? name : "unknown", "unknown", "duplicate"), 1);
}

static void on_dead(void *arg, const struct queue_burial *b)
{
	struct worker *w = arg;
	char name[32];
	struct trace trace;
	snprintf(name, sizeof(name), "%.*s", (int)(b->bot.len < 31 ? b->bot.len : 31), b->bot.ptr);
	trace_of_entry(&trace, b->traceparent, b->key);
	log_warn("entry became a dead letter", LOG_SPAN("entry", b->id), LOG_STR("trace_id", trace.id),
	         LOG_SPAN("bot", b->bot), LOG_SPAN("error", b->why));
	series_add(SERIES(w->updates, conf_has_bot(&w->conf, name) ? name : "unknown", "unknown", "dead"), 1);
}

static void on_killer(void *arg, struct span bot, struct span key, struct span body)
{
	settle_killer(arg, bot, key, body);
}

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
	poke_all(w);
}

static void run_ready(void *arg)
{
	job_run_ready(arg);
}

/* ---- readiness */

static const char *shard_trouble(const void *arg, unsigned shard)
{
	const struct worker *w = arg;
	const char *why = queue_trouble(w->shards[shard].queue);
	return why ? why : redis_check_trouble(&w->shards[shard].check);
}

static const char *shard_foreign(const void *arg, unsigned shard)
{
	const struct worker *w = arg;
	return queue_foreign(w->shards[shard].queue);
}

static const char *check_drain(void *arg)
{
	const struct worker *w = arg;
	return w->draining ? "draining" : NULL;
}

static const char *check_cache(void *arg)
{
	const struct worker *w = arg;
	return cache_ready(w->cache) ? NULL : "caches are not loaded yet";
}

static const char *check_listen(void *arg)
{
	const struct worker *w = arg;
	return cache_not_listening(w->cache);
}

/* Alive means that entries can move. What a restart would not help (Redis away, or refusing) is a matter of readiness.
 */
static const char *check_moving(void *arg)
{
	const struct worker *w = arg;
	for (unsigned i = 0; i < w->nshards; i++)
		if (queue_stuck(w->shards[i].queue))
			return queue_trouble(w->shards[i].queue);
	return NULL;
}

/* Everything that a job waits for has a limit of its own, together far less than this; but for the word of a shard that
 * is away: there a restart would only make orphans of what is in hand. */
static const char *check_working(void *arg)
{
	const struct worker *w = arg;
	for (unsigned i = 0; i < w->nshards; i++)
		if (!queue_up(w->shards[i].queue))
			return NULL;
	int64_t patience_ms = WORK_STUCK_MS + w->conf.responder_timeout_s * 1000;
	bool stuck = w->njobs > 0 && clock_ms() - w->moved_ms > patience_ms;
	return stuck ? "updates are in hand, and none has ended for minutes" : NULL;
}

/* ---- start */

static void pg_changed(void *arg, bool up)
{
	struct worker *w = arg;
	if (up) {
		cache_pg_came(w->cache);
		reach_pg_came(w->reach);
		schema_look(w->pg);
	}
	poke_all(w);
}

static void redis_came(void *arg)
{
	struct worker *w = arg;
	cache_redis_came(w->cache);
	flood_redis_came(w->flood); /* before anybody asks whether a message may go */
	reach_redis_came(w->reach);
	poke_all(w);
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
	series_set(SERIES(w->cut_off, "postgres"), check_pg(w) != NULL);
	series_set(SERIES(w->cut_off, "cache"), check_redis(w) != NULL);
	series_set(SERIES(w->cut_off, "queue"), shards_away(&w->health) > 0);
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

static void queue_came(void *arg, unsigned shard)
{
	struct worker *w = arg;
	w->moved_ms = clock_ms(); /* what waited for it goes on from here */
	redis_check_start(&w->shards[shard].check);
}

static void open_queues(struct worker *w, const char **urls)
{
	for (unsigned i = 0; i < w->nshards; i++) {
		struct queue_opts o = {.loop = w->loop,
		                       .url = urls[i],
		                       .shard = i,
		                       .shards = w->nshards,
		                       .worker_id = w->id,
		                       .max_attempts = w->conf.max_attempts,
		                       .idempotency_ttl_s = w->conf.idempotency_ttl_s,
		                       .room = room,
		                       .empty_handed = empty_handed,
		                       .except = except,
		                       .on_entry = on_entry,
		                       .on_lost = on_lost,
		                       .on_short = on_short,
		                       .on_up = queue_came,
		                       .on_duplicate = on_duplicate,
		                       .on_dead = on_dead,
		                       .on_killer = on_killer,
		                       .arg = w};
		w->shards[i].queue = queue_open(&o);
		w->shards[i].check = (struct redis_check){.redis = queue_redis(w->shards[i].queue), .shard = i};
	}
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
	                                           .ready = poke_all,
	                                           .arg = w});
	w->flood = flood_open(w->loop, w->redis, &w->conf);
	w->http = http_open(w->loop, &(struct http_opts){OUTLET_CALLS, ANSWER_MAX, arena_strdup(&w->arena, agent)});
	w->reach = reach_open(&(struct reach_opts){w->loop, &w->conf, w->http, w->pg, w->flood, w->redis, poke_all, w});
	w->timings = timings_new();
	w->names = names_open(w->loop, &w->conf, w->http, w->reach);
	open_queues(w, urls);
	w->health =
	    (struct shards_health){.n = w->nshards, .trouble = shard_trouble, .foreign = shard_foreign, .arg = w};
	shards_health_init(&w->health);
	struct redis **shards = arena_array(&w->arena, struct redis *, w->nshards);
	for (unsigned i = 0; i < w->nshards; i++)
		shards[i] = queue_redis(w->shards[i].queue);
	w->fleet = fleet_open(&(struct fleet_opts){.loop = w->loop,
	                                           .pg = w->pg,
	                                           .redis = w->redis,
	                                           .shards = shards,
	                                           .nshards = w->nshards,
	                                           .pg_url = w->conf.postgres_direct_url,
	                                           .jobs = fleet_jobs});
}

static void add_checks(struct worker *w, struct health *h)
{
	health_check(h, "postgres", check_pg, w);
	health_check(h, "redis", check_redis, w);
	health_check(h, "caches", check_cache, w);
	health_check(h, "listening", check_listen, w);
	reach_checks(w->reach, h, &w->arena);
	health_check(h, "draining", check_drain, w);
	health_check(h, "queue", shards_all_away, &w->health);
	health_note(h, "shards", shards_any_away, &w->health);
	health_alive(h, "queue", check_moving, w);
	health_alive(h, "updates", check_working, w);
}

static void close_all(struct worker *w)
{
	http_close(w->http);
	cache_close(w->cache);
	pg_close(w->pg);
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
	add_checks(&w, health);
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
