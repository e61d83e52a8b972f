/* The worker: takes entries while there is room, runs them through the stages, many at once on one loop. Its life, from
 * its settings to its drain, is in worker.c; what it takes in taking.h; what it may lack in readiness.h. */
#ifndef SHOAL_WORKER_WORKER_H
#define SHOAL_WORKER_WORKER_H

#include "shoal/base/conf.h"
#include "shoal/base/metrics.h"
#include "shoal/io/http.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache.h"
#include "shoal/store/flood.h"
#include "shoal/store/queue.h"
#include "shoal/store/queue_stats.h"
#include "shoal/store/redis_check.h"
#include "shoal/store/shard_marks.h"
#include "shoal/store/shards.h"
#include "shoal/store/shards_health.h"
#include "shoal/worker/full_codes.h"
#include "shoal/worker/outlet.h"

struct fleet;
struct job;
struct names;
struct reach;
struct timings;

struct shard {
	struct queue *queue;
	struct redis_check check;
	char look[QUEUE_STATS_ID]; /* for what is nobody's: where it goes on */
};

struct worker {
	struct conf conf;
	struct arena arena;
	struct loop *loop;
	struct pg *pg;
	struct redis *redis; /* caches and limits */
	struct cache *cache;
	struct flood *flood;
	struct http *http;
	struct fleet *fleet;
	struct reach *reach;
	struct names *names;
	struct timings *timings;
	struct full_codes full_codes;
	struct shard shards[SHARDS_LIMIT];
	unsigned nshards, nleft, poked;
	int past; /* updates were done before this worker: -1: Postgres has not told yet */
	struct shards_health health;
	struct shard_marks marks; /* of the queue's shards; their queues tell, and ask */
	char id[80];

	struct job *ready, **ready_last; /* jobs that can go on */
	struct task ready_task;
	unsigned njobs;
	int64_t refused_ms; /* when somebody had last sent more than they may, or pressed a button twice */
	int64_t moved_ms;   /* when the last one ended, the first began, or a shard came (back) */
	struct outlet outlet;
	struct job *suspect; /* an entry that two workers have died of: runs alone */
	bool draining, leaving;
	struct timer drain_timer, tick;
	int64_t done;               /* settled since start */
	int64_t told_done, told_ms; /* of the last beacon */
	int64_t started_ms;

	struct metric *updates, *update_seconds, *stage_seconds, *sql_per_update, *platform_requests, *cut_off,
	    *unasked, *asked_again;
	struct series *inflight, *takeovers, *flood_wait, *clock_ahead;
};

int verb_worker(int argc, char **argv);

/* A job has ended: there is room. */
void worker_job_over(struct worker *w);

#endif
