/* Where updates go. */
#ifndef SHOAL_TESTS_BENCH_TARGET_H
#define SHOAL_TESTS_BENCH_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "update.h"

/* What is known of an update, 32 bytes; times of CLOCK_MONOTONIC, -1: never. */
struct sent {
	int64_t due_ns; /* when it was to be sent: what it waited for the sender counts */
	int64_t sent_ns;
	int64_t answered_ns; /* accepted */
	int64_t person;
};

struct target {
	/* Sends the nth update. False: there is no room now, try again after a turn. */
	bool (*give)(struct target *t, size_t n);
	/* Writes what was given and takes answers; until some came, or until then. */
	void (*turn)(struct target *t, int64_t until_ns);
	void (*free)(struct target *t);
	const struct load *load;
	struct sent *sent; /* of all updates */
	size_t answered;
};

int64_t now_ns(void);

/* Waits for one of several descriptors; the same as poll(), with a time of CLOCK_MONOTONIC. */
struct pollfd;
int poll_until(struct pollfd *fds, size_t n, int64_t until_ns);

struct target *target_xadd(const char *host, int port, const char *stream);
struct target *target_webhook(int port, const char *secret, size_t connections);

#endif
