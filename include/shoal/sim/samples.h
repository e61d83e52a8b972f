/* The last many durations, for percentiles on request. */
#ifndef SHOAL_SIM_SAMPLES_H
#define SHOAL_SIM_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#define SAMPLES_MAX 65536

struct samples {
	int32_t *us; /* ring, SAMPLES_MAX once used */
	uint64_t count;
	int64_t max_us;
};

void samples_add(struct samples *s, int64_t us);
/* q in 0..1, in microseconds over the samples kept; 0 without any. */
int64_t samples_quantile(const struct samples *s, double q);
void samples_release(struct samples *s); /* empty again */

#endif
