/* /api/performance: by bot and command, and by bot and stage. */
#include "shoal/admin/performance.h"

#include "shoal/admin/routes.h"

struct performance *performance_of(const struct roster_answer *answer, struct arena *a)
{
	struct performance *p = arena_new(a, struct performance);

	performance_init(p, a);
	for (size_t i = 0; i < answer->alive.n; i++)
		performance_add(p, answer->timing[i]);
	performance_sum(p);
	return p;
}

/* what: NULL where the bot is all there is to say. */
static void put_lines(struct json_writer *out, const char *name, const char *what, const struct performance_lines *l)
{
	json_key(out, name);
	json_begin_arr(out);
	for (size_t i = 0; i < l->n; i++) {
		json_begin_obj(out);
		json_kv_str(out, "bot", l->v[i]->bot);
		if (what)
			json_kv_str(out, what, l->v[i]->name);
		json_kv_i64(out, "count", (int64_t)latency_count(&l->v[i]->took));
		performance_put_quantiles(out, &l->v[i]->took);
		json_end_obj(out);
	}
	json_end_arr(out);
}

void performance_put(struct json_writer *out, const struct performance *p)
{
	json_kv_i64(out, "window_seconds", p->window_s);
	json_kv_i64(out, "count", (int64_t)latency_count(&p->all));
	performance_put_quantiles(out, &p->all);
	put_lines(out, "bots", NULL, &p->bots);
}

static void on_alive(void *arg, enum err err, const struct roster_answer *answer)
{
	struct visitor *v = arg;
	const struct performance *p;

	if (err != ERR_OK) {
		visitor_failed(v, err, "Redis");
		return;
	}
	p = performance_of(answer, v->a);
	json_begin_obj(&v->json);
	json_kv_i64(&v->json, "workers", (int64_t)answer->alive.n);
	performance_put(&v->json, p);
	put_lines(&v->json, "commands", "command", &p->commands);
	put_lines(&v->json, "stages", "stage", &p->stages);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}

void performance_look(struct visitor *v)
{
	roster_ask(v->api->roster, v->a, on_alive, v);
}
