/* links: sim io base */
#include "shoal/sim/map.h"

#include <stdbool.h>

#include "check.h"

#define KEYS 512

/* A small generator of its own, so that a failure can be repeated. */
static unsigned long long state = 88172645463325252ull;
static unsigned next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 20);
}

/* Every key that a plain array says is there, and no other, is found after each of many changes. */
static void map_agrees_with_an_array(void)
{
	static char values[KEYS];
	static bool there[KEYS];
	struct map m = {0};
	size_t count = 0;

	for (int step = 0; step < 20000; step++) {
		unsigned k = next_random() % KEYS;
		int64_t key = (int64_t)k * 4096 - 100000; /* near each other in the low bits, some negative */
		if (next_random() % 2) {
			count += !there[k];
			there[k] = true;
			map_put(&m, key, &values[k]);
		} else {
			CHECK(map_remove(&m, key) == (there[k] ? (void *)&values[k] : NULL));
			count -= there[k];
			there[k] = false;
		}
		if (step % 50 != 0)
			continue;
		for (unsigned i = 0; i < KEYS; i++)
			CHECK(map_get(&m, (int64_t)i * 4096 - 100000) == (there[i] ? (void *)&values[i] : NULL));
	}
	CHECK_INT(m.count, count);
	map_release(&m);
}

static void map_walks_over_all_once(void)
{
	static char seen[100];
	struct map m = {0};
	char *v;

	for (int64_t i = 0; i < 100; i++)
		map_put(&m, INT64_MIN + i * 7, &seen[i]);
	for (size_t i = 0; (v = map_next(&m, &i)) != NULL;)
		(*v)++;
	for (int i = 0; i < 100; i++)
		CHECK_INT(seen[i], 1);
	map_release(&m);
	CHECK(map_get(&m, 1) == NULL);
	CHECK(map_remove(&m, 1) == NULL);
}

int main(void)
{
	RUN(map_agrees_with_an_array);
	RUN(map_walks_over_all_once);
	DONE();
}
