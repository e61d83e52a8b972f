/* SHOAL_TELEGRAM_MODE=poll: getUpdates instead of webhooks, by one gateway of the fleet for each bot. */
#ifndef SHOAL_GATEWAY_POLL_H
#define SHOAL_GATEWAY_POLL_H

#include <stdbool.h>

#include "shoal/gateway/intake.h"
#include "shoal/io/http.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/model/bot.h"

struct poller;

struct poller_opts {
	struct loop *loop;
	struct http *http;
	struct intake *in;
	struct redis *locks; /* closes before poller_free */
	const struct bot *bot;
	const char *api, *token;
};

/* Polls while it has the lock; tries for it until then. The strings outlive it. */
struct poller *poller_open(const struct poller_opts *opts);
/* NULL, or why it cannot ask for updates though it is the one to do so: for /readyz. Valid until the next call. */
const char *poller_trouble(const struct poller *p);
/* Stops asking and gives the lock up; stopped(arg) when both are done. Once. */
void poller_stop(struct poller *p, void (*stopped)(void *arg), void *arg);
/* After stopped(), or when neither http nor the intake calls back any more. */
void poller_free(struct poller *p);

#endif
