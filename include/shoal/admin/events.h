/* GET /api/events: server-sent events, one a second, the same for all who watch; while nobody does, nothing is asked.
 *
 *   event: tick
 *   data: {"at","queue":{...}|null,"workers":{...}|null,"latency":{...}|null}      null: Redis did not say */
#ifndef SHOAL_ADMIN_EVENTS_H
#define SHOAL_ADMIN_EVENTS_H

#include "shoal/admin/api.h"

struct events *events_open(struct api *api);
/* Ends all streams, and takes no more: the program wants to end. */
void events_end(struct events *e);
void events_close(struct events *e); /* after the servers, whose last answers come to it */

#endif
