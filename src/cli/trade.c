/* shoal trade: trades of the escrow bot, and the decision of disputes. */
#include <stdio.h>
#include <string.h>

#include "shoal/bots/escrow.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/due.h"
#include "shoal/cli/session.h"
#include "shoal/cli/sub.h"
#include "shoal/model/amount.h"
#include "shoal/store/rules.h"

enum { LIMIT = 50, LIMIT_MAX = 100000, NOTE_UNITS = 1000, ID_BYTES = 32 };

static const struct arg_opt options[] = {{"json", false, false},
                                         {"status", true, false},
                                         {"user", true, false},
                                         {"limit", true, false},
                                         {"note", true, false},
                                         {"undisputed", false, false},
                                         {0}};

/* amount and currency come as one text: decimals. */
static const struct out_col columns_list[] = {
    {"public_id", OUT_TEXT},  {"status", OUT_TEXT},     {"amount", OUT_TEXT},
    {"currency", OUT_TEXT},   {"buyer", OUT_ID},        {"seller", OUT_ID},
    {"created_at", OUT_TIME}, {"updated_at", OUT_TIME}, {0},
};
static const struct out_col columns_one[] = {
    {"public_id", OUT_TEXT},  {"status", OUT_TEXT},      {"amount", OUT_TEXT},
    {"currency", OUT_TEXT},   {"buyer", OUT_ID},         {"buyer_name", OUT_TEXT},
    {"seller", OUT_ID},       {"seller_name", OUT_TEXT}, {"terms", OUT_TEXT},
    {"invitation", OUT_TEXT}, {"invited", OUT_ID},       {"created_at", OUT_TIME},
    {"updated_at", OUT_TIME}, {"expires_at", OUT_TIME},  {"events", OUT_JSON},
    {"ledger", OUT_JSON},     {"audit", OUT_JSON},       {0},
};

static const char *cell(const PGresult *res, int row, const char *column)
{
	int col = PQfnumber(res, column);

	ENSURE(col >= 0);
	return PQgetisnull(res, row, col) ? NULL : PQgetvalue(res, row, col);
}

static int64_t number(const char *text)
{
	int64_t v;

	ENSURE(text && span_i64(span_of(text), &v));
	return v;
}

/* Like session_print, but for the amount, which becomes a decimal. */
static void put_row(struct session *s, struct out *o, const PGresult *res, int row, const struct out_col *cols)
{
	out_row(o);
	for (const struct out_col *c = cols; c->name; c++) {
		const char *text = cell(res, row, c->name);

		if (!text)
			out_null(o);
		else if (strcmp(c->name, "amount") == 0)
			out_text(o, amount_format(s->a, number(text), number(cell(res, row, "scale"))));
		else if (c->type == OUT_TEXT || c->type == OUT_JSON)
			out_text(o, text);
		else if (c->type == OUT_TIME)
			out_time(o, number(text));
		else
			out_int(o, number(text));
	}
}

/* --- list, show */

static const char *check_status(struct session *s, const char *status)
{
	static const char *const all[] = {"pending",  "active",    "disputed", "released",
	                                  "refunded", "cancelled", "expired"};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!status || strcmp(all[i], status) == 0)
			return NULL;
	}
	return arena_printf(s->a,
	                    "the status is %s, but must be one of pending, active, disputed, released, refunded, "
	                    "cancelled, expired",
	                    shown(s->a, status));
}

static int list(struct session *s)
{
	const char *status = args_get(s->args, "status"), *user = args_get(s->args, "user"), *why;
	int64_t limit = LIMIT, id = 0;
	PGresult *res;
	struct out o;

	if ((why = check_status(s, status)) || (user && (why = rule_telegram_id(s->a, user, &id))))
		return session_usage(s, "%s", why);
	if (!args_i64(s->args, "limit", 1, LIMIT_MAX, &limit))
		return s->code = EXIT_USAGE;
	if (!session_pg(s) ||
	    !(res = session_run(s, "cli_trade_list",
	                        PARAMS(span_of(status), user ? span_i64_text(s->a, id) : (struct span){0},
	                               span_i64_text(s->a, limit)))))
		return s->code;
	out_begin(&o, s->json, columns_list);
	for (int i = 0; i < PQntuples(res); i++)
		put_row(s, &o, res, i, columns_list);
	return s->code = out_end(&o, status || user ? "there is no such trade" : "there are no trades");
}

static const char *read_public_id(struct session *s)
{
	const char *given = s->args->operands[0];
	char *id = arena_strdup(s->a, given);
	size_t len = strlen(id);

	for (char *p = id; *p; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');

		if (!letter && !(*p >= '0' && *p <= '9') && *p != '_' && *p != '-')
			len = 0;
	}
	if (len == 0 || len > ID_BYTES) {
		session_usage(s, "%s is no trade's id: one looks like 7K2M9QX4TB", shown(s->a, given));
		return NULL;
	}
	return id;
}

static int no_trade(struct session *s, const char *id)
{
	return session_fail(s, EXIT_NOT_THERE, "there is no trade %s", id);
}

static int show(struct session *s)
{
	const char *id = read_public_id(s);
	PGresult *res;
	struct out o;

	if (!id || !session_pg(s) || !session_begin(s) || !session_run(s, "cli_user_utc", NULL) ||
	    !(res = session_run(s, "cli_trade_show", PARAMS(span_of(id)))))
		return s->code;
	if (PQntuples(res) == 0)
		return no_trade(s, id);
	out_begin_one(&o, s->json, columns_one);
	put_row(s, &o, res, 0, columns_one);
	return s->code = out_end(&o, NULL);
}

/* --- resolve */

static void tell(struct session *s, const char *id, const PGresult *res)
{
	static const char *const people[] = {"buyer", "seller"};

	for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
		const char *telegram_id = cell(res, 0, people[i]), *why;

		if (!telegram_id) /* they were erased */
			continue;
		why = due_append(s, &bot_escrow, ESCROW_DUE_RESOLVED, id, people[i], number(telegram_id));
		if (why) {
			session_say(s, "note: the fleet will tell the two when it can: %s", why);
			return;
		}
	}
}

static int resolve(struct session *s)
{
	const char *id = read_public_id(s), *outcome = s->args->operands[1], *note = args_get(s->args, "note"), *why;
	bool release = strcmp(outcome, "release") == 0, undisputed = args_has(s->args, "undisputed");
	PGresult *res;

	if (!id)
		return s->code;
	if (!release && strcmp(outcome, "refund") != 0)
		return session_usage(s,
		                     "the decision is %s, but must be release (to the seller) or refund (to the buyer)",
		                     shown(s->a, outcome));
	if (!note)
		return session_usage(s, "--note T is missing: why it was decided so");
	if ((why = rule_text(s->a, "the note", note, 1, NOTE_UNITS)))
		return session_usage(s, "%s", why);
	if (!session_pg(s) || !(res = session_run(s, "cli_trade_resolve",
	                                          PARAMS(span_of(id), release ? SPAN("released") : SPAN("refunded"),
	                                                 span_of(note), session_actor(s), span_bool(undisputed)))))
		return s->code;
	if (PQntuples(res) == 0)
		return no_trade(s, id);
	if (cell_i64(res, "resolved") > 0) {
		tell(s, id, res);
		return out_done(s->json, "trade %s is %s", id, release ? "released" : "refunded");
	}
	if (cell_i64(res, "before") > 0)
		return out_done(s->json, "trade %s was %s by such a decision before: nothing was done now", id,
		                release ? "released" : "refunded");
	const char *status = cell(res, 0, "status");
	return session_fail(s, EXIT_FAILED, "trade %s is %s: only one that is disputed can be decided%s", id,
	                    status ? status : "gone",
	                    status && strcmp(status, "active") == 0
	                        ? ", or with --undisputed one whose two people cannot end it any more"
	                        : "");
}

static const struct sub subs[] = {
    {"list", "json status user limit", 0, 0, "", list},
    {"show", "json", 1, 1, "PUBLIC_ID", show},
    {"resolve", "json note undisputed", 2, 2, "PUBLIC_ID release|refund", resolve},
    {0},
};

int verb_trade(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
