/* shoal queue: its subverbs, and the numbers of the stream, shard by shard. */
#include "shoal/cli/queue.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/shard_set.h"
#include "shoal/cli/sub.h"
#include "shoal/store/queue_stats.h"

static const struct arg_opt options[] = {
    {"json", false, false}, {"lane", true, false}, {"limit", true, false}, {"bot", true, false}, {0},
};

#define NUMBERS                                                                                                        \
	{"length", OUT_INT}, {"pending", OUT_INT}, {"lanes", OUT_INT}, {"waiting", OUT_INT}, {"due", OUT_INT},         \
	    {"retrying", OUT_INT}, {"dead", OUT_INT}, {"workers", OUT_INT}, {"imbalance", OUT_INT},                    \
	    {"oldest_seconds", OUT_NUM},                                                                               \
	{                                                                                                              \
		"paused", OUT_TEXT                                                                                     \
	}

static const struct out_col columns_json[] = {{"shard", OUT_INT}, {"reachable", OUT_BOOL}, NUMBERS, {0}};
static const struct out_col columns_table[] = {{"shard", OUT_TEXT}, NUMBERS, {0}};

/* A shard that could not be asked has an error, and no numbers. */
static enum err ask(struct shard_set *set, struct shard *shard, struct queue_stats *out)
{
	enum err err = shard->redis ? queue_stats_now(shard->redis, shard->n, out) : ERR_UNREACHABLE;

	if (shard->redis && err != ERR_OK)
		shard_fail(set, shard, (int)exit_code_of(err), "%s", queue_stats_trouble(shard->redis, err, out));
	return err;
}

static void put_numbers(struct out *o, const struct queue_stats *q)
{
	const int64_t v[] = {q->length,   q->pending, q->lanes,   q->waiting,  q->due,
	                     q->retrying, q->dead,    q->workers, q->imbalance};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		out_int(o, v[i]);
	if (q->oldest_ms < 0)
		out_null(o);
	else
		out_num(o, (double)q->oldest_ms / 1e3);
	out_text(o, queue_paused_text(q->paused));
}

static void put_shard(struct session *s, struct out *o, unsigned shard, enum err err, const struct queue_stats *q)
{
	size_t nulls = o->ncols - (s->json ? 2 : 1);

	out_row(o);
	if (s->json) {
		out_int(o, shard);
		out_bool(o, err == ERR_OK);
	} else {
		out_text(o, arena_printf(s->a, "%u", shard));
	}
	if (err == ERR_OK)
		put_numbers(o, q);
	for (size_t i = 0; err != ERR_OK && i < nulls; i++)
		out_null(o);
}

static int status(struct session *s)
{
	struct queue_stats total = QUEUE_STATS_NONE, q;
	struct shard_set set;
	struct out o;
	int code;

	if (!shard_set_open(&set, s) && set.n == 0)
		return s->code;
	out_begin(&o, s->json, s->json ? columns_json : columns_table);
	for (unsigned i = 0; i < set.n; i++) {
		enum err err = ask(&set, &set.v[i], &q);

		if (err == ERR_OK)
			queue_stats_add(&total, &q);
		put_shard(s, &o, i, err, &q);
	}
	if (set.n > 1 && !s->json) {
		out_row(&o);
		out_text(&o, "total");
		put_numbers(&o, &total);
	}
	code = out_end(&o, NULL);
	return s->code != EXIT_DONE ? s->code : code;
}

static const struct sub subs[] = {
    {"status", "json", 0, 0, "", status},           {"peek", "json lane limit", 0, 1, "ID", queue_peek},
    {"lanes", "json limit", 0, 0, "", queue_lanes}, {"pause", "json bot", 0, 0, "", queue_pause},
    {"resume", "json bot", 0, 0, "", queue_resume}, {0},
};

int verb_queue(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
