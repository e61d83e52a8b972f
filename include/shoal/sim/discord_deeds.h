/* What a person does on Discord, and the interaction that comes of it. */
#ifndef SHOAL_SIM_DISCORD_DEEDS_H
#define SHOAL_SIM_DISCORD_DEEDS_H

#include "shoal/sim/discord.h"

/* The arena holds *why, which is set where a deed returns NULL. */
struct dc_deed {
	struct discord *discord;
	struct arena *arena;
	int status; /* of the refusal, as HTTP */
	const char *why;
};

/* Each returns the interaction, sent; NULL: a client would not do that. "force":true lets it through where it can be
 * put into an interaction at all. */
struct dc_interaction *dc_deed_command(struct dc_deed *d, const cJSON *spec);
struct dc_interaction *dc_deed_autocomplete(struct dc_deed *d, const cJSON *spec);
struct dc_interaction *dc_deed_press(struct dc_deed *d, const cJSON *spec);
struct dc_interaction *dc_deed_submit(struct dc_deed *d, const cJSON *spec);
struct dc_interaction *dc_deed_ping(struct dc_deed *d, const cJSON *spec);
bool dc_deed_user(struct dc_deed *d, const cJSON *spec, struct dc_user **out);

/* For the files of the deeds. */
void *dc_refuse(struct dc_deed *d, int status, const char *why); /* NULL */
/* An id, as a string or a number. */
bool dc_spec_id(struct dc_deed *d, const cJSON *spec, const char *name, int64_t *out);
struct dc_user *dc_spec_user(struct dc_deed *d, const cJSON *spec);
bool dc_spec_force(const cJSON *spec);
/* Sends it with what sim->scratch holds as its data. */
struct dc_interaction *dc_deed_send(struct dc_deed *d, struct dc_interaction *i, const char *name);

#endif
