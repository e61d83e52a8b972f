#include "shoal/store/cache_void.h"

#include <stdio.h>
#include <time.h>

#include "shoal/base/clock.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_key.h"

enum { FENCE_BYTES = 8, FENCE_MS = 5000, LOOK_US = 2000 };

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

void cache_fence_seen(struct redis *r, struct span fence, const char *member)
{
	char deaf[CACHE_NAME_BYTES];

	if (cache_key_valid(fence) && member[0])
		redis_call(r, NULL, NULL, 3,
		           (struct span[]){SPAN("SREM"), cache_key_other(deaf, "deaf", fence), span_of(member)});
}

/* A script that answers with two integers. */
static enum err eval_two(redisContext *c, struct redis_script *s, size_t nkeys, size_t argc, const struct span *argv,
                         int64_t answer[2])
{
	redisReply *reply;
	enum err err = redis_eval_now(c, s, nkeys, argc, argv, &reply);

	if (err == ERR_OK &&
	    (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	     reply->element[0]->type != REDIS_REPLY_INTEGER || reply->element[1]->type != REDIS_REPLY_INTEGER))
		err = ERR_PROTOCOL;
	for (int i = 0; err == ERR_OK && i < 2; i++)
		answer[i] = reply->element[i]->integer;
	if (reply)
		freeReplyObject(reply);
	return err;
}

/* *live: who has to hear it. *unknown_ms: for how long there may be others, of a server before this one. */
static enum err set_fence(redisContext *c, struct span fence, unsigned *live, int64_t *unknown_ms)
{
	char name[CACHE_NAME_BYTES], deaf[CACHE_NAME_BYTES], ident[CACHE_IDENT_SIZE];
	int64_t answer[2];
	enum err err = cache_gen_ident_now(c, ident);

	if (err != ERR_OK)
		return err;
	err = eval_two(c, &script_fence, 4, 6,
	               (struct span[]){cache_key_other(name, "v:fence", fence), SPAN(CACHE_TRUSTS),
	                               cache_key_other(deaf, "deaf", fence), SPAN(CACHE_SINCE), span_of(ident),
	                               SPAN(CACHE_TRUST_MS)},
	               answer);
	if (err == ERR_OK) {
		*live = (unsigned)answer[0];
		*unknown_ms = answer[1];
	}
	return err;
}

/* *deaf: who has not heard it. *waited_for: those of them who may believe a memory from before. */
static enum err ask_deaf(redisContext *c, struct span fence, unsigned *waited_for, unsigned *deaf)
{
	char name[CACHE_NAME_BYTES];
	int64_t answer[2];
	enum err err;

	err = eval_two(c, &script_heard, 2, 2,
	               (struct span[]){SPAN(CACHE_TRUSTS), cache_key_other(name, "deaf", fence)}, answer);
	if (err == ERR_OK) {
		*waited_for = (unsigned)answer[0];
		*deaf = (unsigned)answer[1];
	}
	return err;
}

static void sleep_us(int64_t us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

enum err cache_fence_now(redisContext *c, struct cache_heard *out)
{
	unsigned live = 0, waited_for, deaf;
	int64_t began = clock_ms(), unknown_ms = 0;
	char token[2 * FENCE_BYTES + 1];
	enum err err;

	random_hex(token, FENCE_BYTES);
	err = set_fence(c, span_of(token), &live, &unknown_ms);
	waited_for = deaf = live;
	while (err == ERR_OK && waited_for > 0) {
		err = ask_deaf(c, span_of(token), &waited_for, &deaf);
		if (err == ERR_OK && waited_for > 0 && clock_ms() >= began + FENCE_MS)
			err = ERR_TIMEOUT;
		if (err == ERR_OK && waited_for > 0)
			sleep_us(LOOK_US);
	}
	if (err == ERR_OK && clock_ms() < began + unknown_ms)
		sleep_us((began + unknown_ms - clock_ms()) * 1000);
	*out = (struct cache_heard){live - deaf, deaf};
	return err;
}
