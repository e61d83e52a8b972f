#include "shoal/store/performance.h"

#include <stdlib.h>
#include <string.h>

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

void performance_init(struct performance *p, struct arena *a)
{
	*p = (struct performance){.arena = a};
	p->bots.v = arena_array(a, struct performance_line *, PERFORMANCE_LINES);
	p->commands.v = arena_array(a, struct performance_line *, PERFORMANCE_LINES);
	p->stages.v = arena_array(a, struct performance_line *, PERFORMANCE_LINES);
}

void performance_add(struct performance *p, struct span timing)
{
	const char *why;
	const cJSON *told = timing.ptr ? json_parse(p->arena, timing, &why) : NULL;

	add_lines(&p->commands, json_arr(told, "commands"), p->arena);
	add_lines(&p->stages, json_arr(told, "stages"), p->arena);
	(void)json_i64(told, "window_s", &p->window_s);
}

void performance_sum(struct performance *p)
{
	for (size_t i = 0; i < p->commands.n; i++) {
		const struct performance_line *l = p->commands.v[i];

		latency_merge(&p->all, &l->took);
		latency_merge(&line_of(&p->bots, l->bot, "", p->arena)->took,
		              &l->took); /* no more bots than commands */
	}
	sort(&p->bots);
	sort(&p->commands);
	sort(&p->stages);
}

void performance_put_quantiles(struct json_writer *out, const struct latency *l)
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
