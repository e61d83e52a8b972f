#include "shoal/store/line.h"

#include <stdio.h>
#include <string.h>

#include "shoal/store/queue.h"

/* Ratings that far apart are paired at once; so much farther for each second of waiting. */
#define WINDOW "100"
#define WIDENS "10"
#define COMMANDS "600"       /* of one part of the matcher's work: some milliseconds of Redis */
#define REMEMBERED "3600000" /* ms; longer than anybody waits */
#define GRACE "60000"        /* ms */

static const char *const names[] = {"line", "line:mmr", "line:since", "line:until", "updates"};
enum { NAMES = sizeof(names) / sizeof(names[0]), OF_PLAYERS = NAMES - 1 };

static struct redis_script script_enter = {.name = "lua/line_enter.lua"};
static struct redis_script script_paired = {.name = "lua/line_paired.lua"};
static struct redis_script script_player = {.name = "lua/line_player.lua"};
static struct redis_script script_match = {.name = "lua/line_match.lua"};

static void eval(struct redis *r, struct redis_script *s, size_t nkeys, const struct span *words, size_t n,
                 redis_fn *fn, void *arg)
{
	char keys[NAMES][QUEUE_KEY_MAX];
	struct span argv[NAMES + LINE_WORDS];

	ENSURE(n <= LINE_WORDS);
	for (size_t i = 0; i < nkeys; i++) {
		queue_key(keys[i], 0, names[i]);
		argv[i] = span_of(keys[i]);
	}
	for (size_t i = 0; i < n; i++)
		argv[nkeys + i] = words[i];
	redis_eval(r, s, fn, arg, nkeys, nkeys + n, argv);
}

void line_enter(struct redis *r, const struct span *words, size_t n, redis_fn *fn, void *arg)
{
	struct span all[LINE_WORDS] = {SPAN(GRACE)};

	ENSURE(n < LINE_WORDS);
	memcpy(all + 1, words, n * sizeof(*words));
	eval(r, &script_enter, OF_PLAYERS, all, n + 1, fn, arg);
}

void line_paired(struct redis *r, const struct span *words, size_t n, redis_fn *fn, void *arg)
{
	eval(r, &script_paired, OF_PLAYERS, words, n, fn, arg);
}

void line_player(struct redis *r, int64_t player, int64_t serial, redis_fn *fn, void *arg)
{
	char who[24], by[24] = "";

	snprintf(who, sizeof(who), "%lld", (long long)player);
	if (serial > 0)
		snprintf(by, sizeof(by), "%lld", (long long)serial);
	const struct span words[] = {span_of(who), span_of(by), SPAN(REMEMBERED)};
	eval(r, &script_player, OF_PLAYERS, words, sizeof(words) / sizeof(words[0]), fn, arg);
}

bool line_read(const redisReply *reply, struct arena *a, struct fact_line *out)
{
	struct fact_line line = {0};
	const redisReply *state, *serial;

	if (reply->type != REDIS_REPLY_ARRAY || (reply->elements != 0 && reply->elements != 2))
		return false;
	if (reply->elements == 2) {
		state = reply->element[0];
		serial = reply->element[1];
		if (state->type != REDIS_REPLY_STRING || serial->type != REDIS_REPLY_STRING ||
		    !span_i64((struct span){serial->str, serial->len}, &line.serial))
			return false;
		line.state = arena_strndup(a, state->str, state->len);
	}
	*out = line;
	return true;
}

void line_match(struct redis *r, const char *bot, const char *lanes, int64_t at, redis_fn *fn, void *arg)
{
	char from[24];

	snprintf(from, sizeof(from), "%lld", (long long)at);
	const struct span words[] = {span_of(bot), span_of(lanes), span_of(from),    SPAN(COMMANDS),
	                             SPAN(WINDOW), SPAN(WIDENS),   SPAN(REMEMBERED), SPAN(GRACE)};
	eval(r, &script_match, NAMES, words, sizeof(words) / sizeof(words[0]), fn, arg);
}

bool line_match_read(const redisReply *reply, int64_t *pairs, int64_t *over, int64_t *next)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (reply->element[i]->type != REDIS_REPLY_INTEGER)
			return false;
	}
	*pairs = reply->element[0]->integer;
	*over = reply->element[1]->integer;
	*next = reply->element[2]->integer;
	return true;
}
