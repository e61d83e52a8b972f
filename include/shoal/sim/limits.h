/* The platform's own flood limits. */
#ifndef SHOAL_SIM_LIMITS_H
#define SHOAL_SIM_LIMITS_H

#include "shoal/sim/world.h"

/* Takes one message out of the bot's and the chat's budget. 0: may be sent; else seconds to wait, nothing taken. */
int64_t limits_take(struct bot *b, struct chat *c, int64_t now_us);

#endif
