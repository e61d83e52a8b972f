/* A pool of nonblocking libpq connections in pipeline mode. A statement has a Sync of its own, that is, it is a
 * transaction of its own; only those that may go together share one. Callbacks come after the Sync's result, so what
 * they tell is committed.
 * Reconnect with backoff and jitter, host name resolved again each time. */
#ifndef SHOAL_IO_PG_H
#define SHOAL_IO_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/loop.h"

struct pg;

struct pg_opts {
	const char *url; /* libpq connection string or URI */
	const char *application_name;
	unsigned connections;
	bool prepare; /* named prepared statements; false for poolers that cannot */
	/* A prepared statement has one plan, whatever its parameters: right where all go by index. It is made anew as
	 * often as the statements of its connection have doubled, so that none made for small tables outlives their
	 * growth, be Postgres' statistics ever so old. */
	bool plan_once;
	bool writes;          /* a session that is read-only (a standby) is no use: dials on, elsewhere or later */
	unsigned keepalive_s; /* idle connections are pinged; 0: never */
	unsigned statement_timeout_ms; /* asked of the server; the client gives up 2 s later and reconnects */
	unsigned slow_ms;              /* above it: warn line with the statement's name, shoal_sql_slow_total */
	void (*on_change)(void *arg,
	                  bool up); /* the pool has its first usable connection, or lost its last; may be NULL */
	void *arg;
};

/* A statement of the catalogue; the pointer is its identity and must live as long as the pool. */
struct pg_stmt {
	const char *name; /* file name in sql/queries without .sql: metrics label, log, prepared name */
	const char *sql;
	int nparams;
	/* Written for many at once: each parameter is an array, text[], whose elements are those of the ones who ask,
	 * in the same order. Those that wait at the same time and may go `together` are sent as one statement, which
	 * either does what it is to do for all of them or fails. Of its rows everybody is told those that have their
	 * number (from 1) in the first column, which must be called "n"; where there is no such column they are told
	 * none. */
	bool many;
	/* Of one for many the same one for somebody alone, whose parameters are no arrays: it costs a sixth less. It
	 * lives as long. NULL: who is alone is a set of one. */
	const struct pg_stmt *one;
};

#define PG_PARAMS_MAX 24
/* Parameters in text format. A NULL ptr is SQL NULL. Texts must not hold U+0000. */
struct pg_params {
	int n;
	struct span v[PG_PARAMS_MAX];
	/* the update that asks, for the log; NULL: none. They last until the callback. */
	const char *entry, *trace_id;
	/* May share its transaction: while others are at work such statements gather, and up to 64 go with one commit.
	 * Where one of them fails nothing of them remains, and each goes again by itself: errors are told as if all had
	 * gone alone. A statement for many goes with those for the same one, sorted by `order`, and must lock no rows
	 * but of its `order` (0: it locks none), one after the other as the elements stand: else groups of several
	 * connections would wait for each other. Any other goes with all that lock nothing, and must be such a one
	 * itself. */
	bool together;
	int64_t order;
};
#define PARAMS(...)                                                                                                    \
	(&(struct pg_params){.n = sizeof((struct span[]){__VA_ARGS__}) / sizeof(struct span), .v = {__VA_ARGS__}})

/* What the server said against it. Only valid during the callback. */
struct pg_fault {
	char sqlstate[6];       /* "" when it did not come from the server */
	const char *message;    /* primary message, never NULL */
	const char *detail;     /* secondary message, or "" */
	const char *constraint; /* name or "" */
};

/* Rows of a result that may have those of others, too: who asked by a statement for many, and together with others, may
 * look at none but pg_row(rows, 0) to pg_row(rows, n - 1). It is the pool's, and gone after the callback. */
struct pg_rows {
	PGresult *res;
	const int *at; /* the rows' numbers in res, n of them; NULL: as they stand */
	int n;
	bool may_be_part; /* whether this time it is or not */
};
static inline struct pg_rows pg_rows_all(PGresult *res)
{
	return (struct pg_rows){.res = res, .n = PQntuples(res)};
}
static inline int pg_row(const struct pg_rows *rows, int i)
{
	return rows->at ? rows->at[i] : i;
}
/* All of the result, for who did not ask so. */
static inline PGresult *pg_rows_whole(const struct pg_rows *rows)
{
	ENSURE(!rows->may_be_part);
	return rows->res;
}
/* The same, for longer than the callback: the caller's to PQclear. */
static inline PGresult *pg_rows_keep(struct pg_rows *rows)
{
	PGresult *res = pg_rows_whole(rows);

	rows->res = NULL;
	rows->n = 0;
	return res;
}

/* ERR_OK: rows tells what was found; fault is empty. Otherwise rows is NULL and fault tells:
 *   ERR_UNREACHABLE  not sent, or the server refused before doing anything (starting, shutting down, read-only,
 *                    too many connections)
 *   ERR_UNKNOWN, ERR_TIMEOUT   sent, the connection went before the result: it may be committed
 *   ERR_CONFLICT     SQLSTATE 40001, 40P01, or SH001 (raised by our functions when fewer rows changed than expected;
 *                    fault->message is the reason word)
 *   ERR_EXISTS 23505, ERR_INVALID other 22xxx and 23xxx, ERR_FULL 53xxx, ERR_TIMEOUT 57014, ERR_INTERNAL the rest */
typedef void pg_fn(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault);

/* A url that cannot be parsed is logged, and the pool never gets up: see pg_check_url. */
struct pg *pg_open(struct loop *l, const struct pg_opts *opts);
/* Calls back for everything first: what is under way gets ERR_UNKNOWN, what was not sent ERR_UNREACHABLE, also what
 * those callbacks pg_exec. May be called from callbacks; after it the pool is gone. */
void pg_close(struct pg *p);
bool pg_up(const struct pg *p);
/* NULL when up, else why not: for /readyz. Valid until the next turn of the loop. */
const char *pg_trouble(const struct pg *p);
/* Copies the parameters; params may be NULL where there are none, else n must be stmt->nparams. Goes at the end of this
 * turn of the loop, on the connection with the least under way. All are full: waits. No connection, or 4096 waiting:
 * ERR_UNREACHABLE, in a later turn. A parameter with U+0000: ERR_INVALID, likewise. */
void pg_exec(struct pg *p, const struct pg_stmt *stmt, const struct pg_params *params, pg_fn *fn, void *arg);

/* ERR_INVALID with *why (in a, without the password) when it is no libpq connection string. */
enum err pg_check_url(const char *url, struct arena *a, const char **why) __attribute__((warn_unused_result));

/* SQLSTATE to err, as above: the one place for it. */
enum err pg_classify(const char *sqlstate);

/* Blocking client for the CLI and migrations. NULL with *why (in a) when it cannot be reached: within the string's
 * connect_timeout (10 s where it has none), and within most_s where that is not 0, of each host. */
PGconn *pg_connect_now(const char *url, const char *application_name, unsigned most_s, struct arena *a,
                       const char **why);

#endif
