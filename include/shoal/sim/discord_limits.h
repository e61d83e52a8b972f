/* Discord's own limits: a window of calls for each route and what it is about, one for all calls in the bot's name, and
 * the count of invalid answers. */
#ifndef SHOAL_SIM_DISCORD_LIMITS_H
#define SHOAL_SIM_DISCORD_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* limit 0: none. Discord does not promise any numbers; these are about what it tells in its headers. */
struct dc_quota {
	unsigned limit;
	unsigned window_ms;
};

/* What the headers say. */
struct dc_allowance {
	unsigned limit, remaining; /* limit 0: no headers */
	int64_t reset_us;          /* from now until the window ends */
	char bucket[20];
};

struct dc_limits;

struct dc_limits *dc_limits_new(void);
void dc_limits_free(struct dc_limits *l);
void dc_limits_clear(struct dc_limits *l);

/* Takes one call from the window of this route (an index) and major parameter. False: it is used up; reset_us tells how
 * long. */
bool dc_limits_take(struct dc_limits *l, const struct dc_quota *q, unsigned route, int64_t major, int64_t now_us,
                    struct dc_allowance *out);
/* One call from the 50 a second of the bot. 0: taken; else microseconds to wait. */
int64_t dc_limits_take_global(struct dc_limits *l, int64_t now_us);

/* An answer of 401, 403 or 429. */
void dc_limits_invalid(struct dc_limits *l, int64_t now_us);
/* How many there were in the last ten minutes; *total: ever. */
size_t dc_limits_invalid_count(struct dc_limits *l, int64_t now_us, uint64_t *total);

#endif
