/* Appends to the queue that somebody is to be told something at once. The fleet finds it due as well, a little later.
 */
#ifndef SHOAL_CLI_DUE_H
#define SHOAL_CLI_DUE_H

#include <stdint.h>

#include "shoal/cli/session.h"
#include "shoal/model/bot.h"

/* An UPDATE_DUE of the bot: `what` for `of`, in the person's lane. who: which of those concerned that is, no id. NULL,
 * or why not. session_conf must have been. */
const char *due_append(struct session *s, const struct bot *bot, const char *what, const char *of, const char *who,
                       int64_t person);

#endif
