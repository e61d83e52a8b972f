#include "shoal/store/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/queue_parts.h"

#define HEARTBEAT_MS 500 /* one turn at least this often */
#define CERTAIN_MS 2000  /* so long after an answered turn nobody can have taken what is ours */
#define PATIENCE_MS 300  /* so long nothing new is taken for the sake of entries that a worker died of */
#define BATCH 32         /* room or reports that are worth a turn at once */
#define LINGER_MS 1      /* a report waits so long for company */
#define TURN_TIMEOUT_MS 5000
#define BELL_BLOCK_MS 5000
#define STUCK_MS 60000
#define LEAVE_MS 5000 /* so long a leaving worker tries to tell what it has finished */

void queue_key(char *out, unsigned shard, const char *what)
{
	snprintf(out, QUEUE_KEY_MAX, "shoal:{%u}:%s", shard, what);
}

const char *queue_home(struct arena *a, unsigned shard)
{
	char key[QUEUE_KEY_MAX];
	queue_key(key, shard, "conf");
	return arena_strdup(a, key);
}

void queue_foreign_text(char *out, const char *format, const char *shard, const char *ours)
{
	snprintf(out, QUEUE_FOREIGN_MAX,
	         "its keys are shard %.16s, format %.8s, and SHOAL_REDIS_URL makes it shard %.16s, "
	         "format %s: the list of shards changes only while all are empty",
	         shard, format, ours, QUEUE_FORMAT);
}

void queue_wake_in(struct queue *q, int64_t ms)
{
	timer_set(&q->timer, ms < 0 ? 0 : ms);
}

void queue_complain(struct queue *q, const char *what, const char *detail)
{
	q->foreign = false;
	snprintf(q->trouble, sizeof(q->trouble), "%s%s%.180s", what, *detail ? ": " : "", detail);
	if (!log_due(&q->warned, &q->unwarned))
		return;
	log_warn("queue: turn failed", LOG_INT("shard", q->opts.shard), LOG_STR("why", q->trouble),
	         LOG_INT("suppressed", q->unwarned));
	q->unwarned = 0;
}

/* ---- leaving */

void queue_all_lost(struct queue *q)
{
	while (q->reports.first)
		queue_entry_lost(q, q->reports.first);
	while (q->held.first)
		queue_entry_lost(q, q->held.first);
}

void queue_left(struct queue *q)
{
	if (q->state == Q_LEFT)
		return;
	q->state = Q_LEFT;
	timer_stop(&q->timer);
	queue_all_lost(q);
	q->left(q->left_arg);
}

void queue_leave_failed(struct queue *q)
{
	if (!(q->reports.n + q->held.n) || clock_ms() >= q->leave_until_ms)
		queue_left(q);
	else if (redis_up(q->turns))
		queue_wake_in(q, 200);
}

void queue_leave(struct queue *q, void (*fn)(void *arg), void *arg)
{
	q->left = fn;
	q->left_arg = arg;
	bool untold = q->reports.n || q->telling.n;
	q->leave_until_ms = clock_ms() + (q->state != Q_DOWN || untold ? LEAVE_MS : 0);
	if (q->state == Q_DOWN)
		queue_wake_in(q, q->leave_until_ms - clock_ms());
	queue_poke(q);
}

/* ---- the doorbell */

static void bell_rang(void *arg, enum err err, const redisReply *reply)
{
	struct queue *q = arg;
	q->bell_waiting = false;
	if (err == ERR_OK && reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
		q->rung = true;
	if (err == ERR_OK)
		queue_poke(q);
}

static void bell_listen(struct queue *q)
{
	if (q->bell_waiting || !redis_up(q->bell) || q->left)
		return;
	char block[16];
	snprintf(block, sizeof(block), "%d", BELL_BLOCK_MS);
	const struct span argv[] = {SPAN("XREADGROUP"),
	                            SPAN("GROUP"),
	                            SPAN("bell"),
	                            SPAN("w"),
	                            SPAN("COUNT"),
	                            SPAN("1"),
	                            SPAN("BLOCK"),
	                            span_of(block),
	                            SPAN("NOACK"),
	                            SPAN("STREAMS"),
	                            span_of(q->keys[QUEUE_KEY_UPDATES]),
	                            span_of(q->keys[QUEUE_KEY_WAKE]),
	                            SPAN(">"),
	                            SPAN(">")};
	q->bell_waiting = true;
	redis_call(q->bell, bell_rang, q, sizeof(argv) / sizeof(argv[0]), argv);
}

/* ---- when to turn */

static void consider(void *arg)
{
	struct queue *q = arg;
	if (q->busy || q->state == Q_LEFT)
		return;
	if (q->left && clock_ms() >= q->leave_until_ms) {
		queue_left(q);
		return;
	}
	if (q->state == Q_DOWN)
		return;
	if (q->state == Q_HELLO && q->left && q->nnames == 0) { /* nobody knows of us */
		queue_left(q);
		return;
	}
	if (q->state == Q_HELLO) {
		int64_t early = queue_hello_early_ms(q);
		if (early > 0)
			queue_wake_in(q, early);
		else
			queue_hello(q);
		return;
	}
	if (q->left) {
		queue_turn(q);
		return;
	}
	int64_t now = clock_ms(), beat = q->turn_began_ms + HEARTBEAT_MS - now;
	unsigned room = q->opts.room(q->opts.arg, q->opts.shard);
	bool idle = q->held.n == 0;
	int64_t due = q->due_at_ms < 0 || !room ? INT64_MAX : q->due_at_ms - now;
	if (due <= 0 && q->last_given == 0) /* what is due cannot be given yet: no busy loop */
		due = q->turn_began_ms + 20 - now;
	int64_t linger = q->reports.n ? LINGER_MS - (clock_us() - q->first_report_us) / 1000 : INT64_MAX;
	bool worth = room >= BATCH || (room && room >= q->held.n);
	bool more = worth && (q->rung || !q->shortread);
	if (q->urgent || q->reports.n >= BATCH || (idle && q->reports.n) || more || due <= 0 || linger <= 0 ||
	    beat <= 0) {
		queue_turn(q);
		return;
	}
	if (worth) /* who would not come at once leaves the ring to others */
		bell_listen(q);
	int64_t wait = beat < due ? beat : due;
	queue_wake_in(q, wait < linger ? wait : linger);
}

void queue_poke(struct queue *q)
{
	loop_defer(q->opts.loop, &q->task);
}

/* ---- connections */

static void turns_up(void *arg)
{
	struct queue *q = arg;
	if (q->state == Q_LEFT || q->busy)
		return;
	q->state = Q_HELLO;
	q->hello_not_before_ms = 0;
	snprintf(q->trouble, sizeof(q->trouble), "not registered yet");
	consider(q);
}

static void turns_down(void *arg, enum err why)
{
	struct queue *q = arg;
	if (q->state == Q_LEFT)
		return;
	snprintf(q->trouble, sizeof(q->trouble), "redis: %s", err_text(why));
	q->foreign = false;
	shard_marks_unseen(q->opts.marks, q->opts.shard);
	q->state = Q_DOWN;
	q->wanted = 0;
	timer_stop(&q->timer);
	if (!q->left)
		return;
	if (q->reports.n || q->telling.n)
		queue_wake_in(q, q->leave_until_ms - clock_ms());
	else
		queue_left(q);
}

static void bell_up(void *arg)
{
	queue_poke(arg);
}

struct queue *queue_open(const struct queue_opts *opts)
{
	static const char *const words[] = {"updates", "lanes", "waiting",  "due",  "tries", "workers",
	                                    "dead",    "seen",  "seen_old", "conf", "wake"};
	struct queue *q = mem_zalloc(sizeof(*q));
	q->opts = *opts;
	snprintf(q->worker_id, sizeof(q->worker_id), "%s", opts->worker_id);
	q->opts.worker_id = q->worker_id;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		queue_key(q->keys[i], opts->shard, words[i]);
	snprintf(q->format_shard, sizeof(q->format_shard), "%u/%u", opts->shard, opts->shards);
	snprintf(q->trouble, sizeof(q->trouble), "not connected yet");
	arena_init(&q->scratch);
	q->due_at_ms = -1;
	q->opened_ms = clock_ms();
	q->task = (struct task){.fn = consider, .arg = q};
	timer_init(&q->timer, opts->loop, consider, q);
	q->turn_seconds =
	    SERIES0(metric_histogram("shoal_turn_seconds", "", "Round trip of a turn of the queue", NULL, 0));
	struct redis_opts ro = {.url = opts->url,
	                        .home = q->keys[QUEUE_KEY_CONF],
	                        .label = "queue",
	                        .timeout_ms = TURN_TIMEOUT_MS,
	                        .on_up = turns_up,
	                        .on_down = turns_down,
	                        .arg = q};
	q->turns = redis_open(opts->loop, &ro);
	ro = (struct redis_opts){.url = opts->url,
	                         .home = ro.home,
	                         .label = "bell",
	                         .timeout_ms = BELL_BLOCK_MS + 3000,
	                         .on_up = bell_up,
	                         .arg = q};
	q->bell = redis_open(opts->loop, &ro);
	return q;
}

void queue_close(struct queue *q)
{
	q->state = Q_LEFT;
	redis_close(q->bell);
	redis_close(q->turns);
	task_cancel(&q->task);
	timer_release(&q->timer);
	struct queue_list *lists[] = {&q->held, &q->reports, &q->telling};
	for (size_t i = 0; i < 3; i++)
		while (lists[i]->first) {
			struct queue_entry *e = lists[i]->first;
			queue_list_remove(lists[i], e);
			queue_entry_free(e);
		}
	arena_release(&q->scratch);
	free(q);
}

/* ---- questions */

bool queue_certain(const struct queue *q)
{
	return clock_ms() - q->turned_ms < CERTAIN_MS;
}

unsigned queue_wanted(const struct queue *q)
{
	return q->wanted;
}

unsigned queue_in_hand(const struct queue *q)
{
	return q->in_hand;
}

bool queue_has_more(const struct queue *q)
{
	return q->state == Q_READY && queue_certain(q) && (q->rung || !q->shortread);
}

bool queue_up(const struct queue *q)
{
	return (q->state == Q_READY || q->state == Q_LEAVING) && queue_certain(q);
}

const char *queue_trouble(const struct queue *q)
{
	if (queue_up(q))
		return NULL;
	return q->trouble[0] ? q->trouble : "no turn was answered for 2 s";
}

const char *queue_foreign(const struct queue *q)
{
	return q->foreign ? q->trouble : NULL;
}

const char *queue_name(const struct queue *q)
{
	return q->nnames ? q->names[q->nnames - 1] : q->opts.worker_id;
}

bool queue_stuck(const struct queue *q)
{
	return redis_up(q->turns) && q->turn_began_ms && clock_ms() - q->turn_began_ms > STUCK_MS;
}

bool queue_wants_empty_hands(const struct queue *q)
{
	return q->careful == 2 || (q->careful == 1 && clock_ms() - q->careful_since_ms < PATIENCE_MS);
}

struct redis *queue_redis(struct queue *q)
{
	return q->turns;
}

unsigned queue_shard(const struct queue *q)
{
	return q->opts.shard;
}
