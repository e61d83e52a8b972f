#include "shoal/store/lock.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"

#define RETRY_MS 500 /* after an error */

struct lock {
	struct lock_opts opts;
	char key[96], value[33], life[16];
	bool held, asking, closing;
	unsigned pending;     /* answers that will still come */
	int64_t asked_ms;     /* when the question under way was sent */
	struct timer step;    /* next take or renew */
	struct timer expires; /* when a lock that was not renewed must count as lost */
	void (*closed)(void *arg);
	void *closed_arg;
};

static struct redis_script script = {.name = "lua/lock.lua"};

static void send(struct lock *l, const char *verb, redis_fn *fn)
{
	const struct span argv[] = {span_of(l->key), span_of(verb), span_of(l->value), span_of(l->life)};

	l->pending++;
	redis_eval(l->opts.redis, &script, fn, l, 1, sizeof(argv) / sizeof(argv[0]), argv);
}

static void lose(struct lock *l)
{
	timer_stop(&l->expires);
	if (!l->held)
		return;
	l->held = false;
	l->opts.on_lost(l->opts.arg);
}

static void on_expired(void *arg)
{
	struct lock *l = arg;

	log_warn("a lock could not be renewed in time", LOG_STR("lock", l->opts.name));
	lose(l);
}

static void settle(struct lock *l, enum err err, const redisReply *reply)
{
	int64_t next = jitter_ms(l->opts.life_ms / 3);

	if (err != ERR_OK || reply->type != REDIS_REPLY_INTEGER) {
		timer_set(&l->step, jitter_ms(RETRY_MS));
	} else if (reply->integer == 1) {
		/* Counted from the question, so that we never believe longer than Redis does. */
		int64_t left = l->asked_ms + l->opts.life_ms * 9 / 10 - clock_ms();

		timer_set(&l->expires, left);
		timer_set(&l->step, next);
		if (!l->held) {
			l->held = true;
			l->opts.on_held(l->opts.arg);
		}
	} else {
		timer_set(&l->step, l->held ? 0 : next);
		lose(l);
	}
}

/* An answer can come after the release's when Redis had forgotten the script: the last one turns off the light. */
static bool ended(struct lock *l)
{
	if (--l->pending > 0 || !l->closing)
		return false;
	if (l->closed)
		l->closed(l->closed_arg);
	timer_release(&l->step);
	timer_release(&l->expires);
	free(l);
	return true;
}

static void on_answer(void *arg, enum err err, const redisReply *reply)
{
	struct lock *l = arg;

	if (ended(l))
		return;
	l->asking = false;
	if (!l->closing)
		settle(l, err, reply);
}

static void ask(void *arg)
{
	struct lock *l = arg;

	if (l->asking)
		return;
	l->asking = true;
	l->asked_ms = clock_ms();
	send(l, l->held ? "renew" : "take", on_answer);
}

static void on_released(void *arg, enum err err, const redisReply *reply)
{
	(void)err;
	(void)reply;
	ended(arg);
}

struct lock *lock_open(const struct lock_opts *opts)
{
	struct lock *l = mem_zalloc(sizeof(*l));

	l->opts = *opts;
	if (snprintf(l->key, sizeof(l->key), "shoal:{cache}:lock:%s", opts->name) >= (int)sizeof(l->key))
		BUG("lock name too long: %s", opts->name);
	snprintf(l->life, sizeof(l->life), "%u", opts->life_ms);
	random_hex(l->value, 16);
	timer_init(&l->step, opts->loop, ask, l);
	timer_init(&l->expires, opts->loop, on_expired, l);
	timer_set(&l->step, 0);
	return l;
}

bool lock_held(const struct lock *l)
{
	return l->held;
}

void lock_close(struct lock *l, void (*fn)(void *arg), void *arg)
{
	l->closing = true;
	l->closed = fn;
	l->closed_arg = arg;
	timer_stop(&l->step);
	timer_stop(&l->expires);
	send(l, "release", on_released);
}
