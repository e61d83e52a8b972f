/* Bodies of the entries that the fleet sends itself, in whatever bot's lane, as no platform would write them:
 *
 *   {"shoal":"refused","chat_id":N}                                         UPDATE_REFUSED
 *   {"shoal":"due","chat_id":N,"what":W,"of":NAME,"with":{NAME:TEXT,...}}   UPDATE_DUE; with, if any, is options
 *
 * lua/line_match.lua writes the last, too. */
#ifndef SHOAL_WIRE_OWN_H
#define SHOAL_WIRE_OWN_H

#include <stdbool.h>

#include "shoal/base/arena.h"
#include "shoal/base/json.h"
#include "shoal/base/str.h"
#include "shoal/model/update.h"

struct span refused_encode(int64_t chat_id, struct arena *a);
/* In the lane of a chat. */
struct span due_encode(const char *what, const char *of, int64_t chat_id, struct arena *a);

/* Whether it may be one of them: their first member says so. */
bool own_begins(struct span body);
/* Fills u where root is one of these; else false. Nobody did it, so `from` stays empty. */
bool own_read(const cJSON *root, struct arena *a, struct update *u);

#endif
