#include "shoal/admin/shards.h"

/* --- any call */

struct part {
	unsigned shard;
	shards_each_fn *fn;
	void *arg;
};

static void on_reply(void *arg, enum err err, const redisReply *reply)
{
	const struct part *p = arg;

	p->fn(p->arg, p->shard, err, reply);
}

void shards_ask(struct api *api, struct arena *a, struct queue_call *const *calls, shards_each_fn *fn, void *arg)
{
	for (unsigned i = 0; i < api->nshards; i++) {
		const struct queue_call *c = calls[i];
		struct part *p;

		if (!c)
			continue;
		p = arena_new(a, struct part);
		*p = (struct part){i, fn, arg};
		redis_eval(api->shards[i], c->script, on_reply, p, c->nkeys, c->argc, c->argv);
	}
}

const char *shards_server(const struct api *api, struct arena *a, unsigned shard)
{
	return api->nshards == 1 ? "Redis" : arena_printf(a, "Redis of shard %u", shard);
}

/* --- numbers */

struct counting {
	unsigned left;
	struct shard_numbers *v;
	shards_numbers_fn *fn;
	void *arg;
};

struct count {
	struct counting *of;
	unsigned shard;
};

static void on_stats(void *arg, enum err err, const struct queue_stats *stats)
{
	const struct count *c = arg;
	struct counting *of = c->of;

	of->v[c->shard] = (struct shard_numbers){err, *stats};
	if (--of->left == 0)
		of->fn(of->arg, of->v);
}

void shards_numbers(struct api *api, struct arena *a, shards_numbers_fn *fn, void *arg)
{
	struct counting *all = arena_new(a, struct counting);

	*all = (struct counting){api->nshards, arena_array(a, struct shard_numbers, api->nshards), fn, arg};
	for (unsigned i = 0; i < api->nshards; i++) {
		struct count *c = arena_new(a, struct count);

		*c = (struct count){all, i};
		queue_stats_ask(api->shards[i], i, "", on_stats, c);
	}
}

unsigned shards_sum(const struct api *api, const struct shard_numbers *v, struct queue_stats *total)
{
	unsigned n = 0;

	*total = (struct queue_stats)QUEUE_STATS_NONE;
	for (unsigned i = 0; i < api->nshards; i++) {
		if (v[i].err != ERR_OK)
			continue;
		queue_stats_add(total, &v[i].stats);
		n++;
	}
	return n;
}
