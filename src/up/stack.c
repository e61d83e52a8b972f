#include "shoal/up/stack.h"

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

#define TICK_MS 250

static void stack_stop_phase(struct stack *s);

struct unit *stack_unit(const struct stack *s, enum unit_id id)
{
	for (unsigned i = 0; i < s->nunits; i++)
		if (s->units[i].kind == &unit_kinds[id])
			return &s->units[i];
	BUG("no unit %d", (int)id);
}

void stack_write_children(struct stack *s)
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

void stack_stop(struct stack *s, int code)
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
	for (unsigned i = 0; i < s->nunits; i++)
		if (s->units[i].pid)
			unit_hurry(&s->units[i]);
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
		if (u->state == UNIT_BACKOFF)
			unit_give_up(u);
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
