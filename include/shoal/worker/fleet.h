/* Jobs of the fleet: what has to be done now and then by one worker, whichever. Every worker looks, about every 10 s,
 * which jobs are due; who gets a job's lock runs it. The lock spares double work and is not trusted for more: every job
 * is safe when two run at once.
 *
 * In the caches' Redis: "shoal:{cache}:lock:job:NAME" while it runs, "shoal:{cache}:job:NAME:last" = time of the last
 * run's end, which expires when the job is due again. Both may be lost: then it runs once more. */
#ifndef SHOAL_WORKER_FLEET_H
#define SHOAL_WORKER_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/err.h"
#include "shoal/base/json.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"

struct fleet;

/* One run of a job, as its steps see it. */
struct fleet_run {
	struct pg *pg; /* of a patient job: its own */
	struct redis *redis;
	struct redis *const *shards; /* of the queue: shard n's is shards[n] */
	unsigned nshards;
	unsigned at;      /* the steps' own note of how far the run is; 0 at its start */
	int64_t found;    /* and of what they found out */
	char from[64];    /* and of where the next batch begins; "" at its start */
	const void *list; /* and of what they work through */
};

struct fleet_job {
	const char *name;  /* a literal: key, metrics label, log */
	unsigned period_s; /* from a run's end to the next one, at least; also after a run that failed */
	bool hurried;      /* people wait for it: where its worker dies another one takes over within seconds */
	bool patient;      /* its statements may take minutes: each run has a connection of its own */
	/* A small part of the work, such as one batch. Ends, in a later turn of the loop, with one of the calls below;
	 * while there is more it is called again after a pause, unless the lock is lost or the worker drains. */
	void (*step)(struct fleet_run *run);
};
/* The program's jobs; the last has no name. */
extern const struct fleet_job fleet_jobs[];

/* rows: removed, cleared or appended for by this step. */
void fleet_step_done(struct fleet_run *run, int64_t rows, bool more);
/* Ends the run. why is for the log. */
void fleet_step_failed(struct fleet_run *run, enum err err, const char *why);

struct fleet_opts {
	struct loop *loop;
	struct pg *pg;       /* no job begins while it is down */
	struct redis *redis; /* the same */
	struct redis *const *shards;
	unsigned nshards;   /* at least 1 */
	const char *pg_url; /* for patient jobs; not of a pooler */
	/* Not now, though both are up; a run that has begun goes on. May be NULL. */
	bool (*unfit)(const void *arg);
	const void *arg;
	const struct fleet_job *jobs;
};

struct fleet *fleet_open(const struct fleet_opts *opts);
/* Begins nothing any more and gives the locks back; a step under way comes to its end. fn, in a later turn, once Redis
 * has answered or could not be asked. Once only. */
void fleet_stop(struct fleet *f, void (*fn)(void *arg), void *arg);
/* How this worker's part of each job stands: an array of {"job","running","done","failed","ended_ms"}, since it began.
 */
void fleet_put(const struct fleet *f, struct json_writer *out);
/* After fleet_stop, its callback, and the closing of pg, redis and the shards. */
void fleet_free(struct fleet *f);

#endif
