#include "shoal/store/flood_admit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"

#define KEY_LEN 400
#define TOGETHER 64 /* updates of one question: 130 keys at most */

struct admits {
	struct loop *loop;
	struct redis *redis;
	struct question *open; /* what came since the last turn of the loop; NULL: nothing */
	struct task send;
	struct rate user;
	void (*heard)(void *arg, enum err err);
	void *arg;
};

static struct redis_script admit_script = {.name = "lua/admit.lua"};

struct admit {
	struct admit *next;
	admit_fn *fn;
	void *arg;
	struct span rate, lock; /* lock: if it is a press */
	struct span word; /* "c" or "l" as in admit.lua, and the update's key if it is a press: 255 bytes at most */
};

struct question {
	struct admits *of;
	struct admit *first, **last;
	size_t n;
	struct arena arena; /* which has this too */
};

/* r: NULL where err says why. */
static void admit_end(const struct admits *of, const struct admit *a, enum err err, const redisReply *r)
{
	bool number = r && r->type == REDIS_REPLY_INTEGER;
	if (r && !number && r->type != REDIS_REPLY_STRING)
		err = ERR_PROTOCOL;
	of->heard(of->arg, err);
	a->fn(a->arg, err, err == ERR_OK && !number, number && r->integer > 0, number && r->integer > 1);
}

/* arg: the question. */
static void admitted(void *arg, enum err err, const redisReply *reply)
{
	const struct question *q = arg;
	struct arena arena = q->arena;
	size_t n = 0;
	if (err == ERR_OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != q->n))
		err = ERR_PROTOCOL;
	for (const struct admit *a = q->first; a; a = a->next, n++)
		admit_end(q->of, a, err, err == ERR_OK ? reply->element[n] : NULL);
	arena_release(&arena);
}

static void send_together(void *arg);

struct admits *admits_open(struct loop *l, struct redis *r, const struct rate *of_a_user,
                           void (*heard)(void *arg, enum err err), void *arg)
{
	struct admits *of = mem_zalloc(sizeof(*of));
	*of = (struct admits){.loop = l,
	                      .redis = r,
	                      .send = {.fn = send_together, .arg = of},
	                      .user = *of_a_user,
	                      .heard = heard,
	                      .arg = arg};
	return of;
}

void admits_close(struct admits *of)
{
	for (struct question *q; (q = of->open);) { /* who is called back may ask again */
		task_cancel(&of->send);
		of->open = NULL;
		admitted(q, ERR_UNREACHABLE, NULL);
	}
	free(of);
}

/* Updates that come in one turn of the loop are looked at together. */
static void send_together(void *arg)
{
	struct admits *of = arg;
	struct question *q = of->open;
	struct span keys[2 + 2 * TOGETHER + 3 + TOGETHER], argv[3 + TOGETHER];
	char numbers[3][I64_TEXT_LEN];
	size_t nkeys = 0, n = 0;
	of->open = NULL;
	keys[nkeys++] = SPAN(FLOOD_SOON_EVEN);
	keys[nkeys++] = SPAN(FLOOD_SOON_ODD);
	argv[n++] = i64_text(numbers[0], of->user.count > 0 ? of->user.count : 1); /* 0: nothing is counted */
	argv[n++] = i64_text(numbers[1], of->user.seconds * 1000);
	argv[n++] = i64_text(numbers[2], CLICK_LOCK_MS);
	for (const struct admit *a = q->first; a; a = a->next) {
		keys[nkeys++] = a->rate;
		argv[n++] = a->word;
	}
	for (const struct admit *a = q->first; a; a = a->next) {
		if (a->word.len > 1)
			keys[nkeys++] = a->lock;
	}
	memcpy(keys + nkeys, argv, n * sizeof(*argv));
	redis_eval(of->redis, &admit_script, admitted, q, nkeys, nkeys + n, keys);
}

static struct question *open_question(struct admits *of)
{
	struct arena arena;
	arena_init(&arena);
	struct question *q = arena_new(&arena, struct question);
	*q = (struct question){.of = of, .last = &q->first, .arena = arena};
	loop_defer(of->loop, &of->send);
	return q;
}

static void press_key(char *out, const char *bot, int64_t user_id, int64_t message_id, const char *press)
{
	snprintf(out, KEY_LEN, "shoal:{cache}:press:%s:%lld:%lld:%.256s", bot, (long long)user_id,
	         (long long)message_id, press);
}

bool admits_needed(const struct admits *of, bool press)
{
	return press || of->user.count > 0;
}

void admits_ask(struct admits *of, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                const char *update_key, bool again, admit_fn *fn, void *arg)
{
	const char *kind = !again && user_id && of->user.count > 0 ? "c" : "l";
	char key[KEY_LEN], id[I64_TEXT_LEN];
	if (!of->open)
		of->open = open_question(of);
	struct question *q = of->open;
	struct admit *a = arena_new(&q->arena, struct admit);
	i64_text(id, user_id);
	*a = (struct admit){.fn = fn, .arg = arg};
	a->rate = span_of(arena_join(&q->arena, "shoal:{cache}:rate:", bot, ":", id));
	a->word = span_of(press ? arena_join(&q->arena, kind, update_key) : kind);
	if (press) {
		press_key(key, bot, user_id, message_id, press);
		a->lock = span_of(arena_strdup(&q->arena, key));
	}
	*q->last = a;
	q->last = &a->next;
	if (++q->n == TOGETHER) {
		task_cancel(&of->send);
		send_together(of);
	}
}

void admits_release(struct admits *of, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                    const char *update_key)
{
	static struct redis_script release = {
	    .name = "release",
	    .text =
	        SPAN("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")};
	char key[KEY_LEN];
	press_key(key, bot, user_id, message_id, press);
	const struct span argv[] = {span_of(key), span_of(update_key)};
	redis_eval(of->redis, &release, NULL, NULL, 1, 2, argv);
}
