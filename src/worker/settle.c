#include <stdio.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/bots/registry.h"
#include "shoal/worker/courtesy.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/send.h"
#include "shoal/worker/stages.h"
#include "shoal/worker/timings.h"
#include "shoal/worker/worker.h"

#define RETRY_FIRST_MS 200
#define RETRY_MAX_MS 30000

static int64_t backoff(unsigned retries)
{
	int64_t ms = retries > 7 ? RETRY_MAX_MS : (int64_t)RETRY_FIRST_MS << retries;
	return jitter_ms(ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS);
}

static enum job_outcome outcome_of(const struct job *j)
{
	switch (j->failure) {
	case FAILURE_NONE: return j->outcome == JOB_UNDECIDED ? JOB_DONE : j->outcome;
	case FAILURE_LATER: return JOB_RETRIED;
	case FAILURE_RETRY: return j->entry->retries + 1 < j->worker->conf.max_attempts ? JOB_RETRIED : JOB_DEAD;
	case FAILURE_DEAD: return JOB_DEAD;
	}
	BUG("failure %d", (int)j->failure);
}

static void report(struct job *j)
{
	struct queue_entry *e = j->entry;
	switch (j->failure) {
	case FAILURE_NONE: queue_done(e); break;
	case FAILURE_LATER: queue_later(e, j->later_ms); break;
	case FAILURE_RETRY: queue_retry(e, backoff(e->retries), j->error, j->maybe_applied); break;
	case FAILURE_DEAD: queue_dead(e, j->error, j->maybe_applied); break;
	}
}

static const char *command_name(const struct job *j)
{
	return j->command ? j->command->name : "none";
}

static void measure(const struct job *j, enum job_outcome outcome, double total)
{
	struct worker *w = j->worker;
	const char *bot = j->bot ? j->bot->name : "unknown";
	const char *kind = j->update.kind_name ? j->update.kind_name : "unknown";
	int64_t now = clock_ms();
	series_add(SERIES(w->updates, bot, kind, job_outcome_name(outcome)), 1);
	if (!j->bot)
		return;
	series_observe(SERIES(w->update_seconds, bot, command_name(j)), total);
	timings_command(w->timings, bot, command_name(j), (int64_t)(total * 1e6), now);
	for (int s = 0; s < STAGE_SETTLE; s++) {
		if (!j->spent[s].us)
			continue;
		series_observe(SERIES(w->stage_seconds, bot, job_stages[s].name), (double)j->spent[s].us / 1e6);
		timings_stage(w->timings, bot, job_stages[s].name, j->spent[s].us, now);
	}
	series_observe(SERIES(w->sql_per_update, bot), j->statements);
	if (j->conflicts > 0)
		series_add(SERIES(w->asked_again, bot, "conflict"), 1);
	else if (j->entry->handed != HANDED_FIRST || j->guarded)
		series_add(SERIES(w->asked_again, bot, "redelivery"), 1);
}

void settle_log(const struct job *j, enum job_outcome outcome)
{
	const struct conf *c = &j->worker->conf;
	struct log_field f[12 + STAGE_COUNT];
	size_t n = 0;
	double ms = (double)(clock_us() - j->began_us) / 1e3;
	if (!c->log_updates || !log_enabled(LOG_INFO))
		return;
	f[n++] = LOG_STR("bot", j->bot ? j->bot->name : "unknown");
	f[n++] = LOG_STR("command", command_name(j));
	f[n++] = LOG_STR("outcome", job_outcome_name(outcome));
	f[n++] = LOG_STR("speed", ms > (double)c->slow_ms ? "SLOW" : ms < (double)c->fast_ms ? "FAST" : "OK");
	f[n++] = LOG_NUM("total_ms", ms);
	for (int s = 0; s < STAGE_SETTLE; s++)
		if (j->spent[s].us >= 100)
			f[n++] = LOG_NUM(job_stages[s].name, (double)j->spent[s].us / 1e3);
	f[n++] = LOG_STR("entry", j->entry->id);
	f[n++] = LOG_SPAN("lane", j->entry->lane);
	f[n++] = LOG_STR("trace_id", j->trace.id);
	f[n++] = LOG_INT("sql", j->statements);
	if (j->failure != FAILURE_NONE)
		f[n++] = LOG_STR("error", j->error);
	log_emit(LOG_INFO, "update", n, f);
}

static void release_press(struct worker *w, const char *bot, const struct update *u)
{
	if (u->kind == UPDATE_PRESS) /* pressed again, it may try again */
		flood_release_press(w->flood, bot, u->from.id, u->message_id, u->data, u->key);
}

void settle_killer(struct worker *w, struct span bot_name, struct span key, struct span body)
{
	const struct bot *bot = bots_find(bot_name);
	const struct platform *p;
	struct arena a;
	struct update u;
	struct call sorry;
	const char *why;
	if (!bot || !conf_has_bot(&w->conf, bot->name))
		return;
	p = platform_of(bot->platform);
	arena_init(&a);
	/* when it came is not told: not long ago, most likely */
	if (p->decode(bot, body, arena_strndup(&a, key.ptr, key.len), clock_wall_ms(), &a, &u, &why) == ERR_OK) {
		release_press(w, bot->name, &u);
		if (!reach_bot_trouble(w->reach, bot) && courtesy_sorry(p, &u, &a, &sorry))
			send_alone(w, bot, &sorry);
	}
	arena_release(&a);
}

/* ---- a dead letter's sender is told, before anybody else can have the entry */

enum settle_step { SETTLE_BEGIN, SETTLE_REPORT };

static bool waits_in_vain(struct job *j, struct call *sorry)
{
	/* of what was told already nothing is taken back */
	return outcome_of(j) == JOB_DEAD && j->bot && j->sent == 0 && j->entry->sent == 0 &&
	       !reach_bot_trouble(j->worker->reach, j->bot) &&
	       courtesy_sorry(j->platform, &j->update, &j->arena, sorry);
}

/* STEP_WAIT while it is under way. What comes of it changes nothing. */
static enum step say_sorry(struct job *j)
{
	struct call sorry;
	switch ((enum settle_step)j->step) {
	case SETTLE_BEGIN:
		if (!waits_in_vain(j, &sorry))
			return STEP_NEXT;
		if (job_must_confirm(j))
			return STEP_WAIT; /* and looks again: it may have stood still since */
		j->step = SETTLE_REPORT;
		send_call(j, &sorry);
		return STEP_WAIT;
	case SETTLE_REPORT: return STEP_NEXT;
	}
	BUG("settle step %d", j->step);
}

enum step settle(struct job *j)
{
	struct worker *w = j->worker;
	if (j->outcome == JOB_THROTTLED) /* its notice is worth no second try, which would pass as a fresh update */
		j->failure = FAILURE_NONE;
	if (say_sorry(j) == STEP_WAIT)
		return STEP_WAIT;
	enum job_outcome outcome = outcome_of(j);
	double total = (double)(clock_us() - j->began_us) / 1e6;
	if (outcome == JOB_DEAD && j->bot)
		release_press(w, j->bot->name, &j->update);
	measure(j, outcome, total);
	settle_log(j, outcome);
	report(j);
	w->done++;
	return STEP_NEXT;
}
