#include "shoal/worker/full_codes.h"

static bool is_same(const struct full_code *known, const struct fact_code *c)
{
	return known->id == c->id && known->max_uses == c->max_uses;
}

void full_codes_note(struct full_codes *f, const struct fact_code *c, int64_t counted_ms)
{
	struct full_code *to = f->of;

	if (!c->limited) /* not as the cache has it: the limit that was reached is new */
		return;
	for (struct full_code *known = f->of; known < f->of + FULL_CODES; known++) {
		if (is_same(known, c)) {
			to = known;
			break;
		}
		to = known->until_ms < to->until_ms ? known : to;
	}
	*to = (struct full_code){.id = c->id, .max_uses = c->max_uses, .until_ms = counted_ms + FULL_CODE_MS};
}

bool full_codes_has(const struct full_codes *f, const struct fact_code *c, int64_t now_ms)
{
	for (const struct full_code *known = f->of; c->limited && known < f->of + FULL_CODES; known++) {
		if (is_same(known, c))
			return now_ms < known->until_ms;
	}
	return false;
}
