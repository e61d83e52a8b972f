/* What an operator asks of the caches in Redis: which values there are, and what is about one of them; and the removal
 * of what is void. Each question is a call that is built here, sent by the caller in either way (redis_eval(r,
 * c->script, fn, arg, c->nkeys, c->argc, c->argv), or redis_eval_now), and whose answer is read here. One call is
 * bounded work for Redis. To forget values: cache_void.h, cache_gen.h. */
#ifndef SHOAL_STORE_CACHE_ADMIN_H
#define SHOAL_STORE_CACHE_ADMIN_H

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_kind.h"

/* Lives in the arena, which must not go before it is sent. */
struct cache_call {
	struct redis_script *script;
	size_t nkeys, argc;
	struct span *argv; /* keys first */
};

/* --- which keys there are */

struct cache_name {
	enum cache_kind kind;
	struct span key;
};

struct cache_names {
	const char *cursor; /* NULL: that was all */
	struct cache_name *v;
	size_t n; /* of a call often none; what is there from the first call to the last is named, once or more */
};

/* Of all caches; cursor NULL begins. */
struct cache_call *cache_scan_call(struct arena *a, const char *cursor);
/* Of one: keys that match the pattern (as of KEYS and SCAN: * ? [abc] \), which must be valid as a key. filling: also
 * those that are only being filled. */
struct cache_call *cache_match_call(struct arena *a, enum cache_kind kind, struct span pattern, bool filling,
                                    const char *cursor);
enum err cache_names_read(const redisReply *r, struct arena *a, struct cache_names *out)
    __attribute__((warn_unused_result));
bool cache_is_pattern(struct span key); /* it has one of * ? [ \ */

/* --- what is under them */

enum cache_holds {
	CACHE_HOLDS_NOTHING,
	CACHE_HOLDS_VOID, /* of a generation that has ended */
	CACHE_HOLDS_NEGATIVE,
	CACHE_HOLDS_VALUE
};

struct cache_seen {
	enum cache_holds holds;
	int64_t bytes; /* in Redis, with its name and what it takes to keep it */
};

/* ident: of this server (cache_gen.h). sweep: void ones are removed; that they were is told all the same. */
struct cache_call *cache_look_call(struct arena *a, const char *ident, enum cache_kind kind, const struct span *keys,
                                   size_t n, bool sweep);
/* Into out[n]. */
enum err cache_look_read(const redisReply *r, struct cache_seen *out, size_t n) __attribute__((warn_unused_result));

/* --- one value */

struct cache_shown {
	struct span generation; /* in force; ptr NULL: none */
	enum cache_holds holds;
	struct span text;       /* of CACHE_HOLDS_VALUE */
	int64_t lives_ms;       /* -1: for ever, -2: nothing is there */
	int64_t filling_ms;     /* somebody fills it, and has so long; -2: nobody */
	int64_t filling_all_ms; /* the same of the whole cache */
};

struct cache_call *cache_show_call(struct arena *a, enum cache_kind kind, struct span key);
enum err cache_show_read(const redisReply *r, const char *ident, struct arena *a, struct cache_shown *out)
    __attribute__((warn_unused_result));

#endif
