/* What the subverbs of `shoal webhook` share: the bots in question, and a place to call their platforms from. */
#ifndef SHOAL_CLI_WEBHOOK_H
#define SHOAL_CLI_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>

#include "shoal/cli/session.h"
#include "shoal/wire/platform.h"

/* A bot with all that it takes to speak for it. */
struct webhook_bot {
	const struct bot *bot;
	const struct platform *platform;
	struct credentials who;
};
struct webhook_bots {
	size_t n;
	struct webhook_bot *v;
};

/* Those of SHOAL_BOTS, or --bot alone; by default those without a token are left out. session_conf included. False
 * after saying what is missing. */
bool webhook_bots_find(struct session *s, struct webhook_bots *out) __attribute__((warn_unused_result));

/* ---- one call after the other */

struct webhook_desk;

/* alone: nobody else in the fleet changes webhooks or menus meanwhile (a lock in the caches' Redis); waits for whoever
 * does. NULL after saying why not; s->code then. */
struct webhook_desk *webhook_desk_open(struct session *s, bool alone);
void webhook_desk_close(struct webhook_desk *d); /* NULL does nothing */

/* Waits for the answer, and again where the platform asks for some patience. False after saying what was wrong: s->code
 * is then the gravest so far. The answer's body lives as long as the session. */
bool webhook_call(struct webhook_desk *d, const struct webhook_bot *b, const struct call *c, struct span *answer)
    __attribute__((warn_unused_result));

/* What was last set, kept for five minutes, so that of many programs that start at once one makes the call: a digest
 * under "shoal:{cache}:webhook:BOT:WHAT". Only with a desk of its own. */
enum webhook_seen { WEBHOOK_NEW, WEBHOOK_SAME, WEBHOOK_UNKNOWN /* it was said why */ };
enum webhook_seen webhook_known(struct webhook_desk *d, const struct webhook_bot *b, const char *what,
                                const struct call *c);
/* c NULL: forgets. That it could not be noted is no failure. */
void webhook_note(struct webhook_desk *d, const struct webhook_bot *b, const char *what, const struct call *c);

/* Telegram says where a webhook is; a part of the address is the bot. */
const char *webhook_url(struct session *s, const struct webhook_bot *b);

int webhooks_set(struct session *s);
int webhooks_info(struct session *s);
int webhooks_delete(struct session *s);

#endif
