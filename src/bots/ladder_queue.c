/* Into the line of those who wait for an opponent, and out of it. */
#include <string.h>
#include <strings.h>

#include "shoal/base/arena.h"
#include "shoal/bots/ladder_parts.h"
#include "shoal/model/fill.h"

/* A token is good for a quarter of an hour from the start; a message needs its time, too. */
#define TOKEN_MORE_MS 45000

#define RACES_MAX 6 /* of one player */
#define NO_VETOES "none"

enum text {
	TEXT_REPORT_FIRST,
	TEXT_UNKNOWN_PLAYER,
	TEXT_NOTHING_TO_PLAY,
	TEXT_WHICH_RACES,
	TEXT_NO_RACE,
	TEXT_NO_MAP,
	TEXT_MANY_RACES,
	TEXT_MANY_VETOES,
	TEXT_TOO_LATE,
	TEXT_NEWER,
	TEXT_WAITING,
	TEXT_STILL_WAITING,
	TEXT_VETOES,
	TEXT_PAIRED,
	TEXT_LEFT,
	TEXT_NOT_WAITING,
	TEXT_OVER,
};

/* HTML. */
static const char *const texts[] = {
    [TEXT_REPORT_FIRST] = "Before that, please tell how your match against <b>{name}</b> ended: /report.",
    [TEXT_UNKNOWN_PLAYER] = "I do not know you as a player any more. Please begin with /termsofservice.",
    [TEXT_NOTHING_TO_PLAY] = "No map is played at the moment, so your /queue changes nothing. Please try again "
                             "later.",
    [TEXT_WHICH_RACES] = "Please say what you play, such as <code>{example}</code>: /queue.",
    [TEXT_NO_RACE] = "I know no race <code>{name}</code>. Please choose from those that are offered while you type.",
    [TEXT_NO_MAP] = "I know no map <code>{name}</code> that is played now. Please choose from those that are offered "
                    "while you type, or say <code>none</code>.",
    [TEXT_MANY_RACES] = "Please choose {most} races at most.",
    [TEXT_MANY_VETOES] = "Maps that you can veto: {most} at most, so that there is always one left to play.",
    [TEXT_TOO_LATE] = "I could not see to your /queue in time, so you are not waiting. Please try again.",
    [TEXT_NEWER] = "You have said something else since, which counts.",
    [TEXT_WAITING] = "You are waiting for an opponent as {races}{vetoes}.\nI look for somebody near your rating first, "
                     "then ever farther off, for 14 minutes at most, and tell you in any case. /leave takes you out.",
    [TEXT_STILL_WAITING] =
        "You are waiting already and keep your place, now as {races}{vetoes}, for another 14 minutes "
        "at most. /leave takes you out.",
    [TEXT_VETOES] = ", without {vetoes}",
    [TEXT_PAIRED] = "An opponent has just been found for you: your match comes in a moment.",
    [TEXT_LEFT] = "You are not waiting any more.",
    [TEXT_NOT_WAITING] = "You are not waiting.",
    [TEXT_OVER] = "Nobody was found for you in 14 minutes, so you are not waiting any more. /queue puts you in line "
                  "again.",
};

static void answer(struct decision *d, const struct update *u, enum text text, const struct slot *slots)
{
	decision_answer(d, u->token, slots ? text_fill(d->arena, texts[text], slots) : texts[text]);
}

static void answer_about(struct decision *d, const struct update *u, enum text text, const char *slot,
                         const char *value)
{
	answer(d, u, text, (const struct slot[]){WORDS(slot, value), {0}});
}

const char *ladder_number(struct arena *a, int64_t n)
{
	return arena_i64(a, n);
}

static bool ear_hears(const struct ladder_ear *e, const struct facts *f)
{
	return e->token && *e->token && f->now_ms < e->till + TOKEN_MORE_MS;
}

void ladder_tell(struct decision *d, const struct facts *f, const struct ladder_ear *e, const char *html)
{
	if (ear_hears(e, f))
		reply_elsewhere(decision_more(d, e->token, html, true), e->channel, e->person);
	else if (e->channel)
		reply_mention(decision_send(d, e->channel, html), e->person);
}

void ladder_ask_player(const struct update *u, const struct facts *f, struct params *p)
{
	(void)f;
	params_i64(p, u->from.id);
}

/* ---- what is chosen */

struct chosen {
	size_t n, of;                        /* of so many that there are */
	const char *codes, *names, *ratings; /* "a b", "A, B", "a:1500 b:1480" */
	const char *unknown;                 /* the first that there is not; NULL: none */
};

static void add(struct chosen *c, const struct fact_choice *one, struct arena *a)
{
	const char *blank = c->n > 0 ? " " : "";

	c->codes = arena_printf(a, "%s%s%s", c->codes, blank, one->code);
	c->names = arena_printf(a, "%s%s%s", c->names, c->n > 0 ? ", " : "", one->name);
	c->ratings = arena_printf(a, "%s%s%s:%lld", c->ratings, blank, one->code, (long long)one->mmr);
	c->n++;
}

/* Whether the code is among those typed; *rest loses it wherever it stands. */
static bool take(char *typed, const char *code)
{
	size_t len = strlen(code);
	bool found = false;

	for (char *at = typed + strspn(typed, " ,"); *at; at += strspn(at, " ,")) {
		size_t n = strcspn(at, " ,");

		if (n == len && strncasecmp(at, code, n) == 0) {
			memset(at, ' ', n);
			found = true;
		}
		at += n;
	}
	return found;
}

/* As typed, codes with blanks between; "": as last time. */
static struct chosen choose(const struct facts *f, const char *kind, const char *typed, struct arena *a)
{
	struct chosen c = {.codes = "", .names = "", .ratings = ""};
	char *left = arena_strdup(a, typed);

	for (size_t i = 0; i < f->choices.n; i++) {
		const struct fact_choice *one = &f->choices.v[i];

		if (strcmp(one->kind, kind) != 0)
			continue;
		c.of++;
		if (*typed ? take(left, one->code) : one->last)
			add(&c, one, a);
	}
	left += strspn(left, " ,");
	if (*left)
		c.unknown = text_fit(a, arena_strndup(a, left, strcspn(left, " ,")), 64);
	return c;
}

static const char *example(const struct facts *f)
{
	for (size_t i = 0; i < f->choices.n; i++) {
		if (strcmp(f->choices.v[i].kind, "race") == 0)
			return f->choices.v[i].code;
	}
	return "";
}

/* Says so where it makes no sense. */
static bool races_sound(const struct chosen *c, const struct update *u, const struct facts *f, struct decision *d)
{
	if (c->unknown)
		answer_about(d, u, TEXT_NO_RACE, "name", c->unknown);
	else if (c->n == 0)
		answer_about(d, u, TEXT_WHICH_RACES, "example", example(f));
	else if (c->n > RACES_MAX)
		answer_about(d, u, TEXT_MANY_RACES, "most", ladder_number(d->arena, RACES_MAX));
	return !c->unknown && c->n > 0 && c->n <= RACES_MAX;
}

/* Both players' vetoes together leave a map. */
static bool vetoes_sound(const struct chosen *c, const struct update *u, struct decision *d)
{
	size_t most = c->of > 0 ? (c->of - 1) / 2 : 0;

	if (c->unknown)
		answer_about(d, u, TEXT_NO_MAP, "name", c->unknown);
	else if (c->n > most)
		answer_about(d, u, TEXT_MANY_VETOES, "most", ladder_number(d->arena, (int64_t)most));
	return !c->unknown && c->n <= most;
}

/* ---- /queue */

static bool is_line(const struct facts *f, const char *state)
{
	return f->line.state && strcmp(f->line.state, state) == 0;
}

static int64_t wait_till(const struct update *u, const struct facts *f)
{
	return (u->received_ms < f->now_ms ? u->received_ms : f->now_ms) + LADDER_WAIT_MS;
}

/* What stands in the way; says so. */
static bool may_queue(const struct update *u, const struct facts *f, struct decision *d)
{
	const struct ladder_ear ear = {u->from.id, wait_till(u, f), u->chat_id, u->token};
	bool first = f->match.player_1 == u->from.id;

	if (!ladder_may_play(u, f, d))
		return false;
	if (f->match.id)
		answer_about(d, u, TEXT_REPORT_FIRST, "name",
		             text_tame(d->arena, first ? f->match.name_2 : f->match.name_1, false));
	else if (f->conflict) /* the cache did not know yet */
		answer(d, u, TEXT_UNKNOWN_PLAYER, NULL);
	else if (is_line(f, "paired"))
		answer(d, u, TEXT_PAIRED, NULL);
	else if (u->serial < f->line.serial)
		answer(d, u, TEXT_NEWER, NULL);
	else if (f->now_ms >= ear.till && ear_hears(&ear, f))
		answer(d, u, TEXT_TOO_LATE, NULL);
	else if (f->now_ms >= ear.till)
		ladder_tell(d, f, &ear, texts[TEXT_TOO_LATE]);
	else
		return true;
	return false;
}

static void enter(const struct update *u, const struct facts *f, const struct chosen *races,
                  const struct chosen *vetoes, struct decision *d)
{
	struct params *p = decision_commit(d, "ladder_queue");
	const char *till = ladder_number(d->arena, wait_till(u, f));

	params_i64(p, u->from.id);
	params_text(p, races->codes);
	params_text(p, vetoes->codes);
	params_bool(p, !is_line(f, "waiting"));
	decision_errand(d, "enter", ladder_number(d->arena, u->from.id), ladder_number(d->arena, u->serial), till,
	                races->ratings, "token", u->token ? u->token : "", "channel",
	                ladder_number(d->arena, u->chat_id), "region", f->player.region ? f->player.region : "",
	                "vetoes", vetoes->codes, NULL);
}

void ladder_queue(const struct update *u, const struct facts *f, struct decision *d)
{
	const char *typed = ladder_typed(d->arena, u, "vetoes"), *without = "";
	bool none = strcasecmp(typed, NO_VETOES) == 0;
	struct chosen races, vetoes;

	if (!may_queue(u, f, d))
		return;
	races = choose(f, "race", ladder_typed(d->arena, u, "races"), d->arena);
	vetoes = choose(f, "map", none ? " " : typed, d->arena);
	if (vetoes.of == 0) {
		answer(d, u, TEXT_NOTHING_TO_PLAY, NULL);
		return;
	}
	if (!races_sound(&races, u, f, d) || !vetoes_sound(&vetoes, u, d))
		return;
	enter(u, f, &races, &vetoes, d);
	if (vetoes.n > 0)
		without =
		    text_fill(d->arena, texts[TEXT_VETOES], (const struct slot[]){WORDS("vetoes", vetoes.names), {0}});
	answer(d, u, is_line(f, "waiting") ? TEXT_STILL_WAITING : TEXT_WAITING,
	       (const struct slot[]){WORDS("races", races.names), MARKUP("vetoes", without), {0}});
}

/* ---- /leave: they are out already, if they were in */

void ladder_leave(const struct update *u, const struct facts *f, struct decision *d)
{
	if (is_line(f, "left") && f->line.serial == u->serial)
		answer(d, u, TEXT_LEFT, NULL);
	else if (is_line(f, "waiting"))
		answer(d, u, TEXT_NEWER, NULL);
	else
		answer(d, u, is_line(f, "paired") ? TEXT_PAIRED : TEXT_NOT_WAITING, NULL);
}

/* ---- waited too long */

static int64_t told_id(const struct update *u, const char *name)
{
	const struct option *o = update_option(u, name);

	return o ? o->id : 0;
}

void ladder_over(const struct update *u, const struct facts *f, struct decision *d)
{
	const struct option *token = update_option(u, "token");
	const struct ladder_ear ear = {told_id(u, "player"), told_id(u, "till"), told_id(u, "channel"),
	                               token ? token->value : NULL};

	ladder_tell(d, f, &ear, texts[TEXT_OVER]);
}
