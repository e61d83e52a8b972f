#include "shoal/store/cache_void.h"

#include "shoal/store/cache_key.h"

static struct redis_script script_void = {.name = "lua/cache_void.lua"};

struct words {
	char mark[CACHE_NAME_BYTES], names[2 * CACHE_VOID_KEYS + 1][CACHE_NAME_BYTES];
	struct span v[2 * CACHE_VOID_KEYS + 3];
	size_t nkeys;
};

/* Keys, then the one argument. */
static void words_init(struct words *w, enum cache_kind kind, const struct span *keys, size_t n, const char *change)
{
	ENSURE(n > 0 && n <= CACHE_VOID_KEYS);
	w->v[0] = cache_key_other(w->mark, "told", span_of(change ? change : "-"));
	w->v[1] = cache_key_lease(w->names[2 * n], kind, SPAN(CACHE_WHOLE));
	for (size_t i = 0; i < n; i++) {
		w->v[2 + 2 * i] = cache_key_value(w->names[2 * i], kind, keys[i]);
		w->v[3 + 2 * i] = cache_key_lease(w->names[2 * i + 1], kind, keys[i]);
	}
	w->nkeys = 2 + 2 * n;
	w->v[w->nkeys] = span_of(change ? CACHE_TOLD_MS : "");
}

void cache_void(struct redis *r, enum cache_kind kind, const struct span *keys, size_t n, const char *change,
                redis_fn *fn, void *arg)
{
	struct words w;

	words_init(&w, kind, keys, n, change);
	redis_eval(r, &script_void, fn, arg, w.nkeys, w.nkeys + 1, w.v);
}

enum err cache_void_now(redisContext *c, enum cache_kind kind, const struct span *keys, size_t n, int64_t *values)
{
	redisReply *reply;
	struct words w;
	enum err err;

	words_init(&w, kind, keys, n, NULL);
	err = redis_eval_now(c, &script_void, w.nkeys, w.nkeys + 1, w.v, &reply);
	if (err == ERR_OK && reply->type != REDIS_REPLY_INTEGER)
		err = ERR_PROTOCOL;
	if (err == ERR_OK)
		*values = reply->integer;
	if (reply)
		freeReplyObject(reply);
	return err;
}
