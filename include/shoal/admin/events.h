/* GET /api/events: server-sent events, one a second, the same for all who watch. While nobody does, the servers are
 * asked only once in five seconds, for the history (history.h).
 *
 *   event: tick
 *   data: {"at","queue":{...}|null,"workers":{...}|null,"latency":{...}|null,"postgres":true|false}
 *
 * null: Redis did not say; postgres: whether this server reaches it. */
#ifndef SHOAL_ADMIN_EVENTS_H
#define SHOAL_ADMIN_EVENTS_H

#include "shoal/admin/api.h"

struct events *events_open(struct api *api);
/* Ends all streams, and takes no more: the program wants to end. */
void events_end(struct events *e);
void events_close(struct events *e); /* after the servers, whose last answers come to it */

#endif
