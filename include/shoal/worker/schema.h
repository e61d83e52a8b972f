/* Says in the log how the database's schema stands to the migrations that this program knows. Older and newer versions
 * work side by side during an upgrade, so neither keeps a worker from going on. */
#ifndef SHOAL_WORKER_SCHEMA_H
#define SHOAL_WORKER_SCHEMA_H

#include "shoal/io/pg.h"

/* Asks once; says nothing where it is the same. */
void schema_look(struct pg *pg);

#endif
