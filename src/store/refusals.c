#include "shoal/store/refusals.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"

#define LOOK_MS 1000 /* so soon a worker hears of what others count */
#define WINDOW_MS 600000

struct refusals {
	struct refusals_opts opts;
	char key[96];
	struct timer timer;
	bool asking;
	int64_t untold, telling; /* Redis does not know of yet; of these those that it is being told of */
	int64_t lately;
	int64_t till_ms; /* clock_ms(); 0: it may be sent */
	int64_t shut_ms; /* the same, where the platform has shut us out */
	char text[160], shut_text[160];
};

static struct redis_script script = {.name = "lua/refusals.lua"};

static void stop(struct refusals *r, int64_t ms)
{
	char till[32];
	bool before = r->till_ms != 0;

	r->till_ms = clock_ms() + ms;
	if (before)
		return;
	clock_rfc3339(clock_wall_ms() + ms, till, sizeof(till));
	snprintf(r->text, sizeof(r->text), "%s has refused %lld calls (401, 403, 429) in ten minutes: none until %s",
	         r->opts.platform, (long long)r->lately, till);
	log_error("a platform refuses too much, and would soon shut this address out: nothing is sent to it",
	          LOG_STR("platform", r->opts.platform), LOG_INT("refusals", r->lately), LOG_STR("until", till));
	r->opts.changed(r->opts.arg);
}

static void go_on(struct refusals *r)
{
	if (!r->till_ms)
		return;
	r->till_ms = 0;
	log_info("calls to the platform go on", LOG_STR("platform", r->opts.platform));
	r->opts.changed(r->opts.arg);
}

static void answered(void *arg, enum err err, const redisReply *reply)
{
	struct refusals *r = arg;

	r->asking = false;
	if (err == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
		r->untold -= r->telling;
		r->lately = reply->element[0]->integer + r->untold;
		if (reply->element[1]->integer > 0)
			stop(r, reply->element[1]->integer);
		else
			go_on(r);
	} else if (r->till_ms && clock_ms() >= r->till_ms) {
		go_on(r);
	}
	timer_set(&r->timer, r->untold && err == ERR_OK ? 0 : LOOK_MS);
}

static void look_at_door(struct refusals *r)
{
	if (!r->shut_ms || clock_ms() < r->shut_ms)
		return;
	r->shut_ms = 0;
	r->opts.changed(r->opts.arg);
}

static void ask(void *arg)
{
	struct refusals *r = arg;
	char numbers[2][24];

	look_at_door(r);
	if (r->asking)
		return;
	r->asking = true;
	r->telling = r->untold;
	snprintf(numbers[0], sizeof(numbers[0]), "%lld", (long long)r->telling);
	snprintf(numbers[1], sizeof(numbers[1]), "%u", r->opts.most);
	const struct span argv[] = {span_of(r->key), span_of(numbers[0]), span_of(numbers[1])};
	redis_eval(r->opts.redis, &script, answered, r, 1, sizeof(argv) / sizeof(argv[0]), argv);
}

struct refusals *refusals_open(const struct refusals_opts *opts)
{
	struct refusals *r = mem_zalloc(sizeof(*r));

	r->opts = *opts;
	ENSURE(snprintf(r->key, sizeof(r->key), "shoal:{cache}:refusals:%s", opts->platform) < (int)sizeof(r->key));
	timer_init(&r->timer, opts->loop, ask, r);
	timer_set(&r->timer, 0);
	return r;
}

void refusals_close(struct refusals *r)
{
	if (!r)
		return;
	timer_release(&r->timer);
	free(r);
}

void refusals_count(struct refusals *r)
{
	r->untold++;
	r->lately++;
	if (r->untold >= r->opts.most && !r->till_ms) /* Redis has been away for long */
		stop(r, WINDOW_MS);
	if (!r->asking)
		timer_set(&r->timer, 0);
}

void refusals_shut_out(struct refusals *r, int64_t ms)
{
	bool before = r->shut_ms != 0;

	r->shut_ms = clock_ms() + ms;
	if (before)
		return;
	snprintf(r->shut_text, sizeof(r->shut_text), "%s lets nothing of this address in (429)", r->opts.platform);
	log_error("a platform has shut this address out", LOG_STR("platform", r->opts.platform), LOG_INT("for_ms", ms));
	r->opts.changed(r->opts.arg);
}

const char *refusals_trouble(const struct refusals *r)
{
	if (!r)
		return NULL;
	return r->shut_ms ? r->shut_text : r->till_ms ? r->text : NULL;
}

int64_t refusals_lately(const struct refusals *r)
{
	return r->lately;
}
