#include "shoal/io/loop.h"

#include <event2/event.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/err.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"

#define TICK_MS 100
#define LAG_WARN_US 50000
#define ROUNDS 4 /* of tasks, before the sockets are looked at again */

struct loop_signal {
	struct loop_signal *next;
	struct loop *loop;
	struct event *event;
	void (*fn)(void *arg, int signum);
	void *arg;
};

struct loop {
	struct event_base *base;
	bool stop;

	struct task *tasks, **tail; /* waiting */
	struct task *running;       /* of the round that is being drained */
	bool draining;
	struct event *drain_now;   /* activated: runs after the callback that is running */
	struct event *drain_later; /* zero timer: the sockets are looked at before */

	struct loop_signal *signals;
	struct loop_room dns;

	struct event *tick;
	int64_t tick_due_us;
	struct series *lag;
	int64_t lag_logged;
	unsigned lag_unlogged;

	const char *what; /* runs now, since what_us; NULL: nothing named */
	int64_t what_us;
	const char *longest; /* since the last tick */
	int64_t longest_us;
};

/* --- what runs */

void loop_note(struct loop *l, const char *what)
{
	if (l->what == what)
		return;
	int64_t now = clock_us();
	if (l->what && now - l->what_us > l->longest_us) {
		l->longest = l->what;
		l->longest_us = now - l->what_us;
	}
	l->what = what;
	l->what_us = now;
}

static void tick_arm(struct loop *l)
{
	struct timeval tv = {.tv_usec = TICK_MS * 1000};
	l->tick_due_us = clock_us() + TICK_MS * 1000;
	event_add(l->tick, &tv);
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct loop *l = arg;
	loop_note(l, "tick");
	int64_t late_us = clock_us() - l->tick_due_us;
	if (late_us < 0)
		late_us = 0;
	series_observe(l->lag, (double)late_us / 1e6);
	/* what ran for so long between two ticks has held others up as well */
	bool held_up = late_us > LAG_WARN_US || l->longest_us > LAG_WARN_US;
	if (held_up && log_due(&l->lag_logged, &l->lag_unlogged)) {
		log_warn("the loop was held up", LOG_INT("late_ms", late_us / 1000),
		         LOG_STR("by", l->longest ? l->longest : "unnamed work"),
		         LOG_INT("ran_ms", l->longest_us / 1000), LOG_INT("suppressed", l->lag_unlogged));
		l->lag_unlogged = 0;
	}
	l->longest = NULL;
	l->longest_us = 0;
	tick_arm(l);
}

int64_t loop_silent_ms(const struct loop *l)
{
	int64_t last_us = l->tick_due_us - TICK_MS * 1000;
	return (clock_us() - last_us) / 1000;
}

/* --- tasks */

static void task_unlink(struct task *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else if (t->loop->tail == &t->next)
		t->loop->tail = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

void loop_defer(struct loop *l, struct task *t)
{
	ENSURE(t->fn);
	if (t->prev)
		return;
	if (!l->tasks && !l->draining)
		event_active(l->drain_now, EV_TIMEOUT, 1);
	t->loop = l;
	t->next = NULL;
	t->prev = l->tail;
	*l->tail = t;
	l->tail = &t->next;
}

void task_cancel(struct task *t)
{
	if (t->prev)
		task_unlink(t);
}

/* Only what waits now. */
static void drain_round(struct loop *l)
{
	l->running = l->tasks;
	l->running->prev = &l->running;
	l->tasks = NULL;
	l->tail = &l->tasks;
	while (l->running && !l->stop) {
		struct task *t = l->running;
		task_unlink(t);
		loop_note(l, "task");
		t->fn(t->arg);
	}
}

/* What tasks defer comes at once, as what becomes of an answer is a chain of them, but for long chains. */
static void on_drain(evutil_socket_t fd, short events, void *arg)
{
	static const struct timeval at_once;
	(void)fd;
	(void)events;
	struct loop *l = arg;
	l->draining = true;
	for (int i = 0; i < ROUNDS && l->tasks && !l->stop; i++)
		drain_round(l);
	l->draining = false;
	if (!l->running) {
		if (l->tasks)
			event_add(l->drain_later, &at_once);
		return;
	}
	/* stopped half way: what is left comes first, should the loop run again */
	struct task **end = &l->running;
	while (*end)
		end = &(*end)->next;
	*end = l->tasks;
	if (l->tasks)
		l->tasks->prev = end;
	else
		l->tail = end;
	l->tasks = l->running;
	l->tasks->prev = &l->tasks;
	l->running = NULL;
	event_active(l->drain_now, EV_TIMEOUT, 1);
}

/* --- timers */

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct timer *t = arg;
	loop_note(t->loop, "timer");
	t->fn(t->arg);
}

void timer_init(struct timer *t, struct loop *l, void (*fn)(void *arg), void *arg)
{
	*t = (struct timer){.fn = fn, .arg = arg, .loop = l};
}

void timer_set(struct timer *t, int64_t ms)
{
	if (ms < 0)
		ms = 0;
	if (!t->event) {
		t->event = evtimer_new(t->loop->base, on_timer, t);
		ENSURE(t->event);
	}
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	ENSURE(evtimer_add(t->event, &tv) == 0);
}

void timer_stop(struct timer *t)
{
	if (t->event)
		evtimer_del(t->event);
}

bool timer_armed(const struct timer *t)
{
	return t->event && evtimer_pending(t->event, NULL);
}

void timer_release(struct timer *t)
{
	if (t->event)
		event_free(t->event);
	t->event = NULL;
}

/* --- signals */

static void on_signal(evutil_socket_t signum, short events, void *arg)
{
	(void)events;
	struct loop_signal *s = arg;
	loop_note(s->loop, "signal");
	s->fn(s->arg, (int)signum);
}

/* With its event libevent frees what was there before it: were that the default action, a program that is told twice to
 * end would be killed while it does. What comes in between waits. */
static void add_signal(struct event *e, int signum)
{
	sigset_t this, before;

	sigemptyset(&this);
	sigaddset(&this, signum);
	ENSURE(pthread_sigmask(SIG_BLOCK, &this, &before) == 0);
	signal(signum, SIG_IGN);
	ENSURE(event_add(e, NULL) == 0);
	ENSURE(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

void loop_on_signal(struct loop *l, int signum, void (*fn)(void *arg, int signum), void *arg)
{
	struct loop_signal *s = mem_zalloc(sizeof(*s));
	*s = (struct loop_signal){.next = l->signals, .loop = l, .fn = fn, .arg = arg};
	for (struct loop_signal *other = l->signals; other; other = other->next)
		ENSURE(event_get_signal(other->event) != signum);
	s->event = evsignal_new(l->base, signum, on_signal, s);
	ENSURE(s->event);
	add_signal(s->event, signum);
	l->signals = s;
}

/* --- the loop */

struct loop *loop_new(void)
{
	struct loop *l = mem_zalloc(sizeof(*l));
	struct event_config *config = event_config_new();
	ENSURE(config);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	l->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!l->base)
		BUG("no event loop: the kernel gave no epoll descriptor");
	signal(SIGPIPE, SIG_IGN);
	l->tail = &l->tasks;
	l->drain_now = event_new(l->base, -1, 0, on_drain, l);
	l->drain_later = evtimer_new(l->base, on_drain, l);
	l->tick = evtimer_new(l->base, on_tick, l);
	ENSURE(l->drain_now && l->drain_later && l->tick);
	l->lag = SERIES0(metric_histogram("shoal_loop_lag_seconds", "",
	                                  "How much later than due the event loop ran its own tick.", NULL, 0));
	tick_arm(l);
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->dns.release)
		l->dns.release(l->dns.state);
	while (l->signals) {
		struct loop_signal *s = l->signals;
		l->signals = s->next;
		event_free(s->event);
		free(s);
	}
	event_free(l->drain_now);
	event_free(l->drain_later);
	event_free(l->tick);
	event_base_free(l->base);
	free(l);
}

/* One libevent loop per turn: only so the end of a turn is seen, and waiting is not taken for work. */
void loop_run(struct loop *l)
{
	tick_arm(l);
	log_hold(true);
	while (!l->stop) {
		ENSURE(event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) >= 0);
		log_flush();
		loop_note(l, NULL);
	}
	log_hold(false);
	l->stop = false;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
	event_base_loopbreak(l->base);
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

struct loop_room *loop_dns_room(struct loop *l)
{
	return &l->dns;
}
