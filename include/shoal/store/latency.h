/* How long things took, in buckets that grow with the time: four to each doubling, from 1 us to 67 s, so that a
 * quantile is right to a tenth. Counts of several workers add up. In text: "53:12,54:3", bucket and count of those that
 * have any; what a worker tells of itself is an object of such texts (worker/timings.h):
 *
 *   {"window_s":300,"commands":[["persona","text","53:12,54:3"],...],"stages":[["persona","load","40:1"],...]} */
#ifndef SHOAL_STORE_LATENCY_H
#define SHOAL_STORE_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/str.h"

#define LATENCY_KEY "shoal:{cache}:latency:" /* and the worker's id, in the caches' Redis */
#define LATENCY_TEXT_BYTES 2048              /* no text is longer */

enum { LATENCY_BUCKETS = 26 * 4 };

struct latency {
	uint32_t n[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, int64_t us);
void latency_merge(struct latency *l, const struct latency *more);
uint64_t latency_count(const struct latency *l);
/* What the part q (0 to 1) of them did not exceed, in ms; 0 of none. */
double latency_quantile_ms(const struct latency *l, double q);

void latency_put(const struct latency *l, struct buf *out);
/* Adds what the text says. False: it makes no sense, and may have been added in part. */
bool latency_read(struct latency *l, struct span text) __attribute__((warn_unused_result));

#endif
