/* The last many durations. */
#include "shoal/sim/samples.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"

void samples_add(struct samples *s, int64_t us)
{
	if (us < 0)
		return;
	if (!s->us)
		s->us = mem_alloc(SAMPLES_MAX * sizeof(*s->us));
	s->us[s->count++ % SAMPLES_MAX] = us > INT32_MAX ? INT32_MAX : (int32_t)us;
	if (us > s->max_us)
		s->max_us = us;
}

static int ascending(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

int64_t samples_quantile(const struct samples *s, double q)
{
	size_t n = s->count < SAMPLES_MAX ? (size_t)s->count : SAMPLES_MAX;
	if (n == 0)
		return 0;
	int32_t *sorted = mem_alloc(n * sizeof(*sorted));
	memcpy(sorted, s->us, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), ascending);
	int64_t value = sorted[(size_t)(q * (double)(n - 1) + 0.5)];
	free(sorted);
	return value;
}

void samples_release(struct samples *s)
{
	free(s->us);
	*s = (struct samples){0};
}
