/* The escrow bot: trades between two people, with the buyer's money held meanwhile (SPEC 5). */
#ifndef SHOAL_BOTS_ESCROW_H
#define SHOAL_BOTS_ESCROW_H

#include "shoal/model/bot.h"

extern const struct bot bot_escrow;

/* UPDATE_DUE: what the fleet, or an admin's command, tells this bot about a trade, which args[0] names. */
#define ESCROW_DUE_EXPIRE "expire"     /* its time may be over */
#define ESCROW_DUE_RESOLVED "resolved" /* an admin has decided a dispute: the chat's person is to be told */

#endif
