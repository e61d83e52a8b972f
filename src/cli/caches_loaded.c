#include "shoal/cli/caches_loaded.h"

#include "shoal/base/clock.h"
#include "shoal/store/cache_key.h"

/* The list of all keys is written last, and lives as long as the values: its age is that of the load. */
static int64_t began(int64_t lives_ms, int64_t ttl_s)
{
	int64_t age = cache_life_ms(ttl_s) - lives_ms;

	return lives_ms < 0 || age < 0 ? 0 : clock_wall_ms() - age;
}

bool caches_loaded_ask(struct caches_link *l, enum cache_kind kind, int64_t ttl_s, struct caches_loaded *out)
{
	struct cache_shown list;
	const redisReply *r;

	*out = (struct caches_loaded){.how = "one by one"};
	if (!cache_defs[kind].all)
		return true;
	r = caches_link_ask(l, cache_show_call(l->s->a, kind, SPAN(CACHE_WHOLE)), l->s->a);
	if (!r || !caches_link_done(l, cache_show_read(r, l->ident, l->s->a, &list)))
		return false;
	if (list.holds != CACHE_HOLDS_VALUE) {
		out->how = "no";
		return true;
	}
	if (!span_is(list.text, "many"))
		out->how = "whole";
	out->at_ms = began(list.lives_ms, ttl_s);
	return true;
}
