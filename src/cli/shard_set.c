#include "shoal/cli/shard_set.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shoal/store/queue.h"
#include "shoal/store/queue_admin.h"
#include "shoal/store/rules.h"
#include "shoal/store/shards.h"

static void close_one(void *arg)
{
	struct shard *shard = arg;

	if (shard->redis)
		redisFree(shard->redis);
}

/* What could not be reached weighs most, then what was refused, then what is not there. */
static int heavier(int a, int b)
{
	static const int weights[] = {
	    [EXIT_DONE] = 0, [EXIT_FAILED] = 2, [EXIT_USAGE] = 3, [EXIT_NO_SERVER] = 4, [EXIT_NOT_THERE] = 1};

	return weights[a] > weights[b] ? a : b;
}

void shard_weigh(struct shard_set *set, int code)
{
	set->s->code = heavier(set->s->code, code);
}

void shard_fail(struct shard_set *set, const struct shard *shard, int code, const char *fmt, ...)
{
	const char *prefix = set->n > 1 ? arena_printf(set->s->a, "shard %u: ", shard->n) : "";
	int before = set->s->code;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	session_fail(set->s, code, "%s%s", prefix, text);
	set->s->code = heavier(before, code);
}

static void lose(struct shard_set *set, struct shard *shard, const char *what)
{
	shard_fail(set, shard, EXIT_NO_SERVER, "%s: %s", what, redis_trouble_now(shard->redis));
	redisFree(shard->redis);
	shard->redis = NULL;
}

bool shard_set_open(struct shard_set *set, struct session *s)
{
	const char **urls, *why;
	unsigned n, up = 0;

	*set = (struct shard_set){.s = s};
	if (!session_conf(s))
		return false;
	if (shards_parse(s->conf.redis_url, s->a, &urls, &n, &why) != ERR_OK) {
		session_fail(s, EXIT_FAILED, "%s", why);
		return false;
	}
	set->v = arena_array(s->a, struct shard, n);
	set->n = n;
	for (unsigned i = 0; i < n; i++) {
		why = NULL;
		set->v[i] =
		    (struct shard){.n = i, .redis = redis_connect_now(urls[i], queue_home(s->a, i), s->a, &why)};
		arena_defer(s->a, close_one, &set->v[i]);
		if (!set->v[i].redis) {
			shard_fail(set, &set->v[i], EXIT_NO_SERVER, "cannot reach Redis: %s", why);
			continue;
		}
		up++;
		why = queue_foreign_now(set->v[i].redis, i, n, s->a);
		if (why) {
			shard_fail(set, &set->v[i], EXIT_FAILED, "%s", why);
			set->foreign = true;
		}
	}
	return up > 0;
}

static void release(void *reply)
{
	freeReplyObject(reply);
}

enum err shard_ask(struct shard_set *set, struct shard *shard, const struct queue_call *call, struct arena *a,
                   const redisReply **reply)
{
	redisReply *r;
	enum err err;

	*reply = NULL;
	if (!shard->redis)
		return ERR_UNREACHABLE;
	err = redis_eval_now(shard->redis, call->script, call->nkeys, call->argc, call->argv, &r);
	if (r)
		arena_defer(a, release, r);
	*reply = r;
	if (err == ERR_OK)
		return ERR_OK;
	if (!r)
		lose(set, shard, "Redis did not answer");
	else if (err == ERR_FULL)
		shard_fail(set, shard, EXIT_FAILED,
		           "Redis is full (maxmemory), so nothing was changed: make room and try again");
	else
		shard_fail(set, shard, (int)exit_code_of(err), "Redis says: %s", r->str);
	return err;
}

/* --- ids */

struct shard *shard_of_id(struct shard_set *set, const char *operand, const char **id)
{
	const char *colon = strchr(operand, ':');
	int64_t n = 0;

	*id = colon ? colon + 1 : operand;
	if ((colon && !span_i64((struct span){operand, (size_t)(colon - operand)}, &n)) || !queue_is_id(*id)) {
		session_usage(set->s, "%s is no id: one looks like %s1700000000000-0", shown(set->s->a, operand),
		              set->n > 1 ? "1:" : "");
		return NULL;
	}
	if (!colon && set->n > 1) {
		session_usage(set->s, "%s does not say on which shard: name it as 0:%s to %u:%s",
		              shown(set->s->a, operand), operand, set->n - 1, operand);
		return NULL;
	}
	if (n < 0 || n >= set->n) {
		session_usage(set->s, "%s names a shard that is not there: SHOAL_REDIS_URL has 0 to %u",
		              shown(set->s->a, operand), set->n - 1);
		return NULL;
	}
	return &set->v[n];
}

const char *shard_id(struct arena *a, unsigned shard, const char *id)
{
	return arena_printf(a, "%u:%s", shard, id);
}
