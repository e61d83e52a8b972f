#include "shoal/up/servers.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shoal/up/child.h"

/* --- finding them */

/* "15/bin", "15\n"; 0 for what does not begin with a number */
static int leading_number(const char *text)
{
	long n = strtol(text, NULL, 10);
	return n > 0 && n < INT_MAX ? (int)n : 0;
}

static bool runs(const char *bin, const char *name)
{
	char path[4096];
	return snprintf(path, sizeof(path), "%s/%s", bin, name) < (int)sizeof(path) && access(path, X_OK) == 0;
}

/* Debian keeps versions side by side: the newest, or the one of `major`. */
static bool debian_postgres(struct servers *s, int major, struct arena *a)
{
	glob_t g = {0};
	s->pg_major = 0;
	if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++) {
			int v = leading_number(g.gl_pathv[i] + strlen("/usr/lib/postgresql/"));
			if (v > s->pg_major && (major == 0 || v == major) && runs(g.gl_pathv[i], "postgres") &&
			    runs(g.gl_pathv[i], "initdb")) {
				s->pg_major = v;
				s->pg_bin = arena_strdup(a, g.gl_pathv[i]);
			}
		}
	}
	globfree(&g);
	return s->pg_major > 0;
}

static bool path_postgres(struct servers *s, struct arena *a)
{
	const char *initdb = program_find("initdb", a);
	char line[128] = "";
	FILE *f;

	if (!initdb)
		return false;
	s->pg_bin = arena_strndup(a, initdb, strlen(initdb) - strlen("/initdb"));
	if (!runs(s->pg_bin, "postgres") || strchr(initdb, '\''))
		return false;
	/* NOLINTNEXTLINE(cert-env33-c): the server's own path, quoted by us */
	f = popen(arena_printf(a, "'%s/postgres' -V", s->pg_bin), "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f) || sscanf(line, "postgres (PostgreSQL) %d", &s->pg_major) != 1)
		s->pg_major = 0;
	pclose(f);
	return s->pg_major > 0;
}

static bool find_postgres(struct servers *s, const struct home *h, const char **why)
{
	char *made = file_read(h->a, home_path(h, "postgres/PG_VERSION"), 16);
	int major = made ? leading_number(made) : 0;

	if (debian_postgres(s, major, h->a) || (path_postgres(s, h->a) && (major == 0 || s->pg_major == major)))
		return true;
	if (!major)
		*why = "PostgreSQL is not installed (no /usr/lib/postgresql/*/bin, no initdb in PATH): `make deps` "
		       "installs it";
	else
		*why =
		    arena_printf(h->a,
		                 "%s was made by PostgreSQL %d, which is not installed: install postgresql-%d, or let "
		                 "`shoal reset` remove the data",
		                 h->dir, major, major);
	return false;
}

/* As root: the owner of the data, else the packaged user. */
static bool find_postgres_user(struct servers *s, const struct home *h, const char **why)
{
	struct stat st;
	const struct passwd *pw;

	if (geteuid() != 0)
		return true;
	if (stat(home_path(h, "postgres"), &st) == 0 && st.st_uid != 0) {
		s->pg_uid = st.st_uid;
		s->pg_gid = st.st_gid;
		return true;
	}
	pw = getpwnam("postgres");
	if (!pw || pw->pw_uid == 0) {
		*why = "PostgreSQL refuses to run as root and there is no user postgres: run this as an ordinary user";
		return false;
	}
	s->pg_uid = pw->pw_uid;
	s->pg_gid = pw->pw_gid;
	return true;
}

static bool find_redis(struct servers *s, const struct home *h, const char **why)
{
	const char *asked = getenv("REDIS_SERVER");

	if (asked && *asked) {
		s->redis = program_find(asked, h->a);
		if (!s->redis)
			*why = arena_printf(
			    h->a, "REDIS_SERVER is %s, but must be a program in PATH or an absolute path", asked);
		return s->redis;
	}
	s->redis = program_find("redis-server", h->a);
	if (!s->redis)
		s->redis = program_find("valkey-server", h->a);
	if (!s->redis)
		*why = "neither redis-server nor valkey-server is installed: `make deps` installs one";
	return s->redis;
}

bool servers_find(struct servers *s, const struct home *h, const char **why)
{
	*s = (struct servers){0};
	return find_redis(s, h, why) && find_postgres(s, h, why) && find_postgres_user(s, h, why);
}

/* --- Redis */

/* As redis.conf wants it: double quotes, with \ before what is special in them. */
static const char *redis_quote(const char *s, struct arena *a)
{
	char *out = arena_alloc(a, 2 * strlen(s) + 3), *p = out;
	*p++ = '"';
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			*p++ = '\\';
		*p++ = *s;
	}
	*p = '"';
	return out;
}

bool redis_write_conf(const struct home *h, unsigned port, const char *password, const char **why)
{
	const char *text = arena_printf(h->a,
	                                "# Written by `shoal up` at every start.\n"
	                                "bind 127.0.0.1\n"
	                                "port %u\n"
	                                "protected-mode yes\n"
	                                "requirepass %s\n"
	                                "unixsocket %s\n"
	                                "unixsocketperm 700\n"
	                                "dir %s\n"
	                                "appendonly yes\n"
	                                "appendfsync everysec\n"
	                                "save \"\"\n"
	                                "maxmemory-policy noeviction\n"
	                                "lazyfree-lazy-expire yes\n"
	                                "daemonize no\n",
	                                port, password, redis_quote(arena_printf(h->a, "%s/redis.sock", h->run), h->a),
	                                redis_quote(home_path(h, "redis"), h->a));
	return file_write(h->a, home_path(h, "secrets/redis.conf"), text, why);
}

/* --- PostgreSQL */

bool postgres_is_made(const struct home *h)
{
	return access(home_path(h, "postgres/PG_VERSION"), F_OK) == 0;
}

bool postgres_prepare_init(const struct servers *s, const struct home *h, const char *password, const char **why)
{
	char *dir = home_path(h, "postgres.new"), *pw = arena_printf(h->a, "%s/password", h->run);

	if (!tree_remove(h->a, dir, why) || !file_write(h->a, pw, password, why))
		return false;
	if (mkdir(dir, 0700) != 0) {
		*why = arena_printf(h->a, "cannot make the folder %s: %s", dir, strerror(errno));
		return false;
	}
	if (s->pg_uid && (chown(dir, s->pg_uid, s->pg_gid) != 0 || chown(pw, s->pg_uid, s->pg_gid) != 0)) {
		*why = arena_printf(h->a, "cannot give %s to the user who runs PostgreSQL: %s", dir, strerror(errno));
		return false;
	}
	return true;
}

bool postgres_finish_init(const struct home *h, const char **why)
{
	unlink(arena_printf(h->a, "%s/password", h->run));
	if (rename(home_path(h, "postgres.new"), home_path(h, "postgres")) == 0)
		return true;
	*why = arena_printf(h->a, "cannot rename %s: %s", home_path(h, "postgres.new"), strerror(errno));
	return false;
}

bool postgres_clear_stale(const struct home *h, const char **why)
{
	char *dir = home_path(h, "postgres");
	pid_t other = child_working_in(dir, "postgres");

	if (other) {
		*why =
		    arena_printf(h->a, "another PostgreSQL (process %d) works in %s: stop it first", (int)other, dir);
		return false;
	}
	/* Its pid may belong to some other program by now, and PostgreSQL would then not start. */
	unlink(home_path(h, "postgres/postmaster.pid"));
	home_clear_sockets(h->run, false);
	return true;
}

bool postgres_ready(const struct home *h, pid_t pid)
{
	struct arena a;
	char *text, *p;
	bool ready = false;

	arena_init(&a);
	text = file_read(&a, home_path(h, "postgres/postmaster.pid"), 4096);
	if (text && leading_number(text) == pid) {
		p = text; /* the status is in line 8 */
		for (int line = 1; p && line < 8; line++) {
			p = strchr(p, '\n');
			p = p ? p + 1 : NULL;
		}
		ready = p && strncmp(p, "ready", 5) == 0;
	}
	arena_release(&a);
	return ready;
}
