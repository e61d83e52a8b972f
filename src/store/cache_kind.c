#include "shoal/store/cache_kind.h"

#include <string.h>

const struct cache_def cache_defs[CACHE_KINDS] = {
    [CACHE_STARTCODE] = {.name = "startcode"},
    [CACHE_PERSONA] = {.name = "persona"},
    [CACHE_PLAYER] = {.name = "player"},
    [CACHE_STATIC] = {.name = "static"},
};

enum cache_kind cache_kind_find(const char *name)
{
	int kind = 0;

	while (kind < CACHE_KINDS && strcmp(cache_defs[kind].name, name) != 0)
		kind++;
	return (enum cache_kind)kind;
}
