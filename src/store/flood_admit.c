#include "shoal/store/flood_admit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"

#define KEY_LEN 400
#define TOGETHER 64 /* updates of one question: 192 keys at most */

struct admits {
	struct loop *loop;
	struct redis *redis;
	struct admit *first, **last; /* since the last turn of the loop */
	struct task send;
	struct rate user;
	void (*heard)(void *arg, enum err err);
	void *arg;
};

static struct redis_script admit_script = {.name = "lua/admit.lua"};

struct admit {
	struct admit *next;
	struct admits *of;
	admit_fn *fn;
	void *arg;
	struct span keys[3]; /* rate, notice, lock if it is a press */
	struct span word;    /* "c" or "l" as in admit.lua, and the update's key if it is a press: 255 bytes at most */
	struct arena arena;  /* which has this too */
};

/* r: NULL where err says why. */
static void admit_end(struct admit *a, enum err err, const redisReply *r)
{
	struct arena arena = a->arena;
	bool number = r && r->type == REDIS_REPLY_INTEGER;
	if (r && !number && r->type != REDIS_REPLY_STRING)
		err = ERR_PROTOCOL;
	a->of->heard(a->of->arg, err);
	a->fn(a->arg, err, err == ERR_OK && !number, number && r->integer > 0, number && r->integer > 1);
	arena_release(&arena);
}

/* arg: what was asked for together, in the order of the answers. */
static void admitted(void *arg, enum err err, const redisReply *reply)
{
	struct admit *a = arg, *next;
	size_t n = 0;
	for (const struct admit *each = a; each; each = each->next)
		n++;
	if (err == ERR_OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != n))
		err = ERR_PROTOCOL;
	for (n = 0; a; a = next, n++) {
		next = a->next;
		admit_end(a, err, err == ERR_OK ? reply->element[n] : NULL);
	}
}

static void send_together(void *arg);

struct admits *admits_open(struct loop *l, struct redis *r, const struct rate *of_a_user,
                           void (*heard)(void *arg, enum err err), void *arg)
{
	struct admits *of = mem_zalloc(sizeof(*of));
	*of = (struct admits){.loop = l,
	                      .redis = r,
	                      .last = &of->first,
	                      .send = {.fn = send_together, .arg = of},
	                      .user = *of_a_user,
	                      .heard = heard,
	                      .arg = arg};
	return of;
}

void admits_close(struct admits *of)
{
	task_cancel(&of->send);
	admitted(of->first, ERR_UNREACHABLE, NULL);
	free(of);
}

static void admit_together(struct admits *of, struct admit *list)
{
	struct span keys[3 * TOGETHER + 3 + TOGETHER], argv[3 + TOGETHER];
	char numbers[3][I64_TEXT_LEN];
	size_t nkeys = 0, n = 0;
	argv[n++] = i64_text(numbers[0], of->user.count > 0 ? of->user.count : 1); /* 0: nothing is counted */
	argv[n++] = i64_text(numbers[1], of->user.seconds * 1000);
	argv[n++] = i64_text(numbers[2], CLICK_LOCK_MS);
	for (const struct admit *a = list; a; a = a->next) {
		for (size_t i = 0; i < (a->word.len > 1 ? 3 : 2); i++)
			keys[nkeys++] = a->keys[i];
		argv[n++] = a->word;
	}
	memcpy(keys + nkeys, argv, n * sizeof(*argv));
	redis_eval(of->redis, &admit_script, admitted, list, nkeys, nkeys + n, keys);
}

/* Updates that come in one turn of the loop are looked at together. */
static void send_together(void *arg)
{
	struct admits *of = arg;
	while (of->first) {
		struct admit *list = of->first, **last = &list->next;
		for (size_t n = 1; *last && n < TOGETHER; n++)
			last = &(*last)->next;
		of->first = *last;
		*last = NULL;
		if (!of->first)
			of->last = &of->first;
		admit_together(of, list);
	}
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
	char key[KEY_LEN];
	struct arena arena;
	struct admit *a;
	arena_init(&arena);
	a = arena_new(&arena, struct admit);
	*a = (struct admit){.of = of, .fn = fn, .arg = arg};
	a->keys[0] = span_of(arena_printf(&arena, "shoal:{cache}:rate:%s:%lld", bot, (long long)user_id));
	a->keys[1] = span_of(arena_printf(&arena, "%s:notice", a->keys[0].ptr));
	a->word = span_of(press ? arena_printf(&arena, "%s%s", kind, update_key) : kind);
	if (press) {
		press_key(key, bot, user_id, message_id, press);
		a->keys[2] = span_of(arena_strdup(&arena, key));
	}
	a->arena = arena;
	*of->last = a;
	of->last = &a->next;
	loop_defer(of->loop, &of->send);
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
