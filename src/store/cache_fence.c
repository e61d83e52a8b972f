#include "shoal/store/cache_fence.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_key.h"

enum { FENCE_BYTES = 8, FENCE_MS = 5000, LOOK_US = 2000 };

static struct redis_script script_fence = {.name = "lua/cache_fence.lua"};
static struct redis_script script_heard = {.name = "lua/cache_heard.lua"};

void cache_fence_seen(struct redis *r, struct span fence, const char *member)
{
	char deaf[CACHE_NAME_BYTES];

	if (cache_key_valid(fence) && member[0])
		redis_call(r, NULL, NULL, 3,
		           (struct span[]){SPAN("SREM"), cache_key_other(deaf, "deaf", fence), span_of(member)});
}

/* --- what both ways share */

struct fence {
	char token[2 * FENCE_BYTES + 1];
	int64_t began, unknown_ms; /* for how long there may be workers of a server before this one */
	unsigned live;             /* who has to hear it */
	unsigned waited_for, deaf; /* who has not; those of them who may believe a memory from before */
};

static void fence_init(struct fence *f)
{
	*f = (struct fence){.began = clock_ms()};
	random_hex(f->token, FENCE_BYTES);
}

/* Keys and arguments of a script. */
struct words {
	char fence[CACHE_NAME_BYTES], deaf[CACHE_NAME_BYTES];
	struct span v[6];
	size_t nkeys, n;
};

static void words_set(struct words *w, const struct fence *f, const char *ident)
{
	w->v[0] = cache_key_other(w->fence, "v:fence", span_of(f->token));
	w->v[1] = SPAN(CACHE_TRUSTS);
	w->v[2] = cache_key_other(w->deaf, "deaf", span_of(f->token));
	w->v[3] = SPAN(CACHE_SINCE);
	w->v[4] = span_of(ident);
	w->v[5] = SPAN(CACHE_TRUST_MS);
	w->nkeys = 4;
	w->n = 6;
}

static void words_heard(struct words *w, const struct fence *f)
{
	w->v[0] = SPAN(CACHE_TRUSTS);
	w->v[1] = cache_key_other(w->deaf, "deaf", span_of(f->token));
	w->nkeys = w->n = 2;
}

/* Both scripts answer with two integers. */
static enum err read_two(const redisReply *r, int64_t answer[2])
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 || r->element[0]->type != REDIS_REPLY_INTEGER ||
	    r->element[1]->type != REDIS_REPLY_INTEGER)
		return ERR_PROTOCOL;
	answer[0] = r->element[0]->integer;
	answer[1] = r->element[1]->integer;
	return ERR_OK;
}

static enum err read_set(struct fence *f, const redisReply *r)
{
	int64_t answer[2];
	enum err err = read_two(r, answer);

	if (err != ERR_OK)
		return err;
	f->live = f->waited_for = f->deaf = (unsigned)answer[0];
	f->unknown_ms = answer[1];
	return ERR_OK;
}

static enum err read_heard(struct fence *f, const redisReply *r)
{
	int64_t answer[2];
	enum err err = read_two(r, answer);

	if (err != ERR_OK)
		return err;
	f->waited_for = (unsigned)answer[0];
	f->deaf = (unsigned)answer[1];
	return f->waited_for > 0 && clock_ms() >= f->began + FENCE_MS ? ERR_TIMEOUT : ERR_OK;
}

/* What is left to wait for when nobody is waited for any more. */
static int64_t rest_ms(const struct fence *f)
{
	int64_t ms = f->began + f->unknown_ms - clock_ms();

	return ms > 0 ? ms : 0;
}

static struct cache_heard heard_of(const struct fence *f)
{
	return (struct cache_heard){f->live - f->deaf, f->deaf};
}

/* --- on a blocking connection */

static enum err eval_now(redisContext *c, struct redis_script *s, const struct words *w, struct fence *f,
                         enum err (*read)(struct fence *f, const redisReply *r))
{
	redisReply *reply;
	enum err err = redis_eval_now(c, s, w->nkeys, w->n, w->v, &reply);

	if (err == ERR_OK)
		err = read(f, reply);
	if (reply)
		freeReplyObject(reply);
	return err;
}

static enum err set_now(redisContext *c, struct fence *f)
{
	char ident[CACHE_IDENT_SIZE];
	struct words w;
	enum err err = cache_gen_ident_now(c, ident);

	if (err != ERR_OK)
		return err;
	words_set(&w, f, ident);
	return eval_now(c, &script_fence, &w, f, read_set);
}

static void sleep_us(int64_t us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

enum err cache_fence_now(redisContext *c, struct cache_heard *out)
{
	struct fence f;
	struct words w;
	enum err err;

	fence_init(&f);
	words_heard(&w, &f);
	err = set_now(c, &f);
	while (err == ERR_OK && f.waited_for > 0) {
		err = eval_now(c, &script_heard, &w, &f, read_heard);
		if (err == ERR_OK && f.waited_for > 0)
			sleep_us(LOOK_US);
	}
	if (err == ERR_OK)
		sleep_us(rest_ms(&f) * 1000);
	*out = heard_of(&f);
	return err;
}

/* --- on a loop */

struct waiting {
	struct cache_fences *of; /* NULL: it is told already, and only its last answer is to come */
	struct fence fence;
	struct timer timer;
	bool asking;
	cache_fence_fn *fn;
	void *arg;
	LIST_ENTRY(waiting) link;
};

struct cache_fences {
	struct loop *loop;
	struct redis *redis;
	LIST_HEAD(, waiting) all;
};

static void end(struct waiting *w, enum err err)
{
	LIST_REMOVE(w, link);
	w->of = NULL;
	timer_release(&w->timer);
	w->fn(w->arg, err, heard_of(&w->fence));
	if (!w->asking)
		free(w);
}

static void look(struct waiting *w);

static void on_rest(void *arg)
{
	end(arg, ERR_OK);
}

static void on_look(void *arg)
{
	look(arg);
}

/* What the fence knows has changed, or could not be learnt. */
static void go_on(struct waiting *w, enum err err)
{
	if (err != ERR_OK) {
		end(w, err);
	} else if (w->fence.waited_for > 0) {
		w->timer.fn = on_look;
		timer_set(&w->timer, LOOK_US / 1000);
	} else {
		w->timer.fn = on_rest;
		timer_set(&w->timer, rest_ms(&w->fence));
	}
}

static void on_heard(void *arg, enum err err, const redisReply *reply)
{
	struct waiting *w = arg;

	w->asking = false;
	if (!w->of)
		free(w);
	else
		go_on(w, err == ERR_OK ? read_heard(&w->fence, reply) : err);
}

static void look(struct waiting *w)
{
	struct words words;

	words_heard(&words, &w->fence);
	w->asking = true;
	redis_eval(w->of->redis, &script_heard, on_heard, w, words.nkeys, words.n, words.v);
}

static void on_set(void *arg, enum err err, const redisReply *reply)
{
	struct waiting *w = arg;

	w->asking = false;
	if (!w->of)
		free(w);
	else
		go_on(w, err == ERR_OK ? read_set(&w->fence, reply) : err);
}

static void on_info(void *arg, enum err err, const redisReply *reply)
{
	struct waiting *w = arg;
	char ident[CACHE_IDENT_SIZE];
	struct words words;

	w->asking = false;
	if (!w->of) {
		free(w);
		return;
	}
	if (err == ERR_OK &&
	    (reply->type != REDIS_REPLY_STRING || !cache_gen_ident((struct span){reply->str, reply->len}, ident)))
		err = ERR_DENIED;
	if (err != ERR_OK) {
		end(w, err);
		return;
	}
	words_set(&words, &w->fence, ident);
	w->asking = true;
	redis_eval(w->of->redis, &script_fence, on_set, w, words.nkeys, words.n, words.v);
}

void cache_fence(struct cache_fences *f, cache_fence_fn *fn, void *arg)
{
	struct waiting *w = mem_zalloc(sizeof(*w));

	w->of = f;
	w->fn = fn;
	w->arg = arg;
	fence_init(&w->fence);
	timer_init(&w->timer, f->loop, on_look, w);
	LIST_INSERT_HEAD(&f->all, w, link);
	w->asking = true;
	redis_call(f->redis, on_info, w, 3, (struct span[]){SPAN("INFO"), SPAN("server"), SPAN("replication")});
}

struct cache_fences *cache_fences_open(struct loop *l, struct redis *r)
{
	struct cache_fences *f = mem_zalloc(sizeof(*f));

	f->loop = l;
	f->redis = r;
	LIST_INIT(&f->all);
	return f;
}

void cache_fences_close(struct cache_fences *f)
{
	if (!f)
		return;
	while (!LIST_EMPTY(&f->all))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it is off the list then, which is not followed */
		end(LIST_FIRST(&f->all), ERR_UNREACHABLE);
	free(f);
}
