/* From a libpq connection string to an open PGconn without blocking: host names through dns_resolve (libpq alone would
 * block on them) and on as hostaddr, with host kept for the verification of certificates.
 * Every session has client_encoding UTF8, TimeZone UTC and DateStyle ISO; the latter two by way of PGTZ and
 * PGDATESTYLE in the environment, since libpq has no other way to send them that poolers accept. */
#ifndef SHOAL_IO_PG_DIAL_H
#define SHOAL_IO_PG_DIAL_H

#include <libpq-fe.h>

#include "shoal/base/arena.h"
#include "shoal/io/loop.h"

/* A connection string taken apart. Lives in the arena. */
struct pg_target;
/* statement_timeout_ms 0: not asked for. NULL when the string is none libpq understands: *why in the arena, without
 * the password. The password is told to log_secret(). */
struct pg_target *pg_target_parse(struct arena *a, const char *url, const char *application_name,
                                  unsigned statement_timeout_ms, const char **why);

/* Every session has this setting ("name=value"). Poolers take none. */
void pg_target_option(struct pg_target *t, struct arena *a, const char *setting);

/* Only sessions that take writes will do, unless the string says otherwise. */
void pg_target_writes(struct pg_target *t);

struct pg_dial;
/* c: open and the callee's, still in blocking mode; or NULL and why, one line, valid during the call. */
typedef void pg_dial_fn(void *arg, PGconn *c, const char *why);
/* Gives up after connect_timeout (of the string; 10 s where it has none). Where the string lists several hosts, libpq
 * tries them in turn from the one with index first, modulo their number: pass another after a failure, so that one
 * that swallows packets does not hide the rest. Never completes inside this call. The target must outlive it. */
struct pg_dial *pg_dial(struct loop *l, const struct pg_target *t, unsigned first, pg_dial_fn *fn, void *arg);
void pg_dial_cancel(struct pg_dial *d); /* fn is not called any more */

/* One line of libpq's message. */
const char *pg_message(struct arena *a, const PGconn *c);

#endif
