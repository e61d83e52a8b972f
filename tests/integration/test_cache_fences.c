/* links: base model io store */
/* Who invalidates and waits: when the fence is over, no worker answers with the old value, whatever became of the
 * worker, or of the connection that would have told it. */
#include <sys/mman.h>

#include "cache_rig.h"

static struct node a, b, deaf; /* deaf: hears nothing of Postgres */
static struct node *const nodes[] = {&a, &b, &deaf};
enum { NODES = 3, MIB = 1 << 20 };
#define TRUSTS "shoal:{cache}:trusts"

/* A worker in a process of its own, which looks a player up all the time. */
struct stage {
	int64_t told_us; /* when it was said that nobody has an older version than `told` any more; 0: not yet */
	int told;
	int64_t looks;
	int last; /* version */
	bool from_memory;
	int older; /* looks that began after that and saw an older one */
};
static struct stage *stage;
static pid_t worker;

struct looking {
	struct node n;
	struct timer next;
	int64_t began_us;
	bool asking;
};

static void saw(struct looking *l, int version, bool from_memory)
{
	stage->older += stage->told_us && l->began_us > stage->told_us && version < stage->told;
	stage->last = version;
	stage->from_memory = from_memory;
	stage->looks++;
}

static void on_seen(void *arg, enum err err, struct cache_value *v)
{
	struct looking *l = arg;

	l->asking = false;
	if (err == ERR_OK)
		saw(l, version_of(CACHE_PLAYER, v), false);
}

static void look_once(void *arg)
{
	struct looking *l = arg;
	int version;

	timer_set(&l->next, 1);
	if (l->asking)
		return;
	l->began_us = clock_us();
	version = peek(&l->n, CACHE_PLAYER, "1");
	if (version != NOT_THERE) {
		saw(l, version, true);
		return;
	}
	l->asking = true;
	cache_get(l->n.cache, CACHE_PLAYER, SPAN("1"), on_seen, l);
}

static void worker_start(void)
{
	static struct looking l;

	stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	worker = fork();
	if (worker != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loop = loop_new();
	node_open(&l.n, "worker", 4 * MIB, true);
	timer_init(&l.next, loop, look_once, &l);
	timer_set(&l.next, 1);
	loop_run(loop);
	_exit(0);
}

/* Everybody has version 1 of player 1 in memory. flush: Redis was emptied right before. */
static void calm_after(bool flush)
{
	stage->told_us = 0;
	stage->older = 0;
	fresh();
	run_ms(20);
	UNTIL(atoi(command("ZCARD " TRUSTS)) == 4);
	if (flush)
		command("FLUSHALL");
	run_ms(20);
	for (int i = 0; i < NODES; i++)
		CHECK_INT(learn(nodes[i], CACHE_PLAYER, "1"), 1);
	UNTIL(stage->last == 1 && stage->from_memory);
}

static void calm(void)
{
	calm_after(false);
}

/* From now on nobody may have an older version. */
static void told(int version)
{
	stage->told = version;
	__sync_synchronize();
	stage->told_us = clock_us();
}

static void nobody_has_older_than(int version)
{
	for (int i = 0; i < NODES; i++)
		CHECK(peek(nodes[i], CACHE_PLAYER, "1") == NOT_THERE || peek(nodes[i], CACHE_PLAYER, "1") >= version);
	for (int i = 0; i < NODES; i++)
		CHECK_INT(look(nodes[i], CACHE_PLAYER, "1"), version);
	UNTIL(stage->last == version);
	CHECK_INT(stage->older, 0);
}

/* Only by the fence: no notice helps. */
static void change_untold(int version)
{
	notices(false);
	write_version(CACHE_PLAYER, "1", version);
	notices(true);
}

static void fence_is_over_when_all_have_heard(void)
{
	struct voider v;
	struct voided d;

	calm();
	change_untold(2);
	v = void_begin(CACHE_PLAYER, "1");
	server_sleep_ms(200);
	/* the loop stands still: nobody here has heard; a stalled machine may have let their time run out */
	CHECK(!void_over(&v) || atoi(command("ZCARD " TRUSTS)) < 4);
	d = void_end(&v);
	told(2);
	CHECK_INT(d.err, ERR_OK);
	CHECK_INT(d.workers.heard + d.workers.silent, 4);
	nobody_has_older_than(2);
}

static void fence_of_a_whole_cache(void)
{
	struct voided d;

	calm();
	change_untold(2);
	d = void_all_hear(CACHE_PLAYER, NULL);
	told(2);
	CHECK_INT(d.err, ERR_OK);
	CHECK_INT(d.workers.heard + d.workers.silent, 4);
	nobody_has_older_than(2);
}

/* Emptied by hand, Redis knows of nobody who believes his memory. */
static void fence_right_after_redis_was_emptied(void)
{
	for (int i = 0; i < 2; i++) {
		struct voider v;

		calm_after(true);
		change_untold(2);
		v = void_begin(CACHE_PLAYER, "1");
		for (int j = 0; j < 400 && !void_over(&v); j++)
			server_sleep_ms(10); /* the loop stands still */
		told(2);
		for (int j = 0; j < NODES; j++)
			CHECK_INT(look(nodes[j], CACHE_PLAYER, "1"), 2);
		CHECK_INT(void_end(&v).err, ERR_OK);
		nobody_has_older_than(2);
	}
}

static void fences_side_by_side(void)
{
	struct voider v[8];

	calm();
	for (int i = 0; i < 8; i++) {
		change_untold(2 + i);
		v[i] = void_begin(CACHE_PLAYER, i % 3 ? "1" : NULL);
	}
	for (int i = 0; i < 8; i++)
		CHECK_INT(void_end(&v[i]).err, ERR_OK);
	told(9);
	nobody_has_older_than(9);
}

/* Until when the worker may believe its memory, ms by Redis' clock, from now on. */
static int worker_believes_ms(void)
{
	return atoi(command("EVAL %s 1 " TRUSTS,
	                    "local t, till = redis.call('TIME'), 0 "
	                    "local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES') "
	                    "for i = 1, #all, 2 do "
	                    "if all[i]:find('^worker~') then till = math.max(till, all[i + 1]) end end "
	                    "return math.max(0, till - t[1] * 1000 - math.floor(t[2] / 1000))"));
}

/* Its belief has run out in Redis by then: that is what the fence waited for. */
static void stopped_worker_is_waited_for_until_it_cannot_believe(void)
{
	int believes_ms = 0;
	int64_t began = 0;
	struct voided d;

	for (int tries = 0; tries < 10 && believes_ms < 200; tries++) { /* a busy machine may be too late for it */
		calm();
		kill(worker, SIGSTOP);
		change_untold(2);
		began = clock_ms();
		believes_ms = worker_believes_ms();
		if (believes_ms < 200)
			kill(worker, SIGCONT);
	}
	CHECK(believes_ms >= 200);
	d = void_all_hear(CACHE_PLAYER, "1");
	told(2);
	CHECK_INT(d.err, ERR_OK);
	CHECK(d.workers.silent >= 1);
	CHECK(clock_ms() - began >= believes_ms - 5);
	CHECK_INT(worker_believes_ms(), 0);
	for (int i = 0; i < NODES; i++)
		CHECK_INT(look(nodes[i], CACHE_PLAYER, "1"), 2);
	run_ms(1000);
	kill(worker, SIGCONT);
	nobody_has_older_than(2);
}

/* Stopped and continued before its time: it hears, and the fence goes on at once. */
static void worker_that_was_stopped_for_a_moment_hears(void)
{
	struct voider v;
	struct voided d;

	for (int i = 0; i < 3; i++) {
		calm();
		kill(worker, SIGSTOP);
		change_untold(2);
		v = void_begin(CACHE_PLAYER, "1");
		run_ms(300);
		kill(worker, SIGCONT);
		d = void_end(&v);
		told(2);
		CHECK_INT(d.err, ERR_OK);
		nobody_has_older_than(2);
	}
}

/* The connection that would have told is cut just before the void, or with its message on the way. */
static void fence_meets_a_lost_tracking_connection(void)
{
	for (int when = 0; when < 2; when++) {
		struct voider v;
		struct voided d;

		calm();
		change_untold(2);
		if (when == 0)
			CHECK(atoi(command("CLIENT KILL TYPE pubsub")) >= 4);
		v = void_begin(CACHE_PLAYER, "1");
		server_sleep_ms(50);
		if (when == 1)
			CHECK(atoi(command("CLIENT KILL TYPE pubsub")) >= 3);
		d = void_end(&v);
		told(2);
		CHECK_INT(d.err, ERR_OK);
		nobody_has_older_than(2);
	}
}

/* A memory that is not told of changes in Redis is not believed while it could be. */
static void memory_is_bypassed_while_tracking_is_lost(void)
{
	calm();
	CHECK(atoi(command("CLIENT KILL TYPE pubsub")) >= 4);
	run_ms(0);
	run_ms(0);
	for (int i = 0; i < NODES; i++)
		CHECK_INT(peek(nodes[i], CACHE_PLAYER, "1"), NOT_THERE);
	change_untold(2);
	void_now(CACHE_PLAYER, "1");
	for (int i = 0; i < NODES; i++)
		CHECK_INT(look(nodes[i], CACHE_PLAYER, "1"), 2);
	for (int i = 0; i < NODES; i++)
		CHECK_INT(learn(nodes[i], CACHE_PLAYER, "1"), 2);
}

/* Nobody says "all have heard" of a worker that has heard of neither Redis nor Postgres yet. */
static void fence_after_tracking_was_lost_holds_also_for_who_listens(void)
{
	struct voider v;

	calm();
	CHECK(atoi(command("CLIENT KILL TYPE pubsub")) >= 4);
	server_sleep_ms(20);
	run_ms(0);
	run_ms(0);
	write_version(CACHE_PLAYER, "1", 2);
	v = void_begin(CACHE_PLAYER, "1");
	for (int i = 0; i < 400 && !void_over(&v); i++)
		server_sleep_ms(10); /* the loop stands still */
	told(2);
	for (int i = 0; i < NODES; i++)
		CHECK_INT(look(nodes[i], CACHE_PLAYER, "1"), 2);
	CHECK_INT(void_end(&v).err, ERR_OK);
	nobody_has_older_than(2);
}

/* A worker that leaves is not waited for. */
static void worker_that_has_left_is_not_waited_for(void)
{
	struct node guest;
	char before[64];

	calm();
	node_open(&guest, "guest", MIB, true);
	UNTIL(learn(&guest, CACHE_PLAYER, "1") == 1);
	snprintf(before, sizeof(before), "%s", command("ZCARD " TRUSTS));
	CHECK_STR(before, "5");
	cache_retire(guest.cache);
	CHECK_INT(peek(&guest, CACHE_PLAYER, "1"), NOT_THERE);
	CHECK_INT(get(&guest, CACHE_PLAYER, "1"), 1);
	run_ms(20);
	CHECK_STR(command("ZCARD " TRUSTS), "4");
	node_close(&guest);
}

/* --- on a loop */

struct waiter {
	unsigned over;
	enum err err;
	struct cache_heard heard;
};

static void on_fence(void *arg, enum err err, struct cache_heard heard)
{
	struct waiter *w = arg;

	*w = (struct waiter){w->over + 1, err, heard};
}

/* Several at once, behind one change; each on its own comes to the same as one that blocks. */
static void fences_on_a_loop(void)
{
	struct cache_fences *f = cache_fences_open(loop, a.redis);
	struct waiter w[3] = {{0}};

	calm();
	change_untold(2);
	cache_void(a.redis, CACHE_PLAYER, (struct span[]){SPAN("1")}, 1, NULL, NULL, NULL);
	for (int i = 0; i < 3; i++) {
		cache_fence(f, on_fence, &w[i]);
		CHECK_INT(w[i].over, 0);
	}
	UNTIL(w[0].over && w[1].over && w[2].over);
	told(2);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(w[i].over, 1);
		CHECK_INT(w[i].err, ERR_OK);
		CHECK_INT(w[i].heard.heard + w[i].heard.silent, 4);
	}
	nobody_has_older_than(2);
	cache_fences_close(f);
}

static void stopped_worker_is_waited_for_on_a_loop(void)
{
	struct cache_fences *f = cache_fences_open(loop, a.redis);
	struct waiter w = {0};

	calm();
	kill(worker, SIGSTOP);
	change_untold(2);
	cache_void(a.redis, CACHE_PLAYER, (struct span[]){SPAN("1")}, 1, NULL, NULL, NULL);
	cache_fence(f, on_fence, &w);
	UNTIL(w.over);
	told(2);
	CHECK_INT(w.err, ERR_OK);
	CHECK(w.heard.silent >= 1);
	kill(worker, SIGCONT);
	nobody_has_older_than(2);
	cache_fences_close(f);
}

/* Whoever waits when it is closed is told so at once, and once; wherever the fence was on its way. */
static void fences_that_are_closed(void)
{
	calm();
	kill(worker, SIGSTOP);
	for (int ms = 0; ms < 40; ms += 4) {
		struct cache_fences *f = cache_fences_open(loop, a.redis);
		struct waiter w = {0};

		cache_fence(f, on_fence, &w);
		run_ms(ms);
		bool before = w.over > 0; /* on a machine that stood still the worker's time may have run out */
		cache_fences_close(f);
		CHECK_INT(w.over, 1);
		CHECK_INT(w.err, before ? ERR_OK : ERR_UNREACHABLE);
		run_ms(10);
		CHECK_INT(w.over, 1);
	}
	kill(worker, SIGCONT);
}

int main(void)
{
	rig_open("test_cache_fences", NULL);
	worker_start();
	node_open(&a, "a", 4 * MIB, true);
	node_open(&b, "b", 4 * MIB, true);
	node_open(&deaf, "deaf", 4 * MIB, false);
	UNTIL(cache_ready(a.cache) && cache_ready(b.cache) && stage->looks > 0);
	RUN(fence_is_over_when_all_have_heard);
	RUN(fence_of_a_whole_cache);
	RUN(fence_right_after_redis_was_emptied);
	RUN(fences_side_by_side);
	RUN(stopped_worker_is_waited_for_until_it_cannot_believe);
	RUN(worker_that_was_stopped_for_a_moment_hears);
	RUN(fence_meets_a_lost_tracking_connection);
	RUN(memory_is_bypassed_while_tracking_is_lost);
	RUN(fence_after_tracking_was_lost_holds_also_for_who_listens);
	RUN(worker_that_has_left_is_not_waited_for);
	RUN(fences_on_a_loop);
	RUN(stopped_worker_is_waited_for_on_a_loop);
	RUN(fences_that_are_closed);
	server_kill(&worker);
	for (int i = 0; i < NODES; i++)
		node_close(nodes[i]);
	rig_close();
	DONE();
}
