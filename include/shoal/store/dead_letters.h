/* The dead letters of one shard: calls to be sent by the caller, as in queue_admin.h. */
#ifndef SHOAL_STORE_DEAD_LETTERS_H
#define SHOAL_STORE_DEAD_LETTERS_H

#include "shoal/base/err.h"
#include "shoal/store/queue_call.h"

struct dead_letter {
	const char *id;       /* of the letter */
	const char *entry_id; /* that it had as an entry; NULL: the letter is none of ours */
	struct span bot, lane, key, error;
	int64_t received_ms, died_ms; /* -1: not known */
	int64_t retries, takeovers, sent, body_bytes;
	bool maybe_applied;   /* its changes may have been committed */
	bool retried;         /* it has been a dead letter before */
	const char *trace_id; /* of what is said about it */
	const char *worker;   /* that held it last, NULL: none, or not known */
	struct span *fields;  /* dead_show_call only: those of the entry, names and values in turn */
	size_t nfields;
};

struct dead_letters {
	int64_t now_ms;
	const char *cursor; /* NULL: that was all */
	int64_t total;      /* letters in this shard, of any bot */
	struct dead_letter *v;
	size_t n;
};

/* At most `want`, after the cursor (NULL: from the start); only those of a bot unless that is NULL. */
struct queue_call *dead_list_call(struct arena *a, unsigned shard, bool oldest_first, const char *bot,
                                  const char *cursor, size_t want);
/* One, with its fields; the answer has none or one. */
struct queue_call *dead_show_call(struct arena *a, unsigned shard, const char *id);
enum err dead_letters_read(const redisReply *r, unsigned shard, struct arena *a, struct dead_letters *out)
    __attribute__((warn_unused_result));

/* The letter becomes an entry at the stream's end, in one step: under a new id, with the key that it had (its old id
 * where it had none), known as a redelivery, so that the guard row is asked before anything is decided.
 *
 *   ERR_OK         *entry_id is its new id
 *   ERR_NOT_FOUND  there is no such letter (any more)
 *   ERR_CONFLICT   refused without `force`: *why. Its changes may have been committed longer ago than guard rows are
 *                  certain to stand; or its key came again since and was taken as another entry
 *   ERR_REFUSED    cannot be done: *why
 *   ERR_FULL       of the call itself, as all other errors: nothing was done */
struct queue_call *dead_retry_call(struct arena *a, unsigned shard, unsigned shards, const char *id, bool force);
enum err dead_retry_read(const redisReply *r, struct arena *a, const char **entry_id, const char **why)
    __attribute__((warn_unused_result));

/* The letter goes; its key stays known for as long as it would have been. */
struct queue_call *dead_drop_call(struct arena *a, unsigned shard, unsigned shards, const char *id);
/* What it was: entry_id, bot, lane, key, error; else ERR_NOT_FOUND, or ERR_REFUSED where the keys are another version's
 * or list's, with *why. */
enum err dead_drop_read(const redisReply *r, struct arena *a, struct dead_letter *out, const char **why)
    __attribute__((warn_unused_result));

#endif
