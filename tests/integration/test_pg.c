/* links: base io */
#include "check.h"
#include "pgserver.h"
#include "port.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "standstill.h"

/* What one pg_exec came to. */
struct call {
	int times;
	enum err err;
	int rows;
	char value[48], sqlstate[6], message[120], detail[16], constraint[64];
};

static struct pgserver server;
static struct loop *loop;
static struct timer limit;
static bool late, inside_exec;
static bool together; /* what has a number may share a transaction; there the highest goes first */
static int up_changes;
static long outstanding;
static struct pg *pool;

static const struct pg_stmt add_one = {.name = "add_one", .sql = "SELECT $1::int + 1", .nparams = 1};
static const struct pg_stmt echo = {.name = "echo", .sql = "SELECT $1::text", .nparams = 1};
static const struct pg_stmt divide = {.name = "divide", .sql = "SELECT 100 / $1::int", .nparams = 1};
static const struct pg_stmt wrong = {.name = "wrong", .sql = "SELEKT $1::int", .nparams = 1};
static const struct pg_stmt nap = {.name = "nap", .sql = "SELECT pg_sleep($1::float8)", .nparams = 1};
static const struct pg_stmt insert = {
    .name = "insert", .sql = "INSERT INTO t(id) VALUES ($1::int) RETURNING id", .nparams = 1};
static const struct pg_stmt insert_late = {
    .name = "insert_late", .sql = "INSERT INTO late(id) VALUES ($1::int)", .nparams = 1};
static const struct pg_stmt conflict = {.name = "conflict", .sql = "SELECT stale($1::text)", .nparams = 1};
static const struct pg_stmt forget = {.name = "forget", .sql = "DEALLOCATE ALL", .nparams = 0};
static const struct pg_stmt settings = {
    .name = "settings",
    .sql = "SELECT current_setting('TimeZone') || ' ' || current_setting('client_encoding') || ' ' || "
           "current_setting('statement_timeout') || ' ' || current_setting('application_name')"};
static const struct pg_stmt names = {
    .name = "names", .sql = "SELECT count(*) FROM pg_prepared_statements", .nparams = 0};
static const struct pg_stmt copy = {.name = "copy", .sql = "COPY t TO STDOUT", .nparams = 0};
static const struct pg_stmt transaction = {
    .name = "transaction", .sql = "SELECT pg_current_xact_id() FROM stale_unless($1::int)", .nparams = 1};
static const struct pg_stmt place = {
    .name = "place", .sql = "INSERT INTO places(id) VALUES ($1::int) RETURNING place", .nparams = 1};
static const struct pg_stmt all_rows = {.name = "all_rows", .sql = "SELECT * FROM shape", .nparams = 0};
/* Like those of bots: for one who asks, or for many. */
static const struct pg_stmt many_add = {
    .name = "many_add",
    .sql = "SELECT n, stale_unless(v) + 1 FROM unnest($1::text[]::int[]) WITH ORDINALITY a (v, n) WHERE v <> 13",
    .nparams = 1,
    .many = true};
static const struct pg_stmt many_insert = {
    .name = "many_insert",
    .sql = "WITH a AS (INSERT INTO t(id) SELECT * FROM unnest($1::text[]::int[]) RETURNING id) SELECT count(*) FROM a",
    .nparams = 1,
    .many = true};
static const struct pg_stmt many_nap = {
    .name = "many_nap",
    .sql = "SELECT n, pg_sleep(v) FROM unnest($1::text[]::int[]) WITH ORDINALITY a (v, n)",
    .nparams = 1,
    .many = true};
static const struct pg_stmt many_backend = {
    .name = "many_backend",
    .sql = "SELECT n, pg_backend_pid() FROM unnest($1::text[]) WITH ORDINALITY a (v, n)",
    .nparams = 1,
    .many = true};
static const struct pg_stmt many_nobodys = {
    .name = "many_nobodys",
    .sql = "SELECT nullif(n, 3) * 1 AS n, v FROM unnest($1::text[]) WITH ORDINALITY a (v, n)",
    .nparams = 1,
    .many = true};
static const struct pg_stmt many_texts = {
    .name = "many_texts",
    .sql = "SELECT n, coalesce(a, 'nothing') || '/' || coalesce(b, 'nothing') FROM "
           "unnest($1::text[], $2::text[]) WITH ORDINALITY v (a, b, n), generate_series(1, length(b)) ORDER BY n DESC",
    .nparams = 2,
    .many = true};
static const struct pg_stmt many_places = {
    .name = "many_places",
    .sql = "INSERT INTO places(id) SELECT * FROM unnest($1::text[]::int[]) RETURNING place",
    .nparams = 1,
    .many = true};

/* Tell how they went, and fail on -1. */
static const struct pg_stmt went_alone = {
    .name = "went/one", .sql = "SELECT 1, stale_unless($1::text::int), 'alone'", .nparams = 1};
static const struct pg_stmt went = {
    .name = "went",
    .sql = "SELECT n, stale_unless(v), 'set' FROM unnest($1::text[]::int[]) WITH ORDINALITY a (v, n)",
    .nparams = 1,
    .many = true,
    .one = &went_alone};

static void on_limit(void *arg)
{
	(void)arg;
	late = true;
	loop_stop(loop);
}

static void run_within(int64_t ms)
{
	late = false;
	timer_set(&limit, ms);
	loop_run(loop);
	timer_stop(&limit);
}

static void on_change(void *arg, bool up)
{
	(void)arg;
	(void)up;
	up_changes++;
	if (outstanding == 0)
		loop_stop(loop);
}

static struct pg_opts options(void)
{
	return (struct pg_opts){.url = server.url,
	                        .application_name = "test",
	                        .connections = 4,
	                        .prepare = true,
	                        .keepalive_s = 60,
	                        .statement_timeout_ms = 5000,
	                        .on_change = on_change};
}

static void wait_up(bool up)
{
	int64_t end = clock_ms() + 15000;

	while (pg_up(pool) != up && clock_ms() < end)
		run_within(50);
	CHECK_INT(pg_up(pool), up);
}

static void open_pool(const struct pg_opts *o)
{
	outstanding = 0;
	pool = pg_open(loop, o);
	wait_up(true);
}

static void close_pool(void)
{
	pg_close(pool);
	pool = NULL;
}

static void on_answer(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct call *c = arg;

	if (inside_exec) /* never inside the call that started it */
		c->times += 100;
	c->times++;
	c->err = err;
	CHECK_INT(rows != NULL, err == ERR_OK);
	c->rows = rows ? rows->n : 0;
	if (c->rows > 0)
		snprintf(c->value, sizeof(c->value), "%s",
		         PQgetvalue(rows->res, pg_row(rows, 0), PQnfields(rows->res) - 1));
	snprintf(c->sqlstate, sizeof(c->sqlstate), "%s", fault->sqlstate);
	snprintf(c->message, sizeof(c->message), "%s", fault->message);
	snprintf(c->detail, sizeof(c->detail), "%s", fault->detail);
	snprintf(c->constraint, sizeof(c->constraint), "%s", fault->constraint);
	if (--outstanding == 0)
		loop_stop(loop);
}

static void exec_for(struct call *c, const struct pg_stmt *stmt, struct span v, pg_fn *fn)
{
	int64_t number = 0;
	bool numbered = span_i64(v, &number);
	struct pg_params params = {.n = stmt->nparams, .v = {v}, .together = together && numbered, .order = -number};

	memset(c, 0, sizeof(*c));
	outstanding++;
	inside_exec = true;
	pg_exec(pool, stmt, &params, fn, c);
	inside_exec = false;
}

static void exec_span(struct call *c, const struct pg_stmt *stmt, struct span v)
{
	exec_for(c, stmt, v, on_answer);
}

static void exec_text(struct call *c, const struct pg_stmt *stmt, const char *v)
{
	exec_span(c, stmt, span_of(v));
}

static void exec_int(struct call *c, const struct pg_stmt *stmt, int v)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", v);
	exec_text(c, stmt, text);
}

static void finish(void)
{
	if (outstanding > 0)
		run_within(25000);
	CHECK(!late);
	CHECK_INT(outstanding, 0);
}

/* --- cases */

/* Runs it again with statements that may share a transaction. */
static void in_company(void (*test)(void))
{
	together = true;
	test();
	together = false;
}

static void check_thousand(bool prepare)
{
	static struct call calls[1000];
	struct pg_opts o = options();

	o.prepare = prepare;
	open_pool(&o);
	for (int i = 0; i < 1000; i++)
		exec_int(&calls[i], i % 3 ? &add_one : &echo, i);
	finish();
	for (int i = 0; i < 1000; i++) {
		CHECK_INT(calls[i].times, 1);
		CHECK_INT(calls[i].err, ERR_OK);
		CHECK_INT(atoi(calls[i].value), i % 3 ? i + 1 : i);
	}
	exec_span(&calls[0], &echo, (struct span){NULL, 0});
	exec_span(&calls[1], &echo, SPAN(""));
	exec_text(&calls[2], &settings, NULL);
	finish();
	CHECK_INT(calls[0].rows, 1);
	CHECK_STR(calls[2].value, prepare ? "UTC UTF8 5s test" : "UTC UTF8 0 test");
	CHECK_STR(calls[1].value, "");
	exec_text(&calls[0], &names, NULL);
	finish();
	CHECK(prepare ? atoi(calls[0].value) >= 2 : atoi(calls[0].value) == 0);
	close_pool();
}

static void thousand_statements(void)
{
	check_thousand(true);
}

/* Asked for more and more, while a table that was tiny when it was planned grows and nobody ANALYZEs it. */
static void plans_follow_growth(void)
{
	static const struct pg_stmt find = {
	    .name = "find", .sql = "SELECT v FROM grows WHERE id = $1::text::int", .nparams = 1};
	static const struct pg_stmt name = {
	    .name = "name",
	    .sql = "SELECT name FROM pg_prepared_statements WHERE statement LIKE 'SELECT v FROM grows%'"};
	static char explain[128];
	static const struct pg_stmt plan = {.name = "plan", .sql = explain};
	static struct call calls[400], said;
	struct pg_opts o = options();

	pgserver_sql(&server, "CREATE TABLE grows (id int PRIMARY KEY, v text) WITH (autovacuum_enabled = false)");
	pgserver_sql(&server, "INSERT INTO grows VALUES (1, 'one')");
	pgserver_sql(&server, "ANALYZE grows");
	o.connections = 1;
	o.plan_once = true;
	open_pool(&o);
	exec_int(&calls[0], &find, 1);
	exec_text(&said, &name, NULL);
	finish();
	snprintf(explain, sizeof(explain), "EXPLAIN EXECUTE \"%s\" ('7')", said.value);
	exec_text(&said, &plan, NULL);
	finish();
	CHECK(strstr(said.value, "Seq Scan") != NULL);
	pgserver_sql(&server, "INSERT INTO grows SELECT n, 'more' FROM generate_series(2, 3000) n");
	for (int turn = 0; turn < 22; turn++) { /* more than 8,192, and some more by the new plan */
		for (int i = 0; i < 400; i++)
			exec_int(&calls[i], &find, i + 1);
		finish();
		for (int i = 0; i < 400; i++)
			CHECK(calls[i].err == ERR_OK && calls[i].rows == 1 && calls[i].times == 1);
	}
	exec_text(&said, &plan, NULL);
	finish();
	CHECK(strstr(said.value, "Index Scan") != NULL);
	pgserver_sql(&server, "DROP TABLE grows");
	close_pool();
}

static void without_prepared_names(void)
{
	check_thousand(false);
}

static void an_error_spoils_nothing_else(void)
{
	static struct call calls[600];
	struct pg_opts o = options();

	o.connections = 2;
	open_pool(&o);
	pgserver_sql(&server, "TRUNCATE t, late");
	for (int i = 0; i < 600; i++)
		if (i % 7 == 3)
			exec_int(&calls[i], &divide, 0);
		else if (i % 7 == 4)
			exec_int(&calls[i], &wrong, i);
		else if (i % 7 == 5)
			exec_int(&calls[i], &insert_late, 1); /* fails at the commit, but for the first */
		else
			exec_int(&calls[i], &insert, i);
	finish();
	for (int i = 0, first = 0; i < 600; i++) {
		CHECK_INT(calls[i].times, 1);
		if (i % 7 == 3) {
			CHECK_INT(calls[i].err, ERR_INVALID);
			CHECK_STR(calls[i].sqlstate, "22012");
		} else if (i % 7 == 4) {
			CHECK_INT(calls[i].err, ERR_INTERNAL);
			CHECK_STR(calls[i].sqlstate, "42601");
		} else if (i % 7 == 5 && calls[i].err != ERR_OK) {
			CHECK_INT(calls[i].err, ERR_EXISTS);
			CHECK_STR(calls[i].constraint, "late_once");
		} else if (i % 7 == 5) {
			CHECK_INT(++first, 1);
		} else {
			CHECK_INT(calls[i].err, ERR_OK);
			CHECK_INT(atoi(calls[i].value), i);
		}
	}
	CHECK_STR(pgserver_sql(&server, "SELECT count(*) FROM late"), "1");
	CHECK_STR(pgserver_sql(&server, "SELECT count(*) FROM t"), "343");
	close_pool();
}

static void thousand_in_company(void)
{
	in_company(thousand_statements);
	in_company(without_prepared_names);
}

static void an_error_in_company(void)
{
	in_company(an_error_spoils_nothing_else);
}

/* Behind one that takes its time on the only connection, 80 gather: 64 go first, then the rest. */
static void gather(struct call *calls, const struct pg_stmt *stmt, int bad)
{
	struct pg_opts o = options();
	struct call busy;

	o.connections = 1;
	open_pool(&o);
	exec_text(&busy, &nap, "0.1");
	together = true;
	for (int i = 0; i < 80; i++)
		exec_int(&calls[i], stmt, i == bad ? -1 : i);
	together = false;
	finish();
	close_pool();
}

static void one_commit_for_many(void)
{
	static struct call calls[80];
	int shared = 0;

	gather(calls, &transaction, 80);
	for (int i = 0; i < 80; i++) {
		CHECK_INT(calls[i].err, ERR_OK);
		CHECK_STR(calls[i].value, calls[i < 64 ? 0 : 64].value);
	}
	CHECK(strcmp(calls[0].value, calls[64].value) != 0);

	gather(calls, &transaction, 20); /* the other 63 go again, each in a transaction of its own */
	CHECK_INT(calls[20].err, ERR_CONFLICT);
	CHECK_STR(calls[20].message, "-1");
	for (int i = 0; i < 64; i++) {
		CHECK_INT(calls[i].times, 1);
		if (i != 20)
			CHECK_INT(calls[i].err, ERR_OK);
		for (int k = 0; i != 20 && k < i; k++)
			shared += strcmp(calls[i].value, calls[k].value) == 0;
	}
	CHECK_INT(shared, 0);
	CHECK_STR(calls[79].value, calls[64].value);

	gather(calls, &place, 80);
	for (int i = 0; i < 64; i++)
		CHECK_INT(atoi(calls[i].value), 64 - i);
}

static double sent(const char *statement)
{
	return series_value(SERIES(metric_counter("shoal_sql_statements_total", "statement", ""), statement));
}

static double asked(const char *statement)
{
	return series_value(SERIES(metric_counter("shoal_sql_asked_total", "statement", ""), statement));
}

/* Behind one that takes its time on the only connection: all of them wait when it is over. */
static void gather_many(struct call *calls, int n, const struct pg_stmt *stmt, bool prepare, int (*number)(int i))
{
	struct pg_opts o = options();
	struct call busy;

	o.connections = 1;
	o.prepare = prepare;
	open_pool(&o);
	exec_text(&busy, &nap, "0.1");
	together = true;
	for (int i = 0; i < n; i++)
		exec_int(&calls[i], stmt, number(i));
	together = false;
	finish();
	for (int i = 0; i < n; i++)
		CHECK_INT(calls[i].times, 1);
	close_pool();
}

static int as_it_is(int i)
{
	return i;
}

static int one_is_bad(int i)
{
	return i == 20 ? -1 : i;
}

static int in_pairs(int i)
{
	return i / 2;
}

static void one_statement_for_many(void)
{
	static struct call calls[70];

	for (int prepare = 1; prepare >= 0; prepare--) {
		gather_many(calls, 70, &many_add, prepare, as_it_is);
		for (int i = 0; i < 70; i++) {
			CHECK_INT(calls[i].err, ERR_OK);
			CHECK_INT(calls[i].rows, i != 13); /* the statement has nothing to say to that one */
			CHECK_INT(atoi(calls[i].value), i != 13 ? i + 1 : 0);
		}
	}
	CHECK_INT((int)sent("many_add"), 4); /* 64 and 6 */
	CHECK_INT((int)asked("many_add"), 140);
	gather_many(calls, 6, &many_add, true, in_pairs); /* two of one order: never in one statement */
	for (int i = 0; i < 6; i++)
		CHECK_INT(atoi(calls[i].value), i / 2 + 1);
	CHECK_INT((int)sent("many_add"), 6);

	gather_many(calls, 40, &many_places, true, as_it_is); /* the lowest order, here the highest number, first */
	for (int i = 0; i < 40; i++)
		CHECK_INT(calls[i].rows, 0);
	CHECK_STR(pgserver_sql(&server,
	                       "SELECT bool_and(id = 39 - rank) FROM (SELECT id, row_number() OVER (ORDER BY "
	                       "place) - 1 AS rank FROM places WHERE place > (SELECT max(place) - 40 FROM places)) p"),
	          "t");
}

static void one_of_many_fails(void)
{
	static struct call calls[40];
	double before = sent("many_add");

	gather_many(calls, 40, &many_add, true, one_is_bad);
	CHECK_INT(calls[20].err, ERR_CONFLICT);
	CHECK_STR(calls[20].message, "-1");
	for (int i = 0; i < 40; i++)
		if (i != 20 && i != 13)
			CHECK_INT(atoi(calls[i].value), i + 1);
	CHECK_INT((int)(sent("many_add") - before), 40); /* each by itself; the one that failed does not count */

	pgserver_sql(&server, "TRUNCATE t; INSERT INTO t VALUES (7)");
	gather_many(calls, 40, &many_insert, true, as_it_is);
	for (int i = 0; i < 40; i++)
		CHECK_INT(calls[i].err, i == 7 ? ERR_EXISTS : ERR_OK);
	CHECK_STR(calls[7].constraint, "t_pkey");
	CHECK_STR(pgserver_sql(&server, "SELECT count(*) FROM t"), "40");
	gather_many(calls, 40, &many_insert, true, in_pairs); /* all are there, each twice */
	for (int i = 0; i < 40; i++)
		CHECK_INT(calls[i].err, ERR_EXISTS);
	CHECK_STR(pgserver_sql(&server, "SELECT count(*) FROM t"), "40");
}

/* To be told no row has a meaning, which a statement that forgets somebody must not give it. */
static void rows_of_many_have_their_owner(void)
{
	static struct call calls[6];

	gather_many(calls, 6, &many_nobodys, true, as_it_is);
	for (int i = 0; i < 6; i++)
		CHECK_INT(calls[i].err, ERR_INTERNAL);
}

static const char *how_it_went(struct call *c, const struct pg_stmt *stmt)
{
	together = true;
	exec_int(c, stmt, 7);
	together = false;
	finish();
	return c->err == ERR_OK ? c->value : err_text(c->err);
}

/* A connection learns what a set needs from the first who is alone. Prepared or not, the next ones go for themselves;
 * so do those whose set failed. */
static void who_is_alone_is_no_set(void)
{
	static struct call calls[40];
	struct pg_opts o = options();
	struct call c;

	o.connections = 1;
	open_pool(&o);
	CHECK_STR(how_it_went(&c, &went), "set");
	CHECK_STR(how_it_went(&c, &went), "alone");
	CHECK_STR(how_it_went(&c, &went), "alone");
	exec_text(&c, &names, NULL);
	finish();
	CHECK_STR(c.value, "3");
	close_pool();

	o.prepare = false;
	open_pool(&o);
	CHECK_STR(how_it_went(&c, &went), "alone");
	close_pool();

	for (int prepare = 0; prepare < 2; prepare++) {
		gather_many(calls, 40, &went, prepare, as_it_is);
		for (int i = 0; i < 40; i++)
			CHECK_STR(calls[i].value, "set");
		gather_many(calls, 40, &went, prepare, one_is_bad);
		for (int i = 0; i < 40; i++) {
			CHECK_INT(calls[i].times, 1);
			CHECK_INT(calls[i].err, i == 20 ? ERR_CONFLICT : ERR_OK);
			CHECK_STR(calls[i].value, i == 20 ? "" : "alone");
		}
	}
}

/* Other statements of the same names: no connection takes one for the other, and each is prepared. */
static void forms_of_one_name(void)
{
	static const struct pg_stmt alone = {
	    .name = "went/one", .sql = "SELECT $1::text, 2, 'alone, too'", .nparams = 1};
	static const struct pg_stmt too = {.name = "went, too",
	                                   .sql = "SELECT n, v, 'set, too' FROM unnest($1::text[]) "
	                                          "WITH ORDINALITY a (v, n)",
	                                   .nparams = 1,
	                                   .many = true,
	                                   .one = &alone};
	struct pg_opts o = options();
	struct call c;

	o.connections = 1;
	open_pool(&o);
	for (int i = 0; i < 3; i++) {
		CHECK_STR(how_it_went(&c, &went), i ? "alone" : "set");
		CHECK_STR(how_it_went(&c, &too), i ? "alone, too" : "set, too");
	}
	exec_text(&c, &names, NULL);
	finish();
	CHECK_STR(c.value, "5");
	close_pool();
}

/* Each of two that are at work at once has a connection for itself, once there are two. */
static bool both_are_there(void)
{
	static const struct pg_stmt busy = {
	    .name = "busy", .sql = "SELECT pg_sleep($1::float8), pg_backend_pid()", .nparams = 1};
	struct call calls[2];

	for (int i = 0; i < 2; i++)
		exec_text(&calls[i], &busy, "0.05");
	finish();
	return strcmp(calls[0].value, calls[1].value) != 0;
}

/* One that knows a statement for many, and not that for one, has nothing to learn from a set. */
static void a_set_goes_where_it_teaches(void)
{
	static const struct pg_stmt alone = {
	    .name = "backend/one", .sql = "SELECT $1::text, 2, pg_backend_pid()", .nparams = 1};
	static const struct pg_stmt backend = {.name = "backend",
	                                       .sql = "SELECT n, v, pg_backend_pid() FROM unnest($1::text[]) "
	                                              "WITH ORDINALITY a (v, n)",
	                                       .nparams = 1,
	                                       .many = true,
	                                       .one = &alone};
	struct pg_opts o = options();
	struct call first, pair[2];

	o.connections = 2;
	open_pool(&o);
	for (int64_t end = clock_ms() + 15000; clock_ms() < end && !both_are_there();)
		;
	how_it_went(&first, &backend);
	together = true;
	exec_int(&pair[0], &backend, 1);
	exec_int(&pair[1], &backend, 2);
	together = false;
	finish();
	CHECK_STR(pair[0].value, pair[1].value);
	CHECK(strcmp(pair[0].value, first.value) != 0);
	close_pool();
}

static void texts_of_many(void)
{
	static const struct {
		struct span a, b;
		const char *got;
		int rows;
	} cases[] = {{SPAN("x"), SPAN("yy"), "x/yy", 2},
	             {{NULL, 0}, SPAN("{\"z\",NULL}\\"), "nothing/{\"z\",NULL}\\", 11},
	             {SPAN(""), SPAN("\xc3\xa4 "), "/\xc3\xa4 ", 2},
	             {SPAN("last"), {NULL, 0}, "", 0}};
	static struct call calls[4];
	struct pg_opts o = options();
	struct call busy;

	o.connections = 1;
	memset(calls, 0, sizeof(calls));
	open_pool(&o);
	exec_text(&busy, &nap, "0.1");
	for (int i = 0; i < 4; i++, outstanding++)
		pg_exec(pool, &many_texts, &(struct pg_params){.n = 2, .v = {cases[i].a, cases[i].b}, .together = true},
		        on_answer, &calls[i]);
	finish();
	for (int i = 0; i < 4; i++) {
		CHECK_STR(calls[i].value, cases[i].got);
		CHECK_INT(calls[i].rows, cases[i].rows);
	}
	CHECK_INT((int)sent("many_texts"), 1);
	close_pool();
}

/* As many as stated are held up on each of two connections; one more comes. Whether it is answered meanwhile. */
static bool answered_beside(int held_up)
{
	static struct call calls[2][30], one;
	struct pg_opts o = options();
	bool answered;

	open_pool(&o);
	together = true;
	for (int i = 0; i < 2; i++) {
		exec_int(&calls[i][0], &many_nap, 4 + i);
		for (int k = 1; k < held_up; k++)
			exec_int(&calls[i][k], &many_nap, 0);
		run_within(100);
	}
	exec_int(&one, &many_add, 5);
	together = false;
	for (int64_t end = clock_ms() + 3000; one.times == 0 && clock_ms() < end;)
		run_within(50);
	answered = one.times == 1;
	CHECK(!answered || calls[0][0].times == 0);
	close_pool();
	return answered;
}

static void few_do_not_wait_for_company(void)
{
	CHECK(answered_beside(1));
	CHECK(answered_beside(30)); /* nor does one beside many, for long */
}

/* One at a time would always find the first one idle. */
static void every_connection_learns_early(void)
{
	struct pg_opts o = options();
	char known[4][sizeof(((struct call *)0)->value)];
	int n = 0, i;

	open_pool(&o);
	together = true;
	for (int64_t end = clock_ms() + 20000; n < 4 && clock_ms() < end; run_within(10)) {
		struct call one;

		exec_int(&one, &many_backend, 1);
		finish();
		for (i = 0; i < n && strcmp(known[i], one.value) != 0; i++)
			;
		if (i == n)
			snprintf(known[n++], sizeof(known[0]), "%s", one.value);
	}
	together = false;
	CHECK_INT(n, 4);
	close_pool();
}

/* Its backend goes while it is at work for many: nothing was done, and everybody hears so. */
static void many_lose_their_connection(void)
{
	static struct call calls[5];
	struct pg_opts o = options();

	o.connections = 1;
	open_pool(&o);
	together = true;
	for (int i = 0; i < 5; i++) {
		memset(&calls[i], 0, sizeof(calls[i]));
		exec_int(&calls[i], &many_nap, i + 5);
	}
	together = false;
	run_within(300);
	pgserver_sql(&server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(v)%' "
	                      "AND pid <> pg_backend_pid()");
	finish();
	for (int i = 0; i < 5; i++) {
		CHECK_INT(calls[i].times, 1);
		CHECK(calls[i].err == ERR_UNREACHABLE || calls[i].err == ERR_UNKNOWN);
	}
	close_pool();
}

static void faults_are_told_apart(void)
{
	struct call a, b, c, d, e;
	struct pg_opts o = options();

	open_pool(&o);
	pgserver_sql(&server, "TRUNCATE t");
	exec_text(&a, &conflict, "already_accepted");
	exec_int(&b, &insert, 7);
	finish();
	exec_int(&c, &insert, 7);
	exec_span(&d, &echo, SPAN("a\0b"));
	exec_int(&e, &insert, -1);
	finish();
	CHECK_INT(a.err, ERR_CONFLICT);
	CHECK_STR(a.sqlstate, "SH001");
	CHECK_STR(a.message, "already_accepted");
	CHECK_STR(a.detail, "of 7");
	CHECK_INT(b.err, ERR_OK);
	CHECK_INT(c.err, ERR_EXISTS);
	CHECK_STR(c.constraint, "t_pkey");
	CHECK_INT(d.err, ERR_INVALID);
	CHECK_STR(d.sqlstate, "");
	CHECK(d.message[0] != '\0');
	CHECK_STR(d.detail, "");
	CHECK_INT(e.err, ERR_INVALID);
	CHECK_STR(e.constraint, "t_id_check");
	close_pool();
	CHECK_INT(pg_classify("40001"), ERR_CONFLICT);
	CHECK_INT(pg_classify("40P01"), ERR_CONFLICT);
	CHECK_INT(pg_classify("53100"), ERR_FULL);
	CHECK_INT(pg_classify("53300"), ERR_UNREACHABLE);
	CHECK_INT(pg_classify("57P03"), ERR_UNREACHABLE);
	CHECK_INT(pg_classify("57014"), ERR_TIMEOUT);
	CHECK_INT(pg_classify("55P03"), ERR_UNREACHABLE);
	CHECK_INT(pg_classify("58030"), ERR_UNREACHABLE);
	CHECK_INT(pg_classify("28P01"), ERR_DENIED);
	CHECK_INT(pg_classify("42501"), ERR_DENIED);
	CHECK_INT(pg_classify("42P01"), ERR_UNREACHABLE);
	CHECK_INT(pg_classify("42601"), ERR_INTERNAL);
	CHECK_INT(pg_classify("XX000"), ERR_INTERNAL);
	CHECK_INT(pg_classify(""), ERR_INTERNAL);
}

static void lost_names_and_stale_plans(void)
{
	struct call a, b, c, d, e;
	struct pg_opts o = options();

	o.connections = 1;
	open_pool(&o);
	pgserver_sql(&server, "DROP TABLE IF EXISTS shape; CREATE TABLE shape AS SELECT 1 AS a");
	exec_int(&a, &add_one, 1);
	exec_text(&c, &all_rows, NULL);
	finish();
	exec_text(&c, &all_rows, NULL);
	finish();
	pgserver_sql(&server, "ALTER TABLE shape ADD b text DEFAULT 'x'");
	exec_text(&d, &all_rows, NULL);
	finish();
	CHECK_INT(c.err, ERR_OK);
	CHECK_INT(d.err, ERR_OK);
	exec_text(&b, &forget, NULL);
	exec_int(&a, &add_one, 41);
	exec_int(&e, &add_one, 42);
	finish();
	CHECK_INT(b.err, ERR_OK);
	CHECK_INT(a.err, ERR_OK);
	CHECK_STR(a.value, "42");
	CHECK_STR(e.value, "43");
	exec_text(&b, &copy, NULL); /* no place for it: an error, and the pool lives on */
	finish();
	CHECK(b.err != ERR_OK);
	wait_up(true);
	exec_int(&a, &add_one, 1);
	finish();
	CHECK_STR(a.value, "2");
	close_pool();
}

static void statement_timeout(void)
{
	struct call a, b;
	struct pg_opts o = options();
	int before = up_changes;

	o.connections = 1;
	o.statement_timeout_ms = 200;
	open_pool(&o);
	exec_text(&a, &nap, "5");
	exec_int(&b, &add_one, 1);
	finish();
	CHECK_INT(a.err, ERR_TIMEOUT);
	CHECK_STR(a.sqlstate, "57014");
	CHECK_STR(b.value, "2");
	CHECK_INT(up_changes - before, 1); /* the connection stayed */
	close_pool();
}

static void a_stalled_server(void)
{
	struct call a, b;
	struct pg_opts o = options();
	int64_t start;

	o.connections = 1;
	o.statement_timeout_ms = 200;
	open_pool(&o);
	pgserver_signal_all(&server, SIGSTOP);
	start = clock_ms();
	exec_int(&a, &add_one, 1);
	exec_int(&b, &add_one, 1);
	finish();
	CHECK(clock_ms() - start >= 2000 && clock_ms() - start < 4000);
	CHECK_INT(a.err, ERR_TIMEOUT);
	CHECK_INT(b.err, ERR_TIMEOUT);
	CHECK_STR(a.sqlstate, "");
	exec_int(&a, &add_one, 1);
	finish();
	CHECK_INT(a.err, ERR_UNREACHABLE);
	pgserver_signal_all(&server, SIGCONT);
	wait_up(true);
	exec_int(&a, &add_one, 1);
	finish();
	CHECK_STR(a.value, "2");
	close_pool();
}

static void idle_connections_are_pinged(void)
{
	struct pg_opts o = options();

	o.connections = 1;
	o.keepalive_s = 1;
	o.statement_timeout_ms = 100;
	open_pool(&o);
	run_within(1500);
	CHECK(pg_up(pool));
	pgserver_signal_all(&server, SIGSTOP);
	run_within(4500); /* the ping finds out without any statement */
	CHECK(!pg_up(pool));
	pgserver_signal_all(&server, SIGCONT);
	wait_up(true);
	close_pool();
}

static void a_read_only_server(void)
{
	char url[512];
	struct call a, b;
	struct pg_opts o = options();
	int before = up_changes;

	snprintf(url, sizeof(url), "%s options='-c default_transaction_read_only=on'", server.url);
	o.url = url;
	o.connections = 1;
	open_pool(&o);
	exec_int(&a, &insert, 500);
	exec_int(&b, &add_one, 1); /* under way behind it: not harmed */
	finish();
	CHECK_INT(a.err, ERR_UNREACHABLE);
	CHECK_STR(a.sqlstate, "25006");
	CHECK_STR(b.value, "2");
	run_within(2000);
	CHECK(up_changes - before >= 3); /* up, down, up */
	close_pool();
}

/* Keeps some inserts under way while the server is hit; then what was told must be what is stored. */
struct load {
	struct call *calls;
	int next, n;
	bool stop;
};
static struct load load;

static void on_load(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault);

static void add_load(void)
{
	struct call *c = &load.calls[load.next];
	char text[16];

	snprintf(text, sizeof(text), "%d", load.next++);
	exec_for(c, together ? &many_insert : &insert, span_of(text), on_load);
}

static void on_load(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	load.stop |= err != ERR_OK;
	if (!load.stop && load.next < load.n)
		add_load();
	on_answer(arg, err, rows, fault);
}

static void start_load(int width)
{
	load.stop = false;
	while (width-- > 0)
		add_load();
}

static void check_restart(int signum)
{
	static struct call calls[40000];
	struct pg_opts o = options();
	int ok = 0, unknown = 0, unreachable = 0, stored = 0;
	char *have;
	PGconn *c;
	PGresult *r;

	pgserver_sql(&server, "TRUNCATE t");
	open_pool(&o);
	load = (struct load){.calls = calls, .n = 40000};
	for (int round = 0; round < 4; round++) {
		start_load(200);
		run_within(2 + 5 * round);
		kill(server.pid, signum);
		finish();
		waitpid(server.pid, NULL, 0);
		wait_up(false);
		pgserver_start(&server);
		wait_up(true);
		run_within(20); /* a connection may have been made just before the old one went */
		wait_up(true);
	}
	load.n = load.next + 10;
	start_load(10);
	finish();
	c = pgserver_connect(&server);
	r = PQexec(c, "SELECT id FROM t");
	have = calloc(1, 40000);
	stored = PQntuples(r);
	for (int i = 0; i < stored; i++)
		have[atoi(PQgetvalue(r, i, 0))] = 1;
	PQclear(r);
	PQfinish(c);
	for (int i = 0; i < load.next; i++) {
		CHECK_INT(calls[i].times, 1);
		CHECK(calls[i].err == ERR_OK || calls[i].err == ERR_UNKNOWN || calls[i].err == ERR_UNREACHABLE);
		ok += calls[i].err == ERR_OK;
		unknown += calls[i].err == ERR_UNKNOWN;
		unreachable += calls[i].err == ERR_UNREACHABLE;
		if (calls[i].err == ERR_OK && !have[i])
			printf("# %d was told and is lost\n", i), check_failed_here++;
		if (calls[i].err == ERR_UNREACHABLE && have[i])
			printf("# %d was denied and is there: %s\n", i, calls[i].message), check_failed_here++;
	}
	printf("# signal %d: %d ok, %d unknown, %d unreachable, %d stored\n", signum, ok, unknown, unreachable, stored);
	CHECK(ok >= 10 && ok < load.next);
	CHECK(stored >= ok && stored <= ok + unknown);
	for (int i = load.next - 10; i < load.next; i++) {
		CHECK_INT(calls[i].err, ERR_OK);
		if (calls[i].err != ERR_OK)
			printf("# %d after the restart: %s\n", i, calls[i].message);
	}
	free(have);
	close_pool();
}

static void killed_under_load(void)
{
	check_restart(SIGQUIT);
}

static void shut_down_under_load(void)
{
	check_restart(SIGINT);
}

static void hit_in_company(void)
{
	in_company(killed_under_load);
	in_company(shut_down_under_load);
	in_company(lost_names_and_stale_plans);
	in_company(statement_timeout);
}

static void appears_later(void)
{
	struct call a;
	struct pg_opts o = options();

	pgserver_stop(&server, SIGINT);
	outstanding = 0;
	pool = pg_open(loop, &o);
	exec_int(&a, &add_one, 1);
	finish();
	CHECK_INT(a.err, ERR_UNREACHABLE);
	run_within(500);
	CHECK(!pg_up(pool));
	pgserver_spawn_server(&server);
	wait_up(true);
	exec_int(&a, &add_one, 1);
	finish();
	CHECK_STR(a.value, "2");
	close_pool();
}

static int connections_up(void)
{
	return (int)series_value(SERIES(metric_gauge("shoal_pg_pool", "state", ""), "up"));
}

static void more_than_it_can_hold(void)
{
	enum { N = 5000 };
	static struct call calls[N];
	struct pg_opts o = options();
	int ok = 0, refused = 0;

	open_pool(&o);
	for (int i = 0; i < 100 && connections_up() < 4; i++)
		run_within(20);
	for (int i = 0; i < N; i++)
		exec_int(&calls[i], &add_one, i);
	finish();
	for (int i = 0; i < N; i++) {
		CHECK_INT(calls[i].times, 1);
		ok += calls[i].err == ERR_OK;
		refused += calls[i].err == ERR_UNREACHABLE;
	}
	CHECK_INT(ok, 4096 + 4 * 64);
	CHECK_INT(refused, N - ok);
	close_pool();
}

static int closes_left;
static void on_close(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct call *c = arg;
	struct pg *p = pool;

	on_answer(c, err, rows, fault);
	if (p == NULL)
		return;
	pool = NULL;
	pg_close(p);
}

static void on_close_then_exec(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	on_answer(arg, err, rows, fault);
	if (closes_left-- > 0)
		exec_int(arg, &add_one, 1);
}

static void closed_with_work_under_way(void)
{
	static struct call calls[600];
	struct call slow, last;
	struct pg_params params = {.n = 1, .v = {SPAN("1")}};
	struct pg_opts o = options();

	open_pool(&o);
	for (int i = 0; i < 8; i++)
		exec_text(&calls[i], &nap, "3");
	run_within(100);
	for (int i = 8; i < 600; i++)
		exec_int(&calls[i], &add_one, i);
	closes_left = 3;
	outstanding++;
	pg_exec(pool, &add_one, &params, on_close_then_exec, &last);
	{
		struct pg *p = pool;

		pg_close(p);
		pool = NULL;
	}
	CHECK_INT(outstanding, 0);
	for (int i = 0; i < 600; i++) {
		CHECK_INT(calls[i].times, 1);
		CHECK_INT(calls[i].err, i < 8 ? ERR_UNKNOWN : ERR_UNREACHABLE);
	}
	CHECK_INT(last.err, ERR_UNREACHABLE);

	open_pool(&o); /* and from a callback, with others waiting for theirs */
	exec_text(&slow, &nap, "3");
	for (int i = 0; i < 600; i++) {
		memset(&calls[i], 0, sizeof(calls[i]));
		outstanding++;
		pg_exec(pool, &add_one, &params, on_close, &calls[i]);
	}
	finish();
	for (int i = 0; i < 600; i++)
		CHECK_INT(calls[i].times, 1);
	CHECK_INT(slow.times, 1);
	CHECK_INT(slow.err, ERR_UNKNOWN);
	CHECK(pool == NULL);

	o.connections = 1; /* from that of one whose result others have yet to read */
	open_pool(&o);
	exec_text(&slow, &nap, "0.1");
	together = true;
	for (int i = 0; i < 40; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", i);
		exec_for(&calls[i], &many_add, span_of(text), on_close);
	}
	together = false;
	finish();
	CHECK(pool == NULL);
	for (int i = 0; i < 40; i++) {
		CHECK_INT(calls[i].times, 1);
		CHECK_INT(calls[i].err, ERR_OK);
		CHECK_INT(atoi(calls[i].value), i != 13 ? i + 1 : 0);
	}

	outstanding = 0;
	pool = pg_open(loop, &o); /* while dialing */
	run_within(1);
	close_pool();
	pool = pg_open(loop, &o);
	close_pool();
}

static void hosts_by_name(void)
{
	char url[512];
	struct call a;
	struct pg_opts o = options();

	snprintf(url, sizeof(url), "postgresql://postgres@localhost:%d/postgres", server.port);
	o.url = url;
	open_pool(&o);
	exec_int(&a, &add_one, 1);
	finish();
	CHECK_STR(a.value, "2");
	close_pool();
	/* of several: a socket that is not there, a name that is not, and one that is */
	snprintf(url, sizeof(url),
	         "host=/nowhere,no.such.host.invalid,localhost port=1,1,%d user=postgres "
	         "dbname=postgres",
	         server.port);
	open_pool(&o);
	exec_int(&a, &add_one, 2);
	finish();
	CHECK_STR(a.value, "3");
	close_pool();
}

static void connection_strings(void)
{
	struct arena a;
	const char *why = NULL;
	PGconn *c;
	struct pg_opts o = options();
	struct call call;

	arena_init(&a);
	CHECK_INT(pg_check_url(server.url, &a, &why), ERR_OK);
	CHECK_INT(pg_check_url("postgresql:///shoal", &a, &why), ERR_OK);
	CHECK_INT(pg_check_url("postgresql://u:s%2Fw%40@h:5432/db?user=a@b", &a, &why), ERR_OK);
	CHECK_INT(pg_check_url("postgresql://u:s?w@h/db", &a, &why), ERR_OK);
	CHECK_INT(pg_check_url("postgresql://u:trout/perch@h:5432/db", &a, &why), ERR_INVALID);
	CHECK(strstr(why, "%2F") && !strstr(why, "trout") && !strstr(why, "perch"));
	CHECK_INT(pg_check_url("postgres://u:sword@fish@h/db?connect_timeout=1", &a, &why), ERR_INVALID);
	CHECK(strstr(why, "%40") && !strstr(why, "fish"));
	CHECK_INT(pg_check_url("postgresql://u:swordfish@h:5432x/db?nosuch=1", &a, &why), ERR_INVALID);
	CHECK(strstr(why, "swordfish") == NULL);
	CHECK_INT(pg_check_url("host=h password=swordfish nosuch=1", &a, &why), ERR_INVALID);
	CHECK(strstr(why, "swordfish") == NULL && strstr(why, "character 27"));
	CHECK_INT(pg_check_url("host=h password=sword fish", &a, &why), ERR_INVALID);
	CHECK(strstr(why, "fish") == NULL && strstr(why, "character 23"));
	c = pg_connect_now(server.url, "cli", 0, &a, &why);
	CHECK(c != NULL);
	PQfinish(c);
	why = NULL;
	c = pg_connect_now("host=/nowhere password=swordfish", "cli", 0, &a, &why);
	CHECK(c == NULL && why != NULL && strchr(why, '\n') == NULL && strstr(why, "swordfish") == NULL);
	arena_release(&a);
	o.url = "no such thing";
	outstanding = 0;
	pool = pg_open(loop, &o);
	exec_int(&call, &add_one, 1);
	finish();
	CHECK_INT(call.err, ERR_UNREACHABLE);
	close_pool();
}

static void metrics_tell(void)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	metrics_render(&b);
	CHECK(strstr(b.ptr, "shoal_sql_statements_total{statement=\"add_one\"}") != NULL);
	CHECK(strstr(b.ptr, "shoal_errors_total{peer=\"postgres\",kind=\"SH\"} 5\n") != NULL);
	CHECK(strstr(b.ptr, "shoal_errors_total{peer=\"postgres\",kind=\"group\"} ") != NULL);
	CHECK(strstr(b.ptr, "shoal_pg_pool{state=\"up\"} 0\n") != NULL);
	CHECK(strstr(b.ptr, "shoal_pg_pool{state=\"busy\"} 0\n") != NULL);
	CHECK(strstr(b.ptr, "shoal_pg_pool{state=\"connecting\"} 0\n") != NULL);
	buf_release(&b);
}

int main(void)
{
	log_init(getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR, LOG_TEXT, "test_pg", "1");
	pgserver_init(&server);
	server.port = port_own();
	pgserver_start(&server);
	pgserver_sql(&server, "CREATE TABLE t(id int PRIMARY KEY CHECK (id >= 0));"
	                      "CREATE TABLE late(id int CONSTRAINT late_once UNIQUE DEFERRABLE INITIALLY DEFERRED);"
	                      "CREATE TABLE places(id int, place serial);"
	                      "CREATE FUNCTION stale(reason text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
	                      "RAISE EXCEPTION USING ERRCODE = 'SH001', MESSAGE = reason, DETAIL = 'of 7'; END $$;"
	                      "CREATE FUNCTION stale_unless(i int) RETURNS int LANGUAGE sql AS $$ "
	                      "SELECT CASE WHEN i < 0 THEN stale(i::text) ELSE i END $$");
	loop = loop_new();
	timer_init(&limit, loop, on_limit, NULL);
	RUN(thousand_statements);
	RUN(without_prepared_names);
	RUN(plans_follow_growth);
	RUN(an_error_spoils_nothing_else);
	RUN(thousand_in_company);
	RUN(an_error_in_company);
	RUN(one_commit_for_many);
	RUN(one_statement_for_many);
	RUN(one_of_many_fails);
	RUN(rows_of_many_have_their_owner);
	RUN(who_is_alone_is_no_set);
	RUN(forms_of_one_name);
	RUN(a_set_goes_where_it_teaches);
	RUN(texts_of_many);
	RUN(few_do_not_wait_for_company);
	RUN(every_connection_learns_early);
	RUN(many_lose_their_connection);
	RUN(faults_are_told_apart);
	RUN(lost_names_and_stale_plans);
	RUN_STEADILY(statement_timeout);
	RUN_STEADILY(a_stalled_server);
	RUN_STEADILY(idle_connections_are_pinged);
	RUN_STEADILY(a_read_only_server);
	RUN_STEADILY(killed_under_load);
	RUN_STEADILY(shut_down_under_load);
	RUN_STEADILY(hit_in_company);
	RUN_STEADILY(appears_later);
	RUN_STEADILY(more_than_it_can_hold);
	RUN_STEADILY(closed_with_work_under_way);
	RUN_STEADILY(hosts_by_name);
	RUN_STEADILY(connection_strings);
	RUN(metrics_tell);
	timer_release(&limit);
	loop_free(loop);
	DONE();
}
