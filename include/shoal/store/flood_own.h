/* What one program knows by itself of the limits in flood.h, for as long as Redis cannot be asked: the blocks that it
 * has heard of, and a pace of its own, slow enough that a fleet without its common budget is no flood. Times are those
 * of clock_ms(), and given by the caller. */
#ifndef SHOAL_STORE_FLOOD_OWN_H
#define SHOAL_STORE_FLOOD_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/conf.h"
#include "shoal/store/flood.h"

struct flood_own;

struct flood_own *flood_own_open(const struct conf *conf);
void flood_own_close(struct flood_own *o);

/* What Redis answered. */
void flood_own_heard(struct flood_own *o, const struct flood_message *m, const struct flood_answer *a, int64_t now_ms);
/* A 429 for ms: the chat is blocked (0: there is none). Whether the whole bot is, nobody can find out without Redis, so
 * all of it pauses, but not for long. */
void flood_own_limited(struct flood_own *o, const char *bot, int64_t chat_id, int64_t ms, int64_t now_ms);
void flood_own_bot_limited(struct flood_own *o, const char *bot, int64_t ms, int64_t now_ms);
/* Not for a pause. */
bool flood_own_bot_blocked(const struct flood_own *o, const char *bot, int64_t now_ms);

/* May it go? At most 20 messages a second of a bot and one a second to a chat, fewer where the options say so, one
 * after the other. Waits of up to FLOOD_OWN_WAIT_MS are booked, whatever m says; who comes back after one has its
 * place, unless there is a block by now. */
void flood_own_ask(struct flood_own *o, const struct flood_message *m, int64_t now_ms, struct flood_answer *a);

#endif
