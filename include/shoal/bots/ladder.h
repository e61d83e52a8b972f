/* The ladder bot: 1v1 matches by rating (SPEC 5). */
#ifndef SHOAL_BOTS_LADDER_H
#define SHOAL_BOTS_LADDER_H

#include "shoal/model/bot.h"

extern const struct bot bot_ladder;

/* UPDATE_DUE: an admin has settled the match that args[0] names: the person in whose lane it is is to be told. */
#define LADDER_DUE_RESOLVED "resolved"

#endif
