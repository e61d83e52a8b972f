/* The folder .shoal: who may use it, its lock, its secrets, where its sockets live.
 *
 *     lock          flock'ed by the running supervisor; holds "PID START-TIME"
 *     children      "PID START-TIME NAME" of what runs, for a start after a kill -9
 *     env           exports for other shells
 *     workers       number asked of a running supervisor
 *     start_code    a demo code, for the link that is printed
 *     secrets/      one secret a file, 0600
 *     log/          one file a child
 *     redis/ postgres/    the data
 *     run           folder of the sockets; a link to a short path where this one is too long for a socket */
#ifndef SHOAL_UP_HOME_H
#define SHOAL_UP_HOME_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "shoal/base/arena.h"
#include "shoal/base/str.h"

struct home {
	struct arena *a;
	const char *dir; /* absolute, links resolved */
	const char *run; /* absolute, short enough for sockets; set by home_make_run */
	int lock_fd;     /* -1: not held */
};

enum home_lock { HOME_LOCKED, HOME_BUSY, HOME_FAILED };

/* Everything below that can fail returns false (or NULL) with *why, one line in the arena. */

/* Only looks: h->dir is set even when the folder does not exist (*exists). */
bool home_find(struct home *h, struct arena *a, bool *exists, const char **why);
/* Makes what is missing and checks that the folder is this user's. */
bool home_make(struct home *h, const char **why);
/* HOME_BUSY: another supervisor holds it, *pid is its process (0 when it could not be told). */
enum home_lock home_lock(struct home *h, pid_t *pid, const char **why);
/* Like home_lock but keeps nothing. */
bool home_is_running(struct home *h, pid_t *pid);
/* This user's, and made by `shoal up`. */
bool home_is_removable(const struct home *h, const char **why);
/* Removes everything. The lock must be held. */
bool home_remove(struct home *h, const char **why);

char *home_path(const struct home *h, const char *name) __attribute__((returns_nonnull));
/* The folder for sockets, owned by uid:gid and closed to others. */
bool home_make_run(struct home *h, uid_t uid, gid_t gid, const char **why);
/* Removes PostgreSQL's sockets in such a folder, or all. */
void home_clear_sockets(const char *run, bool all);
/* Drops a folder for sockets that lies outside of .shoal. */
void home_drop_run(struct home *h);

/* Waits for the end of what a killed supervisor left behind; after some seconds it is killed too. */
bool home_settle(struct home *h, const char **why);

/* The text of secrets/NAME; written with `fresh` when it does not exist yet. */
const char *home_secret(struct home *h, const char *name, const char *fresh, const char **why);

/* Whole files. Writing goes through a file beside it and a rename, so that nobody sees half a file. */
bool file_write(struct arena *a, const char *path, const char *text, const char **why);
char *file_read(struct arena *a, const char *path, size_t max);        /* NULL with errno */
bool tree_remove(struct arena *a, const char *path, const char **why); /* no such thing is fine */

#endif
