#include "shoal/up/stack.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/up/say.h"

#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 10000
#define SETTLED_MS 10000 /* served this long: its next death is a first one again */
#define HURRY_MS 3000
#define TICK_MS 250
#define TAIL_LINES 15

static void stack_stop(struct stack *s, int code);
static void stack_stop_phase(struct stack *s);

struct unit *stack_unit(const struct stack *s, enum unit_id id)
{
	for (unsigned i = 0; i < s->nunits; i++)
		if (s->units[i].kind == &unit_kinds[id])
			return &s->units[i];
	BUG("no unit %d", (int)id);
}

static void unit_state(struct unit *u, enum unit_state state)
{
	u->state = state;
	u->since = clock_ms();
	if (!u->stack->stopping)
		loop_defer(u->stack->loop, &u->stack->advance);
}

/* The record that a later `up` needs if this process is killed. */
static void children_write(struct stack *s)
{
	struct arena a;
	struct buf text;
	const char *why;

	arena_init(&a);
	buf_init(&text, 16384);
	buf_adds(&text, "");
	for (unsigned i = 0; i < s->nunits; i++) {
		const struct unit *u = &s->units[i];
		if (u->pid)
			buf_addf(&text, "%d %" PRIu64 " %s\n", (int)u->pid, child_start_time(u->pid), u->name);
	}
	if (!file_write(&a, home_path(s->home, "children"), text.ptr ? text.ptr : "", &why))
		say_problem("%s", why);
	buf_release(&text);
	arena_release(&a);
}

/* --- one unit */

static void unit_end_probe(struct unit *u)
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

static void unit_stop(struct unit *u)
{
	unit_end_probe(u);
	u->signals_sent = 0;
	unit_state(u, UNIT_STOPPING);
	u->deadline.fn = unit_stop_more;
	unit_stop_more(u);
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

static void unit_begin(struct unit *u)
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
		children_write(s);
	}
	if (u->kind->probe)
		u->kind->probe(s, u);
}

static void unit_ended(struct unit *u, int status)
{
	struct stack *s = u->stack;
	int64_t took = clock_ms() - u->since;

	u->pid = 0;
	children_write(s);
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

/* --- all of them */

static bool needs_met(const struct stack *s, const struct unit *u)
{
	for (unsigned i = 0; i < s->nunits; i++) {
		const struct unit *v = &s->units[i];
		if ((u->kind->needs & (1u << (v->kind - unit_kinds))) && v->wanted && v->state != UNIT_READY)
			return false;
	}
	return true;
}

static void stack_advance(void *arg)
{
	struct stack *s = arg;
	bool all = true;

	for (unsigned i = 0; i < s->nunits && !s->stopping; i++) {
		struct unit *u = &s->units[i];
		if (u->wanted && u->state == UNIT_IDLE && !u->pid && needs_met(s, u))
			unit_begin(u);
		all = all && (!u->wanted || u->state == UNIT_READY);
	}
	if (all && !s->announced && !s->stopping) {
		s->announced = true;
		stack_announce(s);
	}
}

static void stack_stop_phase(struct stack *s)
{
	for (; s->phase < STOP_PHASES; s->phase++) {
		unsigned running = 0;
		for (unsigned i = 0; i < s->nunits; i++) {
			struct unit *u = &s->units[i];
			if (!u->pid || u->kind->phase != s->phase)
				continue;
			running++;
			if (u->state != UNIT_STOPPING)
				unit_stop(u);
		}
		if (running)
			return;
	}
	loop_stop(s->loop);
}

static void stack_stop(struct stack *s, int code)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->code = code;
	s->phase = 0;
	say_line("Stopping%s", isatty(STDIN_FILENO) ? " (Ctrl-C again to hurry)" : "");
	task_cancel(&s->advance);
	timer_stop(&s->tick);
	for (unsigned i = 0; i < s->nunits; i++)
		if (s->units[i].state != UNIT_STOPPING)
			unit_end_probe(&s->units[i]);
	stack_stop_phase(s);
}

static void stack_hurry(struct stack *s)
{
	if (s->hurried)
		return;
	s->hurried = true;
	say_line("Hurrying: what is not done stays in the queue");
	for (unsigned i = 0; i < s->nunits; i++) {
		struct unit *u = &s->units[i];
		if (!u->pid)
			continue;
		if (u->state != UNIT_STOPPING)
			unit_state(u, UNIT_STOPPING);
		u->signals_sent = u->signals_sent > 1 ? u->signals_sent : 1;
		u->deadline.fn = unit_stop_more;
		unit_stop_more(u);
	}
}

static void on_stop_signal(void *arg, int signum)
{
	struct stack *s = arg;
	(void)signum;
	if (s->stopping)
		stack_hurry(s);
	else
		stack_stop(s, 0);
}

static void on_child(void *arg, int signum)
{
	struct stack *s = arg;
	int status;
	pid_t pid;
	(void)signum;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < s->nunits; i++)
			if (s->units[i].pid == pid)
				unit_ended(&s->units[i], status);
	if (s->stopping)
		stack_stop_phase(s);
}

static void stack_scale(struct stack *s, unsigned workers)
{
	for (unsigned i = 0; i < s->nunits; i++) {
		struct unit *u = &s->units[i];
		if (u->kind != &unit_kinds[U_WORKER])
			continue;
		u->wanted = u->index < workers;
		if (u->wanted)
			continue;
		if (u->pid && u->state != UNIT_STOPPING)
			unit_stop(u);
		if (u->state == UNIT_BACKOFF) {
			timer_stop(&u->timer);
			unit_state(u, UNIT_IDLE);
		}
	}
	loop_defer(s->loop, &s->advance);
}

static void on_scale_signal(void *arg, int signum)
{
	struct stack *s = arg;
	struct arena a;
	char *text;
	(void)signum;

	arena_init(&a);
	text = file_read(&a, home_path(s->home, "workers"), 16);
	if (text && !s->stopping) {
		long n = strtol(text, NULL, 10);
		if (n >= 0 && n <= WORKERS_MAX) {
			say_line("Asked for %ld worker%s", n, n == 1 ? "" : "s");
			stack_scale(s, (unsigned)n);
		}
	}
	arena_release(&a);
}

static void on_tick(void *arg)
{
	struct stack *s = arg;
	char text[128] = "";
	int64_t now = clock_ms();

	for (unsigned i = 0; i < s->nunits; i++) {
		const struct unit *u = &s->units[i];
		size_t len = strlen(text);
		if (u->state == UNIT_BEGUN && now - u->since > TICK_MS)
			snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "... ", u->title);
	}
	say_waiting(*text ? text : NULL);
	timer_set(&s->tick, TICK_MS);
}

/* --- beginning and end */

/* Ports of what there is one of: known from the start, so that all children can be told. */
static void stack_ports(struct stack *s)
{
	for (unsigned i = 0; i < s->nunits; i++) {
		struct unit *u = &s->units[i];
		if (u->kind->copies == 1 && u->kind->port)
			u->port = port_pick(s, u, u->kind->port);
	}
}

static void stack_fill(struct stack *s, unsigned workers)
{
	unsigned n = 0;
	for (unsigned k = 0; k < unit_kind_count; k++)
		s->nunits += unit_kinds[k].copies;
	s->units = arena_array(s->a, struct unit, s->nunits);
	for (unsigned k = 0; k < unit_kind_count; k++) {
		const struct unit_kind *kind = &unit_kinds[k];
		for (unsigned i = 0; i < kind->copies; i++) {
			struct unit *u = &s->units[n++];
			bool many = kind->copies > 1;
			u->kind = kind;
			u->index = i;
			u->stack = s;
			u->wanted = !many || i < workers;
			u->name = many ? arena_printf(s->a, "%s-%u", kind->name, i + 1) : kind->name;
			u->title = many ? arena_printf(s->a, "%s %u", kind->title, i + 1) : kind->title;
			arena_init(&u->a);
			timer_init(&u->timer, s->loop, NULL, u);
			timer_init(&u->deadline, s->loop, NULL, u);
		}
	}
	stack_unit(s, U_POSTGRES)->title = arena_printf(s->a, "PostgreSQL %d", s->servers.pg_major);
}

static void stack_release(struct stack *s)
{
	for (unsigned i = 0; i < s->nunits; i++) {
		struct unit *u = &s->units[i];
		unit_end_probe(u);
		timer_release(&u->timer);
		timer_release(&u->deadline);
		arena_release(&u->a);
	}
	task_cancel(&s->advance);
	timer_release(&s->tick);
	http_close(s->http);
	loop_free(s->loop);
}

static const struct {
	int signum;
	void (*fn)(void *, int);
} signals[] = {
    {SIGINT, on_stop_signal}, {SIGTERM, on_stop_signal},  {SIGHUP, on_stop_signal},
    {SIGCHLD, on_child},      {SIGUSR1, on_scale_signal},
};

int stack_run(struct home *h, const struct servers *servers, unsigned workers)
{
	struct stack s = {.a = h->a, .home = h, .servers = *servers, .began = clock_ms()};
	struct http_opts http = {.per_host = 8, .max_body = 1 << 20, .user_agent = "shoal-up"};
	const char *why;

	log_init(LOG_ERROR, LOG_AUTO, "up", "");
	signal(SIGPIPE, SIG_IGN); /* the terminal may go */
	s.loop = loop_new();
	s.http = http_open(s.loop, &http);
	s.advance = (struct task){.fn = stack_advance, .arg = &s};
	timer_init(&s.tick, s.loop, on_tick, &s);
	stack_fill(&s, workers);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		loop_on_signal(s.loop, signals[i].signum, signals[i].fn, &s);
	stack_ports(&s);
	if (stack_secrets(&s, &why) && stack_write_urls(&s, &why)) {
		timer_set(&s.tick, TICK_MS);
		loop_defer(s.loop, &s.advance);
		loop_run(s.loop);
	} else {
		say_problem("%s", why);
		s.code = 1;
	}
	stack_release(&s);
	home_drop_run(h);
	say_line(s.code ? "Stopped, because of the error above." : "Stopped. The data stay in %s.", h->dir);
	return s.code;
}
