#include "shoal/cli/forget.h"

#include <stdio.h>
#include <string.h>

#include "shoal/cli/scan.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/flood.h"
#include "shoal/store/queue.h"
#include "shoal/store/shards.h"

/* "telegram:BOT:ID" or "telegram:BOT:user:ID" */
static bool is_lane_of(const char *lane, const char *id)
{
	const char *bot = "telegram:", *p;

	if (strncmp(lane, bot, strlen(bot)) != 0 || !(p = strchr(lane + strlen(bot), ':')))
		return false;
	p++;
	if (strncmp(p, "user:", 5) == 0)
		p += 5;
	return strcmp(p, id) == 0;
}

/* Whether a dead letter, {id, {name, value, ...}}, is of this person. */
static bool is_theirs(const redisReply *entry, const char *id)
{
	const redisReply *fields = entry->elements == 2 ? entry->element[1] : NULL;

	for (size_t i = 0; fields && i + 1 < fields->elements; i += 2)
		if (fields->element[i]->str && strcmp(fields->element[i]->str, "lane") == 0)
			return fields->element[i + 1]->str && is_lane_of(fields->element[i + 1]->str, id);
	return false;
}

static bool failed(redisContext *c, const redisReply *r, struct arena *a, const char **why)
{
	if (!r)
		*why = arena_strdup(a, redis_trouble_now(c));
	else if (r->type == REDIS_REPLY_ERROR)
		*why = arena_strdup(a, r->str);
	return *why != NULL;
}

/* Whoever is Redis may say anything. */
static bool unsound(const char **why)
{
	*why = err_text(ERR_PROTOCOL);
	return false;
}

/* r: what a command answered of which only matters whether it was done; is freed. */
static bool done(redisContext *c, redisReply *r, struct arena *a, const char **why)
{
	bool good = !failed(c, r, a, why);

	if (r)
		freeReplyObject(r);
	return good;
}

/* Removes the entry where it is theirs, and moves `from` behind it. */
static bool sweep_one(redisContext *c, const char *key, const char *id, const redisReply *entry, char from[64],
                      int64_t *removed, struct arena *a, const char **why)
{
	char before[64];
	const char *at;

	if (entry->elements == 0 || entry->element[0]->type != REDIS_REPLY_STRING)
		return unsound(why);
	at = entry->element[0]->str;
	if (is_theirs(entry, id)) {
		if (!done(c, redisCommand(c, "XDEL %s %s", key, at), a, why))
			return false;
		++*removed;
	}
	memcpy(before, from, sizeof(before));
	snprintf(from, 64, "(%s", at);
	return strcmp(before, from) != 0 || unsound(why);
}

/* One page after `from`; moves it. False at the end or on failure. */
static bool sweep_page(redisContext *c, const char *key, const char *id, char from[64], int64_t *removed,
                       struct arena *a, const char **why)
{
	redisReply *r = redisCommand(c, "XRANGE %s %s + COUNT 200", key, from);
	bool good = !failed(c, r, a, why) && (r->type == REDIS_REPLY_ARRAY || unsound(why)), more = false;

	for (size_t i = 0; good && i < r->elements; i++)
		more = good = sweep_one(c, key, id, r->element[i], from, removed, a, why);
	if (r)
		freeReplyObject(r);
	return more;
}

static const char *sweep(const char *url, unsigned shard, const char *id, int64_t *removed, struct arena *a)
{
	const char *why = NULL;
	redisContext *c = redis_connect_now(url, queue_home(a, shard), a, &why);
	char key[QUEUE_KEY_MAX], from[64] = "-";

	if (!c)
		return why;
	queue_key(key, shard, "dead");
	while (sweep_page(c, key, id, from, removed, a, &why))
		continue;
	redisFree(c);
	return why;
}

bool forget_dead_letters(struct session *s, int64_t telegram_id, int64_t *removed)
{
	const char *id = arena_i64(s->a, telegram_id), *why, **urls;
	bool good = true;
	unsigned n;

	*removed = 0;
	if (shards_parse(s->conf.redis_url, s->a, &urls, &n, &why) != ERR_OK) {
		session_fail(s, EXIT_FAILED, "the dead letters were not looked at: %s", why);
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		why = sweep(urls[i], i, id, removed, s->a);
		if (!why)
			continue;
		session_fail(
		    s, EXIT_NO_SERVER,
		    "erased in PostgreSQL, but the dead letters of shard %u could not be searched for updates of "
		    "theirs (call it again): %s",
		    i, why);
		good = false;
	}
	return good;
}

/* One page of the keys, or of the fields of a hash; moves the cursor. False at the end or on failure. */
static bool sweep_names(redisContext *c, const char *hash, char cursor[SCAN_CURSOR_MAX], int64_t id, struct arena *a,
                        const char **why)
{
	redisReply *r = hash ? redisCommand(c, "HSCAN %s %s MATCH *%lld* COUNT 1000", hash, cursor, (long long)id)
	                     : redisCommand(c, "SCAN %s MATCH shoal:*%lld* COUNT 1000", cursor, (long long)id);
	const redisReply *names = failed(c, r, a, why) ? NULL : scan_keys(r, cursor);
	bool good = names || (!*why && unsound(why));

	for (size_t i = 0; good && i < names->elements; i += hash ? 2 : 1) {
		const char *name = names->element[i]->str;

		if (flood_key_names(name, id))
			good = done(
			    c, hash ? redisCommand(c, "HDEL %s %s", hash, name) : redisCommand(c, "UNLINK %s", name), a,
			    why);
	}
	if (r)
		freeReplyObject(r);
	return good && strcmp(cursor, "0") != 0;
}

bool forget_limits(struct session *s, int64_t telegram_id)
{
	static const char *const places[] = {NULL, FLOOD_SOON_EVEN, FLOOD_SOON_ODD};
	const char *why = NULL;
	redisContext *c = redis_connect_now(s->conf.cache_redis_url, CACHE_HOME, s->a, &why);

	for (size_t i = 0; c && !why && i < sizeof(places) / sizeof(places[0]); i++) {
		char cursor[SCAN_CURSOR_MAX] = "0";

		while (sweep_names(c, places[i], cursor, telegram_id, s->a, &why))
			continue;
		if (why && places[i] && strncmp(why, "WRONGTYPE ", 10) == 0) {
			why = NULL; /* what another hand wrote there; workers remove it, too */
			(void)done(c, redisCommand(c, "UNLINK %s", places[i]), s->a, &why);
		}
		if (why && places[i])
			why = arena_join(s->a, places[i], ": ", why);
	}
	if (c)
		redisFree(c);
	if (why)
		session_fail(s, EXIT_NO_SERVER,
		             "erased in PostgreSQL, but the caches' Redis could not be searched for their id "
		             "(call it again): %s",
		             why);
	return !why;
}
