#include "shoal/store/queue_reread.h"

#include "shoal/base/log.h"
#include "shoal/store/queue_call.h"

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
	struct arena a;
	const struct queue_call *c;

	arena_init(&a);
	c = queue_call_new(&a, &reread_script, queue_shard(q), "updates lanes waiting conf wake");
	redis_eval(queue_redis(q), c->script, answered, q, c->nkeys, c->argc, c->argv);
	arena_release(&a);
}
