/* The listener that every program has for those who watch it: GET /healthz, /readyz and /metrics. */
#ifndef SHOAL_IO_HEALTH_H
#define SHOAL_IO_HEALTH_H

#include "shoal/base/arena.h"
#include "shoal/io/httpd.h"
#include "shoal/io/loop.h"

struct health;

/* listen: SHOAL_METRICS_LISTEN. "0" turns it off: NULL, and *why is NULL too. NULL with *why (in a) when it cannot
 * listen. All functions here take NULL for a listener that is off. */
struct health *health_open(struct loop *l, const char *listen, struct arena *a, const char **why);
void health_close(struct health *h);
unsigned health_port(const struct health *h); /* 0 when off */

/* /metrics, for a program that has no such listener. */
void health_answer_metrics(struct httpd_request *r);

/* NULL when all is well, otherwise the reason: short words without secrets, valid until the next call. */
typedef const char *health_fn(void *arg);
/* name: outlives it. */
void health_check(struct health *h, const char *name, health_fn *fn, void *arg); /* /readyz: what it depends on */
void health_note(struct health *h, const char *name, health_fn *fn, void *arg);  /* /readyz: said, and no obstacle */
void health_alive(struct health *h, const char *name, health_fn *fn, void *arg); /* /healthz: only a restart helps */

#endif
