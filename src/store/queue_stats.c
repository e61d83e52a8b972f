#include "shoal/store/queue_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/store/queue_call.h"

static struct redis_script stats_script = {.name = "lua/stats.lua"};

static struct queue_call *stats_call(struct arena *a, unsigned shard, const char *look)
{
	struct queue_call *c =
	    queue_call_new(a, &stats_script, shard, "updates lanes waiting due tries workers dead conf");

	queue_call_add(c, span_of(look));
	return c;
}

/* err: what became of the question. */
static enum err parse(enum err err, const redisReply *r, struct queue_stats *s)
{
	int64_t *const numbers[] = {&s->length,   &s->pending, &s->lanes, &s->waiting,   &s->due,
	                            &s->retrying, &s->workers, &s->dead,  &s->oldest_ms, &s->imbalance};
	const struct {
		char *to;
		size_t size;
	} texts[] = {{s->listed, sizeof(s->listed)}, {s->look, sizeof(s->look)}, {s->paused, sizeof(s->paused)}};
	const size_t n = sizeof(numbers) / sizeof(numbers[0]), m = sizeof(texts) / sizeof(texts[0]);
	memset(s, 0, sizeof(*s));
	if (err != ERR_OK) {
		if (r && r->type == REDIS_REPLY_ERROR)
			snprintf(s->why, sizeof(s->why), "%s", r->str);
		return err;
	}
	if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != n + m)
		return ERR_PROTOCOL;
	for (size_t i = 0; i < n; i++) {
		if (r->element[i]->type != REDIS_REPLY_INTEGER)
			return ERR_PROTOCOL;
		*numbers[i] = r->element[i]->integer;
	}
	for (size_t i = 0; i < m; i++) {
		if (r->element[n + i]->type != REDIS_REPLY_STRING)
			return ERR_PROTOCOL;
		snprintf(texts[i].to, texts[i].size, "%s", r->element[n + i]->str);
	}
	return ERR_OK;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void queue_stats_add(struct queue_stats *total, const struct queue_stats *q)
{
	total->length += q->length;
	total->pending += q->pending;
	total->lanes += q->lanes;
	total->waiting += q->waiting;
	total->due += q->due;
	total->retrying += q->retrying;
	total->dead += q->dead;
	total->workers = larger(total->workers, q->workers);
	if (llabs(q->imbalance) > llabs(total->imbalance))
		total->imbalance = q->imbalance;
	total->oldest_ms = larger(total->oldest_ms, q->oldest_ms);
	if (!*total->paused)
		snprintf(total->paused, sizeof(total->paused), "%s", q->paused);
}

const char *queue_paused_text(const char *paused)
{
	return !*paused ? NULL : *paused == '*' ? "all" : paused;
}

void queue_stats_put(struct json_writer *out, const struct queue_stats *q)
{
	json_kv_i64(out, "length", q->length);
	json_kv_i64(out, "pending", q->pending);
	json_kv_i64(out, "lanes", q->lanes);
	json_kv_i64(out, "waiting", q->waiting);
	json_kv_i64(out, "due", q->due);
	json_kv_i64(out, "retrying", q->retrying);
	json_kv_i64(out, "dead", q->dead);
	json_kv_i64(out, "workers", q->workers);
	json_kv_i64(out, "imbalance", q->imbalance);
	json_key(out, "oldest_seconds");
	if (q->oldest_ms < 0)
		json_put_null(out);
	else
		json_put_num(out, (double)q->oldest_ms / 1e3);
	json_kv_str(out, "paused", queue_paused_text(q->paused));
}

struct ask {
	queue_stats_fn *fn;
	void *arg;
};

static void answered(void *arg, enum err err, const redisReply *reply)
{
	struct ask ask = *(struct ask *)arg;
	struct queue_stats stats;
	free(arg);
	err = parse(err, reply, &stats);
	ask.fn(ask.arg, err, &stats);
}

void queue_stats_ask(struct redis *r, unsigned shard, const char *look, queue_stats_fn *fn, void *arg)
{
	struct arena arena;
	struct ask *ask = mem_alloc(sizeof(*ask));
	arena_init(&arena);
	const struct queue_call *c = stats_call(&arena, shard, look);
	*ask = (struct ask){fn, arg};
	redis_eval(r, c->script, answered, ask, c->nkeys, c->argc, c->argv);
	arena_release(&arena);
}

enum err queue_stats_now(redisContext *c, unsigned shard, struct queue_stats *out)
{
	struct arena arena;
	redisReply *r;
	arena_init(&arena);
	const struct queue_call *call = stats_call(&arena, shard, "");
	enum err err = redis_eval_now(c, call->script, call->nkeys, call->argc, call->argv, &r);
	arena_release(&arena);
	err = parse(err, r, out);
	if (r)
		freeReplyObject(r);
	return err;
}

const char *queue_stats_trouble(redisContext *c, enum err err, const struct queue_stats *q)
{
	return c->err ? redis_trouble_now(c) : *q->why ? q->why : err_text(err);
}
