/* Interactions: what the gateway is sent, what it answers, and what becomes of that. */
#ifndef SHOAL_SIM_DISCORD_INTERACTION_H
#define SHOAL_SIM_DISCORD_INTERACTION_H

#include "shoal/sim/discord.h"
#include "shoal/sim/discord_call.h"

/* Signs the body and posts it; what comes of it changes the interaction later. */
void dc_send(struct dc_interaction *i, struct span body);
/* The interaction as the gateway gets it, onto sim->scratch. data: JSON. */
struct span dc_body(struct dc_interaction *i, const char *data);

/* Judges the first response and does what it says. NULL: done; else what is wrong with it, in the arena. */
const char *dc_take_response(struct dc_interaction *i, struct span body, struct arena *a);
bool dc_token_lives(const struct dc_interaction *i);
/* The first message behind a deferral is there. */
void dc_fulfilled(struct dc_interaction *i);
/* It is about to be forgotten: nobody may wait for it, or be on the way to it. */
void dc_let_go(struct dc_interaction *i);

/* A control request that waits for the first response, or also for what was deferred; answered with
 * dc_show_interaction. */
enum dc_until { DC_UNTIL_FIRST, DC_UNTIL_DONE };
void dc_wait_for(struct dc_interaction *i, struct httpd_request *r, enum dc_until until, int64_t ms);

/* Anything, signed well or badly: for what no client would send. fn's text lives during the call alone. */
struct dc_forgery {
	const char *timestamp; /* NULL: now */
	const char *signature; /* NULL: the right one; "" none */
	bool other_key;        /* signed by somebody else */
};
typedef void dc_sent_fn(void *arg, enum err err, const struct http_response *res);
struct http_call *dc_send_raw(struct discord *d, const char *url, struct span body, const struct dc_forgery *f,
                              dc_sent_fn *fn, void *arg);

void dc_probe_end(struct discord *d); /* gives up asking a new endpoint whether it checks signatures */

#endif
