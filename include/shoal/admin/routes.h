/* The API's paths, a function each; the table is in api.c. Who calls them has been let in. */
#ifndef SHOAL_ADMIN_ROUTES_H
#define SHOAL_ADMIN_ROUTES_H

#include "shoal/admin/visitor.h"

void codes_list(struct visitor *v);
void codes_add(struct visitor *v);
void codes_set(struct visitor *v);
void codes_remove(struct visitor *v);

#endif
