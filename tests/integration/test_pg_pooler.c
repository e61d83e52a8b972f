/* links: base io */
/* The pool through PgBouncer in transaction mode, with fewer sessions of the server than connections to it: what a
 * pooler says of its own trouble is trouble, and never a fault of the statement. */
#include "check.h"
#include "pgserver.h"
#include "port.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "standstill.h"

#define PGBOUNCER "/usr/sbin/pgbouncer"
#define PATIENCE_MS 30000

struct call {
	int times;
	enum err err;
	char value[64], sqlstate[6], message[120];
};

static struct pgserver server;
static pid_t pooler;
static char pooled[200];
static int pooler_port;
static struct loop *loop;
static struct timer limit;
static long outstanding;
static struct pg *pool;

static const struct pg_stmt add_one = {.name = "add_one", .sql = "SELECT $1::int + 1", .nparams = 1};
static const struct pg_stmt divide = {.name = "divide", .sql = "SELECT 100 / $1::int", .nparams = 1};
static const struct pg_stmt insert = {.name = "insert", .sql = "INSERT INTO t(id) VALUES ($1::int)", .nparams = 1};
static const struct pg_stmt settings = {
    .name = "settings",
    .sql = "SELECT current_setting('TimeZone') || ' ' || current_setting('client_encoding') || ' ' || "
           "current_setting('DateStyle') || ' ' || current_setting('application_name') WHERE $1::int = 1",
    .nparams = 1};

static void on_limit(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run_within(int64_t ms)
{
	timer_set(&limit, ms);
	loop_run(loop);
	timer_stop(&limit);
}

/* --- the pooler */

static PGconn *console(void)
{
	char url[100];

	snprintf(url, sizeof(url), "host=127.0.0.1 port=%d user=postgres dbname=pgbouncer", pooler_port);
	for (int i = 0; i < 400; i++) {
		PGconn *c = PQconnectdb(url);

		if (PQstatus(c) == CONNECTION_OK)
			return c;
		PQfinish(c);
		usleep(50000);
	}
	printf("not ok pgbouncer does not answer\n");
	exit(1);
}

static void pooler_say(const char *command)
{
	PGconn *c = console();
	PGresult *res = PQexec(c, command);

	CHECK_INT(PQresultStatus(res), PGRES_COMMAND_OK);
	PQclear(res);
	PQfinish(c);
}

/* more: lines of its own for pgbouncer.ini */
static void pooler_start(const char *more)
{
	char ini[100], users[100];
	char *argv[] = {PGBOUNCER, ini, NULL};
	FILE *f;

	snprintf(users, sizeof(users), "%s/users", server.dir);
	f = fopen(users, "w");
	ENSURE(f && fputs("\"postgres\" \"\"\n", f) >= 0 && fclose(f) == 0);
	snprintf(ini, sizeof(ini), "%s/pgbouncer.ini", server.dir);
	f = fopen(ini, "w");
	ENSURE(f && fprintf(f,
	                    "[databases]\n* = host=127.0.0.1 port=%d\n[pgbouncer]\nlisten_addr=127.0.0.1\n"
	                    "listen_port=%d\nunix_socket_dir=\nauth_type=trust\nauth_file=%s\nadmin_users=postgres\n"
	                    "pool_mode=transaction\nserver_login_retry=1\n%s\n",
	                    server.port, pooler_port, users, more) > 0);
	ENSURE(fclose(f) == 0);
	pooler = pgserver_spawn(&server, argv);
	PQfinish(console());
}

static void pooler_stop(int signum)
{
	kill(pooler, signum);
	waitpid(pooler, NULL, 0);
}

/* --- the pool */

static void open_pool(unsigned connections, unsigned statement_timeout_ms)
{
	struct pg_opts o = {.url = pooled,
	                    .application_name = "test",
	                    .connections = connections,
	                    .writes = true,
	                    .statement_timeout_ms = statement_timeout_ms};
	int64_t end = clock_ms() + PATIENCE_MS;

	outstanding = 0;
	pool = pg_open(loop, &o);
	while (!pg_up(pool) && clock_ms() < end)
		run_within(20);
	CHECK(pg_up(pool));
}

static void on_answer(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct call *c = arg;

	c->times++;
	c->err = err;
	if (rows != NULL && rows->n > 0)
		snprintf(c->value, sizeof(c->value), "%s", PQgetvalue(pg_rows_whole(rows), 0, 0));
	snprintf(c->sqlstate, sizeof(c->sqlstate), "%s", fault->sqlstate);
	snprintf(c->message, sizeof(c->message), "%s", fault->message);
	if (--outstanding == 0)
		loop_stop(loop);
}

static void exec_int(struct call *c, const struct pg_stmt *stmt, int v)
{
	char text[16];

	memset(c, 0, sizeof(*c));
	snprintf(text, sizeof(text), "%d", v);
	outstanding++;
	pg_exec(pool, stmt, PARAMS(span_of(text)), on_answer, c);
}

static void finish(void)
{
	if (outstanding > 0)
		run_within(PATIENCE_MS);
	CHECK_INT(outstanding, 0);
}

/* It is the way to the server that is in trouble: the statement may come again as it is. */
static bool trouble(const struct call *c)
{
	bool is = c->err == ERR_UNREACHABLE || c->err == ERR_UNKNOWN || c->err == ERR_TIMEOUT || c->err == ERR_FULL;

	if (!is)
		printf("# %s: %s %s\n", err_text(c->err), c->sqlstate, c->message);
	return is && c->times == 1;
}

static void works_again(void)
{
	int64_t end = clock_ms() + PATIENCE_MS;
	struct call c;

	do {
		exec_int(&c, &add_one, 1);
		finish();
		CHECK(c.err == ERR_OK || trouble(&c));
		if (c.err != ERR_OK)
			run_within(100);
	} while (c.err != ERR_OK && clock_ms() < end);
	CHECK_STR(c.value, "2");
}

static void end(void)
{
	pg_close(pool);
	pooler_stop(SIGKILL);
}

/* --- cases */

static void many_on_two_sessions(void)
{
	static struct call calls[1000];

	pooler_start("default_pool_size=2");
	open_pool(8, 5000);
	for (int i = 0; i < 1000; i++)
		exec_int(&calls[i], i % 10 == 9 ? &divide : &add_one, i % 10 == 9 ? 0 : i);
	finish();
	for (int i = 0; i < 1000; i++) {
		CHECK_INT(calls[i].times, 1);
		if (i % 10 == 9)
			CHECK_STR(calls[i].sqlstate, "22012");
		else
			CHECK_INT(atoi(calls[i].value), i + 1);
	}
	for (int i = 0; i < 20; i++)
		exec_int(&calls[i], &settings, 1);
	finish();
	for (int i = 0; i < 20; i++)
		CHECK_STR(calls[i].value, "UTC UTF8 ISO, MDY test");
	end();
}

static void the_server_is_away(void)
{
	struct call calls[40];

	pooler_start("default_pool_size=2");
	open_pool(4, 2000);
	works_again();
	for (int signum = SIGINT; signum != 0; signum = signum == SIGINT ? SIGQUIT : 0) {
		pgserver_stop(&server, signum);
		for (int i = 0; i < 40; i++) { /* soon, and when the pooler has begun to refuse at once */
			exec_int(&calls[i], &insert, i);
			if (i % 4 == 3) {
				finish();
				run_within(100);
			}
		}
		for (int i = 0; i < 40; i++)
			CHECK(trouble(&calls[i]));
		pgserver_start(&server);
		works_again();
	}
	end();
}

static void it_is_paused(void)
{
	struct call c;

	pooler_start("default_pool_size=2");
	open_pool(4, 500);
	works_again();
	pooler_say("PAUSE");
	exec_int(&c, &add_one, 1);
	finish();
	CHECK_INT(c.err, ERR_TIMEOUT);
	pooler_say("RESUME");
	works_again();
	pooler_say("PAUSE");
	exec_int(&c, &add_one, 1);
	run_within(100);
	pooler_say("RESUME"); /* in time: nobody notices */
	finish();
	CHECK(c.err == ERR_OK || trouble(&c));
	end();
}

static void no_session_is_free(void)
{
	struct call calls[8];
	PGconn *hog;

	pooler_start("default_pool_size=1\nquery_wait_timeout=1");
	open_pool(4, 5000);
	hog = PQconnectdb(pooled);
	PQclear(PQexec(hog, "BEGIN"));
	for (int i = 0; i < 8; i++)
		exec_int(&calls[i], &insert, 1000 + i);
	finish();
	for (int i = 0; i < 8; i++)
		CHECK(trouble(&calls[i]));
	PQclear(PQexec(hog, "COMMIT"));
	PQfinish(hog);
	works_again();
	end();
}

static void no_room_for_all(void)
{
	struct call calls[50];

	pooler_start("max_client_conn=2");
	open_pool(6, 5000);
	for (int i = 0; i < 50; i++)
		exec_int(&calls[i], &add_one, i);
	finish();
	for (int i = 0; i < 50; i++)
		CHECK(calls[i].err == ERR_OK || trouble(&calls[i]));
	works_again();
	end();
}

static void it_dies_under_load(void)
{
	static struct call calls[2000];
	int done = 0;

	pooler_start("default_pool_size=2");
	for (int signum = SIGKILL; signum != 0; signum = signum == SIGKILL ? SIGINT : 0) {
		pgserver_sql(&server, "TRUNCATE t");
		open_pool(4, 5000);
		for (int i = 0; i < 2000; i++)
			exec_int(&calls[i], &insert, i);
		run_within(20);
		pooler_stop(signum);
		finish();
		for (int i = done = 0; i < 2000; i++) {
			CHECK_INT(calls[i].times, 1);
			CHECK(calls[i].err == ERR_OK || trouble(&calls[i]));
			done += calls[i].err == ERR_OK;
		}
		CHECK(atoi(pgserver_sql(&server, "SELECT count(*) FROM t")) >= done);
		for (int i = 0; i < 2000; i++) /* what was said to be refused before it was done was not done */
			if (calls[i].err == ERR_UNREACHABLE) {
				char sql[64];

				snprintf(sql, sizeof(sql), "SELECT count(*) FROM t WHERE id = %d", i);
				CHECK_STR(pgserver_sql(&server, sql), "0");
				i += 100;
			}
		pooler_start("default_pool_size=2");
		works_again();
		pg_close(pool);
	}
	pooler_stop(SIGKILL);
}

int main(void)
{
	log_init(getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR, LOG_TEXT, "test_pg_pooler", "1");
	if (access(PGBOUNCER, X_OK) != 0) {
		printf("not ok pgbouncer is installed\n");
		return 1;
	}
	pgserver_init(&server);
	server.port = port_own();
	pooler_port = port_own();
	pgserver_start(&server);
	pgserver_sql(&server, "CREATE TABLE t(id int PRIMARY KEY)");
	snprintf(pooled, sizeof(pooled), "host=127.0.0.1 port=%d user=postgres dbname=postgres", pooler_port);
	loop = loop_new();
	timer_init(&limit, loop, on_limit, NULL);
	RUN(many_on_two_sessions);
	RUN_STEADILY(the_server_is_away);
	RUN_STEADILY(it_is_paused);
	RUN_STEADILY(no_session_is_free);
	RUN(no_room_for_all);
	RUN_STEADILY(it_dies_under_load);
	timer_release(&limit);
	loop_free(loop);
	DONE();
}
