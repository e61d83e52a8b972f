/* Answers in an arena. A turn of the queue brings dozens of small strings for each entry; hiredis would take two pieces
 * of memory for every one and give them back one by one. */
#include <string.h>

#include "shoal/io/redis_parts.h"
#include "shoal/io/redis_reply.h"

#define ELEMENTS_MAX ((size_t)1 << 20)
#define DEPTH_MAX 7 /* also of hiredis before 1.0; later ones follow as deep as it is said to go */

bool redis_array_is_absurd(const redisReadTask *t, redis_count n)
{
	unsigned depth = 0;

	for (; t->parent; t = t->parent)
		depth++;
	return (size_t)n > ELEMENTS_MAX || depth > DEPTH_MAX;
}

static struct arena *memory(const redisReadTask *t)
{
	struct redis *r = t->privdata;

	return &r->replies;
}

static redisReply *object(const redisReadTask *t, int type)
{
	redisReply *r = arena_new(memory(t), redisReply), *parent;

	r->type = type;
	if (t->parent) {
		parent = t->parent->obj;
		parent->element[t->idx] = r;
	}
	return r;
}

/* hiredis takes it for want of memory, and cuts the connection. */
static void *refuse(const redisReadTask *t)
{
	struct redis *r = t->privdata;

	r->absurd = true;
	return NULL;
}

static void *create_string(const redisReadTask *t, char *text, size_t len)
{
	redisReply *r = object(t, t->type);

	r->str = arena_strndup(memory(t), text, len);
	r->len = len;
	return r;
}

static void *create_integer(const redisReadTask *t, long long value)
{
	redisReply *r = object(t, REDIS_REPLY_INTEGER);

	r->integer = value;
	return r;
}

static void *create_nil(const redisReadTask *t)
{
	return object(t, REDIS_REPLY_NIL);
}

static void free_object(void *reply)
{
	(void)reply;
}

#if HIREDIS_MAJOR >= 1
/* What RESP2 does not have, and nobody asks for. */
static void *create_double(const redisReadTask *t, double value, char *text, size_t len)
{
	(void)value;
	(void)text;
	(void)len;
	return refuse(t);
}

static void *create_bool(const redisReadTask *t, int value)
{
	(void)value;
	return refuse(t);
}
#endif

static void *create_array(const redisReadTask *t, redis_count n)
{
	redisReply *r;

	if (redis_array_is_absurd(t, n))
		return refuse(t);
	r = object(t, t->type);
	r->elements = (size_t)n;
	r->element = arena_array(memory(t), redisReply *, r->elements);
	return r;
}

void redis_replies_into(redisContext *c, struct redis *r)
{
	static redisReplyObjectFunctions functions = {
		.createString = create_string,
		.createArray = create_array,
		.createInteger = create_integer,
#if HIREDIS_MAJOR >= 1
		.createDouble = create_double,
		.createBool = create_bool,
#endif
		.createNil = create_nil,
		.freeObject = free_object
	};

	c->reader->fn = &functions;
	c->reader->privdata = r;
#if HIREDIS_MAJOR >= 1
	redisSetPushCallback(c, NULL); /* it would free what is ours */
#endif
}

/* --- answers that hiredis makes */

static const redisReplyObjectFunctions *makers; /* its own */

static void *make_array(const redisReadTask *t, redis_count n)
{
	return redis_array_is_absurd(t, n) ? NULL : makers->createArray(t, n);
}

void redis_replies_bounded(redisContext *c)
{
	static redisReplyObjectFunctions bounded;

	if (!makers) {
		makers = c->reader->fn;
		bounded = *makers;
		bounded.createArray = make_array;
	}
	c->reader->fn = &bounded;
}
