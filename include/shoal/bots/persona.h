/* The persona bot: start codes and personas (SPEC 5). */
#ifndef SHOAL_BOTS_PERSONA_H
#define SHOAL_BOTS_PERSONA_H

#include "shoal/model/bot.h"

extern const struct bot bot_persona;

#endif
