#include "shoal/store/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"

#define DEADLINE_MS 3000 /* a worker that has not turned for so long is dead */
#define HEARTBEAT_MS 500 /* one turn at least this often */
#define CERTAIN_MS 2000  /* so long after an answered turn nobody can have taken what is ours */
#define PATIENCE_MS 300  /* so long nothing new is taken for the sake of entries that a worker died of */
#define BATCH 32         /* room or reports that are worth a turn at once */
#define LINGER_MS 1      /* a report waits so long for company */
#define TURN_TIMEOUT_MS 5000
#define BELL_BLOCK_MS 5000
#define HELLO_AGAIN_MS 1000 /* after a hello that was refused */
#define STUCK_MS 60000
#define LEAVE_MS 5000 /* so long a leaving worker tries to tell what it has finished */
#define NAMES_MAX 64
#define NAME_MAX_LEN 160
#define SHARD_PREFIX_MAX 16
#define KEY_UPDATES 0 /* of the script's keys */
#define KEY_WAKE 10

enum report {
	REPORT_NONE,
	REPORT_DONE,
	REPORT_LATER,
	REPORT_RETRY,
	REPORT_RETRY_MAYBE,
	REPORT_DEAD,
	REPORT_SENT,
	REPORT_CONFIRM
};
static const char *const report_words[] = {NULL, "done", "later", "retry", "retry?", "dead", "sent", NULL};

/*
 * down ──redis up──> hello ──kept──> ready ──gone──> hello
 *  ^                   │               │
 *  └───────────── connection lost ─────┘        version: another format, asked again once a second
 */
enum state { Q_DOWN, Q_HELLO, Q_READY, Q_LEAVING, Q_LEFT };

struct list {
	struct queue_entry *first;
	unsigned n;
};

struct queue {
	struct queue_opts opts;
	struct redis *turns, *bell;
	enum state state;
	bool busy;                           /* a script call is under way */
	char names[NAMES_MAX][NAME_MAX_LEN]; /* the last is the present one; others may still be registered */
	unsigned nnames;
	char trouble[160];

	struct list held;    /* running, or waiting for their sent mark */
	struct list reports; /* finished, not yet told */
	struct list telling; /* in the turn under way */
	unsigned urgent;     /* reports that somebody waits for */
	int64_t first_report_us;

	unsigned wanted;
	bool asked; /* the turn under way, or the last one, asked for entries */
	bool shortread, rung, bell_waiting;
	bool empty_handed;                               /* the turn under way said so */
	int64_t careful;                                 /* what the script said waits for empty hands: 0, 1, 2 */
	int64_t careful_since_ms;                        /* since when we empty ours */
	int64_t turn_began_ms, turn_began_us, turned_ms; /* start of the one under way; of the last answered */
	int64_t due_at_ms;                               /* -1: nothing due */
	unsigned last_given;
	int64_t hello_not_before_ms, leave_until_ms;

	struct task task;
	struct timer timer;
	struct arena scratch;
	char keys[11][QUEUE_KEY_MAX];
	char format_shard[32];
	char worker_id[101];
	void (*left)(void *arg);
	void *left_arg;
	int64_t warned;
	unsigned unwarned;
	struct series *turn_seconds;
};

static struct redis_script turn_script = {.name = "lua/turn.lua"};

void queue_key(char *out, unsigned shard, const char *what)
{
	snprintf(out, QUEUE_KEY_MAX, "shoal:{%u}:%s", shard, what);
}

/* ---- lists */

static void list_add(struct list *l, struct queue_entry *e)
{
	e->next = l->first;
	if (e->next)
		e->next->prev = &e->next;
	e->prev = &l->first;
	l->first = e;
	l->n++;
}

static void list_remove(struct list *l, struct queue_entry *e)
{
	*e->prev = e->next;
	if (e->next)
		e->next->prev = e->prev;
	e->next = NULL;
	e->prev = NULL;
	l->n--;
}

static void entry_free(struct queue_entry *e)
{
	free(e->report_text);
	free(e);
}

static struct list *list_of(struct queue *q, struct queue_entry *e)
{
	if (e->report_sending)
		return &q->telling;
	return e->report == REPORT_NONE ? &q->held : &q->reports;
}

/* Nobody's any more: tells the owner, unless the owner has already given it back. */
static void entry_lost(struct queue *q, struct queue_entry *e)
{
	list_remove(list_of(q, e), e);
	if (e->report_closing) {
		entry_free(e);
		return;
	}
	if (e->report != REPORT_NONE && !e->report_sending)
		q->urgent--;
	void (*fn)(void *, bool) = e->sent_fn;
	e->report = REPORT_NONE;
	e->report_sending = false;
	e->sent_fn = NULL;
	e->lost = true;
	if (fn)
		fn(e->sent_arg, false);
	else
		q->opts.on_lost(q->opts.arg, e);
}

static struct queue_entry *list_find(struct list *l, const char *id)
{
	for (struct queue_entry *e = l->first; e; e = e->next)
		if (!strcmp(e->id, id))
			return e;
	return NULL;
}

/* ---- calling the script */

struct call {
	struct arena *a;
	size_t n, cap;
	struct span *argv;
};

static void call_add(struct call *c, const char *s)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		struct span *bigger = arena_array(c->a, struct span, cap);
		if (c->n)
			memcpy(bigger, c->argv, c->n * sizeof(*bigger));
		c->argv = bigger;
		c->cap = cap;
	}
	c->argv[c->n++] = span_of(s);
}

static void call_begin(struct queue *q, struct call *c, const char *mode, unsigned want, bool empty_handed)
{
	arena_release(&q->scratch);
	*c = (struct call){.a = &q->scratch};
	for (size_t i = 0; i < sizeof(q->keys) / sizeof(q->keys[0]); i++)
		call_add(c, q->keys[i]);
	call_add(c, QUEUE_FORMAT);
	call_add(c, q->format_shard);
	call_add(c, q->names[q->nnames - 1]);
	call_add(c, mode);
	call_add(c, arena_printf(c->a, "%u", want));
	call_add(c, empty_handed ? "1" : "0");
	call_add(c, arena_printf(c->a, "%d", DEADLINE_MS));
	call_add(c, arena_printf(c->a, "%lld", (long long)q->opts.max_attempts));
	call_add(c, arena_printf(c->a, "%lld", (long long)q->opts.idempotency_ttl_s * 1000));
	const char *except = q->opts.except ? q->opts.except(q->opts.arg) : NULL;
	call_add(c, except ? except : "");
}

static void call_send(struct queue *q, struct call *c, redis_fn *fn)
{
	q->busy = true;
	q->turn_began_ms = clock_ms();
	q->turn_began_us = clock_us();
	redis_eval(q->turns, &turn_script, fn, q, sizeof(q->keys) / sizeof(q->keys[0]), c->n, c->argv);
}

static void wake_in(struct queue *q, int64_t ms)
{
	timer_set(&q->timer, ms < 0 ? 0 : ms);
}

static void trouble(struct queue *q, const char *what, const char *detail)
{
	snprintf(q->trouble, sizeof(q->trouble), "%s%s%.100s", what, *detail ? ": " : "", detail);
	if (!log_due(&q->warned, &q->unwarned))
		return;
	log_warn("queue: turn failed", LOG_INT("shard", q->opts.shard), LOG_STR("why", q->trouble),
	         LOG_INT("suppressed", q->unwarned));
	q->unwarned = 0;
}

/* ---- hello */

static void hello_done(void *arg, enum err err, const redisReply *reply);

static void hello(struct queue *q)
{
	if (q->nnames == NAMES_MAX) { /* the first one holds what we have; those in between never got an answer */
		memmove(q->names[1], q->names[2], (NAMES_MAX - 2) * sizeof(q->names[0]));
		q->nnames--;
	}
	char random[17];
	random_hex(random, 8);
	snprintf(q->names[q->nnames++], NAME_MAX_LEN, "%s~%s", q->worker_id, random);

	struct call c;
	call_begin(q, &c, "hello", 0, false);
	call_add(&c, arena_printf(c.a, "%u", q->nnames - 1));
	for (unsigned i = 0; i + 1 < q->nnames; i++)
		call_add(&c, q->names[i]);
	for (struct queue_entry *e = q->held.first; e; e = e->next)
		call_add(&c, e->id);
	for (struct queue_entry *e = q->reports.first; e; e = e->next)
		call_add(&c, e->id);
	q->state = Q_HELLO;
	call_send(q, &c, hello_done);
}

static bool reply_is(const redisReply *r, const char *word)
{
	return r && r->type == REDIS_REPLY_ARRAY && r->elements > 0 && r->element[0]->type == REDIS_REPLY_STRING &&
	       !strcmp(r->element[0]->str, word);
}

/* Of the entries in l, those that the answer does not name are lost. */
static void keep_only(struct queue *q, struct list *l, const redisReply *kept)
{
	struct queue_entry *next;
	for (struct queue_entry *e = l->first; e; e = next) {
		next = e->next;
		bool found = false;
		for (size_t i = 0; i < kept->elements && !found; i++)
			found = kept->element[i]->type == REDIS_REPLY_STRING && !strcmp(kept->element[i]->str, e->id);
		/* what is only to be reported may have been settled by the turn whose answer was lost */
		if (!found)
			entry_lost(q, e);
	}
}

static void version_differs(struct queue *q, const redisReply *r)
{
	char detail[160];
	snprintf(detail, sizeof(detail), "the stream says format %.20s shard %.20s, this program %s shard %s",
	         r->elements > 1 && r->element[1]->str ? r->element[1]->str : "?",
	         r->elements > 2 && r->element[2]->str ? r->element[2]->str : "?", QUEUE_FORMAT,
	         strchr(q->format_shard, '/') ? q->format_shard : "?");
	trouble(q, "another format", detail);
}

static void all_lost(struct queue *q)
{
	while (q->reports.first)
		entry_lost(q, q->reports.first);
	while (q->held.first)
		entry_lost(q, q->held.first);
}

/* Once; nothing is ours any more, so nobody may go on with it or wait for its mark. */
static void left(struct queue *q)
{
	if (q->state == Q_LEFT)
		return;
	q->state = Q_LEFT;
	timer_stop(&q->timer);
	all_lost(q);
	q->left(q->left_arg);
}

/* A leaving worker was not heard. What it has finished would be done again by others, so it tries for a while. */
static void leave_failed(struct queue *q)
{
	if (!(q->reports.n + q->held.n) || clock_ms() >= q->leave_until_ms)
		left(q);
	else if (redis_up(q->turns))
		wake_in(q, 200);
}

static void hello_done(void *arg, enum err err, const redisReply *reply)
{
	struct queue *q = arg;
	q->busy = false;
	if (q->state == Q_LEFT)
		return;
	if (err != ERR_OK || !reply_is(reply, "kept") || reply->elements < 2) {
		if (reply_is(reply, "version"))
			version_differs(q, reply);
		else
			trouble(q, "hello", reply && reply->str ? reply->str : err_text(err));
		q->hello_not_before_ms = clock_ms() + HELLO_AGAIN_MS;
		if (q->left)
			leave_failed(q);
		else if (q->state == Q_HELLO && redis_up(q->turns))
			wake_in(q, HELLO_AGAIN_MS);
		return;
	}
	memmove(q->names[0], q->names[q->nnames - 1], sizeof(q->names[0]));
	q->nnames = 1;
	q->turned_ms = q->turn_began_ms;
	q->trouble[0] = 0;
	q->state = q->left ? Q_LEAVING : Q_READY;
	q->shortread = false;
	q->due_at_ms = -1;
	keep_only(q, &q->held, reply->element[1]);
	keep_only(q, &q->reports, reply->element[1]);
	q->rung = true;
	queue_poke(q);
	if (q->opts.on_up)
		q->opts.on_up(q->opts.arg, q->opts.shard);
}

/* ---- turn */

static struct queue_entry *entry_new(struct queue *q, const redisReply *r)
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 6 || r->element[0]->type != REDIS_REPLY_STRING ||
	    r->element[5]->type != REDIS_REPLY_ARRAY)
		return NULL;
	const redisReply *fields = r->element[5];
	size_t bytes = 2 * (r->element[0]->len + 1) + SHARD_PREFIX_MAX;
	for (size_t i = 0; i < fields->elements; i++) {
		if (fields->element[i]->type != REDIS_REPLY_STRING)
			return NULL;
		bytes += fields->element[i]->len + 1;
	}
	struct queue_entry *e = mem_zalloc(sizeof(*e) + bytes);
	char *p = (char *)(e + 1);
	memcpy(p, r->element[0]->str, r->element[0]->len + 1);
	e->id = p;
	p += r->element[0]->len + 1;
	const struct {
		const char *name;
		struct span *to;
	} known[] = {{"bot", &e->bot}, {"lane", &e->lane}, {"key", &e->key}, {"at", &e->at}, {"body", &e->body}};
	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		/* as the script compares: a NUL ends no name */
		const struct span name = {fields->element[i]->str, fields->element[i]->len};
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (!known[k].to->ptr && span_is(name, known[k].name)) {
				const redisReply *v = fields->element[i + 1];
				memcpy(p, v->str, v->len);
				p[v->len] = 0;
				*known[k].to = (struct span){p, v->len};
				p += v->len + 1;
			}
	}
	if (!e->key.len) { /* as in turn.lua */
		int n = q->opts.shard ? snprintf(p, SHARD_PREFIX_MAX, "%u/", q->opts.shard) : 0;
		memcpy(p + n, r->element[0]->str, r->element[0]->len + 1);
		e->key = (struct span){p, (size_t)n + r->element[0]->len};
	}
	e->again = r->element[1]->integer;
	e->retries = (unsigned)r->element[2]->integer;
	e->takeovers = (unsigned)r->element[3]->integer;
	e->sent = (unsigned)r->element[4]->integer;
	e->queue = q;
	return e;
}

static void telling_over(struct queue *q, bool told)
{
	struct queue_entry *e;
	while ((e = q->telling.first)) {
		if (told && q->state == Q_LEAVING && !e->report_closing) { /* noted, then given back */
			entry_lost(q, e);
			continue;
		}
		list_remove(&q->telling, e);
		e->report_sending = false;
		if (!told) {
			list_add(&q->reports, e);
			q->urgent += !e->report_closing;
		} else if (e->report_closing) {
			entry_free(e);
		} else {
			void (*fn)(void *, bool) = e->sent_fn;
			e->report = REPORT_NONE;
			e->sent_fn = NULL;
			list_add(&q->held, e);
			fn(e->sent_arg, true);
		}
	}
	if (q->reports.n)
		q->first_report_us = clock_us();
}

static struct span text_of(const redisReply *r)
{
	return (struct span){r->str, r->len};
}

static void take_answer(struct queue *q, const redisReply *r)
{
	const redisReply *entries = r->element[1], *fenced = r->element[2], *twice = r->element[5],
	                 *dead = r->element[6], *killers = r->element[8];
	for (size_t i = 0; i < fenced->elements; i++) {
		struct queue_entry *e = list_find(&q->telling, fenced->element[i]->str);
		if (e)
			entry_lost(q, e);
	}
	for (size_t i = 0; i + 2 < dead->elements; i += 3)
		if (!list_find(&q->telling, dead->element[i]->str)) /* what was reported is known to its owner */
			q->opts.on_dead(q->opts.arg, text_of(dead->element[i]), text_of(dead->element[i + 1]),
			                text_of(dead->element[i + 2]));
	for (size_t i = 0; i + 2 < killers->elements; i += 3)
		q->opts.on_killer(q->opts.arg, text_of(killers->element[i]), text_of(killers->element[i + 1]),
		                  text_of(killers->element[i + 2]));
	telling_over(q, true);
	q->due_at_ms = r->element[3]->integer < 0 ? -1 : q->turn_began_ms + r->element[3]->integer;
	q->shortread = r->element[4]->integer;
	q->last_given = (unsigned)entries->elements;
	if (q->asked) {
		if (!q->careful || q->empty_handed)
			q->careful_since_ms = clock_ms();
		q->careful = r->element[7]->integer;
	}
	for (size_t i = 0; i < twice->elements; i++)
		q->opts.on_duplicate(q->opts.arg, text_of(twice->element[i]));
	for (size_t i = 0; i < entries->elements; i++) {
		struct queue_entry *e = entry_new(q, entries->element[i]);
		if (!e)
			BUG("turn.lua gave an entry of another shape");
		list_add(&q->held, e);
		q->opts.on_entry(q->opts.arg, e);
	}
}

static bool sound_answer(const redisReply *r)
{
	if (!reply_is(r, "ok") || r->elements != 9)
		return false;
	static const size_t arrays[] = {1, 2, 5, 6, 8}, numbers[] = {3, 4, 7};
	for (size_t i = 0; i < 5; i++)
		if (r->element[arrays[i]]->type != REDIS_REPLY_ARRAY)
			return false;
	for (size_t i = 0; i < 3; i++)
		if (r->element[numbers[i]]->type != REDIS_REPLY_INTEGER)
			return false;
	return true;
}

static void turn_done(void *arg, enum err err, const redisReply *reply)
{
	struct queue *q = arg;
	bool leaving = q->state == Q_LEAVING;
	q->busy = false;
	q->wanted = 0;
	series_observe(q->turn_seconds, (double)(clock_us() - q->turn_began_us) / 1e6);
	if (err == ERR_OK && sound_answer(reply)) {
		q->turned_ms = q->turn_began_ms;
		q->trouble[0] = 0;
		take_answer(q, reply);
		if (leaving) {
			left(q);
			return;
		}
		queue_poke(q);
		return;
	}
	telling_over(q, false);
	if (q->state == Q_LEFT)
		return;
	if (err == ERR_OK && reply_is(reply, "gone")) {
		log_warn("queue: this worker was taken for dead", LOG_INT("shard", q->opts.shard),
		         LOG_INT("in_hand", q->held.n));
		all_lost(q);
		if (leaving) {
			left(q);
			return;
		}
		hello(q);
		return;
	}
	if (reply_is(reply, "version"))
		version_differs(q, reply);
	else
		trouble(q, "turn", reply && reply->str ? reply->str : err_text(err));
	if (leaving)
		leave_failed(q);
	else if (redis_up(q->turns))
		wake_in(q, 500);
}

static void turn(struct queue *q)
{
	struct call c;
	bool leaving = q->left != NULL;
	while (leaving && q->held.first) /* another worker may have it before the answer is here */
		entry_lost(q, q->held.first);
	unsigned want = leaving ? 0 : q->opts.room(q->opts.arg);
	q->empty_handed = q->opts.empty_handed(q->opts.arg);
	call_begin(q, &c, leaving ? "leave" : "work", want, q->empty_handed);
	struct queue_entry *next;
	for (struct queue_entry *e = q->reports.first; e; e = next) {
		next = e->next;
		list_remove(&q->reports, e);
		e->report_sending = true;
		list_add(&q->telling, e);
		if (e->report == REPORT_CONFIRM)
			continue;
		call_add(&c, report_words[e->report]);
		call_add(&c, e->id);
		call_add(&c, e->lane.ptr);
		call_add(&c, arena_printf(c.a, "%lld", (long long)e->report_number));
		call_add(&c, e->report_text ? e->report_text : "");
	}
	q->urgent = 0;
	q->wanted = want;
	q->asked = want > 0;
	q->rung = false;
	if (leaving)
		q->state = Q_LEAVING;
	call_send(q, &c, turn_done);
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
	                            span_of(q->keys[KEY_UPDATES]),
	                            span_of(q->keys[KEY_WAKE]),
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
		left(q);
		return;
	}
	if (q->state == Q_DOWN)
		return;
	if (q->state == Q_HELLO) {
		int64_t early = q->hello_not_before_ms - clock_ms();
		if (early > 0)
			wake_in(q, early);
		else
			hello(q);
		return;
	}
	if (q->left) {
		turn(q);
		return;
	}
	int64_t now = clock_ms(), beat = q->turn_began_ms + HEARTBEAT_MS - now;
	unsigned room = q->opts.room(q->opts.arg);
	bool idle = q->held.n == 0;
	int64_t due = q->due_at_ms < 0 || !room ? INT64_MAX : q->due_at_ms - now;
	if (due <= 0 && q->last_given == 0) /* what is due cannot be given yet: no busy loop */
		due = q->turn_began_ms + 20 - now;
	int64_t linger = q->reports.n ? LINGER_MS - (clock_us() - q->first_report_us) / 1000 : INT64_MAX;
	bool worth = room >= BATCH || (room && room >= q->held.n);
	bool more = worth && (q->rung || !q->shortread);
	if (q->urgent || q->reports.n >= BATCH || (idle && q->reports.n) || more || due <= 0 || linger <= 0 ||
	    beat <= 0) {
		turn(q);
		return;
	}
	if (worth) /* who would not come at once leaves the ring to others */
		bell_listen(q);
	int64_t wait = beat < due ? beat : due;
	wake_in(q, wait < linger ? wait : linger);
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
	hello(q);
}

static void turns_down(void *arg, enum err why)
{
	struct queue *q = arg;
	if (q->state == Q_LEFT)
		return;
	snprintf(q->trouble, sizeof(q->trouble), "redis: %s", err_text(why));
	q->state = Q_DOWN;
	q->wanted = 0;
	timer_stop(&q->timer);
	if (!q->left)
		return;
	if (q->reports.n || q->telling.n)
		wake_in(q, q->leave_until_ms - clock_ms());
	else
		left(q);
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
	q->task = (struct task){.fn = consider, .arg = q};
	timer_init(&q->timer, opts->loop, consider, q);
	q->turn_seconds =
	    SERIES0(metric_histogram("shoal_turn_seconds", "", "Round trip of a turn of the queue", NULL, 0));
	struct redis_opts ro = {.url = opts->url,
	                        .label = "queue",
	                        .timeout_ms = TURN_TIMEOUT_MS,
	                        .on_up = turns_up,
	                        .on_down = turns_down,
	                        .arg = q};
	q->turns = redis_open(opts->loop, &ro);
	ro = (struct redis_opts){
	    .url = opts->url, .label = "bell", .timeout_ms = BELL_BLOCK_MS + 3000, .on_up = bell_up, .arg = q};
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
	struct list *lists[] = {&q->held, &q->reports, &q->telling};
	for (size_t i = 0; i < 3; i++)
		while (lists[i]->first) {
			struct queue_entry *e = lists[i]->first;
			list_remove(lists[i], e);
			entry_free(e);
		}
	arena_release(&q->scratch);
	free(q);
}

/* ---- reports */

static void report(struct queue_entry *e, enum report kind, int64_t number, const char *text, bool closing)
{
	struct queue *q = e->queue;
	if (e->lost) {
		entry_free(e);
		return;
	}
	ENSURE(e->report == REPORT_NONE);
	list_remove(&q->held, e);
	e->report = (int)kind;
	e->report_number = number;
	e->report_text = text ? mem_strdup(text) : NULL;
	e->report_closing = closing;
	if (!q->reports.n)
		q->first_report_us = clock_us();
	list_add(&q->reports, e);
	q->urgent += !closing;
	queue_poke(q);
}

void queue_done(struct queue_entry *e)
{
	report(e, REPORT_DONE, 0, NULL, true);
}

void queue_later(struct queue_entry *e, int64_t ms)
{
	report(e, REPORT_LATER, ms < 0 ? 0 : ms, NULL, true);
}

void queue_retry(struct queue_entry *e, int64_t ms, const char *error, bool maybe_applied)
{
	report(e, maybe_applied ? REPORT_RETRY_MAYBE : REPORT_RETRY, ms < 0 ? 0 : ms, error, true);
}

void queue_dead(struct queue_entry *e, const char *error, bool maybe_applied)
{
	report(e, REPORT_DEAD, maybe_applied, error, true);
}

void queue_drop(struct queue_entry *e)
{
	ENSURE(e->lost);
	entry_free(e);
}

void queue_sent(struct queue_entry *e, unsigned count, void (*fn)(void *arg, bool ours), void *arg)
{
	ENSURE(!e->lost);
	e->sent_fn = fn;
	e->sent_arg = arg;
	report(e, REPORT_SENT, count, NULL, false);
}

void queue_confirm(struct queue_entry *e, void (*fn)(void *arg, bool ours), void *arg)
{
	ENSURE(!e->lost);
	e->sent_fn = fn;
	e->sent_arg = arg;
	report(e, REPORT_CONFIRM, 0, NULL, false);
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

void queue_leave(struct queue *q, void (*fn)(void *arg), void *arg)
{
	q->left = fn;
	q->left_arg = arg;
	bool untold = q->reports.n || q->telling.n;
	q->leave_until_ms = clock_ms() + (q->state != Q_DOWN || untold ? LEAVE_MS : 0);
	if (q->state == Q_DOWN)
		wake_in(q, q->leave_until_ms - clock_ms());
	queue_poke(q);
}
