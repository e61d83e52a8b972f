/* shoal user: what is stored about one person. */
#include <stdio.h>
#include <string.h>

#include "shoal/cli/cli.h"
#include "shoal/cli/forget.h"
#include "shoal/cli/session.h"
#include "shoal/cli/sub.h"
#include "shoal/store/rules.h"

static const struct arg_opt options[] = {
    {"json", false, false}, {"yes", false, false}, {"with-money", false, false}, {0}};

static const struct out_col columns[] = {
    {"id", OUT_INT},
    {"telegram_id", OUT_ID},
    {"first_name", OUT_TEXT},
    {"username", OUT_TEXT},
    {"language_code", OUT_TEXT},
    {"acquisition_source", OUT_TEXT},
    {"age_verified_at", OUT_TIME},
    {"suspended_at", OUT_TIME},
    {"created_at", OUT_TIME},
    {"last_seen_at", OUT_TIME},
    {"blocked_bots", OUT_TEXT},
    {"chats", OUT_INT},
    {"messages", OUT_INT},
    {"active_days", OUT_INT},
    {"trades", OUT_INT},
    {0},
};

/* The operand as a parameter, in its plain form. */
static bool read_id(struct session *s, struct span *out, int64_t *id)
{
	const char *why = rule_telegram_id(s->a, s->args->operands[0], id);

	if (why) {
		session_usage(s, "%s", why);
		return false;
	}
	*out = span_i64_text(s->a, *id);
	return true;
}

static int nobody(struct session *s, struct span id)
{
	return session_fail(s, EXIT_NOT_THERE, "nobody with the Telegram id %s is known", id.ptr);
}

static int show(struct session *s)
{
	struct span id;
	int64_t number;
	PGresult *res;

	if (!read_id(s, &id, &number) || !session_pg(s) || !(res = session_run(s, "cli_user_show", PARAMS(id))))
		return s->code;
	if (PQntuples(res) == 0)
		return nobody(s, id);
	return session_print(s, res, columns, OUT_ONE, NULL);
}

static int change(struct session *s, bool suspend)
{
	struct span id;
	int64_t number;
	PGresult *res;

	if (!read_id(s, &id, &number) || !session_pg(s) ||
	    !(res = session_run(s, "cli_user_suspend", PARAMS(id, span_bool(suspend), session_actor(s)))))
		return s->code;
	if (cell_i64(res, "people") == 0)
		return nobody(s, id);
	return out_done(s->json, "user %s %s %ssuspended", id.ptr, cell_i64(res, "changed") ? "is" : "already was",
	                suspend ? "" : "not ");
}

static int suspend(struct session *s)
{
	return change(s, true);
}

static int unsuspend(struct session *s)
{
	return change(s, false);
}

static int export(struct session *s)
{
	struct span id;
	int64_t number;
	PGresult *res;

	if (!read_id(s, &id, &number) || !session_pg(s) || !session_begin(s) || !session_run(s, "cli_user_utc", NULL) ||
	    !(res = session_run(s, "cli_user_export", PARAMS(id))))
		return s->code;
	if (PQntuples(res) == 0)
		return nobody(s, id);
	return out_json(span_of(PQgetvalue(res, 0, 0)));
}

/* --- erase */

static bool confirmed(struct session *s, struct span id)
{
	return session_confirm(
	    s, arena_printf(s->a, "Erase all that is stored about the person with the Telegram id %s?", id.ptr),
	    "erasing", "erased");
}

/* An open trade is the other one's, too. And who is erased can be paid no more: nothing leads from a Telegram id to
 * what they had. */
static bool may_go(struct session *s, struct span id, struct span user, struct span *money)
{
	PGresult *res = session_run(s, "cli_user_trades", PARAMS(user));
	int64_t open;
	int column;

	if (!res)
		return false;
	open = cell_i64(res, "open");
	column = PQfnumber(res, "money");
	*money = !PQgetisnull(res, 0, column) ? span_of(PQgetvalue(res, 0, column)) : (struct span){0};
	if (open > 0)
		session_fail(s, EXIT_FAILED,
		             "refused: they are in %lld open %s (%s), in which another person's money may be: those "
		             "must end first (`shoal trade list --user %s`)",
		             (long long)open, open == 1 ? "trade" : "trades", PQgetvalue(res, 0, PQfnumber(res, "one")),
		             id.ptr);
	else if (money->ptr && !args_has(s->args, "with-money"))
		session_fail(s, EXIT_FAILED,
		             "refused: they have %s, which nobody could pay out any more: pay it and book it first "
		             "(`shoal wallet debit %s`), or give it up with --with-money",
		             money->ptr, id.ptr);
	return s->code == EXIT_DONE;
}

/* In Postgres. Nobody there: *known is false. */
static bool erase_stored(struct session *s, struct span id, bool *known)
{
	PGresult *res;
	struct span user, money;

	if (!session_pg(s) || !session_begin(s) || !(res = session_run(s, "cli_user_lock", PARAMS(id))))
		return false;
	*known = PQntuples(res) > 0;
	if (!*known)
		return true;
	user = span_i64_text(s->a, cell_i64(res, "id"));
	if (!may_go(s, id, user, &money) ||
	    !(res = session_run(s, "cli_user_erase", PARAMS(user, id, session_actor(s), money))) || !session_commit(s))
		return false;
	if (!s->json)
		printf("user %s erased: %lld chats with %lld messages, names and ids\n", id.ptr,
		       (long long)cell_i64(res, "chats"), (long long)cell_i64(res, "messages"));
	return true;
}

/* Redis is searched too where Postgres knows nobody: the run before may have got only so far. A server that is away
 * keeps no other from being searched. */
static int erase(struct session *s)
{
	struct span id;
	int64_t number, dead;
	bool known, good;

	if (!read_id(s, &id, &number) || !confirmed(s, id) || !erase_stored(s, id, &known))
		return s->code;
	good = forget_dead_letters(s, number, &dead);
	good &= forget_limits(s, number); /* whatever else is out of reach */
	if (!good)
		return s->code;
	if (!known && dead == 0)
		return nobody(s, id);
	return out_done(s->json, "%lld of their updates removed from the dead letters", (long long)dead);
}

static const struct sub subs[] = {
    {"show", "json", 1, 1, "TELEGRAM_ID", show},
    {"suspend", "json", 1, 1, "TELEGRAM_ID", suspend},
    {"unsuspend", "json", 1, 1, "TELEGRAM_ID", unsuspend},
    {"export", "json", 1, 1, "TELEGRAM_ID", export},
    {"erase", "json yes with-money", 1, 1, "TELEGRAM_ID", erase},
    {0},
};

int verb_user(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
