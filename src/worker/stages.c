/* What happens in each stage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/bots/registry.h"
#include "shoal/store/rows.h"
#include "shoal/store/sql.h"
#include "shoal/wire/stream.h"
#include "shoal/worker/job.h"
#include "shoal/worker/responder.h"
#include "shoal/worker/settle.h"
#include "shoal/worker/worker.h"

#define CONFLICTS_MAX 3
#define OUTAGE_MS 1000     /* an entry given back because a server is away comes again after about so long */
#define FLOOD_WAIT_MS 2000 /* a longer wait for the budget is not waited for here (DESIGN, "The path") */
#define PLATFORM_TIMEOUT_MS 30000

static enum step outage(struct job *j, const char *what, enum err err)
{
	return job_later(j, jitter_ms(OUTAGE_MS), arena_printf(&j->arena, "%s: %s", what, err_text(err)));
}

/* ---- decode */

static enum step decode(struct job *j)
{
	struct worker *w = j->worker;
	const struct queue_entry *e = j->entry;
	if (e->takeovers >= 2) { /* two workers have died of it: nobody else's work beside it */
		w->suspect = j;
		if (w->njobs > 1)
			return STEP_WAIT; /* worker_job_over() wakes it */
	}
	j->bot = bots_find(e->bot);
	if (!j->bot || !conf_has_bot(&w->conf, j->bot->name)) {
		j->bot = NULL;
		return job_dead(j, arena_printf(&j->arena, "unknown bot \"%.*s\"",
		                                (int)(e->bot.len < 40 ? e->bot.len : 40), e->bot.ptr));
	}
	j->platform = platform_of(j->bot->platform);
	j->token = conf_bot_token(&w->conf, j->bot->name);

	int64_t at;
	if (!e->at.ptr || !span_i64(e->at, &at))
		at = strtoll(e->id, NULL, 10); /* an entry's id begins with its time in ms */
	const char *key = e->key.ptr && e->key.len ? e->key.ptr : e->id, *why = "";
	if (j->platform->decode(j->bot, e->body, key, at, &j->arena, &j->update, &why) != ERR_OK)
		return job_dead(j, arena_printf(&j->arena, "body: %s", why));
	j->command = bot_command(j->bot, &j->update);
	if (!j->command)
		j->outcome = JOB_IGNORED;
	return STEP_NEXT;
}

/* ---- acknowledge: where the gateway polls, nobody has answered the button yet */

static void acknowledged(void *arg, enum err err, const struct http_response *res)
{
	struct job *j = arg;
	char status[16];
	snprintf(status, sizeof(status), "%d", err == ERR_OK ? res->status : 0);
	series_add(SERIES(j->worker->platform_requests, j->platform->name, "answerCallbackQuery", status), 1);
	job_end(j);
}

static void platform_send(struct job *j, const struct call *c, http_fn *fn)
{
	struct http_request req = {.method = "POST",
	                           .url =
	                               j->platform->url(j->worker->conf.telegram_api, j->token, c->method, &j->arena),
	                           .body = c->body,
	                           .timeout_ms = PLATFORM_TIMEOUT_MS,
	                           .peer = j->platform->name};
	job_begin(j);
	http_send(j->worker->http, &req, fn, j);
}

static enum step acknowledge(struct job *j)
{
	if (j->step++ || j->outcome != JOB_UNDECIDED || j->worker->conf.telegram_mode != TELEGRAM_POLL ||
	    j->update.kind != UPDATE_PRESS || j->entry->again || !j->token)
		return STEP_NEXT;
	struct call call;
	const char *toast = j->command->toast ? j->command->toast : "";
	j->platform->answer_press(j->update.press_id, toast, &j->arena, &call);
	platform_send(j, &call, acknowledged);
	return STEP_WAIT;
}

/* ---- load */

static void op_failed(struct job *j, enum err err)
{
	if (err != ERR_OK && j->op_err == ERR_OK)
		j->op_err = err;
}

static void admitted(void *arg, enum err err, bool double_click, bool throttled, bool notice)
{
	struct job *j = arg;
	op_failed(j, err);
	j->double_click = double_click;
	j->throttled = throttled;
	j->notice = notice;
	job_end(j);
}

static void cached(void *arg, enum err err)
{
	struct job *j = arg;
	op_failed(j, err);
	job_end(j);
}

static void guard_found(void *arg, enum err err, PGresult *res, const struct pg_fault *fault)
{
	struct job *j = arg;
	(void)fault;
	op_failed(j, err);
	if (err == ERR_OK && PQntuples(res) == 1) {
		j->guarded = true;
		struct span text = {PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0)};
		if (!PQgetisnull(res, 0, 0) && calls_decode(text, &j->arena, &j->calls, &j->ncalls) != ERR_OK)
			op_failed(j, ERR_PROTOCOL);
	}
	PQclear(res);
	job_end(j);
}

static void guard_ask(struct job *j)
{
	struct pg_params p = {.n = 1, .v = {span_of(j->update.key)}};
	job_begin(j);
	j->statements++;
	pg_exec(j->worker->pg, sql_get("guard_find"), &p, guard_found, j);
}

static void loaded(void *arg, enum err err, PGresult *res, const struct pg_fault *fault)
{
	struct job *j = arg;
	const char *why = NULL;
	op_failed(j, err);
	if (err == ERR_OK && rows_to_facts(res, &j->arena, &j->facts, &why) != ERR_OK) {
		op_failed(j, ERR_INTERNAL);
		j->error = arena_printf(&j->arena, "%s: %s", j->load, why);
	} else if (err != ERR_OK) {
		j->error = arena_printf(&j->arena, "%s: %s %s", j->load, fault->sqlstate, fault->message);
	}
	PQclear(res);
	job_end(j);
}

/* Whether an error is an outage, that is, not the update's own fault. */
static bool is_outage(enum err err)
{
	static const bool yes[ERR_COUNT] = {
	    [ERR_UNREACHABLE] = true, [ERR_UNKNOWN] = true, [ERR_TIMEOUT] = true, [ERR_FULL] = true,
	    [ERR_LIMITED] = true,     [ERR_DENIED] = true,  [ERR_CONFLICT] = true};
	return yes[err];
}

static enum step load_failed(struct job *j)
{
	if (is_outage(j->op_err))
		return outage(j, "load", j->op_err);
	return job_retry(j, j->error ? j->error : err_text(j->op_err));
}

static void new_mark(char *mark)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	uint64_t r = random_u64();
	for (int i = 0; i < UPDATE_MARK_LEN; i++, r /= 36)
		mark[i] = letters[r % 36];
	mark[UPDATE_MARK_LEN] = 0;
}

/* All that depends on nothing but the update, at once: admission, the guard, the cache. */
static enum step load_first(struct job *j)
{
	struct worker *w = j->worker;
	const struct update *u = &j->update;
	const char *conflict = j->facts.conflict;
	memset(&j->facts, 0, sizeof(j->facts));
	j->facts.conflict = conflict;
	j->facts.now_ms = clock_wall_ms();
	new_mark(j->facts.mark);
	j->op_err = ERR_OK;

	bool press = u->kind == UPDATE_PRESS;
	if (j->conflicts == 0 && u->from.id && flood_admits(w->flood, press)) {
		job_begin(j);
		flood_admit(w->flood, j->bot->name, u->from.id, u->message_id, press ? u->data : NULL, u->key,
		            j->entry->again, admitted, j);
	}
	if (j->entry->again && j->conflicts == 0)
		guard_ask(j);
	if (j->command->needs & (NEED_CODE | NEED_PERSONA)) {
		const char *code = j->command->code ? j->command->code(u, &j->arena) : NULL;
		job_begin(j);
		cache_lookup_start(w->cache, code, &j->arena, &j->facts, cached, j);
	}
	return STEP_NEXT;
}

static enum step load_select(struct job *j)
{
	if (j->op_err != ERR_OK)
		return load_failed(j);
	if (j->guarded) {
		j->outcome = JOB_DONE;
		return STEP_NEXT;
	}
	if (j->double_click || j->throttled) {
		j->outcome = j->double_click ? JOB_DOUBLE_CLICK : JOB_THROTTLED;
		return STEP_NEXT;
	}
	if (!j->command->load)
		return STEP_NEXT;
	struct params p = {.arena = &j->arena};
	j->load =
	    j->worker->conf.responder_url && j->command->load_history ? j->command->load_history : j->command->load;
	j->command->ask(&j->update, &j->facts, &p);
	struct pg_params out = {.n = (int)p.n};
	memcpy(out.v, p.v, p.n * sizeof(p.v[0]));
	job_begin(j);
	j->statements++;
	pg_exec(j->worker->pg, sql_get(j->load), &out, loaded, j);
	return STEP_NEXT;
}

/* The persona of the chat that the row named. */
static enum step load_persona(struct job *j)
{
	struct facts *f = &j->facts;
	if (j->op_err != ERR_OK)
		return load_failed(j);
	if (j->outcome != JOB_UNDECIDED || !(j->command->needs & NEED_PERSONA))
		return STEP_NEXT;
	if (!f->chat.found || f->chat.persona_id == f->fallback.id) {
		f->persona = f->fallback;
	} else if (f->code_persona.found && f->chat.persona_id == f->code_persona.id) {
		f->persona = f->code_persona;
	} else {
		job_begin(j);
		cache_lookup_persona(j->worker->cache, f->chat.persona_id, &j->arena, &f->persona, cached, j);
	}
	return STEP_NEXT;
}

static void answered(void *arg, const char *answer)
{
	struct job *j = arg;
	j->facts.answer = answer;
	job_end(j);
}

static enum step load_answer(struct job *j)
{
	if (j->op_err != ERR_OK)
		return load_failed(j);
	if (j->outcome != JOB_UNDECIDED || !(j->command->needs & NEED_ANSWER) || !j->worker->conf.responder_url ||
	    !j->command->wants_answer(&j->update, &j->facts))
		return STEP_NEXT;
	job_begin(j);
	responder_ask(j->worker, &j->update, &j->facts, &j->arena, answered, j);
	return STEP_NEXT;
}

static enum step load(struct job *j)
{
	static enum step (*const steps[])(struct job *) = {load_first, load_select, load_persona, load_answer};
	while (j->outcome != JOB_IGNORED && j->step < (int)(sizeof(steps) / sizeof(steps[0]))) {
		enum step s = steps[j->step++](j);
		if (s != STEP_NEXT)
			return s;
		if (j->pending)
			return STEP_WAIT;
	}
	return STEP_NEXT;
}

/* ---- decide */

static enum step encode_replies(struct job *j)
{
	size_t n = 0;
	const char *why = "";
	for (const struct reply *r = j->decision.replies; r; r = r->next)
		n++;
	j->calls = arena_array(&j->arena, struct call, n);
	j->ncalls = 0;
	for (const struct reply *r = j->decision.replies; r; r = r->next)
		if (j->platform->encode(r, &j->arena, &j->calls[j->ncalls++], &why) != ERR_OK)
			return job_retry(j, arena_printf(&j->arena, "%s: reply: %s", j->command->name, why));
	return STEP_NEXT;
}

static enum step decide(struct job *j)
{
	if (j->outcome == JOB_THROTTLED && j->notice && j->update.chat_id) {
		decision_init(&j->decision, &j->arena);
		decision_send(&j->decision, j->update.chat_id,
		              "You are faster than I can follow. Please wait a little.");
		return encode_replies(j);
	}
	if (j->outcome != JOB_UNDECIDED)
		return STEP_NEXT;
	decision_init(&j->decision, &j->arena);
	j->command->decide(&j->update, &j->facts, &j->decision);
	if (j->decision.failed != ERR_OK)
		return job_retry(j, arena_printf(&j->arena, "%s: %s", j->command->name, j->decision.why));
	if (j->decision.outcome == OUTCOME_IGNORED)
		j->outcome = JOB_IGNORED;
	return encode_replies(j);
}

/* ---- commit */

static void confirmed(void *arg, bool ours)
{
	(void)ours; /* the runner looks at entry->lost */
	job_end(arg);
}

/* A worker that stood still may have lost its entries without knowing: it asks before it does what others see. */
static bool must_confirm(struct job *j)
{
	if (queue_certain(j->entry->queue))
		return false;
	job_begin(j);
	queue_confirm(j->entry, confirmed, j);
	return true;
}

static void committed(void *arg, enum err err, PGresult *res, const struct pg_fault *fault)
{
	struct job *j = arg;
	PQclear(res);
	j->op_err = err;
	if (err == ERR_EXISTS && !strcmp(fault->constraint, "guards_pkey"))
		j->guarded = true;
	else if (err != ERR_OK)
		j->error = err == ERR_CONFLICT ? arena_strdup(&j->arena, fault->message)
		                               : arena_printf(&j->arena, "%s: %s %s", j->decision.commit,
		                                              fault->sqlstate, fault->message);
	job_end(j);
}

static void commit_send(struct job *j)
{
	const struct decision *d = &j->decision;
	struct span effects = calls_encode(j->calls, j->ncalls, &j->arena);
	struct pg_params p = {.n = (int)d->params.n + 2, .v = {span_of(j->update.key), effects}};
	memcpy(p.v + 2, d->params.v, d->params.n * sizeof(d->params.v[0]));
	j->op_err = ERR_OK;
	job_begin(j);
	j->statements++;
	pg_exec(j->worker->pg, sql_get(d->commit), &p, committed, j);
}

static enum step commit_result(struct job *j)
{
	switch (j->op_err) {
	case ERR_OK: return STEP_NEXT;
	case ERR_CONFLICT:
		if (++j->conflicts > CONFLICTS_MAX)
			return job_retry(
			    j, arena_printf(&j->arena, "%s: still in conflict: %s", j->decision.commit, j->error));
		j->facts.conflict = j->error;
		return STEP_AGAIN;
	case ERR_UNKNOWN:
	case ERR_TIMEOUT: j->maybe_applied = true; break;
	default: break;
	}
	if (is_outage(j->op_err))
		return outage(j, "commit", j->op_err);
	return job_retry(j, j->error ? j->error : err_text(j->op_err));
}

enum commit_step { COMMIT_FENCE, COMMIT_SEND, COMMIT_RESULT, COMMIT_STORED };

static enum step commit(struct job *j)
{
	if (j->outcome != JOB_UNDECIDED || !j->decision.commit)
		return STEP_NEXT;
	switch ((enum commit_step)j->step) {
	case COMMIT_FENCE:
		j->step = COMMIT_SEND;
		if (must_confirm(j))
			return STEP_WAIT;
		/* fall through */
	case COMMIT_SEND:
		j->step = COMMIT_RESULT;
		commit_send(j);
		return STEP_WAIT;
	case COMMIT_RESULT:
		if (!j->guarded)
			return commit_result(j);
		/* it was committed before, by a run that could not tell: what was decided then counts */
		j->step = COMMIT_STORED;
		j->op_err = ERR_OK;
		guard_ask(j);
		return STEP_WAIT;
	case COMMIT_STORED:
		if (j->op_err != ERR_OK)
			return outage(j, "stored effects", j->op_err);
		return STEP_NEXT;
	}
	BUG("commit step %d", j->step);
}

/* ---- reply */

enum reply_step { REPLY_NEXT, REPLY_FENCE, REPLY_BUDGET, REPLY_WAITED, REPLY_SENT, REPLY_TOLD };

static void budget(void *arg, enum err err, int64_t wait_ms, bool booked)
{
	struct job *j = arg;
	j->op_err = err;
	j->wait_ms = wait_ms;
	j->booked = booked;
	job_end(j);
}

static void replied(void *arg, enum err err, const struct http_response *res)
{
	struct job *j = arg;
	char status[16];
	j->op_err = err;
	if (err == ERR_OK)
		j->platform->judge(res->status, res->body, res->retry_after_ms, &j->arena, &j->ruling);
	snprintf(status, sizeof(status), "%d", err == ERR_OK ? res->status : 0);
	series_add(SERIES(j->worker->platform_requests, j->platform->name, j->calls[j->sent].method, status), 1);
	job_end(j);
}

static void told(void *arg, enum err err, const redisReply *reply)
{
	struct job *j = arg;
	(void)reply;
	j->op_err = err;
	job_end(j);
}

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
	redis_call(queue_redis(w->shards[shard].queue), told, j, argc, argv);
}

/* Delivered or refused for good: on to the next one, with a mark in between. */
static enum step reply_over(struct job *j)
{
	j->sent++;
	j->step = REPLY_NEXT;
	if (j->sent == j->ncalls)
		return STEP_NEXT;
	job_begin(j);
	queue_sent(j->entry, (unsigned)j->sent, confirmed, j);
	return STEP_WAIT;
}

static enum step reply_result(struct job *j)
{
	const struct call *c = &j->calls[j->sent];
	if (j->op_err != ERR_OK)
		return outage(j, c->method, j->op_err);
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
	case CALL_LATER: break;
	}
	if (r->wait_ms > 0) /* a limit: the whole fleet keeps to it */
		flood_block(j->worker->flood, j->bot->name, r->whole_bot ? 0 : c->chat_id, r->wait_ms);
	if (r->wait_ms > 0 && r->wait_ms <= FLOOD_WAIT_MS) {
		j->step = REPLY_FENCE;
		job_begin(j);
		timer_set(&j->timer, r->wait_ms);
		return STEP_WAIT;
	}
	return job_later(j, r->wait_ms > 0 ? r->wait_ms : jitter_ms(OUTAGE_MS), r->why);
}

static enum step reply_budget(struct job *j)
{
	if (j->op_err != ERR_OK)
		return outage(j, "flood budget", j->op_err);
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

static enum step reply(struct job *j)
{
	enum step s;
	for (;;) {
		switch ((enum reply_step)j->step) {
		case REPLY_NEXT:
			if (j->sent == 0 && j->entry->sent)
				j->sent = j->entry->sent < j->ncalls ? j->entry->sent : j->ncalls;
			if (j->sent >= j->ncalls)
				return STEP_NEXT;
			if (!j->token)
				return job_later(j, jitter_ms(OUTAGE_MS), "the bot has no token");
			j->step = REPLY_FENCE;
			break;
		case REPLY_FENCE: {
			const struct call *c = &j->calls[j->sent];
			if (must_confirm(j))
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
			if (must_confirm(j))
				return STEP_WAIT;
			j->step = REPLY_SENT;
			platform_send(j, &j->calls[j->sent], replied);
			return STEP_WAIT;
		case REPLY_SENT: return reply_result(j);
		case REPLY_TOLD:
			if (j->op_err != ERR_OK)
				return outage(j, "note of a blocked chat", j->op_err);
			s = reply_over(j);
			if (s != STEP_WAIT)
				return s;
			return STEP_WAIT;
		}
	}
}

/* ---- the table */

const struct stage_row job_stages[STAGE_COUNT] = {
    [STAGE_DECODE] = {"decode", decode}, [STAGE_ACKNOWLEDGE] = {"acknowledge", acknowledge},
    [STAGE_LOAD] = {"load", load},       [STAGE_DECIDE] = {"decide", decide},
    [STAGE_COMMIT] = {"commit", commit}, [STAGE_REPLY] = {"reply", reply},
    [STAGE_SETTLE] = {"settle", settle},
};
