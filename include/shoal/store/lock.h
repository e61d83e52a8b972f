/* A lock in Redis that is held as long as its owner lives: taken as soon as it is free, renewed, given up on request.
 * It spares double work; nothing may rely on it for being right, since a paused process can believe too long. */
#ifndef SHOAL_STORE_LOCK_H
#define SHOAL_STORE_LOCK_H

#include <stdbool.h>

#include "shoal/io/loop.h"
#include "shoal/io/redis.h"

struct lock;

struct lock_opts {
	struct loop *loop;
	struct redis *redis; /* outlives the lock, or is closed first */
	const char *name;    /* the key is "shoal:{cache}:lock:NAME" */
	unsigned life_ms;    /* a dead owner's lock is free after this; renewed every third of it. One for a name,
	                        in all versions: who asks with a shorter one cuts another's short */
	void (*on_held)(void *arg);
	/* Another one has it, or it could not be renewed in time: stop at once. It is tried for again by itself. */
	void (*on_lost)(void *arg);
	void *arg;
};

/* Starts trying. The callbacks come from the loop, never inside a call. */
struct lock *lock_open(const struct lock_opts *opts);
bool lock_held(const struct lock *l);
/* Gives it up and frees it; on_lost is not called. fn (may be NULL) once Redis has answered or could not be asked. */
void lock_close(struct lock *l, void (*fn)(void *arg), void *arg);

#endif
