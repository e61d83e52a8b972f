#include "shoal/worker/fleet_due.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/bots/escrow.h"
#include "shoal/bots/ladder.h"
#include "shoal/store/queue.h"
#include "shoal/store/sql.h"
#include "shoal/wire/own.h"
#include "shoal/wire/platform.h"
#include "shoal/wire/stream.h"

#define BATCH 500 /* the LIMIT of the statements */
/* An entry that is not settled yet is not appended again so soon. What is due for longer comes again under another key:
 * what became of the first one, ignored by a clock that stood wrong or dead, counts for this long only. */
#define AGAIN_AFTER_MS 600000

/* What is due, and which statement asks for it: rows of the trade or match, the person in whose lane it is, and where
 * the next batch begins. */
struct due {
	const struct bot *bot;
	const char *what, *statement; /* NULL ends a list */
};
static const struct due trades[] = {
    {&bot_escrow, ESCROW_DUE_EXPIRE, "fleet_due_trades"}, {&bot_escrow, ESCROW_DUE_RESOLVED, "fleet_untold"}, {0}};
static const struct due matches[] = {{&bot_ladder, LADDER_DUE_RESOLVED, "fleet_unheard"}, {0}};

/* One batch on its way to the stream. */
struct appending {
	struct fleet_run *run;
	unsigned left; /* not answered for yet; one more while they are sent */
	int64_t appended;
	enum err err;
	bool more;
};

static void one_less(struct appending *a)
{
	if (--a->left > 0)
		return;
	if (a->err != ERR_OK)
		fleet_step_failed(a->run, a->err, "an entry for what is due could not be appended");
	else
		fleet_step_done(a->run, a->appended, a->more);
	free(a);
}

static void on_appended(void *arg, enum err err, const redisReply *reply)
{
	struct appending *a = arg;

	if (err == ERR_OK && reply->type != REDIS_REPLY_INTEGER)
		err = ERR_PROTOCOL;
	if (err != ERR_OK)
		a->err = err;
	else
		a->appended += reply->integer;
	one_less(a);
}

static struct redis_script append_script = {.name = "lua/append_once.lua"};

/* In the person's lane, so that it comes in order with what the person does. of: the trade or match; id: for which of
 * all those to whom this may be due for the same one. */
static void append(struct appending *batch, const struct due *due, const char *of, const char *id, int64_t person,
                   struct arena *a)
{
	const char *about = arena_printf(a, "%s:%s:%s", due->what, of, id);
	int64_t now = clock_wall_ms();
	const char *cause = arena_printf(a, "%s:%lld", about, (long long)(now / AGAIN_AFTER_MS));
	char key[QUEUE_KEY_MAX], mark[QUEUE_KEY_MAX];
	struct entry e;
	struct span *xadd, *argv;
	unsigned shard;
	size_t n;

	entry_internal(due->bot, person, cause, due_encode(due->what, of, person, a), now, a, &e);
	shard = lane_shard(span_of(e.lane), batch->run->nshards);
	queue_key(key, shard, "updates");
	queue_key(mark, shard, "once");
	n = entry_xadd(&e, key, a, &xadd);
	/* "XADD", the key, "*", then what the script takes */
	ENSURE(n > 3);
	argv = arena_array(a, struct span, n);
	argv[0] = span_of(key);
	argv[1] = span_of(arena_printf(a, "%s:%s:%s", mark, due->bot->name, about));
	argv[2] = span_of(arena_printf(a, "%d", AGAIN_AFTER_MS));
	memcpy(argv + 3, xadd + 3, (n - 3) * sizeof(*argv));
	batch->left++;
	redis_eval(batch->run->shards[shard], &append_script, on_appended, batch, 2, n, argv);
}

/* Where this batch ended, or that the next one is of the next kind. */
static void remember(struct fleet_run *run, const PGresult *res)
{
	int last = PQntuples(res) - 1, n;

	if (PQntuples(res) < BATCH) {
		run->from[0] = '\0';
		run->at++;
		return;
	}
	n = snprintf(run->from, sizeof(run->from), "%s|%s", PQgetvalue(res, last, 2), PQgetvalue(res, last, 3));

	ENSURE(n > 0 && (size_t)n < sizeof(run->from));
}

static void on_due(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct fleet_run *run = arg;
	const struct due *due = (const struct due *)run->list + run->at;
	struct appending *batch;
	const PGresult *res;
	struct arena a;
	int n;

	if (err != ERR_OK) {
		fleet_step_failed(run, err, fault->message);
		return;
	}
	arena_init(&a);
	res = pg_rows_whole(rows);
	n = PQntuples(res);
	batch = mem_alloc(sizeof(*batch));
	*batch = (struct appending){.run = run, .left = 1, .err = ERR_OK};
	for (int i = 0; i < n; i++) {
		int64_t person = 0; /* erased: then it is in nobody's lane */

		if (!PQgetisnull(res, i, 1) && !span_i64(span_of(PQgetvalue(res, i, 1)), &person))
			BUG("a person's id is %s", PQgetvalue(res, i, 1));
		append(batch, due, PQgetvalue(res, i, 0), PQgetvalue(res, i, 3), person, &a);
	}
	remember(run, res);
	batch->more = ((const struct due *)run->list)[run->at].what != NULL;
	arena_release(&a);
	one_less(batch);
}

static void step(struct fleet_run *run, const struct due *list)
{
	const char *bar = strchr(run->from, '|');
	struct pg_params p = {.n = 2};

	run->list = list;
	if (bar) {
		p.v[0] = (struct span){run->from, (size_t)(bar - run->from)};
		p.v[1] = span_of(bar + 1);
	}
	pg_exec(run->pg, sql_get(list[run->at].statement), &p, on_due, run);
}

void fleet_trades_step(struct fleet_run *run)
{
	step(run, trades);
}

void fleet_matches_step(struct fleet_run *run)
{
	step(run, matches);
}
