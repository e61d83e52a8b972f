/* /api/performance: by bot and command, and by bot and stage. */
#include "shoal/admin/performance.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/admin/routes.h"

/* --- adding up */

/* NULL: there are too many to be true. */
static struct performance_line *line_of(struct performance_lines *lines, const char *bot, const char *name,
                                        struct arena *a)
{
	struct performance_line *l;

	for (size_t i = 0; i < lines->n; i++)
		if (strcmp(lines->v[i]->name, name) == 0 && strcmp(lines->v[i]->bot, bot) == 0)
			return lines->v[i];
	if (lines->n == PERFORMANCE_LINES)
		return NULL;
	l = arena_new(a, struct performance_line);
	l->bot = bot;
	l->name = name;
	return lines->v[lines->n++] = l;
}

/* ["persona","text","53:12,54:3"] */
static void add_line(struct performance_lines *lines, const cJSON *told, struct arena *a)
{
	const cJSON *bot = cJSON_GetArrayItem(told, 0), *name = cJSON_GetArrayItem(told, 1),
	            *text = cJSON_GetArrayItem(told, 2);
	struct performance_line *l;
	struct latency took = {{0}};

	if (!cJSON_IsString(bot) || !cJSON_IsString(name) || !cJSON_IsString(text) ||
	    !latency_read(&took, span_of(text->valuestring)))
		return;
	l = line_of(lines, bot->valuestring, name->valuestring, a);
	if (l)
		latency_merge(&l->took, &took);
}

static void add_lines(struct performance_lines *lines, const cJSON *told, struct arena *a)
{
	const cJSON *line;

	cJSON_ArrayForEach(line, told) add_line(lines, line, a);
}

static int by_name(const void *a, const void *b)
{
	const struct performance_line *x = *(struct performance_line *const *)a,
	                              *y = *(struct performance_line *const *)b;
	int order = strcmp(x->bot, y->bot);

	return order ? order : strcmp(x->name, y->name);
}

static void sort(struct performance_lines *lines)
{
	if (lines->n > 1)
		qsort(lines->v, lines->n, sizeof(*lines->v), by_name);
}

struct performance *performance_of(const struct roster_answer *answer, struct arena *a)
{
	struct performance *p = arena_new(a, struct performance);

	p->bots.v = arena_array(a, struct performance_line *, PERFORMANCE_LINES);
	p->commands.v = arena_array(a, struct performance_line *, PERFORMANCE_LINES);
	p->stages.v = arena_array(a, struct performance_line *, PERFORMANCE_LINES);
	for (size_t i = 0; i < answer->alive.n; i++) {
		const char *why;
		const cJSON *told = answer->timing[i].ptr ? json_parse(a, answer->timing[i], &why) : NULL;

		add_lines(&p->commands, json_arr(told, "commands"), a);
		add_lines(&p->stages, json_arr(told, "stages"), a);
		(void)json_i64(told, "window_s", &p->window_s);
	}
	for (size_t i = 0; i < p->commands.n; i++) {
		const struct performance_line *l = p->commands.v[i];

		latency_merge(&p->all, &l->took);
		latency_merge(&line_of(&p->bots, l->bot, "", a)->took, &l->took); /* no more bots than commands */
	}
	sort(&p->bots);
	sort(&p->commands);
	sort(&p->stages);
	return p;
}

/* --- telling */

/* Members of an object; null of nothing. */
static void put_quantiles(struct json_writer *out, const struct latency *l)
{
	static const struct {
		const char *name;
		double q;
	} all[] = {{"p50_ms", 0.5}, {"p95_ms", 0.95}, {"p99_ms", 0.99}};
	bool none = latency_count(l) == 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		json_key(out, all[i].name);
		if (none)
			json_put_null(out);
		else
			json_put_num(out, (double)(int64_t)(latency_quantile_ms(l, all[i].q) * 1000 + 0.5) / 1000);
	}
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
		put_quantiles(out, &l->v[i]->took);
		json_end_obj(out);
	}
	json_end_arr(out);
}

void performance_put(struct json_writer *out, const struct performance *p)
{
	json_kv_i64(out, "window_seconds", p->window_s);
	json_kv_i64(out, "count", (int64_t)latency_count(&p->all));
	put_quantiles(out, &p->all);
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
