/* Limits that the fleet shares: outgoing messages (SPEC P8), incoming updates of one user, the lock of a pressed
 * button. All in the caches' Redis; while that cannot be asked, what is in hand is paced by flood_own.h. */
#ifndef SHOAL_STORE_FLOOD_H
#define SHOAL_STORE_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/conf.h"
#include "shoal/base/err.h"
#include "shoal/io/redis.h"

#define CLICK_LOCK_MS 600000 /* SPEC 4: ten minutes */

struct flood;

struct flood *flood_open(struct loop *l, struct redis *r, const struct conf *conf);
void flood_close(struct flood *f); /* what it was asked and Redis was not is told as unreachable */

/* What may become of a message now. */
enum flood_what {
	FLOOD_AGAIN,        /* the budget is used up: ask again after the wait */
	FLOOD_BOOKED,       /* send after the wait; when there is one, ask again as booked before */
	FLOOD_TEST,         /* send now, and tell with flood_tested() or flood_limited() what came of it */
	FLOOD_DOUBT,        /* a test is out that will say whether the bot is limited: ask again shortly */
	FLOOD_CHAT_BLOCKED, /* by a 429, for the wait */
	FLOOD_BOT_BLOCKED,
	FLOOD_ROUTE_EMPTY, /* the platform's bucket of this route and chat, for the wait */
	FLOOD_ROUTE_FIRST, /* the call that will learn what that bucket holds is out: ask again shortly */
};

#define FLOOD_DOUBT_LEN 24
struct flood_answer {
	enum flood_what what;
	int64_t wait_ms;
	char doubt[FLOOD_DOUBT_LEN]; /* which one a test is for; empty for other messages */
	bool own;                    /* not Redis's word: it does not answer, and this is what we know ourselves */
};

enum flood_standing {
	FLOOD_NEW,
	FLOOD_BACK,      /* it has waited before, as an entry given back: before those that are new */
	FLOOD_HAS_PLACE, /* booked */
	FLOOD_AHEAD,     /* only whether it may go at once, for which FLOOD_BOOKED stands: any other answer, which is
	                    never our own, is as if it had not asked */
};

struct flood_message {
	const char *bot;
	int64_t chat_id; /* 0: to no chat */
	bool group;
	const char *route; /* of a platform that counts calls by routes and tells how they stand; NULL: it does not */
	enum flood_standing standing;
	int64_t max_wait_ms; /* no longer wait is booked; 2 s at most */
};

#define FLOOD_OWN_WAIT_MS 15000 /* the longest wait that is booked in an answer of our own */

/* May it go? a is valid during the call. err: what came of the question to Redis; unless ERR_OK, a is our own. A
 * failure or two may be a connection that went, so only when they have gone on for a moment does a let messages go.
 * m->bot outlives it all. All that is asked in one turn of the loop is one question to Redis. */
typedef void flood_fn(void *arg, enum err err, const struct flood_answer *a);
void flood_ask(struct flood *f, const struct flood_message *m, flood_fn *fn, void *arg);
/* A 429: nobody sends to the chat for ms; a test to another chat will show whether the whole bot is limited. doubt: of
 * the test that this was, or "". */
void flood_limited(struct flood *f, const char *bot, int64_t chat_id, int64_t ms, const char *doubt);
/* A 429 that says itself that it is meant for the chat alone, or for a route of it alone. */
void flood_chat_limited(struct flood *f, const char *bot, int64_t chat_id, const char *route, int64_t ms,
                        const char *doubt);
/* What an answer told of the bucket that its call counted in. bucket NULL: nothing. */
struct flood_told {
	const char *bucket;
	int64_t limit, left, reset_ms;
};
void flood_route_told(struct flood *f, const char *bot, const char *route, int64_t chat_id,
                      const struct flood_told *told);
/* A refusal that says itself that it is meant for the whole bot. */
void flood_bot_limited(struct flood *f, const char *bot, int64_t ms);
/* Limits that Redis could not be told of are told now. */
void flood_redis_came(struct flood *f);
/* A test is over without a 429. went_through: the platform took it or refused it for another reason. */
void flood_tested(struct flood *f, const char *bot, const char *doubt, bool went_through);
/* What this program heard last; asks nobody. For calls that are not worth a question. */
bool flood_bot_blocked(const struct flood *f, const char *bot);

/* Incoming. press: callback data, NULL where it is no press. fn: double = the press is another update's;
 * throttled = beyond SHOAL_USER_RATE; notice = tell the user, once a minute; all false where err is not ERR_OK. again:
 * a redelivery is not counted. */
typedef void admit_fn(void *arg, enum err err, bool double_click, bool throttled, bool notice);
void flood_admit(struct flood *f, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                 const char *update_key, bool again, admit_fn *fn, void *arg);
/* Whether flood_admit would have anything to look at. */
bool flood_admits(const struct flood *f, bool press);
/* Frees the press of an update that became a dead letter. */
void flood_release_press(struct flood *f, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                         const char *update_key);

/* What ends soon, of users' rates and of chats' buckets (lua/part/soon.lua): the hashes of every second span of time,
 * and of those between. */
#define FLOOD_SOON_EVEN "shoal:{cache}:soon:0"
#define FLOOD_SOON_ODD "shoal:{cache}:soon:1"

/* Whether a key of this Redis, or a name in the hashes of what ends soon, is one of ours that names this person, or
 * their private chat: those expire by themselves, but whoever is erased shall not wait for that. */
bool flood_key_names(const char *key, int64_t id);

#endif
