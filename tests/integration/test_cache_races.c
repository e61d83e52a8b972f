/* links: base model io store */
/* What a lookup may not do: tell or keep a value older than an invalidation that was over when it was asked for, in
 * whatever state the invalidation meets it. And leases: one fills, the others are woken, nobody waits for the dead. */
#include "cache_states.h"
#include "shoal/store/cache_flight_parts.h"
#include "shoal/store/cache_parts.h"

static struct node mem, other, bare; /* two with memory, one without */
enum { MIB = 1 << 20 };

#define LAST "10" /* the player whose change is told last; no test is about them */

/* What fresh() changes has been heard of: else that would end a lease that is set by hand. */
static void start_anew(void)
{
	fresh();
	command("SET shoal:{cache}:v:player:" LAST " x");
	write_version(CACHE_PLAYER, LAST, 0);
	UNTIL(!exists("shoal:{cache}:v:player:" LAST));
}

static void no_notices(void)
{
	start_anew();
	notices(false);
	run_ms(20);
}

/* --- what voids it, in every state */

enum voids { BY_KEY, BY_GENERATION, BY_FLUSH, BY_CACHE, VOIDS };

static void on_void_done(void *arg, enum err err)
{
	*(int *)arg = err == ERR_OK ? 1 : 2;
}

static void void_it(const struct way *w, enum voids how)
{
	int done = 0;

	switch (how) {
	case BY_KEY: void_now(w->kind, w->key); break;
	case BY_GENERATION: CHECK_INT(cache_gen_end_now(tap, w->kind), ERR_OK); break;
	case BY_FLUSH: CHECK_STR(command("FLUSHALL"), "OK"); break;
	default:
		cache_invalidate(other.cache, w->kind, span_of(w->key), on_void_done, &done);
		UNTIL(done);
		CHECK_INT(done, 1);
	}
}

/* early: asked before the change; late: after the invalidation was over. */
static void meet(struct node *n, const struct way *w, enum at at, enum voids how)
{
	struct asked early, late;

	no_notices();
	CHECK_INT(get(&other, CACHE_STARTCODE, "c2"), 1);
	void_now(w->kind, w->key);
	if (w->kind == CACHE_STARTCODE)
		void_now(w->kind, "%");
	if (n != &bare)
		CHECK_INT(void_all_hear(w->kind, w->key).err, ERR_OK);
	bring(&early, n, w, at);
	write_version(w->kind, w->key, 2);
	if (n == &bare)
		void_it(w, how);
	else
		CHECK_INT(void_all_hear(w->kind, w->key).err, ERR_OK);
	begin(&late, n, w->kind, w->key);
	let_it_arrive();
	if (at == AT_FETCH)
		let_go();
	UNTIL(early.times > 0 && late.times > 0);
	CHECK(early.times == 1 && (early.version == 1 || early.version == 2));
	CHECK_INT(late.version, 2);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(look(&mem, w->kind, w->key), 2);
		CHECK_INT(look(&other, w->kind, w->key), 2);
		CHECK_INT(look(&bare, w->kind, w->key), 2);
		run_ms(2);
	}
	notices(true);
	if (check_failed_here)
		printf("# %s, %s, void %d, %s\n", cache_defs[w->kind].name, at_names[at], how, n->id);
}

static void meet_all(struct node *n, const struct way *w)
{
	for (int at = 0; at < ATS; at++)
		for (int how = 0; how < (n == &bare ? VOIDS : 1); how++)
			if (!check_failed_here) /* a lease by hand outlives the end of a generation */
				if (at != AT_BUSY || how != BY_GENERATION)
					meet(n, w, (enum at)at, (enum voids)how);
}

static void late_reader_without_memory_gets_the_new_value(void)
{
	meet_all(&bare, &player_way);
}

static void late_reader_with_memory_gets_the_new_value(void)
{
	meet_all(&mem, &player_way);
}

static void late_reader_of_a_whole_load_gets_the_new_value(void)
{
	meet_all(&bare, &code_way);
}

/* What Redis told before the invalidation, and what it told after it, in one turn of the loop: not remembered. */
static void value_read_before_an_invalidation_is_not_remembered_after_it(void)
{
	struct asked a;
	long long asked;

	for (int i = 0; i < 20; i++) {
		no_notices();
		CHECK_INT(get(&mem, CACHE_PLAYER, "1"), 1);
		CHECK_INT(void_all_hear(CACHE_PLAYER, "2").err, ERR_OK);
		asked = calls("mget");
		begin(&a, &mem, CACHE_PLAYER, "1");
		STEP_UNTIL(calls("mget") > asked);
		write_version(CACHE_PLAYER, "1", 2);
		CHECK_INT(void_all_hear(CACHE_PLAYER, "1").err, ERR_OK);
		CHECK(peek(&mem, CACHE_PLAYER, "1") != 1);
		UNTIL(a.times == 1);
		CHECK(peek(&mem, CACHE_PLAYER, "1") != 1);
		CHECK_INT(look(&mem, CACHE_PLAYER, "1"), 2);
		notices(true);
	}
}

/* The database is asked past Redis when somebody fills for ever; a void must reach what is remembered of that. */
static void what_was_never_in_redis_is_voided_too(void)
{
	no_notices();
	command("CONFIG SET maxmemory 1");
	UNTIL(look(&mem, CACHE_PLAYER, "1") == 1 && get(&mem, CACHE_PLAYER, "1") == 1);
	CHECK(!exists(player_way.value));
	write_version(CACHE_PLAYER, "1", 2);
	CHECK_INT(void_all_hear(CACHE_PLAYER, "1").err, ERR_OK);
	CHECK_INT(look(&mem, CACHE_PLAYER, "1"), 2);
	command("CONFIG SET maxmemory 0");
	notices(true);
}

/* --- leases */

static bool is_in(enum flight_state state)
{
	const struct flight *f = flight_find(bare.cache->flights, CACHE_PLAYER, SPAN("1"));

	return f && f->state == state;
}

/* The end of somebody's fill is told on another connection than that it was under way, and may come first: then it asks
 * on, and does not wait as who has heard nothing. */
static void fill_that_ended_before_it_was_heard_of_is_not_waited_for(void)
{
	long long asked = calls("mget"), leases;
	struct asked a;

	no_notices();
	void_now(CACHE_PLAYER, "1");
	command("SET %s somebody PX %d", player_way.lease, CACHE_LEASE_MS);
	begin(&a, &bare, CACHE_PLAYER, "1");
	STEP_UNTIL(calls("mget") > asked);
	let_it_arrive();
	leases = calls("eval");
	let_it_arrive(); /* the lease is asked for; the answer, busy, waits */
	for (int64_t end = clock_ms() + PATIENCE_MS; calls("eval") == leases && clock_ms() < end;)
		server_sleep_ms(1);
	asked = calls("mget");
	command("DEL %s", player_way.lease);
	cache_flights_changed(bare.cache->flights, CACHE_PLAYER, SPAN("1"));
	STEP_UNTIL(!is_in(LEASE));
	run_ms(0);
	CHECK(!is_in(BUSY));
	UNTIL(a.times == 1);
	CHECK_INT(calls("mget"), asked + 1);
	CHECK_INT(a.version, 1);
	notices(true);
}

static void fill_refused_is_read_anew(void)
{
	struct asked a;
	int asked;

	no_notices();
	void_now(CACHE_PLAYER, "1");
	asked = statements("cache_player");
	bring(&a, &bare, &player_way, AT_FETCH);
	write_version(CACHE_PLAYER, "1", 2);
	void_now(CACHE_PLAYER, "1");
	let_go();
	UNTIL(a.times == 1);
	CHECK_INT(a.version, 2);
	CHECK_INT(statements("cache_player") - asked, 2);
	CHECK_INT(get(&bare, CACHE_PLAYER, "1"), 2);
	CHECK_INT(statements("cache_player") - asked, 2);
	notices(true);
}

/* Voided again each time: an answer comes all the same, and nothing old stays. */
static void void_after_void_still_ends_in_an_answer(void)
{
	struct asked a;
	int version = 1;
	int64_t end = clock_ms() + PATIENCE_MS;

	no_notices();
	begin(&a, &bare, CACHE_PLAYER, "1");
	while (a.times == 0 && clock_ms() < end) {
		run_ms(0);
		if (exists(player_way.lease) || exists(player_way.value)) {
			write_version(CACHE_PLAYER, "1", ++version);
			void_now(CACHE_PLAYER, "1");
		}
	}
	CHECK_INT(a.times, 1);
	CHECK(a.version > 0 && a.version <= version);
	CHECK_INT(get(&bare, CACHE_PLAYER, "1"), version);
	notices(true);
}

static void dead_filler_costs_no_more_than_its_lease(void)
{
	struct asked a;
	int64_t began;

	start_anew();
	run_ms(20);
	void_now(CACHE_PLAYER, "1");
	began = clock_ms();
	CHECK_STR(command("SET %s dead PX 2000", player_way.lease), "OK");
	begin(&a, &mem, CACHE_PLAYER, "1");
	UNTIL(a.times == 1);
	CHECK_INT(a.version, 1);
	CHECK(clock_ms() - began >= 1900);
	CHECK(exists(player_way.value)); /* it took the lease then, and filled */
	CHECK(!exists(player_way.lease));
	/* its own lease is no longer than that */
	void_now(CACHE_PLAYER, "1");
	bring(&a, &bare, &player_way, AT_FETCH);
	CHECK(atoi(command("PTTL %s", player_way.lease)) <= 2000);
	let_go();
	UNTIL(a.times == 1);
}

/* A value that somebody else fills wakes who waits for it, at once: the look every 37 ms or more is only a fallback. */
static void fill_by_another_wakes_who_waits(void)
{
	bool woken = false;

	start_anew();
	run_ms(20);
	CHECK_INT(get(&mem, CACHE_PLAYER, "1"), 1);
	for (int i = 0; i < 50 && !woken; i++) {
		char text[200];
		struct asked a;
		int64_t began;

		snprintf(text, sizeof(text), "%s", command("GET %s", player_way.value));
		void_now(CACHE_PLAYER, "1");
		CHECK_STR(command("SET %s somebody PX %d", player_way.lease, CACHE_LEASE_MS), "OK");
		run_ms(5);
		bring(&a, &mem, &player_way, AT_LEASE); /* it was asked for, and refused */
		began = clock_ms();
		run_ms(1);
		CHECK_STR(command("SET %s %s", player_way.value, text), "OK");
		while (a.times == 0 && clock_ms() < began + 30)
			run_ms(1);
		woken = a.times == 1 && clock_ms() < began + 30;
		UNTIL(a.times == 1);
		CHECK_INT(a.version, 1);
		command("DEL %s", player_way.lease);
	}
	CHECK(woken);
}

int main(void)
{
	rig_open("test_cache_races", NULL);
	node_open(&mem, "mem", 4 * MIB, true);
	node_open(&other, "other", 4 * MIB, true);
	node_open(&bare, "bare", 0, true);
	UNTIL(cache_ready(mem.cache) && cache_ready(other.cache) && cache_ready(bare.cache));
	RUN(late_reader_without_memory_gets_the_new_value);
	RUN(late_reader_with_memory_gets_the_new_value);
	RUN(late_reader_of_a_whole_load_gets_the_new_value);
	RUN(value_read_before_an_invalidation_is_not_remembered_after_it);
	RUN(what_was_never_in_redis_is_voided_too);
	RUN(fill_that_ended_before_it_was_heard_of_is_not_waited_for);
	RUN(fill_refused_is_read_anew);
	RUN(void_after_void_still_ends_in_an_answer);
	RUN(dead_filler_costs_no_more_than_its_lease);
	RUN(fill_by_another_wakes_who_waits);
	node_close(&mem);
	node_close(&other);
	node_close(&bare);
	rig_close();
	DONE();
}
