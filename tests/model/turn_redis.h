/* The script in a Redis of its own: loaded with a clock that the walk moves and, if asked, with a mistake; called; and
 * what the keys look like afterwards. */
#ifndef SHOAL_TESTS_TURN_REDIS_H
#define SHOAL_TESTS_TURN_REDIS_H

#include "servers.h"
#include "turn_model.h"

struct turn_redis {
	struct redis_server server;
	redisContext *redis;
	char turn[64], retry[64]; /* the scripts' sums */
	char *observe;            /* the commands that look at the keys, as they go over the wire */
	size_t observe_len;
	int unread; /* answers of commands sent beside the script, not read yet */
	redisReply *replies[16];
	int nreplies;
};

void turn_redis_start(struct turn_redis *);
void turn_redis_stop(struct turn_redis *);
/* Loads the scripts; mutant: a file of mistakes to be made in one of them, or NULL. false: why says what does not fit.
 */
bool turn_redis_load(struct turn_redis *, const char *mutant, char *why, size_t why_size);
/* Sends a command whose answer does not matter; it is executed before the next call. */
void turn_redis_send(struct turn_redis *, const char *fmt, ...);
void turn_redis_send_entry(struct turn_redis *, const struct model *, int entry);
/* out is valid until the next call. */
void turn_redis_call(struct turn_redis *, const struct model *, const struct call *, struct observed *out);
/* Tries a dead letter again, as the entry `id`. The answer is valid until the next call. */
const redisReply *turn_redis_retry(struct turn_redis *, const struct model *, const char *letter, bool force,
                                   struct id id);
/* Executes what was sent, without a call. */
void turn_redis_flush(struct turn_redis *);

#endif
