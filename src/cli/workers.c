/* shoal workers: who is alive. Each worker writes a key of its own every second, which lives five. */
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/session.h"
#include "shoal/io/redis.h"

#define PATTERN "shoal:worker:*"
enum { WORKERS_MAX = 100000 };

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

struct fleet {
	struct session *s;
	redisContext *redis;
	const cJSON **v;
	size_t n, room;
};

/* NULL after saying what was wrong. The reply is released with the arena. */
static void release(void *reply)
{
	freeReplyObject(reply);
}

static redisReply *ask(struct fleet *f, size_t argc, const char **argv)
{
	redisReply *r = redisCommandArgv(f->redis, (int)argc, argv, NULL);

	if (!r) {
		session_fail(f->s, EXIT_NO_SERVER, "Redis did not answer: %s", f->redis->errstr);
		return NULL;
	}
	arena_defer(f->s->a, release, r);
	if (r->type != REDIS_REPLY_ERROR)
		return r;
	session_fail(f->s, EXIT_FAILED, "Redis says: %s", r->str);
	return NULL;
}

static bool knows(const struct fleet *f, const char *id)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(json_str(f->v[i], "id"), id) == 0)
			return true;
	return false;
}

/* What makes no sense is left out; SCAN may name a key twice. */
static void add(struct fleet *f, struct span text)
{
	const char *why, *id;
	const cJSON *v = json_parse(f->s->a, text, &why);

	if (!(id = json_str(v, "id")) || f->n == WORKERS_MAX || knows(f, id))
		return;
	if (f->n == f->room) {
		f->room = f->room ? f->room * 2 : 64;
		f->v = mem_realloc(f->v, f->room * sizeof(f->v[0]));
	}
	f->v[f->n++] = v;
}

static bool read_keys(struct fleet *f, const redisReply *keys)
{
	const char **argv = arena_array(f->s->a, const char *, keys->elements + 1);
	const redisReply *r;

	if (keys->elements == 0)
		return true;
	argv[0] = "MGET";
	for (size_t i = 0; i < keys->elements; i++)
		argv[i + 1] = keys->element[i]->str;
	if (!(r = ask(f, keys->elements + 1, argv)))
		return false;
	for (size_t i = 0; i < r->elements; i++)
		if (r->element[i]->type == REDIS_REPLY_STRING)
			add(f, (struct span){r->element[i]->str, r->element[i]->len});
	return true;
}

static bool read_fleet(struct fleet *f)
{
	const char *cursor = "0";

	do {
		const char *argv[] = {"SCAN", cursor, "MATCH", PATTERN, "COUNT", "1000"};
		const redisReply *r = ask(f, 6, argv);

		if (!r || r->elements != 2 || !read_keys(f, r->element[1]))
			return false;
		cursor = r->element[0]->str;
	} while (strcmp(cursor, "0") != 0);
	return true;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(json_str(*(const cJSON *const *)a, "id"), json_str(*(const cJSON *const *)b, "id"));
}

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

static int list(struct fleet *f)
{
	struct out o;

	if (f->n > 1)
		qsort(f->v, f->n, sizeof(f->v[0]), by_id);
	out_begin(&o, f->s->json, columns);
	for (size_t i = 0; i < f->n; i++) {
		out_row(&o);
		for (const struct out_col *c = columns; c->name; c++)
			put(&o, f->v[i], c);
	}
	return out_end(&o, "no worker is alive");
}

static int run(struct session *s)
{
	struct fleet f = {.s = s};
	const char *why = NULL;

	if (!session_conf(s))
		return s->code;
	if (!(f.redis = redis_connect_now(s->conf.cache_redis_url, s->a, &why)))
		return session_fail(s, EXIT_NO_SERVER, "cannot reach Redis: %s", why);
	if (read_fleet(&f))
		s->code = list(&f);
	free(f.v);
	redisFree(f.redis);
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
