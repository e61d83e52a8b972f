/* Page requests that wait for a chat to change. */
#include <stdlib.h>

#include "shoal/sim/control.h"

struct waiter {
	struct waiter *next;
	struct chat *chat;
	struct httpd_request *req;
	int64_t after;
	struct timer end;
};

static const char *const no_store[] = {"Cache-Control", "no-store", NULL};

static void answer(struct waiter *w)
{
	struct sim *s = w->chat->bot->sim;

	control_write_chat(w->chat, w->after);
	httpd_reply(w->req, 200, "application/json", buf_span(&s->out), no_store);
	timer_release(&w->end);
	free(w);
}

static void on_wake(void *arg)
{
	struct chat *c = arg;
	struct waiter *w = c->waiters, *next;

	c->waiters = NULL;
	for (; w; w = next) {
		next = w->next;
		answer(w);
	}
}

static void on_end(void *arg)
{
	struct waiter *w = arg, **p = &w->chat->waiters;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	answer(w);
}

void chat_wait(struct chat *c, struct httpd_request *r, int64_t after, int64_t ms)
{
	struct waiter *w = mem_zalloc(sizeof(*w));

	w->chat = c;
	w->req = r;
	w->after = after;
	timer_init(&w->end, c->bot->sim->loop, on_end, w);
	timer_set(&w->end, ms);
	w->next = c->waiters;
	c->waiters = w;
}

void chat_changed(struct chat *c, struct message *m)
{
	c->seq = ++c->bot->sim->seq;
	if (m)
		m->seq = c->seq;
	if (!c->waiters)
		return;
	c->wake.fn = on_wake;
	c->wake.arg = c;
	loop_defer(c->bot->sim->loop, &c->wake);
}
