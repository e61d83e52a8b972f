#include "shoal/store/cache_track.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/cache_key.h"

enum {
	ASK_MS = 500,
	TRUST_MS = 2000,    /* from the question; the fleet waits no longer for a worker that is silent */
	ANSWER_MS = 1500,   /* then the connection counts as lost */
	REFUSED_MS = 10000, /* between attempts where the server does not track for us */
};

#define CHANNEL "__redis__:invalidate"

static struct redis_script script_trust = {.name = "lua/cache_trust.lua"};

enum state {
	DOWN,
	SETTING, /* the greeting is under way */
	TRACKING,
	REFUSED
};

struct cache_track {
	struct cache_track_opts opts;
	struct redis *conn;
	enum state state;
	struct timer ask;
	int64_t asked_ms; /* of the question under way */
	int64_t sure_ms;  /* the last question that was answered and posted; 0: none on this connection */
	unsigned posting; /* answers of the ordinary connection that are to come */
	unsigned life;    /* of this connection; answers that belong to an older one are void */
	bool closed;
};

/* A post on its way: whether it still counts is seen when it is answered. */
struct post {
	struct cache_track *t;
	unsigned life;
	int64_t asked_ms;
};

static void setup(struct cache_track *t);

static void release(struct cache_track *t)
{
	if (!t->closed || t->posting > 0)
		return;
	free(t);
}

static void refuse(struct cache_track *t, const redisReply *reply)
{
	log_error("redis does not track keys for this worker: its memory is of no use",
	          LOG_STR("reason", reply ? reply->str : NULL));
	t->state = REFUSED;
	timer_set(&t->ask, REFUSED_MS);
}

static void on_posted(void *arg, enum err err, const redisReply *reply)
{
	struct post *p = arg;
	struct cache_track *t = p->t;
	bool counts = !t->closed && err == ERR_OK && reply->type == REDIS_REPLY_INTEGER && p->life == t->life &&
	              t->state == TRACKING && clock_ms() < p->asked_ms + TRUST_MS;

	t->posting--;
	if (counts) {
		bool begins = !cache_track_sure(t);

		t->sure_ms = p->asked_ms;
		if (begins)
			t->opts.begins(t->opts.arg);
	}
	free(p);
	release(t);
}

static void post(struct cache_track *t)
{
	struct post *p = mem_alloc(sizeof(*p));
	char ms[24];

	snprintf(ms, sizeof(ms), "%d", TRUST_MS);
	*p = (struct post){.t = t, .life = t->life, .asked_ms = t->asked_ms};
	t->posting++;
	redis_eval(t->opts.redis, &script_trust, on_posted, p, 1, 3,
	           (struct span[]){SPAN(CACHE_TRUSTS), span_of(t->opts.id), span_of(ms)});
}

static void on_pong(void *arg, enum err err, const redisReply *reply)
{
	struct cache_track *t = arg;

	(void)reply;
	if (err != ERR_OK || t->state != TRACKING)
		return;
	post(t);
	timer_set(&t->ask, ASK_MS);
}

static void ask(void *arg)
{
	struct cache_track *t = arg;

	if (t->state == REFUSED) {
		setup(t);
		return;
	}
	if (t->state != TRACKING)
		return;
	t->asked_ms = clock_ms();
	redis_call(t->conn, on_pong, t, 1, (struct span[]){SPAN("PING")});
}

static void on_subscribed(void *arg, enum err err, const redisReply *reply)
{
	struct cache_track *t = arg;

	if (t->state != SETTING)
		return;
	if (err != ERR_OK) {
		refuse(t, reply);
		return;
	}
	t->state = TRACKING;
	ask(t);
}

static void on_tracked(void *arg, enum err err, const redisReply *reply)
{
	struct cache_track *t = arg;

	if (t->state != SETTING)
		return;
	if (err != ERR_OK)
		refuse(t, reply);
	else
		redis_call(t->conn, on_subscribed, t, 2, (struct span[]){SPAN("SUBSCRIBE"), SPAN(CHANNEL)});
}

static void on_id(void *arg, enum err err, const redisReply *reply)
{
	struct cache_track *t = arg;
	char id[24];

	if (t->state != SETTING)
		return;
	if (err != ERR_OK || reply->type != REDIS_REPLY_INTEGER) {
		refuse(t, reply);
		return;
	}
	snprintf(id, sizeof(id), "%lld", reply->integer);
	redis_call(t->conn, on_tracked, t, 8,
	           (struct span[]){SPAN("CLIENT"), SPAN("TRACKING"), SPAN("ON"), SPAN("REDIRECT"), span_of(id),
	                           SPAN("BCAST"), SPAN("PREFIX"), SPAN(CACHE_TRACKED)});
}

static void setup(struct cache_track *t)
{
	t->state = SETTING;
	redis_call(t->conn, on_id, t, 2, (struct span[]){SPAN("CLIENT"), SPAN("ID")});
}

static void on_up(void *arg)
{
	struct cache_track *t = arg;

	t->life++;
	setup(t);
}

static void on_down(void *arg, enum err why)
{
	struct cache_track *t = arg;

	(void)why;
	t->state = DOWN;
	timer_stop(&t->ask);
	t->opts.lost(t->opts.arg);
	t->sure_ms = 0;
}

/* {"message", channel, keys or nil} */
static void on_push(void *arg, const redisReply *reply)
{
	struct cache_track *t = arg;
	const redisReply *keys = reply->element[2];

	if (keys->type != REDIS_REPLY_ARRAY) {
		t->opts.flushed(t->opts.arg);
		return;
	}
	for (size_t i = 0; i < keys->elements; i++) {
		const redisReply *k = keys->element[i];

		if (k->type == REDIS_REPLY_STRING)
			t->opts.changed(t->opts.arg, (struct span){k->str, k->len});
	}
}

bool cache_track_up(const struct cache_track *t)
{
	return t->state == TRACKING;
}

int64_t cache_track_sure_ms(const struct cache_track *t)
{
	return t->sure_ms;
}

bool cache_track_sure(const struct cache_track *t)
{
	return t->state == TRACKING && t->sure_ms && clock_ms() < t->sure_ms + TRUST_MS;
}

struct cache_track *cache_track_open(const struct cache_track_opts *opts)
{
	struct cache_track *t = mem_zalloc(sizeof(*t));

	t->opts = *opts;
	timer_init(&t->ask, opts->loop, ask, t);
	t->conn = redis_open(opts->loop, &(struct redis_opts){.url = opts->url,
	                                                      .label = "cache-tracking",
	                                                      .timeout_ms = ANSWER_MS,
	                                                      .on_up = on_up,
	                                                      .on_down = on_down,
	                                                      .on_push = on_push,
	                                                      .arg = t});
	return t;
}

void cache_track_close(struct cache_track *t)
{
	if (!t)
		return;
	if (t->sure_ms)
		redis_eval(t->opts.redis, &script_trust, NULL, NULL, 1, 3,
		           (struct span[]){SPAN(CACHE_TRUSTS), span_of(t->opts.id), SPAN("0")});
	t->closed = true;
	t->state = DOWN;
	timer_release(&t->ask);
	redis_close(t->conn);
	release(t);
}
