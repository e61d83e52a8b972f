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

/* What may become of a message now. */
enum flood_what {
	FLOOD_AGAIN,        /* the budget is used up: ask again after the wait */
	FLOOD_BOOKED,       /* send after the wait; when there is one, ask again as booked before */
	FLOOD_TEST,         /* send now, and tell with flood_tested() or flood_limited() what came of it */
	FLOOD_DOUBT,        /* a test is out that will say whether the bot is limited: ask again shortly */
	FLOOD_CHAT_BLOCKED, /* by a 429, for the wait */
	FLOOD_BOT_BLOCKED
};

#define FLOOD_DOUBT_LEN 24
struct flood_answer {
	enum flood_what what;
	int64_t wait_ms;
	char doubt[FLOOD_DOUBT_LEN]; /* which one a test is for; empty for other messages */
};

enum flood_standing {
	FLOOD_NEW,
	FLOOD_BACK,      /* it has waited before, as an entry given back: before those that are new */
	FLOOD_HAS_PLACE, /* booked */
};

struct flood_message {
	const char *bot;
	int64_t chat_id; /* 0: to no chat */
	bool group;
	enum flood_standing standing;
	int64_t max_wait_ms; /* no longer wait is booked; 2 s at most */
};

/* May it go? a is valid during the call, NULL unless err is ERR_OK. */
typedef void flood_fn(void *arg, enum err err, const struct flood_answer *a);
void flood_ask(struct flood *f, const struct flood_message *m, flood_fn *fn, void *arg);
/* A 429: nobody sends to the chat for ms; a test to another chat will show whether the whole bot is limited. doubt: of
 * the test that this was, or "". */
void flood_limited(struct flood *f, const char *bot, int64_t chat_id, int64_t ms, const char *doubt);
/* A refusal that says itself that it is meant for the whole bot. */
void flood_bot_limited(struct flood *f, const char *bot, int64_t ms);
/* Limits that Redis could not be told of are told now. */
void flood_redis_came(struct flood *f);
/* A test is over without a 429. went_through: the platform took it or refused it for another reason. */
void flood_tested(struct flood *f, const char *bot, const char *doubt, bool went_through);
/* What this program heard last; asks nobody. For calls that are not worth a question. */
bool flood_bot_blocked(const struct flood *f, const char *bot);

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
