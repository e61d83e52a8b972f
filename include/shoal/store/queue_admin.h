/* What an operator asks and tells one shard of the queue: where its entries and lanes stand, and what is not handed out
 * for now. Each question is a call that is built here (see queue_call.h), sent by the caller in either way, and whose
 * answer is read here. One call is bounded work for Redis: a listing goes on from the cursor of the answer before. */
#ifndef SHOAL_STORE_QUEUE_ADMIN_H
#define SHOAL_STORE_QUEUE_ADMIN_H

#include "shoal/base/err.h"
#include "shoal/store/queue_call.h"

enum queue_state {
	QUEUE_IN_HAND, /* of a worker */
	QUEUE_DUE,     /* comes again, or for the first time, at its time */
	QUEUE_PAUSED,  /* kept back until its bot goes on */
	QUEUE_WAITING, /* behind an older one of its lane */
	QUEUE_UNREAD,
	QUEUE_STRAY, /* read, and nobody's: the queue's books are wrong */
	QUEUE_STATES
};
const char *queue_state_name(enum queue_state state); /* "in_hand" */

/* --- entries */

struct queue_row {
	const char *id;
	struct span bot, lane, key; /* ptr NULL: not there */
	int64_t received_ms;        /* as its sender says, else when it was appended */
	enum queue_state state;
	const char *worker; /* id of the worker in whose hands it is, NULL: in no one's */
	int64_t due_in_ms;  /* -1: not in `due` */
	const char *behind; /* id of the entry that holds the lane, NULL: none, or it is the holder */
	int64_t retries, takeovers, sent, body_bytes;
	struct span *fields; /* queue_entry_call only: names and values in turn */
	size_t nfields;
};

struct queue_rows {
	int64_t now_ms;     /* of that Redis */
	const char *cursor; /* NULL: that was all */
	struct queue_row *v;
	size_t n;
};

/* Oldest first, at most `want`, after the cursor (NULL: from the start). With a lane: all of that lane, in its order.
 */
struct queue_call *queue_peek_call(struct arena *a, unsigned shard, const char *lane, const char *cursor, size_t want);
/* One, with its fields; the answer has none or one row. */
struct queue_call *queue_entry_call(struct arena *a, unsigned shard, const char *id);
enum err queue_rows_read(const redisReply *r, struct arena *a, struct queue_rows *out)
    __attribute__((warn_unused_result));

/* --- busy lanes */

struct queue_lane {
	struct span lane;
	const char *holder; /* id of the entry that holds it, the oldest */
	enum queue_state state;
	const char *worker;
	int64_t due_in_ms, waiting, retries, takeovers, sent;
};

struct queue_lanes {
	int64_t now_ms;
	const char *cursor;
	struct queue_lane *v;
	size_t n;
};

/* About `want`, in no order; a lane may come twice, and one that comes or goes meanwhile may be left out. */
struct queue_call *queue_lanes_call(struct arena *a, unsigned shard, const char *cursor, size_t want);
enum err queue_lanes_read(const redisReply *r, struct arena *a, struct queue_lanes *out)
    __attribute__((warn_unused_result));

/* --- pause */

struct queue_pause {
	bool changed;       /* it was not so before */
	const char *paused; /* now: "*", names with commas, or "" */
};

/* What is paused is still accepted, and kept in order. bot NULL: all bots. Workers notice with their next turn. */
struct queue_call *queue_pause_call(struct arena *a, unsigned shard, unsigned shards, bool pause, const char *bot);
/* ERR_CONFLICT: one bot cannot go on while all are paused. ERR_REFUSED: *why, the keys are another version's. */
enum err queue_pause_read(const redisReply *r, struct arena *a, struct queue_pause *out, const char **why)
    __attribute__((warn_unused_result));

/* --- for the modules beside it */

/* "version" answers: a line that says so. */
const char *queue_version_text(const redisReply *r, struct arena *a);
/* r: of HMGET conf v shard. Why they are not those of this program's list of shards or version, in the arena; NULL:
 * they are, or there is no mark. */
const char *queue_mark_foreign(const redisReply *r, unsigned shard, unsigned shards, struct arena *a);
/* Blocking: why the shard's keys are not those of this program's list of shards or version; NULL: they are, it has
 * none, or it cannot be asked, which the next question will tell. */
const char *queue_foreign_now(redisContext *redis, unsigned shard, unsigned shards, struct arena *a);
/* Whether it is written as an entry's id: "1700000000000-0". */
bool queue_is_id(const char *id);
/* ms of an entry's id; -1 where it is none. */
int64_t queue_id_ms(const char *id);

#endif
