/* Requests that are kept waiting. */
#include "shoal/sim/held.h"

#define FOREVER_MS (10 * 60 * 1000)

static void let_go(struct held *h)
{
	timer_release(&h->timer);
	LIST_REMOVE(h, link);
}

static void on_time(void *arg)
{
	struct held *h = arg;

	let_go(h);
	if (h->then)
		h->then(h->arg);
	else
		httpd_drop(h->req);
}

void held_for(struct sim *s, struct held *h, struct httpd_request *r, int64_t ms, void (*then)(void *arg), void *arg)
{
	*h = (struct held){.req = r, .then = then, .arg = arg};
	timer_init(&h->timer, s->loop, on_time, h);
	timer_set(&h->timer, ms);
	LIST_INSERT_HEAD(&s->held, h, link);
}

void held_forever(struct sim *s, struct held *h, struct httpd_request *r)
{
	held_for(s, h, r, FOREVER_MS, NULL, NULL);
}

void held_drop_all(struct sim *s)
{
	while (!LIST_EMPTY(&s->held)) {
		struct held *h = LIST_FIRST(&s->held);

		let_go(h);
		httpd_drop(h->req);
	}
}
