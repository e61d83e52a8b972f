/* Answers in an arena. A turn of the queue brings dozens of small strings for each entry; hiredis would take two pieces
 * of memory for every one and give them back one by one. */
#include <string.h>

#include "shoal/io/redis_parts.h"

static redisReply *object(const redisReadTask *t, int type)
{
	redisReply *r = arena_new(t->privdata, redisReply), *parent;

	r->type = type;
	if (t->parent) {
		parent = t->parent->obj;
		parent->element[t->idx] = r;
	}
	return r;
}

static void *create_string(const redisReadTask *t, char *text, size_t len)
{
	redisReply *r = object(t, t->type);

	r->str = arena_strndup(t->privdata, text, len);
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
typedef size_t count;

/* What RESP2 does not have, and nobody asks for: to hiredis there is no memory for it, and the connection is cut. */
static void *create_double(const redisReadTask *t, double value, char *text, size_t len)
{
	(void)t;
	(void)value;
	(void)text;
	(void)len;
	return NULL;
}

static void *create_bool(const redisReadTask *t, int value)
{
	(void)t;
	(void)value;
	return NULL;
}
#else
typedef int count;
#endif

static void *create_array(const redisReadTask *t, count n)
{
	redisReply *r = object(t, t->type);

	r->elements = (size_t)n;
	r->element = arena_array(t->privdata, redisReply *, r->elements);
	return r;
}

void redis_replies_into(redisContext *c, struct arena *a)
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
	c->reader->privdata = a;
#if HIREDIS_MAJOR >= 1
	redisSetPushCallback(c, NULL); /* it would free what is ours */
#endif
}
