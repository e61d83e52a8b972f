/* What the files of a connection on the loop share, redis.c, redis_cmd.c and redis_dial.c, and nobody else. */
#ifndef SHOAL_IO_REDIS_PARTS_H
#define SHOAL_IO_REDIS_PARTS_H

#include <event2/event.h>

#include "shoal/io/dns.h"
#include "shoal/io/redis.h"
#include "shoal/io/redis_find.h"

/* From the look-up of the name to the last answer of the greeting; the second where others may be asked. */
#define ATTEMPT_MS 5000
#define ATTEMPT_OF_SEVERAL_MS 2000

#ifdef HI_SDS_TYPE_5 /* sds has names of hiredis' own in some 1.x, not in Debian's 1.2 */
#define obuf_len(c) hi_sdslen((c)->obuf)
#else
#define obuf_len(c) sdslen((c)->obuf)
#endif

/*  WAITING --retry--> RESOLVING --> CONNECTING --> GREETING --> UP
 *     ^---------------------- cut() -------------------------'        redis_close: CLOSED */
enum redis_state { REDIS_WAITING, REDIS_RESOLVING, REDIS_CONNECTING, REDIS_GREETING, REDIS_UP, REDIS_CLOSED };

enum cmd_kind {
	CMD_CALL,
	CMD_EVALSHA, /* tail: its arguments, should the text be needed */
	CMD_GREET,   /* of the greeting: AUTH, SELECT, PING or EXISTS; an error ends the attempt */
	CMD_POLITE,  /* AUTH to a Sentinel, which may want none */
	CMD_NODES,   /* CLUSTER SLOTS */
	CMD_READY,   /* the last: ROLE, or the question to a Sentinel */
	CMD_DOWN     /* no command: stands among the finished ones where on_down is due */
};

struct cmd {
	struct cmd *next;
	enum cmd_kind kind;
	enum err err;     /* once finished without an answer */
	uint64_t end;     /* count of bytes on this connection up to its last one */
	int64_t since_ms; /* of clock_ms */
	redis_fn *fn;
	void *arg;
	struct redis_script *script;
	size_t tail_argc;
	struct span tail; /* owned; RESP */
};

struct cmd_list {
	struct cmd *head, **tail;
};

struct redis {
	struct loop *loop;
	struct redis_opts opts;
	struct redis_url url;
	struct redis_find find;
	struct redis_spot spot; /* what it is connecting or connected to */
	bool asking;            /* a Sentinel, for the server */
	struct arena arena;     /* of opts and url */
	struct arena replies;   /* the answer that is coming or being handed out */
	bool absurd;            /* an answer was refused as it began */
	enum redis_state state;
	unsigned depth; /* callbacks of ours that run now: memory stays until they are through */

	struct dns_query *query;
	redisContext *ctx;
	struct event *readable, *writable;
	char addr[64]; /* the same as a number, for logs */
	uint64_t out_bytes;
	struct buf out; /* one command */
	struct task flush;

	struct cmd_list sent;     /* outstanding, in order */
	struct cmd_list finished; /* told by the task `tell` */
	struct task tell;

	struct timer retry, deadline;
	int64_t backoff_ms, up_since_ms;
	struct redis_script **known; /* whose text this connection has seen */
	size_t nknown;

	int64_t loss_logged, denied_logged;
	unsigned loss_unlogged, denied_unlogged;
	char trouble[160]; /* why it is not up */
	char doom[160];    /* why the connection is cut once the answers at hand are through */
};

/* --- redis.c */

unsigned redis_attempt_ms(const struct redis *r);
/* Nothing of r is freed between the two: callbacks of ours run. */
void redis_hold(struct redis *r);
void redis_let_go(struct redis *r);
/* err is for on_down. Callbacks come later, from the task. reason may be part of the context. */
void redis_cut(struct redis *r, enum err err, const char *reason);
/* Ends the attempt to connect without a fault: r->find knows where to go on. */
void redis_redirect(struct redis *r);
/* All answers that have come. Between redis_hold and redis_let_go. */
void redis_read(struct redis *r);

/* --- redis_reply.c */

/* What c reads goes into r->replies: to be released after each answer, and never freed with freeReplyObject. What no
 * server in its senses would say, be it of a size that would take all memory, sets r->absurd and is to hiredis a
 * REDIS_ERR_OOM. */
void redis_replies_into(redisContext *c, struct redis *r);

/* --- redis_cmd.c: commands, and what is sent */

struct cmd *cmd_new(enum cmd_kind kind, redis_fn *fn, void *arg);
void cmd_free(struct cmd *c);
void cmd_list_init(struct cmd_list *l);
void cmd_list_add(struct cmd_list *l, struct cmd *c);
struct cmd *cmd_list_take(struct cmd_list *l);
bool cmd_is_own(const struct cmd *c); /* the connection's, of its greeting */
/* Without an answer: told in a later turn. */
void cmd_finish(struct redis *r, struct cmd *c, enum err err);
/* A command of the connection itself. */
void cmd_send_own(struct redis *r, enum cmd_kind kind, size_t argc, const struct span *argv);
/* An EVALSHA whose script the server does not know. */
void cmd_send_text(struct redis *r, struct cmd *c);
void cmd_arm_deadline(struct redis *r);
void cmd_flush(void *redis);

/* --- redis_dial.c: from the address to the greeting */

/* The timer of the next attempt. */
void redis_dial(void *redis);
/* An answer of the greeting. */
void redis_greeted(struct redis *r, enum cmd_kind kind, const redisReply *reply);

#endif
