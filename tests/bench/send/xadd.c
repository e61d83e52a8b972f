/* To a stream, with the fields of the gateway's entries. */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "target.h"

enum { ON_THE_WAY = 512 };

struct xadd {
	struct target target;
	redisContext *redis;
	const char *stream;
	size_t given;
};

static bool give(struct target *t, size_t n)
{
	struct xadd *x = (struct xadd *)t;
	char body[UPDATE_MAX], lane[64], key[64], at[24];
	const char *argv[] = {"XADD", x->stream, "*",  "bot", "persona", "lane", lane,
	                      "key",  key,       "at", at,    "body",    body};
	size_t lens[13];
	struct timespec wall;

	if (x->given - t->answered >= ON_THE_WAY)
		return false;
	clock_gettime(CLOCK_REALTIME, &wall);
	for (size_t i = 0; i < 5; i++)
		lens[i] = strlen(argv[i]);
	lens[5] = 4, lens[7] = 3, lens[9] = 2, lens[11] = 4;
	lens[6] = (size_t)snprintf(lane, sizeof(lane), "telegram:persona:%lld", (long long)update_person(t->load, n));
	lens[8] = (size_t)snprintf(key, sizeof(key), "telegram:persona:%zu", 1000000000 + t->load->first + n);
	lens[10] = (size_t)snprintf(at, sizeof(at), "%lld", wall.tv_sec * 1000LL + wall.tv_nsec / 1000000);
	lens[12] = update_text(t->load, n, body);
	ENSURE(redisAppendCommandArgv(x->redis, 13, argv, lens) == REDIS_OK);
	x->given++;
	return true;
}

static void take_answers(struct xadd *x)
{
	void *r;

	ENSURE(redisBufferRead(x->redis) == REDIS_OK);
	while (redisGetReplyFromReader(x->redis, &r) == REDIS_OK && r) {
		if (((redisReply *)r)->type != REDIS_REPLY_STRING) {
			fprintf(stderr, "send: %s\n", ((redisReply *)r)->str);
			exit(1);
		}
		freeReplyObject(r);
		x->target.sent[x->target.answered++].answered_ns = now_ns();
	}
}

static void turn(struct target *t, int64_t until_ns)
{
	struct xadd *x = (struct xadd *)t;
	struct pollfd p = {.fd = x->redis->fd, .events = POLLIN};
	int all = 0;

	while (!all)
		ENSURE(redisBufferWrite(x->redis, &all) == REDIS_OK);
	if (poll_until(&p, 1, until_ns) > 0)
		take_answers(x);
}

static void xadd_free(struct target *t)
{
	struct xadd *x = (struct xadd *)t;

	redisFree(x->redis);
	free(x);
}

struct target *target_xadd(const char *host, int port, const char *stream)
{
	struct xadd *x = mem_zalloc(sizeof(*x));

	*x = (struct xadd){.target = {.give = give, .turn = turn, .free = xadd_free},
	                   .stream = stream,
	                   .redis = redisConnect(host, port)};
	if (!x->redis || x->redis->err) {
		fprintf(stderr, "send: redis: %s\n", x->redis ? x->redis->errstr : "no memory");
		exit(1);
	}
	return &x->target;
}
