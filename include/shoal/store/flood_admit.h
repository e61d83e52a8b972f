/* Incoming updates at the fleet's common door (lua/admit.lua): the lock of a pressed button and the rate of one user.
 * Only flood.c, whose header says what each call means. */
#ifndef SHOAL_STORE_FLOOD_ADMIT_H
#define SHOAL_STORE_FLOOD_ADMIT_H

#include "shoal/base/conf.h"
#include "shoal/io/redis.h"
#include "shoal/store/flood.h"

struct admits;

/* heard: what became of each question to Redis, before it is told. */
struct admits *admits_open(struct loop *l, struct redis *r, const struct rate *of_a_user,
                           void (*heard)(void *arg, enum err err), void *arg);
void admits_close(struct admits *a);
bool admits_needed(const struct admits *a, bool press);
/* All that is asked in one turn of the loop is one question to Redis. */
void admits_ask(struct admits *a, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                const char *update_key, bool again, admit_fn *fn, void *arg);
void admits_release(struct admits *a, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                    const char *update_key);

#endif
