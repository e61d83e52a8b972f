/* /profile: who a player is, and their ratings. */
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/bots/ladder_parts.h"
#include "shoal/model/fill.h"

enum { RATINGS_MAX = 10, NAMESAKES_MAX = 5, RACE_UNITS = 24, LIST_UNITS = 100 };

enum text {
	TEXT_PROFILE,
	TEXT_FROM,
	TEXT_RATING,
	TEXT_NO_RATING,
	TEXT_MORE_RATINGS,
	TEXT_LAST_RACES,
	TEXT_LAST_VETOES,
	TEXT_NOT_SET_UP,
	TEXT_NOBODY,
	TEXT_NAMESAKES,
	TEXT_NAMESAKE,
	TEXT_MORE_NAMESAKES,
};

/* HTML, with places for text_fill(). */
static const char *const texts[] = {
    [TEXT_PROFILE] = "<b>Player</b> {name}",
    [TEXT_FROM] = "\n{country}, plays from {region}",
    [TEXT_RATING] = "\n{race}: <b>{mmr}</b>, {played} played: {won} won, {lost} lost, {drawn} drawn",
    [TEXT_NO_RATING] = "\nNo rating yet: the first match brings one.",
    [TEXT_MORE_RATINGS] = "\nand others",
    [TEXT_LAST_RACES] = "\nLast queued as {list}",
    [TEXT_LAST_VETOES] = "\nMaps vetoed then: {list}",
    [TEXT_NOT_SET_UP] = "That person has not told the ladder who they are yet.",
    [TEXT_NOBODY] = "I know no player {name}. A player is told by the name on the ladder, by a mention or by the id.",
    [TEXT_NAMESAKES] = "More than one player is called {name}. Which one do you mean? Ask again with the id:",
    [TEXT_NAMESAKE] = "\n<code>{id}</code> {from}",
    [TEXT_MORE_NAMESAKES] = "\nand others",
};

/* Whose id the text is, as digits or as a mention, <@ID> or <@!ID>; 0: it is none. */
static int64_t read_uid(struct arena *a, const char *text)
{
	size_t len = strlen(text), skip = strncmp(text, "<@!", 3) == 0 ? 3 : strncmp(text, "<@", 2) == 0 ? 2 : 0;
	int64_t id;

	if (skip > 0 && text[len - 1] != '>')
		return 0;
	text = arena_strndup(a, text + skip, len - skip - (skip > 0));
	return span_i64(span_of(text), &id) && id > 0 ? id : 0;
}

void ladder_ask_profile(const struct update *u, const struct facts *f, struct params *p)
{
	const char *typed = ladder_typed(p->arena, u, "player");

	(void)f;
	params_id(p, typed[0] ? read_uid(p->arena, typed) : u->from.id);
	params_text(p, typed[0] ? typed : NULL);
}

static const char *add_rating(struct arena *a, const char *out, const struct fact_rating *r)
{
	return arena_printf(a, "%s%s", out,
	                    FILL(a, texts[TEXT_RATING], WORDS("race", text_fit(a, r->race, RACE_UNITS)),
	                         WORDS("mmr", ladder_number(a, r->mmr)), WORDS("played", ladder_number(a, r->played)),
	                         WORDS("won", ladder_number(a, r->won)), WORDS("lost", ladder_number(a, r->lost)),
	                         WORDS("drawn", ladder_number(a, r->drawn))));
}

static const char *add_ratings(struct arena *a, const char *out, const struct fact_ratings *ratings)
{
	if (!ratings->v[0].race[0])
		return arena_printf(a, "%s%s", out, texts[TEXT_NO_RATING]);
	for (size_t i = 0; i < ratings->n && i < RATINGS_MAX; i++)
		out = add_rating(a, out, &ratings->v[i]);
	return ratings->n > RATINGS_MAX ? arena_printf(a, "%s%s", out, texts[TEXT_MORE_RATINGS]) : out;
}

static const char *add_list(struct arena *a, const char *out, enum text text, const char *list)
{
	if (!list[0])
		return out;
	return arena_printf(a, "%s%s", out, FILL(a, texts[text], WORDS("list", text_fit(a, list, LIST_UNITS))));
}

static void show(const struct update *u, const struct fact_ratings *ratings, struct decision *d)
{
	const struct fact_rating *r = &ratings->v[0];
	struct arena *a = d->arena;
	const char *out;

	if (!r->set_up) {
		decision_answer(d, u->token, texts[TEXT_NOT_SET_UP]);
		return;
	}
	out = FILL(a, texts[TEXT_PROFILE], MARKUP("name", ladder_quote(a, r->name, LADDER_NAME_MAX)));
	if (r->country[0] && r->region[0])
		out = arena_printf(a, "%s%s", out,
		                   FILL(a, texts[TEXT_FROM], WORDS("country", r->country), WORDS("region", r->region)));
	out = add_ratings(a, arena_printf(a, "%s\n", out), ratings);
	if (r->uid == u->from.id) { /* what else they do is theirs */
		out = add_list(a, arena_printf(a, "%s\n", out), TEXT_LAST_RACES, r->races);
		out = add_list(a, out, TEXT_LAST_VETOES, r->vetoes);
	}
	decision_answer(d, u->token, out);
}

/* A row for each of their ratings: each of them once. */
static void list_namesakes(const struct update *u, const struct fact_ratings *ratings, const char *name,
                           struct decision *d)
{
	struct arena *a = d->arena;
	const char *out = FILL(a, texts[TEXT_NAMESAKES], MARKUP("name", ladder_quote(a, name, LADDER_NAME_MAX)));
	size_t n = 0;

	for (size_t i = 0; i < ratings->n; i++) {
		const struct fact_rating *r = &ratings->v[i];

		if (i > 0 && r->uid == ratings->v[i - 1].uid)
			continue;
		if (n++ == NAMESAKES_MAX) {
			out = arena_printf(a, "%s%s", out, texts[TEXT_MORE_NAMESAKES]);
			break;
		}
		out = arena_printf(
		    a, "%s%s", out,
		    FILL(a, texts[TEXT_NAMESAKE], WORDS("id", ladder_number(a, r->uid)), WORDS("from", r->country)));
	}
	decision_answer(d, u->token, out);
}

void ladder_profile(const struct update *u, const struct facts *f, struct decision *d)
{
	const char *typed = ladder_typed(d->arena, u, "player");
	const struct fact_ratings *r = &f->ratings;

	if (!typed[0] && !ladder_may_play(u, f, d))
		return;
	if (r->n == 0)
		decision_answer(d, u->token,
		                FILL(d->arena, texts[TEXT_NOBODY],
		                     MARKUP("name", ladder_quote(d->arena, typed, LADDER_PLACE_MAX))));
	else if (r->v[r->n - 1].uid != r->v[0].uid)
		list_namesakes(u, r, typed, d);
	else
		show(u, r, d);
}
