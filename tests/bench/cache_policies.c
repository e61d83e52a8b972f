/* links: base model io store */
/* What the workers' memory of the caches throws out when it is full, beside other ways to choose: hit rates on the same
 * loads, in percent, with room for the same number of entries. Lookups of one-time keys are left out of the rates, as
 * nobody can hit those.
 *
 *   once     every fifth lookup is for a key that never comes again
 *   bursts   a scan of 100,000 such keys before every 900,000 lookups
 *   churn    after every tenth lookup two players change their places in popularity */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/store/cache_memory.h"
#include "zipf.h"

enum {
	PLAYERS = 1000000,
	WARM = 4000000,
	LOOKUPS = 4000000,
	KEYS = PLAYERS + (WARM + LOOKUPS) / 4, /* with those of one time */
	NONE = -1
};

/* --- lists of keys, by their numbers; a key is on one of them at most */

struct list {
	int head, tail, n;
};
enum { NOWHERE, FIRST, SECOND, THIRD, LISTS };

static int before[KEYS], after[KEYS];
static unsigned char on[KEYS], uses[KEYS];
static struct list lists[LISTS];
static int room;

static void add(int list, int key)
{
	struct list *l = &lists[list];

	before[key] = NONE;
	after[key] = l->head;
	*(l->head == NONE ? &l->tail : &before[l->head]) = key;
	l->head = key;
	l->n++;
	on[key] = (unsigned char)list;
}

static void take(int key)
{
	struct list *l = &lists[on[key]];

	*(before[key] == NONE ? &l->head : &after[before[key]]) = after[key];
	*(after[key] == NONE ? &l->tail : &before[after[key]]) = before[key];
	l->n--;
	on[key] = NOWHERE;
}

static void to_head(int key)
{
	int list = on[key];

	take(key);
	add(list, key);
}

static void use(int key, int most)
{
	if (uses[key] < most)
		uses[key]++;
}

/* --- the policies: true is a hit; after a miss the key is there */

static bool lru(int key)
{
	if (on[key]) {
		to_head(key);
		return true;
	}
	if (lists[FIRST].n == room)
		take(lists[FIRST].tail);
	add(FIRST, key);
	return false;
}

static bool clock_of(int key, int most)
{
	if (on[key]) {
		use(key, most);
		return true;
	}
	while (lists[FIRST].n == room) {
		int last = lists[FIRST].tail;

		if (uses[last] == 0) {
			take(last);
			break;
		}
		uses[last]--;
		to_head(last);
	}
	uses[key] = 0;
	add(FIRST, key);
	return false;
}

static bool clock_1(int key)
{
	return clock_of(key, 1);
}

static bool clock_3(int key)
{
	return clock_of(key, 3);
}

/* Zhang and others, NSDI 2024 */
static int sieve_hand;

static bool sieve(int key)
{
	if (on[key]) {
		uses[key] = 1;
		return true;
	}
	if (lists[FIRST].n == room) {
		int at = sieve_hand == NONE ? lists[FIRST].tail : sieve_hand;

		while (uses[at]) {
			uses[at] = 0;
			at = before[at] == NONE ? lists[FIRST].tail : before[at];
		}
		sieve_hand = before[at];
		take(at);
	}
	uses[key] = 0;
	add(FIRST, key);
	return false;
}

/* Yang and others, SOSP 2023. FIRST: small, a tenth; SECOND: main; THIRD: ghosts, as many as main holds */
static void s3_from_main(void)
{
	int last = lists[SECOND].tail;

	for (; uses[last]; last = lists[SECOND].tail) {
		uses[last]--;
		to_head(last);
	}
	take(last);
}

static void s3_from_small(int mains)
{
	int last = lists[FIRST].tail;
	bool stays = uses[last] > 1;

	take(last);
	uses[last] = 0;
	add(stays ? SECOND : THIRD, last);
	if (lists[SECOND].n > mains)
		s3_from_main();
	if (lists[THIRD].n > mains)
		take(lists[THIRD].tail);
}

static bool s3_fifo(int key)
{
	int small = room / 10, list = on[key] == THIRD ? SECOND : FIRST;

	if (on[key] == FIRST || on[key] == SECOND) {
		use(key, 3);
		return true;
	}
	while (lists[FIRST].n + lists[SECOND].n >= room) {
		if (lists[FIRST].n >= small || lists[SECOND].n == 0)
			s3_from_small(room - small);
		else
			s3_from_main();
	}
	if (on[key])
		take(key);
	uses[key] = 0;
	add(list, key);
	return false;
}

/* Einziger, Friedman and Manes 2017. FIRST: window, a hundredth; SECOND: on probation; THIRD: protected, four fifths.
 * The sketch counts to 15 and is halved after ten lookups an entry. */
enum { SKETCH = 1 << 17 };
static unsigned char sketch[4][SKETCH];
static long counted;

static unsigned char *counter(int key, int row)
{
	struct chance c = {(uint64_t)key * 4 + (uint64_t)row};

	return &sketch[row][chance_below(&c, SKETCH)];
}

static int frequency(int key)
{
	int least = 15;

	for (int row = 0; row < 4; row++)
		least = *counter(key, row) < least ? *counter(key, row) : least;
	return least;
}

static void count(int key)
{
	int least = frequency(key);

	for (int row = 0; row < 4 && least < 15; row++)
		*counter(key, row) += *counter(key, row) == least;
	if (++counted < 10L * room)
		return;
	counted /= 2;
	for (size_t i = 0; i < sizeof(sketch); i++)
		((unsigned char *)sketch)[i] /= 2;
}

static void tiny_lfu_admit(int key)
{
	int victim = lists[SECOND].n ? lists[SECOND].tail : lists[THIRD].tail;

	take(key);
	if (lists[SECOND].n + lists[THIRD].n >= room - room / 100) {
		if (frequency(key) <= frequency(victim))
			return;
		take(victim);
	}
	add(SECOND, key);
}

static bool tiny_lfu(int key)
{
	count(key);
	if (!on[key]) {
		add(FIRST, key);
		if (lists[FIRST].n > room / 100)
			tiny_lfu_admit(lists[FIRST].tail);
		return false;
	}
	if (on[key] != SECOND) {
		to_head(key);
		return true;
	}
	take(key);
	add(THIRD, key);
	if (lists[THIRD].n > (room - room / 100) / 5 * 4) {
		int last = lists[THIRD].tail;

		take(last);
		add(SECOND, last);
	}
	return true;
}

/* What the workers run. */
static struct cache_memory *memory;

static bool ours(int key)
{
	struct span k = {(const char *)&key, sizeof(key)};
	struct cache_value *v;

	if (cache_memory_get(memory, CACHE_PLAYER, k))
		return true;
	v = cache_value_read(CACHE_PLAYER, k, k, false);
	cache_memory_put(memory, CACHE_PLAYER, k, v, 0);
	cache_value_unref(v);
	return false;
}

/* --- the loads */

struct load {
	const char *name;
	double exponent;
	bool once, bursts, churn;
};

static int players[PLAYERS]; /* by popularity */

static void start(void)
{
	memset(on, 0, sizeof(on));
	memset(sketch, 0, sizeof(sketch));
	counted = 0;
	sieve_hand = NONE;
	for (int i = 0; i < LISTS; i++)
		lists[i] = (struct list){NONE, NONE, 0};
	for (int i = 0; i < PLAYERS; i++)
		players[i] = i;
}

static void swap_two(struct chance *c)
{
	size_t a = chance_below(c, PLAYERS), b = chance_below(c, PLAYERS);
	int player = players[a];

	players[a] = players[b];
	players[b] = player;
}

static double run(bool (*policy)(int key), const struct load *load, const struct zipf *z)
{
	struct chance c = {1};
	long hits = 0, asked = 0;
	int one_time = PLAYERS;

	start();
	for (long i = 0; i < WARM + LOOKUPS; i++) {
		bool hit;

		if ((load->once && i % 5 == 0) || (load->bursts && i % 1000000 < 100000)) {
			policy(one_time++);
			continue;
		}
		hit = policy(players[zipf_draw(z, &c)]);
		asked += i >= WARM;
		hits += i >= WARM && hit;
		if (load->churn && i % 10 == 0)
			swap_two(&c);
	}
	return 100.0 * (double)hits / (double)asked;
}

static double run_ours(const struct load *load, const struct zipf *z)
{
	double rate;

	memory = cache_memory_new(15 << 20);
	rate = run(ours, load, z);
	room = (int)cache_memory_stats(memory, CACHE_PLAYER).entries;
	cache_memory_free(memory);
	return rate;
}

int main(void)
{
	static const struct load loads[] = {
	    {"Zipf 0.80", 0.8, false, false, false},    {"Zipf 0.99", 0.99, false, false, false},
	    {"Zipf 1.10", 1.1, false, false, false},    {"0.99, once", 0.99, true, false, false},
	    {"0.99, bursts", 0.99, false, true, false}, {"0.99, churn", 0.99, false, false, true},
	};
	static const struct {
		const char *name;
		bool (*fn)(int key);
	} others[] = {{"LRU", lru},     {"CLOCK", clock_1},   {"CLOCK 3", clock_3},
	              {"SIEVE", sieve}, {"S3-FIFO", s3_fifo}, {"W-TinyLFU", tiny_lfu}};
	const size_t nothers = sizeof(others) / sizeof(others[0]);

	printf("%-14s%10s%10s", "load", "entries", "ours");
	for (size_t i = 0; i < nothers; i++)
		printf("%10s", others[i].name);
	printf("\n");
	for (size_t l = 0; l < sizeof(loads) / sizeof(loads[0]); l++) {
		struct zipf z = zipf_new(PLAYERS, loads[l].exponent);
		double rate = run_ours(&loads[l], &z);

		printf("%-14s%10d%10.1f", loads[l].name, room, rate);
		for (size_t i = 0; i < nothers; i++) {
			printf("%10.1f", run(others[i].fn, &loads[l], &z));
			fflush(stdout);
		}
		printf("\n");
		zipf_release(&z);
	}
	return 0;
}
