/* Connections to all shards of the queue, for the verbs that go over them. A shard that is out of reach is said once,
 * and leaves the others to be asked: session.code is then EXIT_NO_SERVER, whatever else fails. */
#ifndef SHOAL_CLI_SHARD_SET_H
#define SHOAL_CLI_SHARD_SET_H

#include "shoal/cli/session.h"
#include "shoal/io/redis.h"
#include "shoal/store/queue_call.h"

struct shard {
	unsigned n;
	redisContext *redis; /* NULL: out of reach */
};

struct shard_set {
	struct session *s;
	struct shard *v;
	unsigned n;
	bool foreign; /* the list is not the workers': what is there can be looked at, and must not be changed */
};

/* session_conf included. False after saying why nothing can be asked: a wrong setting, or no shard in reach. That the
 * list is not the workers' is said, too. */
bool shard_set_open(struct shard_set *set, struct session *s) __attribute__((warn_unused_result));

/* ERR_OK with the answer, which lives as long as the arena; else the reason was said. After a lost connection the
 * shard's redis is NULL. A shard that is out of reach already is ERR_UNREACHABLE without a word. */
enum err shard_ask(struct shard_set *set, struct shard *shard, const struct queue_call *call, struct arena *a,
                   const redisReply **reply) __attribute__((warn_unused_result));

/* "shard 1: ..." on stderr, and the exit code by its weight. */
void shard_fail(struct shard_set *set, const struct shard *shard, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Only the exit code. */
void shard_weigh(struct shard_set *set, int code);

/* An id as verbs print and take it: "SHARD:ID". Where there is one shard, "ID" will do. NULL after saying what is wrong
 * with it. */
struct shard *shard_of_id(struct shard_set *set, const char *operand, const char **id);
const char *shard_id(struct arena *a, unsigned shard, const char *id);

#endif
