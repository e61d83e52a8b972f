#include "shoal/gateway/intake.h"

#include <stdlib.h>

#include "shoal/base/log.h"
#include "shoal/gateway/shard.h"
#include "shoal/store/shards_health.h"

struct intake {
	unsigned shards;
	int64_t last_complaint;
	unsigned suppressed; /* complaints since */
	struct shards_health health;
	struct shard_marks marks;
	struct shard shard[];
};

struct pending {
	struct intake *in;
	unsigned shard;
	intake_fn *fn;
	void *arg;
	const char *bot; /* this and the trace are for the log */
	struct trace trace;
};

static const char *trouble(const void *arg, unsigned shard)
{
	const struct intake *in = arg;

	return shard_trouble((struct shard *)&in->shard[shard]);
}

static const char *foreign(const void *arg, unsigned shard)
{
	const struct intake *in = arg;

	return in->shard[shard].alien[0] ? in->shard[shard].alien : NULL;
}

struct intake *intake_open(struct loop *l, const char *const *urls, unsigned shards)
{
	struct intake *in = mem_zalloc(sizeof(*in) + shards * sizeof(in->shard[0]));

	in->shards = shards;
	for (unsigned i = 0; i < shards; i++)
		shard_open(&in->shard[i], l, urls[i], i, shards, &in->marks);
	in->health = (struct shards_health){.n = shards, .trouble = trouble, .foreign = foreign, .arg = in};
	shards_health_init(&in->health);
	return in;
}

void intake_close(struct intake *in)
{
	for (unsigned i = 0; i < in->shards; i++)
		shard_close(&in->shard[i]);
	free(in);
}

static void complain(const struct pending *p, enum err err)
{
	struct intake *in = p->in;

	if (!log_due(&in->last_complaint, &in->suppressed))
		return;
	log_error("an update could not be appended to the stream", LOG_STR("bot", p->bot),
	          LOG_STR("trace_id", p->trace.id), LOG_STR("error", err_text(err)), LOG_INT("shard", p->shard),
	          LOG_STR("why", shard_trouble(&in->shard[p->shard])), LOG_INT("suppressed", in->suppressed));
	in->suppressed = 0;
}

static void on_appended(void *arg, enum err err, const char *id)
{
	struct pending p = *(struct pending *)arg;

	free(arg);
	if (err != ERR_OK)
		complain(&p, err);
	else
		log_debug("update appended", LOG_STR("bot", p.bot), LOG_STR("trace_id", p.trace.id),
		          LOG_STR("entry", id), LOG_INT("shard", p.shard));
	p.fn(p.arg, err);
}

bool intake_append(struct intake *in, const struct entry *e, struct arena *a, intake_fn *fn, void *arg)
{
	unsigned shard = lane_shard(span_of(e->lane), in->shards);
	struct span *argv;
	size_t argc = entry_xadd(e, in->shard[shard].updates, a, &argv);
	struct pending *p = mem_alloc(sizeof(*p));

	*p = (struct pending){.in = in, .shard = shard, .fn = fn, .arg = arg, .bot = e->bot};
	if (e->trace)
		p->trace = *e->trace;
	if (shards_any_foreign(&in->health) ? shard_turn_away(&in->shard[shard], on_appended, p)
	                                    : shard_append(&in->shard[shard], argc, argv, on_appended, p))
		return true;
	free(p);
	return false;
}

bool intake_takes(struct intake *in, struct span lane)
{
	return !shards_any_foreign(&in->health) && !shard_trouble(&in->shard[lane_shard(lane, in->shards)]);
}

unsigned intake_under_way(const struct intake *in)
{
	unsigned n = 0;

	for (unsigned i = 0; i < in->shards; i++)
		n += in->shard[i].under_way;
	return n;
}

struct shards_health *intake_health(struct intake *in)
{
	return &in->health;
}
