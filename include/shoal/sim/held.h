/* Requests that are kept waiting, for a time or until the simulator ends. */
#ifndef SHOAL_SIM_HELD_H
#define SHOAL_SIM_HELD_H

#include "shoal/sim/world.h"

/* Embedded in what waits, which lives as long as its request. */
struct held {
	LIST_ENTRY(held) link;
	struct timer timer;
	struct httpd_request *req;
	void (*then)(void *arg);
	void *arg;
};

/* After ms, then(arg) answers the request, now or later; NULL: its connection is cut. */
void held_for(struct sim *s, struct held *h, struct httpd_request *r, int64_t ms, void (*then)(void *arg), void *arg);
/* As long as a caller may reasonably wait; then the connection is cut. */
void held_forever(struct sim *s, struct held *h, struct httpd_request *r);
/* Cuts the connections of all. */
void held_drop_all(struct sim *s);

#endif
