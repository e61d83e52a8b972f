/* What the control API and the page are told of Discord. */
#ifndef SHOAL_SIM_DISCORD_SHOW_H
#define SHOAL_SIM_DISCORD_SHOW_H

#include "shoal/sim/discord.h"

/* Onto sim->out. */
void dc_show_app(struct discord *d);
void dc_show_users(struct discord *d);
void dc_show_user(struct discord *d, const struct dc_user *u);
/* What this person sees of all channels that changed after `after`. */
void dc_show_feed(struct discord *d, const struct dc_user *u, int64_t after);
bool dc_feed_has(struct discord *d, const struct dc_user *u, int64_t after);
void dc_show_interaction(struct dc_interaction *i);
/* Those with a higher id, oldest first. */
void dc_show_interactions(struct discord *d, int64_t after, int64_t limit);
/* "discord":{...} of the statistics */
void dc_show_stats(struct discord *d, struct json_writer *w);

/* All under /sim/discord/. */
void dc_control_handle(struct discord *d, struct httpd_request *r, const char *path);

#endif
