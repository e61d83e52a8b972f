/* What the fleet's updates took, of what its workers tell (store/latency.h). */
#ifndef SHOAL_ADMIN_PERFORMANCE_H
#define SHOAL_ADMIN_PERFORMANCE_H

#include "shoal/admin/roster.h"
#include "shoal/store/performance.h"

/* Added up, in the arena. What makes no sense is left out. */
struct performance *performance_of(const struct roster_answer *answer, struct arena *a);
/* Members of an object: "window_seconds", "count", "p50_ms", "p95_ms", "p99_ms", and "bots" with the same of each. */
void performance_put(struct json_writer *out, const struct performance *p);

#endif
