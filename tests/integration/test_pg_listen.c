/* links: base io */
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "check.h"
#include "pgserver.h"
#include "port.h"
#include "servers.h"
#include "shoal/base/asan.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg_listen.h"

#define APP "test_listen"

static struct pgserver server;
static struct loop *loop;
static struct timer limit;
static struct pg_listen *listener;

/* What the listener told. */
static struct {
	bool up;
	int ups, downs, notices, pongs, alives;
	int last;         /* the last payload as a number */
	int64_t asked_ms; /* of the last pong */
	char why[200];    /* pg_listen_trouble in on_down */
	struct buf text;  /* all payloads, with a newline behind each */
} heard;

/* --- the loop */

static void on_limit(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Less, when something is heard. */
static void run_within(int64_t ms)
{
	timer_set(&limit, ms);
	loop_run(loop);
	timer_stop(&limit);
}

#define WAIT(cond)                                                                                                     \
	do {                                                                                                           \
		int64_t end_ = clock_ms() + 30000;                                                                     \
		while (!(cond) && clock_ms() < end_)                                                                   \
			run_within(20);                                                                                \
		CHECK(cond);                                                                                           \
	} while (0)

static void run_for(int64_t ms)
{
	int64_t end = clock_ms() + ms;

	while (clock_ms() < end)
		run_within(end - clock_ms());
}

/* --- the listener */

static void on_up(void *arg)
{
	CHECK(arg == &heard);
	CHECK(!heard.up);
	CHECK(pg_listen_up(listener));
	CHECK(pg_listen_trouble(listener) == NULL);
	heard.up = true;
	heard.ups++;
	loop_stop(loop);
}

static void on_down(void *arg)
{
	CHECK(arg == &heard);
	CHECK(heard.up);
	CHECK(!pg_listen_up(listener));
	CHECK(pg_listen_trouble(listener) != NULL);
	snprintf(heard.why, sizeof(heard.why), "%s", pg_listen_trouble(listener));
	heard.up = false;
	heard.downs++;
	loop_stop(loop);
}

static void on_notice(void *arg, struct span payload)
{
	CHECK(arg == &heard);
	CHECK(heard.up);
	heard.notices++;
	heard.last = atoi(payload.ptr);
	buf_add(&heard.text, payload.ptr, payload.len);
	buf_addc(&heard.text, '\n');
}

static void on_pong(void *arg, int64_t asked_ms)
{
	CHECK(arg == &heard);
	CHECK(heard.up);
	CHECK(asked_ms >= heard.asked_ms && asked_ms <= clock_ms());
	heard.asked_ms = asked_ms;
	heard.pongs++;
	loop_stop(loop);
}

static void on_alive(void *arg, int64_t asked_ms)
{
	CHECK(arg == &heard);
	CHECK(heard.up && asked_ms <= clock_ms());
	heard.asked_ms = asked_ms;
	heard.alives++;
	loop_stop(loop);
}

/* Asks only when told to, and never gives up. */
static struct pg_listen_opts options(void)
{
	return (struct pg_listen_opts){.url = server.url,
	                               .application_name = APP,
	                               .channel = "news",
	                               .ping_ms = 600000,
	                               .timeout_ms = 60000,
	                               .on_up = on_up,
	                               .on_down = on_down,
	                               .on_notice = on_notice,
	                               .on_pong = on_pong,
	                               .arg = &heard};
}

static void open_listener(const struct pg_listen_opts *o)
{
	buf_release(&heard.text);
	memset(&heard, 0, sizeof(heard));
	buf_init(&heard.text, 64 << 20);
	listener = pg_listen_open(loop, o);
	CHECK(!pg_listen_up(listener));
	CHECK_STR(pg_listen_trouble(listener), "not connected yet");
}

static void open_up(const struct pg_listen_opts *o)
{
	open_listener(o);
	WAIT(heard.pongs > 0); /* that of the greeting */
	CHECK_INT(heard.ups, 1);
}

static void close_listener(void)
{
	pg_listen_close(listener);
	listener = NULL;
}

/* All payloads that were heard by the time of a pong asked now. */
static const char *told(void)
{
	int before = heard.pongs;

	pg_listen_ping(listener);
	WAIT(heard.pongs > before);
	buf_adds(&heard.text, "");
	return heard.text.ptr ? heard.text.ptr : "";
}

/* --- other sessions */

static void sql(PGconn *c, const char *text)
{
	PGresult *r = PQexec(c, text);

	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
		printf("# %s: %s\n", text, PQerrorMessage(c));
		check_failed_here++;
	}
	PQclear(r);
}

static int ask_int(PGconn *c, const char *text)
{
	PGresult *r = PQexec(c, text);
	int n = PQntuples(r) == 1 ? atoi(PQgetvalue(r, 0, 0)) : -1;

	PQclear(r);
	return n;
}

static int backends(void)
{
	return atoi(pgserver_sql(&server, "SELECT count(*) FROM pg_stat_activity WHERE application_name = '" APP "'"));
}

static int the_backend(void)
{
	return atoi(pgserver_sql(&server, "SELECT pid FROM pg_stat_activity WHERE application_name = '" APP
	                                  "' ORDER BY backend_start DESC LIMIT 1"));
}

static double errors(const char *kind)
{
	return (double)series_value(SERIES(metric_counter("shoal_errors_total", "peer,kind", ""), "postgres", kind));
}

/* --- cases: what is told */

static void notices_as_they_were_sent(void)
{
	struct pg_listen_opts o = options();
	PGconn *a = pgserver_connect(&server);
	char *want = calloc(1, 9000);

	sql(a, "NOTIFY news, 'too early'");
	open_up(&o);
	sql(a, "NOTIFY news, 'one'");
	sql(a, "BEGIN; NOTIFY news, 'two'; NOTIFY other, 'not for us'; NOTIFY news; COMMIT");
	sql(a, "BEGIN; NOTIFY news, 'undone'; ROLLBACK");
	sql(a, "NOTIFY \"News\", 'not for us'");
	sql(a, "SELECT pg_notify('news', 'gr\u00fc\u00dfe \U0001f41f\nline')");
	CHECK_STR(told(), "one\ntwo\n\ngr\u00fc\u00dfe \U0001f41f\nline\n");
	buf_clear(&heard.text);
	sql(a, "SELECT pg_notify('news', repeat('x', 7999))");
	memset(want, 'x', 7999);
	want[7999] = '\n';
	CHECK_STR(told(), want);
	close_listener();
	free(want);
	PQfinish(a);
}

static void channels_by_their_name(void)
{
	char longest[64];
	const char *const names[] = {"News", "two words", "a\"b; SELECT 1/0; --", longest};
	struct pg_listen_opts o = options();
	PGconn *a = pgserver_connect(&server);

	memset(longest, '"', 63);
	longest[63] = '\0';
	for (int i = 0; i < 4; i++) {
		const char *params[1] = {names[i]};

		o.channel = names[i];
		open_up(&o);
		PQclear(PQexecParams(a, "SELECT pg_notify($1, 'yes')", 1, NULL, params, NULL, NULL, 0));
		CHECK_STR(told(), "yes\n");
		close_listener();
	}
	PQfinish(a);
}

/* --- cases: the question */

/* Whose COMMIT has returned before the question. */
static void a_pong_comes_after_what_was_committed(void)
{
	struct pg_listen_opts o = options();
	PGconn *a = pgserver_connect(&server);
	int tries = getenv("SHOAL_TEST_LIGHT") ? 2000 : 10000, missed = 0;
	char text[64];

	open_up(&o);
	for (int i = 0; i < tries && heard.up; i++) {
		int before = heard.pongs;

		snprintf(text, sizeof(text), "NOTIFY news, '%d'", i);
		sql(a, text);
		pg_listen_ping(listener);
		while (heard.pongs == before && heard.up)
			run_within(1000);
		missed += heard.last != i;
	}
	CHECK_INT(missed, 0);
	CHECK_INT(heard.notices, tries);
	CHECK_INT(heard.pongs, tries + 1);
	CHECK_INT(heard.downs, 0);
	close_listener();
	PQfinish(a);
}

/* Who drops many tables removes their files after the change is visible, and signals its notice after that. */
static void a_pong_comes_after_what_was_visible(void)
{
	struct pg_listen_opts o = options();
	PGconn *a = pgserver_connect(&server), *b = pgserver_connect(&server);
	int ahead = 0, rounds = 0;
	char text[64];

	open_up(&o);
	sql(b, "CREATE TABLE seen(n int); INSERT INTO seen VALUES (0)");
	while (ahead < 5 && rounds < 50) {
		int i = ++rounds;

		sql(a,
		    "DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE d%s(n int)', i); END LOOP; END $$");
		sql(a, "BEGIN");
		snprintf(text, sizeof(text), "UPDATE seen SET n = %d; NOTIFY news, '%d'", i, i);
		sql(a, text);
		sql(a, "DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('DROP TABLE d%s', i); END LOOP; END $$");
		CHECK(PQsendQuery(a, "COMMIT") == 1);
		while (ask_int(b, "SELECT n FROM seen") != i)
			;
		ahead += PQconsumeInput(a) == 1 && PQisBusy(a);
		told();
		CHECK_INT(heard.last, i);
		for (PGresult *r; (r = PQgetResult(a)) != NULL;)
			PQclear(r);
	}
	printf("# %d of %d asked before the commit had returned\n", ahead, rounds);
	CHECK(ahead > 0);
	sql(b, "DROP TABLE seen");
	close_listener();
	PQfinish(a);
	PQfinish(b);
}

/* Sessions that commit all the time, in processes of their own, and write down when each commit had returned. */
#define WRITERS 2
#define WRITES 200000
struct writer {
	_Atomic int n;
	_Atomic int64_t committed_us[WRITES];
};
static struct writer *writers; /* shared with them */
static int told_of[WRITERS];   /* notices, of each */
static int checked[WRITERS];   /* commits */
static int unordered, missing;

static void write_on(int which)
{
	struct writer *w = &writers[which];
	PGconn *c = pgserver_connect(&server);
	char text[64];

	for (int i = 0; i < WRITES; i++) {
		snprintf(text, sizeof(text), "NOTIFY news, '%d %d'", which, i);
		PQclear(PQexec(c, text));
		w->committed_us[i] = clock_us();
		w->n = i + 1;
	}
	_exit(0);
}

static void on_writers_notice(void *arg, struct span payload)
{
	int which = -1, i = -1;

	(void)arg;
	if (sscanf(payload.ptr, "%d %d", &which, &i) != 2 || which < 0 || which >= WRITERS)
		return;
	unordered += i != told_of[which];
	told_of[which] = i + 1;
	heard.notices++;
}

static void on_writers_pong(void *arg, int64_t asked_ms)
{
	(void)arg;
	heard.pongs++;
	for (int k = 0; k < WRITERS; k++) {
		int n = writers[k].n;

		while (checked[k] < n && writers[k].committed_us[checked[k]] < asked_ms * 1000)
			missing += checked[k]++ >= told_of[k];
	}
}

static void pongs_among_many_commits(void)
{
	struct pg_listen_opts o = options();
	pid_t pids[WRITERS];

	writers = mmap(NULL, WRITERS * sizeof(*writers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(writers != MAP_FAILED);
	o.ping_ms = 1;
	o.on_notice = on_writers_notice;
	o.on_pong = on_writers_pong;
	open_listener(&o);
	WAIT(heard.pongs > 0);
	fflush(stdout);
	for (int k = 0; k < WRITERS; k++) {
		pids[k] = fork();
		if (pids[k] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			write_on(k);
		}
	}
	run_for(1500);
	WAIT(checked[0] > 100 && checked[1] > 100 && heard.pongs > 100);
	for (int k = 0; k < WRITERS; k++)
		server_kill(&pids[k]);
	printf("# %d pongs, %d notices, %d commits\n", heard.pongs, heard.notices, writers[0].n + writers[1].n);
	CHECK_INT(missing, 0);
	CHECK_INT(unordered, 0);
	CHECK_INT(heard.downs, 0);
	close_listener();
	munmap(writers, WRITERS * sizeof(*writers));
}

static int pings_left;
static void on_pong_ping(void *arg, int64_t asked_ms)
{
	on_pong(arg, asked_ms);
	if (pings_left-- > 0)
		pg_listen_ping(listener);
}

static void questions_on_demand(void)
{
	struct pg_listen_opts o = options();
	int64_t now;

	open_listener(&o);
	pg_listen_ping(listener); /* down: does nothing */
	WAIT(heard.pongs > 0);
	run_for(100);
	CHECK_INT(heard.pongs, 1);
	for (int i = 0; i < 100; i++)
		pg_listen_ping(listener);
	CHECK_INT(heard.pongs, 1);
	now = clock_ms();
	WAIT(heard.pongs > 1);
	CHECK(heard.asked_ms >= now - 1);
	run_for(100);
	CHECK_INT(heard.pongs, 2);
	/* while one is open: the answer to that one will not do */
	pgserver_signal_all(&server, SIGSTOP);
	pg_listen_ping(listener);
	run_for(50);
	now = clock_ms();
	for (int i = 0; i < 100; i++)
		pg_listen_ping(listener);
	pgserver_signal_all(&server, SIGCONT);
	WAIT(heard.pongs > 2);
	CHECK(heard.asked_ms < now);
	WAIT(heard.pongs > 3);
	CHECK(heard.asked_ms >= now);
	run_for(100);
	CHECK_INT(heard.pongs, 4);
	close_listener();
	/* from its own answer */
	o.on_pong = on_pong_ping;
	pings_left = 5;
	open_listener(&o);
	WAIT(heard.pongs == 6);
	run_for(50);
	CHECK_INT(heard.pongs, 6);
	close_listener();
}

static void questions_by_the_clock(void)
{
	struct pg_listen_opts o = options();
	int64_t start;

	o.ping_ms = 20;
	open_up(&o);
	start = heard.asked_ms;
	WAIT(heard.pongs >= 11);
	CHECK(heard.asked_ms - start >= 10 * 19);
	close_listener();
}

/* Light ones cost no transaction number, and come after what was signalled before; others can be asked between. */
static void light_questions_by_the_clock(void)
{
	struct pg_listen_opts o = options();
	long long first;

	o.light = true;
	o.ping_ms = 20;
	o.on_alive = on_alive;
	open_up(&o);
	first = atoll(pgserver_sql(&server, "SELECT pg_current_xact_id()"));
	WAIT(heard.alives >= 20);
	CHECK_INT(atoll(pgserver_sql(&server, "SELECT pg_current_xact_id()")), first + 1);
	CHECK_INT(heard.pongs, 1);
	for (int i = 1; i <= 20; i++) {
		int64_t since;

		pgserver_sql(&server, "NOTIFY news, 'x'");
		since = clock_ms();
		WAIT(heard.asked_ms > since);
		CHECK_INT(heard.notices, i);
	}
	for (int i = 0; i < 20; i++) {
		pgserver_sql(&server, "NOTIFY news, 'y'");
		told();
		CHECK_INT(heard.notices, 21 + i);
	}
	CHECK_INT(heard.pongs, 21);
	CHECK_INT(heard.downs, 0);
	close_listener();
}

static void dropped_on_demand(void)
{
	struct pg_listen_opts o = options();

	open_listener(&o);
	pg_listen_drop(listener, "not yet"); /* down: does nothing */
	CHECK_STR(pg_listen_trouble(listener), "not connected yet");
	WAIT(heard.up);
	pg_listen_drop(listener, "for a reason");
	CHECK(!pg_listen_up(listener));
	CHECK_STR(pg_listen_trouble(listener), "for a reason");
	CHECK_INT(heard.downs, 0);
	heard.up = false;
	WAIT(heard.up);
	CHECK_INT(heard.ups, 2);
	CHECK_STR(told(), "");
	close_listener();
}

/* --- cases: losing the server */

static void check_restart(int signum)
{
	struct pg_listen_opts o = options();

	open_up(&o);
	pgserver_stop(&server, signum);
	WAIT(!heard.up);
	printf("# signal %d: %s\n", signum, heard.why);
	fflush(stdout);
	WAIT(strstr(pg_listen_trouble(listener), server.dir) != NULL); /* which socket it could not reach */
	CHECK(!pg_listen_up(listener));
	pg_listen_ping(listener);
	pgserver_spawn_server(&server);
	WAIT(heard.up && heard.pongs > 1);
	pgserver_sql(&server, "NOTIFY news, 'again'");
	CHECK_STR(told(), "again\n");
	CHECK_INT(heard.ups, 2);
	CHECK_INT(heard.downs, 1);
	close_listener();
}

static void killed(void)
{
	check_restart(SIGQUIT);
}

static void shut_down(void)
{
	check_restart(SIGINT);
}

static void appears_later(void)
{
	struct pg_listen_opts o = options();
	double before = errors("connect");

	pgserver_stop(&server, SIGINT);
	open_listener(&o);
	WAIT(errors("connect") - before >= 3);
	CHECK_INT(heard.ups, 0);
	pgserver_spawn_server(&server);
	WAIT(heard.up);
	CHECK_INT(heard.downs, 0);
	close_listener();
}

static void terminated(void)
{
	struct pg_listen_opts o = options();
	double before = errors("57");

	open_up(&o);
	for (int i = 1; i <= 3; i++) {
		char text[64];

		snprintf(text, sizeof(text), "SELECT pg_terminate_backend(%d)", the_backend());
		pgserver_sql(&server, text);
		WAIT(heard.downs == i);
		CHECK_STR(heard.why, "terminating connection due to administrator command");
		WAIT(heard.ups == i + 1);
	}
	CHECK_INT((int)(errors("57") - before), 3);
	pgserver_sql(&server, "NOTIFY news, 'still here'");
	CHECK_STR(told(), "still here\n");
	close_listener();
}

static void one_backend_goes_silent(void)
{
	struct pg_listen_opts o = options();
	double before = errors("timeout");
	int pid;

	o.ping_ms = 50;
	o.timeout_ms = 300;
	open_up(&o);
	pid = the_backend();
	kill(pid, SIGSTOP);
	WAIT(heard.downs > 0);
	CHECK_STR(heard.why, "no answer within 300 ms");
	CHECK(errors("timeout") > before);
	WAIT(heard.ups > 1); /* the server itself is well */
	WAIT((pgserver_sql(&server, "NOTIFY news, 'new one'"), heard.notices > 0));
	kill(pid, SIGCONT);
	close_listener();
}

/* As behind a proxy that takes connections and answers nothing. */
static void everything_goes_silent(void)
{
	struct pg_listen_opts o = options();
	char url[512];
	int connects;

	snprintf(url, sizeof(url), "%s connect_timeout=1", server.url);
	o.url = url;
	o.ping_ms = 50;
	o.timeout_ms = 300;
	open_up(&o);
	connects = (int)errors("connect");
	pgserver_signal_all(&server, SIGSTOP);
	WAIT(heard.downs > 0);
	CHECK_STR(heard.why, "no answer within 300 ms");
	WAIT(errors("connect") > connects);
	CHECK(!heard.up);
	pgserver_signal_all(&server, SIGCONT);
	WAIT(heard.up);
	close_listener();
}

/* A commit that waits for its synchronous standby keeps the lock of all NOTIFYs. */
static void no_backends_pile_up(void)
{
	struct pg_listen_opts o = options();
	PGconn *a = pgserver_connect(&server);
	PGresult *r;

	o.ping_ms = 50;
	o.timeout_ms = 200;
	open_up(&o);
	sql(a, "CREATE TABLE slow(n int)");
	sql(a, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
	sql(a, "SELECT pg_reload_conf()");
	while (strcmp(pgserver_sql(&server, "SHOW synchronous_standby_names"), "nobody") != 0)
		server_sleep_ms(10);
	for (int i = 0; i < 100 && !PQisBusy(a); i++) { /* until those who have to know of the setting do */
		while ((r = PQgetResult(a)) != NULL)
			PQclear(r);
		CHECK(PQsendQuery(a, "BEGIN; INSERT INTO slow VALUES (1); NOTIFY news, 'slow'; COMMIT") == 1);
		run_for(100);
		CHECK(PQconsumeInput(a) == 1);
	}
	WAIT(!heard.up);
	run_for(1000);
	printf("# %s; %s\n", heard.why, pg_listen_trouble(listener));
	CHECK(!heard.up);
	close_listener();
	CHECK(PQconsumeInput(a) == 1 && PQisBusy(a)); /* which still has the lock */
	WAIT(backends() == 0);
	CHECK(PQconsumeInput(a) == 1 && PQisBusy(a));
	pgserver_sql(&server, "ALTER SYSTEM RESET synchronous_standby_names");
	pgserver_sql(&server, "SELECT pg_reload_conf()");
	while ((r = PQgetResult(a)) != NULL)
		PQclear(r);
	o.timeout_ms = 60000;
	open_up(&o);
	close_listener();
	PQfinish(a);
}

/* --- cases: refused */

static void a_wrong_password(void)
{
	struct pg_listen_opts o = options();
	char path[128], url[512], old[8192];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/data/pg_hba.conf", server.dir);
	f = fopen(path, "r+");
	CHECK(f != NULL);
	len = fread(old, 1, sizeof(old), f);
	rewind(f);
	fprintf(f, "local all guarded scram-sha-256\n");
	fwrite(old, 1, len, f);
	fclose(f);
	pgserver_sql(&server, "CREATE ROLE guarded LOGIN PASSWORD 'right-horse'");
	pgserver_sql(&server, "SELECT pg_reload_conf()");
	snprintf(url, sizeof(url), "host=%s port=%d user=guarded dbname=postgres password=wrong-horse", server.dir,
	         server.port);
	o.url = url;
	server_sleep_ms(200); /* the reload */
	open_listener(&o);
	WAIT(strstr(pg_listen_trouble(listener), "password authentication failed") != NULL);
	CHECK(strstr(pg_listen_trouble(listener), "wrong-horse") == NULL);
	CHECK_INT(heard.ups, 0);
	pgserver_sql(&server, "ALTER ROLE guarded PASSWORD 'wrong-horse'");
	WAIT(heard.up); /* who may do no more than log in may listen and ask */
	close_listener();
}

static void addresses_that_lead_nowhere(void)
{
	struct pg_listen_opts o = options();

	o.url = "host=no.such.host.invalid user=postgres dbname=postgres";
	open_listener(&o);
	WAIT(strstr(pg_listen_trouble(listener), "no.such.host.invalid") != NULL);
	close_listener();
	o.url = "host=/nowhere user=postgres dbname=postgres";
	open_listener(&o);
	WAIT(strstr(pg_listen_trouble(listener), "/nowhere") != NULL);
	close_listener();
	o.url = "no such thing";
	listener = pg_listen_open(loop, &o);
	run_for(100);
	CHECK_STR(pg_listen_trouble(listener), "the connection string cannot be used");
	CHECK(!pg_listen_up(listener));
	pg_listen_ping(listener);
	close_listener();
	pg_listen_close(NULL);
}

static void hosts_by_name(void)
{
	struct pg_listen_opts o = options();
	char url[512];

	snprintf(url, sizeof(url), "postgresql://postgres@localhost:%d/postgres", server.port);
	o.url = url;
	open_up(&o);
	pgserver_sql(&server, "NOTIFY news, 'by name'");
	CHECK_STR(told(), "by name\n");
	close_listener();
}

static void a_read_only_session(void)
{
	struct pg_listen_opts o = options();
	char url[512];

	snprintf(url, sizeof(url), "%s options='-c default_transaction_read_only=on'", server.url);
	o.url = url;
	open_up(&o);
	pgserver_sql(&server, "NOTIFY news, 'read'");
	CHECK_STR(told(), "read\n");
	close_listener();
}

static void a_standby_until_it_is_promoted(void)
{
	struct pg_listen_opts o = options();
	char path[128];

	pgserver_stop(&server, SIGINT);
	snprintf(path, sizeof(path), "%s/data/standby.signal", server.dir);
	fclose(fopen(path, "w"));
	CHECK_INT(chmod(path, 0666), 0); /* the server checks that it may write it */
	pgserver_start(&server);
	CHECK_STR(pgserver_sql(&server, "SELECT pg_is_in_recovery()"), "t");
	open_listener(&o);
	WAIT(strstr(pg_listen_trouble(listener), "recovery") != NULL);
	run_for(500);
	CHECK_INT(heard.ups, 0);
	CHECK(backends() <= 1);
	pgserver_sql(&server, "SELECT pg_promote()");
	WAIT(heard.up);
	close_listener();
}

/* --- cases: servers that we do not have. One connection at a time, in a child. */

enum fake_mode {
	FAKE_LATE,   /* tells the echo some time after the end of the command, as newer servers may */
	FAKE_POOLER, /* at the third question another server session answers */
	FAKE_REFUSES
};

static void fake_put(struct buf *b, char type, const void *body, size_t len)
{
	uint32_t n = htonl((uint32_t)len + 4);

	buf_addc(b, type);
	buf_add(b, &n, 4);
	buf_add(b, body, len);
}

static void fake_flush(int fd, struct buf *b)
{
	if (write(fd, b->ptr, b->len) != (ssize_t)b->len)
		_exit(1);
	buf_clear(b);
}

static void fake_echo(struct buf *b, uint32_t pid, const char *channel, const char *payload)
{
	char body[200];
	uint32_t n = htonl(pid);

	memcpy(body, &n, 4);
	memcpy(body + 4, channel, strlen(channel) + 1);
	memcpy(body + 5 + strlen(channel), payload, strlen(payload) + 1);
	fake_put(b, 'A', body, 6 + strlen(channel) + strlen(payload));
}

static bool fake_read(int fd, void *to, size_t len)
{
	return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static void fake_row(struct buf *b, const char *value)
{
	static const char column[] = "\0\1pid\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0"; /* one, of type text */
	char row[7] = {0, 1, 0, 0, 0, 1, value[0]};

	fake_put(b, 'T', column, sizeof(column));
	fake_put(b, 'D', row, sizeof(row));
	fake_put(b, 'C', "SELECT 1", 9);
	fake_put(b, 'Z', "I", 1);
}

/* The text of a query; false when the client has left. */
static bool fake_query(int fd, bool startup, char *text, size_t size)
{
	char type = 'Q';
	uint32_t len;

	if ((!startup && !fake_read(fd, &type, 1)) || !fake_read(fd, &len, 4))
		return false;
	len = ntohl(len) - 4;
	return len < size && fake_read(fd, text, len) && type == 'Q';
}

static void fake_serve(int fd, enum fake_mode mode)
{
	static const char refusal[] = "SERROR\0VERROR\0C25006\0Mno listening here\0";
	char text[2000], channel[80], payload[40];
	const char *at;
	struct buf b;

	buf_init(&b, 1 << 16);
	if (!fake_query(fd, true, text, sizeof(text)))
		return;
	fake_put(&b, 'R', "\0\0\0\0", 4);
	fake_put(&b, 'S',
	         "server_version\0"
	         "15.0",
	         20);
	fake_put(&b, 'K', "\0\0\0\007abcd", 8);
	fake_put(&b, 'Z', "I", 1);
	fake_flush(fd, &b);
	for (int i = 1; fake_query(fd, false, text, sizeof(text)); i++) {
		if (mode == FAKE_POOLER && strncmp(text, "SELECT ", 7) == 0) {
			fake_row(&b, i < 3 ? "7" : "8");
			fake_flush(fd, &b);
			continue;
		}
		at = strstr(text, "NOTIFY ");
		if (at == NULL || sscanf(at, "NOTIFY %79[^,], '%39[^']'", channel, payload) != 2)
			_exit(1);
		if (mode == FAKE_REFUSES) {
			fake_put(&b, 'E', refusal, sizeof(refusal));
			fake_put(&b, 'Z', "I", 1);
		} else {
			fake_put(&b, 'C', "NOTIFY", 7);
			if (mode == FAKE_POOLER)
				fake_echo(&b, i < 3 ? 7 : 8, channel, payload);
			fake_put(&b, 'Z', "I", 1);
		}
		fake_flush(fd, &b);
		if (mode == FAKE_LATE) {
			server_sleep_ms(30);
			fake_echo(&b, 7, "news", "before");
			fake_echo(&b, 7, "News", "what a pooler's other client listens to");
			fake_echo(&b, 7, channel, "999999"); /* the answer to another question */
			fake_flush(fd, &b);
			server_sleep_ms(30);
			fake_echo(&b, 7, "news", "last");
			fake_echo(&b, 7, channel, payload);
			fake_flush(fd, &b);
		}
	}
	buf_release(&b);
}

static pid_t fake_start(enum fake_mode mode, int port)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 || listen(fd, 8) != 0)
		server_die("fake server");
	fflush(stdout);
	pid = fork();
	if (pid > 0) {
		close(fd);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			_exit(1);
		fake_serve(c, mode);
		close(c);
	}
}

static void the_echo_comes_late(void)
{
	struct pg_listen_opts o = options();
	int port = port_own();
	pid_t pid = fake_start(FAKE_LATE, port);
	char url[200];

	snprintf(url, sizeof(url), "host=127.0.0.1 port=%d user=u dbname=d sslmode=disable", port);
	o.url = url;
	open_up(&o);
	CHECK_INT(heard.notices, 0); /* what was told before on_up */
	CHECK_STR(told(), "before\nlast\n");
	CHECK_INT(heard.pongs, 2);
	CHECK_INT(heard.downs, 0);
	close_listener();
	server_kill(&pid);
}

static void a_pooler_moves_us(void)
{
	struct pg_listen_opts o = options();
	int port = port_own();
	pid_t pid = fake_start(FAKE_POOLER, port);
	char url[200];

	snprintf(url, sizeof(url), "host=127.0.0.1 port=%d user=u dbname=d sslmode=disable", port);
	o.url = url;
	open_up(&o);
	told();
	pg_listen_ping(listener);
	WAIT(heard.downs > 0);
	CHECK(strstr(heard.why, "pooler") != NULL);
	CHECK_INT(heard.pongs, 2);
	WAIT(heard.ups == 2);
	close_listener();
	server_kill(&pid);
}

static void a_pooler_moves_us_between_light_questions(void)
{
	struct pg_listen_opts o = options();
	int port = port_own();
	pid_t pid = fake_start(FAKE_POOLER, port);
	char url[200];

	snprintf(url, sizeof(url), "host=127.0.0.1 port=%d user=u dbname=d sslmode=disable", port);
	o.url = url;
	o.light = true;
	o.ping_ms = 20;
	o.on_alive = on_alive;
	open_up(&o);
	WAIT(heard.downs > 0);
	CHECK(strstr(heard.why, "pooler") != NULL);
	CHECK_INT(heard.alives, 1);
	CHECK_INT(heard.pongs, 1);
	close_listener();
	server_kill(&pid);
}

static void the_next_host_takes_it(void)
{
	struct pg_listen_opts o = options();
	int port = port_own();
	pid_t pid = fake_start(FAKE_REFUSES, port);
	double before = errors("25");
	char url[300];

	snprintf(url, sizeof(url),
	         "host=127.0.0.1,localhost port=%d,%d user=postgres dbname=postgres sslmode=disable "
	         "target_session_attrs=any",
	         port, server.port);
	o.url = url;
	open_up(&o);
	CHECK_INT((int)(errors("25") - before), 1);
	CHECK_INT(backends(), 1); /* of the real one */
	close_listener();
	snprintf(url, sizeof(url), "host=127.0.0.1 port=%d user=u dbname=d sslmode=disable", port);
	open_listener(&o);
	WAIT(strcmp(pg_listen_trouble(listener), "no listening here") == 0);
	close_listener();
	server_kill(&pid);
}

/* --- cases: a flood */

static struct timer every_turn;
static int this_turn, most_in_a_turn, turns;

static void on_turn(void *arg)
{
	(void)arg;
	turns++;
	if (this_turn > most_in_a_turn)
		most_in_a_turn = this_turn;
	this_turn = 0;
	timer_set(&every_turn, 0);
}

static void on_flood(void *arg, struct span payload)
{
	(void)arg;
	unordered += atoi(payload.ptr) != heard.notices;
	heard.notices++;
	this_turn++;
}

static long resident_kb(void)
{
	long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%ld %ld", &pages, &resident) != 2)
		server_die("statm");
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void check_flood(const char *text, int n)
{
	struct pg_listen_opts o = options();
	long before, grown;

	o.on_notice = on_flood;
	open_up(&o);
	unordered = this_turn = most_in_a_turn = turns = 0;
	timer_init(&every_turn, loop, on_turn, NULL);
	timer_set(&every_turn, 0);
	before = resident_kb();
	pgserver_sql(&server, text);
	server_sleep_ms(200); /* so that the socket is full */
	WAIT(heard.notices >= n);
	told();
	grown = resident_kb() - before;
	timer_release(&every_turn);
	printf("# %d notices in %d turns, at most %d in one; %ld KiB more\n", heard.notices, turns, most_in_a_turn,
	       grown);
	CHECK_INT(heard.notices, n);
	CHECK_INT(unordered, 0);
	CHECK(most_in_a_turn > 0 && most_in_a_turn <= 4000);
#ifndef ASAN /* it keeps what was freed for a while */
	CHECK(grown < 4096);
#endif
	CHECK_INT(heard.downs, 0);
	close_listener();
}

static void a_flood_of_small_ones(void)
{
	check_flood("SELECT count(pg_notify('news', i::text)) FROM generate_series(0, 99999) i", 100000);
}

static void a_flood_of_large_ones(void)
{
	check_flood("SELECT count(pg_notify('news', rpad(i || ' ', 7999, 'x'))) FROM generate_series(0, 2999) i", 3000);
}

/* --- cases: closing */

enum { IN_UP, IN_NOTICE, IN_PONG, IN_DOWN };
static int close_in;
static int after_close;

static void close_if(int where)
{
	after_close += listener == NULL;
	if (listener == NULL || close_in != where || (where == IN_NOTICE && ++heard.notices < 3))
		return;
	close_listener();
	loop_stop(loop);
}

static void up_then_close(void *arg)
{
	(void)arg;
	heard.ups++;
	close_if(IN_UP);
}

static void down_then_close(void *arg)
{
	(void)arg;
	close_if(IN_DOWN);
}

static void notice_then_close(void *arg, struct span payload)
{
	(void)arg;
	(void)payload;
	close_if(IN_NOTICE);
}

static void pong_then_close(void *arg, int64_t asked_ms)
{
	(void)arg;
	(void)asked_ms;
	close_if(IN_PONG);
}

static void closed_inside_its_callbacks(void)
{
	struct pg_listen_opts o = options();

	o.on_up = up_then_close;
	o.on_down = down_then_close;
	o.on_notice = notice_then_close;
	o.on_pong = pong_then_close;
	after_close = 0;
	for (int where = IN_UP; where <= IN_DOWN; where++) {
		close_in = where;
		open_listener(&o);
		WAIT(heard.ups > 0);
		if (where == IN_NOTICE)
			pgserver_sql(&server,
			             "SELECT count(pg_notify('news', i::text)) FROM generate_series(1, 500) i");
		if (where == IN_DOWN)
			kill(the_backend(), SIGTERM);
		WAIT(listener == NULL);
		run_for(50);
		CHECK_INT(after_close, 0);
	}
	WAIT(backends() == 0);
}

static void closed_at_any_time(void)
{
	struct pg_listen_opts o = options();
	char url[200];

	o.ping_ms = 1;
	for (int i = 0; i < 40; i++) {
		open_listener(&o);
		if (i > 0)
			run_for(i / 2);
		if (i % 3 == 0)
			pg_listen_ping(listener);
		close_listener();
	}
	snprintf(url, sizeof(url), "postgresql://postgres@localhost:%d/postgres", server.port);
	o.url = url;
	for (int i = 0; i < 6; i++) {
		open_listener(&o);
		if (i > 0)
			run_for(i);
		close_listener();
	}
	o.url = "host=/nowhere";
	open_listener(&o);
	run_for(30);
	close_listener();
	run_for(50);
	WAIT(backends() == 0);
}

/* Also callbacks that nobody wants. */
static void without_callbacks(void)
{
	struct pg_listen_opts o = {
	    .url = server.url, .application_name = APP, .channel = "news", .ping_ms = 10, .timeout_ms = 60000};

	listener = pg_listen_open(loop, &o);
	WAIT(pg_listen_up(listener));
	pgserver_sql(&server, "NOTIFY news, 'unheard'");
	run_for(50);
	kill(the_backend(), SIGTERM);
	WAIT(!pg_listen_up(listener));
	WAIT(pg_listen_up(listener));
	close_listener();
}

int main(void)
{
	log_init(getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR, LOG_TEXT, "test_pg_listen", "1");
	pgserver_init(&server);
	server.port = port_own();
	pgserver_start(&server);
	loop = loop_new();
	timer_init(&limit, loop, on_limit, NULL);
	RUN(notices_as_they_were_sent);
	RUN(channels_by_their_name);
	RUN(a_pong_comes_after_what_was_committed);
	RUN(a_pong_comes_after_what_was_visible);
	RUN(pongs_among_many_commits);
	RUN(questions_on_demand);
	RUN(questions_by_the_clock);
	RUN(light_questions_by_the_clock);
	RUN(dropped_on_demand);
	RUN(killed);
	RUN(shut_down);
	RUN(appears_later);
	RUN(terminated);
	RUN(one_backend_goes_silent);
	RUN(everything_goes_silent);
	RUN(no_backends_pile_up);
	RUN(a_wrong_password);
	RUN(addresses_that_lead_nowhere);
	RUN(hosts_by_name);
	RUN(a_read_only_session);
	RUN(the_echo_comes_late);
	RUN(a_pooler_moves_us);
	RUN(a_pooler_moves_us_between_light_questions);
	RUN(the_next_host_takes_it);
	RUN(a_flood_of_small_ones);
	RUN(a_flood_of_large_ones);
	RUN(closed_inside_its_callbacks);
	RUN(closed_at_any_time);
	RUN(without_callbacks);
	RUN(a_standby_until_it_is_promoted);
	buf_release(&heard.text);
	timer_release(&limit);
	loop_free(loop);
	DONE();
}
