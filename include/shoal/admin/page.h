/* GET /: the dashboard. */
#ifndef SHOAL_ADMIN_PAGE_H
#define SHOAL_ADMIN_PAGE_H

#include "shoal/admin/visitor.h"

/* False: the path is none of it. */
bool page_serve(struct visitor *v);

#endif
