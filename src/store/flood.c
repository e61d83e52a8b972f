#include "shoal/store/flood.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"

struct flood {
	struct redis *redis;
	struct rate bot, chat, group, user;
};

static struct redis_script flood_script = {.name = "lua/flood.lua"};
static struct redis_script admit_script = {.name = "lua/admit.lua"};

struct flood *flood_open(struct redis *r, const struct conf *conf)
{
	struct flood *f = mem_zalloc(sizeof(*f));
	*f = (struct flood){r, conf->flood_bot, conf->flood_chat, conf->flood_group, conf->user_rate};
	return f;
}

void flood_close(struct flood *f)
{
	free(f);
}

#define KEY_LEN 400
#define NUMBER_LEN 24

static struct span number(char *out, int64_t v)
{
	snprintf(out, NUMBER_LEN, "%lld", (long long)v);
	return span_of(out);
}

static void block_key(char *out, const char *bot, int64_t chat_id)
{
	if (chat_id)
		snprintf(out, KEY_LEN, "shoal:flood:{%s}:%lld:block", bot, (long long)chat_id);
	else
		snprintf(out, KEY_LEN, "shoal:flood:{%s}:block", bot);
}

struct ask {
	flood_fn *fn;
	void *arg;
};

static void answered(void *arg, enum err err, const redisReply *reply)
{
	struct ask ask = *(struct ask *)arg;
	free(arg);
	if (err == ERR_OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2))
		err = ERR_PROTOCOL;
	if (err != ERR_OK)
		ask.fn(ask.arg, err, 0, false);
	else
		ask.fn(ask.arg, ERR_OK, reply->element[0]->integer, reply->element[1]->integer);
}

void flood_ask(struct flood *f, const char *bot, int64_t chat_id, bool group, int64_t max_wait_ms, flood_fn *fn,
               void *arg)
{
	char keys[4][KEY_LEN], numbers[5][NUMBER_LEN];
	struct rate chat = group ? f->group : f->chat;
	snprintf(keys[0], KEY_LEN, "shoal:flood:{%s}", bot);
	snprintf(keys[1], KEY_LEN, "shoal:flood:{%s}:%lld", bot, (long long)chat_id);
	block_key(keys[2], bot, 0);
	block_key(keys[3], bot, chat_id);
	const struct span argv[] = {span_of(keys[0]),
	                            span_of(keys[1]),
	                            span_of(keys[2]),
	                            span_of(keys[3]),
	                            number(numbers[0], max_wait_ms),
	                            number(numbers[1], f->bot.count),
	                            number(numbers[2], f->bot.seconds * 1000),
	                            number(numbers[3], chat.count),
	                            number(numbers[4], chat.seconds * 1000)};
	struct ask *ask = mem_alloc(sizeof(*ask));
	*ask = (struct ask){fn, arg};
	redis_eval(f->redis, &flood_script, answered, ask, 4, sizeof(argv) / sizeof(argv[0]), argv);
}

void flood_block(struct flood *f, const char *bot, int64_t chat_id, int64_t ms)
{
	char key[KEY_LEN], life[NUMBER_LEN];
	block_key(key, bot, chat_id);
	const struct span argv[] = {SPAN("SET"), span_of(key), SPAN("1"), SPAN("PX"), number(life, ms < 1 ? 1 : ms)};
	redis_call(f->redis, NULL, NULL, sizeof(argv) / sizeof(argv[0]), argv);
}

/* ---- incoming */

static void press_key(char *out, const char *bot, int64_t user_id, int64_t message_id, const char *press)
{
	snprintf(out, KEY_LEN, "shoal:press:{%s:%lld}:%lld:%.256s", bot, (long long)user_id, (long long)message_id,
	         press);
}

struct admit {
	admit_fn *fn;
	void *arg;
	char key[256]; /* of the update: keys are 255 bytes at most */
};

static void admitted(void *arg, enum err err, const redisReply *reply)
{
	struct admit *a = arg;
	bool ours = true, throttled = false, notice = false;
	if (err == ERR_OK &&
	    (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 || reply->element[0]->type != REDIS_REPLY_STRING))
		err = ERR_PROTOCOL;
	if (err == ERR_OK) {
		ours = !strcmp(reply->element[0]->str, a->key);
		throttled = reply->element[1]->integer;
		notice = reply->element[2]->integer;
	}
	a->fn(a->arg, err, !ours, throttled, notice);
	free(a);
}

bool flood_admits(const struct flood *f, bool press)
{
	return press || f->user.count > 0;
}

void flood_admit(struct flood *f, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                 const char *update_key, bool again, admit_fn *fn, void *arg)
{
	char keys[3][KEY_LEN], numbers[3][NUMBER_LEN];
	press_key(keys[0], bot, user_id, message_id, press ? press : "");
	snprintf(keys[1], KEY_LEN, "shoal:rate:{%s:%lld}", bot, (long long)user_id);
	snprintf(keys[2], KEY_LEN, "shoal:rate:{%s:%lld}:notice", bot, (long long)user_id);
	struct admit *a = mem_zalloc(sizeof(*a));
	a->fn = fn;
	a->arg = arg;
	snprintf(a->key, sizeof(a->key), "%s", update_key);
	const struct span argv[] = {span_of(keys[0]),
	                            span_of(keys[1]),
	                            span_of(keys[2]),
	                            span_of(a->key),
	                            number(numbers[0], press ? CLICK_LOCK_MS : 0),
	                            number(numbers[1], user_id ? f->user.count : 0),
	                            number(numbers[2], f->user.seconds * 1000),
	                            again ? SPAN("1") : SPAN("0")};
	redis_eval(f->redis, &admit_script, admitted, a, 3, sizeof(argv) / sizeof(argv[0]), argv);
}

void flood_release_press(struct flood *f, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                         const char *update_key)
{
	static struct redis_script release = {
	    .name = "release",
	    .text =
	        SPAN("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")};
	char key[KEY_LEN];
	press_key(key, bot, user_id, message_id, press);
	const struct span argv[] = {span_of(key), span_of(update_key)};
	redis_eval(f->redis, &release, NULL, NULL, 1, 2, argv);
}
