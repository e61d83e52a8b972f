/* The listings of the control API, written to sim->out or a writer. */
#ifndef SHOAL_SIM_CONTROL_SHOW_H
#define SHOAL_SIM_CONTROL_SHOW_H

#include "shoal/base/json.h"
#include "shoal/sim/samples.h"
#include "shoal/sim/world.h"

void show_user(struct json_writer *w, const struct user *u);
void show_users(struct sim *s, struct json_writer *w);
void show_bots(struct sim *s, struct json_writer *w);
void show_chats(struct sim *s, struct bot *only, int64_t limit); /* only: NULL for all bots */
/* "name":{"count","p50","p99","max"}, in ms */
void show_samples(struct json_writer *w, const char *name, const struct samples *m);
void show_calls(struct sim *s, int64_t after, int64_t limit);
void show_no_chat(struct sim *s, struct bot *b); /* what /sim/chat says of a chat that was never opened */

#endif
