#include "shoal/store/queue_reread.h"

#include <stdlib.h>

#include "shoal/base/log.h"
#include "shoal/store/queue_call.h"

static struct redis_script reread_script = {.name = "lua/reread.lua"};

struct rereading {
	const struct queue *q;
	int64_t nobodys;
};

static void answered(void *arg, enum err err, const redisReply *reply)
{
	struct rereading r = *(struct rereading *)arg;

	free(arg);
	if (err != ERR_OK)
		log_warn("queue: its books cannot be set right", LOG_INT("shard", queue_shard(r.q)),
		         LOG_STR("why", reply && reply->str ? reply->str : err_text(err)));
	else if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
		log_warn("queue: reads anew what is not settled", LOG_INT("shard", queue_shard(r.q)),
		         LOG_INT("nobodys", r.nobodys));
}

void queue_reread(struct queue *q, int64_t nobodys, const char *listed)
{
	struct rereading *r = mem_alloc(sizeof(*r));
	struct arena a;
	struct queue_call *c;

	*r = (struct rereading){q, nobodys};
	arena_init(&a);
	c = queue_call_new(&a, &reread_script, queue_shard(q), "updates conf wake");
	queue_call_add_i64(c, nobodys > 0);
	queue_call_add(c, span_of(listed));
	redis_eval(queue_redis(q), c->script, answered, r, c->nkeys, c->argc, c->argv);
	arena_release(&a);
}
