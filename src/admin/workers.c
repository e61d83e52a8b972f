/* /api/workers: who is alive. */
#include "shoal/admin/workers.h"

#include "shoal/admin/roster.h"
#include "shoal/admin/routes.h"
#include "shoal/base/clock.h"

static void put_worker(struct visitor *v, const cJSON *told)
{
	static const char *const texts[] = {"id", "host", "state", "version", NULL};
	static const char *const numbers[] = {"pid", "in_flight", "in_flight_max", "done", NULL};
	const char *started = json_str(told, "started_at");
	int64_t ms = -1, n;
	double rate;

	json_begin_obj(&v->json);
	for (const char *const *name = texts; *name; name++)
		json_kv_str(&v->json, *name, json_str(told, *name));
	for (const char *const *name = numbers; *name; name++) {
		json_key(&v->json, *name);
		if (json_i64(told, *name, &n))
			json_put_i64(&v->json, n);
		else
			json_put_null(&v->json);
	}
	json_kv_num(&v->json, "per_second", workers_rate(told, &rate) ? rate : 0);
	visitor_kv_time(v, "started_at", started && clock_parse_rfc3339(started, &ms) ? ms : -1);
	json_end_obj(&v->json);
}

bool workers_rate(const cJSON *told, double *out)
{
	if (!json_num(told, "per_second", out))
		return false;
	*out = (double)(int64_t)(*out * 10 + 0.5) / 10;
	return true;
}

static void on_alive(void *arg, enum err err, const struct roster_answer *answer)
{
	struct visitor *v = arg;

	if (err != ERR_OK) {
		visitor_failed(v, err, "Redis");
		return;
	}
	json_begin_arr(&v->json);
	for (size_t i = 0; i < answer->alive.n; i++)
		put_worker(v, answer->alive.v[i]);
	json_end_arr(&v->json);
	visitor_send(v, 200);
}

void workers_list(struct visitor *v)
{
	roster_ask(v->api->roster, v->a, on_alive, v);
}
