#include "shoal/up/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/up/child.h"

#define MARKER "shoal" /* a file that says: this folder may be removed */
#define MARKER_TEXT "The local stack of Shoal. `shoal reset` removes this folder.\n"
#define LONGEST_SOCKET "/.s.PGSQL.65535"

static bool fail(struct arena *a, const char **why, const char *doing, const char *path)
{
	*why = arena_printf(a, "cannot %s %s: %s", doing, path, strerror(errno));
	return false;
}

char *home_path(const struct home *h, const char *name)
{
	return arena_printf(h->a, "%s/%s", h->dir, name);
}

/* --- files */

bool file_write(struct arena *a, const char *path, const char *text, const char **why)
{
	char *part = arena_printf(a, "%s.part", path);
	size_t len = strlen(text), done = 0;
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return fail(a, why, "write", part);
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done < len || fsync(fd) != 0) {
		fail(a, why, "write", path);
		close(fd);
		unlink(part);
		return false;
	}
	close(fd);
	return rename(part, path) == 0 || fail(a, why, "write", path);
}

char *file_read(struct arena *a, const char *path, size_t max)
{
	char *text = arena_alloc(a, max + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return NULL;
	while (len < max && (n = read(fd, text + len, max - len)) > 0)
		len += (size_t)n;
	close(fd);
	if (n < 0)
		return NULL;
	text[len] = 0;
	return text;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

bool tree_remove(struct arena *a, const char *path, const char **why)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 || errno == ENOENT)
		return true;
	return fail(a, why, "remove", path);
}

/* --- the folder */

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return true;
	return false;
}

bool home_find(struct home *h, struct arena *a, bool *exists, const char **why)
{
	char *here = realpath(".", NULL);
	struct stat st;

	*h = (struct home){.a = a, .lock_fd = -1};
	if (!here)
		return fail(a, why, "tell where we are:", "the current directory");
	h->dir = arena_printf(a, "%s/.shoal", strcmp(here, "/") == 0 ? "" : here);
	free(here);
	*exists = lstat(h->dir, &st) == 0;
	if (!*exists && errno != ENOENT)
		return fail(a, why, "use", h->dir);
	/* `reset` removes it with all that is in it, so it must not stand for a folder elsewhere */
	if (*exists && S_ISLNK(st.st_mode)) {
		*why = arena_printf(a, "%s is a symbolic link: it has to be a folder of its own", h->dir);
		return false;
	}
	if (has_control(h->dir)) {
		*why = "the path of this directory has control characters in it: use another directory";
		return false;
	}
	return true;
}

static bool home_is_ours(const struct home *h, const char **why)
{
	struct stat st;
	if (stat(h->dir, &st) != 0)
		return fail(h->a, why, "use", h->dir);
	if (!S_ISDIR(st.st_mode)) {
		*why = arena_printf(h->a, "%s is not a folder", h->dir);
		return false;
	}
	if (st.st_uid != geteuid()) {
		*why = arena_printf(h->a, "%s belongs to another user (uid %u, we are %u): run this as that user",
		                    h->dir, (unsigned)st.st_uid, (unsigned)geteuid());
		return false;
	}
	return true;
}

/* By what is in it, not by its name alone: `shoal` is a name that others use too. */
static bool home_is_marked(const struct home *h)
{
	struct stat st;
	const char *path = home_path(h, MARKER);
	char *text = lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? file_read(h->a, path, 1024) : NULL;
	return text && strcmp(text, MARKER_TEXT) == 0;
}

bool home_is_removable(const struct home *h, const char **why)
{
	if (!home_is_ours(h, why))
		return false;
	if (home_is_marked(h))
		return true;
	*why = arena_printf(h->a, "%s was not made by `shoal up`: it is left alone", h->dir);
	return false;
}

static bool dir_make(const struct home *h, const char *path, mode_t mode, const char **why)
{
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		return fail(h->a, why, "make the folder", path);
	return true;
}

/* The marker lets `shoal reset` remove all that is in the folder, so a folder with things of others never gets one. */
static bool home_may_be_marked(const struct home *h, const char **why)
{
	DIR *dir;
	struct dirent *e;
	bool empty = true;

	if (home_is_marked(h))
		return true;
	dir = opendir(h->dir);
	if (!dir)
		return fail(h->a, why, "read", h->dir);
	while (empty && (e = readdir(dir))) /* MARKER.part: a start that was killed while it wrote the marker */
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		        strcmp(e->d_name, MARKER ".part") == 0;
	closedir(dir);
	if (!empty)
		*why =
		    arena_printf(h->a, "%s was not made by `shoal up` and is not empty: use another directory", h->dir);
	return empty;
}

bool home_make(struct home *h, const char **why)
{
	static const char *const folders[] = {"secrets", "log", "redis"};
	/* PostgreSQL runs as another user when we are root, and has to pass through. */
	mode_t mode = geteuid() == 0 ? 0711 : 0700;

	if (!dir_make(h, h->dir, mode, why) || !home_is_ours(h, why) || !home_may_be_marked(h, why))
		return false;
	if (chmod(h->dir, mode) != 0)
		return fail(h->a, why, "change the mode of", h->dir);
	if (!home_is_marked(h) && !file_write(h->a, home_path(h, MARKER), MARKER_TEXT, why))
		return false;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (!dir_make(h, home_path(h, folders[i]), 0700, why))
			return false;
	return true;
}

bool home_remove(struct home *h, const char **why)
{
	home_drop_run(h);
	return tree_remove(h->a, h->dir, why);
}

/* --- the lock */

static bool lock_holder(const struct home *h, pid_t *pid)
{
	char *text = file_read(h->a, home_path(h, "lock"), 64);
	uint64_t start = 0;
	int n = 0;
	*pid = 0;
	if (!text || sscanf(text, "%d %" SCNu64, &n, &start) != 2 || n <= 1 || child_start_time(n) != start)
		return false;
	*pid = n;
	return true;
}

enum home_lock home_lock(struct home *h, pid_t *pid, const char **why)
{
	char *path = home_path(h, "lock"), text[64];
	int len, fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	*pid = 0;
	if (fd < 0) {
		fail(h->a, why, "open", path);
		return HOME_FAILED;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		bool busy = errno == EWOULDBLOCK;
		if (!busy)
			fail(h->a, why, "lock", path);
		close(fd);
		for (int i = 0; busy && i < 100 && !lock_holder(h, pid); i++)
			usleep(10000); /* it has only just taken it */
		return busy ? HOME_BUSY : HOME_FAILED;
	}
	len = snprintf(text, sizeof(text), "%d %" PRIu64 "\n", (int)getpid(), child_start_time(getpid()));
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
		fail(h->a, why, "write", path);
		close(fd);
		return HOME_FAILED;
	}
	h->lock_fd = fd;
	return HOME_LOCKED;
}

bool home_is_running(struct home *h, pid_t *pid)
{
	int fd = open(home_path(h, "lock"), O_RDONLY | O_CLOEXEC);
	bool running;
	*pid = 0;
	if (fd < 0)
		return false;
	running = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(fd);
	for (int i = 0; running && i < 100 && !lock_holder(h, pid); i++)
		usleep(10000);
	return running;
}

/* --- the sockets' folder */

/* A folder in /tmp is only ours when nobody else can have made it. */
static bool run_is_sound(const char *path, uid_t uid)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_uid == uid || st.st_uid == geteuid()) &&
	       (st.st_mode & 077) == 0;
}

static char *run_link(const struct home *h)
{
	char *to = arena_alloc(h->a, PATH_MAX);
	return readlink(home_path(h, "run"), to, PATH_MAX - 1) > 0 ? to : NULL;
}

static bool run_elsewhere(struct home *h, uid_t uid, const char **why)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char *made = run_link(h), *path = home_path(h, "run");

	if (made && run_is_sound(made, uid)) {
		h->run = made;
		return true;
	}
	if (!base || base[0] != '/' || strlen(base) > 60 || access(base, W_OK) != 0)
		base = "/tmp";
	made = arena_printf(h->a, "%s/shoal-XXXXXX", base);
	if (!mkdtemp(made))
		return fail(h->a, why, "make a folder for sockets in", base);
	if ((unlink(path) != 0 && errno != ENOENT) || symlink(made, path) != 0) {
		fail(h->a, why, "link", path);
		rmdir(made);
		return false;
	}
	h->run = made;
	return true;
}

bool home_make_run(struct home *h, uid_t uid, gid_t gid, const char **why)
{
	char *path = home_path(h, "run");

	if (strlen(path) + sizeof(LONGEST_SOCKET) > sizeof(((struct sockaddr_un *)0)->sun_path)) {
		if (!run_elsewhere(h, uid, why))
			return false;
	} else {
		struct stat st;
		if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode))
			unlink(path);
		if (!dir_make(h, path, 0700, why))
			return false;
		h->run = path;
	}
	if (geteuid() == 0 && chown(h->run, uid, gid) != 0)
		return fail(h->a, why, "give away", h->run);
	return true;
}

/* Only sockets are removed: a folder in /tmp may have been made anew by someone else after a restart. */
void home_clear_sockets(const char *path, bool all)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strncmp(e->d_name, ".s.PGSQL.", 9) == 0 || (all && strcmp(e->d_name, "redis.sock") == 0))
			unlinkat(fd, e->d_name, 0);
	if (dir)
		closedir(dir);
}

void home_drop_run(struct home *h)
{
	char *to = run_link(h);
	if (!to)
		return;
	home_clear_sockets(to, true);
	rmdir(to);
	unlink(home_path(h, "run"));
}

/* --- secrets */

const char *home_secret(struct home *h, const char *name, const char *fresh, const char **why)
{
	char *path = arena_printf(h->a, "%s/secrets/%s", h->dir, name);
	char *text = file_read(h->a, path, 1024);

	if (!text && errno != ENOENT) {
		fail(h->a, why, "read", path);
		return NULL;
	}
	if (text)
		text[strcspn(text, "\r\n")] = 0;
	if (text && *text)
		return text;
	return file_write(h->a, path, fresh, why) ? fresh : NULL;
}
