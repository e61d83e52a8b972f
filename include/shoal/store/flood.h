/* Limits that the fleet shares: outgoing messages (SPEC P8), incoming updates of one user, the lock of a pressed
 * button. All in the caches' Redis. */
#ifndef SHOAL_STORE_FLOOD_H
#define SHOAL_STORE_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/conf.h"
#include "shoal/base/err.h"
#include "shoal/io/redis.h"

#define CLICK_LOCK_MS 600000 /* SPEC 4: ten minutes */

struct flood;

struct flood *flood_open(struct redis *r, const struct conf *conf);
void flood_close(struct flood *f);

/* May a message go to this chat? fn: wait_ms 0 = now; booked = send after the wait, else ask again after it. */
typedef void flood_fn(void *arg, enum err err, int64_t wait_ms, bool booked);
void flood_ask(struct flood *f, const char *bot, int64_t chat_id, bool group, int64_t max_wait_ms, flood_fn *fn,
               void *arg);
/* A 429: nobody sends in this scope for ms. chat_id 0: the whole bot. */
void flood_block(struct flood *f, const char *bot, int64_t chat_id, int64_t ms);

/* Incoming. press: callback data, NULL where it is no press. fn: double = the press is another update's;
 * throttled = beyond SHOAL_USER_RATE; notice = tell the user, once a minute. again: a redelivery is not counted. */
typedef void admit_fn(void *arg, enum err err, bool double_click, bool throttled, bool notice);
void flood_admit(struct flood *f, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                 const char *update_key, bool again, admit_fn *fn, void *arg);
/* Whether flood_admit would have anything to look at. */
bool flood_admits(const struct flood *f, bool press);
/* Frees the press of an update that became a dead letter. */
void flood_release_press(struct flood *f, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                         const char *update_key);

#endif
