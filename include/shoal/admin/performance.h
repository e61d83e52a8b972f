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
	int64_t window_s; /* that the counts are of */
	struct performance_lines commands, stages;
	struct latency all; /* of all updates */
};

/* Added up, in the arena. What makes no sense is left out. */
struct performance *performance_of(const struct roster_answer *answer, struct arena *a);
/* "p50_ms", "p95_ms" and "p99_ms", members of an object; null of nothing. */
void performance_put_quantiles(struct json_writer *out, const struct latency *l);

#endif
