/* The catalogue of statements: every file of sql/queries, by name. */
#ifndef SHOAL_STORE_SQL_H
#define SHOAL_STORE_SQL_H

#include "shoal/io/pg.h"

/* The statement, or NULL. The pointer is good for the process's life. */
const struct pg_stmt *sql_find(const char *name);
/* The same for a name that must exist; BUG() when it does not. */
const struct pg_stmt *sql_get(const char *name);

/* Adds the CLI's blocking use: runs it with text parameters; the result must be looked at as any PGresult. */
PGresult *sql_run(PGconn *conn, const char *name, const struct pg_params *params);

#endif
