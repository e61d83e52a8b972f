/* links: base io */
#include "check.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/metrics.h"
#include "shoal/io/dns.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/io/redis_url.h"

static struct loop *loop;
static char trace[256];

static void note(const char *s)
{
	strncat(trace, s, sizeof(trace) - strlen(trace) - 1);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void begin(void)
{
	trace[0] = '\0';
	loop = loop_new();
}

static void run_ms(int64_t ms)
{
	struct timer end;
	timer_init(&end, loop, stop, NULL);
	timer_set(&end, ms);
	loop_run(loop);
	timer_release(&end);
}

/* --- timers */

static struct timer ta, tb, tc;

static void say(void *arg)
{
	note(arg);
}

static void say_and_release(void *arg)
{
	note(arg);
	timer_release(&tb);
}

static void timers_run_in_order_of_time_and_once(void)
{
	begin();
	timer_init(&ta, loop, say, "a");
	timer_init(&tb, loop, say_and_release, "b");
	timer_init(&tc, loop, say, "c");
	CHECK(!timer_armed(&ta));
	timer_set(&ta, 60);
	timer_set(&tb, 20);
	timer_set(&tc, 40);
	CHECK(timer_armed(&ta));
	CHECK_STR(trace, "");
	run_ms(150);
	CHECK_STR(trace, "bca");
	CHECK(!timer_armed(&ta));
	CHECK(!timer_armed(&tb));
	timer_set(&ta, 10); /* moved */
	timer_set(&ta, 60);
	timer_set(&tc, 10);
	timer_stop(&tc);
	CHECK(!timer_armed(&tc));
	run_ms(30);
	CHECK_STR(trace, "bca");
	run_ms(80);
	CHECK_STR(trace, "bcaa");
	timer_set(&tc, -5);
	run_ms(20);
	CHECK_STR(trace, "bcaac");
	timer_release(&ta);
	timer_release(&tb);
	timer_release(&tc);
	loop_free(loop);
}

/* --- tasks */

static struct task one, two, three;

static void task_one(void *arg)
{
	(void)arg;
	note("1");
	task_cancel(&two); /* waits in the same round */
	loop_defer(loop, &three);
	loop_defer(loop, &three);
}

static void tasks_run_after_the_caller_in_order(void)
{
	begin();
	one = (struct task){.fn = task_one};
	two = (struct task){.fn = say, .arg = "2"};
	three = (struct task){.fn = say, .arg = "3"};
	loop_defer(loop, &two);
	loop_defer(loop, &one);
	loop_defer(loop, &two); /* keeps its place */
	loop_defer(loop, &three);
	CHECK_STR(trace, "");
	run_ms(20);
	CHECK_STR(trace, "213");
	trace[0] = '\0';
	loop_defer(loop, &one);
	loop_defer(loop, &two);
	run_ms(20);
	CHECK_STR(trace, "13");
	trace[0] = '\0';
	loop_defer(loop, &two);
	loop_defer(loop, &three);
	task_cancel(&three); /* the last one: what comes after must still be found */
	loop_defer(loop, &one);
	run_ms(20);
	CHECK_STR(trace, "213");
	task_cancel(&two);
	loop_free(loop);
}

static void again(void *arg)
{
	(void)arg;
	loop_defer(loop, &one);
}

static void a_task_without_end_does_not_starve_the_loop(void)
{
	begin();
	one = (struct task){.fn = again};
	loop_defer(loop, &one);
	timer_init(&ta, loop, say, "t");
	timer_set(&ta, 20);
	run_ms(60);
	CHECK_STR(trace, "t");
	timer_release(&ta);
	task_cancel(&one);
	loop_free(loop);
}

static void stop_keeps_the_tasks_that_wait(void)
{
	begin();
	one = (struct task){.fn = stop};
	two = (struct task){.fn = say, .arg = "2"};
	three = (struct task){.fn = say, .arg = "3"};
	loop_defer(loop, &one);
	loop_defer(loop, &two);
	loop_run(loop);
	CHECK_STR(trace, "");
	loop_defer(loop, &three);
	run_ms(20);
	CHECK_STR(trace, "23");
	loop_stop(loop);
	loop_run(loop); /* ends at once */
	loop_free(loop);
}

/* --- signals, lag */

static void on_signal(void *arg, int signum)
{
	note(signum == SIGUSR1 ? "usr1" : "other");
	loop_stop(arg);
}

static void signals_come_from_the_loop(void)
{
	begin();
	loop_on_signal(loop, SIGUSR1, on_signal, loop);
	loop_on_signal(loop, SIGTERM, on_signal, loop);
	raise(SIGUSR1);
	CHECK_STR(trace, "");
	loop_run(loop);
	CHECK_STR(trace, "usr1");
	loop_free(loop);
	raise(SIGTERM); /* while the program ends: it would be killed here */
	CHECK(signal(SIGTERM, SIG_DFL) == SIG_IGN && signal(SIGUSR1, SIG_DFL) == SIG_IGN);
}

static void sleep_ms(long ms)
{
	struct timespec t = {.tv_nsec = ms * 1000000L};
	nanosleep(&t, NULL);
}

static int touches_left;

static void hang(void *arg)
{
	(void)arg;
	loop_note(loop, "the long one");
	sleep_ms(300);
	CHECK(loop_silent_ms(loop) >= 200);
}

/* Over before the next tick of the loop. */
static void hang_briefly(void *arg)
{
	(void)arg;
	loop_note(loop, "the brief one");
	sleep_ms(70);
}

/* What is logged while the timer's function runs once. */
static void log_of(void (*fn)(void *arg), int64_t after_ms, char *text, size_t size)
{
	int fds[2], saved = dup(2);
	CHECK_INT(pipe(fds), 0);
	dup2(fds[1], 2);
	timer_init(&ta, loop, fn, NULL);
	timer_set(&ta, after_ms);
	run_ms(500);
	dup2(saved, 2);
	close(saved);
	close(fds[1]);
	ssize_t n = read(fds[0], text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	timer_release(&ta);
}

static void a_hang_is_measured_and_named(void)
{
	char text[4096];
	begin();
	struct series *lag = SERIES0(metric_histogram("shoal_loop_lag_seconds", "", "", NULL, 0));
	double before = series_value(lag);
	log_of(hang, 20, text, sizeof(text));
	CHECK(strstr(text, "the long one") != NULL);
	CHECK(series_value(lag) >= before + 1); /* another one may be left out when the machine stands still */
	CHECK(loop_silent_ms(loop) < 1000);
	loop_free(loop);
}

static bool is_told_of(void (*fn)(void *arg), const char *what)
{
	char text[4096];
	begin();
	log_of(fn, 5, text, sizeof(text));
	loop_free(loop);
	return strstr(text, what) != NULL;
}

static void so_is_one_between_two_ticks(void)
{
	CHECK(is_told_of(hang_briefly, "the brief one"));
}

/* As two jobs in the same stage. */
static void hang_twice(void *arg)
{
	(void)arg;
	loop_note(loop, "one of two");
	sleep_ms(35);
	loop_note(loop, "one of two");
	sleep_ms(35);
}

static void and_one_in_pieces(void)
{
	CHECK(is_told_of(hang_twice, "one of two"));
}

static void touch(void *arg)
{
	(void)arg;
	loop_note(loop, "the same");
	if (--touches_left > 0)
		timer_set(&ta, 70);
}

/* Twice within a tick, with a rest between that is nobody's work. Where the machine stands still meanwhile that is told
 * of, rightly; it does not each time. */
static void what_sleeps_does_not_run(void)
{
	bool told = true;
	for (int i = 0; i < 5 && told; i++) {
		touches_left = 2;
		told = is_told_of(touch, "the same");
	}
	CHECK(!told);
}

/* --- names */

static void resolved(void *arg, enum err err, const char *addr)
{
	note(arg);
	note("=");
	note(err ? err_text(err) : addr);
	note(" ");
}

static void names_become_addresses_in_a_later_turn(void)
{
	char long_name[400];
	begin();
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	dns_resolve(loop, "127.0.0.1", resolved, "v4");
	dns_resolve(loop, "0:0:0::1", resolved, "v6");
	dns_resolve(loop, "LocalHost", resolved, "name");
	dns_resolve(loop, "", resolved, "empty");
	dns_resolve(loop, "a b", resolved, "space");
	dns_resolve(loop, long_name, resolved, "long");
	dns_cancel(dns_resolve(loop, "127.0.0.2", resolved, "cancelled"));
	dns_cancel(dns_resolve(loop, "host.invalid", resolved, "cancelled"));
	CHECK_STR(trace, "");
	run_ms(50);
	CHECK_STR(trace, "v4=127.0.0.1 v6=::1 name=127.0.0.1 empty=not valid space=not valid long=not valid ");
	loop_free(loop);
}

static void a_question_under_way_goes_with_the_loop(void)
{
	begin();
	dns_resolve(loop, "never-answered.invalid", resolved, "x");
	loop_free(loop);
	begin();
	dns_resolve(loop, "localhost", resolved, "x");
	loop_free(loop);
	CHECK_STR(trace, "");
}

/* --- Redis URLs and error replies */

static void redis_urls_are_read(void)
{
	struct arena a;
	struct redis_url u;
	const char *why;
	arena_init(&a);
	CHECK_INT(redis_url_parse("redis://us%40er:p%3a%2Fw@host.example:7000/3?shards=4", &u, &a, &why), ERR_OK);
	CHECK_STR(u.user, "us@er");
	CHECK_STR(u.pass, "p:/w");
	CHECK_STR(u.nodes[0].host, "host.example");
	CHECK_INT(u.nodes[0].port, 7000);
	CHECK_INT(u.shards, 4);
	CHECK_INT(u.db, 3);
	CHECK_STR(u.name, "redis://host.example:7000/3");
	CHECK_INT(redis_url_parse("redis://:pw@[::1]", &u, &a, &why), ERR_OK);
	CHECK_STR(u.user, NULL);
	CHECK_STR(u.pass, "pw");
	CHECK_STR(u.nodes[0].host, "::1");
	CHECK_INT(u.nodes[0].port, 6379);
	CHECK_INT(u.shards, 0);
	CHECK_STR(u.name, "redis://[::1]:6379/0");
	CHECK_INT(redis_url_parse("redis://[::1]:7/", &u, &a, &why), ERR_OK);
	CHECK_INT(u.nodes[0].port, 7);
	CHECK_INT(redis_url_parse("unix:///run/a%20b.sock?db=12", &u, &a, &why), ERR_OK);
	CHECK_STR(u.path, "/run/a b.sock");
	CHECK_INT(u.db, 12);
	CHECK_INT(u.nnodes, 0);
	CHECK_INT(redis_url_parse("redis://a?node=b:7001&shards=2&node=[::2]", &u, &a, &why), ERR_OK);
	CHECK_INT(u.nnodes, 3);
	CHECK_STR(u.nodes[1].host, "b");
	CHECK_INT(u.nodes[1].port, 7001);
	CHECK_STR(u.nodes[2].host, "::2");
	CHECK_INT(u.nodes[2].port, 6379);
	CHECK_INT(redis_url_parse("redis+sentinel://:pw@s:1/my%20own/2?node=t", &u, &a, &why), ERR_OK);
	CHECK_STR(u.master, "my own");
	CHECK_INT(u.db, 2);
	CHECK_INT(u.nodes[0].port, 1);
	CHECK_INT(u.nodes[1].port, 26379);
	CHECK_STR(u.pass, "pw");
	CHECK_STR(u.name, "redis+sentinel://s:1/my own/2");
	arena_release(&a);
}

static void unusable_redis_urls_are_refused_with_a_reason(void)
{
	static const char *const bad[] = {
	    "",
	    "http://h",
	    "redis://",
	    "redis://:6379",
	    "redis://h:",
	    "redis://h:0",
	    "redis://h:65536",
	    "redis://h:6379x",
	    "redis://h/x",
	    "redis://h/-1",
	    "redis://h?what=1",
	    "redis://h?shards=0",
	    "redis://h?shards=65",
	    "redis://h?node=i",
	    "redis://h?shards=2&node=",
	    "redis://h?shards=2&node=i:x",
	    "redis+sentinel://h",
	    "redis+sentinel://h/",
	    "redis+sentinel://h//1",
	    "redis+sentinel://h/m/x",
	    "redis+sentinel://h/m?shards=2",
	    "redis://h,redis://i",
	    "redis://secret%@h",
	    "redis://u:secret%zz@h",
	    "redis://u:secret%00@h",
	    "redis://u:@h",
	    "redis://[::1",
	    "redis://[::1]x",
	    "redis://[]:1",
	    "unix://run/x",
	    "unix:///",
	    "unix:///x?db=a",
	    "redis://a b",
	};
	struct arena a;
	const char *why;
	arena_init(&a);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		if (redis_url_check(bad[i], &a, &why) != ERR_INVALID || !why || strstr(why, "secret")) {
			printf("# taken: %s\n", bad[i]);
			CHECK(false);
		}
	}
	char *path = arena_alloc(&a, 200);
	memset(path, 'p', 199);
	CHECK_INT(redis_url_check(arena_printf(&a, "unix:///%s", path), &a, &why), ERR_INVALID);
	CHECK_INT(redis_url_check(NULL, &a, &why), ERR_INVALID);
#ifndef SHOAL_REDIS_TLS
	CHECK_INT(redis_url_check("rediss://h", &a, &why), ERR_INVALID);
	CHECK(strstr(why, "TLS") != NULL);
#endif
	arena_release(&a);
}

static void error_replies_have_one_meaning(void)
{
	static const struct {
		const char *text;
		enum err err;
		bool down;
	} cases[] = {
	    {"READONLY You can't write against a read only replica.", ERR_UNREACHABLE, true},
	    {"READONLY You can't write against a read only replica. script: 8d2, on @user_script:1.", ERR_UNREACHABLE,
	     true},
	    {"-READONLY x", ERR_UNREACHABLE, true},
	    {"LOADING Redis is loading the dataset in memory", ERR_UNREACHABLE, true},
	    {"MASTERDOWN Link with MASTER is down", ERR_UNREACHABLE, true},
	    {"MISCONF Redis is configured to save RDB snapshots", ERR_UNREACHABLE, true},
	    {"BUSY Redis is busy running a script.", ERR_UNREACHABLE, true},
	    {"BUSYGROUP Consumer Group name already exists", ERR_REFUSED, false},
	    {"ERR max number of clients reached", ERR_UNREACHABLE, true},
	    {"OOM command not allowed when used memory > 'maxmemory'.", ERR_FULL, false},
	    {"ERR Error running script (call to f_8d2): @user_script:1: @user_script: 1: -OOM command not allowed",
	     ERR_FULL, false},
	    {"ERR Error running script (call to f_8d2): @user_script:1: -READONLY You can't write", ERR_UNREACHABLE,
	     true},
	    {"ERR Error running script (call to f_8d2): @user_script:1: -WRONGTYPE Operation", ERR_REFUSED, false},
	    {"WRONGPASS invalid username-password pair or user is disabled.", ERR_DENIED, false},
	    {"NOAUTH Authentication required.", ERR_DENIED, false},
	    {"NOPERM this user has no permissions", ERR_DENIED, false},
	    {"MOVED 3999 127.0.0.1:6381", ERR_UNREACHABLE, true},
	    {"ASK 3999 127.0.0.1:6381", ERR_UNREACHABLE, true},
	    {"TRYAGAIN Multiple keys request during rehashing of slot", ERR_UNREACHABLE, true},
	    {"CLUSTERDOWN The cluster is down", ERR_UNREACHABLE, true},
	    {"CROSSSLOT Keys in request don't hash to the same slot", ERR_REFUSED, false},
	    {"WRONGTYPE Operation against a key holding the wrong kind of value", ERR_REFUSED, false},
	    {"", ERR_REFUSED, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool down;
		enum err err = redis_classify(cases[i].text, &down);
		if (err != cases[i].err || down != cases[i].down) {
			printf("# %s: %s\n", cases[i].text, err_text(err));
			CHECK(false);
		}
	}
}

int main(void)
{
	RUN(timers_run_in_order_of_time_and_once);
	RUN(tasks_run_after_the_caller_in_order);
	RUN(a_task_without_end_does_not_starve_the_loop);
	RUN(stop_keeps_the_tasks_that_wait);
	RUN(signals_come_from_the_loop);
	RUN(a_hang_is_measured_and_named);
	RUN(so_is_one_between_two_ticks);
	RUN(and_one_in_pieces);
	RUN(what_sleeps_does_not_run);
	RUN(names_become_addresses_in_a_later_turn);
	RUN(a_question_under_way_goes_with_the_loop);
	RUN(redis_urls_are_read);
	RUN(unusable_redis_urls_are_refused_with_a_reason);
	RUN(error_replies_have_one_meaning);
	DONE();
}
