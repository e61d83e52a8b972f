/* /api/queue/lanes: the busy lanes of all shards, those with most waiting first. */
#include "shoal/admin/routes.h"
#include "shoal/admin/shards.h"
#include "shoal/base/clock.h"
#include "shoal/store/lanes_found.h"

/* Of very many lanes those that can be looked at meanwhile. */
enum { LIMIT = 20, LIMIT_MAX = 500, PIECE = 500, LOOK_MS = 300, KEPT_MAX = 10000 };

struct looking {
	size_t limit;
	unsigned left; /* shards that have not told all */
	bool whole;
	int64_t deadline_ms;
	unsigned heard; /* pieces that came */
	enum err err;   /* of the last that did not */
	struct lane_found *v;
	size_t n;
};

static void put_lane(struct json_writer *out, const struct lane_found *f)
{
	const struct queue_lane *lane = &f->lane;

	json_begin_obj(out);
	json_kv_i64(out, "shard", f->shard);
	json_key(out, "lane");
	json_put_span(out, lane->lane);
	json_kv_i64(out, "waiting", lane->waiting);
	json_key(out, "oldest_seconds");
	if (f->age_ms < 0)
		json_put_null(out);
	else
		json_put_num(out, (double)f->age_ms / 1e3);
	json_kv_str(out, "state", queue_state_name(lane->state));
	json_kv_str(out, "worker", lane->worker);
	json_key(out, "due_in_ms");
	if (lane->due_in_ms < 0)
		json_put_null(out);
	else
		json_put_i64(out, lane->due_in_ms);
	json_kv_str(out, "entry", lane->holder);
	json_kv_i64(out, "retries", lane->retries);
	json_kv_i64(out, "takeovers", lane->takeovers);
	json_end_obj(out);
}

static void tell(struct visitor *v)
{
	struct looking *l = v->state;

	if (l->heard == 0) {
		visitor_failed(v, l->err, "Redis");
		return;
	}
	l->n = lanes_found_sort(l->v, l->n);
	json_begin_obj(&v->json);
	json_key(&v->json, "lanes");
	json_begin_arr(&v->json);
	for (size_t i = 0; i < l->n && i < l->limit; i++)
		put_lane(&v->json, &l->v[i]);
	json_end_arr(&v->json);
	json_kv_i64(&v->json, "total", (int64_t)l->n);
	json_kv_bool(&v->json, "all_counted", l->whole);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}

static void on_lanes(void *arg, unsigned shard, enum err err, const redisReply *reply);

static void ask(struct visitor *v, unsigned shard, const char *cursor)
{
	struct queue_call **calls = arena_array(v->a, struct queue_call *, v->api->nshards);

	calls[shard] = queue_lanes_call(v->a, shard, cursor, PIECE);
	shards_ask(v->api, v->a, calls, on_lanes, v);
}

static void add(struct looking *l, unsigned shard, const struct queue_lanes *piece)
{
	for (size_t i = 0; i < piece->n && l->n < KEPT_MAX; i++)
		l->v[l->n++] = lane_found(shard, &piece->v[i], piece->now_ms);
	l->heard++;
}

static void on_lanes(void *arg, unsigned shard, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;
	struct looking *l = v->state;
	struct queue_lanes piece = {.cursor = NULL};

	if (err == ERR_OK)
		err = queue_lanes_read(reply, v->a, &piece);
	if (err != ERR_OK)
		l->err = err;
	else
		add(l, shard, &piece);
	if (err == ERR_OK && piece.cursor && l->n < KEPT_MAX && clock_ms() < l->deadline_ms) {
		ask(v, shard, piece.cursor);
		return;
	}
	l->whole = l->whole && err == ERR_OK && !piece.cursor;
	if (--l->left == 0)
		tell(v);
}

void lanes_list(struct visitor *v)
{
	struct looking *l = arena_new(v->a, struct looking);
	int64_t limit;

	if (!visitor_query_i64(v, "limit", 1, LIMIT_MAX, LIMIT, &limit))
		return;
	*l = (struct looking){.limit = (size_t)limit,
	                      .left = v->api->nshards,
	                      .whole = true,
	                      .deadline_ms = clock_ms() + LOOK_MS,
	                      .v = arena_array(v->a, struct lane_found, KEPT_MAX)};
	v->state = l;
	for (unsigned i = 0; i < v->api->nshards; i++)
		ask(v, i, NULL);
}
