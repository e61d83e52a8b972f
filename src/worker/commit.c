/* The stage that writes: one statement, under the guard of the update's key. */
#include <string.h>

#include "shoal/store/rows.h"
#include "shoal/store/sql.h"
#include "shoal/worker/ahead.h"
#include "shoal/worker/full_codes.h"
#include "shoal/worker/guard.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/stages.h"
#include "shoal/worker/worker.h"

#define CONFLICTS_MAX 3

/* What is to be written; NULL: nothing. A redelivery that was decided to write nothing writes its guard all the same:
 * an earlier run's commit may have been on its way while this one asked for the guard, and have made the facts that
 * this one was decided on. Then it is found now, and what was decided first counts; else it comes too late. */
static const char *statement_of(const struct job *j)
{
	if (j->outcome == JOB_UNDECIDED && j->decision.commit)
		return j->decision.commit;
	if (j->entry->handed != HANDED_FIRST && j->command &&
	    (j->outcome == JOB_UNDECIDED || j->outcome == JOB_IGNORED))
		return "guard_alone";
	return NULL;
}

/* They were as presumed, and all is done; or nothing is, and the facts are known now. */
static enum err judged(struct job *j, const struct pg_rows *rows)
{
	const char *why = NULL;
	j->facts.presumed = false;
	memset(&j->facts.persona, 0, sizeof(j->facts.persona)); /* it goes by the rows */
	if (rows_to_facts(rows, &j->arena, &j->facts, &why) != ERR_OK) {
		j->error = arena_printf(&j->arena, "%s: %s", j->decision.commit, why);
		j->maybe_applied = true;
		return ERR_INTERNAL;
	}
	j->misjudged = !j->facts.presumed;
	return ERR_OK;
}

static void note_full(struct job *j, const struct pg_fault *fault)
{
	int64_t limit;
	if (strcmp(fault->message, CONFLICT_USED_UP) == 0 && span_i64(span_of(fault->detail), &limit))
		full_codes_note(&j->worker->full_codes, j->facts.code.id, limit, j->stage_began_us / 1000);
}

static void committed(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct job *j = arg;
	j->op_err = err;
	if (err == ERR_OK && j->facts.presumed)
		j->op_err = judged(j, rows);
	if (j->misjudged) /* nothing was written */
		reach_heard_read(j->worker->reach, err, fault);
	else
		reach_heard_write(j->worker->reach, err, fault);
	j->contended = err == ERR_CONFLICT && strcmp(fault->sqlstate, "SH001") != 0;
	if (err == ERR_CONFLICT && !j->contended)
		note_full(j, fault);
	if (err == ERR_EXISTS && !strcmp(fault->constraint, "guards_pkey"))
		j->guarded = true;
	else if (err != ERR_OK)
		j->error = err == ERR_CONFLICT
		               ? arena_strdup(&j->arena, fault->message)
		               : arena_printf(&j->arena, "%s: %s %s", statement_of(j), fault->sqlstate, fault->message);
	job_end(j);
}

/* Rows are locked in the order of those whose rows they are, whatever the bot. */
static int64_t order_of(const struct job *j)
{
	return j->update.from.id ? j->update.from.id : j->update.chat_id;
}

static void commit_send(struct job *j)
{
	const struct decision *d = &j->decision;
	struct span effects = effects_encode(&j->effects, &j->arena);
	struct pg_params p = {.n = (int)d->params.n + 2, .v = {span_of(j->update.key), effects}};
	memcpy(p.v + 2, d->params.v, d->params.n * sizeof(d->params.v[0]));
	j->op_err = ERR_OK;
	p.together = d->own_rows && d->commit;
	p.order = order_of(j);
	job_sql(j, statement_of(j), &p, committed);
	ahead_ask(j);
}

static enum step commit_result(struct job *j)
{
	switch (j->op_err) {
	case ERR_OK:
		if (j->misjudged)
			return STEP_AGAIN;
		j->maybe_applied = true;
		return STEP_NEXT;
	case ERR_CONFLICT:
		if (++j->conflicts > CONFLICTS_MAX && j->contended)
			return job_outage(j, "commit", j->op_err);
		if (j->conflicts > CONFLICTS_MAX)
			return job_retry(
			    j, arena_printf(&j->arena, "%s: still in conflict: %s", j->decision.commit, j->error));
		j->facts.conflict = j->contended ? NULL : j->error;
		return STEP_AGAIN;
	case ERR_UNKNOWN:
	case ERR_TIMEOUT: j->maybe_applied = true; break;
	default: break;
	}
	if (job_is_outage(j->op_err))
		return job_outage(j, "commit", j->op_err);
	return job_retry(j, j->error ? j->error : err_text(j->op_err));
}

enum commit_step { COMMIT_FENCE, COMMIT_RESULT, COMMIT_STORED };

enum step commit(struct job *j)
{
	if (!statement_of(j))
		return STEP_NEXT;
	switch ((enum commit_step)j->step) {
	case COMMIT_FENCE:
		if (job_must_confirm(j))
			return STEP_WAIT; /* and looks again: it may have stood still since */
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
		if (job_is_outage(j->op_err))
			return job_outage(j, "stored effects", j->op_err);
		if (j->op_err != ERR_OK)
			return job_retry(j, j->error ? j->error : "stored effects: not as they were stored");
		if (j->guarded) {
			j->outcome = JOB_DONE;
			return STEP_NEXT;
		}
		if (++j->conflicts > CONFLICTS_MAX)
			return job_outage(j, "stored effects", ERR_CONFLICT);
		return STEP_AGAIN; /* removed between the two statements */
	}
	BUG("commit step %d", j->step);
}
