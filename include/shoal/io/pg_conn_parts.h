/* What the files of a connection share, pg_conn.c, pg_conn_send.c and pg_conn_read.c, and nobody else. */
#ifndef SHOAL_IO_PG_CONN_PARTS_H
#define SHOAL_IO_PG_CONN_PARTS_H

#include <event2/event.h>

#include "shoal/io/pg_conn.h"

/* DOWN -> DIALING -> UP -> LEAVING -> DOWN; all but the last but one may go straight to DOWN. LEAVING: finishes what
 * is under way, takes no more. */
enum conn_state { CONN_DOWN, CONN_DIALING, CONN_UP, CONN_LEAVING };

/* Whether a statement's name can be used on this connection. PENDING: the answer to its Parse is not here yet; what
 * else needs the statement goes without a name meanwhile, so a Parse that fails spoils nothing behind it. */
enum prepared { PREP_NO, PREP_PENDING, PREP_YES, PREP_NEVER };

struct pg_conn {
	struct loop *loop;
	struct pg_conn_conf conf;
	struct pg_hooks hooks;
	enum conn_state state;
	bool counted_busy;
	struct pg_dial *dial;
	PGconn *pq;
	struct event *readable, *writable;
	struct timer timer; /* DOWN: dial again; UP, LEAVING: look at limits and idleness, due at watch_ms */
	int64_t watch_ms;
	unsigned failures, first_host;
	int64_t up_ms, used_ms, complained_ms;
	struct pg_list under_way; /* in groups that end with a Sync; results come in this order */
	struct pg_cmd *reading;   /* whose results come next; NULL: the first group's Sync does */
	bool results;             /* some of those of the present query have come, its end has not */
	int64_t head_ms;          /* since when the server is at that one */
	bool server_gone;         /* the server said that it ends this session: nothing behind was executed */
	char trouble[200];        /* why it was lost or not made */
	uint8_t *prepared;        /* enum prepared by pg_known.index */
	unsigned nprepared;
	uint64_t sent, plans_until; /* statements since it is up, of a set each; so many until plans are made anew */
	unsigned sociable;          /* of those under way may have company; of a set each counts */
	struct buf scratch;         /* parameters of a set while they are sent */
};

void pg_conn_set_state(struct pg_conn *c, enum conn_state to);
void pg_conn_count_busy(struct pg_conn *c);
/* kind counts the loss in the metrics; why must be a literal, it stays with the statements. */
void pg_conn_drop(struct pg_conn *c, enum err err, const char *kind, const char *why);
/* Looks after the time that the first statement under way may take. */
void pg_conn_watch_limit(struct pg_conn *c);

enum prepared pg_conn_prepared(const struct pg_conn *c, const struct pg_known *k);
void pg_conn_note_prepared(struct pg_conn *c, const struct pg_known *k, enum prepared to);

/* Takes every result that is here; false: the connection is of no use any more. */
bool pg_conn_drain(struct pg_conn *c);
/* Whether the server says that it takes no writes: by itself, with the first answer after it has become so. */
bool pg_conn_read_only(const struct pg_conn *c);
/* Not executed, nor anybody of its company: each goes once more, by itself. */
void pg_conn_again(struct pg_conn *c, struct pg_cmd *cmd);

#endif
