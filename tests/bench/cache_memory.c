/* links: base model io store */
/* A worker's memory of the caches at its default size under the load of a large ladder: 1,000,000 players, asked for by
 * Zipf 0.99. Hit rate beside what theory allows, and what a guard check costs that meets. Ends with 1 where a promise
 * is broken: under 5 us of CPU a guard check, no worse than LRU, within the bound. */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shoal/base/clock.h"
#include "shoal/store/cache_memory.h"
#include "zipf.h"

enum {
	BOUND = 16 * 1024 * 1024,
	PLAYERS = 1000000,
	WARM = 5000000,
	LOOKUPS = 5000000,
	CHECKS = 5000000,
	RUNS = 5,
	SLICE = 1000
};

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Ids as Discord gives them, 18 or 19 digits, in an order that tells nothing. */
static int64_t uid_of(size_t player)
{
	return (int64_t)(100000000000000000 + (player * 7919 % PLAYERS) * 1234567890123u);
}

/* The key of a player. Its bytes stand at the end of out. */
static struct span key_of(char out[20], int64_t uid)
{
	size_t at = 20;

	for (; uid > 0; uid /= 10)
		out[--at] = (char)('0' + uid % 10);
	return (struct span){out + at, 20 - at};
}

static struct cache_value *read_player(struct span key, size_t player)
{
	char json[200];
	int len = snprintf(json, sizeof(json),
	                   "{\"name\":\"%.*s\",\"country\":\"DE\",\"region\":\"EUW\",\"tos_ms\":1700000000000,"
	                   "\"setup_ms\":%d}",
	                   (int)(4 + player % 10), "Nightingale-Lark", player % 8 ? 1700000 : 0);

	return cache_value_read(CACHE_PLAYER, key, (struct span){json, (size_t)len}, true);
}

static void fill(struct cache_memory *m, struct span key, size_t player)
{
	struct cache_value *v = read_player(key, player);

	cache_memory_put(m, CACHE_PLAYER, key, v, clock_ms() + 3600000);
	cache_value_unref(v);
}

static bool is_free_to_go(struct cache_memory *m, int64_t uid, bool *there)
{
	char text[20];
	const struct cache_value *v = cache_memory_get(m, CACHE_PLAYER, key_of(text, uid));

	*there = v && v->found;
	return *there && v->player.tos_ms && v->player.setup_ms;
}

static double hit_rate(struct cache_memory *m, const struct zipf *z)
{
	struct chance c = {1};
	size_t hits = 0;

	for (size_t i = 0; i < WARM + LOOKUPS; i++) {
		size_t player = zipf_draw(z, &c);
		char text[20];
		struct span key = key_of(text, uid_of(player));

		if (cache_memory_get(m, CACHE_PLAYER, key))
			hits += i >= WARM;
		else
			fill(m, key, player);
	}
	return (double)hits / LOOKUPS;
}

/* us of CPU a check: the smallest of some runs, with the others' part of the machine left out as far as can be. */
static double check_us(struct cache_memory *m, const int64_t *uids, size_t n, size_t *free_to_go)
{
	double best = 0;

	for (int run = 0; run < RUNS; run++) {
		double began = cpu_us(), took;

		*free_to_go = 0;
		for (size_t i = 0; i < n; i++) {
			bool there;

			*free_to_go += is_free_to_go(m, uids[i], &there);
		}
		took = (cpu_us() - began) / (double)n;
		best = run == 0 || took < best ? took : best;
	}
	return best;
}

/* Those of the load that are in memory, as they come, or each one that is there, in a random order. */
static size_t choose(struct cache_memory *m, const struct zipf *z, bool by_load, int64_t *uids)
{
	struct chance c = {2};
	size_t n = 0;

	for (size_t i = 0; i < (by_load ? CHECKS : PLAYERS); i++) {
		int64_t uid = uid_of(by_load ? zipf_draw(z, &c) : i);
		bool there;

		is_free_to_go(m, uid, &there);
		if (there)
			uids[n++] = uid;
	}
	for (size_t i = n; i > 1 && !by_load; i--) {
		size_t other = chance_below(&c, i);
		int64_t uid = uids[i - 1];

		uids[i - 1] = uids[other];
		uids[other] = uid;
	}
	return n;
}

static bool tell_checks(struct cache_memory *m, const struct zipf *z)
{
	int64_t *uids = malloc(CHECKS * sizeof(*uids));
	bool fast = true;

	for (int by_load = 1; by_load >= 0; by_load--) {
		size_t n = choose(m, z, by_load, uids), free_to_go;
		double us = check_us(m, uids, n, &free_to_go);

		printf("guard check that meets, %-24s %8.3f us of CPU (%zu checks, %zu may go on)\n",
		       by_load ? "players as they come" : "every kept one in turn", us, n, free_to_go);
		fast = fast && us < 5;
	}
	free(uids);
	return fast;
}

static void tell_clearing(struct cache_memory *m)
{
	size_t before = mallinfo2().uordblks, slices = 0;
	double began = cpu_us(), cleared, longest = 0, swept;
	bool more = true;

	cache_memory_clear(m);
	cleared = cpu_us();
	for (swept = cleared; more; slices++) {
		double from = swept;

		more = cache_memory_sweep(m, SLICE);
		swept = cpu_us();
		longest = swept - from > longest ? swept - from : longest;
	}
	printf("clear %.1f us; sweep %.1f ms in %zu slices of %d places, the longest %.0f us, %.1f MiB given back\n",
	       cleared - began, (swept - cleared) / 1e3, slices, SLICE, longest,
	       (double)(before - mallinfo2().uordblks) / 1048576);
}

int main(void)
{
	struct mallinfo2 before = mallinfo2(), after;
	struct zipf z = zipf_new(PLAYERS, 0.99);
	size_t table = malloc_usable_size(z.upto);
	struct cache_memory *m = cache_memory_new(BOUND);
	size_t empty = cache_memory_bytes(m);
	double began = cpu_us(), rate = hit_rate(m, &z), took = cpu_us() - began;
	struct cache_memory_stats s = cache_memory_stats(m, CACHE_PLAYER);
	double lru = zipf_lru(&z, s.entries);
	size_t bytes = cache_memory_bytes(m);
	bool sound, fast;

	after = mallinfo2();
	printf("%d players, Zipf 0.99, %d lookups after %d, bound %d MiB\n", PLAYERS, LOOKUPS, WARM, BOUND >> 20);
	printf("entries %zu, bytes an entry %.1f and %.1f with the table; accounted %.2f MiB, malloc says %.2f MiB\n",
	       s.entries, (double)s.bytes / (double)s.entries, (double)bytes / (double)s.entries,
	       (double)bytes / 1048576,
	       (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd - table) / 1048576);
	printf("the table of an empty memory %.2f MiB; evictions %llu\n", (double)empty / 1048576,
	       (unsigned long long)s.evictions);
	printf("hit rate %.4f; LRU by Che's approximation %.4f; the most popular that fit, always there: %.4f\n", rate,
	       lru, zipf_best(&z, s.entries));
	printf("a lookup with its part of the fills (JSON read, room made) %.3f us of CPU\n", took / (WARM + LOOKUPS));
	fast = tell_checks(m, &z);
	tell_clearing(m);
	sound = bytes <= BOUND && rate > lru && rate < zipf_best(&z, s.entries) + 0.001;
	printf("%s\n", sound && fast ? "as promised" : "NOT as promised");
	cache_memory_free(m);
	zipf_release(&z);
	return sound && fast ? 0 : 1;
}
