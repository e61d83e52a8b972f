/* The way into the stream: one connection to each shard, and a bound on what is under way. */
#ifndef SHOAL_GATEWAY_INTAKE_H
#define SHOAL_GATEWAY_INTAKE_H

#include <stdbool.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/io/loop.h"
#include "shoal/store/shards_health.h"
#include "shoal/wire/stream.h"

struct intake;

struct intake *intake_open(struct loop *l, const char *const *urls, unsigned shards);
/* What is under way gets its answer (ERR_UNKNOWN) inside this call. */
void intake_close(struct intake *in);

/* ERR_OK: Redis has it, and a replica where there is one. ERR_UNKNOWN, ERR_TIMEOUT: it may. Anything else: it has not.
 */
typedef void intake_fn(void *arg, enum err err);
static inline bool intake_in_doubt(enum err err)
{
	return err == ERR_UNKNOWN || err == ERR_TIMEOUT;
}
/* Appends to the shard of the entry's lane; copies what it needs. False: too much of that shard is under way, fn is not
 * called. fn never comes inside the call. */
bool intake_append(struct intake *in, const struct entry *e, struct arena *a, intake_fn *fn, void *arg)
    __attribute__((warn_unused_result));
/* Whether the shard of that lane takes entries now, as far as is known. */
bool intake_takes(struct intake *in, struct span lane);
unsigned intake_under_way(const struct intake *in);

/* Which shards take entries. Lanes of one that does not are refused one by one. */
struct shards_health *intake_health(struct intake *in);

#endif
