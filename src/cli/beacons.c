#include "shoal/cli/beacons.h"

#include <stdlib.h>
#include <string.h>

#define PATTERN "shoal:worker:*"
enum { WORKERS_MAX = 100000 };

static void release(void *reply)
{
	freeReplyObject(reply);
}

/* NULL after saying what was wrong. The reply is released with the arena. */
static redisReply *ask(struct session *s, redisContext *redis, size_t argc, const char **argv)
{
	redisReply *r = redisCommandArgv(redis, (int)argc, argv, NULL);

	if (!r) {
		session_fail(s, EXIT_NO_SERVER, "Redis did not answer: %s", redis_trouble_now(redis));
		return NULL;
	}
	arena_defer(s->a, release, r);
	if (r->type != REDIS_REPLY_ERROR)
		return r;
	session_fail(s, EXIT_FAILED, "Redis says: %s", r->str);
	return NULL;
}

static bool knows(const struct beacons *b, const char *id)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(json_str(b->v[i], "id"), id) == 0)
			return true;
	return false;
}

/* What makes no sense is left out; SCAN may name a key twice. */
static void add(struct beacons *b, struct arena *a, struct span text)
{
	const char *why, *id;
	const cJSON *v = json_parse(a, text, &why);

	if (!(id = json_str(v, "id")) || b->n == WORKERS_MAX || knows(b, id))
		return;
	if (b->n == b->room) {
		b->room = b->room ? b->room * 2 : 64;
		b->v = mem_realloc(b->v, b->room * sizeof(b->v[0]));
	}
	b->v[b->n++] = v;
}

static bool read_keys(struct session *s, redisContext *redis, const redisReply *keys, struct beacons *b)
{
	const char **argv = arena_array(s->a, const char *, keys->elements + 1);
	const redisReply *r;

	if (keys->elements == 0)
		return true;
	argv[0] = "MGET";
	for (size_t i = 0; i < keys->elements; i++)
		argv[i + 1] = keys->element[i]->str;
	if (!(r = ask(s, redis, keys->elements + 1, argv)))
		return false;
	for (size_t i = 0; i < r->elements; i++)
		if (r->element[i]->type == REDIS_REPLY_STRING)
			add(b, s->a, (struct span){r->element[i]->str, r->element[i]->len});
	return true;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(json_str(*(const cJSON *const *)a, "id"), json_str(*(const cJSON *const *)b, "id"));
}

bool beacons_read(struct session *s, redisContext *redis, struct beacons *out)
{
	const char *cursor = "0";

	*out = (struct beacons){0};
	do {
		const char *argv[] = {"SCAN", cursor, "MATCH", PATTERN, "COUNT", "1000"};
		const redisReply *r = ask(s, redis, 6, argv);

		if (!r || r->elements != 2 || !read_keys(s, redis, r->element[1], out))
			return false;
		cursor = r->element[0]->str;
	} while (strcmp(cursor, "0") != 0);
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(out->v[0]), by_id);
	return true;
}
