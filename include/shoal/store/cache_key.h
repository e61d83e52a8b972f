/* The names of the caches' keys in Redis. All of them lie in one slot of a cluster.
 *
 *   shoal:{cache}:v:KIND:KEY    a value: "GENERATION|TEXT"; TEXT as sql/queries/cache_KIND tells it, "" where there is
 * none shoal:{cache}:v:KIND        the generation of this cache; a value of another one is void shoal:{cache}:v:fence:X
 * never stays: see cache_void.h shoal:{cache}:l:KIND:KEY    lease: a token of who fills the value now
 *   shoal:{cache}:told:X        a change of the database that was told already
 *   shoal:{cache}:trusts, :deaf:X, :since, :listening    see cache_track.h, cache_void.h, cache_listen.h
 *
 * KEY "%" is the mark of a whole load; for start codes it holds all codes. Tracking covers ":v:" alone. */
#ifndef SHOAL_STORE_CACHE_KEY_H
#define SHOAL_STORE_CACHE_KEY_H

#include <stdbool.h>

#include "shoal/base/str.h"
#include "shoal/store/cache_kind.h"

#define CACHE_TRACKED "shoal:{cache}:v:"
#define CACHE_TRUSTS "shoal:{cache}:trusts"
#define CACHE_HOME CACHE_TRUSTS /* all keys of the caches' Redis are in the slot of this one: redis_opts.home */
#define CACHE_SINCE "shoal:{cache}:since"
#define CACHE_TRUST_MS "2000" /* for how long a memory is believed after a question was answered */
#define CACHE_WHOLE "%"
#define CACHE_TOLD_MS "60000" /* for how long a change is not told again */
enum {
	CACHE_KEY_BYTES = 255, /* of a KEY */
	CACHE_NAME_BYTES = 512 /* of the whole name, with NUL */
};

/* Whether it may be looked up: not empty, not too long, UTF-8 without a zero byte. */
bool cache_key_valid(struct span key);

/* Into out[CACHE_NAME_BYTES]; the span is of it. The key must be valid. */
struct span cache_key_value(char *out, enum cache_kind kind, struct span key);
struct span cache_key_lease(char *out, enum cache_kind kind, struct span key);
struct span cache_key_generation(char *out, enum cache_kind kind);
/* "shoal:{cache}:PART:X" */
struct span cache_key_other(char *out, const char *part, struct span x);

/* What a tracked name is. */
enum cache_key_is { CACHE_KEY_ALIEN, CACHE_KEY_VALUE, CACHE_KEY_GENERATION, CACHE_KEY_FENCE };
/* *rest: KEY of a value, X of a fence; a part of name. */
enum cache_key_is cache_key_read(struct span name, enum cache_kind *kind, struct span *rest);

#endif
