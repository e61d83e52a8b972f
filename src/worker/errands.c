#include "shoal/worker/errands.h"

#include <string.h>

#include "shoal/store/cache.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/line.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/worker.h"

/* ---- forget */

static void forgotten(void *arg, enum err err)
{
	struct job *j = arg;

	reach_heard_redis(j->worker->reach, err);
	job_op_failed(j, err);
	job_end(j);
}

static bool forget_sound(const struct errand *e)
{
	enum cache_kind kind;

	return e->n == 2 && cache_kind_find(span_of(e->words[0]), &kind) && cache_key_valid(span_of(e->words[1]));
}

static void forget(struct job *j, const struct errand *e)
{
	enum cache_kind kind;

	ENSURE(cache_kind_find(span_of(e->words[0]), &kind));
	job_begin(j);
	cache_invalidate(j->worker->cache, kind, span_of(e->words[1]), forgotten, j);
}

/* ---- the line */

static void lined_up(void *arg, enum err err, const redisReply *reply)
{
	struct job *j = arg;

	(void)reply; /* whoever has been taken out meanwhile hears of that */
	job_op_failed(j, err);
	job_end(j);
}

typedef void line_fn(struct redis *r, const struct span *words, size_t n, redis_fn *fn, void *arg);

static void line_up(struct job *j, const struct errand *e, line_fn *fn)
{
	struct span words[ERRAND_WORDS];

	for (size_t i = 0; i < e->n; i++)
		words[i] = span_of(e->words[i]);
	job_begin(j);
	fn(queue_redis(j->worker->shards[0].queue), words, e->n, lined_up, j);
}

static bool enter_sound(const struct errand *e)
{
	int64_t number;

	return e->n >= 4 && e->n % 2 == 0 && span_i64(span_of(e->words[0]), &number) &&
	       span_i64(span_of(e->words[1]), &number) && span_i64(span_of(e->words[2]), &number);
}

static void enter(struct job *j, const struct errand *e)
{
	line_up(j, e, line_enter);
}

static bool paired_sound(const struct errand *e)
{
	return e->n >= 3 && e->n % 2 == 1;
}

static void paired(struct job *j, const struct errand *e)
{
	line_up(j, e, line_paired);
}

/* ---- all of them */

static const struct errand_row {
	const char *what;
	bool (*sound)(const struct errand *e);
	void (*begin)(struct job *j, const struct errand *e);
} rows[] = {
    {"forget", forget_sound, forget},
    {"enter", enter_sound, enter},
    {"paired", paired_sound, paired},
};

static const struct errand_row *find(const struct errand *e)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].what, e->what) == 0 && rows[i].sound(e))
			return &rows[i];
	}
	return NULL;
}

const char *errands_begin(struct job *j)
{
	for (const struct errand *e = j->effects.errands; e; e = e->next) {
		if (!find(e)) /* stored by another release, or changed by hand */
			return arena_printf(&j->arena, "no errand \"%.40s\" with such words", e->what);
	}
	for (const struct errand *e = j->effects.errands; e; e = e->next) {
		const struct errand_row *row = find(e);
		ENSURE(row);
		row->begin(j, e);
	}
	return NULL;
}
