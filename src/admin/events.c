#include "shoal/admin/events.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/admin/history.h"
#include "shoal/admin/performance.h"
#include "shoal/admin/place.h"
#include "shoal/admin/routes.h"
#include "shoal/admin/shards.h"
#include "shoal/admin/workers.h"
#include "shoal/base/clock.h"
#include "shoal/store/queue_stats.h"

enum { WATCHERS_MAX = 64, TICK_MS = 1000, TEXT_MAX = 1 << 20 };
enum { IDLE_MS = HISTORY_STEP_MS };

struct events {
	struct api *api;
	struct httpd_request *watchers[WATCHERS_MAX];
	size_t n;
	struct timer tick;
	bool ended;
	/* one question at a time, to the queue and to the workers */
	unsigned left;
	struct arena a;                     /* of the question */
	struct buf queue, workers, latency; /* what came of it, as JSON; empty: nothing */
	struct sample sample;               /* and as numbers */
};

/* --- who watches */

static void drop(struct events *e, size_t i)
{
	httpd_stream_end(e->watchers[i]);
	e->watchers[i] = e->watchers[--e->n];
}

/* Who has left, or does not read, goes. */
static void send_all(struct events *e, struct span text)
{
	for (size_t i = e->n; i-- > 0;)
		if (!httpd_stream_send(e->watchers[i], text))
			drop(e, i);
}

void events_watch(struct visitor *v)
{
	struct events *e = v->api->events;

	if (e->ended || e->n == WATCHERS_MAX) {
		visitor_later(v, 503, "unavailable", e->ended ? "the server is about to end" : "too many watch already",
		              5000);
		return;
	}
	if (strcmp(httpd_method(v->r), "GET") != 0) {
		visitor_send(v, 200);
		return;
	}
	e->watchers[e->n++] = visitor_stream(v, "text/event-stream");
	if (e->n == 1 && e->left == 0)
		timer_set(&e->tick, 0);
}

/* --- a tick */

static void put_or_null(struct json_writer *out, const char *name, const struct buf *json)
{
	json_key(out, name);
	if (json->len && !json->failed)
		json_put_raw(out, buf_span(json));
	else
		json_put_null(out);
}

static void tell(struct events *e)
{
	struct json_writer out;
	struct buf text;
	unsigned shard;
	char at[32];

	clock_rfc3339(clock_wall_ms(), at, sizeof(at));
	buf_init(&text, 4 * TEXT_MAX);
	buf_adds(&text, "event: tick\ndata: ");
	json_writer_init(&out, &text);
	json_begin_obj(&out);
	json_kv_str(&out, "at", at);
	put_or_null(&out, "queue", &e->queue);
	json_kv_str(&out, "foreign", place_any_foreign(e->api->place, &shard));
	put_or_null(&out, "workers", &e->workers);
	put_or_null(&out, "latency", &e->latency);
	json_kv_bool(&out, "postgres", pg_up(e->api->pg));
	json_end_obj(&out);
	buf_adds(&text, "\n\n");
	if (!text.failed)
		send_all(e, buf_span(&text));
	buf_release(&text);
}

static void one_answered(struct events *e)
{
	if (--e->left > 0)
		return;
	history_add(e->api->history, &e->sample);
	tell(e);
	arena_release(&e->a);
	if (!e->ended)
		timer_set(&e->tick, e->n > 0 ? TICK_MS : IDLE_MS);
}

static void on_numbers(void *arg, const struct shard_numbers *v)
{
	struct events *e = arg;
	struct queue_stats total;
	struct json_writer out;
	unsigned foreign;

	buf_clear(&e->queue);
	if (!place_any_foreign(e->api->place, &foreign) && shards_sum(e->api, v, &total) > 0) {
		history_of_queue(&e->sample, &total);
		json_writer_init(&out, &e->queue);
		json_begin_obj(&out);
		queue_stats_put(&out, &total);
		json_end_obj(&out);
	}
	one_answered(e);
}

static int64_t sum_of(const struct beacons *alive, const char *name)
{
	int64_t sum = 0, n;

	for (size_t i = 0; i < alive->n; i++)
		if (json_i64(alive->v[i], name, &n))
			sum += n;
	return sum;
}

static double rate_of(const struct beacons *alive)
{
	double sum = 0, one;

	for (size_t i = 0; i < alive->n; i++)
		if (workers_rate(alive->v[i], &one))
			sum += one;
	return sum;
}

static void put_workers(struct events *e, const struct beacons *alive)
{
	struct json_writer out;

	json_writer_init(&out, &e->workers);
	json_begin_obj(&out);
	json_kv_i64(&out, "alive", (int64_t)alive->n);
	json_kv_i64(&out, "running", beacons_in_state(alive, "running"));
	json_kv_i64(&out, "draining", beacons_in_state(alive, "draining"));
	json_kv_i64(&out, "cut_off", beacons_in_state(alive, "cut off"));
	json_kv_i64(&out, "in_flight", sum_of(alive, "in_flight"));
	json_kv_i64(&out, "in_flight_max", sum_of(alive, "in_flight_max"));
	json_kv_i64(&out, "done", sum_of(alive, "done"));
	json_kv_num(&out, "per_second", rate_of(alive));
	json_end_obj(&out);
}

static void put_latency(struct events *e, const struct performance *p)
{
	struct json_writer out;

	json_writer_init(&out, &e->latency);
	json_begin_obj(&out);
	performance_put(&out, p);
	json_end_obj(&out);
}

static void on_alive(void *arg, enum err err, const struct roster_answer *answer)
{
	struct events *e = arg;

	buf_clear(&e->workers);
	buf_clear(&e->latency);
	if (err == ERR_OK) {
		const struct performance *p = performance_of(answer, &e->a);

		put_workers(e, &answer->alive);
		put_latency(e, p);
		history_of_workers(&e->sample, rate_of(&answer->alive), sum_of(&answer->alive, "in_flight"), &p->all);
	}
	one_answered(e);
}

static void on_tick(void *arg)
{
	struct events *e = arg;

	e->left = 2;
	e->sample = sample_none();
	shards_numbers(e->api, &e->a, on_numbers, e);
	roster_ask(e->api->roster, &e->a, on_alive, e);
}

/* --- life */

struct events *events_open(struct api *api)
{
	struct events *e = mem_zalloc(sizeof(*e));

	e->api = api;
	arena_init(&e->a);
	buf_init(&e->queue, TEXT_MAX);
	buf_init(&e->workers, TEXT_MAX);
	buf_init(&e->latency, TEXT_MAX);
	timer_init(&e->tick, api->loop, on_tick, e);
	timer_set(&e->tick, 0);
	return e;
}

void events_end(struct events *e)
{
	e->ended = true;
	timer_stop(&e->tick);
	while (e->n > 0)
		drop(e, e->n - 1);
}

void events_close(struct events *e)
{
	if (!e)
		return;
	events_end(e);
	timer_release(&e->tick);
	arena_release(&e->a);
	buf_release(&e->queue);
	buf_release(&e->workers);
	buf_release(&e->latency);
	free(e);
}
