/* Start codes and personas as the cache holds them, JSON made by cache_startcodes and cache_personas, to facts. */
#ifndef SHOAL_STORE_CACHE_JSON_H
#define SHOAL_STORE_CACHE_JSON_H

#include "shoal/base/arena.h"
#include "shoal/base/str.h"
#include "shoal/model/facts.h"

/* False, with nothing found, when it is not such JSON. Texts live in the arena. */
bool cache_json_code(struct span json, struct arena *a, struct fact_code *out) __attribute__((warn_unused_result));
bool cache_json_persona(struct span json, struct arena *a, struct fact_persona *out)
    __attribute__((warn_unused_result));

#endif
