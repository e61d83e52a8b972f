/* The stage that sends what was decided, one message after the other, within the flood budget. */
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/wire/stream.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/send.h"
#include "shoal/worker/stages.h"
#include "shoal/worker/worker.h"

#define FLOOD_WAIT_MS 2000 /* a longer wait for the budget is not waited for here (DESIGN, "The path") */

enum reply_step { REPLY_NEXT, REPLY_FENCE, REPLY_BUDGET, REPLY_WAITED, REPLY_SENT, REPLY_TOLD };

static void budget(void *arg, enum err err, int64_t wait_ms, bool booked)
{
	struct job *j = arg;
	reach_heard_redis(j->worker->reach, err);
	j->op_err = err;
	j->wait_ms = wait_ms;
	j->booked = booked;
	job_end(j);
}

static void told(void *arg, enum err err, const redisReply *reply)
{
	struct job *j = arg;
	(void)reply;
	j->op_err = err;
	job_end(j);
}

static struct redis_script note_script = {.name = "lua/note.lua"};

/* The chat does not want us: an entry of the chat's own lane will write that down, as any other change. */
static void tell_refused(struct job *j, int64_t chat_id)
{
	struct worker *w = j->worker;
	struct entry e;
	struct span *argv;
	char key[QUEUE_KEY_MAX];
	const char *cause = arena_printf(&j->arena, "%s#%zu", j->update.key, j->sent);
	entry_internal(j->bot, chat_id, cause, refused_encode(chat_id, &j->arena), clock_wall_ms(), &j->arena, &e);
	unsigned shard = lane_shard(span_of(e.lane), w->nshards);
	queue_key(key, shard, "updates");
	size_t argc = entry_xadd(&e, key, &j->arena, &argv);
	job_begin(j);
	/* "XADD", the key, "*", then what the script takes */
	ENSURE(argc > 3);
	argv[2] = argv[1];
	redis_eval(queue_redis(w->shards[shard].queue), &note_script, told, j, 1, argc - 2, argv + 2);
}

static void marked(void *arg, bool ours)
{
	(void)ours; /* the runner looks at entry->lost */
	job_end(arg);
}

/* Delivered or refused for good: on to the next one, with a mark in between. */
static enum step reply_over(struct job *j)
{
	j->sent++;
	j->step = REPLY_NEXT;
	if (j->sent == j->ncalls)
		return STEP_NEXT;
	job_begin(j);
	queue_sent(j->entry, (unsigned)j->sent, marked, j);
	return STEP_WAIT;
}

static enum step reply_result(struct job *j)
{
	const struct call *c = &j->calls[j->sent];
	const struct ruling *r = &j->ruling;
	switch (r->verdict) {
	case CALL_DONE: return reply_over(j);
	case CALL_FINAL:
		log_warn("reply refused for good", LOG_STR("id", j->entry->id), LOG_STR("bot", j->bot->name),
		         LOG_STR("method", c->method), LOG_STR("why", r->why));
		return reply_over(j);
	case CALL_BLOCKED:
		j->step = REPLY_TOLD;
		tell_refused(j, c->chat_id);
		return STEP_WAIT;
	case CALL_LATER:
	case CALL_OUTAGE:
	case CALL_DENIED: break;
	}
	if (r->wait_ms > 0) /* a limit: the whole fleet keeps to it */
		flood_block(j->worker->flood, j->bot->name, r->whole_bot ? 0 : c->chat_id, r->wait_ms);
	if (r->wait_ms > 0 && r->wait_ms <= FLOOD_WAIT_MS) {
		j->step = REPLY_FENCE;
		job_begin(j);
		timer_set(&j->timer, r->wait_ms);
		return STEP_WAIT;
	}
	return job_later(j, r->wait_ms > 0 ? r->wait_ms : jitter_ms(JOB_OUTAGE_MS), r->why);
}

static enum step reply_budget(struct job *j)
{
	if (j->op_err != ERR_OK)
		return job_outage(j, "flood budget", j->op_err);
	if (j->wait_ms > 0)
		series_observe(j->worker->flood_wait, (double)j->wait_ms / 1e3);
	if (j->wait_ms > FLOOD_WAIT_MS)
		return job_later(j, j->wait_ms, "flood budget");
	j->step = j->booked ? REPLY_WAITED : REPLY_FENCE;
	if (j->wait_ms == 0)
		return STEP_NEXT;
	job_begin(j);
	timer_set(&j->timer, j->wait_ms);
	return STEP_WAIT;
}

enum step reply(struct job *j)
{
	enum step s;
	const char *why;
	for (;;) {
		switch ((enum reply_step)j->step) {
		case REPLY_NEXT:
			if (j->sent == 0 && j->entry->sent)
				j->sent = j->entry->sent < j->ncalls ? j->entry->sent : j->ncalls;
			if (j->sent >= j->ncalls)
				return STEP_NEXT;
			why = reach_bot_trouble(j->worker->reach, j->bot);
			if (why)
				return job_later(j, jitter_ms(JOB_OUTAGE_MS), why);
			j->step = REPLY_FENCE;
			break;
		case REPLY_FENCE: {
			const struct call *c = &j->calls[j->sent];
			if (job_must_confirm(j))
				return STEP_WAIT;
			j->step = REPLY_BUDGET;
			job_begin(j);
			flood_ask(j->worker->flood, j->bot->name, c->chat_id, c->group, FLOOD_WAIT_MS, budget, j);
			return STEP_WAIT;
		}
		case REPLY_BUDGET:
			s = reply_budget(j);
			if (s != STEP_NEXT)
				return s;
			break;
		case REPLY_WAITED:
			if (job_must_confirm(j))
				return STEP_WAIT;
			j->step = REPLY_SENT;
			send_call(j, &j->calls[j->sent]);
			return STEP_WAIT;
		case REPLY_SENT: return reply_result(j);
		case REPLY_TOLD:
			if (j->op_err != ERR_OK)
				return job_outage(j, "note of a blocked chat", j->op_err);
			s = reply_over(j);
			if (s != STEP_WAIT)
				return s;
			return STEP_WAIT;
		}
	}
}
