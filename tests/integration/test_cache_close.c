/* links: base model io store */
/* A cache is closed at the worst moment: who waits is told, exactly once, and what comes after meets nobody. With
 * ASan: nothing is leaked, nothing is used that is gone. */
#include "cache_states.h"

static struct node other; /* holds what a lookup meets; stays */
enum { MIB = 1 << 20 };

static void calm(void)
{
	fresh();
	run_ms(20);
	CHECK_INT(get(&other, CACHE_STARTCODE, "c2"), 1);
	void_now(CACHE_PLAYER, "1");
}

/* Both servers go on answering for a while. */
static void end_of(struct node *n)
{
	run_ms(30);
	node_close(n);
}

static void in_every_state_of_a_lookup(void)
{
	for (int at = 0; at < ATS; at++) {
		struct node n;
		struct asked first, second, third;

		calm();
		node_open(&n, "closing", at % 2 ? MIB : 0, true);
		UNTIL(redis_up(n.redis) && pg_up(n.pg) && get(&n, CACHE_PLAYER, "2") == 1);
		bring(&first, &n, &player_way, (enum at)at);
		begin(&second, &n, CACHE_PLAYER, "1");
		begin(&third, &n, CACHE_STARTCODE, "nosuch");
		cache_close(n.cache);
		n.cache = NULL;
		if (first.times != 1 || first.version != FAILED || first.err != ERR_UNREACHABLE)
			printf("# state %d: %d times, version %d, %s\n", at, first.times, first.version,
			       err_text(first.err));
		CHECK(first.times == 1 && first.version == FAILED && first.err == ERR_UNREACHABLE);
		CHECK(second.times == 1 && second.version == FAILED);
		CHECK(third.times == 1 && third.version == FAILED);
		if (at == AT_FETCH)
			let_go();
		end_of(&n);
		CHECK(first.times == 1 && second.times == 1 && third.times == 1);
		command("DEL %s", player_way.lease);
	}
}

/* While it connects, loads, settles whether there was a gap, ends generations: turn after turn of its first second. */
static void in_every_turn_of_its_youth(void)
{
	for (int turns = 0; turns < 150; turns += 1 + turns / 8) {
		struct node n;
		struct asked a;

		if (turns % 2)
			calm();
		if (turns % 3 == 0)
			command("DEL shoal:{cache}:listening");
		node_open(&n, "young", MIB, true);
		begin(&a, &n, CACHE_STARTCODE, "c1");
		for (int i = 0; i < turns; i++)
			run_ms(1);
		cache_close(n.cache);
		n.cache = NULL;
		CHECK_INT(a.times, 1);
		run_ms(1);
		node_close(&n);
	}
}

static struct node *self;
static int told;

static void close_it(void *arg, enum err err, struct cache_value *v)
{
	(void)arg;
	(void)err;
	told++;
	if (self->cache) {
		struct cache *c = self->cache;

		self->cache = NULL;
		cache_close(c);
	}
	if (err == ERR_OK)
		CHECK(v && v->found && v->refs > 0);
}

/* The first of many who are told closes it: the others are told all the same. */
static void inside_an_answer(void)
{
	for (int i = 0; i < 4; i++) {
		struct node n;

		calm();
		node_open(&n, "inside", i % 2 ? MIB : 0, true);
		UNTIL(redis_up(n.redis) && pg_up(n.pg));
		self = &n;
		told = 0;
		for (int j = 0; j < 20; j++)
			cache_get(n.cache, j % 3 ? CACHE_PLAYER : CACHE_STARTCODE, j % 3 ? SPAN("1") : SPAN("c1"),
			          close_it, NULL);
		UNTIL(told == 20);
		CHECK(!n.cache);
		end_of(&n);
		CHECK_INT(told, 20);
	}
}

static void close_when_voided(void *arg, enum err err)
{
	(void)arg;
	CHECK_INT(err, ERR_OK);
	told++;
	cache_close(self->cache);
	self->cache = NULL;
}

static void on_void(void *arg, enum err err)
{
	(void)err;
	++*(int *)arg;
}

static void around_an_invalidation(void)
{
	struct node n;
	int voided = 0;

	calm();
	node_open(&n, "voiding", MIB, true);
	UNTIL(redis_up(n.redis) && pg_up(n.pg));
	self = &n;
	told = 0;
	cache_invalidate(n.cache, CACHE_PLAYER, SPAN("1"), close_when_voided, NULL);
	UNTIL(told == 1);
	end_of(&n);
	node_open(&n, "voiding", MIB, true);
	UNTIL(redis_up(n.redis) && pg_up(n.pg));
	cache_invalidate(n.cache, CACHE_PLAYER, SPAN("1"), on_void, &voided);
	cache_invalidate(n.cache, CACHE_PLAYER, SPAN("2"), NULL, NULL);
	cache_close(n.cache);
	n.cache = NULL;
	UNTIL(voided == 1);
	end_of(&n);
	CHECK_INT(voided, 1);
}

/* A value that a job holds outlives the cache. */
static struct cache_value *held;

static void hold_it(void *arg, enum err err, struct cache_value *v)
{
	(void)arg;
	CHECK_INT(err, ERR_OK);
	held = v ? cache_value_ref(v) : NULL;
}

static void with_values_in_others_hands(void)
{
	struct node n;
	struct cache_value *peeked;

	calm();
	node_open(&n, "giving", MIB, true);
	UNTIL(redis_up(n.redis) && pg_up(n.pg));
	CHECK_INT(learn(&n, CACHE_PLAYER, "1"), 1);
	peeked = cache_value_ref(cache_peek(n.cache, CACHE_PLAYER, SPAN("1")));
	held = NULL;
	cache_get(n.cache, CACHE_PLAYER, SPAN("2"), hold_it, NULL);
	UNTIL(held);
	write_version(CACHE_PLAYER, "1", 2);
	UNTIL(look(&n, CACHE_PLAYER, "1") == 2);
	CHECK_INT(version_of(CACHE_PLAYER, peeked), 1);
	node_close(&n);
	CHECK_INT(version_of(CACHE_PLAYER, peeked), 1);
	CHECK_INT(version_of(CACHE_PLAYER, held), 1);
	cache_value_unref(peeked);
	cache_value_unref(held);
}

/* Its connections, one after the other, are gone before it is closed. */
static void while_servers_are_gone(void)
{
	struct node n;
	struct asked a;

	calm();
	node_open(&n, "lonely", MIB, true);
	UNTIL(redis_up(n.redis) && pg_up(n.pg) && learn(&n, CACHE_PLAYER, "1") == 1);
	kill(server.pid, SIGSTOP);
	begin(&a, &n, CACHE_PLAYER, "3");
	sql("UPDATE real_players SET player_name = 'v2' WHERE discord_uid = 1");
	run_ms(100);
	cache_close(n.cache);
	n.cache = NULL;
	CHECK_INT(a.version, FAILED);
	run_ms(20);
	kill(server.pid, SIGCONT);
	end_of(&n);
	node_open(&n, "lonely", MIB, true);
	UNTIL(redis_up(n.redis) && pg_up(n.pg));
	redis_server_kill(&server);
	begin(&a, &n, CACHE_PLAYER, "3");
	run_ms(3);
	cache_close(n.cache);
	n.cache = NULL;
	CHECK_INT(a.times, 1);
	redis_server_run(&server);
	end_of(&n);
	UNTIL(redis_up(other.redis));
}

int main(void)
{
	rig_open("test_cache_close", NULL);
	node_open(&other, "other", MIB, true);
	UNTIL(cache_ready(other.cache));
	RUN(in_every_state_of_a_lookup);
	RUN(in_every_turn_of_its_youth);
	RUN(inside_an_answer);
	RUN(around_an_invalidation);
	RUN(with_values_in_others_hands);
	RUN(while_servers_are_gone);
	node_close(&other);
	rig_close();
	DONE();
}
