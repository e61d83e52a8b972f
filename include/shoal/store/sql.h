/* The catalogue of statements: every file of sql/queries, by name. One whose first line begins with "-- many: " is
 * written for many at once (pg_stmt.many): all its parameters are in one unnest($1::type[], ...) of arrays, perhaps
 * WITH ORDINALITY, and nowhere else. With a row of plain parameters in its place it is the one for somebody alone. */
#ifndef SHOAL_STORE_SQL_H
#define SHOAL_STORE_SQL_H

#include "shoal/io/pg.h"

/* The statement, or NULL. The pointer is good for the process's life. */
const struct pg_stmt *sql_find(const char *name);
/* The same for a name that must exist; BUG() when it does not. */
const struct pg_stmt *sql_get(const char *name);

/* The highest n of all $n outside quotes, comments and dollar quotes. */
int sql_count_params(const char *sql);

/* For the CLI, blocking: runs it with text parameters (NULL: it has none), one for many as the one for somebody
 * alone; another number of them than the statement wants is a BUG(). The result is looked at and cleared as any
 * PGresult. */
PGresult *sql_run(PGconn *conn, const char *name, const struct pg_params *params);
/* The same, for so long: NULL when no answer came, and the connection is of no more use. */
PGresult *sql_run_within(PGconn *conn, const char *name, const struct pg_params *params, unsigned ms);

#endif
