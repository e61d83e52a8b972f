#include "shoal/store/cache_kind.h"

const struct cache_def cache_defs[CACHE_KINDS] = {
    [CACHE_STARTCODE] = {"startcode", "codes, and #ID of each", "cache_startcode", "cache_startcode_all", 1000},
    [CACHE_PERSONA] = {"persona", "ids, and default", "cache_persona", "cache_persona_all", 1000},
    [CACHE_PLAYER] = {"player", "Discord ids", "cache_player", NULL, 0},
    [CACHE_STATIC] = {"static", "maps, races, regions, countries", "cache_static", "cache_static_all", 4},
    [CACHE_BOARD] = {"board", "RACE|REGION|COUNTRY|PAGE", "cache_board", NULL, 0},
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

int64_t cache_ttl_s(enum cache_kind kind, int64_t player_ttl_s, int64_t code_ttl_s)
{
	switch (kind) {
	case CACHE_PLAYER: return player_ttl_s;
	case CACHE_STARTCODE:
	case CACHE_PERSONA: return code_ttl_s;
	case CACHE_BOARD: return 120; /* twice as long as it lasts where somebody plays */
	default: return 0;
	}
}

int64_t cache_whole_ms(int64_t life_ms)
{
	const int64_t day_ms = 24LL * 3600 * 1000;

	return life_ms ? life_ms : day_ms;
}
