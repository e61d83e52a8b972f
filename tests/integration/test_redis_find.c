/* links: base io */
/* How a connection finds its server: servers that speak by a script, as nodes of a cluster and Sentinels would. */
#include "check.h"
#include "port.h"
#include "servers.h"

#include <poll.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "shoal/base/log.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"

#define MASTER "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
#define REPLICA "*2\r\n$5\r\nslave\r\n$1\r\nx\r\n"
#define PEERS 16
#define RULES 8

/* What a server answers to a command that has this word in it; so often (0: always), then the next rule that fits. */
struct rule {
	const char *word, *answer;
	int times;
};

static struct loop *loop;
static char trace[400];

static void note(const char *what)
{
	size_t len = strlen(trace);
	snprintf(trace + len, sizeof(trace) - len, "%s%s", len ? " " : "", what);
}

static const char *answer_to(struct rule *rules, const char *command)
{
	for (struct rule *r = rules; r->word; r++) {
		if (!strstr(command, r->word) || r->times < 0)
			continue;
		if (r->times > 0 && --r->times == 0)
			r->times = -1;
		return r->answer;
	}
	return "+OK\r\n";
}

/* One command of the client, "*N\r\n$LEN\r\n...", as a text; NULL: it is not whole. */
static char *next_command(char *in, size_t *len, char *out, size_t size)
{
	char *at = in, *end = in + *len;
	size_t used = 0;
	long words;
	if (at >= end || !memchr(at, '\n', (size_t)(end - at)))
		return NULL;
	words = strtol(at + 1, NULL, 10);
	at = (char *)memchr(at, '\n', (size_t)(end - at)) + 1;
	for (; words > 0; words--) {
		char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
		if (!line)
			return NULL;
		size_t n = (size_t)strtol(at + 1, NULL, 10);
		if (line + 1 + n + 2 > end)
			return NULL;
		used += (size_t)snprintf(out + used, size - used, "%.*s ", (int)n, line + 1);
		at = line + 1 + n + 2;
	}
	*len -= (size_t)(at - in);
	memmove(in, at, *len);
	return out;
}

static void serve(int listener, struct rule *rules)
{
	struct pollfd fds[PEERS] = {{listener, POLLIN, 0}};
	static char in[PEERS][4096];
	size_t len[PEERS] = {0};
	nfds_t n = 1;
	char command[4096];
	while (poll(fds, n, -1) > 0) {
		if (fds[0].revents && n < PEERS) {
			len[n] = 0;
			fds[n++] = (struct pollfd){accept(listener, NULL, NULL), POLLIN, 0};
		}
		for (nfds_t i = 1; i < n; i++) {
			if (!fds[i].revents)
				continue;
			ssize_t got = read(fds[i].fd, in[i] + len[i], sizeof(in[i]) - len[i]);
			if (got <= 0) {
				close(fds[i].fd);
				fds[i].fd = -1;
				continue;
			}
			len[i] += (size_t)got;
			while (next_command(in[i], &len[i], command, sizeof(command))) {
				const char *said = answer_to(rules, command);
				(void)!write(fds[i].fd, said, strlen(said));
			}
		}
	}
}

static pid_t start(int port, const struct rule *rules)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct rule own[RULES] = {{0}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 8) != 0)
		server_die("listen");
	for (int i = 0; i + 1 < RULES && rules[i].word; i++)
		own[i] = rules[i];
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd, own);
		_exit(0);
	}
	close(fd);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- the connection */

static const char *until;

static void came(const char *what)
{
	note(what);
	size_t len = strlen(trace), want = until ? strlen(until) : 0;
	if (want && len >= want && !strcmp(trace + len - want, until))
		loop_stop(loop);
}

static void on_up(void *arg)
{
	(void)arg;
	came("up");
}

static void on_down(void *arg, enum err why)
{
	(void)arg;
	(void)why;
	came("down");
}

static void on_answer(void *arg, enum err err, const redisReply *reply)
{
	(void)arg;
	came(err != ERR_OK ? err_text(err) : reply->str ? reply->str : "?");
}

static void give_up(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void expect_within(const char *end, const char *all, int64_t ms)
{
	struct timer limit;
	timer_init(&limit, loop, give_up, NULL);
	timer_set(&limit, ms);
	until = end;
	loop_run(loop);
	until = NULL;
	timer_release(&limit);
	CHECK_STR(trace, all);
	trace[0] = '\0';
}

static void expect(const char *end, const char *all)
{
	expect_within(end, all, 30000);
}

static struct redis *open_url(const char *url)
{
	loop = loop_new();
	trace[0] = '\0';
	return redis_open(loop, &(struct redis_opts){.url = url,
	                                             .home = "shoal:{1}:conf",
	                                             .label = "test",
	                                             .timeout_ms = 5000,
	                                             .on_up = on_up,
	                                             .on_down = on_down});
}

static void get(struct redis *r)
{
	redis_call(r, on_answer, NULL, 2, (struct span[]){SPAN("GET"), SPAN("shoal:{1}:x")});
}

static void end(struct redis *r)
{
	redis_close(r);
	loop_free(loop);
}

static const char *text(char *out, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(out, 300, fmt, ap);
	va_end(ap);
	return out;
}

/* ---- clusters */

static void moved_is_followed(void)
{
	int a = port_own(), b = port_own(), c = port_own();
	char url[300], to_b[300], gone[300], to_c[300], who[300];
	text(url, "redis://127.0.0.1:%d?shards=2", a);
	text(to_b, "-MOVED 9842 127.0.0.1:%d\r\n", b);
	text(to_c, "-MOVED 9842 :%d\r\n", c); /* of the same host */
	text(gone, "-MOVED 9842 127.0.0.1:%d\r\n", c);
	pid_t first = start(a, (struct rule[]){{"EXISTS", to_b, 1}, {"EXISTS", to_c, 0}, {0}});
	pid_t second = start(b, (struct rule[]){{"EXISTS", ":0\r\n", 1},
	                                        {"EXISTS", gone, 0},
	                                        {"ROLE", MASTER, 0},
	                                        {"GET", "$6\r\nsecond\r\n", 1},
	                                        {"GET", gone, 0},
	                                        {0}});
	pid_t third =
	    start(c, (struct rule[]){{"EXISTS", ":0\r\n", 0}, {"ROLE", MASTER, 0}, {"GET", "$5\r\nthird\r\n", 0}, {0}});
	struct redis *r = open_url(url);
	expect("up", "up");
	get(r);
	expect("second", "second");
	get(r); /* the slot has moved while it was connected */
	expect("up", "not reachable down up");
	get(r);
	expect("third", "third");
	end(r);

	struct arena arena;
	const char *why = NULL;
	arena_init(&arena);
	redisContext *now = redis_connect_now(url, "shoal:{1}:conf", &arena, &why);
	CHECK(now != NULL);
	redisReply *reply = now ? redisCommand(now, "GET x") : NULL;
	text(who, "%s", reply && reply->str ? reply->str : why ? why : "nobody");
	CHECK_STR(who, "third");
	freeReplyObject(reply);
	if (now)
		redisFree(now);
	/* a URL that says nothing of a cluster */
	text(url, "redis://127.0.0.1:%d", a);
	CHECK(redis_connect_now(url, "shoal:{1}:conf", &arena, &why) == NULL && strstr(why, "?shards=N"));
	r = open_url(url);
	expect_within("up", "", 300);
	CHECK(strstr(redis_trouble(r), "?shards=N") != NULL);
	end(r);
	arena_release(&arena);
	stop(first);
	stop(second);
	stop(third);
}

/* What the cluster told of its nodes is asked when the one of the URL is gone; a circle of nodes ends in pauses. */
static void other_nodes_are_asked(void)
{
	int a = port_own(), b = port_own();
	char url[300], slots[300], circle[300];
	text(url, "redis://127.0.0.1:%d?shards=2", a);
	text(slots,
	     "*1\r\n*4\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$1\r\nx\r\n*3\r\n$-1\r\n:%d\r\n$1\r\ny\r\n",
	     a, b);
	text(circle, "-MOVED 9842 127.0.0.1:%d\r\n", b);
	pid_t first = start(a, (struct rule[]){{"EXISTS", ":0\r\n", 0}, {"SLOTS", slots, 0}, {"ROLE", MASTER, 0}, {0}});
	pid_t second =
	    start(b, (struct rule[]){{"EXISTS", circle, 7}, {"EXISTS", ":0\r\n", 0}, {"ROLE", MASTER, 0}, {0}});
	struct redis *r = open_url(url);
	expect("up", "up");
	stop(first);
	expect("up", "down up");
	end(r);
	stop(second);
}

/* Until the slot has arrived, or the cluster is whole, its shard is down: nobody is sent where the answer is partly. */
static void what_is_on_its_way_is_down(void)
{
	static const char *const errors[] = {"-ASK 9842 127.0.0.1:1\r\n",
	                                     "-TRYAGAIN Multiple keys request during rehashing\r\n",
	                                     "-CLUSTERDOWN Hash slot not served\r\n",
	                                     "-LOADING Redis is loading\r\n",
	                                     "-MASTERDOWN Link with MASTER is down\r\n",
	                                     "-MISCONF Errors writing to the AOF\r\n",
	                                     "-READONLY You can't write against a read only replica.\r\n"};
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		int port = port_own();
		char url[300];
		pid_t server = start(port, (struct rule[]){{"EXISTS", ":0\r\n", 1},
		                                           {"EXISTS", errors[i], 2},
		                                           {"EXISTS", ":0\r\n", 0},
		                                           {"ROLE", MASTER, 0},
		                                           {"GET", errors[i], 1},
		                                           {"GET", "$4\r\nthen\r\n", 0},
		                                           {0}});
		struct redis *r = open_url(text(url, "redis://127.0.0.1:%d?shards=2", port));
		expect("up", "up");
		get(r);
		expect("up", "not reachable down up");
		get(r);
		expect("then", "then");
		end(r);
		stop(server);
	}
}

/* ---- Sentinels */

static void sentinels_name_the_master(void)
{
	int s = port_own(), a = port_own(), b = port_own();
	char url[300], says_a[300], says_b[300];
	text(url, "redis+sentinel://:pw@127.0.0.1:%d/main?node=127.0.0.1:%d", port_own(), s); /* the first is away */
	text(says_a, "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05d\r\n", a);
	text(says_b, "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05d\r\n", b);
	pid_t sentinel = start(s, (struct rule[]){{"AUTH", "-ERR AUTH called without any password configured\r\n", 0},
	                                          {"BY-NAME main", "*-1\r\n", 1},
	                                          {"BY-NAME main", says_a, 2},
	                                          {"BY-NAME main", says_b, 0},
	                                          {0}});
	/* has just been replaced, and does not know the first time */
	pid_t old = start(a, (struct rule[]){{"ROLE", REPLICA, 1},
	                                     {"ROLE", MASTER, 0},
	                                     {"EXISTS", ":0\r\n", 0},
	                                     {"GET", "-READONLY You can't write\r\n", 0},
	                                     {0}});
	pid_t new =
	    start(b, (struct rule[]){{"ROLE", MASTER, 0}, {"EXISTS", ":0\r\n", 0}, {"GET", "$3\r\nnew\r\n", 0}, {0}});
	struct redis *r = open_url(url);
	expect("up", "up");
	get(r);
	expect("up", "not reachable down up");
	get(r);
	expect("new", "new");
	end(r);
	stop(sentinel);
	stop(old);
	stop(new);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_init(LOG_ERROR, LOG_TEXT, "test", "find");
	RUN(moved_is_followed);
	RUN(other_nodes_are_asked);
	RUN(what_is_on_its_way_is_down);
	RUN(sentinels_name_the_master);
	DONE();
}
