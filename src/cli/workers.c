/* shoal workers: who is alive. */
#include <stdlib.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/cli/beacons.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/session.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_key.h"

static const struct out_col columns[] = {
    {"id", OUT_TEXT},
    {"host", OUT_TEXT},
    {"pid", OUT_INT},
    {"state", OUT_TEXT},
    {"in_flight", OUT_INT},
    {"in_flight_max", OUT_INT},
    {"done", OUT_INT},
    {"per_second", OUT_NUM},
    {"version", OUT_TEXT},
    {"started_at", OUT_TIME},
    {0},
};

static void put(struct out *o, const cJSON *v, const struct out_col *c)
{
	const char *text = json_str(v, c->name);
	int64_t i;
	double num;

	if (c->type == OUT_TEXT)
		out_text(o, text);
	else if (c->type == OUT_INT && json_i64(v, c->name, &i))
		out_int(o, i);
	else if (c->type == OUT_NUM && json_num(v, c->name, &num))
		out_num(o, (double)(int64_t)(num * 10 + 0.5) / 10);
	else if (c->type == OUT_TIME && text && clock_parse_rfc3339(text, &i))
		out_time(o, i);
	else
		out_null(o);
}

static int list(struct session *s, const struct beacons *alive)
{
	struct out o;

	out_begin(&o, s->json, columns);
	for (size_t i = 0; i < alive->n; i++) {
		out_row(&o);
		for (const struct out_col *c = columns; c->name; c++)
			put(&o, alive->v[i], c);
	}
	return out_end(&o, "no worker is alive");
}

static int run(struct session *s)
{
	struct beacons alive;
	const char *why = NULL;
	redisContext *redis;

	if (!session_conf(s))
		return s->code;
	if (!(redis = redis_connect_now(s->conf.cache_redis_url, CACHE_HOME, s->a, &why)))
		return session_fail(s, EXIT_NO_SERVER, "cannot reach Redis: %s", why);
	if (beacons_read(s, redis, &alive))
		s->code = list(s, &alive);
	free(alive.v);
	redisFree(redis);
	return s->code;
}

int verb_workers(int argc, char **argv)
{
	static const struct arg_opt options[] = {{"json", false, false}, {0}};
	struct session s;
	struct arena a;
	struct args args;
	int code = EXIT_USAGE;

	arena_init(&a);
	if (args_parse(&args, &a, argc, argv, options) && args_count(&args, 0, 0, "")) {
		session_open(&s, &a, &args);
		code = run(&s);
		session_close(&s);
	}
	arena_release(&a);
	return code;
}
