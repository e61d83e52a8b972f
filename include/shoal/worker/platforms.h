/* The platforms' APIs and the bots' tokens, as far as this worker can reach them: the part of reach.h that is about
 * platforms, which says what each function means. Only reach.c. */
#ifndef SHOAL_WORKER_PLATFORMS_H
#define SHOAL_WORKER_PLATFORMS_H

#include <stdbool.h>

#include "shoal/base/conf.h"
#include "shoal/base/err.h"
#include "shoal/io/health.h"
#include "shoal/io/http.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/model/bot.h"
#include "shoal/wire/platform.h"

struct platforms;

struct platforms_opts {
	struct loop *loop;
	const struct conf *conf;
	struct http *http;   /* closes before the platforms do, as does redis */
	struct redis *redis; /* of caches and limits */
	void (*changed)(void *arg);
	void *arg;
};

struct platforms *platforms_open(const struct platforms_opts *opts);
void platforms_close(struct platforms *p);
void platforms_checks(struct platforms *p, struct health *h, struct arena *a);
void platforms_heard(struct platforms *p, const struct bot *bot, enum err err, const struct ruling *ruling);
const char *platforms_trouble(const struct platforms *p, const struct bot *bot);
const struct credentials *platforms_credentials(const struct platforms *p, const struct bot *bot);
const char *platforms_except(const struct platforms *p);
bool platforms_any(const struct platforms *p);

#endif
