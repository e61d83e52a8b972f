/* The other two faces of the simulator: the control API under /sim/ and the page. */
#ifndef SHOAL_SIM_CONTROL_H
#define SHOAL_SIM_CONTROL_H

#include "shoal/sim/world.h"

/* Answers every request under /sim/. */
void control_handle(struct sim *s, struct httpd_request *r, const char *path);
/* The chat as the page sees it, on sim->out: what changed after `after`. */
void control_write_chat(struct chat *c, int64_t after);
/* Statistics, on the writer. */
void control_write_stats(struct sim *s, struct json_writer *w);

/* A person's deeds. The arena holds *why, which is set where they return false. */
struct deed {
	struct sim *sim;
	struct bot *bot;
	struct arena *arena;
	int status; /* of the refusal, as HTTP */
	const char *why;
	int64_t update_id, message_id, chat_id; /* update_id -1: the bot does not want it */
	char query_id[24];
};
bool deed_message(struct deed *d, const cJSON *spec);
bool deed_press(struct deed *d, const cJSON *spec);
bool deed_block(struct deed *d, const cJSON *spec, bool block);
bool deed_group(struct deed *d, const cJSON *spec);
bool deed_update(struct deed *d, const cJSON *spec);
bool deed_user(struct deed *d, const cJSON *spec, struct user **out);

void page_handle(struct sim *s, struct httpd_request *r, const char *path);

#endif
