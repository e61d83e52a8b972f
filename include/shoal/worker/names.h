/* The user names under which the platforms know our bots, for the links that lead to them. Asked once an hour of the
 * platform itself: no configuration that could be wrong, and a bot that is renamed goes on. */
#ifndef SHOAL_WORKER_NAMES_H
#define SHOAL_WORKER_NAMES_H

#include "shoal/base/conf.h"
#include "shoal/io/http.h"
#include "shoal/io/loop.h"
#include "shoal/model/bot.h"
#include "shoal/worker/reach.h"

struct names;

/* reach outlives it; http closes before names_close. */
struct names *names_open(struct loop *l, const struct conf *conf, struct http *http, const struct reach *reach);
void names_close(struct names *n);
/* NULL: not told yet, or the bot has no use for it. Good until the next turn of the loop. */
const char *names_of(const struct names *n, const struct bot *bot);

#endif
