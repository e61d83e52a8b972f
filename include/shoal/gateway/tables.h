/* The static tables, for a gateway that answers for Discord bots: from its own memory, the caches' Redis, Postgres. */
#ifndef SHOAL_GATEWAY_TABLES_H
#define SHOAL_GATEWAY_TABLES_H

#include "shoal/base/conf.h"
#include "shoal/io/loop.h"
#include "shoal/store/cache_value.h"

struct tables;

/* NULL with *why (in a): a URL cannot be. conf outlives it. */
struct tables *tables_open(struct loop *l, const struct conf *conf, const char *id, struct arena *a, const char **why);
/* The loop goes on for a while, then ends. */
void tables_retire(struct tables *t);
/* Who waits gets NULL inside this call. NULL does nothing. */
void tables_close(struct tables *t);

/* NULL: memory does not have it now. What is found lives as long as the arena. */
const struct static_table *tables_peek(struct tables *t, const char *name, struct arena *a);
/* The same past memory. table: NULL where neither Redis nor Postgres could tell within 1.5 s (somebody waits, 3 s at
 * most), or there is none of that name. fn comes once, never inside the call. */
typedef void tables_fn(void *arg, const struct static_table *table);
void tables_get(struct tables *t, const char *name, struct arena *a, tables_fn *fn, void *arg);

#endif
