#include "shoal/cli/due.h"

#include "shoal/base/clock.h"
#include "shoal/io/redis.h"
#include "shoal/store/queue.h"
#include "shoal/store/queue_admin.h"
#include "shoal/store/shards.h"
#include "shoal/wire/own.h"
#include "shoal/wire/stream.h"

const char *due_append(struct session *s, const struct bot *bot, const char *what, const char *of, const char *who,
                       int64_t person)
{
	const char *cause = arena_printf(s->a, "%s:%s:%s", what, of, who), *why = NULL, **urls;
	char key[QUEUE_KEY_MAX];
	unsigned shards, shard;
	struct entry e;
	struct span *argv;
	redisContext *c;
	redisReply *r;

	if (shards_parse(s->conf.redis_url, s->a, &urls, &shards, &why) != ERR_OK)
		return why;
	entry_internal(bot, person, cause, due_encode(what, of, person, s->a), clock_wall_ms(), s->a, &e);
	shard = lane_shard(span_of(e.lane), shards);
	c = redis_connect_now(urls[shard], queue_home(s->a, shard), s->a, &why);
	if (!c)
		return why;
	if ((why = queue_foreign_now(c, shard, shards, s->a))) {
		redisFree(c);
		return why;
	}
	queue_key(key, shard, "updates");
	size_t n = entry_xadd(&e, key, s->a, &argv);
	const char **words = arena_array(s->a, const char *, n);
	size_t *lengths = arena_array(s->a, size_t, n);
	for (size_t i = 0; i < n; i++) {
		words[i] = argv[i].ptr;
		lengths[i] = argv[i].len;
	}
	r = redisCommandArgv(c, (int)n, words, lengths);
	if (!r)
		why = arena_strdup(s->a, redis_trouble_now(c));
	else if (r->type == REDIS_REPLY_ERROR)
		why = arena_strdup(s->a, r->str);
	if (r)
		freeReplyObject(r);
	redisFree(c);
	return why;
}
