/* The two servers that are not ours: where Redis and PostgreSQL are found, and how they are set up. */
#ifndef SHOAL_UP_SERVERS_H
#define SHOAL_UP_SERVERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "shoal/base/arena.h"
#include "shoal/up/home.h"

struct servers {
	const char *redis;  /* path of the program in REDIS_SERVER, else of redis-server, else of valkey-server */
	const char *pg_bin; /* folder of postgres and initdb */
	int pg_major;
	uid_t pg_uid; /* as whom PostgreSQL runs; 0: as we are (an ordinary user) */
	gid_t pg_gid;
};

/* False with *why when one of them is missing, or too old or new for the data in .shoal. */
bool servers_find(struct servers *s, const struct home *h, const char **why);

bool redis_write_conf(const struct home *h, unsigned port, const char *password, const char **why);

/* Where initdb works until it is done: a half-made cluster is never taken for a whole one. */
bool postgres_prepare_init(const struct servers *s, const struct home *h, const char *password, const char **why);
bool postgres_finish_init(const struct home *h, const char **why);
bool postgres_is_made(const struct home *h);
/* Takes away what a killed server left: postmaster.pid, its sockets. */
bool postgres_clear_stale(const struct home *h, const char **why);
/* Whether this postmaster accepts connections (its own word in postmaster.pid). */
bool postgres_ready(const struct home *h, pid_t pid);

#endif
