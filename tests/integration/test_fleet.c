/* links: base model bots wire io store worker */
/* Jobs of the fleet between a real Redis and a real PostgreSQL: what the clean-up removes, who runs a job and when,
 * locks that are held, lost and given back, servers away. Tables of their own make periods short. */
#include "check.h"
#include "pgserver.h"
#include "servers.h"
#include "shoal/base/clock.h"
#include "shoal/base/embed.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/guard.h"
#include "shoal/store/sql.h"
#include "shoal/worker/fleet.h"

#define PATIENCE_MS 60000 /* for what has to come */

static struct pgserver postgres;
static struct redis_server redis_process, shard_process;
static struct loop *loop;
static struct redis *redis, *shards[2]; /* of the caches; of the queue's shards, the first with the caches */
static struct pg *pg;
static struct timer limit;

static void on_limit(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run_for(int ms)
{
	timer_set(&limit, ms);
	loop_run(loop);
	timer_stop(&limit);
}

static const char *sql(const char *text)
{
	return pgserver_sql(&postgres, text);
}

static long long number(const char *text)
{
	return atoll(sql(text));
}

/* One command to a server, its answer as text. */
static const char *command_to(const struct redis_server *s, const char *text)
{
	static char out[256];
	redisContext *c = redisConnect("127.0.0.1", s->port);
	redisReply *r = redisCommand(c, text);

	if (r && r->type == REDIS_REPLY_INTEGER)
		snprintf(out, sizeof(out), "%lld", r->integer);
	else
		snprintf(out, sizeof(out), "%s", !r ? "none" : r->str ? r->str : "nil");
	freeReplyObject(r);
	redisFree(c);
	return out;
}

static const char *command(const char *text)
{
	return command_to(&redis_process, text);
}

static int runs(const char *job, const char *outcome)
{
	return (int)series_value(
	    SERIES(metric_counter("shoal_fleet_job_runs_total", "fleet_job,outcome", ""), job, outcome));
}

static int rows(const char *job)
{
	return (int)series_value(SERIES(metric_counter("shoal_fleet_job_rows_total", "fleet_job", ""), job));
}

static int statements(const char *name)
{
	return (int)series_value(SERIES(metric_counter("shoal_sql_statements_total", "statement", ""), name));
}

/* Turns the loop until the count of a job's outcomes has reached n. */
static bool reached(const char *job, const char *outcome, int n)
{
	for (int64_t end = clock_ms() + PATIENCE_MS; runs(job, outcome) < n && clock_ms() < end;)
		run_for(20);
	return runs(job, outcome) >= n;
}

static void wait_up(void)
{
	for (int64_t end = clock_ms() + PATIENCE_MS;
	     clock_ms() < end && !(redis_up(redis) && redis_up(shards[0]) && redis_up(shards[1]) && pg_up(pg));)
		run_for(25);
	CHECK(redis_up(redis) && redis_up(shards[0]) && redis_up(shards[1]) && pg_up(pg));
}

static void fresh(void)
{
	wait_up();
	command("FLUSHALL");
	command_to(&shard_process, "FLUSHALL");
	sql("TRUNCATE guards, users, personas RESTART IDENTITY CASCADE; INSERT INTO users DEFAULT VALUES; "
	    "INSERT INTO personas (key) VALUES ('default'); INSERT INTO chats (user_id, persona_id) VALUES (1, 1)");
}

static struct fleet *open_fleet(const struct fleet_job *jobs)
{
	return fleet_open(&(struct fleet_opts){.loop = loop,
	                                       .pg = pg,
	                                       .redis = redis,
	                                       .shards = shards,
	                                       .nshards = 2,
	                                       .pg_url = postgres.url,
	                                       .jobs = jobs});
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
	loop_stop(loop);
}

static void close_fleet(struct fleet *f)
{
	bool stopped = false;

	fleet_stop(f, on_stopped, &stopped);
	CHECK(!stopped);
	if (!stopped)
		run_for(PATIENCE_MS);
	CHECK(stopped);
	run_for(50); /* a step under way */
	fleet_free(f);
}

/* ---- jobs. Names differ, so that the counts of one test are not another's. */

/* The program's own, under another name and period. */
static void clean_up(struct fleet_run *run)
{
	fleet_jobs[0].step(run);
}

static int steps;

static void on_step(void *arg, enum err err, const redisReply *reply)
{
	(void)reply;
	steps++;
	if (err == ERR_OK)
		fleet_step_done(arg, 1, true);
	else
		fleet_step_failed(arg, err, "no answer");
}

static void never_ending(struct fleet_run *run)
{
	const struct span ping = SPAN("PING");

	redis_call(run->redis, on_step, run, 1, &ping);
}

static void on_short(void *arg, enum err err, const redisReply *reply)
{
	struct fleet_run *run = arg;

	(void)reply;
	CHECK_INT(err, ERR_OK);
	run->at++;
	fleet_step_done(run, 1, run->at < 2);
}

static void two_steps(struct fleet_run *run)
{
	const struct span ping = SPAN("PING");

	redis_call(run->redis, on_short, run, 1, &ping);
}

static struct timer slow_timer; /* its argument is the run under way */

static void on_slow(void *arg)
{
	steps++;
	fleet_step_done(arg, 1, true);
}

static void slow(struct fleet_run *run)
{
	timer_init(&slow_timer, loop, on_slow, run);
	timer_set(&slow_timer, 400);
}

/* ---- the clean-up */

static void what_is_old_goes_in_batches_and_the_rest_stays(void)
{
	static const struct fleet_job jobs[] = {{.name = "keys_a", .period_s = 1, .step = clean_up}, {0}};
	struct fleet *f;

	fresh();
	CHECK_INT(GUARD_LIFE_S, 48 * 3600); /* whoever counts on guards; below, an hour more and an hour less */
	sql("INSERT INTO guards (key, effects, at) SELECT 'old' || i, '[]', now() - interval '49 hours' "
	    "FROM generate_series(1, 2500) i; "
	    "INSERT INTO guards (key, at) SELECT 'new' || i, now() - interval '47 hours' FROM generate_series(1, 7) i; "
	    "INSERT INTO messages (chat_id, update_key, text, created_at) SELECT 1, 'old' || i, 't', "
	    "now() - interval '49 hours' FROM generate_series(1, 1200) i; "
	    "INSERT INTO messages (chat_id, update_key, created_at) SELECT 1, 'new' || i, now() - interval '47 hours' "
	    "FROM generate_series(1, 5) i; "
	    "INSERT INTO messages (chat_id, direction, created_at) SELECT 1, 'out', now() - interval '90 hours' "
	    "FROM generate_series(1, 9) i");
	f = open_fleet(jobs);
	CHECK(reached("keys_a", "done", 1));
	CHECK_INT(number("SELECT count(*) FROM guards"), 7);
	CHECK_INT(number("SELECT count(*) FROM guards WHERE key LIKE 'new%'"), 7);
	CHECK_INT(number("SELECT count(*) FROM messages"), 1214);
	CHECK_INT(number("SELECT count(*) FROM messages WHERE update_key IS NOT NULL"), 5);
	CHECK_INT(number("SELECT count(*) FROM messages WHERE update_key LIKE 'new%'"), 5);
	CHECK_INT(number("SELECT count(*) FROM messages WHERE text = 't' AND direction = 'in'"), 1200);
	CHECK_INT(rows("keys_a"), 3700);
	CHECK_INT(statements("fleet_old_guards"), 3);
	CHECK_INT(statements("fleet_old_message_keys"), 2);
	CHECK_INT(runs("keys_a", "failed") + runs("keys_a", "stopped"), 0);
	close_fleet(f);
	CHECK_STR(command("EXISTS shoal:{cache}:lock:job:keys_a"), "0");
}

/* An entry of `hours` ago, not settled yet. */
static void add_unsettled(const struct redis_server *s, unsigned shard, int hours)
{
	char text[120];

	snprintf(text, sizeof(text), "XADD shoal:{%u}:updates %lld-0 bot persona", shard,
	         (long long)clock_wall_ms() - hours * 3600000LL);
	CHECK(strchr(command_to(s, text), '-'));
}

/* Guards and keys of messages by age in hours, with commas. */
static const char *guards_left(void)
{
	return sql("SELECT concat_ws(' | ', (SELECT string_agg(key, ',' ORDER BY at) FROM guards), "
	           "(SELECT string_agg(update_key, ',' ORDER BY id) FROM messages))");
}

static void add_guards(void)
{
	sql("INSERT INTO guards (key, at) SELECT h::text, now() - h * interval '1 hour' FROM (VALUES (47), (49), (97), "
	    "(99), (119), (121)) v (h); INSERT INTO messages (chat_id, update_key, created_at) SELECT 1, key, at FROM "
	    "guards ORDER BY at");
}

/* Redelivered, an entry asks for its guard, however old it is; a dead letter's second life begins within two days of
 * its guard and has a younger id. */
static void what_an_unsettled_entry_may_ask_for_stays(void)
{
	static const struct fleet_job jobs[] = {{.name = "keys_e", .period_s = 1, .step = clean_up}, {0}};
	struct fleet *f;

	fresh();
	add_guards();
	add_unsettled(&redis_process, 0, 30);
	add_unsettled(&shard_process, 1, 72);
	add_unsettled(&shard_process, 1, 1);
	f = open_fleet(jobs);
	CHECK(reached("keys_e", "done", 1));
	CHECK_STR(guards_left(), "119,99,97,49,47 | 119,99,97,49,47");
	command_to(&shard_process, "XTRIM shoal:{1}:updates MAXLEN 1");
	CHECK(reached("keys_e", "done", 2));
	CHECK_STR(guards_left(), "49,47 | 49,47");
	command("DEL shoal:{0}:updates");
	command_to(&shard_process, "DEL shoal:{1}:updates");
	CHECK(reached("keys_e", "done", 3));
	CHECK_STR(guards_left(), "47 | 47");
	close_fleet(f);
}

static void nothing_is_removed_while_a_shard_cannot_be_asked(void)
{
	static const struct fleet_job jobs[] = {{.name = "keys_f", .period_s = 1, .step = clean_up}, {0}};
	struct fleet *f;

	fresh();
	add_guards();
	redis_server_kill(&shard_process);
	f = open_fleet(jobs);
	CHECK(reached("keys_f", "failed", 1));
	redis_server_run(&shard_process);
	CHECK_STR(guards_left(), "121,119,99,97,49,47 | 121,119,99,97,49,47");
	/* it answers, and what it says is of no use */
	command("SET shoal:{0}:updates nonsense");
	wait_up();
	int failed = runs("keys_f", "failed");
	CHECK(reached("keys_f", "failed", failed + 2));
	CHECK_STR(guards_left(), "121,119,99,97,49,47 | 121,119,99,97,49,47");
	command("DEL shoal:{0}:updates");
	CHECK(reached("keys_f", "done", 1));
	CHECK_STR(guards_left(), "47 | 47");
	close_fleet(f);
}

static void batches_at_once_take_different_rows(void)
{
	static const char *const names[] = {"fleet_old_guards", "fleet_old_message_keys"};
	const struct pg_params no_age = {.n = 1, .v = {SPAN("0")}};
	PGconn *a = pgserver_connect(&postgres), *b = pgserver_connect(&postgres);

	fresh();
	sql("INSERT INTO guards (key, at) SELECT 'k' || i, now() - interval '3 days' FROM generate_series(1, 1600) i; "
	    "INSERT INTO messages (chat_id, update_key, created_at) SELECT 1, 'k' || i, now() - interval '3 days' "
	    "FROM generate_series(1, 1600) i");
	PQclear(PQexec(b, "SET lock_timeout = '3s'"));
	for (size_t i = 0; i < 2; i++) {
		PGresult *first, *second;

		PQclear(PQexec(a, "BEGIN"));
		first = sql_run(a, names[i], &no_age);
		second = sql_run(b, names[i], &no_age);
		CHECK_STR(PQcmdTuples(first), "1000");
		CHECK_STR(PQcmdTuples(second), "600");
		PQclear(PQexec(a, "COMMIT"));
		PQclear(first);
		PQclear(second);
	}
	CHECK_INT(number("SELECT count(*) FROM guards"), 0);
	CHECK_INT(number("SELECT count(*) FROM messages WHERE update_key IS NOT NULL"), 0);
	PQfinish(a);
	PQfinish(b);
}

/* Also where nearly all is old, after years without a clean-up: a batch must not read the table. */
static void a_batch_reads_indexes_only(void)
{
	static const char *const names[] = {"fleet_old_guards", "fleet_old_message_keys"};
	char text[2000];

	fresh();
	sql("INSERT INTO guards (key, effects, at) SELECT 'k' || i, repeat('x', 200), now() - interval '3 days' "
	    "FROM generate_series(1, 30000) i; "
	    "INSERT INTO messages (chat_id, update_key, created_at) SELECT 1, 'k' || i, now() - interval '3 days' "
	    "FROM generate_series(1, 30000) i; ANALYZE guards; ANALYZE messages");
	for (size_t i = 0; i < 2; i++) {
		PGconn *c = pgserver_connect(&postgres);
		PGresult *r;

		PQclear(PQexec(c, "SET plan_cache_mode = force_generic_plan"));
		snprintf(text, sizeof(text), "PREPARE batch AS %s", strchr(sql_get(names[i])->sql, '\n') + 1);
		PQclear(PQexec(c, text));
		r = PQexec(c, "EXPLAIN EXECUTE batch(0)");
		CHECK(PQntuples(r) > 3);
		for (int n = 0; n < PQntuples(r); n++)
			CHECK(!strstr(PQgetvalue(r, n, 0), "Seq Scan") && !strstr(PQgetvalue(r, n, 0), "Sort"));
		PQclear(r);
		PQfinish(c);
	}
}

/* ---- who, and when */

static void a_job_runs_once_a_period_however_many_look(void)
{
	static const struct fleet_job jobs[] = {{.name = "often", .period_s = 2, .step = two_steps}, {0}};
	struct fleet *f[4];
	int64_t began = clock_ms();
	int n, most;

	fresh();
	for (int i = 0; i < 4; i++)
		f[i] = open_fleet(jobs);
	CHECK(reached("often", "done", 2));
	run_for(1000);
	n = runs("often", "done");
	most = (int)((clock_ms() - began) / 2000) + 1;
	CHECK(n <= most);
	CHECK_INT(rows("often"), 2 * n);
	CHECK(atoi(command("PTTL shoal:{cache}:job:often:last")) <= 2000);
	for (int i = 0; i < 4; i++)
		close_fleet(f[i]);
}

/* For so long the job that comes every second has just run, wherever that was. */
static void ran_elsewhere(const char *note, int ms)
{
	for (; ms > 0; ms -= 250) {
		command(note);
		run_for(250);
	}
}

static void what_ran_not_long_ago_is_left_alone(void)
{
	static const struct fleet_job jobs[] = {{.name = "recent", .period_s = 1, .step = two_steps}, {0}};
	struct fleet *f;

	fresh();
	f = open_fleet(jobs);
	ran_elsewhere("SET shoal:{cache}:job:recent:last x PX 1000", 3500);
	CHECK_INT(runs("recent", "done"), 0);
	CHECK_STR(command("EXISTS shoal:{cache}:lock:job:recent"), "0");
	command("DEL shoal:{cache}:job:recent:last");
	CHECK(reached("recent", "done", 1));
	close_fleet(f);
}

/* As when the clock of Redis was set back by an hour. */
static void what_ran_in_the_future_is_not_believed(void)
{
	static const struct fleet_job jobs[] = {{.name = "later", .period_s = 1, .hurried = true, .step = two_steps},
	                                        {0}};
	struct fleet *f;

	fresh();
	command("SET shoal:{cache}:job:later:last x PX 3600000");
	command("SET shoal:{cache}:lock:job:later of-a-dead-worker PX 3600000");
	f = open_fleet(jobs);
	CHECK(reached("later", "done", 2));
	close_fleet(f);
}

/* The other one ends its run while this one waits for the lock. */
static void who_waited_for_the_lock_asks_again(void)
{
	static const struct fleet_job jobs[] = {{.name = "other", .period_s = 1, .step = two_steps}, {0}};
	struct fleet *f;

	fresh();
	command("SET shoal:{cache}:lock:job:other somebody PX 60000");
	f = open_fleet(jobs);
	run_for(2000);
	CHECK_STR(command("GET shoal:{cache}:lock:job:other"), "somebody");
	CHECK_INT(runs("other", "done"), 0);
	command("SET shoal:{cache}:job:other:last x PX 1000");
	command("DEL shoal:{cache}:lock:job:other");
	ran_elsewhere("SET shoal:{cache}:job:other:last x PX 1000", 7500);
	CHECK_INT(runs("other", "done"), 0);
	CHECK_STR(command("EXISTS shoal:{cache}:lock:job:other"), "0");
	command("DEL shoal:{cache}:job:other:last");
	CHECK(reached("other", "done", 1));
	close_fleet(f);
}

static void a_lost_lock_ends_the_run_after_the_step(void)
{
	static const struct fleet_job jobs[] = {{.name = "robbed", .period_s = 1, .step = never_ending}, {0}};
	struct fleet *f;
	int before;

	fresh();
	steps = 0;
	f = open_fleet(jobs);
	for (int64_t end = clock_ms() + PATIENCE_MS; clock_ms() < end && steps < 3;)
		run_for(20);
	CHECK(steps >= 3);
	CHECK_INT(strlen(command("GET shoal:{cache}:lock:job:robbed")), 32);
	CHECK(atoi(command("PTTL shoal:{cache}:lock:job:robbed")) > 5000);
	command("SET shoal:{cache}:lock:job:robbed somebody PX 60000");
	CHECK(reached("robbed", "stopped", 1));
	before = steps;
	run_for(2500);
	CHECK_INT(steps, before);
	CHECK_STR(command("GET shoal:{cache}:lock:job:robbed"), "somebody");
	CHECK_STR(command("EXISTS shoal:{cache}:job:robbed:last"), "0");
	close_fleet(f);
	CHECK_STR(command("GET shoal:{cache}:lock:job:robbed"), "somebody");
}

static void stopping_gives_the_lock_back_and_begins_nothing(void)
{
	static const struct fleet_job jobs[] = {{.name = "drained", .period_s = 1, .step = never_ending},
	                                        {.name = "idle", .period_s = 3600, .step = two_steps},
	                                        {0}};
	struct fleet *f;
	bool stopped = false;
	int before;

	fresh();
	steps = 0;
	f = open_fleet(jobs);
	for (int64_t end = clock_ms() + PATIENCE_MS; clock_ms() < end && steps < 2;)
		run_for(20);
	CHECK_STR(command("EXISTS shoal:{cache}:lock:job:drained"), "1");
	fleet_stop(f, on_stopped, &stopped);
	before = steps;
	CHECK(!stopped);
	run_for(PATIENCE_MS);
	CHECK(stopped);
	CHECK_STR(command("EXISTS shoal:{cache}:lock:job:drained"), "0");
	CHECK_STR(command("EXISTS shoal:{cache}:job:drained:last"), "0");
	run_for(2000);
	CHECK(steps <= before + 1);
	CHECK_INT(runs("drained", "stopped"), 1);
	CHECK_INT(runs("drained", "done") + runs("drained", "failed"), 0);
	fleet_free(f);
}

static void a_step_under_way_at_the_stop_is_the_last(void)
{
	static const struct fleet_job jobs[] = {{.name = "slow", .period_s = 1, .step = slow}, {0}};
	struct fleet *f;
	bool stopped = false;

	fresh();
	steps = 0;
	f = open_fleet(jobs);
	for (int64_t end = clock_ms() + PATIENCE_MS; clock_ms() < end && !timer_armed(&slow_timer);)
		run_for(20);
	fleet_stop(f, on_stopped, &stopped);
	run_for(PATIENCE_MS);
	CHECK(stopped);
	CHECK_INT(steps, 0);
	CHECK_STR(command("EXISTS shoal:{cache}:lock:job:slow"), "0");
	CHECK(reached("slow", "stopped", 1));
	run_for(1500);
	CHECK_INT(steps, 1);
	CHECK_INT(rows("slow"), 1);
	timer_release(&slow_timer);
	fleet_free(f);
}

/* The pool goes while a batch is under way and the worker ends. */
static void ending_with_a_step_under_way_is_safe(void)
{
	static const struct fleet_job jobs[] = {{.name = "keys_b", .period_s = 1, .step = clean_up}, {0}};
	struct pg *own = pg_open(loop, &(struct pg_opts){.url = postgres.url, .connections = 1, .prepare = true});
	PGconn *blocker = pgserver_connect(&postgres);
	struct fleet *f;
	bool stopped = false;

	fresh();
	PQclear(PQexec(blocker, "BEGIN; LOCK TABLE guards"));
	f = fleet_open(&(struct fleet_opts){
	    .loop = loop, .pg = own, .redis = redis, .shards = shards, .nshards = 2, .jobs = jobs});
	for (int64_t end = clock_ms() + PATIENCE_MS;
	     clock_ms() < end && number("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0;)
		run_for(20);
	CHECK_STR(command("EXISTS shoal:{cache}:lock:job:keys_b"), "1");
	fleet_stop(f, on_stopped, &stopped);
	run_for(PATIENCE_MS);
	CHECK(stopped);
	CHECK_INT(runs("keys_b", "stopped"), 0);
	pg_close(own);
	CHECK_INT(runs("keys_b", "stopped"), 1);
	fleet_free(f);
	PQfinish(blocker);
}

/* ---- servers */

static void what_fails_comes_again_after_its_period(void)
{
	static const struct fleet_job jobs[] = {{.name = "keys_c", .period_s = 3, .step = clean_up}, {0}};
	struct fleet *f;
	int64_t failed;

	fresh();
	sql("INSERT INTO guards (key, at) VALUES ('a', now() - interval '3 days'); ALTER TABLE guards RENAME TO "
	    "hidden");
	f = open_fleet(jobs);
	CHECK(reached("keys_c", "failed", 1));
	failed = clock_ms();
	sql("ALTER TABLE hidden RENAME TO guards");
	run_for(100);
	CHECK_STR(command("EXISTS shoal:{cache}:lock:job:keys_c"), "0");
	CHECK(reached("keys_c", "done", 1));
	CHECK(clock_ms() - failed >= 2900);
	CHECK_INT(number("SELECT count(*) FROM guards"), 0);
	CHECK_INT(runs("keys_c", "failed"), 1);
	close_fleet(f);
}

static void nothing_begins_without_its_servers(void)
{
	static const struct fleet_job jobs[] = {{.name = "keys_d", .period_s = 1, .step = clean_up}, {0}};
	struct fleet *f;

	fresh();
	sql("INSERT INTO guards (key, at) VALUES ('a', now() - interval '3 days')");
	pgserver_stop(&postgres, SIGINT);
	run_for(300);
	CHECK(!pg_up(pg));
	f = open_fleet(jobs);
	run_for(3000);
	CHECK_STR(command("EXISTS shoal:{cache}:lock:job:keys_d"), "0");
	redis_server_kill(&redis_process);
	pgserver_start(&postgres);
	run_for(2500);
	CHECK_INT(runs("keys_d", "done") + runs("keys_d", "failed") + runs("keys_d", "stopped"), 0);
	redis_server_run(&redis_process);
	CHECK(reached("keys_d", "done", 1));
	CHECK_INT(number("SELECT count(*) FROM guards"), 0);
	close_fleet(f);
}

static bool is_set(const void *arg)
{
	return *(const bool *)arg;
}

static void nothing_begins_while_it_is_unfit(void)
{
	static const struct fleet_job jobs[] = {{.name = "unfit", .period_s = 1, .step = clean_up}, {0}};
	bool unfit = true;
	struct fleet *f;

	fresh();
	f = fleet_open(&(struct fleet_opts){.loop = loop,
	                                    .pg = pg,
	                                    .redis = redis,
	                                    .shards = shards,
	                                    .nshards = 2,
	                                    .unfit = is_set,
	                                    .arg = &unfit,
	                                    .jobs = jobs});
	run_for(3000);
	CHECK_INT(runs("unfit", "done") + runs("keys_e", "failed") + runs("keys_e", "stopped"), 0);
	unfit = false;
	CHECK(reached("unfit", "done", 1));
	close_fleet(f);
}

static void stopping_without_redis_ends_too(void)
{
	static const struct fleet_job jobs[] = {{.name = "cut", .period_s = 1, .step = never_ending}, {0}};
	struct fleet *f;

	fresh();
	steps = 0;
	f = open_fleet(jobs);
	for (int64_t end = clock_ms() + PATIENCE_MS; clock_ms() < end && steps < 2;)
		run_for(20);
	redis_server_kill(&redis_process);
	close_fleet(f);
	redis_server_run(&redis_process);
}

/* ---- trades whose time is over */

static void due_trades(struct fleet_run *run)
{
	fleet_jobs[1].step(run);
}

static long long entries(void)
{
	return atoll(command("XLEN shoal:{0}:updates")) + atoll(command_to(&shard_process, "XLEN shoal:{1}:updates"));
}

static void trades_that_are_due_come_once_each_in_their_buyers_lanes(void)
{
	static const struct fleet_job jobs[] = {{.name = "due_a", .period_s = 1, .step = due_trades}, {0}};
	struct fleet *f;

	fresh();
	sql("INSERT INTO users (telegram_id) SELECT 1000 + i FROM generate_series(1, 40) i; "
	    "INSERT INTO users (telegram_id) VALUES (NULL); "
	    "INSERT INTO escrows (public_id, buyer_id, amount, currency, expires_at) SELECT 'T' || i, 2 + i % 41, 1, "
	    "'USD', "
	    "now() - i % 3 * interval '1 s' FROM generate_series(1, 1203) i; "
	    "INSERT INTO escrows (public_id, buyer_id, amount, currency, expires_at) VALUES ('N', 2, 1, 'USD', now() + "
	    "interval '1 hour'); "
	    "INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status, expires_at) SELECT s, 2, "
	    "3, 1, "
	    "'USD', s, now() - interval '1 hour' FROM unnest('{active,released,refunded,disputed,expired}'::text[]) s");
	f = open_fleet(jobs);
	CHECK(reached("due_a", "done", 1));
	CHECK_INT(rows("due_a"), 1203);
	CHECK_INT(entries(), 1203);
	CHECK(atoll(command("XLEN shoal:{0}:updates")) > 100); /* by lane, so both shards have some */
	CHECK(atoll(command_to(&shard_process, "XLEN shoal:{1}:updates")) > 100);
	CHECK_INT(statements("fleet_due_trades"), 3);
	/* not read yet: they are not appended again for a while, nor by another worker */
	CHECK(reached("due_a", "done", 2));
	CHECK_INT(rows("due_a"), 1203);
	CHECK_INT(entries(), 1203);
	close_fleet(f);
}

static void due_entry_says_which_trade(void)
{
	static const struct fleet_job jobs[] = {{.name = "due_b", .period_s = 1, .step = due_trades}, {0}};
	struct fleet *f;
	redisContext *c;
	redisReply *r;
	char fields[600] = "";
	int64_t slot = 0, began_ms = clock_wall_ms();

	fresh();
	sql("INSERT INTO users (telegram_id) VALUES (77); INSERT INTO escrows (public_id, buyer_id, amount, currency, "
	    "expires_at) SELECT 'T1', max(id), 1, 'USD', now() FROM users");
	f = open_fleet(jobs);
	CHECK(reached("due_b", "done", 1));
	close_fleet(f);
	for (int i = 0; i < 2; i++) {
		c = redisConnect("127.0.0.1", i ? shard_process.port : redis_process.port);
		r = redisCommand(c, "XRANGE shoal:{%d}:updates - +", i);
		for (size_t k = 0; r && r->elements == 1 && k < r->element[0]->element[1]->elements; k++) {
			char *text = r->element[0]->element[1]->element[k]->str, *last = strrchr(text, ':');

			if (k == 5 && last) { /* the key */
				slot = atoll(last + 1);
				last[1] = '\0';
			}
			if (k != 7) /* the time */
				snprintf(fields + strlen(fields), sizeof(fields) - strlen(fields), "%s ", text);
		}
		freeReplyObject(r);
		redisFree(c);
	}
	CHECK_STR(fields, "bot escrow lane telegram:escrow:77 key shoal:escrow:expire:T1:1: at body "
	                  "{\"shoal\":\"due\",\"chat_id\":77,\"what\":\"expire\",\"of\":\"T1\"} ");
	/* its key is another one every ten minutes: a first one that came to nothing does not stand in its way */
	CHECK(slot == clock_wall_ms() / 600000 || slot == began_ms / 600000);
}

static void who_has_yet_to_hear_of_a_decision_comes_once_each(void)
{
	static const struct fleet_job jobs[] = {{.name = "due_d", .period_s = 1, .step = due_trades}, {0}};
	int asked = statements("fleet_untold");
	struct fleet *f;

	fresh();
	sql("INSERT INTO users (telegram_id) SELECT 1000 + i FROM generate_series(1, 40) i; "
	    "INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status) SELECT 'T' || i, 2 + i % "
	    "40, "
	    "2 + (i + 1) % 40, 1, 'USD', 'released' FROM generate_series(1, 350) i; "
	    "INSERT INTO escrow_notices SELECT id, unnest(ARRAY[buyer_id, seller_id]) FROM escrows");
	f = open_fleet(jobs);
	CHECK(reached("due_d", "done", 1));
	close_fleet(f);
	CHECK_INT(rows("due_d"), 700);
	CHECK_INT(entries(), 700);
	CHECK_INT(statements("fleet_untold") - asked, 2);
}

static void shard_that_is_away_fails_the_run(void)
{
	static const struct fleet_job jobs[] = {{.name = "due_c", .period_s = 1, .step = due_trades}, {0}};
	struct fleet *f;

	fresh();
	sql("INSERT INTO users (telegram_id) SELECT 1000 + i FROM generate_series(1, 40) i; "
	    "INSERT INTO escrows (public_id, buyer_id, amount, currency, expires_at) SELECT 'T' || i, 2 + i, 1, 'USD', "
	    "now() "
	    "FROM generate_series(1, 39) i");
	redis_server_kill(&shard_process);
	f = open_fleet(jobs);
	CHECK(reached("due_c", "failed", 1));
	redis_server_run(&shard_process);
	wait_up();
	CHECK(reached("due_c", "done", 1)); /* what was missing comes with the next run */
	CHECK_INT(entries(), 39);
	close_fleet(f);
}

/* ---- patient jobs */

static const struct pg_stmt sleeping = {.name = "sleeping", .sql = "SELECT pg_sleep(3)"},
                            failing = {.name = "failing", .sql = "SELECT 1 / 0"};

static void on_statement(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	(void)rows;
	steps++;
	if (err == ERR_OK)
		fleet_step_done(arg, 0, false);
	else
		fleet_step_failed(arg, err, fault->message);
}

static void asleep(struct fleet_run *run)
{
	pg_exec(run->pg, &sleeping, NULL, on_statement, run);
}

static void dividing(struct fleet_run *run)
{
	CHECK(run->pg != pg);
	pg_exec(run->pg, &failing, NULL, on_statement, run);
}

static void leaderboard(struct fleet_run *run)
{
	fleet_jobs[2].step(run);
}

static long long connections(const char *job)
{
	char text[200];

	snprintf(text, sizeof(text), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shoal %s'", job);
	return number(text);
}

/* Turns the loop until this SQL gives that number. */
static bool becomes(const char *text, long long wanted)
{
	for (int64_t end = clock_ms() + PATIENCE_MS; number(text) != wanted && clock_ms() < end;)
		run_for(50);
	return number(text) == wanted;
}

static void patient_job_has_a_connection_while_it_runs(void)
{
	static const struct fleet_job jobs[] = {{.name = "patient_a", .period_s = 1, .patient = true, .step = dividing},
	                                        {0}};
	struct fleet *f;

	fresh();
	f = open_fleet(jobs);
	CHECK(reached("patient_a", "failed", 2));
	CHECK(becomes("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shoal patient_a'", 0));
	close_fleet(f);
}

static void patient_job_ends_with_its_worker(void)
{
	static const struct fleet_job jobs[] = {{.name = "patient_b", .period_s = 1, .patient = true, .step = asleep},
	                                        {0}};
	struct fleet *f;

	fresh();
	steps = 0;
	f = open_fleet(jobs);
	for (int64_t end = clock_ms() + PATIENCE_MS; connections("patient_b") == 0 && clock_ms() < end;)
		run_for(20);
	close_fleet(f); /* it opens still, or sleeps */
	CHECK_INT(runs("patient_b", "done"), 0);
	CHECK_INT(runs("patient_b", "failed"), 0);
	CHECK_INT(runs("patient_b", "stopped"), 1);
}

static void leaderboard_is_made_anew_when_something_has_changed(void)
{
	static const struct fleet_job jobs[] = {
	    {.name = "board_a", .period_s = 1, .patient = true, .step = leaderboard}, {0}};
	char refreshed[64];
	struct fleet *f;

	fresh();
	sql("INSERT INTO players (discord_uid, player_name) VALUES (1, 'Ann'), (2, 'Bob'); "
	    "INSERT INTO mmrs_1v1 (discord_uid, race, mmr) VALUES (1, 'sc2_zerg', 1600), (2, 'bw_zerg', 1500)");
	f = open_fleet(jobs);
	CHECK(becomes("SELECT count(*) FROM leaderboard_1v1", 2));
	CHECK(becomes("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shoal board_a'", 0));
	CHECK(becomes("SELECT changes FROM leaderboard_1v1_state", 4)); /* as soon as they are counted */
	snprintf(refreshed, sizeof(refreshed), "%s", sql("SELECT refreshed_at FROM leaderboard_1v1_state"));
	CHECK(reached("board_a", "done", runs("board_a", "done") + 2));
	CHECK_STR(sql("SELECT refreshed_at FROM leaderboard_1v1_state"), refreshed);
	sql("UPDATE mmrs_1v1 SET mmr = 1700 WHERE discord_uid = 2");
	CHECK(becomes("SELECT discord_uid FROM leaderboard_1v1 ORDER BY below LIMIT 1", 2));
	close_fleet(f);
}

static void void_values(struct fleet_run *run)
{
	fleet_jobs[5].step(run);
}

/* Four void values to each one that counts, of two kinds, and what is nobody's. */
static void put_values(int n, const char *generation)
{
	redisContext *c = redisConnect("127.0.0.1", redis_process.port);

	freeReplyObject(
	    redisCommand(c, "MSET shoal:{cache}:v:startcode %s shoal:{cache}:v:persona %s", generation, generation));
	freeReplyObject(redisCommand(c, "MSET shoal:{cache}:v:player:void x shoal:{cache}:alien y"));
	for (int i = 0; i < n; i++)
		freeReplyObject(redisCommand(c, "SET shoal:{cache}:v:%s:CODE%d %s%s|{}",
		                             i < n / 2 ? "startcode" : "persona", i, generation, i % 5 ? "old" : ""));
	redisFree(c);
}

static void values_of_an_ended_generation_go(void)
{
	static const struct fleet_job jobs[] = {{.name = "void_a", .period_s = 600, .step = void_values}, {0}};
	enum { N = 3000 }; /* more than one piece */
	char ident[CACHE_IDENT_SIZE], generation[32];
	redisContext *c = redisConnect("127.0.0.1", redis_process.port);
	struct fleet *f;

	fresh();
	CHECK_INT(cache_gen_ident_now(c, ident), ERR_OK);
	redisFree(c);
	snprintf(generation, sizeof(generation), "%s-abc", ident);
	put_values(N, generation);
	f = open_fleet(jobs);
	CHECK(reached("void_a", "done", 1));
	CHECK_INT(rows("void_a"), N / 5 * 4);
	CHECK_STR(command("EXISTS shoal:{cache}:v:startcode:CODE0 shoal:{cache}:v:persona:CODE2995"), "2");
	CHECK_STR(command("EXISTS shoal:{cache}:v:startcode:CODE1 shoal:{cache}:v:persona:CODE2999"), "0");
	CHECK_STR(command("EXISTS shoal:{cache}:v:player:void shoal:{cache}:alien"), "2");
	close_fleet(f);
}

static void the_programs_table_is_sound(void)
{
	CHECK_STR(fleet_jobs[0].name, "old_keys");
	CHECK_STR(fleet_jobs[1].name, "due_trades");
	CHECK_STR(fleet_jobs[2].name, "leaderboard");
	CHECK_STR(fleet_jobs[5].name, "void_values");
	for (const struct fleet_job *j = fleet_jobs; j->name; j++)
		CHECK(j->step && j->period_s >= 1 && strlen(j->name) < 40);
}

int main(void)
{
	pgserver_init(&postgres);
	pgserver_start(&postgres);
	for (const struct embed_file *f = embed_files; f->name; f++) {
		if (strncmp(f->name, "sql/migrations/", 15) == 0)
			sql(f->data);
	}
	sql("ALTER DATABASE postgres SET client_min_messages = warning");
	redis_server_start(&redis_process, NULL);
	redis_server_start(&shard_process, NULL);
	log_init(LOG_ERROR, LOG_TEXT, "test", "fleet");
	loop = loop_new();
	timer_init(&limit, loop, on_limit, NULL);
	redis = redis_open(loop, &(struct redis_opts){.url = redis_process.url, .label = "cache", .timeout_ms = 2000});
	for (int i = 0; i < 2; i++)
		shards[i] = redis_open(loop, &(struct redis_opts){.url = i ? shard_process.url : redis_process.url,
		                                                  .label = "queue",
		                                                  .timeout_ms = 2000});
	pg = pg_open(loop, &(struct pg_opts){.url = postgres.url,
	                                     .application_name = "test",
	                                     .connections = 2,
	                                     .prepare = true,
	                                     .statement_timeout_ms = 10000});
	RUN(the_programs_table_is_sound);
	RUN(values_of_an_ended_generation_go);
	RUN(what_is_old_goes_in_batches_and_the_rest_stays);
	RUN(what_an_unsettled_entry_may_ask_for_stays);
	RUN(nothing_is_removed_while_a_shard_cannot_be_asked);
	RUN(batches_at_once_take_different_rows);
	RUN(a_batch_reads_indexes_only);
	RUN(a_job_runs_once_a_period_however_many_look);
	RUN(what_ran_not_long_ago_is_left_alone);
	RUN(what_ran_in_the_future_is_not_believed);
	RUN(who_waited_for_the_lock_asks_again);
	RUN(a_lost_lock_ends_the_run_after_the_step);
	RUN(stopping_gives_the_lock_back_and_begins_nothing);
	RUN(a_step_under_way_at_the_stop_is_the_last);
	RUN(ending_with_a_step_under_way_is_safe);
	RUN(what_fails_comes_again_after_its_period);
	RUN(nothing_begins_without_its_servers);
	RUN(nothing_begins_while_it_is_unfit);
	RUN(stopping_without_redis_ends_too);
	RUN(trades_that_are_due_come_once_each_in_their_buyers_lanes);
	RUN(due_entry_says_which_trade);
	RUN(who_has_yet_to_hear_of_a_decision_comes_once_each);
	RUN(shard_that_is_away_fails_the_run);
	RUN(patient_job_has_a_connection_while_it_runs);
	RUN(patient_job_ends_with_its_worker);
	RUN(leaderboard_is_made_anew_when_something_has_changed);
	pg_close(pg);
	redis_close(redis);
	redis_close(shards[0]);
	redis_close(shards[1]);
	run_for(50);
	timer_release(&limit);
	loop_free(loop);
	redis_server_stop(&redis_process);
	redis_server_stop(&shard_process);
	DONE();
}
