/* The generations of the caches in Redis, as this process knows them. A generation names the server that began it, so
 * that what a restart or a failover brought back is never believed: an invalidation may have been lost with the old
 * server. To end a generation is to void all values of a cache at once. */
#ifndef SHOAL_STORE_CACHE_GEN_H
#define SHOAL_STORE_CACHE_GEN_H

#include <stdbool.h>

#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_kind.h"

struct cache_gen;

struct cache_gen_opts {
	struct loop *loop;
	struct redis *redis;
	void (*changed)(void *arg, enum cache_kind kind); /* another generation is in force than was known */
	void *arg;
};

struct cache_gen *cache_gen_open(const struct cache_gen_opts *opts);
void cache_gen_close(struct cache_gen *g); /* before Redis; NULL does nothing */

/* A new connection: asks the server who it is. Its answer comes before those of later commands. Asked again every two
 * seconds, since a server may be promoted under a connection. */
void cache_gen_redis_came(struct cache_gen *g);

/* Who the server is, "" while it has not said. */
const char *cache_gen_server(const struct cache_gen *g);
/* The generation read together with a value: whether it is one of this server, and if so, known from now on.
 * False: cache_gen_renew first. */
bool cache_gen_see(struct cache_gen *g, enum cache_kind kind, struct span generation);
/* The one that is known, "" if none. Valid until the next change. */
struct span cache_gen_known(const struct cache_gen *g, enum cache_kind kind);
/* "GENERATION|TEXT" of the known generation: true, and the text. */
bool cache_gen_strip(const struct cache_gen *g, enum cache_kind kind, struct span value, struct span *text);

/* Makes a generation be in force, and known. `end`: a new one, whatever there was; change: unless it was ended for this
 * change before (its name, as of cache_void.h; NULL: no matter). fn: ERR_OK when it is; called in any case,
 * in a later turn, also after cache_gen_close. */
typedef void cache_gen_fn(void *arg, enum err err);
void cache_gen_renew(struct cache_gen *g, enum cache_kind kind, bool end, const char *change, cache_gen_fn *fn,
                     void *arg);

/* From the text of INFO: the server's identity, 16 characters and NUL. False: it does not tell. */
#define CACHE_IDENT_SIZE 17
bool cache_gen_ident(struct span info, char out[CACHE_IDENT_SIZE]);
/* On a blocking connection: the server's identity. ERR_DENIED: it does not tell. */
enum err cache_gen_ident_now(redisContext *c, char out[CACHE_IDENT_SIZE]) __attribute__((warn_unused_result));
/* The same: ends the generation that is in force. */
enum err cache_gen_end_now(redisContext *c, enum cache_kind kind) __attribute__((warn_unused_result));

#endif
