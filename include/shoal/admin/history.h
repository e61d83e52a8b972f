/* GET /api/history: the last hour in steps of five seconds, for who comes only when something is wrong. It is of this
 * server's own memory, and begins with it.
 *
 *   {"step_seconds":5,"columns":["at","per_second",...],"rows":[[...],...]}     oldest first; null: not known then */
#ifndef SHOAL_ADMIN_HISTORY_H
#define SHOAL_ADMIN_HISTORY_H

#include "shoal/store/latency.h"
#include "shoal/store/queue_stats.h"

enum { HISTORY_STEP_MS = 5000 };

/* One look at the fleet; what is below 0 is not known. */
enum sample_value {
	SAMPLE_PER_SECOND,
	SAMPLE_IN_FLIGHT,
	SAMPLE_LENGTH,
	SAMPLE_WAITING,
	SAMPLE_OLDEST_SECONDS,
	SAMPLE_DEAD,
	SAMPLE_P50_MS,
	SAMPLE_P95_MS,
	SAMPLE_P99_MS,
	SAMPLE_VALUES
};
struct sample {
	double v[SAMPLE_VALUES];
};

struct sample sample_none(void);
void history_of_queue(struct sample *s, const struct queue_stats *total);
void history_of_workers(struct sample *s, double per_second, int64_t in_flight, const struct latency *all);

struct history;

struct history *history_open(void);
void history_close(struct history *h);
/* Kept where the step of the last one is over. */
void history_add(struct history *h, const struct sample *s);

#endif
