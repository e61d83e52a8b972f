/* What a worker's own word says. */
#ifndef SHOAL_ADMIN_WORKERS_H
#define SHOAL_ADMIN_WORKERS_H

#include "shoal/base/json.h"

/* Updates a second, with one decimal. False: it did not say. */
bool workers_rate(const cJSON *told, double *out);

#endif
