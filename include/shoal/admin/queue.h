/* What /api/queue and /api/events tell of the queue. */
#ifndef SHOAL_ADMIN_QUEUE_H
#define SHOAL_ADMIN_QUEUE_H

#include "shoal/base/json.h"
#include "shoal/store/queue_stats.h"

/* Members of an object. */
void queue_put_numbers(struct json_writer *out, const struct queue_stats *q);

#endif
