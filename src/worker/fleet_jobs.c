#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/queue.h"
#include "shoal/store/sql.h"
#include "shoal/worker/fleet.h"
#include "shoal/worker/fleet_caches.h"
#include "shoal/worker/fleet_due.h"
#include "shoal/worker/fleet_matcher.h"

#define BATCH 1000 /* the LIMIT of the statements */

/* ---- old keys: guards, and the keys of messages. An unsettled entry may still ask for its guard, so no run begins
 * before every shard has said how old its oldest one is. */

struct asking {
	struct fleet_run *run;
	unsigned left; /* shards that have not answered */
	int64_t age_ms;
	enum err err;
};

static void all_asked(struct asking *a)
{
	struct fleet_run *run = a->run;

	if (a->err != ERR_OK) {
		fleet_step_failed(run, a->err, "a shard of the queue does not tell its oldest entry");
	} else {
		run->found = clock_ms() - a->age_ms;
		run->at++;
		fleet_step_done(run, 0, true);
	}
	free(a);
}

static void on_oldest(void *arg, enum err err, const redisReply *reply)
{
	struct asking *a = arg;

	if (err == ERR_OK && reply->type != REDIS_REPLY_INTEGER)
		err = ERR_PROTOCOL;
	if (err != ERR_OK)
		a->err = err;
	else if (reply->integer > a->age_ms)
		a->age_ms = reply->integer;
	if (--a->left == 0)
		all_asked(a);
}

static struct redis_script oldest_script = {.name = "lua/oldest.lua"};

static void ask_oldest(struct fleet_run *run)
{
	struct asking *a = mem_alloc(sizeof(*a));

	*a = (struct asking){.run = run, .left = run->nshards, .err = ERR_OK};
	for (unsigned i = 0; i < run->nshards; i++) {
		char key[QUEUE_KEY_MAX];

		queue_key(key, i, "updates");
		const struct span argv = span_of(key);
		redis_eval(run->shards[i], &oldest_script, on_oldest, a, 1, 1, &argv);
	}
}

/* Guards first: whoever erases a person finds their guards by the keys of their messages. */
static const char *const old_keys[] = {NULL, "fleet_old_guards", "fleet_old_message_keys"};

static void on_batch(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct fleet_run *run = arg;
	int64_t removed;

	if (err != ERR_OK) {
		fleet_step_failed(run, err, fault->message);
		return;
	}
	removed = strtoll(PQcmdTuples(pg_rows_whole(rows)), NULL, 10);
	if (removed < BATCH) /* rows that came of age since can wait for the next run */
		run->at++;
	fleet_step_done(run, removed, run->at < sizeof(old_keys) / sizeof(old_keys[0]));
}

static void old_keys_step(struct fleet_run *run)
{
	char age[24];

	if (run->at == 0) {
		ask_oldest(run);
		return;
	}
	snprintf(age, sizeof(age), "%lld", (long long)(clock_ms() - run->found));
	const struct pg_params p = {.n = 1, .v = {span_of(age)}};
	pg_exec(run->pg, sql_get(old_keys[run->at]), &p, on_batch, run);
}

/* ---- the leaderboard, made anew while it is read */

static void on_refreshed(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct fleet_run *run = arg;
	const PGresult *res;

	if (err != ERR_OK) {
		fleet_step_failed(run, err, fault->message);
		return;
	}
	res = pg_rows_whole(rows);
	if (!PQgetisnull(res, 0, 0)) /* else nothing had changed */
		log_debug("leaderboard refreshed", LOG_STR("entries", PQgetvalue(res, 0, 0)));
	fleet_step_done(run, 0, false);
}

static void leaderboard_step(struct fleet_run *run)
{
	pg_exec(run->pg, sql_get("fleet_leaderboard"), NULL, on_refreshed, run);
}

const struct fleet_job fleet_jobs[] = {
    {.name = "old_keys", .period_s = 3600, .step = old_keys_step},
    {.name = "due_trades", .period_s = 30, .step = fleet_trades_step},
    {.name = "leaderboard", .period_s = 50, .patient = true, .step = leaderboard_step}, /* and looked at within 10 s */
    {.name = "due_matches", .period_s = 30, .step = fleet_matches_step},
    {.name = "matcher", .period_s = 1, .hurried = true, .step = fleet_matcher_step},
    {.name = "void_values", .period_s = 86400, .step = fleet_caches_step},
    {0},
};
