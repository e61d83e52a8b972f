/* The fleet at a glance, for `shoal status`: what one look sees, and how it is shown. */
#ifndef SHOAL_CLI_STATUS_H
#define SHOAL_CLI_STATUS_H

#include "shoal/cli/session.h"
#include "shoal/store/beacons.h"
#include "shoal/store/cache_report.h"
#include "shoal/store/performance.h"
#include "shoal/store/queue_stats.h"

enum { STATUS_JOBS_MAX = 16 };

struct status_server {
	const char *name; /* "queue", or "queue 0" of several; "caches", "postgres" */
	const char *why;  /* it cannot be asked; NULL: it answers */
	double ms;        /* the time that its answer took */
};

/* A job of the fleet, of the workers that are alive, since each of them began. */
struct status_job {
	const char *name;
	bool running;
	int64_t done, failed;
	int64_t ended_ms; /* the last run's; 0: none yet */
};

struct status {
	struct arena *arena;
	int64_t at_ms;
	struct status_server *servers; /* the shards first, in their order */
	size_t nservers;
	unsigned nshards;
	struct queue_stats *shards; /* of those that answer */
	struct queue_stats total;
	/* what the workers tell in the caches' Redis; told: it answered. Else nothing of this is known, and 0 is no
	 * number */
	bool told;
	struct beacons workers;
	int64_t in_flight, in_flight_max, done, flood_waiting, flood_waits;
	double per_second;
	struct performance performance;
	struct cache_report caches[CACHE_KINDS];
	struct status_job jobs[STATUS_JOBS_MAX];
	size_t njobs;
};

bool status_all_up(const struct status *s);
/* 0: not told, or it cannot be */
int64_t status_count(const cJSON *worker, const char *name);
double status_number(const cJSON *worker, const char *name);

/* Connections that are kept from look to look; one that is lost is made anew by the next. */
struct status_eye;

/* session_conf included. NULL after saying what is wrong with the configuration. Closed with the session's arena. */
struct status_eye *status_eye_open(struct session *s);
/* All that can be asked now; what cannot is in out->servers. It lives in a, and in out->workers, which status_release
 * frees. */
void status_look(struct status_eye *e, struct arena *a, struct status *out);
void status_release(struct status *s);
/* After a look: why the list of shards is not the workers', by the first one that is reached and tells; NULL: it is. */
const char *status_foreign(const struct status_eye *e, unsigned *shard, struct arena *a);

/* One object. */
void status_json(const struct status *s, struct buf *out);
/* For people: lines of at most `width` columns, and no more than `height` of them where that is not 0. styled: bold
 * heads, and red what is wrong. */
void status_text(const struct status *s, struct buf *out, size_t width, size_t height, bool styled);
/* The gist, in one line. */
void status_line(const struct status *s, struct buf *out);

#endif
