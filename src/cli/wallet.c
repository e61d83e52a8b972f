/* shoal wallet: people's money, and how it comes in and goes out. */
#include <stdio.h>
#include <string.h>

#include "shoal/cli/cli.h"
#include "shoal/cli/session.h"
#include "shoal/cli/sub.h"
#include "shoal/model/amount.h"
#include "shoal/store/rules.h"

enum { KEY_BYTES = 200 };

static const struct arg_opt options[] = {{"json", false, false}, {"key", true, false}, {0}};

static const struct out_col columns[] = {{"currency", OUT_TEXT}, {"available", OUT_TEXT}, {"held", OUT_TEXT}, {0}};

static int nobody(struct session *s, const char *id)
{
	return session_fail(s, EXIT_NOT_THERE,
	                    "nobody with the Telegram id %s is known: they must write to a bot first", id);
}

/* --- show */

static int64_t cell(const PGresult *res, int row, const char *column)
{
	int64_t v;

	ENSURE(span_i64(span_of(PQgetvalue(res, row, PQfnumber(res, column))), &v));
	return v;
}

static int show(struct session *s)
{
	const char *why;
	int64_t id;
	PGresult *res;
	struct out o;

	if ((why = rule_telegram_id(s->a, s->args->operands[0], &id)))
		return session_usage(s, "%s", why);
	if (!session_pg(s) || !(res = session_run(s, "cli_wallet_show", PARAMS(span_i64_text(s->a, id)))))
		return s->code;
	if (PQntuples(res) == 0)
		return nobody(s, s->args->operands[0]);
	out_begin(&o, s->json, columns);
	for (int i = 0; i < PQntuples(res); i++) {
		int64_t scale = cell(res, i, "scale");

		out_row(&o);
		out_text(&o, PQgetvalue(res, i, PQfnumber(res, "currency")));
		out_text(&o, amount_format(s->a, cell(res, i, "available"), scale));
		out_text(&o, amount_format(s->a, cell(res, i, "held"), scale));
	}
	return s->code = out_end(&o, NULL);
}

/* --- credit, debit */

/* What is to be booked. */
struct booking {
	int64_t id, scale, amount;
	const char *currency, *key;
};

static const char *check_key(struct session *s, const char *key)
{
	static const char *const ours[] = {"trade:", "opening:"};

	if (!key)
		return "--key K is missing: the same key again does nothing again, so that a repetition is safe";
	for (const char *p = key; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return arena_printf(s->a, "the key is %s, but must be printable ASCII without spaces",
			                    shown(s->a, key));
	}
	if (!*key || strlen(key) > KEY_BYTES)
		return arena_printf(s->a, "the key must have 1 to %d characters", KEY_BYTES);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strncmp(key, ours[i], strlen(ours[i])) == 0)
			return arena_printf(s->a, "the key is %s, but %s is how the program's own begin",
			                    shown(s->a, key), ours[i]);
	}
	return NULL;
}

static const char *amount_fault(struct session *s, enum amount_fault fault, const struct booking *b, const char *text)
{
	switch (fault) {
	case AMOUNT_GOOD: return NULL;
	case AMOUNT_UNREADABLE:
		return arena_printf(s->a, "the amount is %s, but must be a decimal number such as 25 or 25.50",
		                    shown(s->a, text));
	case AMOUNT_ZERO: return "the amount must be more than 0";
	case AMOUNT_TOO_FINE:
		return arena_printf(s->a, "the amount is %s, but %s has %lld digits behind the point at most",
		                    shown(s->a, text), b->currency, (long long)b->scale);
	case AMOUNT_TOO_LARGE:
		return arena_printf(s->a, "the amount is %s, but %s %s is the most", shown(s->a, text),
		                    amount_format(s->a, AMOUNT_MAX, b->scale), b->currency);
	}
	BUG("amount fault %d", (int)fault);
}

static const char *upper(struct session *s, const char *text)
{
	char *out = arena_strdup(s->a, text);

	for (char *p = out; *p; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
	return out;
}

static bool read_booking(struct session *s, struct booking *b)
{
	const char *const *given = s->args->operands, *why;
	PGresult *res;

	*b = (struct booking){.currency = upper(s, given[1]), .key = args_get(s->args, "key")};
	if ((why = rule_telegram_id(s->a, given[0], &b->id)) || (why = check_key(s, b->key))) {
		session_usage(s, "%s", why);
		return false;
	}
	if (!session_pg(s) || !(res = session_run(s, "cli_currency", PARAMS(span_of(b->currency)))))
		return false;
	if (PQgetisnull(res, 0, PQfnumber(res, "scale"))) {
		session_usage(s, "the currency is %s, but must be one of %s", shown(s->a, given[1]),
		              PQgetvalue(res, 0, PQfnumber(res, "known")));
		return false;
	}
	b->scale = cell_i64(res, "scale");
	why = amount_fault(s, amount_parse(given[2], b->scale, &b->amount), b, given[2]);
	if (why)
		session_usage(s, "%s", why);
	return !why;
}

static int not_booked(struct session *s, const struct booking *b, const PGresult *res, const char *done)
{
	if (cell_i64(res, "people") == 0)
		return nobody(s, s->args->operands[0]);
	if (strcmp(PQgetvalue(res, 0, PQfnumber(res, "same")), "t") == 0)
		return out_done(s->json, "%s before under this key: nothing was done now", done);
	if (cell_i64(res, "before") > 0)
		return session_fail(s, EXIT_FAILED, "the key %s was used for something else: nothing was done",
		                    shown(s->a, b->key));
	return session_fail(s, EXIT_FAILED, "less than %s %s is available: nothing was done (`shoal wallet show %s`)",
	                    amount_format(s->a, b->amount, b->scale), b->currency, s->args->operands[0]);
}

static int book(struct session *s, const char *statement, const char *done)
{
	struct booking b;
	PGresult *res;

	if (!read_booking(s, &b) || !session_begin(s) || !session_run(s, "cli_wallet_lock", PARAMS(span_of(b.key))) ||
	    !(res = session_run(s, statement,
	                        PARAMS(span_i64_text(s->a, b.id), span_of(b.currency), span_i64_text(s->a, b.amount),
	                               span_of(b.key), session_actor(s)))) ||
	    !session_commit(s))
		return s->code;
	if (cell_i64(res, "booked") == 0)
		return not_booked(s, &b, res, done);
	return out_done(s->json, "%s %s %s %s", s->args->operands[0], done, amount_format(s->a, b.amount, b.scale),
	                b.currency);
}

static int credit(struct session *s)
{
	return book(s, "cli_wallet_credit", "credited");
}

static int debit(struct session *s)
{
	return book(s, "cli_wallet_debit", "debited");
}

static const struct sub subs[] = {
    {"show", "json", 1, 1, "TELEGRAM_ID", show},
    {"credit", "json key", 3, 3, "TELEGRAM_ID CURRENCY AMOUNT", credit},
    {"debit", "json key", 3, 3, "TELEGRAM_ID CURRENCY AMOUNT", debit},
    {0},
};

int verb_wallet(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
