/* Numbers of one shard, for metrics and `shoal queue status`. */
#ifndef SHOAL_STORE_QUEUE_STATS_H
#define SHOAL_STORE_QUEUE_STATS_H

#include <stdint.h>

#include "shoal/base/err.h"
#include "shoal/base/json.h"
#include "shoal/io/redis.h"

#define QUEUE_STATS_ID 48 /* two numbers of 64 bits and what is between and behind */

struct queue_stats {
	int64_t length;   /* entries in the stream: all unsettled work */
	int64_t pending;  /* of these read: in busy lanes, and waiting */
	int64_t lanes;    /* busy lanes */
	int64_t waiting;  /* read, but their lane was taken */
	int64_t due;      /* given back, to come again at their time */
	int64_t retrying; /* with failures, takeovers or part of their replies behind them */
	int64_t workers;
	int64_t dead;
	int64_t oldest_ms; /* age of the oldest entry, -1: none */
	int64_t imbalance; /* as in lua/stats.lua; of several shards, what is farthest from 0 */
	char paused[160];  /* "*", or bots with commas, "" none */
	/* Of one shard, ids: of what the group itself lists as pending, which no worker has it do, the last that was
	 * looked at, else ""; and where the next look for what is nobody's goes on. */
	char listed[QUEUE_STATS_ID], look[QUEUE_STATS_ID];
	char why[200]; /* where Redis refused the question: its words, else "" */
};

#define QUEUE_STATS_NONE                                                                                               \
	{                                                                                                              \
		.oldest_ms = -1                                                                                        \
	}
/* One shard more, to the numbers of all. Every worker registers with every shard, so that the shards' workers are the
 * same ones; what is paused is what the first shard says that says something. */
void queue_stats_add(struct queue_stats *total, const struct queue_stats *q);
/* What people call it: "all" for "*", the bots, NULL where nothing is paused. */
const char *queue_paused_text(const char *paused);
/* Into the object that is open, as the API and `shoal status --json` tell them. */
void queue_stats_put(struct json_writer *out, const struct queue_stats *q);

/* Asynchronously; fn's stats are valid during the call. look: as the last answer's; who asks but once says "". */
typedef void queue_stats_fn(void *arg, enum err err, const struct queue_stats *stats);
void queue_stats_ask(struct redis *r, unsigned shard, const char *look, queue_stats_fn *fn, void *arg);
/* For the CLI, blocking. */
enum err queue_stats_now(redisContext *c, unsigned shard, struct queue_stats *out) __attribute__((warn_unused_result));
/* What is wrong after that, for people. Valid as long as both. */
const char *queue_stats_trouble(redisContext *c, enum err err, const struct queue_stats *q);

#endif
