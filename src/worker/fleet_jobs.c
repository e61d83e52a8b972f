#include <stdlib.h>

#include "shoal/store/sql.h"
#include "shoal/worker/fleet.h"

#define BATCH 1000 /* the LIMIT of the statements */

/* Guards first: whoever erases a person finds their guards by the keys of their messages. */
static const char *const old_keys[] = {"fleet_old_guards", "fleet_old_message_keys"};

static void on_batch(void *arg, enum err err, PGresult *res, const struct pg_fault *fault)
{
	struct fleet_run *run = arg;
	int64_t rows;

	if (err != ERR_OK) {
		fleet_step_failed(run, err, fault->message);
		return;
	}
	rows = strtoll(PQcmdTuples(res), NULL, 10);
	PQclear(res);
	if (rows < BATCH) /* rows that came of age since can wait for the next run */
		run->at++;
	fleet_step_done(run, rows, run->at < sizeof(old_keys) / sizeof(old_keys[0]));
}

static void old_keys_step(struct fleet_run *run)
{
	pg_exec(run->pg, sql_get(old_keys[run->at]), NULL, on_batch, run);
}

const struct fleet_job fleet_jobs[] = {
    {.name = "old_keys", .period_s = 3600, .step = old_keys_step},
    {0},
};
