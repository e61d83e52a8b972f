#include "shoal/up/up.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/str.h"
#include "shoal/up/home.h"
#include "shoal/up/say.h"
#include "shoal/up/stack.h"

#define WORKERS_DEFAULT 3
#define DOWN_S 180 /* longer than all deadlines of a stop together */

enum { DONE, FAILED, USAGE };

static int wrong_use(const char *usage, const char *why, const char *what)
{
	say_problem("%s%s; usage: shoal %s", why, what, usage);
	return USAGE;
}

/* A stack runs here already: it is told how many workers it shall have. */
static int scale_running(struct home *h, pid_t pid, int64_t workers)
{
	const char *why = NULL;

	if (workers < 0) {
		say_problem("a stack runs here already (process %d): `shoal down` stops it, --workers N changes its "
		            "workers",
		            (int)pid);
		return FAILED;
	}
	if (!file_write(h->a, home_path(h, "workers"), arena_printf(h->a, "%d\n", (int)workers), &why)) {
		say_problem("%s", why);
		return FAILED;
	}
	if (pid <= 0 || kill(pid, SIGUSR1) != 0) {
		say_problem("cannot tell the running stack (process %d): %s", (int)pid, strerror(errno));
		return FAILED;
	}
	say_line("Told the running stack (process %d) to go to %d worker%s.", (int)pid, (int)workers,
	         workers == 1 ? "" : "s");
	return DONE;
}

static int up(struct arena *a, int64_t workers)
{
	struct home h;
	struct servers servers;
	const char *why = NULL;
	enum home_lock lock;
	bool exists;
	pid_t pid;
	int code;

	if (!home_find(&h, a, &exists, &why) || !home_make(&h, &why)) {
		say_problem("%s", why);
		return FAILED;
	}
	lock = home_lock(&h, &pid, &why);
	if (lock == HOME_BUSY)
		return scale_running(&h, pid, workers);
	if (lock == HOME_FAILED || !home_settle(&h, &why) || !servers_find(&servers, &h, &why) ||
	    !home_make_run(&h, servers.pg_uid, servers.pg_gid, &why)) {
		say_problem("%s", why);
		return FAILED;
	}
	code = stack_run(&h, &servers, workers < 0 ? WORKERS_DEFAULT : (unsigned)workers);
	close(h.lock_fd);
	return code;
}

int verb_up(int argc, char **argv)
{
	static const char usage[] = "up [--workers N]";
	struct arena a;
	int64_t workers = -1;
	int code;

	say_init();
	umask(077);
	for (int i = 1; i < argc; i++) {
		const char *value = NULL;
		if (strncmp(argv[i], "--workers=", 10) == 0)
			value = argv[i] + 10;
		else if (strcmp(argv[i], "--workers") == 0 && i + 1 < argc)
			value = argv[++i];
		else
			return wrong_use(usage, "not understood: ", argv[i]);
		if (!span_i64(span_of(value), &workers) || workers < 0 || workers > WORKERS_MAX) {
			say_problem("--workers is \"%s\": a number from 0 to %d is wanted", value, WORKERS_MAX);
			return USAGE;
		}
	}
	arena_init(&a);
	code = up(&a, workers);
	arena_release(&a);
	return code;
}

static int down(struct arena *a)
{
	struct home h;
	const char *why = NULL;
	int64_t began = clock_ms();
	bool exists;
	pid_t pid;

	if (!home_find(&h, a, &exists, &why)) {
		say_problem("%s", why);
		return FAILED;
	}
	if (!exists || !home_is_running(&h, &pid)) {
		say_line("No stack runs in %s.", h.dir);
		return DONE;
	}
	if (pid <= 0) {
		say_problem("a stack runs here, but %s/lock does not tell which process it is", h.dir);
		return FAILED;
	}
	if (kill(pid, SIGTERM) != 0) {
		say_problem("cannot stop process %d: %s", (int)pid, strerror(errno));
		return FAILED;
	}
	say_waiting("... stopping");
	while (home_is_running(&h, &pid)) {
		if (clock_ms() - began > DOWN_S * 1000) {
			say_problem("process %d still runs after %d s", (int)pid, DOWN_S);
			return FAILED;
		}
		usleep(50000);
	}
	say_done("Stopped (%.1f s)", SAY_S(clock_ms() - began));
	return DONE;
}

int verb_down(int argc, char **argv)
{
	struct arena a;
	int code;

	say_init();
	if (argc > 1)
		return wrong_use("down", "not understood: ", argv[1]);
	arena_init(&a);
	code = down(&a);
	arena_release(&a);
	return code;
}

static bool confirmed(const struct home *h)
{
	char line[16] = "";
	printf("This removes %s with its database and queue. Type yes to go on: ", h->dir);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) && strcmp(line, "yes\n") == 0;
}

static int reset(struct arena *a, bool yes)
{
	struct home h;
	const char *why = NULL;
	bool exists;
	pid_t pid;

	if (!home_find(&h, a, &exists, &why)) {
		say_problem("%s", why);
		return FAILED;
	}
	if (!exists) {
		say_line("There is no %s.", h.dir);
		return DONE;
	}
	if (!home_is_removable(&h, &why)) {
		say_problem("%s", why);
		return FAILED;
	}
	if (home_is_running(&h, &pid)) {
		say_problem("a stack runs here (process %d): `shoal down` first", (int)pid);
		return FAILED;
	}
	if (!yes && !isatty(STDIN_FILENO)) {
		say_problem("there is no terminal to ask on: --yes removes %s without asking", h.dir);
		return FAILED;
	}
	if (!yes && !confirmed(&h)) {
		say_line("Nothing was removed.");
		return FAILED;
	}
	switch (home_lock(&h, &pid, &why)) {
	case HOME_BUSY: why = "a stack has just been started here"; break;
	case HOME_LOCKED:
		if (home_settle(&h, &why) && home_remove(&h, &why)) {
			say_done("Removed %s", h.dir);
			return DONE;
		}
		break;
	case HOME_FAILED: break;
	}
	say_problem("%s", why);
	return FAILED;
}

int verb_reset(int argc, char **argv)
{
	struct arena a;
	bool yes = false;
	int code;

	say_init();
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--yes") != 0)
			return wrong_use("reset [--yes]", "not understood: ", argv[i]);
		yes = true;
	}
	arena_init(&a);
	code = reset(&a, yes);
	arena_release(&a);
	return code;
}
