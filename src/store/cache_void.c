#include "shoal/store/cache_void.h"

#include <stdio.h>
#include <time.h>

#include "shoal/base/clock.h"
#include "shoal/store/cache_key.h"

enum { FENCE_BYTES = 8, FENCE_MS = 3000, LOOK_US = 2000 };

static struct redis_script script_void = {.name = "lua/cache_void.lua"};
static struct redis_script script_fence = {.name = "lua/cache_fence.lua"};
static struct redis_script script_heard = {.name = "lua/cache_heard.lua"};

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

/* --- fences */

void cache_fence_seen(struct redis *r, struct span fence, const char *worker)
{
	char heard[CACHE_NAME_BYTES];

	if (cache_key_valid(fence))
		redis_eval(
		    r, &script_heard, NULL, NULL, 2, 3,
		    (struct span[]){SPAN(CACHE_TRUSTS), cache_key_other(heard, "heard", fence), span_of(worker)});
}

static enum err set_fence(redisContext *c, struct span fence)
{
	char name[CACHE_NAME_BYTES];
	redisReply *reply;
	enum err err;

	err = redis_eval_now(c, &script_fence, 1, 1, (struct span[]){cache_key_other(name, "v:fence", fence)}, &reply);
	if (reply)
		freeReplyObject(reply);
	return err;
}

/* How many may believe their memory, and how many of them have not seen the fence. */
static enum err ask_heard(redisContext *c, struct span fence, unsigned *live, unsigned *deaf)
{
	char heard[CACHE_NAME_BYTES];
	redisReply *reply;
	enum err err;

	err = redis_eval_now(c, &script_heard, 2, 3,
	                     (struct span[]){SPAN(CACHE_TRUSTS), cache_key_other(heard, "heard", fence), SPAN("")},
	                     &reply);
	if (err == ERR_OK &&
	    (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	     reply->element[0]->type != REDIS_REPLY_INTEGER || reply->element[1]->type != REDIS_REPLY_INTEGER))
		err = ERR_PROTOCOL;
	if (err == ERR_OK) {
		*live = (unsigned)reply->element[0]->integer;
		*deaf = (unsigned)reply->element[1]->integer;
	}
	if (reply)
		freeReplyObject(reply);
	return err;
}

enum err cache_fence_now(redisContext *c, unsigned *workers)
{
	int64_t deadline = clock_ms() + FENCE_MS;
	char token[2 * FENCE_BYTES + 1];
	unsigned live = 0, deaf = 1;
	enum err err;

	*workers = 0;
	random_hex(token, FENCE_BYTES);
	err = set_fence(c, span_of(token));
	while (err == ERR_OK && deaf > 0) {
		err = ask_heard(c, span_of(token), &live, &deaf);
		if (live > *workers)
			*workers = live;
		if (err == ERR_OK && deaf > 0 && clock_ms() >= deadline)
			err = ERR_TIMEOUT;
		if (err == ERR_OK && deaf > 0)
			nanosleep(&(struct timespec){.tv_nsec = LOOK_US * 1000}, NULL);
	}
	return err;
}
