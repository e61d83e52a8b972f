/* What the fleet's updates took, added up of what its workers tell (store/latency.h). */
#ifndef SHOAL_STORE_PERFORMANCE_H
#define SHOAL_STORE_PERFORMANCE_H

#include "shoal/base/arena.h"
#include "shoal/base/json.h"
#include "shoal/store/latency.h"

enum { PERFORMANCE_LINES = 1024 };

/* One command or stage of one bot. */
struct performance_line {
	const char *bot, *name;
	struct latency took;
};

struct performance_lines {
	struct performance_line **v;
	size_t n;
};

struct performance {
	struct arena *arena;                             /* that all of it lives in */
	int64_t window_s;                                /* that the counts are of */
	struct performance_lines bots, commands, stages; /* a bot's line is of all its commands, and has no name */
	struct latency all;                              /* of all updates */
};

void performance_init(struct performance *p, struct arena *a);
/* What one worker told; nothing where ptr is NULL. What makes no sense is left out. */
void performance_add(struct performance *p, struct span timing);
/* After the last: sums, in order. */
void performance_sum(struct performance *p);

/* "p50_ms", "p95_ms", "p99_ms": members of an object; null of nothing. */
void performance_put_quantiles(struct json_writer *out, const struct latency *l);

#endif
