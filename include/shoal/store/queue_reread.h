/* The queue's books are set right: entries that were read and are nobody's come back (somebody else has read them, or a
 * turn was broken off after it had), and what the group lists as pending goes from its list (queue_stats.h, listed). */
#ifndef SHOAL_STORE_QUEUE_REREAD_H
#define SHOAL_STORE_QUEUE_REREAD_H

#include "shoal/store/queue.h"

/* Where any are nobody's, this shard's unsettled entries are read anew, if no worker of the fleet has just had that
 * done, which is logged with their number. listed: what stands in the list up to that id goes from it, "" nothing.
 * Asynchronously. Any number of workers may ask at once. */
void queue_reread(struct queue *q, int64_t nobodys, const char *listed);

#endif
