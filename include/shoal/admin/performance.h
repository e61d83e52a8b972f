/* What the fleet's updates took, of what its workers tell (store/latency.h). */
#ifndef SHOAL_ADMIN_PERFORMANCE_H
#define SHOAL_ADMIN_PERFORMANCE_H

#include "shoal/admin/roster.h"
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
	int64_t window_s;                                /* that the counts are of */
	struct performance_lines bots, commands, stages; /* a bot's line is of all its commands, and has no name */
	struct latency all;                              /* of all updates */
};

/* Added up, in the arena. What makes no sense is left out. */
struct performance *performance_of(const struct roster_answer *answer, struct arena *a);
/* Members of an object: "window_seconds", "count", "p50_ms", "p95_ms", "p99_ms", and "bots" with the same of each. */
void performance_put(struct json_writer *out, const struct performance *p);

#endif
