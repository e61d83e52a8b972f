/* Servers that a C test starts for itself: on a free loopback port and a unix socket, in a directory of its own that
 * goes with them. They die with the test. */
#ifndef SHOAL_TESTS_SERVERS_H
#define SHOAL_TESTS_SERVERS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "port.h"

static inline void server_die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline void server_sleep_ms(int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	nanosleep(&t, NULL);
}

/* A new directory, written to out. */
static inline void server_dir(char *out, size_t size)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(out, size, "%s/shoal-test-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(out))
		server_die("mkdtemp");
}

static inline void server_remove_dir(const char *dir)
{
	pid_t pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

/* argv ends with NULL; the output goes to log. */
static inline pid_t server_spawn(const char *const *argv, const char *log)
{
	fflush(stdout);
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		server_die("fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (getppid() != parent || fd < 0)
		_exit(127);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static inline void server_kill(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

/* --- redis-server, or the program that REDIS_SERVER names, or valkey-server where there is no other */

static inline const char *redis_server_program(void)
{
	const char *asked = getenv("REDIS_SERVER");
	bool valkey = access("/usr/bin/redis-server", X_OK) != 0 && access("/usr/bin/valkey-server", X_OK) == 0;

	return asked && *asked ? asked : valkey ? "valkey-server" : "redis-server";
}

struct redis_server {
	pid_t pid;
	int port;
	char dir[256], sock[300], log[300];
	char url[64], unix_url[320];
	const char *extra[16]; /* more arguments */
};

static inline bool redis_server_answers(const struct redis_server *s)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char answer[64];
	snprintf(a.sun_path, sizeof(a.sun_path), "%.100s", s->sock);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && write(fd, "PING\r\n", 6) == 6 &&
	          read(fd, answer, sizeof(answer)) > 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Starts it, or starts it again after redis_server_kill; waits until it answers anything. */
static inline void redis_server_run(struct redis_server *s)
{
	char port[16];
	const char *argv[40] = {redis_server_program(),
	                        "--port",
	                        port,
	                        "--bind",
	                        "127.0.0.1",
	                        "--unixsocket",
	                        s->sock,
	                        "--dir",
	                        s->dir,
	                        "--save",
	                        "",
	                        "--appendonly",
	                        "no"};
	size_t n = 13;
	for (size_t i = 0; i < 16 && s->extra[i]; i++)
		argv[n++] = s->extra[i];
	snprintf(port, sizeof(port), "%d", s->port);
	s->pid = server_spawn(argv, s->log);
	for (int i = 0; i < 500; i++) {
		if (redis_server_answers(s))
			return;
		server_sleep_ms(20);
	}
	errno = ETIMEDOUT;
	server_die("redis-server did not start");
}

/* extra: more arguments, ends with NULL, at most 15; may be NULL. */
static inline void redis_server_start(struct redis_server *s, const char *const *extra)
{
	memset(s, 0, sizeof(*s));
	server_dir(s->dir, sizeof(s->dir));
	s->port = port_own();
	snprintf(s->sock, sizeof(s->sock), "%s/redis.sock", s->dir);
	snprintf(s->log, sizeof(s->log), "%s/log", s->dir);
	snprintf(s->url, sizeof(s->url), "redis://127.0.0.1:%d", s->port);
	snprintf(s->unix_url, sizeof(s->unix_url), "unix://%s", s->sock);
	for (size_t i = 0; extra && extra[i] && i < 15; i++)
		s->extra[i] = extra[i];
	redis_server_run(s);
}

static inline void redis_server_kill(struct redis_server *s)
{
	server_kill(&s->pid);
	unlink(s->sock);
}

static inline void redis_server_stop(struct redis_server *s)
{
	redis_server_kill(s);
	server_remove_dir(s->dir);
}

#endif
