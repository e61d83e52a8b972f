/* Requests of pages that wait for something that a person sees. */
#include <stdlib.h>

#include "shoal/sim/discord.h"
#include "shoal/sim/discord_show.h"

struct dc_waiter {
	struct dc_waiter *next;
	struct discord *discord;
	struct dc_user *user;
	struct httpd_request *req;
	int64_t after;
	struct timer end;
};

static const char *const no_store[] = {"Cache-Control", "no-store", NULL};

static void answer(struct dc_waiter *w)
{
	struct discord *d = w->discord;

	dc_show_feed(d, w->user, w->after);
	httpd_reply(w->req, 200, "application/json", buf_span(&d->sim->out), no_store);
	timer_release(&w->end);
	free(w);
}

static void on_wake(void *arg)
{
	struct discord *d = arg;
	struct dc_waiter **p = &d->waiters;

	while (*p) {
		struct dc_waiter *w = *p;

		if (dc_feed_has(d, w->user, w->after)) {
			*p = w->next;
			answer(w);
		} else {
			p = &w->next;
		}
	}
}

static void on_end(void *arg)
{
	struct dc_waiter *w = arg, **p = &w->discord->waiters;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	answer(w);
}

void dc_feed_wait(struct discord *d, struct httpd_request *r, struct dc_user *u, int64_t after, int64_t ms)
{
	struct dc_waiter *w = mem_zalloc(sizeof(*w));

	w->discord = d;
	w->user = u;
	w->req = r;
	w->after = after;
	timer_init(&w->end, d->sim->loop, on_end, w);
	timer_set(&w->end, ms);
	w->next = d->waiters;
	d->waiters = w;
}

void dc_feed_end(struct discord *d)
{
	task_cancel(&d->wake);
	while (d->waiters)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): on_end takes it off the list, which is not followed */
		on_end(d->waiters);
}

void dc_changed(struct discord *d, struct dc_message *m)
{
	m->seq = ++d->sim->seq;
	if (!d->waiters)
		return;
	d->wake.fn = on_wake;
	d->wake.arg = d;
	loop_defer(d->sim->loop, &d->wake);
}
