/* Child processes: start with a log file, last lines of that log, and telling processes apart after a pid was
 * used again. */
#ifndef SHOAL_UP_CHILD_H
#define SHOAL_UP_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shoal/base/arena.h"
#include "shoal/base/str.h"

struct launch {
	const char *log;         /* appended to; begun anew above 50 MiB */
	const char *const *argv; /* program and arguments, or ... */
	int (*fn)(void *arg);    /* ... a function whose result is the exit code */
	void *arg;
	char *const *envp;
	int death_signal; /* what the child gets when the supervisor dies */
	uid_t uid;        /* 0: as we are. Else the child gives up root for this user ... */
	gid_t gid;
	const char *enter; /* ... who must reach this folder; it becomes the working directory. May be NULL. */
};

/* The child's pid (also its process group), or -1 with *why. *log_at: where this run's text begins in the log. */
pid_t child_start(const struct launch *l, off_t *log_at, struct arena *a, const char **why);

/* The last lines of a log from log_at on, each indented; "" when there are none. */
const char *child_log_tail(const char *log, off_t log_at, unsigned lines, struct arena *a);

/* "ended with code 1", "was killed by signal 9 (Killed)" */
const char *child_end_text(int status, struct arena *a);

/* In clock ticks since boot, 0 when there is no such process: tells a process from a later one with its pid. */
uint64_t child_start_time(pid_t pid);
/* A process named `comm...` that works in this folder, 0 when there is none. */
pid_t child_working_in(const char *dir, const char *comm);

/* Full path of a program in PATH or the usual folders (an absolute one: itself), NULL when there is none. */
const char *program_find(const char *name, struct arena *a);

#endif
