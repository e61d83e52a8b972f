#include "shoal/worker/guard.h"

#include "shoal/store/sql.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/worker.h"

static void guard_found(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct job *j = arg;
	reach_heard_read(j->worker->reach, err, fault);
	job_op_failed(j, err);
	if (err == ERR_OK)
		j->maybe_applied = j->guarded = rows->n == 1;
	else if (!j->error)
		j->error = arena_printf(&j->arena, "guard_find: %s %s", fault->sqlstate, fault->message);
	if (err == ERR_OK && j->guarded) {
		const PGresult *res = pg_rows_whole(rows);
		struct span text = {PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0)};
		j->effects = (struct effects){0}; /* nothing is stored where the person was erased */
		if (!PQgetisnull(res, 0, 0) && effects_decode(text, &j->arena, &j->effects) != ERR_OK)
			job_op_failed(j, ERR_PROTOCOL);
	}
	job_end(j);
}

void guard_ask(struct job *j)
{
	struct pg_params p = {.n = 1, .v = {span_of(j->update.key)}};
	p.together = true;
	job_sql(j, "guard_find", &p, guard_found);
}
