/* Rows of the load statements to facts. Columns are known by name ("user_id", "chat_turns"); a column that is not
 * there or NULL leaves its fact as it is. */
#ifndef SHOAL_STORE_ROWS_H
#define SHOAL_STORE_ROWS_H

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/io/pg.h"
#include "shoal/model/facts.h"

/* At most one row; several only for a list (the history, the wallets, the trades), whose rows repeat the other
 * columns. A first column "n" is passed over (pg_stmt.many). Texts are copied into a. ERR_INTERNAL with *why for an
 * unknown column name or a value that does not fit. */
enum err rows_to_facts(const struct pg_rows *rows, struct arena *a, struct facts *f, const char **why)
    __attribute__((warn_unused_result));

#endif
