#include "shoal/store/cache_listen.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/pg_listen.h"

#define CHANNEL "shoal_cache"
#define CERTIFICATE "shoal:{cache}:listening"

enum {
	PING_MS = 500,
	ANSWER_MS = 1500,
	SURE_MS = 2000,
	PATIENCE_MS = 1500, /* with the others' certificate */
	ALIVE_MS = 3000,    /* a certificate older than this: nobody listens */
	LOOK_MS = 100
};

static struct redis_script script = {.name = "lua/cache_listen.lua"};

enum state {
	DEAF,
	ASKING,   /* whether others listened; or waits to ask again */
	RENEWING, /* the generations end */
	HEARING
};

struct cache_listen {
	struct cache_listen_opts opts;
	struct pg_listen *pg;
	enum state state;
	struct timer look;
	int64_t up_ms;     /* this connection listens since */
	int64_t heard_ms;  /* the last question to Postgres that was answered */
	int64_t from;      /* time of Redis, after this connection began to listen; 0: not asked yet */
	int64_t patience;  /* clock_ms() until which others are waited for */
	int64_t at, at_ms; /* a time of Redis, and clock_ms() when it was heard: what the next certificate may say */
	unsigned calls;    /* answers of Redis that are to come */
	bool closed;
};

static void release(struct cache_listen *l)
{
	if (l->closed && l->calls == 0)
		free(l);
}

static void call(struct cache_listen *l, redis_fn *fn, int64_t certificate)
{
	char text[24] = "";

	if (certificate)
		snprintf(text, sizeof(text), "%lld", (long long)certificate);
	l->calls++;
	redis_eval(l->opts.redis, &script, fn, l, 1, 2, (struct span[]){SPAN(CERTIFICATE), span_of(text)});
}

static bool read_answer(const redisReply *r, int64_t *now, int64_t *held)
{
	if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 2 || r->element[0]->type != REDIS_REPLY_INTEGER ||
	    r->element[1]->type != REDIS_REPLY_INTEGER)
		return false;
	*now = r->element[0]->integer;
	*held = r->element[1]->integer;
	return true;
}

/* --- was there a gap? */

static void look_again(struct cache_listen *l, int64_t ms)
{
	l->state = ASKING;
	timer_set(&l->look, jitter_ms(ms));
}

static void renew(struct cache_listen *l)
{
	l->state = RENEWING;
	log_info("nobody listened for changes of the database: the caches begin anew");
	l->opts.gap(l->opts.arg);
}

static void begin_hearing(struct cache_listen *l)
{
	l->state = HEARING;
	pg_listen_ping(l->pg); /* others may wait for a certificate */
}

static void judge(struct cache_listen *l, int64_t now, int64_t held)
{
	if (!l->from) {
		l->from = now;
		l->patience = clock_ms() + jitter_ms(PATIENCE_MS);
	}
	l->at = now;
	l->at_ms = clock_ms();
	if (held >= l->from)
		begin_hearing(l);
	else if (now - held > ALIVE_MS || clock_ms() >= l->patience)
		renew(l);
	else
		look_again(l, LOOK_MS);
}

static void on_asked(void *arg, enum err err, const redisReply *reply)
{
	struct cache_listen *l = arg;
	int64_t now, held;

	l->calls--;
	if (!l->closed && l->state == ASKING && !timer_armed(&l->look)) {
		if (err == ERR_OK && read_answer(reply, &now, &held))
			judge(l, now, held);
		else
			look_again(l, PING_MS);
	}
	release(l);
}

static void look(void *arg)
{
	struct cache_listen *l = arg;

	if (l->state == ASKING)
		call(l, on_asked, 0);
	else if (l->state == RENEWING)
		l->opts.gap(l->opts.arg);
}

void cache_listen_renewed(struct cache_listen *l, bool done)
{
	if (l->state != RENEWING)
		return;
	if (done)
		begin_hearing(l);
	else
		timer_set(&l->look, jitter_ms(PING_MS));
}

void cache_listen_doubt(struct cache_listen *l)
{
	if (l->state != HEARING)
		return;
	l->state = RENEWING;
	timer_set(&l->look, jitter_ms(LOOK_MS));
}

/* --- the certificate */

static void on_certified(void *arg, enum err err, const redisReply *reply)
{
	struct cache_listen *l = arg;
	int64_t now, held;

	l->calls--;
	if (!l->closed && err == ERR_OK && read_answer(reply, &now, &held)) {
		l->at = now;
		l->at_ms = clock_ms();
	}
	release(l);
}

/* What was heard before this is void in Redis before the certificate is: the calls go one way. */
static void on_pong(void *arg, int64_t asked_ms)
{
	struct cache_listen *l = arg;
	bool certain = l->state == HEARING && l->at && l->at_ms <= asked_ms && redis_up(l->opts.redis);

	l->heard_ms = asked_ms;
	if (l->state == HEARING)
		call(l, on_certified, certain ? l->at : 0);
}

/* --- the connection */

static void on_up(void *arg)
{
	struct cache_listen *l = arg;

	l->state = ASKING;
	l->up_ms = l->heard_ms = clock_ms();
	l->from = l->at = 0;
	look(l);
}

static void on_down(void *arg)
{
	struct cache_listen *l = arg;

	l->state = DEAF;
	l->heard_ms = 0;
	timer_stop(&l->look);
	l->opts.lost(l->opts.arg);
}

static void on_notice(void *arg, struct span payload)
{
	struct cache_listen *l = arg;

	l->opts.changed(l->opts.arg, payload);
}

bool cache_listen_settled(const struct cache_listen *l)
{
	return l->state == HEARING;
}

bool cache_listen_sure(const struct cache_listen *l, int64_t since_ms)
{
	return l->state != DEAF && l->up_ms <= since_ms && clock_ms() < l->heard_ms + SURE_MS;
}

const char *cache_listen_trouble(const struct cache_listen *l)
{
	return pg_listen_trouble(l->pg);
}

struct cache_listen *cache_listen_open(const struct cache_listen_opts *opts)
{
	struct cache_listen *l = mem_zalloc(sizeof(*l));

	l->opts = *opts;
	timer_init(&l->look, opts->loop, look, l);
	l->pg = pg_listen_open(opts->loop, &(struct pg_listen_opts){.url = opts->url,
	                                                            .application_name = opts->application_name,
	                                                            .channel = CHANNEL,
	                                                            .ping_ms = PING_MS,
	                                                            .timeout_ms = ANSWER_MS,
	                                                            .on_up = on_up,
	                                                            .on_down = on_down,
	                                                            .on_notice = on_notice,
	                                                            .on_pong = on_pong,
	                                                            .arg = l});
	return l;
}

void cache_listen_close(struct cache_listen *l)
{
	if (!l)
		return;
	timer_release(&l->look);
	pg_listen_close(l->pg);
	l->closed = true;
	l->state = DEAF;
	release(l);
}
