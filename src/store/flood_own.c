#include "shoal/store/flood_own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

#define BOT_STEP_MS 50
#define CHAT_STEP_MS 1000
#define PAUSE_MAX_MS 5000
#define BOTS_MAX 8
#define CHATS_MAX 4096 /* as many as there can be updates in hand */
#define BUCKETS 512

/* Remembered for as long as one of its times lies ahead. */
struct chat_limits {
	struct chat_limits *next; /* in its bucket */
	const struct bot_limits *bot;
	int64_t id;
	int64_t free_ms; /* the next message may leave */
	int64_t blocked_ms;
};

struct bot_limits {
	char name[32];
	int64_t free_ms;
	int64_t blocked_ms, paused_ms;
};

struct flood_own {
	int64_t bot_step_ms, chat_step_ms, group_step_ms;
	struct bot_limits bots[BOTS_MAX];
	struct chat_limits *buckets[BUCKETS];
	unsigned nchats;
};

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* No faster than the rate, without its burst: how much of it is used up only Redis knows. */
static int64_t step_ms(const struct rate *r, int64_t least)
{
	return r->count ? later(least, (r->seconds * 1000 + r->count - 1) / r->count) : least;
}

struct flood_own *flood_own_open(const struct conf *conf)
{
	struct flood_own *o = mem_zalloc(sizeof(*o));
	o->bot_step_ms = step_ms(&conf->flood_bot, BOT_STEP_MS);
	o->chat_step_ms = step_ms(&conf->flood_chat, CHAT_STEP_MS);
	o->group_step_ms = step_ms(&conf->flood_group, CHAT_STEP_MS);
	return o;
}

/* ---- who is known */

static struct bot_limits *bot_of(struct flood_own *o, const char *name)
{
	struct bot_limits *b = o->bots;
	while (b < o->bots + BOTS_MAX && b->name[0] && strcmp(b->name, name) != 0)
		b++;
	ENSURE(b < o->bots + BOTS_MAX);
	if (!b->name[0])
		ENSURE((size_t)snprintf(b->name, sizeof(b->name), "%s", name) < sizeof(b->name));
	return b;
}

static struct chat_limits **bucket_of(struct flood_own *o, const struct bot_limits *b, int64_t id)
{
	uint64_t hash = ((uint64_t)id + (uint64_t)(b - o->bots)) * UINT64_C(0x9e3779b97f4a7c15);
	return &o->buckets[(hash >> 32) % BUCKETS];
}

static void forget_old(struct flood_own *o, struct chat_limits **at, int64_t now_ms)
{
	while (*at) {
		struct chat_limits *c = *at;
		if (later(c->free_ms, c->blocked_ms) > now_ms) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
		o->nchats--;
	}
}

/* NULL: there is no room for one more. */
static struct chat_limits *chat_of(struct flood_own *o, const struct bot_limits *b, int64_t id, int64_t now_ms)
{
	struct chat_limits **bucket = bucket_of(o, b, id), *c;
	for (c = *bucket; c; c = c->next)
		if (c->id == id && c->bot == b)
			return c;
	forget_old(o, bucket, now_ms);
	for (size_t i = 0; o->nchats >= CHATS_MAX && i < BUCKETS; i++)
		forget_old(o, &o->buckets[i], now_ms);
	if (o->nchats >= CHATS_MAX)
		return NULL;
	c = mem_zalloc(sizeof(*c));
	*c = (struct chat_limits){.next = *bucket, .bot = b, .id = id};
	*bucket = c;
	o->nchats++;
	return c;
}

void flood_own_close(struct flood_own *o)
{
	for (size_t i = 0; i < BUCKETS; i++)
		forget_old(o, &o->buckets[i], INT64_MAX);
	free(o);
}

/* ---- what is heard */

static void block_chat(struct flood_own *o, const struct bot_limits *b, int64_t id, int64_t until_ms, int64_t now_ms)
{
	struct chat_limits *c = chat_of(o, b, id, now_ms);
	if (c)
		c->blocked_ms = until_ms;
}

void flood_own_heard(struct flood_own *o, const struct flood_message *m, const struct flood_answer *a, int64_t now_ms)
{
	struct bot_limits *b = bot_of(o, m->bot);
	b->blocked_ms = a->what == FLOOD_BOT_BLOCKED ? now_ms + a->wait_ms : 0;
	if (a->what == FLOOD_CHAT_BLOCKED)
		block_chat(o, b, m->chat_id, now_ms + a->wait_ms, now_ms);
}

void flood_own_limited(struct flood_own *o, const char *bot, int64_t chat_id, int64_t ms, int64_t now_ms)
{
	struct bot_limits *b = bot_of(o, bot);
	b->paused_ms = later(b->paused_ms, now_ms + (ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS));
	if (chat_id)
		block_chat(o, b, chat_id, now_ms + ms, now_ms);
}

void flood_own_bot_limited(struct flood_own *o, const char *bot, int64_t ms, int64_t now_ms)
{
	bot_of(o, bot)->blocked_ms = now_ms + ms;
}

bool flood_own_bot_blocked(const struct flood_own *o, const char *bot, int64_t now_ms)
{
	for (const struct bot_limits *b = o->bots; b < o->bots + BOTS_MAX; b++)
		if (!strcmp(b->name, bot))
			return now_ms < b->blocked_ms;
	return false;
}

/* ---- may it go? */

void flood_own_ask(struct flood_own *o, const struct flood_message *m, int64_t now_ms, struct flood_answer *a)
{
	struct bot_limits *b = bot_of(o, m->bot);
	struct chat_limits none = {0}, *c = m->chat_id ? chat_of(o, b, m->chat_id, now_ms) : &none;
	*a = (struct flood_answer){.what = FLOOD_AGAIN, .wait_ms = 2 * FLOOD_OWN_WAIT_MS, .own = true};
	if (!c)
		return;
	int64_t bot_there = later(b->blocked_ms, b->paused_ms);
	if (m->standing == FLOOD_HAS_PLACE && later(bot_there, c->blocked_ms) <= now_ms) {
		a->what = FLOOD_BOOKED;
		a->wait_ms = 0;
		return;
	}
	/* places before the end of a pause are lost with it; those after it are all before b->free_ms */
	int64_t place = later(later(now_ms, b->free_ms), bot_there);
	int64_t leaves = later(place, later(c->free_ms, c->blocked_ms));
	a->wait_ms = leaves - now_ms;
	if (a->wait_ms > FLOOD_OWN_WAIT_MS) {
		a->what = b->blocked_ms > now_ms   ? FLOOD_BOT_BLOCKED
		          : c->blocked_ms > now_ms ? FLOOD_CHAT_BLOCKED
		                                   : FLOOD_AGAIN;
		return;
	}
	a->what = FLOOD_BOOKED;
	b->free_ms = place + o->bot_step_ms; /* not after `leaves`: one chat's wait is nobody else's */
	c->free_ms = leaves + (m->group ? o->group_step_ms : o->chat_step_ms);
}
