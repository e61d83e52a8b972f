/* Which start codes had no place left when a commit of this worker last counted. Who follows one of them is told so at
 * once, where each of them would cost a commit that fails. Changes of a code come through the cache at once; of a place
 * that became free nobody tells, so it is known for some seconds only, and then counted again. */
#ifndef SHOAL_WORKER_FULL_CODES_H
#define SHOAL_WORKER_FULL_CODES_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/model/facts.h"

#define FULL_CODES 64 /* the oldest makes room: one more costs a commit that fails */
#define FULL_CODE_MS 10000

/* Embedded in its owner; zeroed: none. */
struct full_codes {
	struct full_code {
		int64_t id, max_uses;
		int64_t until_ms; /* clock_ms() */
	} of[FULL_CODES];
	unsigned next;
};

void full_codes_note(struct full_codes *f, const struct fact_code *c, int64_t now_ms);
/* No, where its limit is not the one that was reached. */
bool full_codes_has(const struct full_codes *f, const struct fact_code *c, int64_t now_ms);

#endif
