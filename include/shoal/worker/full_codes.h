/* Which start codes had no place left when a commit of this worker last counted. Who follows one of them is told so at
 * once, where each of them would cost a commit that fails. A changed limit comes through the cache; of a place that
 * became free nobody tells, so it is known for some seconds only, and then counted again. */
#ifndef SHOAL_WORKER_FULL_CODES_H
#define SHOAL_WORKER_FULL_CODES_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/model/facts.h"

#define FULL_CODES 256 /* what was counted longest ago makes room: to ask again costs a commit that fails */
#define FULL_CODE_MS 10000

/* Embedded in its owner; zeroed: none. Times are of clock_ms(). */
struct full_codes {
	struct full_code {
		int64_t id, max_uses, until_ms;
	} of[FULL_CODES];
};

/* max_uses: the limit that was reached. counted_ms: not later than it was counted. */
void full_codes_note(struct full_codes *f, int64_t id, int64_t max_uses, int64_t counted_ms);
/* No, where its limit is not the one that was reached. */
bool full_codes_has(const struct full_codes *f, const struct fact_code *c, int64_t now_ms);

#endif
