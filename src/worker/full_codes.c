#include "shoal/worker/full_codes.h"

void full_codes_note(struct full_codes *f, int64_t id, int64_t max_uses, int64_t counted_ms)
{
	struct full_code *to = f->of;

	for (struct full_code *known = f->of; known < f->of + FULL_CODES; known++) {
		if (known->id == id && known->max_uses == max_uses) {
			to = known;
			break;
		}
		to = known->until_ms < to->until_ms ? known : to;
	}
	*to = (struct full_code){.id = id, .max_uses = max_uses, .until_ms = counted_ms + FULL_CODE_MS};
}

bool full_codes_has(const struct full_codes *f, const struct fact_code *c, int64_t now_ms)
{
	for (const struct full_code *known = f->of; c->limited && known < f->of + FULL_CODES; known++) {
		if (known->id == c->id && known->max_uses == c->max_uses)
			return now_ms < known->until_ms;
	}
	return false;
}
