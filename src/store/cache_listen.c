#include "shoal/store/cache_listen.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/pg_listen.h"
#include "shoal/store/cache_probe.h"

#define CHANNEL "shoal_cache"
#define CERTIFICATE "shoal:{cache}:listening"
#define ELSEWHERE                                                                                                      \
	"changes made through SHOAL_POSTGRES_URL are not heard through SHOAL_POSTGRES_DIRECT_URL: both must lead to "  \
	"the same database"

enum {
	PING_MS = 1000,
	CERTIFY_MS = 700, /* a certificate older than this is to be renewed, by whoever sees it first */
	PROVE_MS = 30000, /* between proofs that it is the pool's database, of one connection */
	DROP_MS = 10000,  /* one to another database is kept for so long: no more dialing than that */
	ANSWER_MS = 1500,
	SURE_MS = 3000,
	PATIENCE_MS = 2500, /* with the others' certificate */
	ALIVE_MS = 4000,    /* a certificate older than this: nobody listens */
	AGAIN_MS = 500,     /* where Redis could not be asked */
	LOOK_MS = 100
};

static struct redis_script script = {.name = "lua/cache_listen.lua"};

enum state {
	DEAF,
	PROVING,  /* that it hears what the pool's database tells */
	ASKING,   /* whether others listened; or waits to ask again */
	RENEWING, /* the generations end */
	HEARING
};

struct cache_listen {
	struct cache_listen_opts opts;
	struct pg_listen *pg;
	struct cache_probe *probe;
	enum state state;
	struct timer look;
	bool elsewhere;     /* it was not heard what the pool's database told, and not since either */
	int64_t proved_ms;  /* when it was heard last */
	int64_t heard_ms;   /* the last question to Postgres that was answered */
	int64_t from;       /* time of Redis, after this connection began to listen; 0: not asked yet */
	int64_t patience;   /* clock_ms() until which others are waited for */
	int64_t at, at_ms;  /* a time of Redis, and clock_ms() when it was heard: what the next certificate may say */
	int64_t settled_ms; /* heard without a gap since, clock_ms(); 0: not yet, or not any more */
	bool doubted;       /* a change was heard that could not be voided */
	unsigned life;      /* of this connection; answers of an older one are void */
	unsigned calls;     /* answers of Redis that are to come */
	bool closed;
};

/* A call on its way. */
struct listen_call {
	struct cache_listen *l;
	unsigned life;
};

static void release(struct cache_listen *l)
{
	if (l->closed && l->calls == 0)
		free(l);
}

static void call(struct cache_listen *l, redis_fn *fn, int64_t certificate)
{
	struct listen_call *c = mem_alloc(sizeof(*c));
	char text[24] = "";

	if (certificate)
		snprintf(text, sizeof(text), "%lld", (long long)certificate);
	*c = (struct listen_call){l, l->life};
	l->calls++;
	redis_eval(l->opts.redis, &script, fn, c, 1, 2, (struct span[]){SPAN(CERTIFICATE), span_of(text)});
}

/* Ends a call. NULL: nobody waits for its answer any more. */
static struct cache_listen *called(struct listen_call *c)
{
	struct cache_listen *l = c->l;
	bool counts = !l->closed && c->life == l->life && l->state != DEAF;

	free(c);
	l->calls--;
	release(l);
	return counts ? l : NULL;
}

/* {time, certificate} */
static bool read_answer(enum err err, const redisReply *r, int64_t *now, int64_t *held)
{
	if (err != ERR_OK || r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
	    r->element[0]->type != REDIS_REPLY_INTEGER || r->element[1]->type != REDIS_REPLY_INTEGER)
		return false;
	*now = r->element[0]->integer;
	*held = r->element[1]->integer;
	return true;
}

/* --- is it the pool's database? */

static void go_deaf(struct cache_listen *l, enum state state)
{
	l->state = state;
	l->settled_ms = 0;
	timer_stop(&l->look);
	l->opts.lost(l->opts.arg);
}

static void look(void *arg);

static void on_probe_heard(void *arg)
{
	struct cache_listen *l = arg;

	if (l->elsewhere)
		log_info("changes made through SHOAL_POSTGRES_URL are heard now");
	l->elsewhere = false;
	l->proved_ms = clock_ms();
	if (l->state != PROVING)
		return;
	l->state = ASKING;
	timer_stop(&l->look);
	look(l);
}

static void on_probe_unheard(void *arg)
{
	struct cache_listen *l = arg;
	static int64_t last;
	static unsigned held_back;

	l->elsewhere = true;
	if (log_due(&last, &held_back)) {
		log_error(ELSEWHERE, LOG_INT("suppressed", held_back));
		held_back = 0;
	}
	go_deaf(l, PROVING);
	timer_set(&l->look, jitter_ms(DROP_MS)); /* a name may lead elsewhere by then */
}

static void drop(struct cache_listen *l)
{
	pg_listen_drop(l->pg, ELSEWHERE);
	go_deaf(l, DEAF);
}

/* --- was there a gap? */

static void look_again(struct cache_listen *l, int64_t ms)
{
	l->state = ASKING;
	timer_set(&l->look, jitter_ms(ms));
}

/* Nobody knows what changed, or some of what is known could not be voided. */
static void renew(struct cache_listen *l)
{
	l->state = RENEWING;
	l->doubted = false;
	l->opts.gap(l->opts.arg);
}

static void begin_hearing(struct cache_listen *l)
{
	l->state = HEARING;
	if (!l->settled_ms)
		l->settled_ms = clock_ms();
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
	if (l->doubted) {
		renew(l);
	} else if (held >= l->from) {
		begin_hearing(l);
	} else if (now - held > ALIVE_MS || clock_ms() >= l->patience) {
		log_info("nobody listened for changes of the database: the caches begin anew");
		renew(l);
	} else {
		look_again(l, LOOK_MS);
	}
}

static void on_asked(void *arg, enum err err, const redisReply *reply)
{
	struct cache_listen *l = called(arg);
	int64_t now, held;

	if (!l || l->state != ASKING || timer_armed(&l->look))
		return;
	if (read_answer(err, reply, &now, &held))
		judge(l, now, held);
	else
		look_again(l, AGAIN_MS);
}

static void look(void *arg)
{
	struct cache_listen *l = arg;

	if (l->state == PROVING)
		drop(l);
	else if (l->state == ASKING)
		call(l, on_asked, 0);
	else if (l->state == RENEWING)
		l->opts.gap(l->opts.arg);
}

void cache_listen_renewed(struct cache_listen *l, bool done)
{
	if (l->state != RENEWING)
		return;
	if (done && l->doubted)
		renew(l);
	else if (done)
		begin_hearing(l);
	else
		timer_set(&l->look, jitter_ms(AGAIN_MS));
}

void cache_listen_doubt(struct cache_listen *l)
{
	if (l->state == HEARING) {
		l->state = RENEWING;
		timer_set(&l->look, jitter_ms(LOOK_MS));
	} else {
		l->doubted = true;
	}
}

void cache_listen_redis_came(struct cache_listen *l)
{
	if (l->state != RENEWING && l->state != ASKING)
		return;
	timer_stop(&l->look);
	look(l);
}

/* --- the certificate */

/* Who finds it old asks Postgres for the proof of a new one. Of many workers some one does, as each looks at a time of
 * its own: the question wakes the backends of all listeners. */
static void on_looked(void *arg, enum err err, const redisReply *reply)
{
	struct cache_listen *l = called(arg);
	int64_t now, held;

	if (!l || !read_answer(err, reply, &now, &held))
		return;
	l->at = now;
	l->at_ms = clock_ms();
	if (l->state == HEARING && now - held >= CERTIFY_MS)
		pg_listen_ping(l->pg);
}

static void on_certified(void *arg, enum err err, const redisReply *reply)
{
	(void)called(arg);
	(void)err;
	(void)reply;
}

/* What was heard before this is void in Redis before the certificate is: the calls go one way. */
static void on_pong(void *arg, int64_t asked_ms)
{
	struct cache_listen *l = arg;

	l->heard_ms = asked_ms;
	if (l->state == HEARING && l->at && l->at_ms <= asked_ms && redis_up(l->opts.redis))
		call(l, on_certified, l->at);
}

static void on_alive(void *arg, int64_t asked_ms)
{
	struct cache_listen *l = arg;

	l->heard_ms = asked_ms;
	if (l->state == HEARING)
		call(l, on_looked, 0);
	if (l->state == HEARING && clock_ms() >= l->proved_ms + PROVE_MS) {
		l->proved_ms = clock_ms();
		cache_probe_begin(l->probe);
	}
}

/* --- the connection */

static void on_up(void *arg)
{
	struct cache_listen *l = arg;

	l->state = PROVING;
	l->life++;
	l->heard_ms = clock_ms();
	l->from = l->at = 0;
	l->doubted = false; /* it is asked for all that was not heard */
	cache_probe_begin(l->probe);
}

static void on_down(void *arg)
{
	struct cache_listen *l = arg;

	cache_probe_stop(l->probe);
	go_deaf(l, DEAF);
}

static void on_notice(void *arg, struct span payload)
{
	struct cache_listen *l = arg;

	if (!cache_probe_take(l->probe, payload))
		l->opts.changed(l->opts.arg, payload);
}

bool cache_listen_settled(const struct cache_listen *l)
{
	return l->state == HEARING;
}

bool cache_listen_doubtful(const struct cache_listen *l)
{
	return l->state == RENEWING || l->state == ASKING;
}

bool cache_listen_sure(const struct cache_listen *l, int64_t since_ms)
{
	return l->settled_ms && l->settled_ms <= since_ms && clock_ms() < l->heard_ms + SURE_MS;
}

int64_t cache_listen_redis_ms(const struct cache_listen *l)
{
	return l->at ? l->at + clock_ms() - l->at_ms : 0;
}

const char *cache_listen_trouble(const struct cache_listen *l)
{
	if (l->elsewhere)
		return ELSEWHERE;
	return l->state == PROVING ? "it is not known yet whether what SHOAL_POSTGRES_URL tells is heard"
	                           : pg_listen_trouble(l->pg);
}

struct cache_listen *cache_listen_open(const struct cache_listen_opts *opts)
{
	struct cache_listen *l = mem_zalloc(sizeof(*l));

	l->opts = *opts;
	timer_init(&l->look, opts->loop, look, l);
	l->probe =
	    cache_probe_open(&(struct cache_probe_opts){opts->loop, opts->pg, on_probe_heard, on_probe_unheard, l});
	l->pg = pg_listen_open(opts->loop, &(struct pg_listen_opts){.url = opts->url,
	                                                            .application_name = opts->application_name,
	                                                            .channel = CHANNEL,
	                                                            .ping_ms = PING_MS,
	                                                            .timeout_ms = ANSWER_MS,
	                                                            .light = true,
	                                                            .on_alive = on_alive,
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
	cache_probe_close(l->probe);
	l->closed = true;
	l->state = DEAF;
	release(l);
}
