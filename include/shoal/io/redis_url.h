/* Where a Redis server is and how to log in, read from a URL. For the files of io/ that connect. */
#ifndef SHOAL_IO_REDIS_URL_H
#define SHOAL_IO_REDIS_URL_H

#include <stdbool.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

struct redis_url {
	bool tls;
	const char *path; /* of a unix socket; else NULL */
	const char *host; /* a name or a numeric address, without brackets; NULL with a path */
	int port;
	const char *user, *pass; /* decoded; NULL: not given */
	int db;
	const char *name; /* "redis://host:port/0": for logs, without credentials */
};

/* redis://[user:pass@]host[:port][/db], rediss:// likewise, unix:///path[?db=N]; everything percent-encoded where need
 * be. ?shards=N is the queue's and only looked at for being a number. ERR_INVALID with *why, which never shows a
 * secret. The texts live in the arena. */
enum err redis_url_parse(const char *url, struct redis_url *out, struct arena *a, const char **why)
    __attribute__((warn_unused_result));

#endif
