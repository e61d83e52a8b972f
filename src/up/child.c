#include "shoal/up/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shoal/up/home.h"

#define LOG_MAX (50 << 20)
#define TAIL_MAX 8192

/* In the child from here on: its stderr is the log already. */
static _Noreturn void child_die(const char *what, const char *which)
{
	fprintf(stderr, "cannot %s %s: %s\n", what, which, strerror(errno));
	fflush(stderr);
	_exit(127);
}

/* Search permission on folders, and nothing else, kept for a user that is not root: a checkout under /root can
 * hold the data of a server that refuses to run as root. */
static bool keep_search_capability(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}, {0}};
	data[0].effective = data[0].permitted = data[0].inheritable = 1u << CAP_DAC_READ_SEARCH;
	return syscall(SYS_capset, &head, data) == 0 &&
	       prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) == 0;
}

static void child_become(const struct launch *l)
{
	if (l->uid) {
		if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 ||
		    setresgid(l->gid, l->gid, l->gid) != 0 || setresuid(l->uid, l->uid, l->uid) != 0)
			child_die("give up root for", "an ordinary user");
	}
	if (!l->enter || chdir(l->enter) == 0)
		return;
	if (l->uid && errno == EACCES && keep_search_capability() && chdir(l->enter) == 0)
		return;
	if (l->uid && (errno == EACCES || errno == EPERM)) {
		fprintf(
		    stderr,
		    "The user who runs this server (uid %u) may not enter %s.\n"
		    "Make the folders above it searchable (chmod o+x), or use a checkout elsewhere, e.g. in /srv.\n",
		    (unsigned)l->uid, l->enter);
		fflush(stderr);
		_exit(127);
	}
	child_die("enter", l->enter);
}

static _Noreturn void child_run(const struct launch *l, int log_fd, pid_t parent)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null, STDIN_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	close_range(3, ~0u, 0);
	child_become(l);
	/* After the change of user, which would clear it. The parent may be gone already. */
	prctl(PR_SET_PDEATHSIG, l->death_signal, 0, 0, 0);
	if (getppid() != parent)
		_exit(127);
	if (l->fn) {
		int code = l->fn(l->arg);
		fflush(NULL);
		_exit(code);
	}
	execve(l->argv[0], (char *const *)l->argv, l->envp);
	child_die("run", l->argv[0]);
}

static int log_open(const char *path, off_t *at)
{
	struct stat st;
	int fd;
	if (stat(path, &st) == 0 && st.st_size > LOG_MAX)
		unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		*at = lseek(fd, 0, SEEK_END);
	return fd;
}

pid_t child_start(const struct launch *l, off_t *log_at, struct arena *a, const char **why)
{
	pid_t parent = getpid(), pid;
	int log_fd = log_open(l->log, log_at);

	if (log_fd < 0) {
		*why = arena_printf(a, "cannot write %s: %s", l->log, strerror(errno));
		return -1;
	}
	fflush(NULL); /* or both processes print what is buffered */
	pid = fork();
	if (pid == 0)
		child_run(l, log_fd, parent);
	if (pid < 0)
		*why = arena_printf(a, "cannot start a process: %s", strerror(errno));
	else
		setpgid(pid, pid); /* whoever comes first */
	close(log_fd);
	return pid;
}

const char *child_log_tail(const char *log, off_t log_at, unsigned lines, struct arena *a)
{
	struct buf out;
	const char *text;
	char *block = arena_alloc(a, TAIL_MAX + 1);
	int fd = open(log, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END), from = end - log_at > TAIL_MAX ? end - TAIL_MAX : log_at;
	ssize_t n = fd < 0 || end <= from ? 0 : pread(fd, block, TAIL_MAX, from);
	char *p;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return "";
	while (n > 0 && block[n - 1] == '\n')
		n--;
	block[n] = 0;
	for (p = block + n; p > block; p--)
		if (p[-1] == '\n' && --lines == 0)
			break;
	buf_init(&out, 2 * TAIL_MAX);
	buf_adds(&out, "    ");
	for (; p < block + n; p++) {
		unsigned char c = (unsigned char)*p;
		if (c == '\n')
			buf_adds(&out, "\n    ");
		else
			buf_addc(&out, c < ' ' && c != '\t' ? '?' : (char)c); /* a log moves no cursor */
	}
	buf_addc(&out, '\n');
	text = arena_strdup(a, out.failed ? "" : out.ptr);
	buf_release(&out);
	return text;
}

const char *child_end_text(int status, struct arena *a)
{
	if (WIFSIGNALED(status))
		return arena_printf(a, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	return arena_printf(a, "ended with code %d", WEXITSTATUS(status));
}

uint64_t child_start_time(pid_t pid)
{
	char path[64], line[1024], *p;
	unsigned long long start = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	line[n] = 0;
	p = strrchr(line, ')'); /* the name before it may hold anything */
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return 0;
	/* state is field 3, the start time field 22 */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, "%llu", &start) == 1 ? start : 0;
}

pid_t child_working_in(const char *dir, const char *comm)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	pid_t found = 0;

	while (proc && !found && (e = readdir(proc))) {
		char path[300], link[4096], name[64] = "";
		ssize_t n;
		FILE *f;
		int64_t pid;
		if (!span_i64(span_of(e->d_name), &pid))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cwd", e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = 0;
		if (strcmp(link, dir) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = fopen(path, "re");
		if (f && fgets(name, sizeof(name), f) && strncmp(name, comm, strlen(comm)) == 0 &&
		    child_start_time((pid_t)pid))
			found = (pid_t)pid;
		if (f)
			fclose(f);
	}
	if (proc)
		closedir(proc);
	return found;
}

const char *program_find(const char *name, struct arena *a)
{
	const char *env = getenv("PATH");
	const char *dirs =
	    arena_printf(a, "%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", env ? env : "");
	const char *p = dirs;

	if (name[0] == '/')
		return access(name, X_OK) == 0 ? name : NULL;
	while (*p) {
		size_t len = strcspn(p, ":");
		if (len > 0 && p[0] == '/') {
			char *path = arena_printf(a, "%.*s/%s", (int)len, p, name);
			if (access(path, X_OK) == 0)
				return path;
		}
		p += len + (p[len] == ':');
	}
	return NULL;
}
