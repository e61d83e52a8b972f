/* One unit of the stack: begun, seen to be ready, begun anew after a while where it ends by itself, stopped. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "shoal/base/clock.h"
#include "shoal/up/say.h"
#include "shoal/up/stack.h"

#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 10000
#define SETTLED_MS 10000 /* served this long: its next death is a first one again */
#define HURRY_MS 3000
#define TAIL_LINES 15

static void unit_state(struct unit *u, enum unit_state state)
{
	u->state = state;
	u->since = clock_ms();
	if (!u->stack->stopping)
		loop_defer(u->stack->loop, &u->stack->advance);
}

void unit_end_probe(struct unit *u)
{
	timer_stop(&u->timer);
	timer_stop(&u->deadline);
	if (u->call)
		http_cancel(u->call);
	u->call = NULL;
	if (u->redis)
		redis_close(u->redis);
	u->redis = NULL;
}

static void unit_signal(struct unit *u, int signum)
{
	/* The whole group: initdb has children of its own. */
	if (u->pid && kill(-u->pid, signum) != 0 && errno != ESRCH)
		say_problem("cannot stop %s (process %d): %s", u->title, (int)u->pid, strerror(errno));
}

static unsigned unit_stop_s(const struct unit *u)
{
	const char *drain = u->kind->phase == STOP_WORKERS ? getenv("SHOAL_DRAIN_S") : NULL;
	int64_t s;
	/* A wrong one has been refused by the worker itself. */
	return span_i64(span_of(drain), &s) && s > 0 && s < 3600 ? (unsigned)s + 5 : u->kind->stop_s;
}

/* stop, then stop_harder, then SIGKILL until it is gone. */
static void unit_stop_more(void *arg)
{
	struct unit *u = arg;
	const int signals[] = {u->kind->stop, u->kind->stop_harder};
	int sig = u->signals_sent < 2 ? signals[u->signals_sent] : SIGKILL;

	u->signals_sent++;
	unit_signal(u, sig);
	timer_set(&u->deadline, u->stack->hurried ? HURRY_MS : (int64_t)unit_stop_s(u) * 1000);
}

void unit_stop(struct unit *u)
{
	unit_end_probe(u);
	u->signals_sent = 0;
	unit_state(u, UNIT_STOPPING);
	u->deadline.fn = unit_stop_more;
	unit_stop_more(u);
}

void unit_hurry(struct unit *u)
{
	if (u->state != UNIT_STOPPING)
		unit_state(u, UNIT_STOPPING);
	u->signals_sent = u->signals_sent > 1 ? u->signals_sent : 1;
	u->deadline.fn = unit_stop_more;
	unit_stop_more(u);
}

void unit_give_up(struct unit *u)
{
	timer_stop(&u->timer);
	unit_state(u, UNIT_IDLE);
}

static void unit_backoff_over(void *arg)
{
	unit_state(arg, UNIT_IDLE);
}

static unsigned unit_tries(const struct unit *u)
{
	if (u->kind->step)
		return u->kind->prepare ? 1 : 6;
	return 3;
}

/* It ended, or could not begin. code: its exit code, -1 when it has none. */
static void unit_down(struct unit *u, const char *what, int code)
{
	struct stack *s = u->stack;
	bool at_start = u->state == UNIT_BEGUN, give_up;
	unsigned before;
	int64_t wait;

	if (u->state == UNIT_READY && clock_ms() - u->since > SETTLED_MS)
		u->failures = 0;
	before = u->failures++;
	unit_end_probe(u);
	/* Wrong use (2) and a program that cannot be run (127) do not mend themselves. */
	give_up = !s->announced && at_start && (u->failures >= unit_tries(u) || code == 2 || code == 127);
	wait = (int64_t)BACKOFF_MIN_MS << (before < 6 ? before : 6);
	wait = wait > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait;
	if (give_up)
		say_problem("%s %s", u->title, what);
	else
		say_line("%s %s; again in %.1f s", u->title, what, SAY_S(wait));
	if ((at_start && u->failures == 1) || give_up) {
		char *log = arena_printf(&u->a, "%s/log/%s.log", s->home->dir, u->name);
		const char *tail = u->log_at >= 0 ? child_log_tail(log, u->log_at, TAIL_LINES, &u->a) : "";
		if (*tail) {
			say_problem("the last lines of %s:", log);
			say_text(tail);
		}
	}
	if (give_up) {
		unit_state(u, UNIT_IDLE);
		stack_stop(s, 1);
		return;
	}
	unit_state(u, UNIT_BACKOFF);
	u->timer.fn = unit_backoff_over;
	timer_set(&u->timer, wait);
}

/* Too long on the way: a server is killed and its end handled like any other. */
static void unit_late(void *arg)
{
	struct unit *u = arg;
	const char *what = arena_printf(&u->a, "is not ready after %u s", u->kind->start_s);
	if (u->pid) {
		say_line("%s %s", u->title, what);
		unit_signal(u, SIGKILL);
	} else {
		unit_down(u, what, -1);
	}
}

static void unit_redo_dependents(struct unit *u)
{
	unsigned bit = 1u << (u->kind - unit_kinds);
	for (unsigned i = 0; i < u->stack->nunits; i++) {
		struct unit *v = &u->stack->units[i];
		if (v->kind->again && (v->kind->needs & bit) && v->state == UNIT_READY)
			unit_state(v, UNIT_IDLE);
	}
}

void unit_ready(struct unit *u)
{
	struct stack *s = u->stack;
	int64_t took = clock_ms() - u->since;
	const char *where = u->kind->where ? u->kind->where(s, u) : "", *why = NULL;

	unit_end_probe(u);
	if (u->kind->finish && !u->kind->finish(s, u, &why)) {
		unit_down(u, why, -1);
		return;
	}
	if (u->kind->step)
		u->failures = 0;
	if (u->kind->step && u->kind->done && !(s->announced && u->was_ready))
		say_done("%s (%.1f s)", u->kind->done, SAY_S(took));
	else if (!u->kind->step)
		say_done("%s ready%s%s (%.1f s)", u->title, *where ? " " : "", where, SAY_S(took));
	u->was_ready = true;
	unit_redo_dependents(u);
	unit_state(u, UNIT_READY);
}

static bool unit_ports(struct unit *u, const char **why)
{
	struct stack *s = u->stack;
	/* One that others know by its port keeps it; until then a taken one is stepped over. */
	if (u->kind->port && (!u->port || (!u->was_ready && !port_free(u->port))))
		u->port = port_pick(s, u, u->port ? u->port + 1 : u->kind->port);
	if (u->kind->metrics && (!u->metrics || !port_free(u->metrics))) {
		u->metrics = 0;
		u->metrics = port_pick(s, u, u->kind->metrics);
	}
	if ((u->kind->port && !u->port) || (u->kind->metrics && !u->metrics)) {
		*why = arena_printf(&u->a, "finds no free port from %u up",
		                    u->kind->port && !u->port ? u->kind->port : u->kind->metrics);
		return false;
	}
	return true;
}

void unit_begin(struct unit *u)
{
	struct stack *s = u->stack;
	const char *why = NULL;
	struct launch l = {.death_signal = u->kind->stop};

	arena_release(&u->a);
	unit_state(u, UNIT_BEGUN);
	u->log_at = -1;
	if (u->kind->skip && u->kind->skip(s)) {
		u->was_ready = true;
		unit_state(u, UNIT_READY);
		return;
	}
	if (!unit_ports(u, &why)) {
		unit_down(u, why, 127);
		return;
	}
	u->deadline.fn = unit_late;
	timer_set(&u->deadline, (int64_t)u->kind->start_s * 1000);
	if (u->kind->prepare) {
		l.log = arena_printf(&u->a, "%s/log/%s.log", s->home->dir, u->name);
		l.envp = stack_env(s, u);
		if (u->kind->prepare(s, u, &l, &why))
			u->pid = child_start(&l, &u->log_at, &u->a, &why);
		if (u->pid <= 0) {
			u->pid = 0;
			unit_down(u, arena_printf(&u->a, "does not start: %s", why), 127);
			return;
		}
		stack_write_children(s);
	}
	if (u->kind->probe)
		u->kind->probe(s, u);
}

void unit_ended(struct unit *u, int status)
{
	struct stack *s = u->stack;
	int64_t took = clock_ms() - u->since;

	u->pid = 0;
	stack_write_children(s);
	if (u->state == UNIT_STOPPING) {
		unit_end_probe(u);
		if (!u->kind->step)
			say_done("%s %s (%.1f s)", u->title,
			         WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "killed" : "stopped",
			         SAY_S(took));
		u->was_ready = u->was_ready && u->kind->step;
		u->failures = 0;
		unit_state(u, UNIT_IDLE);
	} else if (u->kind->step && u->state == UNIT_BEGUN && status == 0) {
		unit_ready(u);
	} else if (s->stopping) {
		/* It ended by itself before its turn to be stopped. */
		say_line("%s %s", u->title, child_end_text(status, &u->a));
		unit_end_probe(u);
		unit_state(u, UNIT_IDLE);
	} else {
		unit_down(u, child_end_text(status, &u->a), WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	}
}
