/* One shard of the stream, as a gateway sees it: whether it takes entries, and whether a replica has them. */
#ifndef SHOAL_GATEWAY_SHARD_H
#define SHOAL_GATEWAY_SHARD_H

#include <stdbool.h>

#include "shoal/base/err.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/store/queue.h"
#include "shoal/store/redis_check.h"
#include "shoal/store/shard_marks.h"

struct append; /* one entry under way */

struct append_list {
	struct append *first, **last;
};

struct shard {
	struct loop *loop;
	struct redis *redis;
	struct shard_marks *marks;
	char updates[QUEUE_KEY_MAX], probe_key[QUEUE_KEY_MAX], conf[QUEUE_KEY_MAX];
	char number[32]; /* "i/n" */
	struct redis_check check;
	unsigned under_way;

	unsigned unanswered; /* bits: questions on this connection without which nothing is appended */
	enum err untold;     /* why it did not tell whose it is, the last time; ERR_OK: it did, or not asked */
	enum err refused;    /* what became of the last append or probe; ERR_OK: it takes entries */
	struct timer probe;  /* runs while it does not */
	struct timer look;   /* the questions again, once a second */
	char alien[QUEUE_FOREIGN_MAX]; /* whose the keys are, if not ours, or that nobody's mark is there; "": ours */

	unsigned replicas;      /* in step, as last heard */
	int64_t had_replica_ms; /* when it had one, the last time; 0: never */
	char had_replica[48];   /* and which server that was */
	bool unconfirmed;       /* the last time none confirmed */
	bool waiting;           /* WAIT is under way, for all of `covered` */
	struct append_list covered, unsure;
	struct append_list turned_away; /* told by the task */
	struct task tell;
	char trouble[128];
};

/* marks: of all n shards; the caller's, which outlive this one. */
void shard_open(struct shard *s, struct loop *l, const char *url, unsigned i, unsigned n, struct shard_marks *marks);
/* What is under way gets its answer inside this call. */
void shard_close(struct shard *s);

/* ERR_OK: Redis has it, and a replica where there is one; id is then the entry's, valid during the call. ERR_UNKNOWN,
 * ERR_TIMEOUT: Redis may have it. Anything else: it has not. */
typedef void shard_fn(void *arg, enum err err, const char *id);
/* An XADD to shard->updates, whose words are copied. False: too much is under way, fn is not called. fn never comes
 * inside the call. */
bool shard_append(struct shard *s, size_t argc, const struct span *argv, shard_fn *fn, void *arg)
    __attribute__((warn_unused_result));
/* Does nothing but tell fn, as shard_append would, that Redis has not got it. */
bool shard_turn_away(struct shard *s, shard_fn *fn, void *arg) __attribute__((warn_unused_result));
/* NULL, or why it takes no entries. Valid until the next call. */
const char *shard_trouble(struct shard *s);

#endif
