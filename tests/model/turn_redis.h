/* The script in a Redis of its own: loaded with a clock that the walk moves and, if asked, with a mistake; called; and
 * what the keys look like afterwards. */
#ifndef SHOAL_TESTS_TURN_REDIS_H
#define SHOAL_TESTS_TURN_REDIS_H

#include "servers.h"
#include "turn_model.h"

struct turn_redis {
	struct redis_server server;
	redisContext *redis;
	char sha[64];
	char *observe; /* the commands that look at the keys, as they go over the wire */
	size_t observe_len;
	int unread; /* answers of commands sent beside the script, not read yet */
	redisReply *replies[16];
	int nreplies;
};

/* A text with each difference of the mutant applied, from malloc. NULL: why says what does not fit. */
char *turn_mutated(const char *script, const char *mutant_file, char *why, size_t why_size);
char *file_text(const char *path);

void turn_redis_start(struct turn_redis *);
void turn_redis_stop(struct turn_redis *);
/* false: why says what Redis does not like. */
bool turn_redis_load(struct turn_redis *, const char *script, char *why, size_t why_size);
/* Sends a command whose answer does not matter; it is executed before the next call. */
void turn_redis_send(struct turn_redis *, const char *fmt, ...);
void turn_redis_send_entry(struct turn_redis *, const struct model *, int entry);
/* out is valid until the next call. */
void turn_redis_call(struct turn_redis *, const struct model *, const struct call *, struct observed *out);
/* Executes what was sent, without a call. */
void turn_redis_flush(struct turn_redis *);

#endif
