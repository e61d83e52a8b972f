#include "shoal/store/cache_kind.h"

const struct cache_def cache_defs[CACHE_KINDS] = {
    [CACHE_STARTCODE] = {"startcode", "cache_startcode", "cache_startcode_all"},
    [CACHE_PERSONA] = {"persona", "cache_persona", "cache_persona_all"},
    [CACHE_PLAYER] = {"player", "cache_player", NULL},
    [CACHE_STATIC] = {"static", "cache_static", "cache_static_all"},
};

bool cache_kind_find(struct span name, enum cache_kind *out)
{
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		if (!span_is(name, cache_defs[kind].name))
			continue;
		*out = (enum cache_kind)kind;
		return true;
	}
	return false;
}
