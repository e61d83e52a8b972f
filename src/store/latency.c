#include "shoal/store/latency.h"

#include <math.h>
#include <string.h>

#define EACH 4 /* buckets to a doubling */

static unsigned bucket_of(int64_t us)
{
	unsigned e, part;

	if (us < 1)
		us = 1;
	e = 63 - (unsigned)__builtin_clzll((unsigned long long)us);
	part = (unsigned)(e >= 2 ? us >> (e - 2) : us << (2 - e)) & (EACH - 1);
	return e * EACH + part < LATENCY_BUCKETS ? e * EACH + part : LATENCY_BUCKETS - 1;
}

/* The least time of a bucket. */
static double floor_us(unsigned bucket)
{
	return ldexp(1.0 + (double)(bucket % EACH) / EACH, (int)(bucket / EACH));
}

static void add(struct latency *l, unsigned bucket, uint32_t n)
{
	l->n[bucket] = n > UINT32_MAX - l->n[bucket] ? UINT32_MAX : l->n[bucket] + n;
}

void latency_add(struct latency *l, int64_t us)
{
	add(l, bucket_of(us), 1);
}

void latency_merge(struct latency *l, const struct latency *more)
{
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		add(l, i, more->n[i]);
}

uint64_t latency_count(const struct latency *l)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		n += l->n[i];
	return n;
}

double latency_quantile_ms(const struct latency *l, double q)
{
	double want = q * (double)latency_count(l), before = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		double n = l->n[i];

		if (n > 0 && before + n >= want)
			return (floor_us(i) + (floor_us(i + 1) - floor_us(i)) * (want - before) / n) / 1e3;
		before += n;
	}
	return 0;
}

/* --- text */

void latency_put(const struct latency *l, struct buf *out)
{
	const char *comma = "";

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		if (!l->n[i])
			continue;
		buf_adds(out, comma);
		buf_add_i64(out, i);
		buf_addc(out, ':');
		buf_add_i64(out, l->n[i]);
		comma = ",";
	}
}

bool latency_read(struct latency *l, struct span text)
{
	const char *comma = NULL;

	while (text.len) {
		comma = memchr(text.ptr, ',', text.len);
		struct span pair = {text.ptr, comma ? (size_t)(comma - text.ptr) : text.len};
		const char *colon = memchr(pair.ptr, ':', pair.len);
		int64_t bucket, n;

		if (!colon || !span_i64((struct span){pair.ptr, (size_t)(colon - pair.ptr)}, &bucket) ||
		    !span_i64((struct span){colon + 1, pair.len - (size_t)(colon + 1 - pair.ptr)}, &n) || bucket < 0 ||
		    bucket >= LATENCY_BUCKETS || n < 0 || n > UINT32_MAX)
			return false;
		add(l, (unsigned)bucket, (uint32_t)n);
		text = (struct span){text.ptr + pair.len + (comma != NULL), text.len - pair.len - (comma != NULL)};
	}
	return !comma;
}
