/* One change for each of many dead letters: those named, or --all. */
#ifndef SHOAL_CLI_DEAD_EACH_H
#define SHOAL_CLI_DEAD_EACH_H

#include "shoal/cli/dead.h"

struct dead_change {
	const char *doing, *done; /* "retrying", "retried" */
	/* Before the first of n; NULL: nothing is asked. False after saying that nothing was done. */
	bool (*confirm)(struct session *s, bool all, size_t n);
	struct queue_call *(*call)(struct shard_set *set, struct arena *a, const struct shard *shard, const char *id);
	/* ERR_OK with what to tell of it, ERR_NOT_FOUND, or another with the reason. */
	enum err (*read)(const redisReply *r, struct arena *a, const char **text);
};

/* The letters go one by one, those that died first first. With --all: those that are there when it begins. Prints what
 * became of them; notes it in admin_audit as "dead.NAME". Returns what the verb returns. */
int dead_each(struct session *s, const struct dead_change *change, const char *name);

#endif
