/* `shoal dead`: what its files share. */
#ifndef SHOAL_CLI_DEAD_H
#define SHOAL_CLI_DEAD_H

#include "shoal/cli/shard_set.h"
#include "shoal/store/dead_letters.h"

int dead_retry(struct session *s);
int dead_drop(struct session *s);

/* A letter, and where it lies. Its texts live in the session's arena. */
struct dead_found {
	struct dead_letter letter;
	unsigned shard;
	int64_t now_ms;
};

/* Of all shards in reach, ordered by death. */
struct dead_letters_found {
	struct dead_found *v; /* free() */
	size_t n, room;
	int64_t total; /* letters that there are, of any bot */
	bool more;     /* than the limit */
};

/* At most `limit` (0: all) that died last, or first; of one bot unless it is NULL. Shows progress; what could not be
 * read was said. False: stopped at Ctrl-C. */
bool dead_collect(struct shard_set *set, const char *bot, bool oldest_first, size_t limit,
                  struct dead_letters_found *out);

#endif
