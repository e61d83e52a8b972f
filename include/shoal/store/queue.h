/* One shard of the queue, as a worker sees it: lua/turn.lua and the doorbell. Takes entries, reports what became of
 * them, keeps this worker registered, knows when an entry is no longer ours. */
#ifndef SHOAL_STORE_QUEUE_H
#define SHOAL_STORE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/store/shard_marks.h"

#define QUEUE_FORMAT "1" /* another meaning of a key in Redis is a new number, and a drain */

struct queue;

/* An entry in hand. Owned by the queue's user from on_entry until one of queue_done, _later, _retry, _dead or
 * queue_drop takes it back. Spans live in the entry. */
struct queue_entry {
	const char *id;                  /* "1700000000000-0" */
	struct span bot, lane, at, body; /* ptr NULL: not there */
	struct span key;         /* its own, else its id; ids of other shards being the same, "1/ID" for shard 1 */
	struct span traceparent; /* as it came: anything, or nothing */
	/* Whether it was handed out before. Where it was, or may have been, its commit may have happened. */
	enum { HANDED_FIRST, HANDED_PERHAPS /* by a Redis that has forgotten it */, HANDED_AGAIN } handed;
	unsigned retries, takeovers, sent;
	bool lost;  /* no longer ours: stop, then queue_drop */
	void *user; /* the job */
	/* the rest belongs to queue_entry.c and queue_turn.c */
	struct queue *queue;
	struct queue_entry *next, **prev;
	int report;
	int64_t report_number;
	const char *report_text;
	bool report_sending, report_closing;
	struct arena arena;
	void (*sent_fn)(void *arg, bool ours);
	void *sent_arg;
};

/* A dead letter that the script made. Of key and traceparent as much as could be right. */
struct queue_burial {
	struct span id, bot, why, key, traceparent;
};

struct queue_opts {
	struct loop *loop;
	const char *url;
	unsigned shard, shards;
	const char *worker_id; /* no spaces; the first 100 bytes count */
	int64_t max_attempts, idempotency_ttl_s;
	/* How many more entries of this shard are welcome now; 0 while cut off or draining. */
	unsigned (*room)(void *arg, unsigned shard);
	/* Nothing is in hand, or nothing more will be taken: an entry that two workers have died of may come, and will
	 * be alone. */
	bool (*empty_handed)(void *arg);
	/* Bots that this worker cannot serve now, with commas: theirs stay for others. NULL, or may be NULL: none. */
	const char *(*except)(void *arg);
	/* Has this fleet done updates before? Then a Redis that knows of none may have handed out what comes
	 * (HANDED_PERHAPS). Negative: not known yet; the first hello waits for it, 2 s at most (queue_poke tells), then
	 * it is yes. NULL: no. */
	int (*past)(void *arg);
	struct shard_marks *marks; /* of all shards of the list; its owner's, who keeps it as long as the queue */
	void (*on_entry)(void *arg, struct queue_entry *e);
	void (*on_lost)(void *arg, struct queue_entry *e); /* e->lost is now set; other entries are reported later */
	/* A turn has left nothing unread there: what was kept free for it may be others'. May be NULL. */
	void (*on_short)(void *arg, unsigned shard);
	void (*on_up)(void *arg, unsigned shard); /* registered with this Redis, again after every loss; may be NULL */
	/* what the script settled itself, for the metrics */
	void (*on_duplicate)(void *arg, struct span bot);
	void (*on_dead)(void *arg, const struct queue_burial *b);
	/* Of these, what workers died of: nobody holds it any more, so whoever hears of it frees what it had locked.
	 * key: as in struct queue_entry. */
	void (*on_killer)(void *arg, struct span bot, struct span key, struct span body);
	void *arg;
};

/* opts is copied, the strings too. */
struct queue *queue_open(const struct queue_opts *opts);
/* Only after queue_leave has finished, or to abandon everything (what is in hand is then taken over as of the dead). */
void queue_close(struct queue *q);

/* Reports; the entry is the queue's again. */
void queue_done(struct queue_entry *e);
void queue_later(struct queue_entry *e, int64_t ms); /* unharmed: counts no attempt */
/* Counts one; the last makes it dead. */
void queue_retry(struct queue_entry *e, int64_t ms, const char *error, bool maybe_applied);
void queue_dead(struct queue_entry *e, const char *error, bool maybe_applied);
void queue_drop(struct queue_entry *e); /* a lost one */
/* `count` effects were delivered. fn comes when the queue has it (ours), or when the entry is lost. */
void queue_sent(struct queue_entry *e, unsigned count, void (*fn)(void *arg, bool ours), void *arg);

/* Was the entry certainly ours within the last 2 s? If not, queue_confirm asks; fn as for queue_sent. */
bool queue_certain(const struct queue *q);
void queue_confirm(struct queue_entry *e, void (*fn)(void *arg, bool ours), void *arg);

/* There may be more room, or something to report at once. */
void queue_poke(struct queue *q);
/* Entries that workers have died of wait for one with empty hands: take nothing else until ours are. */
bool queue_wants_empty_hands(const struct queue *q);
unsigned queue_wanted(const struct queue *q);     /* asked for in the turn under way */
unsigned queue_in_hand(const struct queue *q);    /* entries that are the user's */
bool queue_has_more(const struct queue *q);       /* as far as is known */
bool queue_up(const struct queue *q);             /* a turn was answered within the last 2 s */
const char *queue_trouble(const struct queue *q); /* why not, for /readyz; NULL when up */
const char *queue_foreign(const struct queue *q); /* the keys are of another list of shards: why not; NULL: ours */
const char *queue_name(const struct queue *q);    /* NAME of this connection */
bool queue_stuck(
    const struct queue *q); /* connected, yet nothing was asked for 60 s, not even in vain: a restart helps */

/* The connection of the turns, for short commands on this shard's keys. */
struct redis *queue_redis(struct queue *q);
unsigned queue_shard(const struct queue *q);

/* Hands back all that is still in hand (on_lost, or the fn of its mark, comes for each), signs off; fn when done, or
 * when Redis cannot be reached: at once with nothing to report, else after 5 s. */
void queue_leave(struct queue *q, void (*fn)(void *arg), void *arg);

/* Key names of shard n: "shoal:{n}:WHAT". out holds QUEUE_KEY_MAX bytes. */
#define QUEUE_KEY_MAX 48
void queue_key(char *out, unsigned shard, const char *what);
/* What conf of a shard says of itself, where that is not what this program ("i/n") takes it for: for people. */
#define QUEUE_FOREIGN_MAX 180
void queue_foreign_text(char *out, const char *format, const char *shard, const char *ours);
/* Why a shard without a mark is not marked. */
#define QUEUE_BARE_TEXT "it has no mark, and the list in SHOAL_REDIS_URL is not its owner's, or was not just now"
/* The key by which a cluster's connection finds the server of this shard: redis_opts.home. */
const char *queue_home(struct arena *a, unsigned shard);

#endif
