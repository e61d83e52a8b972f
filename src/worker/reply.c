/* The stage that sees to the effects: first the errands, then what is to be sent, one message after the other, within
 * the flood budget. */
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/wire/own.h"
#include "shoal/wire/stream.h"
#include "shoal/worker/ahead.h"
#include "shoal/worker/errands.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/send.h"
#include "shoal/worker/stages.h"
#include "shoal/worker/worker.h"

#define WAIT_MS 2000  /* a message waits no longer for the budget here: its entry goes back */
#define MOMENT_MS 100 /* so long without a seat */
#define DOUBT_MS 25   /* first pause while a test is out; doubles */
#define DOUBT_MAX_MS 400
#define LOOK_MS 60000 /* an entry given back looks again after so long, however long a block is said to last */
#define FRESH_MS 5000 /* the platform waits 3 s for a first response */
#define EARLY_MS 200
#define OUTAGE_MAX_MS 10000   /* who fails cannot know when that will be over: its word counts for so long */
#define CLOCKS_APART_MS 60000 /* of the gateway and of this machine */

enum reply_step {
	REPLY_ERRANDS,
	REPLY_DONE,
	REPLY_NEXT,
	REPLY_WAY,
	REPLY_FENCE,
	REPLY_BUDGET,
	REPLY_SENT,
	REPLY_TOLD,
	REPLY_OVER
};

static void budget(void *arg, enum err err, const struct flood_answer *a)
{
	struct job *j = arg;
	reach_heard_redis(j->worker->reach, err);
	j->flood = *a;
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
	const struct trace trace = trace_below(&j->trace);
	struct entry e;
	struct span *argv;
	char key[QUEUE_KEY_MAX];
	const char *cause = arena_printf(&j->arena, "%s#%zu", j->update.key, j->sent);
	entry_internal(j->bot, chat_id, cause, refused_encode(chat_id, &j->arena), clock_wall_ms(), &j->arena, &e);
	e.trace = &trace;
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

/* ---- the flood budget */

static const char *const waits_for[] = {
    [FLOOD_AGAIN] = "flood budget",
    [FLOOD_BOOKED] = "flood budget",
    [FLOOD_TEST] = "flood budget",
    [FLOOD_DOUBT] = "whether the platform limits the bot is being found out",
    [FLOOD_CHAT_BLOCKED] = "the platform limits the chat (429)",
    [FLOOD_BOT_BLOCKED] = "the platform limits the bot (429)",
    [FLOOD_ROUTE_EMPTY] = "the platform's limit for such calls of the chat is used up",
    [FLOOD_ROUTE_FIRST] = "the platform's limit for such calls of the chat is being found out",
};

static void budget_ask(struct job *j)
{
	const struct call *c = &j->effects.calls[j->sent];
	int64_t left = (outlet_sit(j) ? WAIT_MS : MOMENT_MS) - j->waited_ms;
	const struct flood_message m = {.bot = j->bot->name,
	                                .chat_id = c->chat_id,
	                                .group = c->group,
	                                .route = j->platform->buckets ? c->method : NULL,
	                                .standing = j->booked                          ? FLOOD_HAS_PLACE
	                                            : j->entry->handed == HANDED_AGAIN ? FLOOD_BACK
	                                                                               : FLOOD_NEW,
	                                .max_wait_ms = left > 0 ? left : 0};
	j->asked++;
	job_begin(j);
	flood_ask(j->worker->flood, &m, budget, j);
}

/* While Redis does not answer nothing is taken, so nobody needs the room. */
static int64_t longest_wait(const struct job *j)
{
	return j->flood.own ? FLOOD_OWN_WAIT_MS : j->seated ? WAIT_MS : MOMENT_MS;
}

/* Not yet: here for a while, or the entry goes back, so that nobody is kept out of this worker by those who wait. */
static enum step budget_wait(struct job *j)
{
	int64_t ms = j->flood.wait_ms;
	const char *why = waits_for[j->flood.what];
	bool found_out = j->flood.what == FLOOD_DOUBT || j->flood.what == FLOOD_ROUTE_FIRST;
	if (found_out && j->asked < 8 && DOUBT_MS << (j->asked - 1) < DOUBT_MAX_MS)
		ms = DOUBT_MS << (j->asked - 1);
	else if (found_out)
		ms = DOUBT_MAX_MS;
	series_observe(j->worker->flood_wait, (double)ms / 1e3);
	/* the bot's own limits come before the route's */
	j->booked = j->booked || j->flood.what == FLOOD_BOOKED || j->flood.what >= FLOOD_ROUTE_EMPTY;
	bool stay = j->waited_ms + ms <= longest_wait(j);
	outlet_leave(j, stay && j->waited_ms + ms > MOMENT_MS);
	if (!stay) {
		if (ms > LOOK_MS)
			ms = LOOK_MS;
		return job_later(j, ms + (int64_t)(random_u64() % (uint64_t)(ms / 16 + 10)), why);
	}
	j->waited_ms += ms;
	j->step = REPLY_WAY;
	job_begin(j);
	timer_set(&j->timer, ms);
	return STEP_WAIT;
}

/* How long to stay away where it is no limit. */
static int64_t told_wait(const struct ruling *r)
{
	int64_t longest = r->verdict == CALL_OUTAGE ? OUTAGE_MAX_MS : LOOK_MS;
	if (r->wait_ms <= 0)
		return jitter_ms(JOB_OUTAGE_MS);
	return r->wait_ms < longest ? r->wait_ms : jitter_ms(longest);
}

/* What the platform said of the message, where it concerns others. */
static void budget_tell(struct job *j)
{
	static const bool went_through[] = {
	    [CALL_DONE] = true, [CALL_FINAL] = true, [CALL_GONE] = true, [CALL_BLOCKED] = true};
	struct flood *f = j->worker->flood;
	const char *bot = j->bot->name;
	const struct ruling *r = &j->ruling;
	const struct call *c = &j->effects.calls[j->sent];
	bool counts = r->limited && !c->token;
	if (counts && !r->scoped)
		flood_limited(f, bot, c->chat_id, r->wait_ms, j->flood.doubt);
	else if (counts && !r->whole_bot)
		flood_chat_limited(f, bot, c->chat_id, c->method, r->wait_ms, j->flood.doubt);
	else if (j->flood.doubt[0])
		flood_tested(f, bot, j->flood.doubt, went_through[r->verdict]);
	if (r->verdict == CALL_LATER && r->whole_bot && r->wait_ms > 0)
		flood_bot_limited(f, bot, told_wait(r));
	if (j->platform->buckets && !c->token && (r->quota.bucket || went_through[r->verdict]))
		flood_route_told(
		    f, bot, c->method, c->chat_id,
		    &(struct flood_told){r->quota.bucket, r->quota.limit, r->quota.left, r->quota.reset_ms});
	j->flood.doubt[0] = 0;
}

void reply_abandon(struct job *j)
{
	if (j->stage == STAGE_REPLY &&
	    j->step == REPLY_SENT) /* answered: a limit is everybody's, whoever has the entry */
		budget_tell(j);
	else if (j->flood.doubt[0])
		flood_tested(j->worker->flood, j->bot->name, j->flood.doubt, false);
	outlet_leave(j, false);
}

/* ---- the steps: each names the next one; WAIT and FAIL leave the stage for a while or for good */

static enum step platform_there(struct job *j)
{
	const char *why = reach_bot_trouble(j->worker->reach, j->bot);
	return why ? job_later(j, jitter_ms(JOB_OUTAGE_MS), why) : STEP_NEXT;
}

/* Where a message has gone out they were done before it. */
static enum step reply_errands(struct job *j)
{
	const char *why;

	if (!j->effects.errands || j->entry->sent) {
		j->step = REPLY_NEXT;
		return STEP_NEXT;
	}
	if (job_must_confirm(j))
		return STEP_WAIT;
	j->step = REPLY_DONE;
	j->op_err = ERR_OK;
	why = errands_begin(j);
	return why ? job_retry(j, why) : STEP_WAIT;
}

static enum step reply_done(struct job *j)
{
	if (job_is_outage(j->op_err))
		return job_outage(j, "errands", j->op_err);
	if (j->op_err != ERR_OK)
		return job_retry(j, arena_printf(&j->arena, "errands: %s", err_text(j->op_err)));
	j->step = REPLY_NEXT;
	return STEP_NEXT;
}

/* The earlier one of what this machine's clock says and Redis': either may have been set. */
static int64_t now_at_least(const struct job *j)
{
	int64_t wall = clock_wall_ms(), redis = cache_redis_ms(j->worker->cache);

	return redis && redis < wall ? redis : wall;
}

/* A call by a token that is dead for certain would only be one refusal more. */
static bool ran_out(const struct job *j, const struct call *c)
{
	const struct update *u = &j->update;
	return c->token && u->token && !strcmp(c->token, u->token) &&
	       now_at_least(j) - u->received_ms > j->platform->token_life_ms + CLOCKS_APART_MS;
}

/* A message that cannot be changed, or a token that is dead or of no use: what was to be said goes out anew, if it is
 * anything. */
static bool reply_anew(struct job *j)
{
	struct call *c = &j->effects.calls[j->sent], anew;

	if (!j->platform->anew || !j->platform->anew(c, &j->arena, &anew))
		return false;
	*c = anew;
	j->booked = false;
	j->step = REPLY_WAY;
	return true;
}

static enum step reply_next(struct job *j)
{
	if (j->sent == 0 && j->entry->sent)
		j->sent = j->entry->sent < j->effects.ncalls ? j->entry->sent : j->effects.ncalls;
	j->waited_ms = 0;
	j->asked = 0;
	j->booked = false;
	while (j->sent < j->effects.ncalls && ran_out(j, &j->effects.calls[j->sent]) && !reply_anew(j)) {
		log_warn("reply not sent: its update's token has run out", LOG_STR("entry", j->entry->id),
		         LOG_STR("trace_id", j->trace.id), LOG_STR("bot", j->bot->name),
		         LOG_STR("method", j->effects.calls[j->sent].method));
		j->sent++;
	}
	j->step = j->sent < j->effects.ncalls ? REPLY_WAY : REPLY_OVER;
	return j->step == REPLY_WAY ? platform_there(j) : STEP_NEXT;
}

static enum step reply_way(struct job *j)
{
	j->step = REPLY_FENCE;
	return outlet_enter(j) ? STEP_NEXT : STEP_WAIT;
}

static enum step send_now(struct job *j)
{
	j->step = REPLY_SENT;
	outlet_stand(j); /* seats are for those who stand still */
	send_call(j, &j->effects.calls[j->sent]);
	return STEP_WAIT;
}

static enum step reply_fence(struct job *j)
{
	if (platform_there(j) != STEP_NEXT) /* it went while this stood in line */
		return STEP_FAIL;
	if (job_must_confirm(j))
		return STEP_WAIT;
	const struct call *c = &j->effects.calls[j->sent];
	const enum ahead ahead = ahead_take(j, c);
	if (c->token || ahead == AHEAD_GO) /* no budget concerns a token, not even a limit of the whole bot */
		return send_now(j);
	j->booked = j->booked || ahead == AHEAD_BOOKED;
	j->step = REPLY_BUDGET;
	budget_ask(j);
	return STEP_WAIT;
}

static enum step reply_budget(struct job *j)
{
	if (j->flood.what != FLOOD_TEST && (j->flood.what != FLOOD_BOOKED || j->flood.wait_ms > 0))
		return budget_wait(j);
	if (job_must_confirm(j))
		return STEP_WAIT;
	if (j->flood.own) /* Redis does not answer */
		series_add(SERIES(j->worker->unasked, "budget"), 1);
	return send_now(j);
}

/* Delivered or refused for good: on to the next one, with a mark in between. */
static enum step reply_over(struct job *j)
{
	j->sent++;
	j->step = REPLY_NEXT;
	if (j->sent == j->effects.ncalls)
		return STEP_NEXT;
	job_begin(j);
	queue_sent(j->entry, (unsigned)j->sent, marked, j);
	return STEP_WAIT;
}

/* The gateway answers the platform and tells us at the same moment: we may be quicker. Waited for here, as an update
 * that is throttled does not come again. */
static enum step once_more(struct job *j)
{
	j->step = REPLY_WAY;
	job_begin(j);
	timer_set(&j->timer, jitter_ms(EARLY_MS));
	return STEP_WAIT;
}

static bool is_fresh(const struct job *j)
{
	int64_t age = clock_wall_ms() - j->update.received_ms;

	return age > -FRESH_MS && age < FRESH_MS;
}

static enum step reply_sent(struct job *j)
{
	const struct call *c = &j->effects.calls[j->sent];
	const struct ruling *r = &j->ruling;
	outlet_leave(j, false);
	budget_tell(j);
	switch (r->verdict) {
	case CALL_DONE: return reply_over(j);
	case CALL_GONE:
		if (r->early && is_fresh(j))
			return once_more(j);
		/* fall through */
	case CALL_FINAL:
		if ((r->verdict == CALL_GONE || c->token) && reply_anew(j))
			return STEP_NEXT;
		log_warn("reply refused for good", LOG_STR("entry", j->entry->id), LOG_STR("trace_id", j->trace.id),
		         LOG_STR("bot", j->bot->name), LOG_STR("method", c->method), LOG_STR("why", r->why));
		return reply_over(j);
	case CALL_BLOCKED:
		if (!c->chat_id)
			return reply_over(j);
		j->step = REPLY_TOLD;
		tell_refused(j, c->chat_id);
		return STEP_WAIT;
	case CALL_LATER:
	case CALL_OUTAGE:
	case CALL_DENIED: break;
	}
	if (!r->limited || c->token)
		return job_later(j, told_wait(r), r->why);
	j->booked = true; /* the platform did not count it; only how long to wait is to be asked */
	j->step = REPLY_WAY;
	return STEP_NEXT;
}

static enum step reply_told(struct job *j)
{
	if (j->op_err != ERR_OK)
		return job_outage(j, "note of a blocked chat", j->op_err);
	return reply_over(j);
}

enum step reply(struct job *j)
{
	static enum step (*const steps[REPLY_OVER])(struct job *) = {
	    [REPLY_ERRANDS] = reply_errands, [REPLY_DONE] = reply_done,   [REPLY_NEXT] = reply_next,
	    [REPLY_WAY] = reply_way,         [REPLY_FENCE] = reply_fence, [REPLY_BUDGET] = reply_budget,
	    [REPLY_SENT] = reply_sent,       [REPLY_TOLD] = reply_told};
	enum step s = STEP_NEXT;
	while (s == STEP_NEXT && j->step != REPLY_OVER)
		s = steps[j->step](j);
	return s;
}
