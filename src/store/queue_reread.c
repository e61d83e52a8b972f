#include "shoal/store/queue_reread.h"

#include "shoal/base/log.h"

static struct redis_script reread_script = {.name = "lua/reread.lua"};

static void answered(void *arg, enum err err, const redisReply *reply)
{
	const struct queue *q = arg;

	if (err != ERR_OK)
		log_warn("queue: entries that are nobody's cannot be read anew", LOG_INT("shard", queue_shard(q)),
		         LOG_STR("why", reply && reply->str ? reply->str : err_text(err)));
	else if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
		log_warn("queue: reads anew what is not settled", LOG_INT("shard", queue_shard(q)),
		         LOG_INT("nobodys", reply->integer));
}

void queue_reread(struct queue *q)
{
	static const char *const words[] = {"updates", "lanes", "waiting", "conf", "wake"};
	enum { NKEYS = sizeof(words) / sizeof(words[0]) };
	char keys[NKEYS][QUEUE_KEY_MAX];
	struct span argv[NKEYS];

	for (size_t i = 0; i < NKEYS; i++) {
		queue_key(keys[i], queue_shard(q), words[i]);
		argv[i] = span_of(keys[i]);
	}
	redis_eval(queue_redis(q), &reread_script, answered, q, NKEYS, NKEYS, argv);
}
