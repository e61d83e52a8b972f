/* shoal queue lanes: the busy lanes, those with most waiting first. */
#include <stdlib.h>

#include "shoal/cli/long_work.h"
#include "shoal/cli/queue.h"
#include "shoal/cli/shard_set.h"
#include "shoal/store/lanes_found.h"

enum { LIMIT = 20, LIMIT_MAX = 1000000, PAGE = 500 };

static const struct out_col columns[] = {
    {"shard", OUT_INT},
    {"lane", OUT_KEY},
    {"waiting", OUT_INT},
    {"oldest_at", OUT_TIME},
    {"oldest_seconds", OUT_NUM},
    {"state", OUT_TEXT},
    {"worker", OUT_TEXT},
    {"due_in_ms", OUT_INT},
    {"entry", OUT_KEY},
    {"retries", OUT_INT},
    {"takeovers", OUT_INT},
    {"sent", OUT_INT},
    {0},
};

struct lanes {
	struct session *s;
	struct shard_set set;
	struct lane_found *v;
	size_t n, room;
};

static void add(struct lanes *l, const struct queue_lane *lane, unsigned shard, int64_t now_ms)
{
	if (l->n == l->room) {
		l->room = l->room ? l->room * 2 : 256;
		l->v = mem_realloc(l->v, l->room * sizeof(*l->v));
	}
	l->v[l->n++] = lane_found(shard, lane, now_ms);
}

static void read_shard(struct lanes *l, struct shard *shard, struct long_work *work)
{
	const char *cursor = NULL;
	struct queue_lanes page;
	const redisReply *r;

	do {
		if (shard_ask(&l->set, shard, queue_lanes_call(l->s->a, shard->n, cursor, PAGE), l->s->a, &r) != ERR_OK)
			return;
		if (queue_lanes_read(r, l->s->a, &page) != ERR_OK) {
			shard_fail(&l->set, shard, EXIT_FAILED, "its answer makes no sense");
			return;
		}
		for (size_t i = 0; i < page.n; i++)
			add(l, &page.v[i], shard->n, page.now_ms);
		cursor = page.cursor;
	} while (long_work_step(work, (int64_t)page.n) && cursor);
}

static void put(struct lanes *l, struct out *o, const struct lane_found *f)
{
	const struct queue_lane *lane = &f->lane;

	out_row(o);
	out_int(o, f->shard);
	out_span(o, lane->lane);
	out_int(o, lane->waiting);
	if (f->oldest_ms >= 0) {
		out_time(o, f->oldest_ms);
		out_num(o, (double)f->age_ms / 1e3);
	} else {
		out_null(o);
		out_null(o);
	}
	out_text(o, queue_state_name(lane->state));
	out_text(o, lane->worker);
	if (lane->due_in_ms >= 0)
		out_int(o, lane->due_in_ms);
	else
		out_null(o);
	out_text(o, shard_id(l->s->a, f->shard, lane->holder));
	out_int(o, lane->retries);
	out_int(o, lane->takeovers);
	out_int(o, lane->sent);
}

static int list(struct lanes *l, size_t limit)
{
	struct out o;
	int code;

	l->n = lanes_found_sort(l->v, l->n);
	out_begin(&o, l->s->json, columns);
	for (size_t i = 0; i < l->n && i < limit; i++)
		put(l, &o, &l->v[i]);
	code = out_end(&o, l->s->code == EXIT_DONE ? "no lane is busy" : NULL);
	if (l->n > limit)
		fprintf(stderr, "%zu of %zu busy lanes; --limit N shows more\n", limit, l->n);
	return l->s->code != EXIT_DONE ? l->s->code : code;
}

int queue_lanes(struct session *s)
{
	struct lanes l = {.s = s};
	struct long_work work;
	int64_t limit = LIMIT;
	int code;

	if (!args_i64(s->args, "limit", 1, LIMIT_MAX, &limit))
		return EXIT_USAGE;
	if (!shard_set_open(&l.set, s))
		return s->code;
	long_work_begin(&work, "looking", 0);
	for (unsigned i = 0; i < l.set.n; i++)
		if (l.set.v[i].redis)
			read_shard(&l, &l.set.v[i], &work);
	long_work_end(&work);
	code = list(&l, (size_t)limit);
	free(l.v);
	return code;
}
