/* A lookup that finds nothing in Redis, held still in each of its states. */
#ifndef SHOAL_TESTS_CACHE_STATES_H
#define SHOAL_TESTS_CACHE_STATES_H

#include "cache_rig.h"
#include "shoal/store/cache_lease.h"

enum at { AT_ASK, AT_LEASE, AT_FETCH, AT_FILL, AT_BUSY, ATS };
static __attribute__((unused)) const char *const at_names[ATS] = {"ASK", "LEASE", "FETCH", "FILL", "BUSY"};

struct way {
	enum cache_kind kind;
	const char *key, *value, *lease; /* lease: the one that it takes first */
};
static __attribute__((unused))
const struct way player_way = {CACHE_PLAYER, "1", "shoal:{cache}:v:player:1", "shoal:{cache}:l:player:1"};
static __attribute__((unused))
const struct way code_way = {CACHE_STARTCODE, "c1", "shoal:{cache}:v:startcode:c1", "shoal:{cache}:l:startcode:%"};

/* What an answer brings is on its way from here on: the loop stands still. */
static void let_it_arrive(void)
{
	run_ms(0);
	server_sleep_ms(3);
}

static bool reads_are_held(void)
{
	PGresult *r = PQexec(hand, "SELECT FROM pg_stat_activity WHERE wait_event = 'advisory'");
	bool held = PQntuples(r) > 0;

	PQclear(r);
	return held;
}

/* Until cond, turn by turn. */
#define STEP_UNTIL(cond)                                                                                               \
	do {                                                                                                           \
		int64_t end_ = clock_ms() + PATIENCE_MS;                                                               \
		let_it_arrive();                                                                                       \
		while (!(cond) && clock_ms() < end_)                                                                   \
			let_it_arrive();                                                                               \
		CHECK(cond);                                                                                           \
	} while (0)

/* A lookup that has got so far, and no further. */
static __attribute__((unused)) void bring(struct asked *a, struct node *n, const struct way *w, enum at at)
{
	long long asked = calls("mget");

	if (at == AT_BUSY)
		command("SET %s somebody PX %d", w->lease, CACHE_LEASE_MS);
	if (at == AT_FETCH || at == AT_FILL)
		hold();
	begin(a, n, w->kind, w->key);
	switch (at) {
	case AT_ASK: STEP_UNTIL(calls("mget") > asked); break;
	case AT_LEASE: STEP_UNTIL(exists(w->lease)); break;
	case AT_FETCH: STEP_UNTIL(reads_are_held()); break;
	case AT_FILL:
		STEP_UNTIL(reads_are_held());
		let_go();
		STEP_UNTIL(exists(w->value));
		break;
	default: STEP_UNTIL(calls("mget") > asked); run_ms(20);
	}
	CHECK_INT(a->times, 0);
}

#endif
