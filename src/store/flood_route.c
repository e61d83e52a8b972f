#include "shoal/store/flood_route.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/arena.h"

#define KEY_LEN 128

static struct redis_script ask_script = {.name = "lua/route.lua"};
static struct redis_script word_script = {.name = "lua/route_word.lua"};

struct question {
	flood_route_fn *fn;
	void *arg;
};

/* Both in one slot of a cluster. */
static void name_keys(char keys[2][KEY_LEN], const char *bot, int64_t chat_id)
{
	ENSURE(snprintf(keys[0], KEY_LEN, "shoal:{cache}:flood:%s:routes", bot) < KEY_LEN);
	ENSURE(snprintf(keys[1], KEY_LEN, "shoal:{cache}:flood:%s:%lld:buckets", bot, (long long)chat_id) < KEY_LEN);
}

static bool read_answer(const redisReply *r, enum flood_what *what, int64_t *wait_ms)
{
	static const enum flood_what meanings[] = {FLOOD_BOOKED, FLOOD_ROUTE_EMPTY, FLOOD_ROUTE_FIRST};

	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 || r->element[0]->type != REDIS_REPLY_INTEGER ||
	    r->element[1]->type != REDIS_REPLY_INTEGER || r->element[0]->integer < 0 || r->element[0]->integer > 2)
		return false;
	*what = meanings[r->element[0]->integer];
	*wait_ms = r->element[1]->integer;
	return true;
}

static void answered(void *arg, enum err err, const redisReply *reply)
{
	struct question q = *(struct question *)arg;
	enum flood_what what = FLOOD_BOOKED;
	int64_t wait_ms = 0;

	free(arg);
	if (err == ERR_OK && !read_answer(reply, &what, &wait_ms))
		err = ERR_PROTOCOL;
	q.fn(q.arg, err, what, wait_ms);
}

void flood_route_ask(struct redis *r, const struct flood_message *m, flood_route_fn *fn, void *arg)
{
	struct question *q = mem_alloc(sizeof(*q));
	char keys[2][KEY_LEN], wait[I64_TEXT_LEN];

	*q = (struct question){fn, arg};
	name_keys(keys, m->bot, m->chat_id);
	const struct span argv[] = {span_of(keys[0]), span_of(keys[1]), span_of(m->route),
	                            m->standing == FLOOD_NEW ? SPAN("new") : SPAN("back"),
	                            i64_text(wait, m->max_wait_ms)};
	redis_eval(r, &ask_script, answered, q, 2, sizeof(argv) / sizeof(argv[0]), argv);
}

void flood_route_tell(struct redis *r, const char *bot, const char *route, int64_t chat_id,
                      const struct flood_told *told)
{
	char keys[2][KEY_LEN], numbers[3][I64_TEXT_LEN];

	name_keys(keys, bot, chat_id);
	const struct span argv[] = {span_of(keys[0]),
	                            span_of(keys[1]),
	                            span_of(route),
	                            span_of(told->bucket ? told->bucket : ""),
	                            i64_text(numbers[0], told->limit),
	                            i64_text(numbers[1], told->left),
	                            i64_text(numbers[2], told->reset_ms)};
	redis_eval(r, &word_script, NULL, NULL, 2, sizeof(argv) / sizeof(argv[0]), argv);
}
