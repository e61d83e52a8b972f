/* Prometheus metrics of this process (text exposition format 0.0.4). Series are bounded: a metric takes at most
 * 512 of them; the last is kept for label values "other", under which is counted what finds no place. Not thread-safe:
 * one loop thread. */
#ifndef SHOAL_BASE_METRICS_H
#define SHOAL_BASE_METRICS_H

#include <stdint.h>

#include "shoal/base/str.h"

struct metric;
struct series; /* one combination of label values; lives as long as the process: find once, keep the pointer */

/* labels: names with commas, "" for none, at most 4. The strings must be literals. The same name again gives the
 * same metric. */
struct metric *metric_counter(const char *name, const char *labels, const char *help);
struct metric *metric_gauge(const char *name, const char *labels, const char *help);
/* bounds: upper limits in rising order, NULL for METRIC_SECONDS (100 us to 30 s) */
struct metric *metric_histogram(const char *name, const char *labels, const char *help, const double *bounds,
                                unsigned nbounds);

/* As many values as the metric has labels; values are copied. */
struct series *metric_series(struct metric *m, ...) __attribute__((sentinel));
#define SERIES(m, ...) metric_series(m, __VA_ARGS__, (const char *)0)
#define SERIES0(m) metric_series(m, (const char *)0)

void series_add(struct series *s, double n);     /* counter, gauge */
void series_set(struct series *s, double v);     /* gauge; a counter that mirrors another count */
void series_observe(struct series *s, double v); /* histogram */
double series_value(const struct series *s);     /* counter, gauge: the value; histogram: the count */

/* Called before every rendering, to set gauges that are only worth computing then. */
void metrics_on_render(void (*fn)(void *), void *arg);
void metrics_render(struct buf *out);

#endif
