#include "shoal/cli/caches_loaded.h"

#include "shoal/store/cache_key.h"

bool caches_loaded_ask(struct caches_link *l, enum cache_kind kind, int64_t ttl_s, struct cache_loaded *out)
{
	struct cache_shown list = {.holds = CACHE_HOLDS_NOTHING};
	const redisReply *r;

	if (cache_defs[kind].all) {
		r = caches_link_ask(l, cache_show_call(l->s->a, kind, SPAN(CACHE_WHOLE)), l->s->a);
		if (!r || !caches_link_done(l, cache_show_read(r, l->ident, l->s->a, &list)))
			return false;
	}
	*out = cache_loaded_of(kind, &list, ttl_s);
	return true;
}
