/* Statements on their way through the pool of pg.h, the lists that they are on, and the sets in which those of one kind
 * travel. For pg.c and pg_conn*.c only. */
#ifndef SHOAL_IO_PG_CMD_H
#define SHOAL_IO_PG_CMD_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/metrics.h"
#include "shoal/base/str.h"
#include "shoal/io/pg.h"

/* What may go together; the pointer is its identity. */
struct pg_kind {
	unsigned waiting;
};

/* What the pool knows of a statement of the catalogue. */
struct pg_known {
	const struct pg_stmt *stmt;
	const char *prepared_name;
	unsigned index;       /* of the connections' notes on what is prepared */
	struct pg_kind kind;  /* where stmt->many */
	struct pg_known *one; /* of stmt->one, or NULL; without counts of its own */
	struct series *count, *asked, *seconds;
};

/* First in, first out. */
struct pg_cmd;
struct pg_list {
	struct pg_cmd *head, **tail;
	unsigned n;
};

/* What one pg_exec asked for. Owned by the list it is on: the pool's, one connection's, or that of the one that leads
 * its set. */
struct pg_cmd {
	struct pg_cmd *next;
	struct pg_known *known;
	struct pg_known *form; /* what was sent: known, or known->one */
	struct pg_kind *kind;  /* NULL: it shares nothing with any other */
	pg_fn *fn;             /* NULL: the connection's own ping */
	void *arg;
	struct pg_list company; /* of a set's first one: the others, whose parameters go with its own */
	bool plain;             /* without a prepared name, after trouble with it */
	bool syncs;             /* a Sync follows: the last one of its group */
	bool parsed;            /* CMD_PARSING: that part is over */
	enum { CMD_UNNAMED, CMD_PARSING, CMD_NAMED } way;
	int64_t order; /* in a set: the lowest goes first; none twice but 0 */
	int64_t asked_us, sent_us;
	enum err err;
	PGresult *res;                /* rows, or the server's error */
	struct pg_shared *shared;     /* who holds res, where it is that of a set; else NULL */
	int *at, nat;                 /* then: which rows of it are this one's */
	const char *why;              /* where the error is not the server's */
	const char *entry, *trace_id; /* for the log, or NULL */
	size_t size;                  /* of the texts */
	int n;
	const char *v[]; /* the texts follow */
};
/* Copies the parameters. */
struct pg_cmd *pg_cmd_new(struct pg_known *known, const struct pg_params *params, pg_fn *fn, void *arg);
/* The result, or its share of it, and all of its company. */
void pg_cmd_free(struct pg_cmd *cmd);
/* Records how it ended, unless an error is known already. The first one tells. */
void pg_cmd_fail(struct pg_cmd *cmd, enum err err, const char *why);
/* What it found: of a set's result its own rows. They live as long as it does. */
struct pg_rows pg_cmd_rows(const struct pg_cmd *cmd);

void pg_list_init(struct pg_list *l);
void pg_list_push(struct pg_list *l, struct pg_cmd *cmd);
void pg_list_push_front(struct pg_list *l, struct pg_cmd *cmd);
struct pg_cmd *pg_list_pop(struct pg_list *l); /* NULL when empty */
/* Takes out what *at points to: the head, or the next of one on the list. */
struct pg_cmd *pg_list_take(struct pg_list *l, struct pg_cmd **at);
void pg_list_insert(struct pg_list *l, struct pg_cmd *cmd); /* by order */
/* Whether it locks no rows that one on the list locks. */
bool pg_list_fits(const struct pg_list *l, const struct pg_cmd *cmd);

/* All of the list, which is sorted, as one statement: its first one leads the others. */
struct pg_cmd *pg_set_form(struct pg_list *members);
/* The parameters of a set as PQsendQuery* wants them, in `scratch`: arrays of text in binary form. */
struct pg_arrays {
	const char *v[PG_PARAMS_MAX];
	int len[PG_PARAMS_MAX], format[PG_PARAMS_MAX];
};
void pg_set_arrays(const struct pg_cmd *set, struct buf *scratch, struct pg_arrays *out);
/* Everybody shares the result, or gets the error of all, and goes to the end of the list. */
void pg_set_part(struct pg_cmd *set, struct pg_list *to);

#endif
