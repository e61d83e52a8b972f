/* /leaderboard: pages of the best, of all or of a race, region or country, and where on them the asking player is. */
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/bots/ladder_parts.h"
#include "shoal/model/fill.h"

#define ANY "*" /* in a button, which has no empty words; no code is called so */

enum { PAGE = 10, RANKS_MAX = 3, RACE_UNITS = 24, FILTER_UNITS = 40 }; /* PAGE: of cache_board */

enum text {
	TEXT_TITLE,
	TEXT_FILTERED,
	TEXT_LINE,
	TEXT_FROM,
	TEXT_NOBODY,
	TEXT_PAGE,
	TEXT_YOU,
	TEXT_NOT_YOU,
	TEXT_UNKNOWN,
};

/* HTML, with places for text_fill(). */
static const char *const texts[] = {
    [TEXT_TITLE] = "<b>Leaderboard</b>",
    [TEXT_FILTERED] = "<b>Leaderboard</b> of {filters}",
    [TEXT_LINE] = "\n<b>{place}</b> {name} <b>{mmr}</b>, {race}",
    [TEXT_FROM] = ", {country}",
    [TEXT_NOBODY] = "\nNobody is on it yet.",
    [TEXT_PAGE] = "\n\nPage {page} of {pages}",
    [TEXT_YOU] = "\nYou: place <b>{place}</b> with <b>{mmr}</b>, {race}",
    [TEXT_NOT_YOU] = "\nYou are not on it.",
    [TEXT_UNKNOWN] =
        "I know no such race, region or country. Please choose one of those that are offered while you type.",
};

/* --- what is asked for: typed, or by a button "board:RACE:REGION:COUNTRY:PAGE:NAME" */

enum ask { ASK_RACE, ASK_REGION, ASK_COUNTRY, ASK_PAGE, ASK_NAME, ASKS };

static const char *asked(struct arena *a, const struct update *u, enum ask ask)
{
	static const char *const options[ASKS] = {"race", "region", "country", "page", "name"};

	if (u->kind != UPDATE_PRESS)
		return ladder_typed(a, u, options[ask]);
	return u->nargs == ASKS && strcmp(u->args[ask], ANY) != 0 ? u->args[ask] : "";
}

const char *ladder_board_key(const struct update *u, struct arena *a)
{
	const char *race = asked(a, u, ASK_RACE), *region = asked(a, u, ASK_REGION),
	           *country = asked(a, u, ASK_COUNTRY);

	if (strpbrk(race, "|") || strpbrk(region, "|") || strpbrk(country, "|"))
		return NULL;
	return arena_printf(a, "%s|%s|%s|%s", race, region, country,
	                    u->kind == UPDATE_PRESS ? asked(a, u, ASK_PAGE) : "1");
}

void ladder_ask_ranks(const struct update *u, const struct facts *f, struct params *p)
{
	(void)f;
	params_i64(p, u->from.id);
	for (enum ask ask = ASK_RACE; ask <= ASK_COUNTRY; ask++)
		params_text(p, asked(p->arena, u, ask));
}

/* --- the page */

static const char *title(struct arena *a, const struct fact_board *b)
{
	const char *const filters[] = {b->race_name, b->region_name, b->country_name};
	const char *list = "";

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		if (filters[i])
			list =
			    arena_printf(a, "%s%s%s", list, list[0] ? ", " : "", text_fit(a, filters[i], FILTER_UNITS));
	}
	return list[0] ? FILL(a, texts[TEXT_FILTERED], WORDS("filters", list)) : texts[TEXT_TITLE];
}

static const char *add_entry(struct arena *a, const char *out, const struct fact_entry *e)
{
	out =
	    arena_printf(a, "%s%s", out,
	                 FILL(a, texts[TEXT_LINE], WORDS("place", ladder_number(a, e->place)),
	                      MARKUP("name", ladder_quote(a, e->name ? e->name : "?", LADDER_NAME_MAX)),
	                      WORDS("mmr", ladder_number(a, e->mmr)), WORDS("race", text_fit(a, e->race, RACE_UNITS))));
	return e->country ? arena_printf(a, "%s%s", out, FILL(a, texts[TEXT_FROM], WORDS("country", e->country))) : out;
}

static const char *add_ranks(struct arena *a, const char *out, const struct fact_ranks *ranks)
{
	if (ranks->n == 0)
		return arena_printf(a, "%s%s", out, texts[TEXT_NOT_YOU]);
	for (size_t i = 0; i < ranks->n && i < RANKS_MAX; i++) {
		const struct fact_rank *r = &ranks->v[i];

		out = arena_printf(a, "%s%s", out,
		                   FILL(a, texts[TEXT_YOU], WORDS("place", ladder_number(a, r->place)),
		                        WORDS("mmr", ladder_number(a, r->mmr)),
		                        WORDS("race", text_fit(a, r->race, RACE_UNITS))));
	}
	return out;
}

static void add_buttons(struct decision *d, struct reply *r, const struct facts *f)
{
	const struct fact_board *b = &f->board;
	int64_t mine = f->ranks.n > 0 ? (f->ranks.v[0].place - 1) / PAGE + 1 : b->page;
	const struct {
		const char *label, *name;
		int64_t page;
	} ways[] = {{"First", "f", 1},
	            {"Previous", "p", b->page > 1 ? b->page - 1 : 1},
	            {"My place", "m", mine},
	            {"Next", "n", b->page < b->pages ? b->page + 1 : b->pages},
	            {"Last", "l", b->pages}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		reply_button(d, r, ways[i].label, f->mark, LADDER_BOARD, b->race ? b->race : ANY,
		             b->region ? b->region : ANY, b->country ? b->country : ANY,
		             ladder_number(d->arena, ways[i].page), ways[i].name, NULL);
		reply_style(d, r, BUTTON_PLAIN, ways[i].page == b->page);
	}
}

void ladder_board(const struct update *u, const struct facts *f, struct decision *d)
{
	const struct fact_board *b = &f->board;
	struct arena *a = d->arena;
	const char *out;
	struct reply *r;

	if (!b->known || b->unknown) {
		decision_answer(d, u->token, texts[TEXT_UNKNOWN]);
		return;
	}
	out = title(a, b);
	if (b->n == 0) {
		decision_answer(d, u->token, arena_printf(a, "%s%s", out, texts[TEXT_NOBODY]));
		return;
	}
	for (size_t i = 0; i < b->n; i++)
		out = add_entry(a, out, &b->v[i]);
	out = arena_printf(a, "%s%s", out,
	                   FILL(a, texts[TEXT_PAGE], WORDS("page", ladder_number(a, b->page)),
	                        WORDS("pages", ladder_number(a, b->pages))));
	r = decision_answer(d, u->token, add_ranks(a, out, &f->ranks));
	if (b->pages > 1)
		add_buttons(d, r, f);
}
