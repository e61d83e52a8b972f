#include "shoal/store/flood.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/store/flood_admit.h"
#include "shoal/store/flood_own.h"
#include "shoal/store/flood_route.h"

/* A connection that goes is back within this time where nothing else is wrong. */
#define PLAIN_MS 300
#define FAILURES_APART_MS 10000 /* failures so far apart are not of one outage */
/* All calls of a bot where the platform counts by routes: Discord takes 50 a second (API v10, "Global Rate Limit"). A
 * bucket of 10 that fills at 40 a second lets no more than 50 leave in any second. */
#define ROUTES_COUNT 10
#define ROUTES_MS 250

/* What the platform said of a limit, until Redis has it: the others must not miss it for a connection that went. */
struct word {
	struct word *next;
	struct flood *f;
	struct span what;
	char bot[32];
	int64_t chat_id, until_ms; /* clock_ms() */
	char route[32];            /* "": whatever the route */
	char doubt[FLOOD_DOUBT_LEN];
};

struct flood {
	struct loop *loop;
	struct redis *redis;
	struct ask *asks, **last_ask; /* since the last turn of the loop */
	struct task send;
	struct admits *admits;
	struct rate bot, chat, group;
	struct flood_own *own; /* for the time without Redis */
	bool failing;          /* no question was answered since */
	int64_t failing_since_ms, failed_ms;
	struct word *unsaid; /* to be said again when Redis is back */
};

static struct redis_script word_script = {.name = "lua/flood_word.lua"};
static struct redis_script flood_script = {.name = "lua/flood.lua"};

static void send_asks(void *arg);
static void heard(void *arg, enum err err);

struct flood *flood_open(struct loop *l, struct redis *r, const struct conf *conf)
{
	struct flood *f = mem_zalloc(sizeof(*f));
	*f = (struct flood){.loop = l,
	                    .redis = r,
	                    .last_ask = &f->asks,
	                    .send = {.fn = send_asks, .arg = f},
	                    .bot = conf->flood_bot,
	                    .chat = conf->flood_chat,
	                    .group = conf->flood_group,
	                    .own = flood_own_open(conf)};
	f->admits = admits_open(l, r, &conf->user_rate, heard, f);
	return f;
}

#define KEY_LEN 400
#define ASKS_MAX 64 /* messages of one question: 132 keys */

/* ---- outgoing */

bool flood_bot_blocked(const struct flood *f, const char *bot)
{
	return flood_own_bot_blocked(f->own, bot, clock_ms());
}

static void state_key(char *out, const char *bot)
{
	snprintf(out, KEY_LEN, "shoal:{cache}:flood:%s:state", bot);
}

/* route: NULL or "": of all that goes to the chat. */
static char *block_key(struct arena *a, const char *bot, int64_t chat_id, const char *route)
{
	bool any = !route || !*route;
	char id[I64_TEXT_LEN];
	i64_text(id, chat_id);
	return arena_join(a, "shoal:{cache}:flood:", bot, ":", id, any ? "" : ":", any ? "" : route, ":block");
}

struct ask {
	struct ask *next;
	struct flood *f;
	struct flood_message message;
	struct flood_answer answer;
	flood_fn *fn;
	void *arg;
};

static bool read_answer(const redisReply *r, struct flood_answer *a)
{
	if (r->type == REDIS_REPLY_INTEGER && r->integer == FLOOD_BOOKED) {
		*a = (struct flood_answer){.what = FLOOD_BOOKED};
		return true;
	}
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 3 || r->element[0]->type != REDIS_REPLY_INTEGER ||
	    r->element[1]->type != REDIS_REPLY_INTEGER || r->element[2]->type != REDIS_REPLY_STRING ||
	    r->element[0]->integer < 0 || r->element[0]->integer > FLOOD_BOT_BLOCKED)
		return false;
	a->what = (enum flood_what)r->element[0]->integer;
	a->wait_ms = r->element[1]->integer;
	snprintf(a->doubt, sizeof(a->doubt), "%s", r->element[2]->str);
	return true;
}

/* What became of any question. */
static void heard(void *arg, enum err err)
{
	struct flood *f = arg;
	int64_t now = clock_ms();
	if (err != ERR_OK && (!f->failing || now - f->failed_ms > FAILURES_APART_MS))
		f->failing_since_ms = now;
	f->failing = err != ERR_OK;
	f->failed_ms = now;
}

static void answer_ourselves(struct flood *f, const struct flood_message *m, struct flood_answer *a)
{
	int64_t now = clock_ms(), plain_ms = f->failing_since_ms + PLAIN_MS;
	if (now >= plain_ms)
		flood_own_ask(f->own, m, now, a);
	else
		*a = (struct flood_answer){.what = FLOOD_AGAIN, .wait_ms = plain_ms - now, .own = true};
}

static void end(struct ask *ask, enum err err)
{
	heard(ask->f, err);
	if (err != ERR_OK && ask->message.standing == FLOOD_AHEAD)
		ask->answer = (struct flood_answer){.what = FLOOD_AGAIN};
	else if (err == ERR_OK)
		flood_own_heard(ask->f->own, &ask->message, &ask->answer, clock_ms());
	else
		answer_ourselves(ask->f, &ask->message, &ask->answer);
	ask->fn(ask->arg, err, &ask->answer);
	free(ask);
}

static void route_answered(void *arg, enum err err, enum flood_what what, int64_t wait_ms)
{
	struct ask *ask = arg;
	struct flood_answer *a = &ask->answer;
	if (err == ERR_OK && what != FLOOD_BOOKED) {
		if (a->doubt[0]) /* the test is not sent: somebody else's shall be */
			flood_tested(ask->f, ask->message.bot, a->doubt, false);
		*a = (struct flood_answer){.what = what, .wait_ms = wait_ms};
	}
	end(ask, err);
}

static void answered(struct ask *ask, enum err err, const redisReply *reply)
{
	struct flood_answer *a = &ask->answer;
	if (err == ERR_OK && !read_answer(reply, a))
		err = ERR_PROTOCOL;
	bool goes = err == ERR_OK && (a->what == FLOOD_TEST || (a->what == FLOOD_BOOKED && a->wait_ms == 0));
	if (goes && ask->message.route)
		flood_route_ask(ask->f->redis, &ask->message, route_answered, ask);
	else
		end(ask, err);
}

/* arg: what was asked for together, in the order of the answers. */
static void all_answered(void *arg, enum err err, const redisReply *reply)
{
	struct ask *ask = arg, *next;
	size_t n = 0;
	for (const struct ask *each = ask; each; each = each->next)
		n++;
	if (err == ERR_OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != n))
		err = ERR_PROTOCOL;
	for (n = 0; ask; ask = next, n++) {
		next = ask->next;
		answered(ask, err, err == ERR_OK ? reply->element[n] : NULL);
	}
}

/* Whether both can be parts of one question: of one bot, whose calls are counted in the same way. */
static bool alike(const struct flood_message *a, const struct flood_message *b)
{
	return !a->route == !b->route && strcmp(a->bot, b->bot) == 0;
}

/* A word on the message, and two keys, so far apart. */
static struct span put_ask(const struct flood_message *m, struct arena *a, struct span *keys, size_t apart)
{
	static const char standings[] = {
	    [FLOOD_NEW] = 'n', [FLOOD_BACK] = 'b', [FLOOD_HAS_PLACE] = 'h', [FLOOD_AHEAD] = 'a'};
	const char word[] = {standings[m->standing], !m->chat_id || m->route ? '-' : m->group ? 'g' : 'c', '\0'};
	char id[I64_TEXT_LEN], most[I64_TEXT_LEN];
	i64_text(id, m->chat_id);
	i64_text(most, m->max_wait_ms);
	keys[0] = span_of(arena_join(a, "shoal:{cache}:flood:", m->bot, ":", id));
	keys[apart] = span_of(block_key(a, m->bot, m->chat_id, m->route));
	return span_of(arena_join(a, word, most));
}

static void send_together(struct flood *f, struct ask *list, size_t n)
{
	const struct flood_message *m = &list->message;
	struct span words[4 + 2 * ASKS_MAX + 2 * 3 + ASKS_MAX], *keys = words, *argv = words + 4 + 2 * n;
	const struct rate all = {.count = ROUTES_COUNT}, *limits[] = {m->route ? &all : &f->bot, &f->chat, &f->group};
	char bucket[KEY_LEN], state[KEY_LEN];
	struct arena a;
	size_t i = 0;
	arena_init(&a);
	snprintf(bucket, KEY_LEN, "shoal:{cache}:flood:%s", m->bot);
	state_key(state, m->bot);
	keys[0] = span_of(bucket);
	keys[1] = span_of(state);
	keys[2] = SPAN(FLOOD_SOON_EVEN);
	keys[3] = SPAN(FLOOD_SOON_ODD);
	for (size_t l = 0; l < 3; l++) {
		argv[2 * l] = span_of(arena_i64(&a, limits[l]->count));
		argv[2 * l + 1] = span_of(arena_i64(&a, limits[l] == &all ? ROUTES_MS : limits[l]->seconds * 1000));
	}
	for (const struct ask *ask = list; ask; ask = ask->next, i++)
		argv[2 * 3 + i] = put_ask(&ask->message, &a, keys + 4 + i, n);
	redis_eval(f->redis, &flood_script, all_answered, list, 4 + 2 * n, 4 + 2 * n + 2 * 3 + n, words);
	arena_release(&a);
}

/* Messages that become ready in one turn of the loop ask together. */
static void send_asks(void *arg)
{
	struct flood *f = arg;
	while (f->asks) {
		struct ask *list = f->asks, **last = &list->next;
		size_t n = 1;
		while (*last && n < ASKS_MAX && alike(&list->message, &(*last)->message)) {
			last = &(*last)->next;
			n++;
		}
		f->asks = *last;
		*last = NULL;
		if (!f->asks)
			f->last_ask = &f->asks;
		send_together(f, list, n);
	}
}

void flood_ask(struct flood *f, const struct flood_message *m, flood_fn *fn, void *arg)
{
	struct ask *ask = mem_alloc(sizeof(*ask));
	*ask = (struct ask){.f = f, .message = *m, .fn = fn, .arg = arg};
	*f->last_ask = ask;
	f->last_ask = &ask->next;
	loop_defer(f->loop, &f->send);
}

void flood_close(struct flood *f)
{
	struct word *next;
	struct ask *asks = f->asks, *later;
	task_cancel(&f->send);
	for (; asks; asks = later) {
		later = asks->next;
		end(asks, ERR_UNREACHABLE);
	}
	admits_close(f->admits);
	for (struct word *w = f->unsaid; w; w = next) {
		next = w->next;
		free(w);
	}
	flood_own_close(f->own);
	free(f);
}

static void say(struct flood *f, const char *bot, struct span what, int64_t chat_id, const char *route, int64_t ms,
                const char *doubt, redis_fn *fn, void *arg)
{
	char state[KEY_LEN], numbers[2][I64_TEXT_LEN];
	struct arena a;
	arena_init(&a);
	state_key(state, bot);
	const struct span argv[] = {span_of(state),
	                            span_of(block_key(&a, bot, chat_id, route)),
	                            what,
	                            i64_text(numbers[0], chat_id),
	                            i64_text(numbers[1], ms < 1 ? 1 : ms),
	                            span_of(doubt)};
	redis_eval(f->redis, &word_script, fn, arg, 2, sizeof(argv) / sizeof(argv[0]), argv);
	arena_release(&a);
}

static void word_said(void *arg, enum err err, const redisReply *reply)
{
	struct word *w = arg, *over;
	struct flood *f = w->f;
	(void)reply;
	if (err == ERR_OK) {
		free(w);
		return;
	}
	if (err !=
	    ERR_UNREACHABLE) /* perhaps heard: a test is counted once; the rest, said twice, is as if said once */
		w->doubt[0] = '\0';
	w->next = f->unsaid;
	f->unsaid = w;
	for (struct word **at = &f->unsaid; *at;) {
		if ((*at)->until_ms > clock_ms()) {
			at = &(*at)->next;
			continue;
		}
		over = *at;
		*at = over->next;
		free(over);
	}
}

static void word_say(struct word *w)
{
	say(w->f, w->bot, w->what, w->chat_id, w->route, w->until_ms - clock_ms(), w->doubt, word_said, w);
}

static void limit_said(struct flood *f, const char *bot, struct span what, int64_t chat_id, const char *route,
                       int64_t ms, const char *doubt)
{
	struct word *w = mem_zalloc(sizeof(*w));
	*w = (struct word){.f = f, .what = what, .chat_id = chat_id, .until_ms = clock_ms() + ms};
	snprintf(w->bot, sizeof(w->bot), "%s", bot);
	ENSURE(snprintf(w->route, sizeof(w->route), "%s", route) < (int)sizeof(w->route));
	snprintf(w->doubt, sizeof(w->doubt), "%s", doubt);
	word_say(w);
}

void flood_redis_came(struct flood *f)
{
	struct word *next, *list = f->unsaid;
	f->unsaid = NULL;
	for (struct word *w = list; w; w = next) {
		next = w->next;
		word_say(w);
	}
}

void flood_limited(struct flood *f, const char *bot, int64_t chat_id, int64_t ms, const char *doubt)
{
	flood_own_limited(f->own, bot, chat_id, ms, clock_ms());
	limit_said(f, bot, SPAN("chat"), chat_id, "", ms, doubt);
}

void flood_chat_limited(struct flood *f, const char *bot, int64_t chat_id, const char *route, int64_t ms,
                        const char *doubt)
{
	flood_own_limited(f->own, bot, chat_id, ms, clock_ms());
	limit_said(f, bot, SPAN("only"), chat_id, route, ms, doubt);
}

void flood_bot_limited(struct flood *f, const char *bot, int64_t ms)
{
	flood_own_bot_limited(f->own, bot, ms, clock_ms());
	limit_said(f, bot, SPAN("bot"), 0, "", ms, "");
}

void flood_route_told(struct flood *f, const char *bot, const char *route, int64_t chat_id,
                      const struct flood_told *told)
{
	flood_route_tell(f->redis, bot, route, chat_id, told);
}

void flood_tested(struct flood *f, const char *bot, const char *doubt, bool went_through)
{
	say(f, bot, went_through ? SPAN("well") : SPAN("void"), 0, "", 1, doubt, NULL, NULL);
}

/* ---- incoming */

bool flood_admits(const struct flood *f, bool press)
{
	return admits_needed(f->admits, press);
}

void flood_admit(struct flood *f, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                 const char *update_key, bool again, admit_fn *fn, void *arg)
{
	admits_ask(f->admits, bot, user_id, message_id, press, update_key, again, fn, arg);
}

void flood_release_press(struct flood *f, const char *bot, int64_t user_id, int64_t message_id, const char *press,
                         const char *update_key)
{
	admits_release(f->admits, bot, user_id, message_id, press, update_key);
}

/* ---- whom a key is about */

static bool is_number(const char *at, int64_t id)
{
	char text[I64_TEXT_LEN];
	struct span n = i64_text(text, id);

	return strncmp(at, n.ptr, n.len) == 0 && !(at[n.len] >= '0' && at[n.len] <= '9');
}

bool flood_key_names(const char *key, int64_t id)
{
	static const char *const begins[] = {"shoal:{cache}:press:", "shoal:{cache}:rate:", "shoal:{cache}:flood:"};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		size_t len = strlen(begins[i]);
		const char *behind_bot = strncmp(key, begins[i], len) == 0 ? strchr(key + len, ':') : NULL;

		if (behind_bot && is_number(behind_bot + 1, id))
			return true;
	}
	return false;
}
