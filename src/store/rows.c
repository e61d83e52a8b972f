#include "shoal/store/rows.h"

#include <stdlib.h>
#include <string.h>

enum column_type { COLUMN_ID, COLUMN_BOOL, COLUMN_TEXT };

/* A fact, and the flag that says that it is there ("found"): offsets into struct facts, or into the element of a list;
 * no flag: 0, which is now_ms. */
struct column {
	const char *name;
	enum column_type type;
	size_t offset, flag;
};

#define AT(member) offsetof(struct facts, member)

static const struct column columns[] = {
    {"now_ms", COLUMN_ID, AT(now_ms), 0},
    {"presumed", COLUMN_BOOL, AT(presumed), 0},
    {"match_id", COLUMN_ID, AT(match.id), 0},
    {"match_player_1", COLUMN_ID, AT(match.player_1), 0},
    {"match_player_2", COLUMN_ID, AT(match.player_2), 0},
    {"match_name_1", COLUMN_TEXT, AT(match.name_1), 0},
    {"match_name_2", COLUMN_TEXT, AT(match.name_2), 0},
    {"match_report_1", COLUMN_TEXT, AT(match.report_1), 0},
    {"match_report_2", COLUMN_TEXT, AT(match.report_2), 0},
    {"match_result", COLUMN_TEXT, AT(match.result), 0},
    {"match_channel_1", COLUMN_ID, AT(match.channel_1), 0},
    {"match_channel_2", COLUMN_ID, AT(match.channel_2), 0},
    {"match_mmr_1", COLUMN_ID, AT(match.mmr_1), 0},
    {"match_mmr_2", COLUMN_ID, AT(match.mmr_2), 0},
    {"match_if_1", COLUMN_ID, AT(match.if_1), 0},
    {"match_if_2", COLUMN_ID, AT(match.if_2), 0},
    {"match_if_draw", COLUMN_ID, AT(match.if_draw), 0},
    {"user_id", COLUMN_ID, AT(user.id), AT(user.known)},
    {"user_age_verified", COLUMN_BOOL, AT(user.age_verified), 0},
    {"user_suspended", COLUMN_BOOL, AT(user.suspended), 0},
    {"user_blocked", COLUMN_BOOL, AT(user.blocked), 0},
    {"user_source", COLUMN_TEXT, AT(user.source), 0},
    {"chat_id", COLUMN_ID, AT(chat.id), AT(chat.found)},
    {"chat_persona_id", COLUMN_ID, AT(chat.persona_id), 0},
    {"chat_turns", COLUMN_ID, AT(chat.turns), 0},
    {"code_chat_id", COLUMN_ID, AT(code_chat.id), AT(code_chat.found)},
    {"code_chat_persona_id", COLUMN_ID, AT(code_chat.persona_id), 0},
    {"code_chat_turns", COLUMN_ID, AT(code_chat.turns), 0},
    {"fallback_chat_id", COLUMN_ID, AT(fallback_chat.id), AT(fallback_chat.found)},
    {"fallback_chat_persona_id", COLUMN_ID, AT(fallback_chat.persona_id), 0},
    {"fallback_chat_turns", COLUMN_ID, AT(fallback_chat.turns), 0},
    {"conversation", COLUMN_TEXT, AT(conversation), AT(conversation_known)},
    {"draft_step", COLUMN_TEXT, AT(draft.step), 0},
    {"draft_amount", COLUMN_TEXT, AT(draft.amount), 0},
    {"draft_currency", COLUMN_TEXT, AT(draft.currency), 0},
    {"draft_terms", COLUMN_TEXT, AT(draft.terms), 0},
    {"draft_mark", COLUMN_TEXT, AT(draft.mark), 0},
    {"trade_id", COLUMN_ID, AT(trade.id), AT(trade.found)},
    {"trade_public_id", COLUMN_TEXT, AT(trade.public_id), 0},
    {"trade_status", COLUMN_TEXT, AT(trade.status), 0},
    {"trade_amount", COLUMN_ID, AT(trade.amount), 0},
    {"trade_currency", COLUMN_TEXT, AT(trade.currency), 0},
    {"trade_scale", COLUMN_ID, AT(trade.scale), 0},
    {"trade_terms", COLUMN_TEXT, AT(trade.terms), 0},
    {"trade_expires_ms", COLUMN_ID, AT(trade.expires_ms), 0},
    {"invitation_id", COLUMN_ID, AT(trade.invitation_id), 0},
    {"invitation_token", COLUMN_TEXT, AT(trade.invitation_token), 0},
    {"invitation_telegram_id", COLUMN_ID, AT(trade.invited), 0},
    {"buyer_id", COLUMN_ID, AT(trade.buyer.id), AT(trade.buyer.known)},
    {"buyer_telegram_id", COLUMN_ID, AT(trade.buyer.telegram_id), 0},
    {"buyer_first_name", COLUMN_TEXT, AT(trade.buyer.first_name), 0},
    {"buyer_language_code", COLUMN_TEXT, AT(trade.buyer.language_code), 0},
    {"buyer_blocked", COLUMN_BOOL, AT(trade.buyer.blocked), 0},
    {"seller_id", COLUMN_ID, AT(trade.seller.id), AT(trade.seller.known)},
    {"seller_telegram_id", COLUMN_ID, AT(trade.seller.telegram_id), 0},
    {"seller_first_name", COLUMN_TEXT, AT(trade.seller.first_name), 0},
    {"seller_language_code", COLUMN_TEXT, AT(trade.seller.language_code), 0},
    {"seller_blocked", COLUMN_BOOL, AT(trade.seller.blocked), 0},
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

#undef AT
#define AT(member) offsetof(struct fact_said, member)
static const struct column history_columns[] = {
    {"history_text", COLUMN_TEXT, AT(text), 0},
    {"history_out", COLUMN_BOOL, AT(out), 0},
};
#undef AT
#define AT(member) offsetof(struct fact_wallet, member)
static const struct column wallet_columns[] = {
    {"wallet_currency", COLUMN_TEXT, AT(currency), 0},
    {"wallet_scale", COLUMN_ID, AT(scale), 0},
    {"wallet_available", COLUMN_ID, AT(available), 0},
    {"wallet_held", COLUMN_ID, AT(held), 0},
};
#undef AT
#define AT(member) offsetof(struct fact_listed, member)
static const struct column listed_columns[] = {
    {"listed_id", COLUMN_ID, AT(id), 0},
    {"listed_public_id", COLUMN_TEXT, AT(public_id), 0},
    {"listed_status", COLUMN_TEXT, AT(status), 0},
    {"listed_amount", COLUMN_ID, AT(amount), 0},
    {"listed_currency", COLUMN_TEXT, AT(currency), 0},
    {"listed_scale", COLUMN_ID, AT(scale), 0},
    {"listed_mine", COLUMN_BOOL, AT(mine), 0},
};
#undef AT
#define AT(member) offsetof(struct fact_choice, member)
static const struct column choice_columns[] = {
    {"choice_kind", COLUMN_TEXT, AT(kind), 0}, {"choice_code", COLUMN_TEXT, AT(code), 0},
    {"choice_name", COLUMN_TEXT, AT(name), 0}, {"choice_last", COLUMN_BOOL, AT(last), 0},
    {"choice_mmr", COLUMN_ID, AT(mmr), 0},
};
#undef AT
#define AT(member) offsetof(struct fact_rating, member)
static const struct column rating_columns[] = {
    {"profile_uid", COLUMN_ID, AT(uid), 0},           {"profile_name", COLUMN_TEXT, AT(name), 0},
    {"profile_country", COLUMN_TEXT, AT(country), 0}, {"profile_region", COLUMN_TEXT, AT(region), 0},
    {"profile_set_up", COLUMN_BOOL, AT(set_up), 0},   {"profile_races", COLUMN_TEXT, AT(races), 0},
    {"profile_vetoes", COLUMN_TEXT, AT(vetoes), 0},   {"profile_race", COLUMN_TEXT, AT(race), 0},
    {"profile_mmr", COLUMN_ID, AT(mmr), 0},           {"profile_played", COLUMN_ID, AT(played), 0},
    {"profile_won", COLUMN_ID, AT(won), 0},           {"profile_lost", COLUMN_ID, AT(lost), 0},
    {"profile_drawn", COLUMN_ID, AT(drawn), 0},
};
#undef AT
#define AT(member) offsetof(struct fact_rank, member)
static const struct column rank_columns[] = {
    {"rank_race", COLUMN_TEXT, AT(race), 0},
    {"rank_mmr", COLUMN_ID, AT(mmr), 0},
    {"rank_place", COLUMN_ID, AT(place), 0},
};
#undef AT

/* What comes as several rows: an element of a list in each row whose first column is not NULL, nor then any other. */
static const struct list {
	const struct column *columns;
	size_t ncolumns, element;
	size_t n, v; /* offsets into struct facts */
} lists[] = {
/* NOLINTBEGIN(bugprone-macro-parentheses): a type and members */
#define LIST(columns, type, member, pointer)                                                                           \
	{                                                                                                              \
		columns, sizeof(columns) / sizeof((columns)[0]), sizeof(type), offsetof(struct facts, member.n),       \
		    offsetof(struct facts, member.pointer)                                                             \
	}
    /* NOLINTEND(bugprone-macro-parentheses) */
    LIST(history_columns, struct fact_said, history, lines), LIST(wallet_columns, struct fact_wallet, wallets, v),
    LIST(listed_columns, struct fact_listed, listing, v),    LIST(choice_columns, struct fact_choice, choices, v),
    LIST(rating_columns, struct fact_rating, ratings, v),    LIST(rank_columns, struct fact_rank, ranks, v),
};

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct column *const *)a)->name, (*(const struct column *const *)b)->name);
}

/* at: its number in the result. Most have the columns of the one before, and so each is where it was. */
static const struct column *find_column(const char *name, int at)
{
	static const struct column *before[COLUMNS];
	static const struct column *sorted[COLUMNS]; /* a row asks for some of them each time */
	const struct column wanted = {.name = name}, *key = &wanted, *const * found;

	if (at < COLUMNS && before[at] && strcmp(before[at]->name, name) == 0)
		return before[at];
	if (!sorted[0]) {
		for (size_t i = 0; i < COLUMNS; i++)
			sorted[i] = &columns[i];
		qsort(sorted, COLUMNS, sizeof(sorted[0]), by_name);
	}
	found = bsearch(&key, sorted, COLUMNS, sizeof(sorted[0]), by_name);
	if (found && at < COLUMNS)
		before[at] = *found;
	return found ? *found : NULL;
}

/* The list that has a column of this name. */
static const struct list *find_list(const char *name)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (size_t k = 0; k < lists[i].ncolumns; k++) {
			if (strcmp(lists[i].columns[k].name, name) == 0)
				return &lists[i];
		}
	}
	return NULL;
}

static bool store_bool(struct span v, bool *out)
{
	*out = span_is(v, "t");
	return *out || span_is(v, "f");
}

static bool store_value(const struct column *c, struct span v, struct arena *a, char *base)
{
	switch (c->type) {
	case COLUMN_ID:
		if (!span_i64(v, (int64_t *)(base + c->offset)))
			return false;
		break;
	case COLUMN_BOOL:
		if (!store_bool(v, (bool *)(base + c->offset)))
			return false;
		break;
	case COLUMN_TEXT: *(const char **)(base + c->offset) = arena_span(a, v).ptr; break;
	}
	if (c->flag)
		*(bool *)(base + c->flag) = true;
	return true;
}

/* What is NULL stays as it is. */
static bool read_cell(const struct pg_rows *rows, int i, int column, const struct column *c, struct arena *a,
                      char *base, const char **why)
{
	const PGresult *res = rows->res;
	int row = pg_row(rows, i);
	struct span v = {PQgetvalue(res, row, column), (size_t)PQgetlength(res, row, column)};

	if (PQgetisnull(res, row, column) || store_value(c, v, a, base))
		return true;
	*why = arena_printf(a, "the column %s holds \"%.40s\"", c->name, v.ptr);
	return false;
}

/* Rows without an element are there for their other columns. */
static bool read_list(const struct pg_rows *rows, const struct list *l, struct arena *a, struct facts *f,
                      const char **why)
{
	const PGresult *res = rows->res;
	char *v = arena_calloc(a, (size_t)rows->n, l->element);
	size_t n = 0;

	for (size_t k = 0; k < l->ncolumns; k++) {
		if (PQfnumber(res, l->columns[k].name) >= 0)
			continue;
		*why = arena_printf(a, "a list without its column %s", l->columns[k].name);
		return false;
	}
	for (int i = 0; i < rows->n; i++) {
		int row = pg_row(rows, i);

		if (PQgetisnull(res, row, PQfnumber(res, l->columns[0].name)))
			continue;
		for (size_t k = 0; k < l->ncolumns; k++) {
			const struct column *c = &l->columns[k];

			if (PQgetisnull(res, row, PQfnumber(res, c->name))) {
				*why = arena_printf(a, "the column %s holds nothing", c->name);
				return false;
			}
			if (!read_cell(rows, i, PQfnumber(res, c->name), c, a, v + n * l->element, why))
				return false;
		}
		n++;
	}
	*(size_t *)((char *)f + l->n) = n;
	*(const void **)((char *)f + l->v) = v;
	return true;
}

enum err rows_to_facts(const struct pg_rows *rows, struct arena *a, struct facts *f, const char **why)
{
	const PGresult *res = rows->res;
	const struct list *list = NULL;
	int first = PQnfields(res) > 0 && strcmp(PQfname(res, 0), "n") == 0; /* pg_stmt.many */

	for (int i = first; i < PQnfields(res); i++) {
		const struct column *c = find_column(PQfname(res, i), i);
		const struct list *of = c ? NULL : find_list(PQfname(res, i));

		if (!c && !of) {
			*why = arena_printf(a, "no fact for the column %s", PQfname(res, i));
			return ERR_INTERNAL;
		}
		if (list && of && of != list) {
			*why = "several lists where one was expected";
			return ERR_INTERNAL;
		}
		list = of ? of : list;
		if (c && rows->n > 0 && !read_cell(rows, 0, i, c, a, (char *)f, why))
			return ERR_INTERNAL;
	}
	if (!list && rows->n > 1) {
		*why = "several rows where one was expected";
		return ERR_INTERNAL;
	}
	return !list || read_list(rows, list, a, f, why) ? ERR_OK : ERR_INTERNAL;
}
