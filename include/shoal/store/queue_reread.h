/* Entries that were read and are nobody's come back: somebody else has read them, or a turn was broken off after it had
 * (a command that may not be given any more). */
#ifndef SHOAL_STORE_QUEUE_REREAD_H
#define SHOAL_STORE_QUEUE_REREAD_H

#include "shoal/store/queue.h"

/* Reads this shard's unsettled entries anew where more are pending than busy lanes and waiting entries tell of; else
 * nothing changes. Asynchronously; logs what it did. Any number of workers may ask for it at once. */
void queue_reread(struct queue *q);

#endif
