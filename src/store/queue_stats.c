#include "shoal/store/queue_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/embed.h"
#include "shoal/store/queue.h"

static struct redis_script stats_script = {.name = "lua/stats.lua"};

#define NKEYS 8
static void keys_of(unsigned shard, char keys[NKEYS][QUEUE_KEY_MAX])
{
	static const char *const words[NKEYS] = {"updates", "lanes",   "waiting", "due",
	                                         "tries",   "workers", "dead",    "conf"};
	for (size_t i = 0; i < NKEYS; i++)
		queue_key(keys[i], shard, words[i]);
}

static enum err parse(const redisReply *r, struct queue_stats *s)
{
	int64_t *const numbers[] = {&s->length,   &s->pending, &s->lanes, &s->waiting,  &s->due,
	                            &s->retrying, &s->workers, &s->dead,  &s->oldest_ms};
	const size_t n = sizeof(numbers) / sizeof(numbers[0]);
	memset(s, 0, sizeof(*s));
	if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != n + 1 || r->element[n]->type != REDIS_REPLY_STRING)
		return ERR_PROTOCOL;
	for (size_t i = 0; i < n; i++) {
		if (r->element[i]->type != REDIS_REPLY_INTEGER)
			return ERR_PROTOCOL;
		*numbers[i] = r->element[i]->integer;
	}
	snprintf(s->paused, sizeof(s->paused), "%s", r->element[n]->str);
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
	struct queue_stats stats = {0};
	free(arg);
	if (err == ERR_OK)
		err = parse(reply, &stats);
	ask.fn(ask.arg, err, &stats);
}

void queue_stats_ask(struct redis *r, unsigned shard, queue_stats_fn *fn, void *arg)
{
	char keys[NKEYS][QUEUE_KEY_MAX];
	struct span argv[NKEYS];
	keys_of(shard, keys);
	for (size_t i = 0; i < NKEYS; i++)
		argv[i] = span_of(keys[i]);
	struct ask *ask = mem_alloc(sizeof(*ask));
	*ask = (struct ask){fn, arg};
	redis_eval(r, &stats_script, answered, ask, NKEYS, NKEYS, argv);
}

enum err queue_stats_now(redisContext *c, unsigned shard, struct queue_stats *out)
{
	char keys[NKEYS][QUEUE_KEY_MAX];
	const struct embed_file *text = embed_find(stats_script.name);
	const char *argv[3 + NKEYS] = {"EVAL", text->data, "8"};
	size_t len[3 + NKEYS] = {4, text->len, 1};
	keys_of(shard, keys);
	for (size_t i = 0; i < NKEYS; i++) {
		argv[3 + i] = keys[i];
		len[3 + i] = strlen(keys[i]);
	}
	redisReply *r = redisCommandArgv(c, 3 + NKEYS, argv, len);
	enum err err = !r ? ERR_UNREACHABLE : r->type == REDIS_REPLY_ERROR ? ERR_REFUSED : parse(r, out);
	if (r)
		freeReplyObject(r);
	return err;
}
