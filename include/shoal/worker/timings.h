/* How long this worker's updates and their stages took lately, for the fleet to add up: told with each beacon, in the
 * caches' Redis, key "shoal:{cache}:latency:<id>" (store/latency.h). What is older than five minutes is forgotten in
 * steps of half a minute. */
#ifndef SHOAL_WORKER_TIMINGS_H
#define SHOAL_WORKER_TIMINGS_H

#include <stdint.h>

#include "shoal/base/str.h"

struct timings;

struct timings *timings_new(void);
void timings_free(struct timings *t);

/* bot, command and stage are literals of the tables of bots, commands and stages. */
void timings_command(struct timings *t, const char *bot, const char *command, int64_t us, int64_t now_ms);
void timings_stage(struct timings *t, const char *bot, const char *stage, int64_t us, int64_t now_ms);
/* The object. */
void timings_put(struct timings *t, int64_t now_ms, struct buf *out);

#endif
