/* shoal ladder: players and matches of the ladder, the decision of matches, the leaderboard. */
#include <stdio.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/bots/ladder.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/due.h"
#include "shoal/cli/session.h"
#include "shoal/cli/sub.h"
#include "shoal/store/rules.h"

enum { LIMIT = 50, LIMIT_MAX = 100000, NOTE_UNITS = 1000 };

static const struct arg_opt options[] = {{"json", false, false},
                                         {"q", true, false},
                                         {"country", true, false},
                                         {"region", true, false},
                                         {"open", false, false},
                                         {"conflict", false, false},
                                         {"settled", false, false},
                                         {"player", true, false},
                                         {"limit", true, false},
                                         {"note", true, false},
                                         {0}};

/* Of the ratings a table has the best alone. */
#define WHO                                                                                                            \
	{"discord_uid", OUT_ID}, {"player_name", OUT_TEXT}, {"country", OUT_TEXT},                                     \
	{                                                                                                              \
		"region", OUT_TEXT                                                                                     \
	}
static const struct out_col columns_players[] = {
    WHO, {"race", OUT_TEXT}, {"mmr", OUT_INT}, {"games_played", OUT_INT}, {"setup_completed_at", OUT_TIME}, {0}};
static const struct out_col columns_players_json[] = {WHO,
                                                      {"ratings", OUT_JSON},
                                                      {"tos_accepted_at", OUT_TIME},
                                                      {"setup_completed_at", OUT_TIME},
                                                      {"created_at", OUT_TIME},
                                                      {0}};

static const struct out_col columns_matches[] = {{"id", OUT_INT},
                                                 {"player_1", OUT_ID},
                                                 {"name_1", OUT_TEXT},
                                                 {"race_1", OUT_TEXT},
                                                 {"player_2", OUT_ID},
                                                 {"name_2", OUT_TEXT},
                                                 {"race_2", OUT_TEXT},
                                                 {"map", OUT_TEXT},
                                                 {"region", OUT_TEXT},
                                                 {"report_1", OUT_TEXT},
                                                 {"report_2", OUT_TEXT},
                                                 {"result", OUT_TEXT},
                                                 {"mmr_change_1", OUT_INT},
                                                 {"mmr_change_2", OUT_INT},
                                                 {"created_at", OUT_TIME},
                                                 {"played_at", OUT_TIME},
                                                 {0}};

/* False: the value is wrong, which was said. */
static bool read_limit(struct session *s, int64_t *limit)
{
	*limit = LIMIT;
	if (args_i64(s->args, "limit", 1, LIMIT_MAX, limit))
		return true;
	s->code = EXIT_USAGE;
	return false;
}

static bool read_text(struct session *s, const char *option, struct span *out)
{
	const char *value = args_get(s->args, option),
	           *why = value ? rule_text(s->a, arena_printf(s->a, "--%s", option), value, 1, NAME_UNITS) : NULL;

	*out = span_of(value);
	if (why)
		session_usage(s, "%s", why);
	return !why;
}

/* --- players */

static int players(struct session *s)
{
	struct span q, country, region, uid = {0};
	int64_t limit, id;
	PGresult *res;

	if (!read_text(s, "q", &q) || !read_text(s, "country", &country) || !read_text(s, "region", &region) ||
	    !read_limit(s, &limit))
		return s->code;
	if (q.ptr && span_i64(q, &id))
		uid = span_i64_text(s->a, id);
	if (!session_pg(s) ||
	    !(res = session_run(s, "cli_ladder_players", PARAMS(q, uid, country, region, span_i64_text(s->a, limit)))))
		return s->code;
	return session_print(s, res, s->json ? columns_players_json : columns_players, OUT_LIST,
	                     q.ptr || country.ptr || region.ptr ? "there is no such player" : "there are no players");
}

/* --- matches */

/* The one that was asked for; ptr NULL: any. */
static bool read_state(struct session *s, struct span *out)
{
	static const char *const states[] = {"open", "conflict", "settled"};
	unsigned n = 0;

	*out = (struct span){0};
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (!args_has(s->args, states[i]))
			continue;
		*out = span_of(states[i]);
		n++;
	}
	if (n > 1)
		session_usage(s, "a match is only one of --open, --conflict and --settled");
	return n <= 1;
}

static int matches(struct session *s)
{
	const char *player = args_get(s->args, "player"), *why;
	struct span state, uid = {0};
	int64_t limit, id;
	PGresult *res;

	if (!read_state(s, &state) || !read_limit(s, &limit))
		return s->code;
	if (player && (why = rule_discord_id(s->a, player, &id)))
		return session_usage(s, "%s", why);
	if (player)
		uid = span_i64_text(s->a, id);
	if (!session_pg(s) ||
	    !(res = session_run(s, "cli_ladder_matches", PARAMS(state, uid, span_i64_text(s->a, limit)))))
		return s->code;
	return session_print(s, res, columns_matches, OUT_LIST,
	                     state.ptr || player ? "there is no such match" : "there are no matches");
}

/* --- resolve */

static const char *cell(const PGresult *res, const char *column)
{
	int col = PQfnumber(res, column);

	ENSURE(col >= 0);
	return PQgetisnull(res, 0, col) ? NULL : PQgetvalue(res, 0, col);
}

/* "Ann has won" */
static const char *outcome(struct session *s, const PGresult *res, const char *result)
{
	if (strcmp(result, "draw") == 0)
		return "it was a draw";
	return arena_printf(s->a, "%s has won",
	                    out_plain(s->a, cell(res, strcmp(result, "1") == 0 ? "name_1" : "name_2")));
}

static void tell(struct session *s, const PGresult *res, int64_t id)
{
	const char *of = arena_i64(s->a, id), *why;

	why = due_append(s, &bot_ladder, LADDER_DUE_RESOLVED, of, "1", cell_i64(res, "player_1"));
	if (!why)
		why = due_append(s, &bot_ladder, LADDER_DUE_RESOLVED, of, "2", cell_i64(res, "player_2"));
	if (why)
		session_say(s, "note: the fleet will tell the two when it can: %s", why);
}

static int settled_json(int64_t id, const char *result, bool now, const int64_t *gained)
{
	static const struct out_col columns[] = {{"ok", OUT_BOOL},
	                                         {"match_id", OUT_INT},
	                                         {"result", OUT_TEXT},
	                                         {"settled_now", OUT_BOOL},
	                                         {"mmr_change_1", OUT_INT},
	                                         {"mmr_change_2", OUT_INT},
	                                         {0}};
	struct out o;

	out_begin_one(&o, true, columns);
	out_row(&o);
	out_bool(&o, true);
	out_int(&o, id);
	out_text(&o, result);
	out_bool(&o, now);
	for (int sign = 1; sign >= -1; sign -= 2) {
		if (gained)
			out_int(&o, sign * *gained);
		else
			out_null(&o);
	}
	return out_end(&o, NULL);
}

/* now: by this call, not by one before. */
static int resolved(struct session *s, const PGresult *res, int64_t id, const char *result, bool now)
{
	const char *change = cell(res, "change");
	int64_t gained = 0;
	bool rated = change && span_i64(span_of(change), &gained);

	if (s->json)
		return settled_json(id, result, now, rated ? &gained : NULL);
	if (!now)
		return out_done(false, "match %lld was settled so before, %s: nothing was done now", (long long)id,
		                outcome(s, res, result));
	if (!rated)
		return out_done(false, "match %lld is settled: %s; no races are known, so no MMR changes",
		                (long long)id, outcome(s, res, result));
	return out_done(false, "match %lld is settled: %s; MMR %+lld for %s, %+lld for %s", (long long)id,
	                outcome(s, res, result), (long long)gained, out_plain(s->a, cell(res, "name_1")),
	                (long long)-gained, out_plain(s->a, cell(res, "name_2")));
}

static int resolve(struct session *s)
{
	const char *operand = s->args->operands[0], *result = s->args->operands[1], *note = args_get(s->args, "note"),
	           *before, *why;
	PGresult *res;
	int64_t id;

	if (!span_i64(span_of(operand), &id) || id < 1)
		return session_usage(s, "%s is no match's id: `shoal ladder matches` lists them", shown(s->a, operand));
	if (strcmp(result, "1") != 0 && strcmp(result, "2") != 0 && strcmp(result, "draw") != 0)
		return session_usage(s, "the result is %s, but must be 1 (player 1 has won), 2 or draw",
		                     shown(s->a, result));
	if (note && (why = rule_text(s->a, "the note", note, 1, NOTE_UNITS)))
		return session_usage(s, "%s", why);
	if (!session_pg(s) ||
	    !(res = session_run(s, "cli_ladder_resolve",
	                        PARAMS(span_i64_text(s->a, id), span_of(result), span_of(note), session_actor(s)))))
		return s->code;
	if (PQntuples(res) == 0)
		return session_fail(s, EXIT_NOT_THERE, "there is no match %lld", (long long)id);
	if (cell_i64(res, "settled") > 0) {
		tell(s, res, id);
		return resolved(s, res, id, result, true);
	}
	before = cell(res, "result");
	if (before && strcmp(before, result) == 0)
		return resolved(s, res, id, result, false);
	return session_fail(s, EXIT_FAILED, "match %lld is settled already: %s", (long long)id,
	                    before ? outcome(s, res, before) : "nobody said how");
}

/* --- refresh */

static int refresh(struct session *s)
{
	int64_t began = clock_ms(), entries;
	PGresult *res;

	if (!session_pg_direct(s) || !(res = session_run(s, "cli_ladder_refresh", NULL)))
		return s->code;
	entries = cell_i64(res, "entries");
	return session_tell(s, CACHE_BOARD, NULL, 0,
	                    out_done(s->json, "the leaderboard is made anew: %lld entries, %lld ms", (long long)entries,
	                             (long long)(clock_ms() - began)));
}

static const struct sub subs[] = {
    {"players", "json q country region limit", 0, 0, "", players},
    {"matches", "json open conflict settled player limit", 0, 0, "", matches},
    {"resolve", "json note", 2, 2, "MATCH_ID 1|2|draw", resolve},
    {"refresh", "json", 0, 0, "", refresh},
    {0},
};

int verb_ladder(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
