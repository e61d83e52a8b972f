/* `shoal cache`: its subverbs that have files of their own, and how they read their operands. */
#ifndef SHOAL_CLI_CACHES_H
#define SHOAL_CLI_CACHES_H

#include "shoal/cli/session.h"

int caches_list(struct session *s);
int caches_stats(struct session *s);
int caches_get(struct session *s);
int caches_invalidate(struct session *s);
int caches_reload(struct session *s);

/* The cache that the first operand names. False after saying that there is none such. */
bool caches_operand(struct session *s, enum cache_kind *kind) __attribute__((warn_unused_result));
/* Whether this may be a key of the cache. A pattern: only whether it could be one. False after saying why not. */
bool caches_key_operand(struct session *s, enum cache_kind kind, const char *operand)
    __attribute__((warn_unused_result));
bool caches_pattern_operand(struct session *s, const char *operand) __attribute__((warn_unused_result));

#endif
