/* Which server a connection goes to next: the one of its URL; in a cluster the one that has its key, which any node
 * names (MOVED); behind Sentinels the one that they take for the master. For the files of io/ that connect. */
#ifndef SHOAL_IO_REDIS_FIND_H
#define SHOAL_IO_REDIS_FIND_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "shoal/io/redis_url.h"

#define REDIS_HOST_MAX 254

struct redis_spot {
	char host[REDIS_HOST_MAX]; /* a name or a numeric address */
	int port;
};

struct redis_find {
	const struct redis_url *url;
	struct redis_spot told; /* where to look next */
	bool is_told;
	unsigned hops;            /* that were told since the last one that nobody told */
	struct redis_spot *known; /* all nodes: of the URL, then what the cluster told of itself */
	unsigned nknown, at;
};

/* url outlives it. */
void redis_find_init(struct redis_find *f, const struct redis_url *url);
void redis_find_release(struct redis_find *f);

/* Where to connect now; *sentinel: to ask there, by redis_find_question, for the server. Only where the URL has no
 * path. */
struct redis_spot redis_find_next(struct redis_find *f, bool *sentinel);

/* An error of the server at `from`. True: it is "MOVED ...", of a cluster, and the next one is where it leads to, which
 * may be tried at once. */
bool redis_find_moved(struct redis_find *f, const struct redis_spot *from, const char *error);
/* "MOVED ..." where the URL says nothing of a cluster: what to do, for people. NULL: it is something else. */
const char *redis_find_hint(const struct redis_find *f, const char *error);

/* SENTINEL GET-MASTER-ADDR-BY-NAME. What it answers: NULL, and the next one is the server, or what is wrong. */
#define REDIS_FIND_WORDS 3
void redis_find_question(const struct redis_find *f, const char *words[REDIS_FIND_WORDS]);
const char *redis_find_answer(struct redis_find *f, const redisReply *reply);

/* The answer of the server at `from` to CLUSTER SLOTS: all nodes that may be asked when it is gone. Anything else is
 * passed over. */
void redis_find_learn(struct redis_find *f, const struct redis_spot *from, const redisReply *reply);

/* The answer to ROLE. NULL: it may be used as far as that tells, else what it is instead of a master. */
const char *redis_find_role(const redisReply *reply);

#endif
