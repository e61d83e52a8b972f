/* Discord's objects as JSON, and what a bot sends put into messages. */
#ifndef SHOAL_SIM_DISCORD_OBJECT_H
#define SHOAL_SIM_DISCORD_OBJECT_H

#include "shoal/sim/discord.h"

void dc_write_user(struct json_writer *w, const struct dc_user *u);
void dc_write_bot(struct json_writer *w, const struct discord *d);
void dc_write_member(struct json_writer *w, const struct dc_user *u, bool with_user);
void dc_write_channel(struct json_writer *w, const struct discord *d, const struct dc_channel *c);
void dc_write_message(struct json_writer *w, struct discord *d, const struct dc_message *m);
/* The members alone, for callers that add their own. */
void dc_message_members(struct json_writer *w, struct discord *d, const struct dc_message *m);

/* Puts what the body names into the message; what it does not name stays. A new message takes its flags from it. */
void dc_fill(struct discord *d, struct dc_message *m, const cJSON *body);
/* Whether the message would have nothing to show once the body were in it; m NULL: a new one. */
bool dc_would_be_empty(const struct dc_message *m, const cJSON *body);

#endif
