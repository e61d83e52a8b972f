/* links: base io store */
#include "check.h"
#include "servers.h"
#include "standstill.h"

#include <stdarg.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/loop.h"
#include "shoal/store/queue.h"

#define PATIENCE_MS 30000 /* for what has to come, however busy the machine is */

#define ENTRIES_MAX 4000
#define LANES 20

/* What the test knows of an entry that it has appended. */
struct known {
	char id[32];
	int lane, given, settled;
	struct user *holder;
};

struct user {
	struct queue *q;
	struct shard_marks marks;
	unsigned room;
	bool settle; /* at once, in on_entry */
	struct queue_entry *hand[512];
	unsigned n;
	int given, again, lost, dead, killers, ups, left, yes, no;
	char dead_id[32];
	int64_t given_ms;
};

static struct loop *loop;
static struct redis_server server;
static redisContext *control;
static struct known known[ENTRIES_MAX];
static int nknown, reached[LANES]; /* per lane: index of the last one given */
static struct user users[3];
static int disorder;

/* ---- Redis by hand */

static redisReply *ask(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	redisReply *r = redisvCommand(control, fmt, ap);
	va_end(ap);
	if (!r) {
		printf("Bail out! redis: %s\n", control->errstr);
		exit(1);
	}
	return r;
}

static long long number(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	redisReply *r = redisvCommand(control, fmt, ap);
	va_end(ap);
	long long n = r && r->type == REDIS_REPLY_INTEGER ? r->integer : -1;
	if (r && r->type == REDIS_REPLY_ERROR)
		printf("# %s: %s\n", fmt, r->str);
	freeReplyObject(r);
	return n;
}

static void connect_control(void)
{
	if (control)
		redisFree(control);
	control = redisConnectUnix(server.sock);
	if (!control || control->err)
		server_die("control connection");
}

static const char *append(int lane)
{
	struct known *k = &known[nknown++];
	redisReply *r = ask("XADD shoal:{0}:updates * bot persona lane lane:%d body {\"n\":%d}", lane, nknown - 1);
	*k = (struct known){.lane = lane};
	snprintf(k->id, sizeof(k->id), "%s", r->str);
	freeReplyObject(r);
	return k->id;
}

static int find(const char *id)
{
	for (int i = nknown - 1; i >= 0; i--)
		if (!strcmp(known[i].id, id))
			return i;
	return -1;
}

/* How often a script was called since this was last asked. */
static long long turns(void)
{
	long long n = 0;
	redisReply *r = ask("INFO commandstats");
	const char *names[] = {"cmdstat_evalsha:calls=", "cmdstat_eval:calls="};
	for (int i = 0; i < 2; i++) {
		const char *p = strstr(r->str, names[i]);
		n += p ? atoll(p + strlen(names[i])) : 0;
	}
	freeReplyObject(r);
	freeReplyObject(ask("CONFIG RESETSTAT"));
	return n;
}

static void check_empty(void)
{
	CHECK_INT(number("XLEN shoal:{0}:updates"), 0);
	CHECK_INT(number("EXISTS shoal:{0}:lanes"), 0);
	CHECK_INT(number("EXISTS shoal:{0}:waiting"), 0);
	CHECK_INT(number("EXISTS shoal:{0}:due"), 0);
	CHECK_INT(number("EXISTS shoal:{0}:tries"), 0);
}

/* ---- users of queues */

static unsigned room(void *arg, unsigned shard)
{
	(void)shard;
	const struct user *u = arg;
	unsigned used = u->n + queue_wanted(u->q);
	return used < u->room ? u->room - used : 0;
}

static bool empty_handed(void *arg)
{
	return ((struct user *)arg)->n == 0;
}

static void forget(struct user *u, struct queue_entry *e)
{
	for (unsigned i = 0; i < u->n; i++)
		if (u->hand[i] == e) {
			u->hand[i] = u->hand[--u->n];
			return;
		}
	BUG("not in hand");
}

static void settle(struct user *u, struct queue_entry *e)
{
	int i = find(e->id);
	forget(u, e);
	if (i >= 0) {
		known[i].holder = NULL;
		known[i].settled++;
	}
	queue_done(e);
}

static void on_entry(void *arg, struct queue_entry *e)
{
	struct user *u = arg;
	int i = find(e->id);
	u->given++;
	u->again += e->handed == HANDED_AGAIN;
	u->given_ms = clock_ms();
	u->hand[u->n++] = e;
	if (i < 0)
		return;
	struct known *k = &known[i];
	disorder += k->holder != NULL; /* in two hands */
	disorder += k->given > 0 && e->handed == HANDED_FIRST;
	disorder += i < reached[k->lane];
	for (int j = reached[k->lane]; j < i; j++) /* nothing before it was passed over */
		disorder += known[j].lane == k->lane && !known[j].settled;
	reached[k->lane] = i;
	k->given++;
	k->holder = u;
	if (u->settle)
		settle(u, e);
}

static void on_lost(void *arg, struct queue_entry *e)
{
	struct user *u = arg;
	int i = find(e->id);
	CHECK(e->lost);
	u->lost++;
	if (i >= 0)
		known[i].holder = NULL;
	forget(u, e);
	queue_drop(e);
}

static void on_marked(void *arg, bool ours)
{
	struct queue_entry *e = arg;
	struct user *u = e->user;
	CHECK(ours == !e->lost);
	if (ours) {
		u->yes++;
		return;
	}
	u->no++;
	forget(u, e);
	queue_drop(e);
}

static void on_duplicate(void *arg, struct span bot)
{
	(void)arg;
	(void)bot;
}

static void on_dead(void *arg, const struct queue_burial *b)
{
	struct user *u = arg;
	u->dead++;
	CHECK_INT(b->bot.len, 7);
	CHECK(b->why.len > 0);
	CHECK(b->key.len > 0);
	snprintf(u->dead_id, sizeof(u->dead_id), "%.*s", (int)b->id.len, b->id.ptr);
}

static void on_killer(void *arg, struct span bot, struct span key, struct span body)
{
	struct user *u = arg;
	u->killers++;
	CHECK(bot.len == 7 && key.len > 0 && body.len > 0);
}

static void on_queue_up(void *arg, unsigned shard)
{
	CHECK_INT(shard, 0);
	((struct user *)arg)->ups++;
}

static void on_left(void *arg)
{
	((struct user *)arg)->left++;
}

static int past_now;

static int past(void *arg)
{
	(void)arg;
	return past_now;
}

static void start_with(int i, unsigned places, bool at_once, int (*fn)(void *arg))
{
	struct user *u = &users[i];
	char name[16];
	snprintf(name, sizeof(name), "w%d", i);
	*u = (struct user){.room = places, .settle = at_once};
	u->q = queue_open(&(struct queue_opts){.loop = loop,
	                                       .url = server.unix_url,
	                                       .shards = 1,
	                                       .worker_id = name,
	                                       .max_attempts = 3,
	                                       .idempotency_ttl_s = 86400,
	                                       .room = room,
	                                       .empty_handed = empty_handed,
	                                       .past = fn,
	                                       .marks = &u->marks,
	                                       .on_entry = on_entry,
	                                       .on_lost = on_lost,
	                                       .on_up = on_queue_up,
	                                       .on_duplicate = on_duplicate,
	                                       .on_dead = on_dead,
	                                       .on_killer = on_killer,
	                                       .arg = u});
}

static void start(int i, unsigned places, bool at_once)
{
	start_with(i, places, at_once, NULL);
}

static void stop(int i)
{
	queue_close(users[i].q);
	users[i].q = NULL;
}

/* ---- waiting */

struct wait {
	struct timer timer;
	bool (*fn)(void);
	int64_t end;
	bool met;
};

static void look(void *arg)
{
	struct wait *w = arg;
	w->met = w->fn && w->fn();
	if (w->met || clock_ms() >= w->end)
		loop_stop(loop);
	else
		timer_set(&w->timer, 2);
}

static bool until(bool (*fn)(void), int ms)
{
	struct wait w = {.fn = fn, .end = clock_ms() + ms};
	timer_init(&w.timer, loop, look, &w);
	timer_set(&w.timer, 0);
	loop_run(loop);
	timer_release(&w.timer);
	return w.met;
}

static void run_for(int ms)
{
	until(NULL, ms);
}

static bool all_settled(void)
{
	for (int i = 0; i < nknown; i++)
		if (known[i].settled != 1)
			return false;
	return true;
}

static bool queue_empty(void)
{
	return number("XLEN shoal:{0}:updates") == 0;
}

static bool first_ready(void)
{
	return users[0].ups > 0 && queue_up(users[0].q);
}

static bool second_ready(void)
{
	return users[1].ups > 0 && queue_up(users[1].q);
}

static int want_in_hand;
static bool first_has(void)
{
	return users[0].n == (unsigned)want_in_hand;
}
static bool second_has(void)
{
	return users[1].n == (unsigned)want_in_hand;
}
static bool first_left(void)
{
	return users[0].left > 0;
}

static bool first_down(void)
{
	return !queue_up(users[0].q);
}
static bool first_answered(void)
{
	return users[0].yes + users[0].no >= 2;
}
static bool one_letter(void)
{
	return number("XLEN shoal:{0}:dead") == 1;
}

static bool first_dead(void)
{
	return users[0].dead > 0;
}

static void fresh(void)
{
	freeReplyObject(ask("FLUSHALL"));
	nknown = 0;
	disorder = 0;
	memset(reached, 0, sizeof(reached));
	memset(known, 0, sizeof(known));
	memset(users, 0, sizeof(users));
}

/* users[0] with n entries in hand, of lanes 0 to n-1 */
static void hold(int n)
{
	start(0, 64, false);
	for (int i = 0; i < n; i++)
		append(i);
	want_in_hand = n;
	CHECK(until(first_has, PATIENCE_MS));
}

static void settle_all(struct user *u)
{
	while (u->n)
		settle(u, u->hand[0]);
}

/* ---- the tests */

static void test_everything_once_and_in_order(void)
{
	fresh();
	for (int i = 0; i < 300; i++)
		append(i % LANES);
	for (int i = 0; i < 3; i++)
		start(i, 40, true);
	for (int i = 0; i < 60; i++) {
		for (int j = 0; j < 10; j++)
			append((i * 7 + j * j) % LANES);
		run_for(2);
	}
	CHECK(until(all_settled, PATIENCE_MS));
	CHECK(until(queue_empty, PATIENCE_MS));
	CHECK_INT(users[0].given + users[1].given + users[2].given, 900);
	CHECK_INT(users[0].again + users[1].again + users[2].again, 0);
	CHECK_INT(users[0].lost + users[1].lost + users[2].lost, 0);
	CHECK_INT(disorder, 0);
	check_empty();
	for (int i = 0; i < 3; i++)
		stop(i);
}

/* A beat comes every 500 ms: eight that all arrive at once were rung for. */
static void doorbell(unsigned places, int held)
{
	fresh();
	start(0, places, false);
	for (int i = 0; i < held; i++)
		append(i);
	want_in_hand = held;
	CHECK(until(first_has, PATIENCE_MS));
	int slow = 0;
	for (int i = 0; i < 8; i++) {
		run_for(150 + i * 40);
		int64_t began = clock_ms();
		append(10);
		want_in_hand = held + 1;
		CHECK(until(first_has, PATIENCE_MS));
		slow += users[0].given_ms - began > 120;
		for (unsigned k = 0; k < users[0].n; k++)
			if (!strcmp(users[0].hand[k]->id, known[nknown - 1].id)) {
				settle(&users[0], users[0].hand[k]);
				break;
			}
	}
	CHECK(slow <= 1);
	if (slow)
		printf("# %d of 8 were slow\n", slow);
	stop(0);
}

static void test_the_doorbell_rings_an_idle_worker(void)
{
	doorbell(256, 0);
}

static void test_the_doorbell_rings_a_worker_with_few_places(void)
{
	doorbell(8, 2);
}

static void test_no_busy_loop(void)
{
	fresh();
	start(0, 64, false);
	CHECK(until(first_ready, PATIENCE_MS));
	run_for(200);
	turns();
	run_for(2000);
	long long n = turns();
	CHECK(n >= 1 && n <= 6); /* idle */

	for (int i = 0; i < 4; i++)
		append(i);
	want_in_hand = 4;
	CHECK(until(first_has, PATIENCE_MS));
	run_for(50);
	turns();
	run_for(2000);
	n = turns();
	CHECK(n >= 1 && n <= 6); /* with work in hand */

	/* paused, with ripe entries; then full, with more to read than fits */
	queue_later(users[0].hand[0], 0);
	forget(&users[0], users[0].hand[0]);
	freeReplyObject(ask("HSET shoal:{0}:conf paused *"));
	run_for(50);
	turns();
	run_for(2000);
	n = turns();
	CHECK(n >= 1 && n <= 8);
	freeReplyObject(ask("HSET shoal:{0}:conf paused persona"));
	run_for(50);
	turns();
	run_for(2000);
	n = turns();
	CHECK(n >= 1 && n <= 10);
	freeReplyObject(ask("HDEL shoal:{0}:conf paused"));
	users[0].room = 4;
	for (int i = 0; i < 200; i++)
		append(i % LANES);
	CHECK(until(first_has, PATIENCE_MS));
	run_for(50);
	turns();
	run_for(2000);
	n = turns();
	CHECK(n >= 1 && n <= 6);
	/* one place, not enough to come for at once: the bell must not ring on and on */
	users[0].room = 5;
	users[0].settle = false;
	freeReplyObject(ask("CONFIG RESETSTAT"));
	run_for(1000);
	redisReply *r = ask("INFO commandstats");
	const char *p = strstr(r->str, "cmdstat_xreadgroup:calls=");
	/* the script's own reads count here too */
	CHECK(p == NULL || atoi(p + strlen("cmdstat_xreadgroup:calls=")) < 300);
	freeReplyObject(r);
	stop(0);
}

static void test_an_entry_as_it_came(void)
{
	fresh();
	start(0, 8, false);
	freeReplyObject(ask("XADD shoal:{0}:updates * %b evil %b evil x y lane good body %b bot persona bot other",
	                    "lane\0z", (size_t)6, "bot\0", (size_t)4, "a\0b", (size_t)3));
	want_in_hand = 1;
	CHECK(until(first_has, PATIENCE_MS));
	if (!users[0].n)
		return;
	struct queue_entry *e = users[0].hand[0];
	CHECK(span_eq(e->lane, SPAN("good")));
	CHECK(span_eq(e->bot, SPAN("persona")));
	CHECK_INT(e->body.len, 3);
	CHECK(e->at.ptr == NULL);
	CHECK(span_is(e->key, e->id)); /* for want of its own */
	CHECK(e->handed == HANDED_FIRST && !e->retries && !e->takeovers && !e->sent);
	settle(&users[0], e);
	CHECK(until(queue_empty, PATIENCE_MS));
	check_empty();
	stop(0);
}

static void test_retry_later_dead(void)
{
	fresh();
	hold(3);
	for (unsigned i = 0; i < 3; i++) {
		struct queue_entry *e = users[0].hand[0];
		CHECK(e->id && e->handed == HANDED_FIRST);
		forget(&users[0], e);
		int k = find(e->id);
		known[k].holder = NULL;
		if (i == 0)
			queue_retry(e, 20, "bo\xffom", false);
		else if (i == 1)
			queue_later(e, -5);
		else
			queue_dead(e, NULL, true);
	}
	CHECK(until(one_letter, PATIENCE_MS));
	want_in_hand = 2;
	CHECK(until(first_has, PATIENCE_MS));
	CHECK_INT(users[0].again, 2);
	for (int i = 0; i < 2 && users[0].n; i++) { /* the third attempt is the last */
		struct queue_entry *e = users[0].hand[0];
		if (e->retries == 0)
			e = users[0].hand[1];
		CHECK_INT(e->retries, 1 + i);
		forget(&users[0], e);
		known[find(e->id)].holder = NULL;
		queue_retry(e, 0, "again", false);
		if (i == 0)
			CHECK(until(first_has, PATIENCE_MS));
	}
	run_for(100);
	CHECK_INT(number("XLEN shoal:{0}:dead"), 2);
	CHECK_INT(users[0].dead, 0); /* its owner knows what it reported */
	freeReplyObject(ask("XADD shoal:{0}:updates * bot persona lane l"));
	CHECK(until(first_dead, PATIENCE_MS)); /* but not what the script itself put aside */
	settle_all(&users[0]);
	CHECK(until(queue_empty, PATIENCE_MS));
	check_empty();
	stop(0);
}

/* What a takeover leaves: nobody is registered, all that was in hand is due. */
static const char taken_over[] =
    "redis.call('DEL', KEYS[1]) local all = redis.call('HGETALL', KEYS[2]) "
    "for i = 1, #all, 2 do local id = all[i + 1]:match(' (%S+)') "
    "redis.call('HSET', KEYS[2], all[i], '@ ' .. id) redis.call('ZADD', KEYS[3], 0, id .. ' ' .. all[i]) end";

static void test_marks_and_questions_are_answered_once(void)
{
	fresh();
	hold(4);
	struct user *u = &users[0];
	for (int i = 0; i < 4; i++)
		u->hand[i]->user = u;
	bool soon = false; /* somebody waits: not with the next beat; seen once it is not the machine */
	for (int i = 0; i < 10 && !soon; i++) {
		int64_t began = clock_ms();
		u->yes = u->no = 0;
		queue_sent(u->hand[0], 3, on_marked, u->hand[0]);
		queue_confirm(u->hand[1], on_marked, u->hand[1]);
		CHECK(until(first_answered, PATIENCE_MS));
		soon = clock_ms() - began < 200;
	}
	CHECK(soon);
	CHECK_INT(u->yes, 2);
	CHECK_INT(u->no, 0);
	redisReply *r = ask("HGET shoal:{0}:tries %s", u->hand[0]->id);
	CHECK_STR(r->str, "0 0 3");
	freeReplyObject(r);

	/* taken for dead: every question is answered with no, everything else is lost, once */
	queue_sent(u->hand[0], 4, on_marked, u->hand[0]);
	queue_confirm(u->hand[1], on_marked, u->hand[1]);
	queue_done(u->hand[2]);
	known[find(u->hand[2]->id)].holder = NULL;
	forget(u, u->hand[2]);
	for (int i = 0; i < nknown; i++)
		known[i].holder = NULL;
	freeReplyObject(ask("EVAL %s 3 shoal:{0}:workers shoal:{0}:lanes shoal:{0}:due", taken_over));
	want_in_hand = 4; /* and all come again */
	u->given = 0;
	CHECK(until(first_answered, PATIENCE_MS));
	run_for(300);
	CHECK(until(first_has, PATIENCE_MS));
	CHECK_INT(u->yes, 2);
	CHECK_INT(u->no, 2);
	CHECK_INT(u->lost, 1);
	CHECK_INT(u->given, 4);
	CHECK_INT(u->again, 4);
	settle_all(u);
	CHECK(until(queue_empty, PATIENCE_MS));
	check_empty();
	stop(0);
}

static void test_connections_cut_all_the_time(void)
{
	fresh();
	for (int i = 0; i < 3; i++)
		start(i, 40, true);
	for (int i = 0; i < 60; i++) {
		for (int j = 0; j < 10; j++)
			append((i + j * 3) % LANES);
		run_for(15);
		if (i % 4 == 0)
			freeReplyObject(ask("CLIENT KILL TYPE normal SKIPME yes"));
	}
	CHECK(until(queue_empty, PATIENCE_MS));
	for (int i = 0; i < nknown; i++)
		CHECK(known[i].settled >= 1);
	CHECK_INT(disorder, 0);
	check_empty();
	CHECK(users[0].ups >= 3);
	for (int i = 0; i < 3; i++)
		stop(i);
}

static void test_a_cut_connection_keeps_what_is_in_hand(void)
{
	fresh();
	hold(5);
	start(1, 64, false);
	for (int i = 0; i < 3; i++) {
		freeReplyObject(ask("CLIENT KILL TYPE normal SKIPME yes"));
		run_for(400);
	}
	CHECK_INT(users[0].n, 5);
	CHECK_INT(users[0].lost, 0);
	CHECK_INT(users[1].given, 0);
	CHECK_INT(number("ZCARD shoal:{0}:workers"), 2); /* old names are signed off */
	settle_all(&users[0]);
	CHECK(until(queue_empty, PATIENCE_MS));
	check_empty();
	stop(0);
	stop(1);
}

static void test_redis_dies_and_comes_back(void)
{
	fresh();
	hold(6);
	settle(&users[0], users[0].hand[0]);
	run_for(30);
	redis_server_kill(&server);
	CHECK(until(first_down, PATIENCE_MS));
	settle(&users[0], users[0].hand[0]); /* while it is away */
	for (unsigned i = 0; i < 2; i++)
		users[0].hand[i]->user = &users[0];
	queue_confirm(users[0].hand[0], on_marked, users[0].hand[0]);
	queue_sent(users[0].hand[1], 1, on_marked, users[0].hand[1]);
	run_for(2500);
	CHECK(!queue_certain(users[0].q));
	CHECK(queue_trouble(users[0].q) != NULL);
	CHECK_INT(users[0].lost + users[0].yes + users[0].no, 0);
	redis_server_run(&server);
	connect_control();
	CHECK(until(first_answered, PATIENCE_MS));
	CHECK(queue_trouble(users[0].q) == NULL);
	CHECK_INT(users[0].yes, 2);
	CHECK_INT(users[0].lost, 0);
	CHECK_INT(users[0].n, 4);
	settle_all(&users[0]);
	CHECK(until(queue_empty, PATIENCE_MS));
	CHECK_INT(users[0].given, 6);
	check_empty();
	stop(0);
}

static bool told_yes(void)
{
	return users[0].yes == 1;
}

static void test_redis_comes_back_empty(void)
{
	fresh();
	hold(5);
	struct user *u = &users[0];
	for (int i = 0; i < 5; i++)
		u->hand[i]->user = u;
	queue_sent(u->hand[4], 1, on_marked, u->hand[4]);
	ENSURE(until(told_yes, 10000));
	freeReplyObject(ask("FLUSHALL"));
	queue_sent(u->hand[4], 2, on_marked, u->hand[4]);
	run_for(1500);
	CHECK_INT(u->n, 0);
	CHECK_INT(u->lost, 4);
	CHECK_INT(u->no, 1);
	append(1);
	want_in_hand = 1;
	CHECK(until(first_has, PATIENCE_MS));
	settle_all(u);
	CHECK(until(queue_empty, PATIENCE_MS));
	check_empty();
	stop(0);
}

static void test_redis_stands_still(void)
{
	fresh();
	hold(5);
	start(1, 64, false);
	run_for(300);
	kill(server.pid, SIGSTOP);
	run_for(2600);
	CHECK(!queue_certain(users[0].q));
	CHECK(!queue_up(users[0].q));
	users[0].hand[0]->user = users[0].hand[1]->user = &users[0];
	queue_confirm(users[0].hand[0], on_marked, users[0].hand[0]);
	queue_sent(users[0].hand[1], 1, on_marked, users[0].hand[1]);
	run_for(1500);
	CHECK_INT(users[0].yes + users[0].no, 0);
	kill(server.pid, SIGCONT);
	CHECK(until(first_answered, PATIENCE_MS));
	run_for(1000);
	CHECK_INT(users[0].yes, 2);
	CHECK_INT(users[0].n, 5);
	CHECK_INT(users[0].lost, 0);
	CHECK_INT(users[1].given, 0); /* nobody is to blame */
	CHECK(queue_certain(users[0].q));
	settle_all(&users[0]);
	CHECK(until(queue_empty, PATIENCE_MS));
	check_empty();
	stop(0);
	stop(1);
}

static void test_leave_gives_back_at_once(void)
{
	fresh();
	hold(6);
	struct user *u = &users[0];
	start(1, 64, false);
	run_for(300);
	for (unsigned i = 0; i < u->n; i++)
		u->hand[i]->user = u;
	queue_sent(u->hand[0], 2, on_marked, u->hand[0]);
	queue_done(u->hand[5]);
	known[find(u->hand[5]->id)].holder = NULL;
	forget(u, u->hand[5]);
	for (int i = 0; i < nknown; i++)
		known[i].holder = NULL;
	queue_leave(u->q, on_left, u);
	CHECK(until(first_left, 2000));
	CHECK_INT(u->n, 0); /* nobody goes on with what is another's */
	CHECK_INT(u->lost, 4);
	CHECK_INT(u->no, 1);
	want_in_hand = 5;
	CHECK(until(second_has, 2000)); /* sooner than a dead one's */
	unsigned marked = 0;
	for (unsigned i = 0; i < users[1].n; i++) {
		CHECK(users[1].hand[i]->handed == HANDED_AGAIN && users[1].hand[i]->takeovers == 0);
		marked += users[1].hand[i]->sent == 2;
	}
	CHECK_INT(marked, 1);
	queue_poke(u->q);
	run_for(700);
	CHECK_INT(u->left, 1);
	CHECK_INT(number("ZCARD shoal:{0}:workers"), 1);
	settle_all(&users[1]);
	CHECK(until(queue_empty, PATIENCE_MS));
	check_empty();
	stop(0);
	stop(1);
}

/* What is finished is told, though the connection is cut just then: nobody does it again. */
static void test_leave_through_a_cut_connection(void)
{
	for (int round = 0; round < 4; round++) {
		fresh();
		hold(3);
		start(1, 64, true);
		CHECK(until(second_ready, PATIENCE_MS));
		queue_leave(users[0].q, on_left, &users[0]); /* its turn is not sent yet */
		settle_all(&users[0]);
		run_for(round);
		freeReplyObject(ask("CLIENT KILL TYPE normal SKIPME yes"));
		CHECK(until(first_left, 7000));
		CHECK_INT(users[0].lost, 0);
		CHECK(until(queue_empty, PATIENCE_MS));
		CHECK_INT(users[1].given, 0);
		check_empty();
		stop(0);
		stop(1);
	}
}

static void test_leave_when_nobody_answers(void)
{
	fresh();
	hold(3);
	struct user *u = &users[0];
	u->hand[0]->user = u;
	queue_confirm(u->hand[0], on_marked, u->hand[0]);
	redis_server_kill(&server);
	CHECK(until(first_down, PATIENCE_MS));
	queue_leave(u->q, on_left, u);
	queue_poke(u->q);
	redis_server_run(&server);
	connect_control();
	CHECK(until(first_left, 7000));
	queue_poke(u->q);
	run_for(600);
	CHECK_INT(u->left, 1);
	CHECK_INT(u->n, 0);
	CHECK_INT(u->lost + u->no + u->yes, 3);
	stop(0);

	/* another format of the stream, met by the hello and by the turn */
	fresh();
	freeReplyObject(ask("HSET shoal:{0}:conf v 99 shard 0/1"));
	start(0, 8, false);
	append(0);
	run_for(500);
	CHECK_INT(users[0].ups + users[0].given, 0);
	CHECK(strstr(queue_trouble(users[0].q), "99") != NULL);
	run_for(700);
	queue_leave(users[0].q, on_left, &users[0]);
	CHECK(until(first_left, 7000));
	run_for(100);
	CHECK_INT(users[0].left, 1);
	stop(0);

	fresh();
	hold(2);
	freeReplyObject(ask("HSET shoal:{0}:conf v 99"));
	run_for(800);
	queue_leave(users[0].q, on_left, &users[0]);
	CHECK(until(first_left, 7000));
	CHECK_INT(users[0].left, 1);
	CHECK_INT(users[0].lost, 2);
	stop(0);
}

static void test_the_dead_are_taken_over(void)
{
	fresh();
	hold(5);
	start(1, 64, false);
	run_for(100);
	for (unsigned i = 0; i < users[0].n; i++)
		known[find(users[0].hand[i]->id)].holder = NULL;
	stop(0); /* as if it had died */
	int64_t began = clock_ms();
	want_in_hand = 5;
	CHECK(until(second_has, PATIENCE_MS));
	CHECK(clock_ms() - began > 2000);
	for (unsigned i = 0; i < users[1].n; i++)
		CHECK(users[1].hand[i]->handed == HANDED_AGAIN && users[1].hand[i]->takeovers == 1);
	CHECK_INT(disorder, 0);
	settle_all(&users[1]);
	CHECK(until(queue_empty, PATIENCE_MS));
	check_empty();
	stop(1);
}

static void test_close_in_the_middle(void)
{
	for (int i = 0; i < 12; i++) {
		fresh();
		start(0, 64, i % 2);
		for (int k = 0; k < 60; k++)
			append(k % LANES);
		run_for(i * 3);
		for (int k = 0; k < 3 && users[0].n; k++) {
			struct queue_entry *e = users[0].hand[0];
			e->user = &users[0];
			forget(&users[0], e);
			if (k == 0)
				queue_retry(e, 5, "x", false);
			else
				queue_done(e);
		}
		stop(0); /* with entries in hand, reports to be told and a turn under way */
	}
}

/* What an emptied Redis hands out may have been handed out before; Postgres knows whether anything was. */
static void test_the_first_hello_waits_for_what_was_done_before(void)
{
	for (int told = -1; told <= 1; told++) {
		freeReplyObject(ask("FLUSHALL"));
		past_now = -1;
		start_with(0, 4, true, past);
		run_for(100);
		CHECK_INT(users[0].ups, 0);
		CHECK_INT(number("EXISTS shoal:{0}:conf"), 0);
		past_now = told;
		if (told >= 0)
			queue_poke(users[0].q);
		CHECK(until(first_ready, PATIENCE_MS)); /* also when nobody ever tells */
		CHECK_INT(number("HEXISTS shoal:{0}:conf lost"), told != 0);
		stop(0);
	}
	freeReplyObject(ask("FLUSHALL"));
	past_now = -1;
	start_with(0, 4, true, past);
	run_for(100);
	queue_leave(users[0].q, on_left, &users[0]);
	CHECK(until(first_left, PATIENCE_MS));
	CHECK_INT(number("EXISTS shoal:{0}:conf"), 0);
	stop(0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_init(LOG_ERROR, LOG_TEXT, "test", "queue");
	static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
	redis_server_start(&server, durable);
	connect_control();
	loop = loop_new();
	RUN_STEADILY(test_everything_once_and_in_order);
	RUN_STEADILY(test_the_doorbell_rings_an_idle_worker);
	RUN_STEADILY(test_the_doorbell_rings_a_worker_with_few_places);
	RUN_STEADILY(test_no_busy_loop);
	RUN_STEADILY(test_an_entry_as_it_came);
	RUN_STEADILY(test_retry_later_dead);
	RUN_STEADILY(test_marks_and_questions_are_answered_once);
	RUN_STEADILY(test_connections_cut_all_the_time);
	RUN_STEADILY(test_a_cut_connection_keeps_what_is_in_hand);
	RUN_STEADILY(test_redis_dies_and_comes_back);
	RUN_STEADILY(test_redis_comes_back_empty);
	RUN_STEADILY(test_redis_stands_still);
	RUN_STEADILY(test_leave_gives_back_at_once);
	RUN_STEADILY(test_leave_through_a_cut_connection);
	RUN_STEADILY(test_leave_when_nobody_answers);
	RUN_STEADILY(test_the_dead_are_taken_over);
	RUN_STEADILY(test_close_in_the_middle);
	RUN_STEADILY(test_the_first_hello_waits_for_what_was_done_before);
	loop_free(loop);
	redisFree(control);
	redis_server_stop(&server);
	DONE();
}
