/* Loads for caches, and what theory says of them. The nth most popular of n things is asked for in proportion to
 * 1 / n^s (Zipf), independently of what was asked before. Same seed, same load. */
#ifndef SHOAL_TESTS_ZIPF_H
#define SHOAL_TESTS_ZIPF_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct chance {
	uint64_t state;
};

/* splitmix64 */
static inline uint64_t chance_next(struct chance *c)
{
	uint64_t x = c->state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static inline size_t chance_below(struct chance *c, size_t n)
{
	return (size_t)(chance_next(c) % n);
}

struct zipf {
	size_t n;
	double *upto; /* upto[i]: the share of the i + 1 most popular */
};

static inline struct zipf zipf_new(size_t n, double s)
{
	struct zipf z = {n, malloc(n * sizeof(double))};
	double sum = 0;

	if (!z.upto)
		abort();
	for (size_t i = 0; i < n; i++)
		z.upto[i] = sum += pow((double)i + 1, -s);
	for (size_t i = 0; i < n; i++)
		z.upto[i] /= sum;
	return z;
}

static inline void zipf_release(struct zipf *z)
{
	free(z->upto);
}

/* Who is asked for: 0 is the most popular. */
static inline size_t zipf_draw(const struct zipf *z, struct chance *c)
{
	double u = (double)(chance_next(c) >> 11) * 0x1p-53;
	size_t low = 0, high = z->n - 1;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (z->upto[mid] <= u)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static inline double zipf_share(const struct zipf *z, size_t i)
{
	return i ? z->upto[i] - z->upto[i - 1] : z->upto[0];
}

/* What of n things are there on average, each for `time` lookups after it was asked for; *hits: how often it is met. */
static inline double zipf_there(const struct zipf *z, double time, double *hits)
{
	double there = 0;

	*hits = 0;
	for (size_t i = 0; i < z->n; i++) {
		double share = zipf_share(z, i), p = -expm1(-share * time);

		there += p;
		*hits += share * p;
	}
	return there;
}

/* The hit rate of LRU with room for so many, by Che's approximation (Che, Tung and Wang 2002): an entry stays for one
 * time that is the same for all, which follows from the room. */
static inline double zipf_lru(const struct zipf *z, size_t room)
{
	double low = 0, high = 1, hits;

	while (zipf_there(z, high, &hits) < (double)room)
		high *= 2;
	for (int i = 0; i < 50; i++) {
		double mid = (low + high) / 2;

		if (zipf_there(z, mid, &hits) < (double)room)
			low = mid;
		else
			high = mid;
	}
	return hits;
}

/* The most popular that fit, always there: no cache does better in the long run. */
static inline double zipf_best(const struct zipf *z, size_t room)
{
	return z->upto[(room < z->n ? room : z->n) - 1];
}

#endif
