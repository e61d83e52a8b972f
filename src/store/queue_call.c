#include "shoal/store/queue_call.h"

#include <string.h>

#include "shoal/store/queue.h"

struct queue_call *queue_call_new(struct arena *a, struct redis_script *script, unsigned shard, const char *keys)
{
	struct queue_call *c = arena_new(a, struct queue_call);
	char *words = arena_strdup(a, keys), *word, key[QUEUE_KEY_MAX];

	c->script = script;
	c->arena = a;
	while ((word = strsep(&words, " "))) {
		queue_key(key, shard, word);
		queue_call_add(c, span_of(key));
		c->nkeys++;
	}
	return c;
}

void queue_call_add(struct queue_call *c, struct span word)
{
	ENSURE(c->argc < QUEUE_CALL_WORDS);
	c->argv[c->argc++] = arena_span(c->arena, word);
}

void queue_call_add_i64(struct queue_call *c, int64_t v)
{
	queue_call_add(c, span_of(arena_i64(c->arena, v)));
}

void queue_call_add_place(struct queue_call *c, unsigned shard, unsigned shards)
{
	queue_call_add(c, span_of(QUEUE_FORMAT));
	queue_call_add(c, span_of(arena_printf(c->arena, "%u/%u", shard, shards)));
}

/* --- answers */

static const redisReply *cell(struct queue_cells *c, size_t i)
{
	if (c->row && c->row->type == REDIS_REPLY_ARRAY && i < c->row->elements)
		return c->row->element[i];
	c->bad = true;
	return NULL;
}

struct span queue_cell(struct queue_cells *c, size_t i)
{
	const redisReply *r = cell(c, i);

	if (r && r->type == REDIS_REPLY_STRING)
		return arena_span(c->arena, (struct span){r->str, r->len});
	c->bad |= !r || r->type != REDIS_REPLY_NIL;
	return (struct span){0};
}

const char *queue_cell_text(struct queue_cells *c, size_t i)
{
	return queue_cell(c, i).ptr;
}

const char *queue_cell_worker(struct queue_cells *c, size_t i)
{
	struct span name = queue_cell(c, i);
	const char *end = name.ptr ? memrchr(name.ptr, '~', name.len) : NULL;

	return end ? arena_strndup(c->arena, name.ptr, (size_t)(end - name.ptr)) : name.len ? name.ptr : NULL;
}

int64_t queue_cell_i64(struct queue_cells *c, size_t i)
{
	const redisReply *r = cell(c, i);

	if (r && r->type == REDIS_REPLY_INTEGER)
		return r->integer;
	c->bad |= !r || r->type != REDIS_REPLY_NIL;
	return -1;
}

struct span *queue_cell_fields(struct queue_cells *c, size_t i, size_t *n)
{
	struct queue_cells inner = {.row = cell(c, i), .arena = c->arena};
	struct span *v;

	*n = inner.row && inner.row->type == REDIS_REPLY_ARRAY ? inner.row->elements : 0;
	v = arena_array(c->arena, struct span, *n + 1);
	for (size_t k = 0; k < *n; k++)
		v[k] = queue_cell(&inner, k);
	c->bad |= inner.bad || *n % 2 != 0;
	return v;
}
