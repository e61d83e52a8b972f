/* What this worker can reach of what its updates need: the platforms, each bot's token, Postgres, the caches' Redis. It
 * learns from what the jobs hear, and asks by itself as long as something is away. That the connections to the servers
 * are up is their own business: here it is about servers that answer and do not serve (disk full, read-only, no schema,
 * no rights), and about platforms. */
#ifndef SHOAL_WORKER_REACH_H
#define SHOAL_WORKER_REACH_H

#include <stdbool.h>

#include "shoal/base/conf.h"
#include "shoal/base/err.h"
#include "shoal/io/health.h"
#include "shoal/io/http.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/model/bot.h"
#include "shoal/store/flood.h"
#include "shoal/wire/platform.h"

struct reach;

struct reach_opts {
	struct loop *loop;
	const struct conf *conf;
	struct http *http;
	struct pg *pg;
	struct flood *flood;
	struct redis *redis;        /* of caches and limits */
	void (*changed)(void *arg); /* more or less can be served than before */
	void *arg;
};

/* What it was given outlives it until reach_close, but for http, pg, redis and flood, which close before. */
struct reach *reach_open(const struct reach_opts *opts);
void reach_close(struct reach *r);
/* Adds a line for each platform and each bot to /readyz. */
void reach_checks(struct reach *r, struct health *h, struct arena *a);

/* What the jobs heard. err: of the request; ruling: of its answer, only looked at where err is ERR_OK. */
void reach_heard_platform(struct reach *r, const struct bot *bot, enum err err, const struct ruling *ruling);
void reach_heard_read(struct reach *r, enum err err, const struct pg_fault *fault);
void reach_heard_write(struct reach *r, enum err err, const struct pg_fault *fault);
void reach_heard_redis(struct reach *r, enum err err);
void reach_heard_responder(struct reach *r, bool answered);
/* A new connection: whether it serves is asked at once. */
void reach_pg_came(struct reach *r);
void reach_redis_came(struct reach *r);

/* NULL, or why calls for this bot would be in vain: its platform is away, or its token is not accepted. */
const char *reach_bot_trouble(const struct reach *r, const struct bot *bot);
const char *reach_pg_trouble(const struct reach *r);
const char *reach_redis_trouble(const struct reach *r);
/* Whether to ask the responder now. While it fails nobody waits for it, but for one question after each pause. */
bool reach_responder(struct reach *r);
/* What calls for this bot are made with; without a token while reach_bot_trouble says so. */
const struct credentials *reach_credentials(const struct reach *r, const struct bot *bot);
/* The bots that cannot be served now, with commas between; "": none. Valid until the next change. */
const char *reach_except(const struct reach *r);
/* Whether any bot can be served. */
bool reach_any(const struct reach *r);

#endif
