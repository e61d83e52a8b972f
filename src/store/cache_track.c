#include "shoal/store/cache_track.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_key.h"

enum {
	ASK_MS = 500,
	TRUST_MS = 2000,    /* CACHE_TRUST_MS; the fleet waits no longer for a worker that is silent */
	STRANGE_MAX = 4,    /* the other connection may just be asking who its server is */
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
	int64_t asked_ms;             /* of the question under way */
	int64_t sure_ms;              /* the last question that was answered and posted; 0: none on this connection */
	unsigned posting;             /* answers of the ordinary connection that are to come */
	unsigned life;                /* of this connection; answers that belong to an older one are void */
	unsigned strange;             /* times in a row that the ordinary connection was to another server */
	char ident[CACHE_IDENT_SIZE]; /* of its server */
	unsigned members;             /* names so far */
	char member[240], over[240];  /* the present name, the one before that is to go; "": none */
	bool closed;
};

/* A post on its way: whether it still counts is seen when it is answered. */
struct post {
	struct cache_track *t;
	unsigned life, member;
	int64_t asked_ms;
};

static void setup(struct cache_track *t);

static void release(struct cache_track *t)
{
	if (!t->closed || t->posting > 0)
		return;
	free(t);
}

/* The greeting failed. Where the connection went, on_down follows, and it is greeted anew. */
static void refuse(struct cache_track *t, enum err err, const redisReply *reply)
{
	if (err == ERR_UNREACHABLE || err == ERR_UNKNOWN || err == ERR_TIMEOUT)
		return;
	log_error("redis does not track keys for this worker: its memory is of no use",
	          LOG_STR("reason", err == ERR_REFUSED ? reply->str
	                            : err == ERR_OK    ? "an answer makes no sense"
	                                               : err_text(err)));
	t->state = REFUSED;
	timer_set(&t->ask, REFUSED_MS);
}

static void believe(struct cache_track *t, int64_t asked_ms)
{
	bool begins = !cache_track_sure(t);

	t->sure_ms = asked_ms;
	if (begins)
		t->opts.begins(t->opts.arg);
}

static void on_posted(void *arg, enum err err, const redisReply *reply)
{
	struct post *p = arg;
	struct cache_track *t = p->t;

	t->posting--;
	if (!t->closed && err == ERR_OK && reply->type == REDIS_REPLY_INTEGER && p->life == t->life &&
	    p->member == t->members && t->state == TRACKING && clock_ms() < p->asked_ms + TRUST_MS)
		believe(t, p->asked_ms);
	free(p);
	release(t);
}

/* A belief that ran out begins anew under another name: nobody need wait for the old one. */
static void name_member(struct cache_track *t)
{
	if (cache_track_sure(t) || t->posting > 0)
		return;
	memcpy(t->over, t->member, sizeof(t->over));
	snprintf(t->member, sizeof(t->member), "%.200s~%u", t->opts.id, ++t->members);
}

static void post(struct cache_track *t)
{
	struct post *p = mem_alloc(sizeof(*p));

	name_member(t);
	*p = (struct post){.t = t, .life = t->life, .member = t->members, .asked_ms = t->asked_ms};
	t->posting++;
	redis_eval(t->opts.redis, &script_trust, on_posted, p, 2, 6,
	           (struct span[]){SPAN(CACHE_TRUSTS), SPAN(CACHE_SINCE), span_of(t->ident), SPAN(CACHE_TRUST_MS),
	                           span_of(t->member), span_of(t->over)});
}

static void on_pong(void *arg, enum err err, const redisReply *reply)
{
	struct cache_track *t = arg;

	(void)reply;
	if (err != ERR_OK || t->state != TRACKING)
		return;
	if (strcmp(t->ident, t->opts.ident(t->opts.arg)) == 0) {
		t->strange = 0;
		post(t);
	} else if (++t->strange > STRANGE_MAX) { /* its name leads to another one now, or it was promoted */
		redis_drop(t->conn, "the caches' other connection is to another server");
		return;
	}
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
		refuse(t, err, reply);
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
		refuse(t, err, reply);
	else
		redis_call(t->conn, on_subscribed, t, 2, (struct span[]){SPAN("SUBSCRIBE"), SPAN(CHANNEL)});
}

static void on_info(void *arg, enum err err, const redisReply *reply)
{
	struct cache_track *t = arg;

	if (t->state == SETTING && (err != ERR_OK || reply->type != REDIS_REPLY_STRING ||
	                            !cache_gen_ident((struct span){reply->str, reply->len}, t->ident)))
		refuse(t, err, reply);
}

static void on_id(void *arg, enum err err, const redisReply *reply)
{
	struct cache_track *t = arg;
	char id[24];

	if (t->state != SETTING)
		return;
	if (err != ERR_OK || reply->type != REDIS_REPLY_INTEGER) {
		refuse(t, err, reply);
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
	t->strange = 0;
	redis_call(t->conn, on_info, t, 3, (struct span[]){SPAN("INFO"), SPAN("server"), SPAN("replication")});
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

	if (keys->type != REDIS_REPLY_ARRAY) { /* `trusts` went as well: memory begins anew */
		t->opts.flushed(t->opts.arg);
		t->sure_ms = 0;
		return;
	}
	for (size_t i = 0; i < keys->elements; i++) {
		const redisReply *k = keys->element[i];

		if (k->type == REDIS_REPLY_STRING)
			t->opts.changed(t->opts.arg, (struct span){k->str, k->len});
	}
}

const char *cache_track_member(const struct cache_track *t)
{
	return t->member;
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
	                                                      .home = CACHE_HOME,
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
	if (t->member[0])
		redis_eval(t->opts.redis, &script_trust, NULL, NULL, 2, 6,
		           (struct span[]){SPAN(CACHE_TRUSTS), SPAN(CACHE_SINCE), span_of(t->ident), SPAN("0"),
		                           SPAN(""), span_of(t->member)});
	t->closed = true;
	t->state = DOWN;
	timer_release(&t->ask);
	redis_close(t->conn);
	release(t);
}
