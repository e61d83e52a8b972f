/* For tests that judge by the clock, or with servers and clients that give each other up after some time: nobody can be
 * in time on a machine that stands still. RUN_STEADILY(test) runs a test that failed on such a machine again. */
#ifndef SHOAL_TESTS_STANDSTILL_H
#define SHOAL_TESTS_STANDSTILL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "check.h"

#define STANDSTILL_LOOK_MS 20
#define STANDSTILL_NOTICE_MS 60 /* later than it should have been: no processor for so long */
#define STANDSTILL_TRIES 10

static atomic_llong standstill_ms; /* so far */

static inline int64_t standstill_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void *standstill_watch(void *arg)
{
	const struct timespec look = {.tv_nsec = STANDSTILL_LOOK_MS * 1000000L};

	for (int64_t last = standstill_now_ms();;) {
		nanosleep(&look, NULL);
		int64_t now = standstill_now_ms(), late = now - last - STANDSTILL_LOOK_MS;
		if (late > STANDSTILL_NOTICE_MS)
			atomic_fetch_add(&standstill_ms, late);
		last = now;
	}
	return arg;
}

/* How long nothing ran so far, ms. Watches from its first call on. */
static inline int64_t standstill(void)
{
	static bool watching;
	const struct timespec look = {.tv_nsec = 2 * STANDSTILL_LOOK_MS * 1000000L};
	pthread_t thread;

	if (!watching && pthread_create(&thread, NULL, standstill_watch, NULL) == 0)
		pthread_detach(thread);
	watching = true;
	nanosleep(&look, NULL); /* it must have looked since */
	return atomic_load(&standstill_ms);
}

static inline void run_steadily(const char *name, void (*test)(void))
{
	for (int tries = STANDSTILL_TRIES; tries > 0; tries--) {
		int64_t before = standstill();
		check_failed_here = 0;
		test();
		if (!check_failed_here || standstill() - before < 2 * STANDSTILL_NOTICE_MS)
			break;
		printf("# %s: the machine stood still; once more\n", name);
	}
	printf("%s %s\n", check_failed_here ? "not ok" : "ok", name);
	fflush(stdout);
	check_failed_all += check_failed_here;
}

#define RUN_STEADILY(test) run_steadily(#test, test)

#endif
