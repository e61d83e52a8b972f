/* What the files of one shard of the queue share, queue.c, queue_answer.c, queue_entry.c, queue_hello.c and
 * queue_turn.c, and nobody else. */
#ifndef SHOAL_STORE_QUEUE_PARTS_H
#define SHOAL_STORE_QUEUE_PARTS_H

#include "shoal/base/arena.h"
#include "shoal/base/metrics.h"
#include "shoal/store/queue.h"

#define QUEUE_NAMES_MAX 64
#define QUEUE_NAME_LEN 160
#define QUEUE_KEYS 11 /* of the script */
#define QUEUE_KEY_UPDATES 0
#define QUEUE_KEY_CONF 9
#define QUEUE_KEY_WAKE 10
#define QUEUE_HELLO_AGAIN_MS 1000 /* after a hello that was refused */

enum queue_report {
	REPORT_NONE,
	REPORT_DONE,
	REPORT_LATER,
	REPORT_RETRY,
	REPORT_RETRY_MAYBE,
	REPORT_DEAD,
	REPORT_SENT,
	REPORT_CONFIRM
};

/*
 * down ──redis up──> hello ──kept──> ready ──gone──> hello
 *  ^                   │               │
 *  └───────────── connection lost ─────┘        version: another format, asked again once a second
 */
enum queue_phase { Q_DOWN, Q_HELLO, Q_READY, Q_LEAVING, Q_LEFT };

struct queue_list {
	struct queue_entry *first;
	unsigned n;
};

struct queue {
	struct queue_opts opts;
	struct redis *turns, *bell;
	enum queue_phase state;
	bool busy;                                   /* a script call is under way */
	char names[QUEUE_NAMES_MAX][QUEUE_NAME_LEN]; /* the last is the present one; others may still be registered */
	unsigned nnames;
	char trouble[224];
	bool foreign; /* trouble says so */

	struct queue_list held;    /* running, or waiting for their sent mark */
	struct queue_list reports; /* finished, not yet told */
	struct queue_list telling; /* in the turn under way */
	unsigned urgent;           /* reports that somebody waits for */
	int64_t first_report_us;

	unsigned wanted, in_hand;
	bool asked; /* the turn under way, or the last one, asked for entries */
	bool shortread, rung, bell_waiting;
	bool empty_handed;                               /* the turn under way said so */
	int64_t careful;                                 /* what the script said waits for empty hands: 0, 1, 2 */
	int64_t careful_since_ms;                        /* since when we empty ours */
	int64_t turn_began_ms, turn_began_us, turned_ms; /* start of the one under way; of the last answered */
	int64_t due_at_ms;                               /* -1: nothing due */
	unsigned last_given;
	int64_t opened_ms, hello_not_before_ms, leave_until_ms;

	struct task task;
	struct timer timer;
	struct arena scratch;
	char keys[QUEUE_KEYS][QUEUE_KEY_MAX];
	char format_shard[32];
	char worker_id[101];
	void (*left)(void *arg);
	void *left_arg;
	int64_t warned;
	unsigned unwarned;
	struct series *turn_seconds;
};

/* --- queue.c */

void queue_wake_in(struct queue *q, int64_t ms);
/* Why the queue is not up, for /readyz; also logged, not too often. */
void queue_complain(struct queue *q, const char *what, const char *detail);
void queue_all_lost(struct queue *q);
/* Once; nothing is ours any more, so nobody may go on with it or wait for its mark. */
void queue_left(struct queue *q);
/* A leaving worker was not heard. What it has finished would be done again by others, so it tries for a while. */
void queue_leave_failed(struct queue *q);

/* --- queue_entry.c */

void queue_list_add(struct queue_list *l, struct queue_entry *e);
void queue_list_remove(struct queue_list *l, struct queue_entry *e);
struct queue_entry *queue_list_find(struct queue_list *l, const char *id);
/* r: an entry of a sound answer. */
struct queue_entry *queue_entry_new(struct queue *q, const redisReply *r);
void queue_entry_free(struct queue_entry *e);
/* Nobody's any more: tells the owner, unless the owner has already given it back. */
void queue_entry_lost(struct queue *q, struct queue_entry *e);

/* --- queue_hello.c: a new name, and what may be kept of what is in hand */

void queue_hello(struct queue *q);
int64_t queue_hello_early_ms(const struct queue *q); /* until it may be said; <= 0: now */

/* --- queue_turn.c: calls of the script, and what a turn says and hears */

struct turn_call {
	struct arena *a;
	size_t n, cap;
	struct span *argv;
};

void turn_begin(struct queue *q, struct turn_call *c, const char *mode, unsigned want, bool empty_handed);
void turn_add(struct turn_call *c, const char *s);
void turn_send(struct queue *q, struct turn_call *c, redis_fn *fn);
bool turn_answered(const redisReply *r, const char *word);
/* An answer as of our own queue: no trouble any more. */
void queue_is_ours(struct queue *q);
/* Its mark is another's, or there is none and we may not make it. */
void queue_not_ours(struct queue *q, const redisReply *r);
bool queue_answered_not_ours(const redisReply *r);
void queue_turn(struct queue *q);

/* --- queue_answer.c: whether answers of the script, by their first word, have all that is read of them */

bool turn_answer_sound(const redisReply *r);  /* to "ok" */
bool hello_answer_sound(const redisReply *r); /* to "kept" */

#endif
