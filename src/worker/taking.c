#include "shoal/worker/taking.h"

#include <stdio.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/sql.h"
#include "shoal/worker/job.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/readiness.h"
#include "shoal/worker/stages.h"

/* Another one first each time, that room for one does not always go to the same. */
void taking_poke(void *arg)
{
	struct worker *w = arg;
	unsigned first = w->poked++;
	for (unsigned i = 0; i < w->nshards && !w->leaving; i++)
		queue_poke(w->shards[(first + i) % w->nshards].queue);
}

static void on_short(void *arg, unsigned shard)
{
	struct worker *w = arg;
	for (unsigned i = 0; i < w->nshards && !w->leaving; i++)
		if (i != shard)
			queue_poke(w->shards[i].queue);
}

/* What another shard may still take of its share. Where there are more shards than room each takes what it finds. */
static unsigned kept_for(const struct worker *w, const struct queue *q)
{
	unsigned share = (unsigned)w->conf.inflight / w->nshards, used = queue_in_hand(q) + queue_wanted(q);
	return queue_has_more(q) && used < share ? share - used : 0;
}

/* Each shard has an equal share of SHOAL_INFLIGHT, and lends to others what it has no entries for. */
static unsigned room(void *arg, unsigned shard)
{
	struct worker *w = arg;
	unsigned used = w->njobs;
	if (w->draining || w->suspect || readiness_cut_off(w) || !cache_ready(w->cache))
		return 0;
	for (unsigned i = 0; i < w->nshards; i++) {
		if (w->njobs > 0 && queue_wants_empty_hands(w->shards[i].queue))
			return 0; /* until our hands are empty */
		used += queue_wanted(w->shards[i].queue) + (i == shard ? 0 : kept_for(w, w->shards[i].queue));
	}
	return used < w->conf.inflight ? (unsigned)w->conf.inflight - used : 0;
}

static const char *except(void *arg)
{
	const struct worker *w = arg;
	return reach_except(w->reach);
}

static bool empty_handed(void *arg)
{
	const struct worker *w = arg;
	if (w->draining)
		return true;
	for (unsigned i = 0; i < w->nshards; i++)
		if (queue_wanted(w->shards[i].queue)) /* another shard is about to fill them */
			return false;
	return w->njobs == 0;
}

static void on_entry(void *arg, struct queue_entry *e)
{
	struct worker *w = arg;
	w->past = 1;
	if (e->takeovers)
		series_add(w->takeovers, 1);
	if (w->njobs == 0)
		w->moved_ms = clock_ms();
	struct job *j = job_new(w, e);
	if (e->takeovers >= 2) /* two workers have died of it: nobody else's work beside it, from this moment on */
		w->suspect = j;
	job_ready(j);
}

static void on_lost(void *arg, struct queue_entry *e)
{
	(void)arg;
	struct job *j = e->user;
	if (j->pending == 0) /* else it hears of it when its operation ends */
		job_ready(j);
}

/* An update that was never looked into. */
static void count_unread(struct worker *w, struct span bot, const char *outcome)
{
	char name[32];
	snprintf(name, sizeof(name), "%.*s", (int)(bot.len < 31 ? bot.len : 31), bot.ptr);
	series_add(SERIES(w->updates, conf_has_bot(&w->conf, name) ? name : "unknown", "unknown", outcome), 1);
}

static void on_duplicate(void *arg, struct span bot)
{
	count_unread(arg, bot, "duplicate");
}

static void on_dead(void *arg, const struct queue_burial *b)
{
	struct trace trace;
	trace_of_entry(&trace, b->traceparent, b->key);
	log_warn("entry became a dead letter", LOG_SPAN("entry", b->id), LOG_STR("trace_id", trace.id),
	         LOG_SPAN("bot", b->bot), LOG_SPAN("error", b->why));
	count_unread(arg, b->bot, "dead");
}

static void on_killer(void *arg, struct span bot, struct span key, struct span body)
{
	settle_killer(arg, bot, key, body);
}

static int past(void *arg)
{
	const struct worker *w = arg;
	return w->past;
}

static void on_past(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct worker *w = arg;
	(void)fault;
	if (w->past < 0) /* where Postgres does not tell, as if there were one: a question more for each update */
		w->past = err != ERR_OK || rows->n > 0;
	taking_poke(w);
}

void taking_pg_came(struct worker *w)
{
	if (w->past < 0)
		pg_exec(w->pg, sql_get("guard_any"), NULL, on_past, w);
}

static void queue_came(void *arg, unsigned shard)
{
	struct worker *w = arg;
	w->moved_ms = clock_ms(); /* what waited for it goes on from here */
	redis_check_start(&w->shards[shard].check);
}

void taking_open(struct worker *w, const char **urls)
{
	w->past = -1;
	for (unsigned i = 0; i < w->nshards; i++) {
		struct queue_opts o = {.loop = w->loop,
		                       .url = urls[i],
		                       .shard = i,
		                       .shards = w->nshards,
		                       .worker_id = w->id,
		                       .max_attempts = w->conf.max_attempts,
		                       .idempotency_ttl_s = w->conf.idempotency_ttl_s,
		                       .room = room,
		                       .empty_handed = empty_handed,
		                       .except = except,
		                       .past = past,
		                       .marks = &w->marks,
		                       .on_entry = on_entry,
		                       .on_lost = on_lost,
		                       .on_short = on_short,
		                       .on_up = queue_came,
		                       .on_duplicate = on_duplicate,
		                       .on_dead = on_dead,
		                       .on_killer = on_killer,
		                       .arg = w};
		w->shards[i].queue = queue_open(&o);
		w->shards[i].check = (struct redis_check){.redis = queue_redis(w->shards[i].queue), .shard = i};
	}
}
