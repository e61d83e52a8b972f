/* Where a Redis server is and how to log in, read from a URL. For the files of io/ that connect. */
#ifndef SHOAL_IO_REDIS_URL_H
#define SHOAL_IO_REDIS_URL_H

#include <stdbool.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

#define REDIS_NODES_MAX 64

/* host: a name or a numeric address, without brackets. */
struct redis_place {
	const char *host;
	int port;
};

struct redis_url {
	bool tls;
	const char *path; /* of a unix socket; else NULL */
	struct redis_place
	    nodes[REDIS_NODES_MAX]; /* none with a path; else the first is before the /, others are ?node= */
	unsigned nnodes;
	int shards;         /* of ?shards=, so that it is a Redis Cluster; 0: none */
	const char *master; /* the nodes are Sentinels, which know the server by this name; NULL: they are servers */
	const char *user, *pass; /* decoded; NULL: not given */
	int db;
	const char *name; /* "redis://host:port/0": for logs, without credentials */
};

/* redis://[user:pass@]host[:port][/db], rediss:// likewise, unix:///path[?db=N]; everything percent-encoded where need
 * be. A cluster: ?shards=N, and for each more of its nodes &node=host[:port]. Sentinels: redis+sentinel:// or
 * rediss+sentinel://[user:pass@]host[:port]/name[/db][?node=host[:port]]; user and password are the server's, and
 * offered to the Sentinels, too. ERR_INVALID with *why, which never shows a secret. The texts live in the arena. */
enum err redis_url_parse(const char *url, struct redis_url *out, struct arena *a, const char **why)
    __attribute__((warn_unused_result));

#endif
