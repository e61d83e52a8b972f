/* POST /discord/BOT: who may send, and what an interaction is answered with at once.
 *
 *   PING                            type 1; nothing else is looked at or asked
 *   a suggestion                    8, from the command table and the static tables
 *   a command or press with a form  9, from the same
 *   what no command handles         4 to the person alone, once Redis has the entry
 *   another command, a form         5, hidden as the command says, once Redis has the entry
 *   another press                   7 with everything disabled that can be pressed (6 where nothing is), likewise
 *   Redis does not take the entry   4 to the person alone, an apology
 *
 * A signature is good for ever, so what was sent once could be sent again by whoever saw it. A PING does nothing; all
 * else is refused when its timestamp is further from this machine's clock than the token of an interaction lives, and
 * within that time its key lets it have no second effect. */
#ifndef SHOAL_GATEWAY_INTERACTIONS_H
#define SHOAL_GATEWAY_INTERACTIONS_H

#include <stdbool.h>

#include "shoal/base/conf.h"
#include "shoal/gateway/intake.h"
#include "shoal/gateway/tables.h"
#include "shoal/gateway/visit.h"
#include "shoal/model/bot.h"

#define INTERACTION_SKEW_S 900

struct interactions;

/* Whether there is a bot of Discord here, and a key to know its interactions by. Its token is the workers'. */
bool interactions_possible(const struct conf *conf);
/* What it is given outlives it. tables: NULL where none are possible. */
struct interactions *interactions_open(const struct conf *conf, struct intake *in, struct tables *tables);
void interactions_close(struct interactions *x); /* no request is under way any more */
/* bot: one of Discord that runs here. */
bool interactions_wants_body(const struct interactions *x, const struct bot *bot, const struct httpd_request *r);
void interactions_handle(struct interactions *x, const struct bot *bot, const struct visit *v);

#endif
