#include "shoal/worker/errands.h"

#include <string.h>

#include "shoal/store/cache.h"
#include "shoal/store/cache_key.h"
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

	return cache_kind_find(span_of(e->words[0]), &kind) && cache_key_valid(span_of(e->words[1]));
}

static void forget(struct job *j, const struct errand *e)
{
	enum cache_kind kind;

	ENSURE(cache_kind_find(span_of(e->words[0]), &kind));
	job_begin(j);
	cache_invalidate(j->worker->cache, kind, span_of(e->words[1]), forgotten, j);
}

/* ---- all of them */

static const struct errand_row {
	const char *what;
	size_t words;
	bool (*sound)(const struct errand *e);
	void (*begin)(struct job *j, const struct errand *e);
} rows[] = {
    {"forget", 2, forget_sound, forget},
};

static const struct errand_row *find(const struct errand *e)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].what, e->what) == 0 && rows[i].words == e->n && rows[i].sound(e))
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
	for (const struct errand *e = j->effects.errands; e; e = e->next)
		find(e)->begin(j, e);
	return NULL;
}
