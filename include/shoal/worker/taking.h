/* What a worker takes from the shards of the queue: how much of each while there is room, and what it hears of them. */
#ifndef SHOAL_WORKER_TAKING_H
#define SHOAL_WORKER_TAKING_H

#include "shoal/worker/worker.h"

/* Opens w->shards, by their addresses. */
void taking_open(struct worker *w, const char **urls);

/* Asks Postgres once whether updates were done before this worker, which the first hello tells the queue. */
void taking_pg_came(struct worker *w);

/* There may be room, or what was lacking has come: every shard may ask for more. arg: the worker. */
void taking_poke(void *arg);

#endif
