/* What a supervisor leaves when it is killed outright: its children get their death signal and end by themselves, but
 * not at once, and two servers must never work on the same data. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/up/child.h"
#include "shoal/up/home.h"
#include "shoal/up/say.h"

#define PATIENCE_MS 15000
#define KILLED_MS 5000
#define CHILDREN_MAX 128

struct leftover {
	int pid;
	uint64_t start;
	char name[32];
};

static unsigned children_read(struct home *h, struct leftover *out)
{
	char *text = file_read(h->a, home_path(h, "children"), 16384), *line, *save = NULL;
	unsigned n = 0;

	for (line = text ? strtok_r(text, "\n", &save) : NULL; line && n < CHILDREN_MAX;
	     line = strtok_r(NULL, "\n", &save)) {
		struct leftover *c = &out[n];
		if (sscanf(line, "%d %" SCNu64 " %31s", &c->pid, &c->start, c->name) == 3 && c->pid > 1 && c->start)
			n++;
	}
	return n;
}

/* The first one that is still there, and a text for it. */
static bool still_there(struct home *h, const struct leftover *c, unsigned n, char *what, size_t size)
{
	static const char *const data[][2] = {{"postgres", "postgres"}, {"redis", "redis-server"}, {"redis", "valkey"}};

	for (unsigned i = 0; i < n; i++) {
		if (child_start_time(c[i].pid) == c[i].start) {
			snprintf(what, size, "%s (process %d)", c[i].name, c[i].pid);
			return true;
		}
	}
	/* Backends of a killed postmaster, and whatever the list does not know. */
	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
		pid_t pid = child_working_in(home_path(h, data[i][0]), data[i][1]);
		if (pid) {
			snprintf(what, size, "%s (process %d)", data[i][1], (int)pid);
			return true;
		}
	}
	return false;
}

bool home_settle(struct home *h, const char **why)
{
	struct leftover c[CHILDREN_MAX];
	unsigned n = children_read(h, c);
	int64_t began = clock_ms();
	bool said = false, killed = false;
	char what[64];

	while (still_there(h, c, n, what, sizeof(what))) {
		int64_t waited = clock_ms() - began;
		if (!said) {
			say_line("Waiting for what an earlier run left behind: %s", what);
			for (unsigned i = 0; i < n; i++)
				if (child_start_time(c[i].pid) == c[i].start)
					kill(c[i].pid, strcmp(c[i].name, "postgres") == 0 ? SIGINT : SIGTERM);
			said = true;
		}
		if (waited > PATIENCE_MS && !killed) {
			for (unsigned i = 0; i < n; i++)
				if (child_start_time(c[i].pid) == c[i].start)
					kill(-c[i].pid, SIGKILL);
			killed = true;
		}
		if (waited > PATIENCE_MS + KILLED_MS) {
			*why = arena_printf(h->a, "%s still works in %s: stop it first", what, h->dir);
			return false;
		}
		usleep(50000);
	}
	return true;
}
