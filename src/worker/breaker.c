#include "shoal/worker/breaker.h"

#include <stdio.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"

#define PAUSE_MS 1000
#define STEADY_MS 30000 /* closed for so long: the next opening begins with the shortest pause again */

static void say_opened(struct breaker *b)
{
	b->said = log_due(&b->logged, &b->unlogged);
	if (!b->said)
		return;
	log_error("cut off from a peer until it serves again", LOG_STR("peer", b->opts.peer), LOG_STR("why", b->text),
	          LOG_INT("suppressed", b->unlogged));
	b->unlogged = 0;
}

static void say_closed(struct breaker *b)
{
	if (b->said)
		log_info("cut off no more", LOG_STR("peer", b->opts.peer),
		         LOG_INT("after_ms", b->closed_ms - b->opened_ms));
	b->said = false;
}

/* The next probe comes after a while, the one after that later still. */
static void pause(struct breaker *b)
{
	int64_t ms = b->backoff_ms;

	b->backoff_ms = 2 * ms < b->opts.pause_ms ? 2 * ms : b->opts.pause_ms;
	b->state = BREAKER_OPEN;
	timer_set(&b->timer, jitter_ms(ms));
}

static void on_timer(void *arg)
{
	struct breaker *b = arg;

	b->state = BREAKER_PROBING;
	b->opts.probe(b->opts.arg);
}

void breaker_init(struct breaker *b, const struct breaker_opts *opts)
{
	*b = (struct breaker){.opts = *opts, .backoff_ms = PAUSE_MS};
	timer_init(&b->timer, opts->loop, on_timer, b);
}

void breaker_release(struct breaker *b)
{
	timer_release(&b->timer);
}

void breaker_failed(struct breaker *b, const char *why)
{
	snprintf(b->text, sizeof(b->text), "%s: %.120s", b->opts.trouble, why);
	if (b->state == BREAKER_PROBING)
		pause(b);
	if (b->state != BREAKER_CLOSED || ++b->failures < b->opts.failures)
		return;
	b->opened_ms = clock_ms();
	if (b->opened_ms - b->closed_ms >= STEADY_MS)
		b->backoff_ms = PAUSE_MS;
	say_opened(b);
	pause(b);
	b->opts.changed(b->opts.arg);
}

void breaker_good(struct breaker *b)
{
	b->failures = 0;
	if (b->state == BREAKER_CLOSED)
		return;
	b->state = BREAKER_CLOSED;
	b->closed_ms = clock_ms();
	timer_stop(&b->timer);
	say_closed(b);
	b->opts.changed(b->opts.arg);
}

void breaker_hurry(struct breaker *b)
{
	if (b->state == BREAKER_OPEN)
		timer_set(&b->timer, 0);
}

const char *breaker_trouble(const struct breaker *b)
{
	return breaker_is_open(b) ? b->text : NULL;
}
