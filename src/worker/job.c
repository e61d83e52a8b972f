/* The runner: the only code that moves a job from stage to stage. */
#include "shoal/worker/job.h"

#include <stdlib.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/sql.h"
#include "shoal/worker/stages.h"
#include "shoal/worker/worker.h"

static void timer_rang(void *arg)
{
	job_end(arg);
}

struct job *job_new(struct worker *w, struct queue_entry *e)
{
	struct arena a;
	arena_init(&a);
	struct job *j = arena_new(&a, struct job);
	j->arena = a;
	j->worker = w;
	j->entry = e;
	trace_of_entry(&j->trace, e->traceparent, e->key);
	j->maybe_applied = e->handed != HANDED_FIRST; /* until the guard is asked */
	e->user = j;
	timer_init(&j->timer, w->loop, timer_rang, j);
	j->began_us = j->stage_began_us = clock_us();
	w->njobs++;
	return j;
}

static void job_free(struct job *j)
{
	struct worker *w = j->worker;
	if (w->suspect == j)
		w->suspect = NULL;
	reply_abandon(j);
	timer_release(&j->timer);
	struct arena a = j->arena; /* which has j too */
	arena_release(&a);
	w->njobs--;
	worker_job_over(w);
}

void job_ready(struct job *j)
{
	struct worker *w = j->worker;
	if (j->ready)
		return;
	j->ready = true;
	j->next = NULL;
	*w->ready_last = j;
	w->ready_last = &j->next;
	loop_defer(w->loop, &w->ready_task);
}

void job_begin(struct job *j)
{
	j->pending++;
}

void job_end(struct job *j)
{
	ENSURE(j->pending > 0);
	if (--j->pending == 0)
		job_ready(j);
}

void job_sql(struct job *j, const char *statement, struct pg_params *params, pg_fn *fn)
{
	params->entry = j->entry->id;
	params->trace_id = j->trace.id;
	job_begin(j);
	j->statements++;
	pg_exec(j->worker->pg, sql_get(statement), params, fn, j);
}

static enum step failed(struct job *j, enum failure how, int64_t ms, const char *why)
{
	j->failure = how;
	j->later_ms = ms;
	j->error = arena_strdup(&j->arena, why);
	return STEP_FAIL;
}

enum step job_later(struct job *j, int64_t ms, const char *why)
{
	return failed(j, FAILURE_LATER, ms, why);
}

enum step job_retry(struct job *j, const char *why)
{
	return failed(j, FAILURE_RETRY, 0, why);
}

enum step job_dead(struct job *j, const char *why)
{
	return failed(j, FAILURE_DEAD, 0, why);
}

bool job_is_outage(enum err err)
{
	static const bool yes[ERR_COUNT] = {
	    [ERR_UNREACHABLE] = true, [ERR_UNKNOWN] = true, [ERR_TIMEOUT] = true, [ERR_FULL] = true,
	    [ERR_LIMITED] = true,     [ERR_DENIED] = true,  [ERR_CONFLICT] = true};
	return yes[err];
}

enum step job_outage(struct job *j, const char *what, enum err err)
{
	return job_later(j, jitter_ms(JOB_OUTAGE_MS), arena_printf(&j->arena, "%s: %s", what, err_text(err)));
}

void job_op_failed(struct job *j, enum err err)
{
	if (err != ERR_OK && j->op_err == ERR_OK)
		j->op_err = err;
}

static void confirmed(void *arg, bool ours)
{
	(void)ours; /* the runner looks at entry->lost */
	job_end(arg);
}

bool job_must_confirm(struct job *j)
{
	if (queue_certain(j->entry->queue))
		return false;
	job_begin(j);
	queue_confirm(j->entry, confirmed, j);
	return true;
}

/* The one place where job->stage changes. */
static void job_move(struct job *j, enum stage to)
{
	int64_t now = clock_us();
	ENSURE(to == j->stage + 1 || to == STAGE_SETTLE || (to == STAGE_LOAD && j->stage == STAGE_COMMIT));
	j->spent[j->stage].us += now - j->stage_began_us;
	j->stage_began_us = now;
	log_debug("stage", LOG_STR("entry", j->entry->id), LOG_STR("from", job_stages[j->stage].name),
	          LOG_STR("to", job_stages[to].name));
	j->stage = to;
	j->step = 0;
}

static void job_fenced(struct job *j)
{
	struct worker *w = j->worker;
	const char *bot = j->bot ? j->bot->name : "unknown";
	series_add(SERIES(w->updates, bot, j->update.kind_name ? j->update.kind_name : "unknown",
	                  job_outcome_name(JOB_FENCED)),
	           1);
	settle_log(j, JOB_FENCED);
	queue_drop(j->entry);
	job_free(j);
}

static void job_run(struct job *j)
{
	loop_note(j->worker->loop, job_stages[j->stage].name);
	for (;;) {
		if (j->pending > 0)
			return;
		if (j->entry->lost) {
			job_fenced(j);
			return;
		}
		switch (job_stages[j->stage].run(j)) {
		case STEP_NEXT:
			if (j->stage == STAGE_SETTLE) { /* the entry is the queue's again */
				job_free(j);
				return;
			}
			job_move(j, j->stage + 1);
			break;
		case STEP_WAIT: return;
		case STEP_FAIL: job_move(j, STAGE_SETTLE); break;
		case STEP_AGAIN: job_move(j, STAGE_LOAD); break;
		}
	}
}

void job_run_ready(struct worker *w)
{
	struct job *list = w->ready;
	w->ready = NULL;
	w->ready_last = &w->ready;
	while (list) {
		struct job *j = list;
		list = j->next;
		j->ready = false;
		job_run(j);
	}
}

void job_drop_ready(struct worker *w)
{
	struct job *j;
	while ((j = w->ready)) { /* more may become ready meanwhile */
		w->ready = j->next;
		if (!w->ready)
			w->ready_last = &w->ready;
		j->ready = false;
		if (j->pending == 0 && j->entry->lost)
			job_fenced(j);
	}
}

const char *job_outcome_name(enum job_outcome o)
{
	static const char *const names[JOB_OUTCOMES] = {"undecided", "done",    "ignored", "double_click",
	                                                "throttled", "retried", "dead",    "fenced"};
	return names[o];
}
