/* A PostgreSQL server of a test's own: data and socket in a mktemp directory, no TCP unless asked for. Gone with the
 * test program. As root it runs as the user postgres, as the server insists. */
#ifndef SHOAL_TESTS_PGSERVER_H
#define SHOAL_TESTS_PGSERVER_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>

struct pgserver {
	char dir[64], bin[256], url[256]; /* url: database postgres, over the socket */
	int port;                         /* also on 127.0.0.1 when not 0: set before pgserver_start */
	pid_t pid;                        /* 0: not running */
};

static struct pgserver *pgserver_last; /* for the way out */

/* Runs argv as a child with output to DIR/log. */
static inline pid_t pgserver_spawn(const struct pgserver *s, char *const argv[])
{
	char log[128];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	snprintf(log, sizeof(log), "%s/log", s->dir);
	if (geteuid() == 0) {
		struct passwd *pw = getpwnam("postgres");

		if (pw == NULL || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
			_exit(126);
	}
	prctl(PR_SET_PDEATHSIG, SIGQUIT); /* a test that is killed leaves no server behind */
	if (freopen(log, "a", stdout) == NULL || dup2(1, 2) < 0 || chdir(s->dir) != 0)
		_exit(126);
	execv(argv[0], argv);
	_exit(127);
}

static inline int pgserver_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* The server's processes, one each its own group: for a stalled machine. */
static inline void pgserver_signal_all(const struct pgserver *s, int signum)
{
	char path[64];
	int child;
	FILE *f;

	kill(s->pid, signum);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)s->pid, (int)s->pid);
	f = fopen(path, "r");
	while (f != NULL && fscanf(f, "%d", &child) == 1)
		kill(child, signum);
	if (f != NULL)
		fclose(f);
}

/* signum: SIGQUIT immediate (as a crash), SIGINT fast, SIGTERM when the clients have left. */
static inline void pgserver_stop(struct pgserver *s, int signum)
{
	if (s->pid == 0)
		return;
	pgserver_signal_all(s, SIGCONT); /* if a test left it stalled */
	kill(s->pid, signum);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

static inline void pgserver_cleanup(void)
{
	if (pgserver_last == NULL)
		return;
	pgserver_stop(pgserver_last, SIGQUIT);
	nftw(pgserver_last->dir, pgserver_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	pgserver_last = NULL;
}

/* initdb, without starting. Ends the program when that fails. */
static inline void pgserver_init(struct pgserver *s)
{
	const char *tmp = getenv("TMPDIR");
	char initdb[300], data[128];
	char *argv[] = {initdb, "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N", NULL};
	glob_t g;
	int status = -1;

	memset(s, 0, sizeof(*s));
	if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &g) != 0) {
		printf("not ok postgres server not installed\n");
		exit(1);
	}
	snprintf(s->bin, sizeof(s->bin), "%s", g.gl_pathv[g.gl_pathc - 1]);
	globfree(&g);
	/* a socket's name has little room */
	snprintf(s->dir, sizeof(s->dir), "%s/shoal-pg-XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
	if (mkdtemp(s->dir) == NULL)
		exit(1);
	if (geteuid() == 0) {
		struct passwd *pw = getpwnam("postgres");

		if (pw == NULL || chown(s->dir, pw->pw_uid, pw->pw_gid) != 0)
			exit(1);
	}
	snprintf(initdb, sizeof(initdb), "%s/initdb", s->bin);
	snprintf(data, sizeof(data), "%s/data", s->dir);
	snprintf(s->url, sizeof(s->url), "host=%s user=postgres dbname=postgres", s->dir);
	pgserver_last = s;
	atexit(pgserver_cleanup);
	if (waitpid(pgserver_spawn(s, argv), &status, 0) < 0 || status != 0) {
		printf("not ok initdb\n");
		exit(1);
	}
}

/* Blocking connection for preparing and looking; ends the program when there is none within 20 s. */
static inline PGconn *pgserver_connect(const struct pgserver *s)
{
	for (int i = 0; i < 400; i++) {
		PGconn *c = PQconnectdb(s->url);

		if (PQstatus(c) == CONNECTION_OK)
			return c;
		PQfinish(c);
		usleep(50000);
	}
	printf("not ok postgres does not answer\n");
	exit(1);
}

static inline void pgserver_spawn_server(struct pgserver *s)
{
	char postgres[300], data[128], port[16];
	char *argv[] = {postgres,
	                "-D",
	                data,
	                "-k",
	                s->dir,
	                "-c",
	                "fsync=off",
	                "-c",
	                port,
	                "-c",
	                "max_connections=40",
	                "-c",
	                s->port ? "listen_addresses=127.0.0.1" : "listen_addresses=",
	                NULL};

	snprintf(postgres, sizeof(postgres), "%s/postgres", s->bin);
	snprintf(data, sizeof(data), "%s/data", s->dir);
	snprintf(port, sizeof(port), "port=%d", s->port ? s->port : 5432);
	snprintf(s->url, sizeof(s->url), "host=%s port=%d user=postgres dbname=postgres", s->dir,
	         s->port ? s->port : 5432);
	s->pid = pgserver_spawn(s, argv);
}

/* Returns when it takes connections. */
static inline void pgserver_start(struct pgserver *s)
{
	pgserver_spawn_server(s);
	PQfinish(pgserver_connect(s));
}

static inline void pgserver_restart(struct pgserver *s, int signum)
{
	pgserver_stop(s, signum);
	pgserver_start(s);
}

/* Runs SQL, checks that it works, returns the first value ("" without rows) in a static buffer. */
static inline const char *pgserver_sql(const struct pgserver *s, const char *sql)
{
	static char value[256];
	PGconn *c = pgserver_connect(s);
	PGresult *r = PQexec(c, sql);

	value[0] = '\0';
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
		printf("not ok preparing: %s\n", PQerrorMessage(c));
		exit(1);
	}
	if (PQntuples(r) > 0)
		snprintf(value, sizeof(value), "%s", PQgetvalue(r, 0, 0));
	PQclear(r);
	PQfinish(c);
	return value;
}

#endif
