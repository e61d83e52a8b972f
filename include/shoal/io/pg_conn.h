/* One connection of the pool of pg.h: dials, pipelines statements, tells their results apart, is dropped, and dials
 * again after a while. It reports to its pool through the hooks, from the loop or from inside any of its calls, so
 * hooks only note and defer. For pg.c only. */
#ifndef SHOAL_IO_PG_CONN_H
#define SHOAL_IO_PG_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/metrics.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/pg_dial.h"

/* What the pool knows of a statement of the catalogue. */
struct pg_known {
	const struct pg_stmt *stmt;
	const char *prepared_name;
	unsigned index; /* of the connections' notes on what is prepared */
	struct series *count, *seconds;
};

/* A statement on its way. Owned by the list it is on: the pool's, or one connection's. */
struct pg_cmd {
	struct pg_cmd *next;
	const struct pg_known *known;
	pg_fn *fn; /* NULL: the connection's own ping */
	void *arg;
	bool plain;    /* without a prepared name, after trouble with it */
	bool alone;    /* shares its Sync with no other */
	bool syncs;    /* a Sync follows: the last one of its group */
	bool parsed;   /* CMD_PARSING: that part is over */
	int64_t order; /* in a group: the lowest goes first */
	enum { CMD_UNNAMED, CMD_PARSING, CMD_NAMED } way;
	int64_t asked_us, sent_us;
	enum err err;
	PGresult *res;                /* rows, or the server's error */
	const char *why;              /* where the error is not the server's */
	const char *entry, *trace_id; /* for the log, or NULL */
	int n;
	const char *v[]; /* the texts follow */
};
/* Records how it ended, unless an error is known already. The first one tells. */
void pg_cmd_fail(struct pg_cmd *cmd, enum err err, const char *why);

/* First in, first out. */
struct pg_list {
	struct pg_cmd *head, **tail;
	unsigned n;
};
void pg_list_init(struct pg_list *l);
void pg_list_push(struct pg_list *l, struct pg_cmd *cmd);
void pg_list_push_front(struct pg_list *l, struct pg_cmd *cmd);
void pg_list_insert(struct pg_list *l, struct pg_cmd *cmd); /* before the first of a higher order */
struct pg_cmd *pg_list_pop(struct pg_list *l);              /* NULL when empty */

struct pg_hooks {
	void *arg;
	void (*finished)(void *arg, struct pg_cmd *cmd); /* gives it back */
	void (*again)(void *arg, struct pg_cmd *cmd);    /* gives it back; not executed, to be sent once more */
	void (*changed)(void *arg);                      /* can take statements now, or not any more */
};

struct pg_conn_conf {
	const struct pg_target *target;
	bool prepare, writes;
	unsigned keepalive_s, statement_timeout_ms;
};

struct pg_conn;
struct pg_conn *pg_conn_open(struct loop *l, const struct pg_conn_conf *conf, const struct pg_hooks *hooks);
/* Statements under way get ERR_UNKNOWN by the finished hook. */
void pg_conn_close(struct pg_conn *c);
bool pg_conn_up(const struct pg_conn *c);
const char *pg_conn_trouble(const struct pg_conn *c); /* why it was lost or not made */
unsigned pg_conn_depth(const struct pg_conn *c);      /* statements under way */
/* Sends all of the list, which is not empty, under one Sync: one transaction. Where that fails, those that were not
 * alone are given back to go again, alone. Takes them, whatever becomes of it. Only on a connection that is up. */
void pg_conn_send(struct pg_conn *c, struct pg_list *group);
/* Ends a batch of sends. */
void pg_conn_flush(struct pg_conn *c);

/* Counts in shoal_errors_total{peer="postgres"}; kind: a word, or the class of a SQLSTATE. */
void pg_count_error(const char *kind);

#endif
