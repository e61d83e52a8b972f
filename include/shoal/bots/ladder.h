/* The ladder bot: 1v1 matches by rating (SPEC 5). */
#ifndef SHOAL_BOTS_LADDER_H
#define SHOAL_BOTS_LADDER_H

#include "shoal/model/bot.h"

extern const struct bot bot_ladder;

#endif
