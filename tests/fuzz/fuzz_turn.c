/* links: store io base */
/* What Redis answers to the queue's script, as bytes of its protocol, one answer for each call: the worker's side of
 * the queue must hold its books whatever comes. Redis itself is not there: this file stands in its place, and reads the
 * answers as io/redis does, into its arena. */
#include "fuzz.h"

#include <event2/event.h>

#include "shoal/io/redis_parts.h"
#include "shoal/store/queue.h"

enum { CALLS_MAX = 8, HELD_MAX = 64, INPUT_LEN_MAX = 1 << 20 };

static struct {
	redis_fn *fn;
	void *arg;
} calls[CALLS_MAX];
static size_t ncalls;

static struct {
	struct queue_entry *v[HELD_MAX];
	size_t n;
} held;
static struct food food;

/* --- in the place of io/redis.h */

struct redis *redis_open(struct loop *l, const struct redis_opts *opts)
{
	struct redis *r = mem_zalloc(sizeof(*r));

	r->loop = l;
	r->opts = *opts;
	arena_init(&r->replies);
	return r;
}

void redis_close(struct redis *r)
{
	arena_release(&r->replies);
	free(r);
}

bool redis_up(const struct redis *r)
{
	return r->state == REDIS_UP;
}

const char *redis_trouble(const struct redis *r)
{
	(void)r;
	return NULL;
}

void redis_drop(struct redis *r, const char *reason)
{
	(void)r;
	(void)reason;
}

static void call(redis_fn *fn, void *arg)
{
	MUST(ncalls < CALLS_MAX);
	calls[ncalls].fn = fn;
	calls[ncalls++].arg = arg;
}

void redis_call(struct redis *r, redis_fn *fn, void *arg, size_t argc, const struct span *argv)
{
	(void)r;
	(void)argc;
	(void)argv;
	if (fn)
		call(fn, arg);
}

void redis_eval(struct redis *r, struct redis_script *s, redis_fn *fn, void *arg, size_t nkeys, size_t argc,
                const struct span *argv)
{
	(void)r;
	(void)s;
	MUST(nkeys <= argc);
	for (size_t i = 0; i < argc; i++)
		MUST(argv[i].ptr || !argv[i].len);
	call(fn, arg);
}

/* --- the worker */

static unsigned room(void *arg, unsigned shard)
{
	(void)arg;
	(void)shard;
	return held.n < HELD_MAX ? (unsigned)(HELD_MAX - held.n) : 0;
}

static bool empty_handed(void *arg)
{
	(void)arg;
	return held.n == 0;
}

static void forget(struct queue_entry *e)
{
	for (size_t i = 0; i < held.n; i++)
		if (held.v[i] == e) {
			held.v[i] = held.v[--held.n];
			return;
		}
	MUST(!"an entry that nobody holds");
}

static void on_marked(void *arg, bool ours)
{
	struct queue_entry *e = arg;

	if (ours)
		return;
	forget(e);
	queue_drop(e);
}

/* What becomes of an entry is the input's choice. */
static void settle(struct queue_entry *e)
{
	switch (food_byte(&food) % 8) {
	case 0:
		forget(e);
		queue_done(e);
		break;
	case 1:
		forget(e);
		queue_later(e, food_byte(&food));
		break;
	case 2:
		forget(e);
		queue_retry(e, food_byte(&food), "why", food_byte(&food) & 1);
		break;
	case 3:
		forget(e);
		queue_dead(e, "why", false);
		break;
	case 4: queue_sent(e, 1, on_marked, e); break;
	case 5: queue_confirm(e, on_marked, e); break;
	default: break;
	}
}

static void on_entry(void *arg, struct queue_entry *e)
{
	(void)arg;
	MUST(e->id && e->lane.ptr && e->key.ptr);
	if (held.n == HELD_MAX) { /* more than was asked for */
		queue_later(e, 0);
		return;
	}
	held.v[held.n++] = e;
	settle(e);
}

static void on_lost(void *arg, struct queue_entry *e)
{
	(void)arg;
	MUST(e->lost);
	forget(e);
	queue_drop(e);
}

static void on_duplicate(void *arg, struct span bot)
{
	(void)arg;
	MUST(bot.ptr);
}

static void on_dead(void *arg, const struct queue_burial *b)
{
	(void)arg;
	MUST(b->id.ptr && b->bot.ptr && b->why.ptr);
}

static void on_killer(void *arg, struct span bot, struct span key, struct span body)
{
	(void)arg;
	MUST(bot.ptr && key.ptr && body.ptr);
}

static void on_left(void *arg)
{
	(void)arg;
	MUST(held.n == 0);
}

/* --- the conversation */

/* All that was promised is there to be read, and nothing was believed that did not come. */
static size_t walk(const redisReply *v)
{
	size_t n = 1;

	if (v->type == REDIS_REPLY_STRING || v->type == REDIS_REPLY_STATUS || v->type == REDIS_REPLY_ERROR)
		MUST(v->str && !v->str[v->len] && v->len <= INPUT_LEN_MAX);
	for (size_t i = 0; i < v->elements; i++)
		n += walk(v->element[i]);
	return n;
}

static redisReply *next_reply(struct redis *r, redisReader *reader)
{
	void *reply = NULL;

	if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
		MUST(!r->absurd || reader->err == REDIS_ERR_OOM);
		return NULL;
	}
	MUST(!r->absurd);
	if (reply)
		MUST(walk(reply) <= INPUT_LEN_MAX);
	return reply;
}

static void answer(struct redis *r, redisReader *reader)
{
	redis_fn *fn = calls[0].fn;
	void *arg = calls[0].arg;
	redisReply *reply = next_reply(r, reader);

	memmove(calls, calls + 1, --ncalls * sizeof(calls[0]));
	if (!reply)
		fn(arg, ERR_UNKNOWN, NULL);
	else if (reply->type == REDIS_REPLY_ERROR)
		fn(arg, ERR_REFUSED, reply);
	else
		fn(arg, ERR_OK, reply);
	if (reply)
		arena_release(&r->replies);
}

static void fuzz(const uint8_t *data, size_t size)
{
	struct shard_marks marks = {0};
	struct queue_opts opts = {.url = "redis://h",
	                          .shards = 2,
	                          .shard = 1,
	                          .worker_id = "w",
	                          .max_attempts = 5,
	                          .idempotency_ttl_s = 60,
	                          .room = room,
	                          .marks = &marks,
	                          .empty_handed = empty_handed,
	                          .on_entry = on_entry,
	                          .on_lost = on_lost,
	                          .on_duplicate = on_duplicate,
	                          .on_dead = on_dead,
	                          .on_killer = on_killer};
	static struct loop *loop;
	size_t choices = size < 32 ? size : 32;
	redisReader *reader = redisReaderCreate();
	redisContext context = {.reader = reader};

	if (!loop)
		loop = loop_new();
	MUST(reader);
	opts.loop = loop;
	ncalls = held.n = 0;
	food = food_of(data, choices);
	redisReaderFeed(reader, (const char *)data + choices, size - choices);

	struct queue *q = queue_open(&opts);
	struct redis *r = queue_redis(q);
	r->state = REDIS_UP;
	redis_replies_into(&context, r);
	r->opts.on_up(r->opts.arg);
	for (int turn = 0; turn < 12 && ncalls > 0; turn++) {
		answer(r, reader);
		if (held.n > 0 && held.v[0]->report == 0)
			settle(held.v[0]);
		if (turn == 8)
			queue_leave(q, on_left, NULL);
		queue_poke(q);
		event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
	}
	redisReaderFree(reader);
	queue_close(q);
	event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}
