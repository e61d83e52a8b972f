/* clock.so: put before a program with LD_PRELOAD, it shifts the wall clock that this program sees. Monotonic clocks
 * stay.
 *
 *   CLOCK_FILE  a file of one int64_t: ms to be added, at any time changed by whoever runs the program
 *
 * What the program leaves to the kernel (timeouts, timers) goes by clocks that nobody sets. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static const volatile int64_t *shift_ms;
static const int64_t none;

static int64_t shift(void)
{
	if (!shift_ms) {
		const char *path = getenv("CLOCK_FILE");
		int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*shift_ms), PROT_READ, MAP_SHARED, fd, 0);

		if (fd >= 0)
			close(fd);
		shift_ms = at == MAP_FAILED ? &none : at;
	}
	return *shift_ms;
}

EXPORT int clock_gettime(clockid_t id, struct timespec *t)
{
	int failed = (int)syscall(SYS_clock_gettime, id, t);

	if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
		int64_t ms = shift(), ns = t->tv_nsec + ms % 1000 * 1000000;

		t->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
		t->tv_nsec = (ns + 1000000000) % 1000000000;
	}
	return failed;
}

EXPORT int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	*tv = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
	return 0;
}

EXPORT time_t time(time_t *out)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}
