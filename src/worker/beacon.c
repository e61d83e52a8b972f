#include "shoal/worker/beacon.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/base/log.h"
#include "shoal/base/version.h"
#include "shoal/store/beacons.h"
#include "shoal/store/latency.h"
#include "shoal/store/queue_reread.h"
#include "shoal/store/queue_stats.h"
#include "shoal/worker/fleet.h"
#include "shoal/worker/readiness.h"
#include "shoal/worker/timings.h"
#include "shoal/worker/worker.h"

#define LIFE_MS "5000"
#define BODY_MAX (1u << 20)

/* Also where Redis is full: those who make room want to see who works. */
static struct redis_script beacon_script = {
    .name = "beacon", .text = SPAN("#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])")};

/* Of a shard, as this worker last heard them. */
static const struct {
	const char *name, *help;
} gauges[] = {
    {"shoal_queue_length", "Unsettled entries in the stream"},
    {"shoal_queue_pending", "Entries read and not settled"},
    {"shoal_queue_waiting", "Entries behind another one of their lane"},
    {"shoal_queue_retrying", "Entries given back, to come again"},
    {"shoal_queue_dead", "Dead letters"},
    {"shoal_queue_oldest_seconds", "Age of the oldest unsettled entry"},
    {"shoal_queue_imbalance", "Entries that are nobody's; below 0: lanes whose entry is gone"},
};
#define GAUGES (sizeof(gauges) / sizeof(gauges[0]))

static void set_gauges(const struct queue *q, const double *numbers)
{
	char shard[12];

	snprintf(shard, sizeof(shard), "%u", queue_shard(q));
	for (size_t i = 0; i < GAUGES; i++)
		series_set(SERIES(metric_gauge(gauges[i].name, "shard", gauges[i].help), shard), numbers[i]);
}

/* Who cannot ask shall not tell what was so once: the highest of all workers' numbers is what is looked at. */
static void stats_unknown(const struct queue *q)
{
	set_gauges(q, (const double[GAUGES]){NAN, NAN, NAN, NAN, NAN, NAN, NAN});
}

static void stats_came(void *arg, enum err err, const struct queue_stats *s)
{
	struct shard *shard = arg;

	if (err != ERR_OK) {
		stats_unknown(shard->queue);
		if (*s->why)
			log_warn("queue: its numbers cannot be asked for", LOG_INT("shard", queue_shard(shard->queue)),
			         LOG_STR("why", s->why));
		return;
	}
	memcpy(shard->look, s->look, sizeof(shard->look));
	set_gauges(shard->queue, (const double[GAUGES]){
	                             (double)s->length,
	                             (double)s->pending,
	                             (double)s->waiting,
	                             (double)s->due,
	                             (double)s->dead,
	                             s->oldest_ms < 0 ? 0 : (double)s->oldest_ms / 1e3,
	                             (double)s->imbalance,
	                         });
	if (s->imbalance > 0 || *s->listed)
		queue_reread(shard->queue, s->imbalance, s->listed);
}

static void put(struct json_writer *out, struct worker *w)
{
	int64_t now = clock_ms();
	char host[64] = "", started[32];
	gethostname(host, sizeof(host) - 1);
	clock_rfc3339(w->started_ms, started, sizeof(started));
	json_begin_obj(out);
	json_kv_str(out, "id", w->id);
	json_kv_str(out, "host", host);
	json_kv_i64(out, "pid", getpid());
	json_kv_str(out, "version", shoal_version);
	json_kv_str(out, "started_at", started);
	json_kv_str(out, "state", w->draining ? "draining" : readiness_cut_off(w) ? "cut off" : "running");
	json_kv_i64(out, "in_flight", w->njobs);
	json_kv_i64(out, "in_flight_max", w->conf.inflight);
	json_kv_i64(out, "done", w->done);
	json_kv_num(out, "per_second",
	            w->told_ms && now > w->told_ms ? (double)(w->done - w->told_done) * 1e3 / (double)(now - w->told_ms)
	                                           : 0);
	json_kv_i64(out, "flood_waiting", w->outlet.seats);
	json_kv_i64(out, "flood_waits", (int64_t)series_value(w->flood_wait));
	json_key(out, "fleet_jobs");
	fleet_put(w->fleet, out);
	json_key(out, "caches");
	cache_put_stats(w->cache, out);
	json_end_obj(out);
	w->told_done = w->done;
	w->told_ms = now;
}

static struct span key_of(const struct worker *w, const char *prefix, char *out, size_t size)
{
	snprintf(out, size, "%s%s", prefix, w->id);
	return span_of(out);
}

void beacon_end(struct worker *w)
{
	char one[120], two[120];
	redis_call(w->redis, NULL, NULL, 3,
	           (struct span[]){SPAN("UNLINK"), key_of(w, BEACON_KEY, one, sizeof(one)),
	                           key_of(w, LATENCY_KEY, two, sizeof(two))});
}

static void send(struct worker *w, const char *prefix, const struct buf *body)
{
	char key[120];
	const struct span argv[] = {key_of(w, prefix, key, sizeof(key)), buf_span(body), SPAN(LIFE_MS)};
	if (!body->failed && redis_up(w->redis))
		redis_eval(w->redis, &beacon_script, NULL, NULL, 1, 3, argv);
}

void beacon_send(struct worker *w)
{
	struct buf body;
	struct json_writer out;
	buf_init(&body, BODY_MAX);
	json_writer_init(&out, &body);
	put(&out, w);
	send(w, BEACON_KEY, &body);
	buf_clear(&body);
	timings_put(w->timings, clock_ms(), &body);
	send(w, LATENCY_KEY, &body);
	buf_release(&body);
	for (unsigned i = 0; i < w->nshards; i++)
		if (queue_up(w->shards[i].queue))
			queue_stats_ask(queue_redis(w->shards[i].queue), i, w->shards[i].look, stats_came,
			                &w->shards[i]);
		else
			stats_unknown(w->shards[i].queue);
}
