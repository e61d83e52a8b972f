#include "shoal/worker/fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/store/lock.h"

#define LOOK_MS 10000 /* or the job's period, where that is shorter */
#define LOCK_LIFE_MS 15000
#define HURRIED_LIFE_MS 3000
#define OPEN_MS 10000            /* a patient job's connection comes in this time */
#define PATIENCE_MS (30 * 60000) /* and bears such statements */
#define PAUSE_MS 50 /* between two steps, but at least twice the time of the last: others need the servers too */

/* IDLE ──the timer: is it due?──> ASKING ──due──> WAITING for the lock ──held: still due?──> ASKING ──due──> STEPPING
 * STEPPING ──more──> PAUSING ──the timer──> STEPPING. From anywhere back to IDLE, or after fleet_stop to STOPPED.
 * It asks twice, because another worker may have run the job while this one waited. A patient job is OPENING its
 * connection before its first step. */
enum state { IDLE, ASKING, WAITING, OPENING, STEPPING, PAUSING, STOPPED };

static const char *const outcomes[] = {"done", "failed", "stopped"};
enum outcome { DONE, FAILED, GIVEN_UP };

struct runner {
	struct fleet_run run; /* first: what the steps are given is the runner */
	const struct fleet_job *job;
	struct fleet *fleet;
	enum state state; /* only move() changes it */
	struct timer timer;
	char lock_name[80], last_key[80];
	struct lock *lock; /* NULL: not wanted, or lost */
	struct pg *own;    /* of a patient job's run */
	int64_t began_ms, step_ms, rows;
	int64_t ended_ms; /* the last run's, by the wall; 0: none yet */
	struct series *rows_total, *runs_total[3];
};

struct fleet {
	struct fleet_opts opts;
	struct runner *runners;
	size_t n;
	unsigned releasing; /* locks that Redis has not answered for */
	bool stopping;
	struct task told;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static void ask(struct runner *r);

static void move(struct runner *r, enum state to)
{
	ENSURE(r->state != STOPPED);
	r->state = to;
}

static bool fit(const struct fleet *f)
{
	return !f->stopping && pg_up(f->opts.pg) && redis_up(f->opts.redis) &&
	       !(f->opts.unfit && f->opts.unfit(f->opts.arg));
}

static void look_later(struct runner *r)
{
	int64_t period_ms = (int64_t)r->job->period_s * 1000;

	move(r, IDLE);
	timer_set(&r->timer, jitter_ms(period_ms < LOOK_MS ? period_ms : LOOK_MS));
}

static void tell_stopped(void *arg)
{
	struct fleet *f = arg;

	f->stopped(f->stopped_arg);
}

static void on_released(void *arg)
{
	struct fleet *f = arg;

	if (--f->releasing == 0 && f->stopping)
		loop_defer(f->opts.loop, &f->told);
}

static void drop_lock(struct runner *r)
{
	if (!r->lock)
		return;
	r->fleet->releasing++;
	lock_close(r->lock, on_released, r->fleet);
	r->lock = NULL;
}

/* ---- a run */

static void on_noted(void *arg, enum err err, const redisReply *reply)
{
	const struct runner *r = arg;

	if (err != ERR_OK)
		log_warn("a fleet job's run could not be noted; it comes again soon", LOG_STR("job", r->job->name),
		         LOG_STR("error", err_text(err)), LOG_STR("why", reply ? reply->str : NULL));
}

static void note_run(struct runner *r)
{
	char now[32], period[24];

	clock_rfc3339(clock_wall_ms(), now, sizeof(now));
	snprintf(period, sizeof(period), "%lld", (long long)r->job->period_s * 1000);
	const struct span argv[] = {SPAN("SET"), span_of(r->last_key), span_of(now), SPAN("PX"), span_of(period)};
	redis_call(r->fleet->opts.redis, on_noted, r, sizeof(argv) / sizeof(argv[0]), argv);
}

/* What is under way on it fails, which ends the run. */
static void close_own(struct runner *r)
{
	struct pg *own = r->own;

	r->own = NULL;
	if (own)
		pg_close(own);
}

/* A run that was given up is not noted: another worker goes on with it. */
static void end_run(struct runner *r, enum outcome outcome)
{
	double ms = (double)(clock_ms() - r->began_ms);

	r->ended_ms = clock_wall_ms();
	series_add(r->runs_total[outcome], 1);
	LOG_AT(r->rows > 0 ? LOG_INFO : LOG_DEBUG, "fleet job ended", LOG_STR("job", r->job->name),
	       LOG_STR("outcome", outcomes[outcome]), LOG_INT("rows", r->rows), LOG_NUM("ms", ms));
	close_own(r);
	if (outcome != GIVEN_UP)
		note_run(r);
	drop_lock(r); /* after the note, on the same connection */
	if (r->fleet->stopping)
		move(r, STOPPED);
	else
		look_later(r);
}

static void step(struct runner *r)
{
	move(r, STEPPING);
	r->step_ms = clock_ms();
	r->job->step(&r->run);
}

void fleet_step_done(struct fleet_run *run, int64_t rows, bool more)
{
	struct runner *r = (struct runner *)run;
	int64_t pause_ms = 2 * (clock_ms() - r->step_ms);

	ENSURE(r->state == STEPPING);
	series_add(r->rows_total, (double)rows);
	r->rows += rows;
	if (!more) {
		end_run(r, DONE);
	} else if (!r->lock) {
		end_run(r, GIVEN_UP);
	} else {
		move(r, PAUSING);
		timer_set(&r->timer, pause_ms > PAUSE_MS ? pause_ms : PAUSE_MS);
	}
}

void fleet_step_failed(struct fleet_run *run, enum err err, const char *why)
{
	struct runner *r = (struct runner *)run;

	ENSURE(r->state == STEPPING);
	if (r->lock)
		log_warn("a fleet job failed; it comes again after its period", LOG_STR("job", r->job->name),
		         LOG_STR("error", err_text(err)), LOG_STR("why", why), LOG_INT("period_s", r->job->period_s));
	end_run(r, r->lock ? FAILED : GIVEN_UP);
}

static void own_changed(void *arg, bool up)
{
	struct runner *r = arg;

	if (!up || r->state != OPENING)
		return;
	timer_stop(&r->timer);
	step(r);
}

/* It prepares nothing, and so asks for nothing that a pooler could not give it. */
static void open_own(struct runner *r)
{
	char name[80];

	snprintf(name, sizeof(name), "shoal %s", r->job->name);
	move(r, OPENING);
	timer_set(&r->timer, OPEN_MS);
	r->run.pg = r->own = pg_open(r->fleet->opts.loop, &(struct pg_opts){.url = r->fleet->opts.pg_url,
	                                                                    .application_name = name,
	                                                                    .connections = 1,
	                                                                    .writes = true,
	                                                                    .statement_timeout_ms = PATIENCE_MS,
	                                                                    .slow_ms = PATIENCE_MS,
	                                                                    .on_change = own_changed,
	                                                                    .arg = r});
}

static void open_failed(struct runner *r)
{
	log_warn("a fleet job has no connection of its own; it comes again after its period",
	         LOG_STR("job", r->job->name), LOG_STR("why", pg_trouble(r->own)),
	         LOG_INT("period_s", r->job->period_s));
	end_run(r, FAILED);
}

static void begin_run(struct runner *r)
{
	r->run.at = 0;
	r->run.from[0] = '\0';
	r->rows = 0;
	r->began_ms = clock_ms();
	if (r->job->patient)
		open_own(r);
	else
		step(r);
}

/* ---- who runs it, and when */

static void on_held(void *arg)
{
	struct runner *r = arg;

	ENSURE(r->state == WAITING);
	ask(r);
}

static void on_lost(void *arg)
{
	struct runner *r = arg;

	log_warn("a fleet job's lock was lost", LOG_STR("job", r->job->name));
	drop_lock(r);
	if (r->state == PAUSING || r->state == OPENING) {
		timer_stop(&r->timer);
		end_run(r, GIVEN_UP);
	}
}

static void take_lock(struct runner *r)
{
	move(r, WAITING);
	r->lock = lock_open(&(struct lock_opts){.loop = r->fleet->opts.loop,
	                                        .redis = r->fleet->opts.redis,
	                                        .name = r->lock_name,
	                                        .life_ms = r->job->hurried ? HURRIED_LIFE_MS : LOCK_LIFE_MS,
	                                        .on_held = on_held,
	                                        .on_lost = on_lost,
	                                        .arg = r});
}

static void on_asked(void *arg, enum err err, const redisReply *reply)
{
	struct runner *r = arg;
	/* ms for which nobody has to; more than there can be: the clock of Redis was set back */
	bool due = err == ERR_OK && reply->type == REDIS_REPLY_INTEGER &&
	           (reply->integer < 0 || reply->integer > (int64_t)r->job->period_s * 1000);

	if (r->state == STOPPED)
		return;
	if (!due || !fit(r->fleet)) {
		drop_lock(r);
		look_later(r);
	} else if (r->lock) {
		begin_run(r);
	} else {
		take_lock(r);
	}
}

static void ask(struct runner *r)
{
	const struct span argv[] = {SPAN("PTTL"), span_of(r->last_key)};

	move(r, ASKING);
	redis_call(r->fleet->opts.redis, on_asked, r, sizeof(argv) / sizeof(argv[0]), argv);
}

static void on_timer(void *arg)
{
	struct runner *r = arg;

	if (r->state == PAUSING)
		step(r);
	else if (r->state == OPENING)
		open_failed(r);
	else if (fit(r->fleet))
		ask(r);
	else
		look_later(r);
}

/* ---- life */

static void runner_init(struct runner *r, struct fleet *f, const struct fleet_job *job)
{
	struct metric *rows = metric_counter("shoal_fleet_job_rows_total", "fleet_job",
	                                     "Rows that jobs of the fleet removed, cleared or appended for");
	struct metric *runs =
	    metric_counter("shoal_fleet_job_runs_total", "fleet_job,outcome", "Runs of jobs of the fleet");

	r->run = (struct fleet_run){
	    .pg = f->opts.pg, .redis = f->opts.redis, .shards = f->opts.shards, .nshards = f->opts.nshards};
	r->job = job;
	r->fleet = f;
	r->rows_total = SERIES(rows, job->name);
	for (int i = DONE; i <= GIVEN_UP; i++)
		r->runs_total[i] = SERIES(runs, job->name, outcomes[i]);
	if (snprintf(r->last_key, sizeof(r->last_key), "shoal:{cache}:job:%s:last", job->name) >=
	    (int)sizeof(r->last_key))
		BUG("job name too long: %s", job->name);
	snprintf(r->lock_name, sizeof(r->lock_name), "job:%s", job->name);
	timer_init(&r->timer, f->opts.loop, on_timer, r);
	look_later(r);
}

struct fleet *fleet_open(const struct fleet_opts *opts)
{
	struct fleet *f = mem_zalloc(sizeof(*f));

	f->opts = *opts;
	f->told = (struct task){.fn = tell_stopped, .arg = f};
	while (opts->jobs[f->n].name)
		f->n++;
	f->runners = mem_zalloc((f->n + 1) * sizeof(*f->runners));
	for (size_t i = 0; i < f->n; i++)
		runner_init(&f->runners[i], f, &opts->jobs[i]);
	return f;
}

static void runner_stop(struct runner *r)
{
	timer_stop(&r->timer);
	if (r->state == PAUSING || r->state == OPENING) {
		end_run(r, GIVEN_UP);
		return;
	}
	drop_lock(r);
	if (r->state != STEPPING)
		move(r, STOPPED);
}

void fleet_stop(struct fleet *f, void (*fn)(void *arg), void *arg)
{
	ENSURE(!f->stopping);
	f->stopping = true;
	f->stopped = fn;
	f->stopped_arg = arg;
	for (size_t i = 0; i < f->n; i++)
		runner_stop(&f->runners[i]);
	if (f->releasing == 0)
		loop_defer(f->opts.loop, &f->told);
}

void fleet_put(const struct fleet *f, struct json_writer *out)
{
	json_begin_arr(out);
	for (size_t i = 0; i < f->n; i++) {
		const struct runner *r = &f->runners[i];

		json_begin_obj(out);
		json_kv_str(out, "job", r->job->name);
		json_kv_bool(out, "running", r->state == OPENING || r->state == STEPPING || r->state == PAUSING);
		json_kv_i64(out, "done", (int64_t)series_value(r->runs_total[DONE]));
		json_kv_i64(out, "failed", (int64_t)series_value(r->runs_total[FAILED]));
		json_kv_i64(out, "ended_ms", r->ended_ms);
		json_end_obj(out);
	}
	json_end_arr(out);
}

void fleet_free(struct fleet *f)
{
	task_cancel(&f->told);
	for (size_t i = 0; i < f->n; i++) {
		close_own(&f->runners[i]);
		timer_release(&f->runners[i].timer);
	}
	free(f->runners);
	free(f);
}
