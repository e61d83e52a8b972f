#include "shoal/store/cache_want.h"

#include <stdlib.h>

#include "shoal/base/arena.h"

struct cache_want {
	struct cache_want *next;
	cache_fn *fn;
	void *arg;
	enum err err;
	struct cache_value *value; /* owned */
};

void cache_wants_init(struct cache_wants *w)
{
	w->head = NULL;
	w->tail = &w->head;
}

void cache_wants_add(struct cache_wants *w, cache_fn *fn, void *arg)
{
	struct cache_want *one = mem_zalloc(sizeof(*one));

	*one = (struct cache_want){.fn = fn, .arg = arg, .err = ERR_UNREACHABLE};
	*w->tail = one;
	w->tail = &one->next;
}

void cache_wants_move(struct cache_wants *from, struct cache_wants *to)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	cache_wants_init(from);
}

void cache_wants_answer(struct cache_wants *from, struct cache_wants *to, enum err err, struct cache_value *v)
{
	for (struct cache_want *one = from->head; one; one = one->next) {
		one->err = err;
		one->value = v ? cache_value_ref(v) : NULL;
	}
	cache_wants_move(from, to);
}

void cache_wants_tell(struct cache_wants *w)
{
	struct cache_want *one;

	while ((one = w->head)) {
		w->head = one->next;
		if (!w->head)
			cache_wants_init(w);
		one->fn(one->arg, one->err, one->value);
		cache_value_unref(one->value);
		free(one);
	}
}
