/* links: base io store */
/* What the tracking of the caches says of a server that does not track, and of one that merely goes away meanwhile: a
 * server that takes the greeting, and then refuses or hangs up. */
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "servers.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_track.h"

static struct loop *loop;
static struct timer limit;
static char dir[256], path[300], url[320];

#define HELLO "+PONG\r\n*1\r\n$6\r\nmaster\r\n" /* of the greeting */

/* To each connection: that, then `answer` to whatever comes; NULL: it hangs up instead. */
static pid_t serve(const char *answer)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid, parent = getpid();

	unlink(path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%.100s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 8) != 0)
		server_die("listen");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int peer; getppid() == parent && (peer = accept(fd, NULL, NULL)) >= 0; close(peer)) {
			char text[1000];

			if (read(peer, text, sizeof(text)) <= 0 ||
			    write(peer, HELLO, sizeof(HELLO) - 1) != sizeof(HELLO) - 1)
				continue;
			while (read(peer, text, sizeof(text)) > 0 && answer)
				(void)!write(peer, answer, strlen(answer));
		}
		_exit(0);
	}
	close(fd);
	return pid;
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static const char *server(void *arg)
{
	(void)arg;
	return "";
}

static void changed(void *arg, struct span name)
{
	(void)arg;
	(void)name;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void lost(void *arg)
{
	++*(int *)arg;
}

/* What is logged while such a server is tracked, until it has hung up three times, or for a moment. */
static const char *logged(const char *answer, int *losses)
{
	static char text[20000];
	struct redis *ordinary = redis_open(loop, &(struct redis_opts){.url = "unix:///nowhere", .label = "cache"});
	struct cache_track *t;
	int file = memfd_create("log", 0), saved = dup(STDERR_FILENO);
	int64_t began = clock_ms();
	pid_t pid = serve(answer);

	*losses = 0;
	fflush(stderr);
	dup2(file, STDERR_FILENO);
	t = cache_track_open(&(struct cache_track_opts){.loop = loop,
	                                                .redis = ordinary,
	                                                .url = url,
	                                                .id = "w",
	                                                .ident = server,
	                                                .changed = changed,
	                                                .flushed = nothing,
	                                                .begins = nothing,
	                                                .lost = lost,
	                                                .arg = losses});
	do {
		timer_set(&limit, 20);
		loop_run(loop);
		text[pread(file, text, sizeof(text) - 1, 0)] = '\0';
	} while (*losses < 3 && !strstr(text, "does not track") && clock_ms() < began + 20000);
	CHECK(!cache_track_sure(t));
	cache_track_close(t);
	redis_close(ordinary);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(file);
	server_kill(&pid);
	return text;
}

static void a_lost_connection_is_no_refusal(void)
{
	int losses;
	const char *text = logged(NULL, &losses);

	CHECK(losses >= 3);
	CHECK(strstr(text, "redis connection lost"));
	CHECK(!strstr(text, "does not track"));
}

static void a_refusal_is_told_with_its_reason(void)
{
	int losses;

	CHECK(strstr(logged("-NOPERM not for you\r\n", &losses), "does not track"));
	CHECK_INT(losses, 0);
	CHECK(strstr(logged("-ERR unknown command\r\n", &losses), "unknown command"));
}

/* It takes no command for a while, and says so: nothing of tracking. */
static void a_server_that_is_loading_refuses_nothing(void)
{
	int losses;

	CHECK(!strstr(logged("-LOADING Redis is loading the dataset in memory\r\n", &losses), "does not track"));
	CHECK(losses >= 3);
}

int main(void)
{
	server_dir(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/redis.sock", dir);
	snprintf(url, sizeof(url), "unix://%s", path);
	log_init(LOG_DEBUG, LOG_TEXT, "test", "cache_track");
	loop = loop_new();
	timer_init(&limit, loop, stop, NULL);
	RUN(a_lost_connection_is_no_refusal);
	RUN(a_refusal_is_told_with_its_reason);
	RUN(a_server_that_is_loading_refuses_nothing);
	timer_release(&limit);
	loop_free(loop);
	server_remove_dir(dir);
	DONE();
}
