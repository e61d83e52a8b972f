/* One connection to one Redis server, kept up: reconnect with backoff (50 ms doubling to 1 s, jitter), name resolved
 * again each time, AUTH and SELECT before anything else; a replica is no server to be connected with. READONLY,
 * LOADING, MASTERDOWN, CLUSTERDOWN, MISCONF and the like count as down: the connection is dropped and made anew. In a
 * Redis Cluster it goes to whoever has `home` (MOVED); behind Sentinels to whom they call the master. Commands are
 * pipelined in call order; callbacks come in that order. */
#ifndef SHOAL_IO_REDIS_H
#define SHOAL_IO_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/loop.h"

struct redis;

struct redis_opts {
	const char *url;  /* as redis_url_check takes it */
	const char *home; /* a key of those that are asked for: all must be in its slot; NULL: no matter which server */
	const char *label;   /* for logs and shoal_errors_total{peer}: a literal such as "queue" */
	unsigned timeout_ms; /* per command: older than this without an answer drops the connection; 0: none (blocking
	                        commands have a connection of their own) */
	void (*on_up)(void *arg);                 /* ready for commands; may send some */
	void (*on_down)(void *arg, enum err why); /* once per loss, after the callbacks of the lost commands */
	/* A connection that subscribes: every message (RESP2, an array that starts with "message" or "pmessage"). One
	 * channel per SUBSCRIBE, whose own answer comes to its callback; PING is the only other command it may use.
	 * reply is valid during the call. */
	void (*on_push)(void *arg, const redisReply *reply);
	void *arg;
};

/* redis://[user:pass@]host[:port][/db], rediss://, unix:///path[?db=N]; a cluster
 * redis://...?shards=N[&node=host:port], Sentinels redis+sentinel://.../name[/db][?node=host:port]. ERR_INVALID with a
 * reason in *why (in the arena) when it cannot be used, e.g. rediss:// without TLS support. */
enum err redis_url_check(const char *url, struct arena *a, const char **why) __attribute__((warn_unused_result));

/* Starts connecting; never fails itself. opts is copied, the strings too. */
struct redis *redis_open(struct loop *l, const struct redis_opts *opts);
/* Waiting commands get ERR_UNKNOWN (never sent: ERR_UNREACHABLE) inside this call, then no callback comes any more.
 * May be called from any callback of r; NULL does nothing. */
void redis_close(struct redis *r);
bool redis_up(const struct redis *r);
/* NULL: it is up; else why not, as far as is known. Valid until the next turn of the loop. */
const char *redis_trouble(const struct redis *r);
/* Cut and reconnect, e.g. when a late answer must not count. The callbacks come in a later turn. */
void redis_drop(struct redis *r, const char *reason);

/* reply: valid during the call, NULL unless err is ERR_OK or ERR_REFUSED (an error reply of the server, text in
 * reply->str). ERR_UNREACHABLE: it was not sent whole, or the server said that it did nothing
 * (READONLY, MOVED ...). ERR_FULL: OOM, nothing done. ERR_DENIED: credentials or rights. ERR_TOO_LONG: more than 256
 * MiB, not sent. ERR_UNKNOWN / ERR_TIMEOUT: the connection went while it was under way. */
typedef void redis_fn(void *arg, enum err err, const redisReply *reply);

/* argv is copied. fn may be NULL. While the connection is down it fails with ERR_UNREACHABLE at once (in a later turn
 * of the loop); nothing is queued for later. */
void redis_call(struct redis *r, redis_fn *fn, void *arg, size_t argc, const struct span *argv);

/* What an error reply means; *down when the server cannot serve and the connection is to be made anew. Errors inside
 * scripts count as what they are. The one place for it. */
enum err redis_classify(const char *text, bool *down);

/* A server-side script. The first call on a connection sends the text, later ones the digest; should the server forget
 * it meanwhile (SCRIPT FLUSH), the call is sent again as text and its callback comes later than its turn. */
struct redis_script {
	const char *name; /* embedded file, "lua/turn.lua" */
	struct span text; /* filled at first use, as is sha */
	char sha[41];
};
void redis_eval(struct redis *r, struct redis_script *s, redis_fn *fn, void *arg, size_t nkeys, size_t argc,
                const struct span *argv); /* argv: keys first */

/* Blocking client for the CLI (same URLs and home). Its questions wait for REDIS_NOW_S, or so many seconds. NULL with
 * *why set (in a) when it cannot be reached. */
#define REDIS_NOW_S 5
redisContext *redis_connect_now(const char *url, const char *home, struct arena *a, const char **why);
redisContext *redis_connect_within(unsigned seconds, const char *url, const char *home, struct arena *a,
                                   const char **why);
/* Of one whose err is not 0: what is wrong, for people. Valid as long as the context. */
const char *redis_trouble_now(redisContext *c);
/* Runs a script on it. *reply is the caller's to free with freeReplyObject; NULL where no answer came (the reason is in
 * redis_trouble_now). The errors are those of redis_fn, by the same rules; ERR_UNKNOWN: it may have been done, or not.
 */
enum err redis_eval_now(redisContext *c, struct redis_script *s, size_t nkeys, size_t argc, const struct span *argv,
                        redisReply **reply) __attribute__((warn_unused_result));

#endif
