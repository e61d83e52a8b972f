/* Judges from what its callers hear of a peer whether the peer serves. After some failures in a row it opens: nobody
 * troubles the peer any more but the probe, which asks again and again with a growing pause. Whatever good is heard,
 * also late, closes it. */
#ifndef SHOAL_WORKER_BREAKER_H
#define SHOAL_WORKER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/io/loop.h"

struct breaker_opts {
	struct loop *loop;
	const char *peer;    /* for the log */
	const char *trouble; /* what its failing means, for /readyz: "telegram cannot be reached" */
	unsigned failures;   /* in a row that open it */
	int64_t pause_ms;    /* longest pause between two probes; the first is 1 s, and they double */
	/* Asks the peer; what it answers is reported as anything else. May be called before it has answered. */
	void (*probe)(void *arg);
	void (*changed)(void *arg); /* it has opened or closed: called inside breaker_failed and breaker_good */
	void *arg;
};

/* Embedded in its owner. */
struct breaker {
	struct breaker_opts opts;
	enum { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING } state;
	unsigned failures;
	int64_t backoff_ms; /* of the next pause */
	int64_t opened_ms, closed_ms;
	struct timer timer;
	bool said; /* the log knows of this opening, so it hears of the closing */
	int64_t logged;
	unsigned unlogged;
	char text[200];
};

void breaker_init(struct breaker *b, const struct breaker_opts *opts); /* the strings outlive it */
void breaker_release(struct breaker *b);
/* why: one line for people, without secrets */
void breaker_failed(struct breaker *b, const char *why);
void breaker_good(struct breaker *b);
/* There is reason to believe that it serves again: if it is open, asks at once. */
void breaker_hurry(struct breaker *b);

static inline bool breaker_is_open(const struct breaker *b)
{
	return b->state != BREAKER_CLOSED;
}
/* NULL while closed, else "trouble: why". Valid until the next call. */
const char *breaker_trouble(const struct breaker *b);

#endif
