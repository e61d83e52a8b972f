/* Making the fleet forget what has changed, and knowing that it has. */
#ifndef SHOAL_ADMIN_TELL_H
#define SHOAL_ADMIN_TELL_H

#include "shoal/admin/visitor.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_kind.h"

/* fn: ERR_OK when no update that begins later is answered with what is voided here. The keys are copied; n is at most
 * CACHE_VOID_KEYS. */
typedef void tell_fn(struct visitor *v, enum err err, struct cache_heard heard);
void tell_keys(struct visitor *v, enum cache_kind kind, const struct span *keys, size_t n, tell_fn *fn);

#endif
