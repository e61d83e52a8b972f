#include "shoal/store/cache_probe.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/store/sql.h"

enum {
	HEAR_MS = 2000,
	LATE_MS = 200,  /* a timer that is later than this: we stood still, and there may be more to read */
	AGAIN_MS = 500, /* where the pool could not be asked */
	WORD_BYTES = 12
};

#define MARK "probe "

enum state {
	IDLE,
	SAYING, /* the pool is asked, or is to be asked again */
	WAITING /* it was said */
};

struct cache_probe {
	struct cache_probe_opts opts;
	enum state state;
	struct timer timer;
	int64_t due_ms; /* clock_ms() until which it is waited for */
	char word[2 * WORD_BYTES + 1];
	unsigned life;  /* of this word; answers that belong to an older one are void */
	unsigned calls; /* answers of the pool that are to come */
	bool closed;
};

/* One on its way. */
struct saying {
	struct cache_probe *p;
	unsigned life;
};

static void release(struct cache_probe *p)
{
	if (p->closed && p->calls == 0)
		free(p);
}

static void wait_until_heard(struct cache_probe *p)
{
	p->state = WAITING;
	p->due_ms = clock_ms() + HEAR_MS;
	timer_set(&p->timer, HEAR_MS);
}

static void on_said(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct saying *s = arg;
	struct cache_probe *p = s->p;

	(void)fault;
	(void)rows;
	p->calls--;
	if (!p->closed && p->state == SAYING && s->life == p->life) {
		if (err == ERR_OK)
			wait_until_heard(p);
		else
			timer_set(&p->timer, jitter_ms(AGAIN_MS));
	}
	free(s);
	release(p);
}

static void say(struct cache_probe *p)
{
	struct saying *s = mem_alloc(sizeof(*s));

	random_hex(p->word, WORD_BYTES);
	*s = (struct saying){p, ++p->life};
	p->state = SAYING;
	p->calls++;
	pg_exec(p->opts.pg, sql_get("cache_probe"), &(struct pg_params){.n = 1, .v = {span_of(p->word)}}, on_said, s);
}

static void on_timer(void *arg)
{
	struct cache_probe *p = arg;

	if (p->state == SAYING) {
		say(p);
	} else if (clock_ms() > p->due_ms + LATE_MS) {
		wait_until_heard(p);
	} else {
		p->state = IDLE;
		p->opts.unheard(p->opts.arg);
	}
}

void cache_probe_begin(struct cache_probe *p)
{
	timer_stop(&p->timer);
	say(p);
}

void cache_probe_stop(struct cache_probe *p)
{
	timer_stop(&p->timer);
	p->state = IDLE;
}

bool cache_probe_take(struct cache_probe *p, struct span payload)
{
	if (!span_starts(payload, MARK))
		return false;
	if (p->state != IDLE &&
	    span_is((struct span){payload.ptr + strlen(MARK), payload.len - strlen(MARK)}, p->word)) {
		cache_probe_stop(p);
		p->opts.heard(p->opts.arg);
	}
	return true;
}

struct cache_probe *cache_probe_open(const struct cache_probe_opts *opts)
{
	struct cache_probe *p = mem_zalloc(sizeof(*p));

	p->opts = *opts;
	timer_init(&p->timer, opts->loop, on_timer, p);
	return p;
}

void cache_probe_close(struct cache_probe *p)
{
	if (!p)
		return;
	timer_release(&p->timer);
	p->state = IDLE;
	p->closed = true;
	release(p);
}
