/* One connection of the pool of pg.h: dials, pipelines statements, tells their results apart, is dropped, and dials
 * again after a while. It reports to its pool through the hooks, from the loop or from inside any of its calls, so
 * hooks only note and defer. For pg.c only. */
#ifndef SHOAL_IO_PG_CONN_H
#define SHOAL_IO_PG_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/pg_cmd.h"
#include "shoal/io/pg_dial.h"

struct pg_hooks {
	void *arg;
	void (*finished)(void *arg, struct pg_cmd *cmd); /* gives it back */
	void (*again)(void *arg, struct pg_cmd *cmd);    /* gives it back; not executed, to be sent once more */
	void (*changed)(void *arg);                      /* can take statements now, or not any more */
};

struct pg_conn_conf {
	const struct pg_target *target;
	bool prepare, plan_once, writes;
	unsigned keepalive_s, statement_timeout_ms;
};

struct pg_conn;
struct pg_conn *pg_conn_open(struct loop *l, const struct pg_conn_conf *conf, const struct pg_hooks *hooks);
/* Statements under way get ERR_UNKNOWN by the finished hook. */
void pg_conn_close(struct pg_conn *c);
bool pg_conn_up(const struct pg_conn *c);
const char *pg_conn_trouble(const struct pg_conn *c); /* why it was lost or not made */
unsigned pg_conn_depth(const struct pg_conn *c);      /* statements under way */
unsigned pg_conn_sociable(const struct pg_conn *c);   /* of those that may have company, each member of a set */
/* False: the statement, in the form in which it would go, would have to be prepared there first. */
bool pg_conn_knows(const struct pg_conn *c, const struct pg_cmd *cmd);
/* Sends all of the list, which is not empty, under one Sync: one transaction. Where that fails, those that were not
 * alone, also those of a set, are given back to go again, alone. Takes them, whatever becomes of it. Only on a
 * connection that is up. */
void pg_conn_send(struct pg_conn *c, struct pg_list *group);
/* Ends a batch of sends. */
void pg_conn_flush(struct pg_conn *c);

/* Counts in shoal_errors_total{peer="postgres"}; kind: a word, or the class of a SQLSTATE. */
void pg_count_error(const char *kind);

#endif
