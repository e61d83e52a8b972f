/* links: base io */
#include "check.h"
#include "servers.h"
#include "standstill.h"

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"

/* A client with what happened to it, as text: "up", "down:WHY", and what the commands answered. */
struct client {
	struct redis *r;
	char trace[4096];
	const char *until; /* the loop stops when the trace ends so */
	bool close_at_answer, drop_at_answer, call_at_answer;
};

static struct loop *loop;

static void note(struct client *c, const char *s)
{
	size_t len = strlen(c->trace);
	snprintf(c->trace + len, sizeof(c->trace) - len, "%s ", s);
	len = strlen(c->trace) - 1;
	if (c->until && len >= strlen(c->until) &&
	    strncmp(c->trace + len - strlen(c->until), c->until, strlen(c->until)) == 0)
		loop_stop(loop);
}

static void on_up(void *arg)
{
	note(arg, "up");
}

static void on_down(void *arg, enum err why)
{
	char s[64];
	snprintf(s, sizeof(s), "down:%s", err_text(why));
	note(arg, s);
}

static void on_late(void *arg, enum err err, const redisReply *reply)
{
	(void)reply;
	char s[64];
	snprintf(s, sizeof(s), "late:%s", err_text(err));
	note(arg, s);
}

static void on_answer(void *arg, enum err err, const redisReply *reply)
{
	struct client *c = arg;
	char s[128];
	CHECK((reply != NULL) == (err == ERR_OK || err == ERR_REFUSED));
	if (!reply)
		snprintf(s, sizeof(s), "(%s)", err_text(err));
	else if (reply->type == REDIS_REPLY_INTEGER)
		snprintf(s, sizeof(s), "%lld", reply->integer);
	else
		snprintf(s, sizeof(s), "%.20s", reply->str ? reply->str : "nil");
	note(c, s);
	if (c->call_at_answer) {
		c->call_at_answer = false;
		redis_call(c->r, on_late, c, 1, (struct span[]){SPAN("PING")});
	}
	if (c->drop_at_answer) {
		c->drop_at_answer = false;
		redis_drop(c->r, "dropped by the test");
		redis_call(c->r, on_late, c, 1, (struct span[]){SPAN("PING")});
	}
	if (c->close_at_answer) {
		c->close_at_answer = false;
		redis_close(c->r);
		c->r = NULL;
		note(c, "closed");
	}
}

static void on_push(void *arg, const redisReply *reply)
{
	char s[64];
	snprintf(s, sizeof(s), "push:%.20s", reply->element[2]->str);
	note(arg, s);
}

static void open_url(struct client *c, const char *url, unsigned timeout_ms)
{
	struct redis_opts opts = {.url = url,
	                          .label = "test",
	                          .timeout_ms = timeout_ms,
	                          .on_up = on_up,
	                          .on_down = on_down,
	                          .on_push = on_push,
	                          .arg = c};
	*c = (struct client){0};
	c->r = redis_open(loop, &opts);
	CHECK(!redis_up(c->r));
}

static void call(struct client *c, const char *words)
{
	struct span argv[16];
	size_t n = 0;
	for (const char *at = words; *at && n < 16; n++) {
		size_t len = strcspn(at, " ");
		argv[n] = (struct span){at, len};
		at += len + (at[len] == ' ');
	}
	redis_call(c->r, on_answer, c, n, argv);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Until the trace ends with `until`, at most 10 s; then the trace starts anew. */
static void expect_within(struct client *c, const char *until, const char *trace, int64_t ms)
{
	struct timer end;
	timer_init(&end, loop, stop, NULL);
	timer_set(&end, ms);
	c->until = until;
	loop_run(loop);
	c->until = NULL;
	timer_release(&end);
	size_t len = strlen(c->trace);
	if (len)
		c->trace[len - 1] = '\0';
	CHECK_STR(c->trace, trace);
	c->trace[0] = '\0';
}

static void expect(struct client *c, const char *trace)
{
	const char *last = strrchr(trace, ' ');
	expect_within(c, last ? last + 1 : trace, trace, 10000);
}

/* Nothing more comes. */
static void expect_silence(struct client *c, int64_t ms)
{
	expect_within(c, "never", "", ms);
}

/* --- calls */

static void answers_come_in_the_order_of_the_calls(void)
{
	struct redis_server s;
	struct client c;
	redis_server_start(&s, NULL);
	loop = loop_new();
	open_url(&c, s.unix_url, 1000);
	call(&c, "PING");
	CHECK_STR(c.trace, "");
	expect(&c, "(not reachable) up");
	for (int i = 1; i <= 200; i++)
		call(&c, "INCR n");
	call(&c, "LPUSH n x");
	call(&c, "GET none");
	call(&c, "PING");
	CHECK_STR(c.trace, ""); /* never inside the call */
	char want[4096] = "";
	for (int i = 1; i <= 200; i++)
		snprintf(want + strlen(want), sizeof(want) - strlen(want), "%d ", i);
	snprintf(want + strlen(want), sizeof(want) - strlen(want), "WRONGTYPE Operation  nil PONG");
	expect(&c, want);

	/* larger than any socket buffer, with every byte, and an empty argument */
	size_t len = 8 << 20;
	char *big = malloc(len);
	for (size_t i = 0; i < len; i++)
		big[i] = (char)(i * 7);
	redis_call(c.r, on_answer, &c, 3, (struct span[]){SPAN("SET"), SPAN("big"), {big, len}});
	redis_call(c.r, on_answer, &c, 3, (struct span[]){SPAN("SET"), {NULL, 0}, SPAN("")});
	memset(big, 0, len); /* it was copied */
	call(&c, "STRLEN big");
	call(&c, "GETRANGE big 64 67");
	expect(&c, "OK OK 8388608 \xc0\xc7\xce\xd5");
	free(big);
	redis_close(c.r);
	loop_free(loop);
	redis_server_stop(&s);
}

static void a_subscription_delivers_pushes(void)
{
	struct redis_server s;
	struct client c, d;
	redis_server_start(&s, NULL);
	loop = loop_new();
	open_url(&c, s.unix_url, 1000);
	expect(&c, "up");
	open_url(&d, s.unix_url, 1000);
	expect(&d, "up");
	call(&c, "SUBSCRIBE room");
	expect(&c, "nil");
	call(&d, "PUBLISH room hello");
	call(&d, "PUBLISH room again");
	expect(&c, "push:hello push:again");
	call(&c, "PING");
	expect(&c, "nil"); /* an array with "pong" */
	redis_close(c.r);
	redis_close(d.r);
	loop_free(loop);
	redis_server_stop(&s);
}

/* --- losses */

static void it_comes_back_after_the_server_died(void)
{
	struct redis_server s;
	struct client c;
	char url[64];
	redis_server_start(&s, NULL);
	loop = loop_new();
	snprintf(url, sizeof(url), "redis://localhost:%d/2", s.port); /* the name is resolved each time */
	open_url(&c, url, 1000);
	expect(&c, "up");
	call(&c, "BLPOP empty 0");
	expect_silence(&c, 50);
	redis_server_kill(&s);
	expect(&c, "(answer lost) down:answer lost");
	CHECK(!redis_up(c.r));
	call(&c, "PING");
	expect(&c, "(not reachable)");
	expect_silence(&c, 300);
	redis_server_run(&s);
	int64_t start = clock_ms();
	expect(&c, "up");
	CHECK(clock_ms() - start < 2800);
	call(&c, "SET k v");
	call(&c, "SELECT 2");
	call(&c, "GET k");
	expect(&c, "OK OK v"); /* it was in database 2 */
	redis_close(c.r);
	loop_free(loop);
	redis_server_stop(&s);
}

static void a_silent_server_is_given_up(void)
{
	struct redis_server s;
	struct client c;
	redis_server_start(&s, NULL);
	loop = loop_new();
	open_url(&c, s.url, 300);
	expect(&c, "up");
	kill(s.pid, SIGSTOP);
	int64_t start = clock_ms();
	call(&c, "INCR a");
	call(&c, "INCR a");
	expect(&c, "(timed out) (timed out) down:timed out");
	CHECK(clock_ms() - start >= 290 && clock_ms() - start < 900);
	kill(s.pid, SIGCONT);
	expect(&c, "up");
	redis_close(c.r);

	/* what did not leave whole was not done */
	open_url(&c, s.url, 300);
	expect(&c, "up");
	kill(s.pid, SIGSTOP);
	size_t len = 32 << 20;
	char *big = calloc(1, len);
	call(&c, "INCR a");
	redis_call(c.r, on_answer, &c, 3, (struct span[]){SPAN("SET"), SPAN("big"), {big, len}});
	free(big);
	expect(&c, "(timed out) (not reachable) down:timed out");
	kill(s.pid, SIGCONT);
	redis_close(c.r);

	/* without a timeout it waits */
	open_url(&c, s.url, 0);
	expect(&c, "up");
	call(&c, "BLPOP empty 1");
	expect(&c, "nil");
	redis_close(c.r);
	loop_free(loop);
	redis_server_stop(&s);
}

#define HELLO "+PONG\r\n*1\r\n$6\r\nmaster\r\n" /* of the greeting */

static void answers_nobody_asked_for_end_the_connection(void)
{
	loop = loop_new();
	struct client c;
	char dir[256], url[400];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	server_dir(dir, sizeof(dir));
	snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/s", dir);
	snprintf(url, sizeof(url), "unix://%s", a.sun_path);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listener, 8) == 0);
	static const struct {
		const char *says, *trace;
	} cases[] = {
	    {HELLO "+EXTRA\r\n", "up down:answer makes no sense"},
	    {HELLO "\x01\x02\xff rubbish\r\n", "up down:answer makes no sense"},
	    {HELLO "$-9\r\n", "up down:answer makes no sense"},
	    {HELLO "*2\r\n$3\r\nab", "up down:answer lost"}, /* half an answer, then the end */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_url(&c, url, 500);
		expect_silence(&c, 30);
		int fd = accept(listener, NULL, NULL);
		CHECK(write(fd, cases[i].says, strlen(cases[i].says)) > 0);
		shutdown(fd, SHUT_WR);
		expect(&c, cases[i].trace);
		redis_close(c.r);
		close(fd);
	}
	close(listener);
	loop_free(loop);
	server_remove_dir(dir);
}

/* --- what the server says against it */

static void credentials_are_sent_and_refusals_reported(void)
{
	struct redis_server s;
	struct client c;
	struct arena a;
	char url[128];
	const char *why;
	static const char *const extra[] = {"--requirepass", "p@ss:w/", "--user", "amy",       "on",
	                                    ">amy",          "~k*",     "+@all",  "-flushall", NULL};
	redis_server_start(&s, extra);
	loop = loop_new();
	arena_init(&a);
	snprintf(url, sizeof(url), "redis://:p%%40ss%%3aw%%2F@127.0.0.1:%d/1", s.port);
	open_url(&c, url, 1000);
	expect(&c, "up");
	redis_close(c.r);
	redisContext *now = redis_connect_now(url, NULL, &a, &why);
	CHECK(now != NULL);
	redisFree(now);

	snprintf(url, sizeof(url), "redis://amy:amy@127.0.0.1:%d", s.port);
	open_url(&c, url, 1000);
	expect(&c, "up");
	call(&c, "FLUSHALL");
	call(&c, "SET other 1");
	call(&c, "SET k 1");
	expect(&c, "(access denied) (access denied) OK");
	redis_close(c.r);

	open_url(&c, s.url, 1000); /* none */
	expect_silence(&c, 200);
	redis_close(c.r);
	CHECK(redis_connect_now(s.url, NULL, &a, &why) == NULL);
	CHECK(strstr(why, "NOAUTH") != NULL && strstr(why, s.url) != NULL);

	snprintf(url, sizeof(url), "redis://:wrong-secret@127.0.0.1:%d", s.port);
	open_url(&c, url, 1000);
	expect_silence(&c, 200);
	redis_close(c.r);
	CHECK(redis_connect_now(url, NULL, &a, &why) == NULL);
	CHECK(strstr(why, "WRONGPASS") != NULL && strstr(why, "wrong-secret") == NULL);
	redis_server_stop(&s);
	CHECK(redis_connect_now(s.url, NULL, &a, &why) == NULL);
	CHECK(redis_connect_now("redis://h:x", NULL, &a, &why) == NULL);
	arena_release(&a);
	loop_free(loop);
}

static void eval(struct client *c, struct redis_script *s, const char *arg)
{
	redis_eval(c->r, s, on_answer, c, 1, 2, (struct span[]){SPAN("key"), span_of(arg)});
}

static void scripts_survive_a_flush(void)
{
	struct redis_server s;
	struct client c;
	struct redis_script script = {.name = "test", .text = SPAN("return redis.call('APPEND', KEYS[1], ARGV[1])")};
	struct redis_script broken = {.name = "broken", .text = SPAN("return redis.call('LPUSH', KEYS[1], ARGV[1])")};
	redis_server_start(&s, NULL);
	loop = loop_new();
	open_url(&c, s.url, 1000);
	eval(&c, &script, "x");
	expect(&c, "(not reachable) up");
	eval(&c, &script, "a");
	eval(&c, &script, "b");
	expect(&c, "1 2"); /* in order though the server did not know it */
	call(&c, "SCRIPT FLUSH");
	eval(&c, &script, "c");
	eval(&c, &script, "");
	expect(&c, "OK 3 3");
	CHECK_STR(script.sha, "68014bf0cbd405594c3f62158602855af28788cb");
	eval(&c, &broken, "x");
	expect(&c, "WRONGTYPE Operation ");
	call(&c, "EVALSHA 0000000000000000000000000000000000000000 0");
	expect(&c, "NOSCRIPT No matching");
	redis_close(c.r);
	loop_free(loop);
	redis_server_stop(&s);
}

static void a_full_server_is_full_not_lost(void)
{
	struct redis_server s;
	struct client c;
	struct redis_script script = {.name = "test", .text = SPAN("return redis.call('SET', KEYS[1], ARGV[1])")};
	static const char *const extra[] = {"--maxmemory", "1mb", "--maxmemory-policy", "noeviction", NULL};
	redis_server_start(&s, extra);
	loop = loop_new();
	open_url(&c, s.url, 2000);
	expect(&c, "up");
	char *big = calloc(1, 1 << 20);
	redis_call(c.r, on_answer, &c, 3, (struct span[]){SPAN("SET"), SPAN("big"), {big, 1 << 20}});
	free(big);
	expect_within(&c, ")", "(full)", 2000);
	call(&c, "CONFIG SET maxmemory 1");
	call(&c, "SET k v");
	eval(&c, &script, "x");
	eval(&c, &script, "x");
	call(&c, "GET k");
	expect(&c, "OK (full) (full) (full) nil");
	CHECK(redis_up(c.r));
	redis_close(c.r);
	loop_free(loop);
	redis_server_stop(&s);
}

/* By another connection. */
static void tell(struct redis_server *s, const char *command)
{
	redisContext *control = redisConnect("127.0.0.1", s->port);
	redisReply *r = control && !control->err ? redisCommand(control, command) : NULL;
	CHECK(r && r->type == REDIS_REPLY_STATUS);
	freeReplyObject(r);
	redisFree(control);
}

static void a_replica_counts_as_down(void)
{
	struct redis_server s, replica;
	struct client c;
	char port[16], master[64];
	struct redis_script script = {.name = "test", .text = SPAN("return redis.call('SET', KEYS[1], ARGV[1])")};
	redis_server_start(&s, NULL);
	snprintf(port, sizeof(port), "%d", s.port);
	const char *const extra[] = {"--replicaof", "127.0.0.1", port, "--repl-diskless-sync-delay", "0", NULL};
	redis_server_start(&replica, extra);
	snprintf(master, sizeof(master), "REPLICAOF 127.0.0.1 %d", s.port);
	loop = loop_new();
	open_url(&c, replica.url, 1000);
	expect_silence(&c, 500);
	CHECK_STR(redis_trouble(c.r), "READONLY: it is a replica");
	tell(&replica, "REPLICAOF NO ONE"); /* promoted */
	expect(&c, "up");
	CHECK_STR(redis_trouble(c.r), NULL);
	tell(&replica, master); /* demoted while somebody is connected: the first write tells */
	call(&c, "SET k v");
	expect(&c, "(not reachable) down:not reachable");
	tell(&replica, "REPLICAOF NO ONE");
	expect(&c, "up");
	tell(&replica, master);
	eval(&c, &script, "x");
	expect(&c, "(not reachable) down:not reachable");

	tell(&replica, "CONFIG SET replica-serve-stale-data no");
	redis_server_kill(&s);
	expect_silence(&c, 500); /* MASTERDOWN, to the greeting */
	tell(&replica, "REPLICAOF NO ONE");
	expect(&c, "up");
	call(&c, "SET k v");
	expect(&c, "OK");
	redis_close(c.r);
	loop_free(loop);
	redis_server_stop(&replica);
	redis_server_stop(&s);
}

static void a_loading_server_is_waited_for(void)
{
	struct redis_server s;
	struct client c;
	static const char *const extra[] = {"--enable-debug-command",
	                                    "yes",
	                                    "--key-load-delay",
	                                    "2000",
	                                    "--loading-process-events-interval-bytes",
	                                    "1024",
	                                    NULL};
	redis_server_start(&s, extra);
	loop = loop_new();
	open_url(&c, s.url, 5000);
	expect(&c, "up");
	call(&c, "DEBUG POPULATE 1000");
	call(&c, "SAVE");
	expect(&c, "OK OK");
	redis_server_kill(&s);
	expect(&c, "down:answer lost");
	redis_server_run(&s); /* answers LOADING for 2 s */
	expect_silence(&c, 500);
	expect(&c, "up");
	call(&c, "DBSIZE");
	expect(&c, "1000");
	redis_close(c.r);
	loop_free(loop);
	redis_server_stop(&s);
}

/* --- callbacks that do something */

static void a_callback_may_close_drop_and_call(void)
{
	struct redis_server s;
	struct client c;
	redis_server_start(&s, NULL);
	loop = loop_new();
	open_url(&c, s.url, 1000);
	expect(&c, "up");
	c.call_at_answer = true;
	call(&c, "INCR n");
	expect(&c, "1 late:ok");

	c.drop_at_answer = true;
	call(&c, "INCR n");
	call(&c, "INCR n");
	expect(&c, "2 (answer lost) down:answer lost late:not reachable up");

	c.close_at_answer = true;
	call(&c, "INCR n");
	call(&c, "INCR n");
	expect(&c, "4 (answer lost) closed"); /* the first drop's second INCR was done */
	expect_silence(&c, 100);

	/* closing while failed calls are told: those behind it come first, nothing after */
	open_url(&c, s.url, 1000);
	c.close_at_answer = true;
	call(&c, "PING");
	call(&c, "PING");
	call(&c, "PING");
	expect(&c, "(not reachable) (not reachable) (not reachable) closed");
	expect_silence(&c, 100);

	/* closing at any stage of connecting */
	for (int ms = 0; ms < 4; ms++) {
		open_url(&c, s.url, 1000);
		expect_within(&c, "up", ms ? "up" : "", ms ? 10000 : 0);
		call(&c, "INCR m");
		redis_close(c.r);
	}
	redis_close(NULL);
	loop_free(loop);
	redis_server_stop(&s);
}

int main(void)
{
	log_init(LOG_ERROR, LOG_TEXT, "test", "redis");
	RUN_STEADILY(answers_come_in_the_order_of_the_calls);
	RUN_STEADILY(a_subscription_delivers_pushes);
	RUN_STEADILY(it_comes_back_after_the_server_died);
	RUN_STEADILY(a_silent_server_is_given_up);
	RUN_STEADILY(answers_nobody_asked_for_end_the_connection);
	RUN_STEADILY(credentials_are_sent_and_refusals_reported);
	RUN_STEADILY(scripts_survive_a_flush);
	RUN_STEADILY(a_full_server_is_full_not_lost);
	RUN_STEADILY(a_replica_counts_as_down);
	RUN_STEADILY(a_loading_server_is_waited_for);
	RUN_STEADILY(a_callback_may_close_drop_and_call);
	DONE();
}
