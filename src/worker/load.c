/* The stage that gathers all facts: limits, guard, caches, one SELECT, a responder's answer. */
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/store/line.h"
#include "shoal/store/rows.h"
#include "shoal/store/sql.h"
#include "shoal/worker/guard.h"
#include "shoal/worker/names.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/recall.h"
#include "shoal/worker/responder.h"
#include "shoal/worker/stages.h"
#include "shoal/worker/worker.h"

#define REFUSED_MS 1000
#define MANY 8 /* in hand */

static void admitted(void *arg, enum err err, bool double_click, bool throttled, bool notice)
{
	struct job *j = arg;
	reach_heard_redis(j->worker->reach, err);
	/* The same button pressed twice is two updates with two keys: without the lock both would take effect. */
	if (err != ERR_OK && j->update.kind == UPDATE_PRESS)
		j->lock_err = job_is_outage(err) ? err : ERR_UNREACHABLE; /* no fault of the update, whatever it is */
	else if (err != ERR_OK)
		series_add(SERIES(j->worker->unasked, "rate"), 1);
	j->double_click = double_click;
	j->throttled = throttled;
	if (throttled || double_click)
		j->worker->refused_ms = clock_ms();
	j->notice = notice;
	job_end(j);
}

static void loaded(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct job *j = arg;
	const char *why = NULL;
	reach_heard_read(j->worker->reach, err, fault);
	job_op_failed(j, err);
	if (err == ERR_OK && rows_to_facts(rows, &j->arena, &j->facts, &why) != ERR_OK) {
		job_op_failed(j, ERR_INTERNAL);
		j->error = arena_printf(&j->arena, "%s: %s", j->load, why);
	} else if (err != ERR_OK) {
		j->error = arena_printf(&j->arena, "%s: %s %s", j->load, fault->sqlstate, fault->message);
	}
	job_end(j);
}

static enum step load_failed(struct job *j)
{
	if (job_is_outage(j->op_err))
		return job_outage(j, "load", j->op_err);
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

static void load_rows(struct job *j)
{
	struct params p = {.arena = &j->arena};
	struct pg_params out = {.together = true};
	j->load =
	    j->worker->conf.responder_url && j->command->load_history ? j->command->load_history : j->command->load;
	j->command->ask(&j->update, &j->facts, &p);
	out.n = (int)p.n;
	memcpy(out.v, p.v, p.n * sizeof(p.v[0]));
	job_sql(j, j->load, &out, loaded);
}

/* Whether the rows are asked for before it is known that the update may go on: they are only read, and dropped where
 * it may not. Not while somebody sends more than they may, or hammers a button, as that is to cost Postgres nothing. */
static bool loads_ahead(const struct job *j)
{
	return j->pending == 0 && j->command->load && j->entry->handed == HANDED_FIRST &&
	       !(j->command->needs & (NEED_LINE | NEED_LEAVE)) && clock_ms() - j->worker->refused_ms > REFUSED_MS;
}

/* Whether the rows are not asked for at all, but by the commit. That spares a statement of two, which is worth it among
 * many; with few in hand they are read ahead while Redis is asked, and that takes no time. What a conflict was about is
 * to be read. */
static bool presumes(const struct job *j)
{
	return j->pending == 0 && j->command->presume && j->worker->njobs >= MANY && j->conflicts == 0 &&
	       j->command->presume(&j->update, &j->facts);
}

/* All that depends on nothing but the update, at once: admission, the guard, the cache; the rows too, where the cache
 * has told at once what they are asked with. */
static enum step load_first(struct job *j)
{
	struct worker *w = j->worker;
	const struct update *u = &j->update;
	const char *conflict = j->facts.conflict;
	memset(&j->facts, 0, sizeof(j->facts));
	j->facts.conflict = conflict;
	j->facts.now_ms = clock_wall_ms();
	new_mark(j->facts.mark);
	random_bytes(j->facts.chance, sizeof(j->facts.chance));
	j->facts.bot_username = names_of(w->names, j->bot);
	j->op_err = ERR_OK;
	j->error = NULL;
	j->load = NULL;

	if (j->command->needs & (NEED_CODE | NEED_PERSONA)) {
		recall_start(j, j->command->code ? j->command->code(u, &j->arena) : NULL);
	}
	if (j->command->needs & NEED_PLAYER)
		recall_player(j, u->from.id);
	if (j->command->needs & NEED_BOARD)
		recall_board(j, j->command->board(u, &j->arena));
	j->facts.presumed = presumes(j);
	if (!j->facts.presumed && loads_ahead(j))
		load_rows(j);
	if (j->entry->handed != HANDED_FIRST && j->conflicts == 0)
		guard_ask(j);
	bool press = u->kind == UPDATE_PRESS;
	if (j->conflicts == 0 && u->from.id && flood_admits(w->flood, press)) {
		job_begin(j);
		flood_admit(w->flood, j->bot->name, u->from.id, u->message_id, press ? u->data : NULL, u->key,
		            j->entry->handed == HANDED_AGAIN, admitted, j);
	}
	return STEP_NEXT;
}

static void placed(void *arg, enum err err, const redisReply *reply)
{
	struct job *j = arg;
	if (err == ERR_OK && !line_read(reply, &j->arena, &j->facts.line))
		err = ERR_PROTOCOL;
	job_op_failed(j, err);
	if (err != ERR_OK && !j->error)
		j->error = arena_printf(&j->arena, "line: %s", err_text(err));
	job_end(j);
}

/* Whether somebody left or was paired just before is only known once they are out, so that comes before the decision.
 */
static void ask_line(struct job *j)
{
	const struct update *u = &j->update;
	job_begin(j);
	line_player(queue_redis(j->worker->shards[0].queue), u->from.id, j->command->needs & NEED_LEAVE ? u->serial : 0,
	            placed, j);
}

static enum step load_select(struct job *j)
{
	bool refused = j->double_click || j->throttled;
	/* what is refused needs no facts; but one that comes again may have been done, which only the guard knows */
	if (j->op_err != ERR_OK && (j->entry->handed != HANDED_FIRST || !refused))
		return load_failed(j);
	if (j->guarded) {
		j->outcome = JOB_DONE; /* a press that was committed had the lock */
		return STEP_NEXT;
	}
	if (j->lock_err != ERR_OK)
		return job_outage(j, "lock of the press", j->lock_err);
	if (refused) {
		j->outcome = j->double_click ? JOB_DOUBLE_CLICK : JOB_THROTTLED;
		j->op_err = ERR_OK;
		return STEP_NEXT;
	}
	if (j->command->needs & (NEED_LINE | NEED_LEAVE))
		ask_line(j);
	if (!j->load && !j->facts.presumed)
		j->facts.presumed = presumes(j);
	if (j->command->load && !j->load && !j->facts.presumed)
		load_rows(j);
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
		recall_persona(j, f->chat.persona_id);
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
	if (responder_ask(j->worker, &j->update, &j->facts, &j->trace, &j->arena, answered, j))
		job_begin(j);
	return STEP_NEXT;
}

enum step load(struct job *j)
{
	enum { FIRST, SELECT, PERSONA, ANSWER };
	static enum step (*const steps[])(struct job *) = {
	    [FIRST] = load_first, [SELECT] = load_select, [PERSONA] = load_persona, [ANSWER] = load_answer};
	if (j->misjudged) /* the rows are there */
		j->step = PERSONA;
	j->misjudged = false;
	while (j->outcome != JOB_IGNORED && j->step < (int)(sizeof(steps) / sizeof(steps[0]))) {
		enum step s = steps[j->step++](j);
		if (s != STEP_NEXT)
			return s;
		if (j->pending)
			return STEP_WAIT;
	}
	return STEP_NEXT;
}
