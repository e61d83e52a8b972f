#include "shoal/admin/tell.h"

#include "shoal/store/cache_void.h"

struct telling {
	struct visitor *v;
	tell_fn *fn;
};

static void on_fence(void *arg, enum err err, struct cache_heard heard)
{
	const struct telling *t = arg;

	t->fn(t->v, err, heard);
}

static void on_void(void *arg, enum err err, const redisReply *reply)
{
	const struct telling *t = arg;

	(void)reply;
	if (err == ERR_OK)
		cache_fence(t->v->api->fences, on_fence, arg);
	else
		t->fn(t->v, err, (struct cache_heard){0, 0});
}

void tell_keys(struct visitor *v, enum cache_kind kind, const struct span *keys, size_t n, tell_fn *fn)
{
	struct telling *t = arena_new(v->a, struct telling);

	*t = (struct telling){v, fn};
	cache_void(v->api->cache, kind, keys, n, NULL, on_void, t);
}
