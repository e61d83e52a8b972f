#include "shoal/cli/beacons.h"

#include <string.h>

#include "shoal/cli/scan.h"

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
			beacons_add(b, s->a, (struct span){r->element[i]->str, r->element[i]->len});
	return true;
}

bool beacons_read(struct session *s, redisContext *redis, struct beacons *out)
{
	char cursor[SCAN_CURSOR_MAX] = "0";

	*out = (struct beacons){0};
	do {
		const char *argv[] = {"SCAN", cursor, "MATCH", BEACON_KEY "*", "COUNT", "1000"};
		const redisReply *r = ask(s, redis, 6, argv), *keys = r ? scan_keys(r, cursor) : NULL;

		if (r && !keys)
			session_fail(s, EXIT_FAILED, "Redis' answer is none to SCAN");
		if (!keys || !read_keys(s, redis, keys, out))
			return false;
	} while (strcmp(cursor, "0") != 0);
	beacons_sort(out);
	return true;
}
