#include "shoal/worker/full_codes.h"

static bool is_same(const struct full_code *known, const struct fact_code *c)
{
	return known->id == c->id && known->max_uses == c->max_uses;
}

void full_codes_note(struct full_codes *f, const struct fact_code *c, int64_t now_ms)
{
	struct full_code *to = NULL;

	for (struct full_code *known = f->of; known < f->of + FULL_CODES && !to; known++)
		to = is_same(known, c) ? known : NULL;
	if (!to)
		to = &f->of[f->next++ % FULL_CODES];
	*to = (struct full_code){.id = c->id, .max_uses = c->max_uses, .until_ms = now_ms + FULL_CODE_MS};
}

bool full_codes_has(const struct full_codes *f, const struct fact_code *c, int64_t now_ms)
{
	for (const struct full_code *known = f->of; c->limited && known < f->of + FULL_CODES; known++) {
		if (is_same(known, c))
			return now_ms < known->until_ms;
	}
	return false;
}
