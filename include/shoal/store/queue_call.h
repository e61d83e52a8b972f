/* One script's call on one shard, ready to be sent either way: redis_eval(r, c->script, fn, arg, c->nkeys, c->argc,
 * c->argv), or redis_eval_now. It lives in an arena, which must not go before it is sent. */
#ifndef SHOAL_STORE_QUEUE_CALL_H
#define SHOAL_STORE_QUEUE_CALL_H

#include "shoal/base/arena.h"
#include "shoal/io/redis.h"

#define QUEUE_CALL_WORDS 16

struct queue_call {
	struct redis_script *script;
	size_t nkeys, argc;
	struct span argv[QUEUE_CALL_WORDS]; /* keys first */
	struct arena *arena;
};

/* keys: words as in "shoal:{n}:WORD", separated by spaces, as the script declares them. */
struct queue_call *queue_call_new(struct arena *a, struct redis_script *script, unsigned shard, const char *keys);
void queue_call_add(struct queue_call *c, struct span word); /* copied */
void queue_call_add_i64(struct queue_call *c, int64_t v);
/* The format and "i/n", which scripts that change something hold against conf: two words. */
void queue_call_add_place(struct queue_call *c, unsigned shard, unsigned shards);

/* Cells of a row of the answer, whose texts are copied. What is false in Lua is NULL, -1 or an empty span with a NULL
 * ptr; a row that is none, or a cell of another kind, sets *bad. */
struct queue_cells {
	const redisReply *row;
	struct arena *arena;
	bool bad;
};
struct span queue_cell(struct queue_cells *c, size_t i);
const char *queue_cell_text(struct queue_cells *c, size_t i);
/* NAME of a connection as the id of its worker; NULL where it is empty, too. */
const char *queue_cell_worker(struct queue_cells *c, size_t i);
int64_t queue_cell_i64(struct queue_cells *c, size_t i);
/* Names and values in turn; *n is their number. */
struct span *queue_cell_fields(struct queue_cells *c, size_t i, size_t *n);

#endif
