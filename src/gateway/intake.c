#include "shoal/gateway/intake.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/queue.h"
#include "shoal/store/redis_check.h"

#define UNDER_WAY_MAX 2048 /* of one shard: one that hangs leaves half of the gateway's connections to the others */
#define TIMEOUT_MS 2000
#define PROBE_MS 1000

struct shard {
	struct redis *redis;
	char key[QUEUE_KEY_MAX], probe_key[QUEUE_KEY_MAX];
	struct redis_check check;
	enum err refused;   /* what became of the last append or probe; ERR_OK: it takes entries */
	struct timer probe; /* runs while it does not */
	unsigned under_way;
};

struct intake {
	unsigned shards;
	int64_t last_complaint;
	unsigned suppressed; /* complaints since */
	char trouble[96];
	struct shard shard[];
};

struct pending {
	struct intake *in;
	struct shard *shard;
	intake_fn *fn;
	void *arg;
	const char *bot; /* this and the trace are for the log */
	struct trace trace;
};

/* ---- whether a server that is there takes entries: it may be full, or read-only since a failover */

static void note(struct shard *s, enum err err)
{
	s->refused = err;
	if (err == ERR_OK)
		timer_stop(&s->probe);
	else if (!timer_armed(&s->probe))
		timer_set(&s->probe, jitter_ms(PROBE_MS));
}

static void on_probed(void *arg, enum err err, const redisReply *reply)
{
	(void)reply;
	note(arg, err);
}

/* Sets a key only if it is there, which it never is. Who refuses this refuses entries, for want of room or of rights.
 */
static void probe(void *arg)
{
	struct shard *s = arg;
	const struct span argv[] = {SPAN("SET"), span_of(s->probe_key), SPAN("1"), SPAN("XX")};

	redis_call(s->redis, on_probed, s, sizeof(argv) / sizeof(argv[0]), argv);
}

static void on_up(void *arg)
{
	struct shard *s = arg;

	redis_check_start(&s->check);
	probe(s);
}

struct intake *intake_open(struct loop *l, const char *const *urls, unsigned shards)
{
	struct intake *in = mem_zalloc(sizeof(*in) + shards * sizeof(in->shard[0]));

	in->shards = shards;
	for (unsigned i = 0; i < shards; i++) {
		struct shard *s = &in->shard[i];
		struct redis_opts opts = {
		    .url = urls[i], .label = "queue", .timeout_ms = TIMEOUT_MS, .on_up = on_up, .arg = s};

		queue_key(s->key, i, "updates");
		queue_key(s->probe_key, i, "probe");
		timer_init(&s->probe, l, probe, s);
		s->redis = redis_open(l, &opts);
		s->check.redis = s->redis;
		s->check.shard = i;
	}
	return in;
}

void intake_close(struct intake *in)
{
	for (unsigned i = 0; i < in->shards; i++) {
		redis_close(in->shard[i].redis);
		timer_release(&in->shard[i].probe);
	}
	free(in);
}

static void complain(const struct pending *p, enum err err, const redisReply *reply)
{
	struct intake *in = p->in;

	if (!log_due(&in->last_complaint, &in->suppressed))
		return;
	log_error("an update could not be appended to the stream", LOG_STR("bot", p->bot),
	          LOG_STR("trace_id", p->trace.id), LOG_STR("error", err_text(err)),
	          LOG_STR("answer", reply ? reply->str : NULL), LOG_INT("suppressed", in->suppressed));
	in->suppressed = 0;
}

static void on_appended(void *arg, enum err err, const redisReply *reply)
{
	struct pending p = *(struct pending *)arg;

	free(arg);
	p.shard->under_way--;
	if (err == ERR_OK && reply->type != REDIS_REPLY_STRING)
		err = ERR_PROTOCOL;
	if (err != ERR_OK)
		complain(&p, err, reply);
	else
		log_debug("update appended", LOG_STR("bot", p.bot), LOG_STR("trace_id", p.trace.id),
		          LOG_STR("entry", reply->str), LOG_INT("shard", p.shard->check.shard));
	note(p.shard, err);
	p.fn(p.arg, err);
}

bool intake_append(struct intake *in, const struct entry *e, struct arena *a, intake_fn *fn, void *arg)
{
	struct shard *s = &in->shard[lane_shard(span_of(e->lane), in->shards)];
	struct pending *p;
	struct span *argv;
	size_t argc;

	if (s->under_way >= UNDER_WAY_MAX)
		return false;
	p = mem_alloc(sizeof(*p));
	*p = (struct pending){.in = in, .shard = s, .fn = fn, .arg = arg, .bot = e->bot};
	if (e->trace)
		p->trace = *e->trace;
	s->under_way++;
	argc = entry_xadd(e, s->key, a, &argv);
	redis_call(s->redis, on_appended, p, argc, argv);
	return true;
}

unsigned intake_under_way(const struct intake *in)
{
	unsigned n = 0;

	for (unsigned i = 0; i < in->shards; i++)
		n += in->shard[i].under_way;
	return n;
}

static const char *shard_trouble(const struct shard *s)
{
	if (!redis_up(s->redis))
		return "no connection";
	if (s->refused == ERR_FULL)
		return "full";
	return s->refused ? err_text(s->refused) : redis_check_trouble(&s->check);
}

unsigned intake_shards_away(const struct intake *in)
{
	unsigned n = 0;

	for (unsigned i = 0; i < in->shards; i++)
		n += shard_trouble(&in->shard[i]) != NULL;
	return n;
}

const char *intake_trouble(struct intake *in)
{
	const char *why = NULL;
	unsigned i = in->shards;

	while (i > 0 && (why = shard_trouble(&in->shard[i - 1])))
		i--;
	if (!why)
		return NULL;
	snprintf(in->trouble, sizeof(in->trouble), "shard 0: %s", why);
	return in->trouble;
}

struct redis *intake_redis(const struct intake *in)
{
	return in->shard[0].redis;
}
