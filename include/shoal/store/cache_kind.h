/* The caches, by kind and by name (SPEC 2, "Caches by name"), and the statements that fill them. Pages of the
 * leaderboard are kept in the same way, and end together when it is made anew, but are none of those that operators
 * see. */
#ifndef SHOAL_STORE_CACHE_KIND_H
#define SHOAL_STORE_CACHE_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/str.h"

enum cache_kind { CACHE_STARTCODE, CACHE_PERSONA, CACHE_PLAYER, CACHE_STATIC, CACHE_BOARD, CACHE_KINDS };
#define CACHE_NAMED CACHE_BOARD /* those before it are called by name */

struct cache_def {
	const char *name; /* "startcode" */
	const char *keys; /* what its keys are, for people */
	const char *one;  /* in sql/queries: $1 a key; its row is (key, text), none where there is none */
	const char
	    *all; /* $1, if any: the most values that are loaded whole; rows as of `one`, and one of key "%" with a JSON
	             array  of all keys, or only that one with the word `many`. NULL: never loaded whole */
	unsigned whole_max; /* where there are more values than this they are filled one by one */
};
extern const struct cache_def cache_defs[CACHE_KINDS];

/* False: there is no such cache. */
bool cache_kind_find(struct span name, enum cache_kind *out) __attribute__((warn_unused_result));

/* For how long a value that nobody changes is remembered, of what is configured; 0: for ever. */
int64_t cache_ttl_s(enum cache_kind kind, int64_t player_ttl_s, int64_t code_ttl_s);
/* Of a list of all keys in Redis, where values live so long (0: for ever); its age tells when they were loaded. Values
 * themselves have no end there that nobody has set: among many that end late Redis does not find those that end at
 * once, such as the limits of people, and keeps and removes them one by one where they are asked for. What is left of
 * them is removed by a job of the fleet. */
int64_t cache_whole_ms(int64_t life_ms);

#endif
