/* The API's paths, a function each; the table is in api.c. Who calls them has been let in. */
#ifndef SHOAL_ADMIN_ROUTES_H
#define SHOAL_ADMIN_ROUTES_H

#include "shoal/admin/visitor.h"

void codes_list(struct visitor *v);
void codes_add(struct visitor *v);
void codes_set(struct visitor *v);
void codes_remove(struct visitor *v);

void users_list(struct visitor *v);
void audit_list(struct visitor *v);

void queue_look(struct visitor *v);
void lanes_list(struct visitor *v);
void queue_pause_it(struct visitor *v);
void queue_resume_it(struct visitor *v);

void workers_list(struct visitor *v);
void performance_look(struct visitor *v);

void events_watch(struct visitor *v);
void history_look(struct visitor *v);

void caches_look(struct visitor *v);
void caches_invalidate_it(struct visitor *v);
void caches_reload_it(struct visitor *v);

void dead_list(struct visitor *v);
void dead_show(struct visitor *v);
void dead_retry_it(struct visitor *v);
void dead_drop_it(struct visitor *v);

#endif
