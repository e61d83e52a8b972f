/* The one event loop of a process: timers, deferred calls, signals. Everything else under io/ hangs on it.
 * Rule of all rooms of io/: an operation never completes inside the call that started it. */
#ifndef SHOAL_IO_LOOP_H
#define SHOAL_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct event_base;

/* Also ignores SIGPIPE: a peer that went is an error of write(), not the end of the process. */
struct loop *loop_new(void);
void loop_free(struct loop *l); /* no timer, task or connection may hang on it any more */
void loop_run(struct loop *l);  /* until loop_stop, which ends it after the callback that is running */
void loop_stop(struct loop *l); /* before loop_run: that run ends at once */

/* For the other files of io/ only. A room keeps at most one thing per loop; loop_free releases it. */
struct loop_room {
	void *state;
	void (*release)(void *state);
};
struct event_base *loop_base(struct loop *l);
struct loop_room *loop_dns_room(struct loop *l);

/* One-shot timer, embedded in its owner; zero-initialised means not armed. */
struct timer {
	void (*fn)(void *arg);
	void *arg;
	struct loop *loop;
	void *event;
};
void timer_init(struct timer *t, struct loop *l, void (*fn)(void *arg), void *arg);
void timer_set(struct timer *t, int64_t ms); /* again: moves it; below 0 counts as 0: the next turn */
void timer_stop(struct timer *t);
bool timer_armed(const struct timer *t);
void timer_release(struct timer *t); /* stops it and frees what it holds; fn may do it to its own timer */

/* Runs fn(arg) once in this turn of the loop, after the callback that is running now, in the order of loop_defer.
 * A task deferred by a task runs when all that waited before have; after some rounds of that the sockets are looked at,
 * so that a chain of them starves none. Embedded,
 * zero-initialised; fn may free it; a task that is already waiting is not queued twice. */
struct task {
	void (*fn)(void *arg);
	void *arg;
	struct task *next, **prev; /* on the loop's list while waiting; prev is NULL otherwise */
	struct loop *loop;
};
void loop_defer(struct loop *l, struct task *t);
void task_cancel(struct task *t);

/* fn(arg, signum) from the loop, not from the handler. At most once per signal number. Once the loop is freed it is
 * ignored. */
void loop_on_signal(struct loop *l, int signum, void (*fn)(void *arg, int signum), void *arg);

/* Names what runs from now to the next note or the end of the turn, for the lag log: a literal. Lag = how much later
 * than due the loop's own 100 ms tick ran; exported as shoal_loop_lag_seconds, above 50 ms also logged with the longest
 * name since the last tick, as is what ran for so long by itself. What has one name and runs one behind the other, as a
 * row of jobs in one stage, is one piece of work. */
void loop_note(struct loop *l, const char *what);
/* ms since the loop last ticked; large when it hangs. For /healthz. */
int64_t loop_silent_ms(const struct loop *l);

#endif
