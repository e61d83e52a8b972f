/* links: base model io store */
/* The escrow bot's schema and statements against a real PostgreSQL: money moves as it should and in no other way, by no
 * wrong person, out of no wrong state, not twice, not at once by two, and not by plain SQL either. TRADES: rows for the
 * plans. */
#include "sqlcheck.h"

#include <pthread.h>
#include <stdbool.h>

#define ANN "42", "Ann", "ann", "en", "escrow"
#define BOB "43", "Bob", NONE, "de", "escrow"
#define CAT "44", "Cat", NONE, NONE, "escrow"

static const char *const statuses[] = {"pending", "active", "disputed", "released", "refunded", "cancelled", "expired"};
#define STATUSES (sizeof(statuses) / sizeof(statuses[0]))

/* Ann (1), Bob (2), Cat (3), and nothing else. Much faster than TRUNCATE; the role passes by the triggers that keep the
 * ledger. */
static void clean(void)
{
	static const char *const tables[] = {
	    "guards",        "conversations",  "admin_audit",         "bot_users", "invitations", "escrow_notices",
	    "escrow_events", "ledger_entries", "ledger_transactions", "escrows",   "wallets",     "users"};
	char sql[200];

	must("SET session_replication_role = replica");
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		snprintf(sql, sizeof(sql), "DELETE FROM %s", tables[i]);
		must(sql);
	}
	must("SELECT setval(quote_ident(sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = "
	     "'public' AND "
	     "last_value IS NOT NULL");
	must("SET session_replication_role = DEFAULT");
	must("INSERT INTO users (telegram_id, first_name) VALUES (42, 'Ann'), (43, 'Bob'), (44, 'Cat')");
}

/* Money from outside, in the smallest unit. */
static void credit(int user, const char *currency, long amount)
{
	static int turn;
	char sql[300];

	snprintf(sql, sizeof(sql), "SELECT book('c%d', 'credit', NULL, '%s', %ld, 'outside', %d, 'available', %d)",
	         turn++, currency, amount, user, user);
	must(sql);
}

/* What must be true at every moment: "" or what is not. */
static const char *books(void)
{
	return get("SELECT string_agg(what, ', ') FROM ("
	           "SELECT 'transaction ' || transaction_id || ' does not sum to zero' AS what FROM ledger_entries "
	           "GROUP BY transaction_id, currency HAVING sum(amount) <> 0 "
	           "UNION ALL SELECT 'wallet of ' || coalesce(w.user_id, l.user_id) || ' differs from its entries' "
	           "FROM wallets w FULL JOIN (SELECT user_id, currency, "
	           "coalesce(sum(amount) FILTER (WHERE account = 'available'), 0) AS available, "
	           "coalesce(sum(amount) FILTER (WHERE account = 'held'), 0) AS held "
	           "FROM ledger_entries WHERE account <> 'outside' GROUP BY 1, 2) l USING (user_id, currency) "
	           "WHERE (w.available, w.held) IS DISTINCT FROM (coalesce(l.available, 0), coalesce(l.held, 0)) "
	           "UNION ALL SELECT 'held of ' || w.user_id || ' is not that of their trades' FROM wallets w "
	           "WHERE held <> (SELECT coalesce(sum(amount), 0) FROM escrows e WHERE e.buyer_id = w.user_id AND "
	           "e.currency = w.currency AND e.status IN ('pending', 'active', 'disputed'))) wrong");
}

static const char *wallet(int user, const char *currency)
{
	char sql[200];

	snprintf(sql, sizeof(sql),
	         "SELECT available || '/' || held FROM wallets WHERE user_id = %d AND currency = '%s'", user, currency);
	return get(sql);
}

static const char *status(void)
{
	return get("SELECT status FROM escrows ORDER BY id DESC LIMIT 1");
}

static const char *last_trade(void)
{
	return get("SELECT max(id) FROM escrows");
}

/* Ann's dialogue stands at its review. */
static void reviewed(void)
{
	must("INSERT INTO conversations (bot, chat_id, state) VALUES ('escrow', 42, '{\"step\": \"review\", \"mark\": "
	     "\"m1\"}') ON CONFLICT (bot, chat_id) DO UPDATE SET state = excluded.state");
}

static char key[32];
static const char *next_key(void)
{
	static int n;

	snprintf(key, sizeof(key), "k%d", n++);
	return key;
}

#define HOLD(id, amount, token) COMMIT("escrow_hold", next_key(), ANN, "m1", id, "USD", amount, "an old bicycle", token)

/* A trade of Ann for 10.00 USD in this state, the only one; she has 100.00 USD. Bob is invited where he may be. */
static void trade(const char *state)
{
	char sql[200];

	clean();
	credit(1, "USD", 10000);
	reviewed();
	CHECK_STR(HOLD("T1", "1000", "tok1"), "ok");
	CHECK_STR(COMMIT("escrow_open", next_key(), BOB, "1"), "ok");
	if (strcmp(state, "pending") == 0)
		return;
	if (strcmp(state, "cancelled") == 0) {
		CHECK_STR(COMMIT("escrow_cancel", next_key(), ANN, "1", "43"), "ok");
	} else if (strcmp(state, "expired") == 0) {
		must("UPDATE escrows SET expires_at = now() - interval '1 second'");
		CHECK_STR(COMMIT("escrow_expire", next_key(), "1"), "ok");
	} else {
		CHECK_STR(COMMIT("escrow_accept", next_key(), BOB, "1"), "ok");
		snprintf(sql, sizeof(sql), "SELECT '%s'", state);
		if (strcmp(state, "disputed") == 0)
			CHECK_STR(COMMIT("escrow_dispute", next_key(), BOB, "1"), "ok");
		if (strcmp(state, "released") == 0)
			CHECK_STR(COMMIT("escrow_release", next_key(), ANN, "1"), "ok");
		if (strcmp(state, "refunded") == 0)
			CHECK_STR(COMMIT("escrow_refund", next_key(), BOB, "1"), "ok");
	}
	CHECK_STR(status(), state);
	CHECK_STR(books(), "");
}

static const char *everything(void)
{
	return get("SELECT concat_ws(' ', (SELECT string_agg(concat_ws(',', status, seller_id, changed_by), ' ') FROM "
	           "escrows), (SELECT string_agg(concat_ws(',', user_id, available, held), ' ' ORDER BY user_id) FROM "
	           "wallets), (SELECT count(*) FROM ledger_entries), (SELECT string_agg(concat_ws(',', status, "
	           "telegram_id), ' ') FROM invitations), (SELECT count(*) FROM guards), (SELECT count(*) FROM "
	           "escrow_events))");
}

/* --- the schema against plain SQL */

static void currencies_are_there(void)
{
	CHECK_STR(get("SELECT string_agg(code || scale, ' ' ORDER BY code) FROM currencies"), "BTC8 ETH8 USD2 USDT6");
	CHECK_STR(try_sql("UPDATE currencies SET scale = 3 WHERE code = 'USD'"), "23514 currencies_scale");
	CHECK_STR(try_sql("UPDATE currencies SET scale = 2 WHERE code = 'USD'"), "ok");
}

static void every_column_can_be_inserted(void)
{
	clean();
	must("INSERT INTO wallets (user_id, currency, available, held) VALUES (1, 'USD', 500, 100), (2, 'BTC', 0, 0)");
	must("INSERT INTO escrows (id, public_id, buyer_id, seller_id, amount, currency, status, terms, created_at, "
	     "updated_at, expires_at) VALUES (7, 'P7', 1, 2, 100, 'USD', 'active', 'x', now(), now(), now())");
	must("INSERT INTO escrows (public_id, buyer_id, amount, currency) VALUES ('P8', 1, 5, 'BTC')");
	must("INSERT INTO invitations (id, escrow_id, token, telegram_id, status, expires_at) VALUES (3, 7, 't', 43, "
	     "'accepted', now())");
	must("INSERT INTO invitations (token) VALUES ('u')");
	must("INSERT INTO ledger_transactions (id, key, kind, escrow_id, created_at) VALUES (90, 'x', 'other', 7, "
	     "now())");
	must("BEGIN");
	must("INSERT INTO ledger_entries (transaction_id, account, user_id, currency, amount) VALUES (90, 'outside', "
	     "NULL, "
	     "'USD', -5)");
	must("INSERT INTO ledger_entries (transaction_id, account, user_id, currency, amount) VALUES (90, 'available', "
	     "1, "
	     "'USD', 5)");
	must("COMMIT");
	CHECK_STR(wallet(1, "USD"), "505/100");
	/* the balance that it was made with came from outside, says the ledger */
	CHECK_STR(get("SELECT string_agg(account || amount, ' ' ORDER BY e.id) FROM ledger_entries e JOIN "
	              "ledger_transactions t ON t.id = transaction_id WHERE kind = 'opening'"),
	          "outside-600 available500 held100");
	CHECK_STR(books(), "");
}

static void wallets_change_by_the_ledger_only(void)
{
	clean();
	credit(1, "USD", 500);
	CHECK_STR(try_sql("UPDATE wallets SET available = available + 1"), "23514 ledger_for_ever");
	CHECK_STR(try_sql("UPDATE wallets SET user_id = 2"), "23514 ledger_for_ever");
	CHECK_STR(try_sql("DELETE FROM wallets"), "23514 ledger_for_ever");
	CHECK_STR(try_sql("TRUNCATE wallets"), "23514 ledger_for_ever");
	CHECK_STR(
	    try_sql("INSERT INTO wallets (user_id, currency, available) VALUES (1, 'USD', 7) ON CONFLICT (user_id, "
	            "currency) DO UPDATE SET available = 7"),
	    "23514 ledger_for_ever");
	CHECK_STR(try_sql("INSERT INTO wallets (user_id, currency, available) VALUES (2, 'USD', -1)"),
	          "23514 wallets_available_check");
	CHECK_STR(try_sql("INSERT INTO wallets (user_id, currency, held) VALUES (2, 'USD', -1)"),
	          "23514 wallets_held_check");
	CHECK_STR(try_sql("INSERT INTO wallets (user_id, currency) VALUES (2, 'EUR')"), "23503 wallets_currency_fkey");
	CHECK_STR(try_sql("INSERT INTO wallets (user_id, currency) VALUES (99, 'USD')"), "23503 wallets_user_id_fkey");
	CHECK_STR(try_sql("DELETE FROM users WHERE id = 1"), "23503 wallets_user_id_fkey");
	CHECK_STR(wallet(1, "USD"), "500/0");
	CHECK_STR(books(), "");
}

static void ledger_only_grows(void)
{
	static const char *const attacks[] = {
	    "UPDATE ledger_entries SET amount = amount * 2",
	    "UPDATE ledger_entries SET user_id = 2 WHERE id = 1",
	    "DELETE FROM ledger_entries",
	    "DELETE FROM ledger_entries WHERE false",
	    "TRUNCATE ledger_entries",
	    "UPDATE ledger_transactions SET key = 'other'",
	    "DELETE FROM ledger_transactions",
	    "TRUNCATE ledger_transactions CASCADE",
	    "TRUNCATE users CASCADE",
	    "TRUNCATE escrows CASCADE",
	    "UPDATE escrow_events SET status = 'released'",
	    "DELETE FROM escrow_events",
	    "TRUNCATE escrow_events",
	};

	trade("active");
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		CHECK_STR(try_sql(attacks[i]), "23514 ledger_for_ever");
	CHECK_STR(get("SELECT count(*) FROM ledger_entries"), "4");
	/* nothing is in it yet: other tests may begin anew */
	clean();
	CHECK_STR(try_sql("TRUNCATE users CASCADE"), "ok");
}

static void entries_sum_to_zero(void)
{
	clean();
	credit(1, "USD", 500);
	must("INSERT INTO ledger_transactions (id, key) VALUES (90, 'x')");
#define ENTRIES(...)                                                                                                   \
	try_sql("INSERT INTO ledger_entries (transaction_id, account, user_id, currency, amount) VALUES " __VA_ARGS__)
	CHECK_STR(ENTRIES("(90, 'available', 1, 'USD', 5)"), "23514 ledger_balanced");
	CHECK_STR(ENTRIES("(90, 'available', 1, 'USD', 5), (90, 'outside', 1, 'USD', -4)"), "23514 ledger_balanced");
	/* each currency for itself */
	CHECK_STR(ENTRIES("(90, 'available', 1, 'USD', 5), (90, 'outside', 1, 'BTC', -5)"), "23514 ledger_balanced");
	CHECK_STR(ENTRIES("(90, 'available', 1, 'USD', 0)"), "23514 ledger_entries_amount_check");
	CHECK_STR(ENTRIES("(90, 'elsewhere', 1, 'USD', 5)"), "23514 ledger_entries_account_check");
	CHECK_STR(ENTRIES("(90, 'available', NULL, 'USD', 5)"), "23514 ledger_entries_owner");
	CHECK_STR(ENTRIES("(91, 'available', 1, 'USD', 5)"), "23503 ledger_entries_transaction_id_fkey");
	CHECK_STR(ENTRIES("(90, 'available', 1, 'EUR', 5), (90, 'outside', 1, 'EUR', -5)"),
	          "23503 ledger_entries_currency_fkey");
	/* more than there is: not even for a moment, whatever comes after it */
	CHECK_STR(ENTRIES("(90, 'available', 1, 'USD', -501), (90, 'available', 2, 'USD', 501)"), "SH001 funds");
	CHECK_STR(ENTRIES("(90, 'available', 3, 'USD', -1), (90, 'available', 1, 'USD', 1)"), "SH001 funds");
	CHECK_STR(ENTRIES("(90, 'available', 1, 'USD', 9223372036854775807), (90, 'outside', 1, 'USD', "
	                  "-9223372036854775807)"),
	          "SH001 full");
	CHECK_STR(ENTRIES("(90, 'available', 2, 'USD', 9223372036854775807), (90, 'outside', 1, 'USD', "
	                  "-9223372036854775807)"),
	          "SH001 full");
	CHECK_STR(try_sql("INSERT INTO wallets (user_id, currency, available) VALUES (2, 'USD', 9000000000000000001)"),
	          "23514 wallets_bound");
	/* only trades hold money */
	CHECK_STR(ENTRIES("(90, 'available', 1, 'USD', -5), (90, 'held', 1, 'USD', 5)"), "23514 ledger_held");
	CHECK_STR(try_sql("SELECT book('y', 'hold', NULL, 'USD', 5, 'available', 1, 'held', 1)"), "23514 ledger_held");
	CHECK_STR(try_sql("SELECT book('y', 'opening', NULL, 'USD', 5, 'outside', 1, 'held', 1)"), "23514 ledger_held");
	/* several of one wallet count together */
	CHECK_STR(
	    ENTRIES("(90, 'available', 1, 'USD', -400), (90, 'available', 1, 'USD', -100), (90, 'available', 2, 'USD', "
	            "500)"),
	    "ok");
	CHECK_STR(wallet(1, "USD"), "0/0");
	CHECK_STR(wallet(2, "USD"), "500/0");
	/* what is booked is closed, also where it would balance */
	CHECK_STR(ENTRIES("(90, 'available', 2, 'USD', -500), (90, 'available', 1, 'USD', 500)"),
	          "23514 ledger_closed");
	CHECK_STR(try_sql("SELECT book('y', 'x', NULL, 'USD', -5, 'outside', 1, 'available', 1)"),
	          "23514 ledger_direction");
	CHECK_STR(try_sql("SELECT book('y', 'x', NULL, 'USD', 0, 'outside', 1, 'available', 1)"),
	          "23514 ledger_direction");
	CHECK_STR(try_sql("SELECT book('x', 'x', NULL, 'USD', 5, 'outside', 1, 'available', 1)"),
	          "23505 ledger_transactions_key_key");
	CHECK_STR(get("SELECT count(*) FROM ledger_entries"), "5");
}

/* A trade's money is held once and let go once, even by one who invents keys. */
static void trade_is_settled_once(void)
{
	trade("released");
	CHECK_STR(try_sql("SELECT book('z1', 'refund', 1, 'USD', 1000, 'outside', 1, 'available', 1)"),
	          "23505 ledger_transactions_escrow");
	CHECK_STR(try_sql("SELECT book('z2', 'hold', 1, 'USD', 1000, 'available', 1, 'held', 1)"),
	          "23505 ledger_transactions_escrow");
	CHECK_STR(books(), "");
}

/* Who changes the one has to change the other with it. */
static void money_follows_the_state(void)
{
#define ENDED(status) "UPDATE escrows SET status = '" status "';"
#define BOOKED(kind, to) "SELECT book('end', '" kind "', 1, 'USD', 1000, 'held', 1, 'available', " to ");"
	static const char *const attacks[] = {
	    ENDED("released"),
	    ENDED("refunded"),
	    BOOKED("release", "2"),
	    ENDED("released") BOOKED("release", "1"),
	    ENDED("released") BOOKED("release", "3"),
	    ENDED("refunded") BOOKED("refund", "2"),
	    ENDED("disputed") BOOKED("refund", "1"),
	    ENDED("refunded") "SELECT book('end', 'refund', 1, 'USD', 999, 'held', 1, 'available', 1)",
	    ENDED("refunded") "SELECT book('end', 'refund', 1, 'USD', 1000, 'outside', 1, 'available', 1)",
	};
	char before[4096];

	trade("active");
	snprintf(before, sizeof(before), "%s", everything());
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		CHECK_STR(try_sql(attacks[i]), "23514 escrow_settled");
		CHECK_STR(everything(), before);
	}
	CHECK_STR(try_sql(ENDED("released") BOOKED("release", "2")), "ok");
	CHECK_STR(books(), "");
	/* one that holds nothing: the books do not know it */
	must("INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status) VALUES ('T2', 1, 2, 5, "
	     "'USD', 'active')");
	CHECK_STR(try_sql("UPDATE escrows SET status = 'refunded' WHERE public_id = 'T2'"), "ok");
}

static bool may_become(const char *from, const char *to)
{
	static const char *const paths[][2] = {
	    {"pending", "active"},  {"pending", "cancelled"}, {"pending", "expired"},   {"active", "released"},
	    {"active", "refunded"}, {"active", "disputed"},   {"disputed", "released"}, {"disputed", "refunded"},
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (strcmp(paths[i][0], from) == 0 && strcmp(paths[i][1], to) == 0)
			return true;
	}
	return strcmp(from, to) == 0;
}

static void trades_go_legal_ways_only(void)
{
	clean();
	for (size_t from = 0; from < STATUSES; from++) {
		for (size_t to = 0; to < STATUSES; to++) {
			bool unaccepted = strcmp(statuses[from], "pending") == 0;
			char sql[300];

			must("DELETE FROM invitations");
			snprintf(
			    sql, sizeof(sql),
			    "INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status) VALUES "
			    "('P%zu%zu', 1, %s, 5, 'USD', '%s')",
			    from, to, unaccepted ? "NULL" : "2", statuses[from]);
			must(sql);
			snprintf(sql, sizeof(sql), "UPDATE escrows SET status = '%s'%s WHERE public_id = 'P%zu%zu'",
			         statuses[to],
			         unaccepted && strcmp(statuses[to], "active") == 0 ? ", seller_id = 2" : "", from, to);
			CHECK_STR(try_sql(sql), may_become(statuses[from], statuses[to]) ? "ok" : "23514 escrows_path");
		}
	}
	/* each step is written down, a step that was none is not */
	CHECK_STR(get("SELECT count(*) FROM escrow_events"), "8");
}

static void trades_stay_what_was_agreed_on(void)
{
	static const char *const changes[] = {"amount = 999",     "currency = 'BTC'", "buyer_id = 3",  "seller_id = 3",
	                                      "seller_id = NULL", "public_id = 'T2'", "terms = 'less'"};

	trade("active");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char sql[100];

		snprintf(sql, sizeof(sql), "UPDATE escrows SET %s", changes[i]);
		CHECK_STR(try_sql(sql), "23514 escrows_as_agreed");
	}
	CHECK_STR(try_sql("UPDATE escrows SET terms = NULL"), "ok");
	CHECK_STR(try_sql("UPDATE escrows SET terms = 'new'"), "23514 escrows_as_agreed");
	CHECK_STR(try_sql("DELETE FROM escrows"), "23503 escrow_events_escrow_id_fkey");
	clean();
#define ESCROW(...)                                                                                                    \
	try_sql("INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status) VALUES " __VA_ARGS__)
	CHECK_STR(ESCROW("('a', 1, 1, 5, 'USD', 'active')"), "23514 escrows_two_people");
	CHECK_STR(ESCROW("('a', 1, NULL, 5, 'USD', 'active')"), "23514 escrows_seller");
	CHECK_STR(ESCROW("('a', 1, 2, 0, 'USD', 'active')"), "23514 escrows_amount_check");
	CHECK_STR(ESCROW("('a', 1, 2, -5, 'USD', 'active')"), "23514 escrows_amount_check");
	CHECK_STR(ESCROW("('a', 1, 2, 1000000000000001, 'USD', 'active')"), "23514 escrows_amount_check");
	CHECK_STR(ESCROW("('a', 1, 2, 5, 'EUR', 'active')"), "23503 escrows_currency_fkey");
	CHECK_STR(ESCROW("('a', 1, 2, 5, 'USD', 'paid')"), "23514 escrows_status_check");
	CHECK_STR(ESCROW("('a:b', 1, 2, 5, 'USD', 'active')"), "23514 escrows_public_id_check");
	CHECK_STR(ESCROW("('a', 99, 2, 5, 'USD', 'active')"), "23503 escrows_buyer_id_fkey");
	CHECK_STR(ESCROW("('a', 1, 2, 5, 'USD', 'active')"), "ok");
	CHECK_STR(ESCROW("('a', 1, 2, 5, 'USD', 'active')"), "23505 escrows_public_id_key");
}

static void invitations_are_used_once(void)
{
	trade("pending");
	CHECK_STR(try_sql("UPDATE invitations SET telegram_id = 44"), "23514 invitations_once");
	CHECK_STR(try_sql("UPDATE invitations SET token = 'x'"), "23514 invitations_once");
	CHECK_STR(COMMIT("escrow_accept", "k", BOB, "1"), "ok");
	CHECK_STR(try_sql("UPDATE invitations SET status = 'active'"), "23514 invitations_once");
	CHECK_STR(try_sql("UPDATE invitations SET status = 'declined'"), "23514 invitations_once");
	CHECK_STR(try_sql("UPDATE invitations SET status = 'lost'"), "23514 invitations_once");
	/* as erasing a person does */
	CHECK_STR(try_sql("UPDATE invitations SET telegram_id = NULL"), "ok");
	CHECK_STR(try_sql("UPDATE invitations SET telegram_id = 44"), "23514 invitations_once");
}

/* --- the statements */

static void new_person_is_made(void)
{
	clean();
	CHECK_STR(COMMIT("escrow_hello", "k1", "50", "Dan", "dan", "fr", "escrow"), "ok");
	CHECK_STR(get("SELECT concat_ws(' ', first_name, username, language_code, last_seen_at IS NOT NULL) FROM users "
	              "WHERE telegram_id = 50"),
	          "Dan dan fr t");
	must("INSERT INTO bot_users VALUES ('escrow', 4, now()), ('persona', 4, now())");
	CHECK_STR(COMMIT("escrow_hello", "k2", "50", "Dana", NONE, "fr", "escrow"), "ok");
	CHECK_STR(get("SELECT string_agg(bot, ' ') FROM bot_users WHERE blocked_at IS NOT NULL"), "persona");
	CHECK_STR(COMMIT("escrow_hello", "k2", "50", "Dan", NONE, NONE, "escrow"), "23505 guards_pkey");
	must("UPDATE users SET suspended_at = now() WHERE id = 4");
	CHECK_STR(COMMIT("escrow_hello", "k3", "50", "Dan", NONE, NONE, "escrow"), "SH001 changed");
	CHECK_STR(get("SELECT first_name FROM users WHERE id = 4"), "Dana");
}

static void dialogue_goes_on_from_where_it_was(void)
{
	clean();
#define STATE get("SELECT state FROM conversations WHERE bot = 'escrow' AND chat_id = 42")
	CHECK_STR(COMMIT("escrow_ask", "k1", ANN, NONE, "amount", NONE, NONE, NONE, "m1"), "ok");
	CHECK_STR(STATE, "{\"mark\": \"m1\", \"step\": \"amount\"}");
	CHECK_STR(COMMIT("escrow_ask", "k2", ANN, "m1", "review", "2.50", "USD", "a \"b\" <c>", "m2"), "ok");
	CHECK_STR(STATE,
	          "{\"mark\": \"m2\", \"step\": \"review\", \"terms\": \"a \\\"b\\\" <c>\", \"amount\": \"2.50\", "
	          "\"currency\": \"USD\"}");
	CHECK_STR(COMMIT("escrow_ask", "k3", ANN, "m1", "amount", NONE, NONE, NONE, "m3"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_ask", "k3", ANN, NONE, "amount", NONE, NONE, NONE, "m3"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_ask", "k3", ANN, "m2", NONE, NONE, NONE, NONE, NONE), "ok");
	CHECK_STR(STATE, "{}");
	CHECK_STR(COMMIT("escrow_ask", "k4", ANN, NONE, "amount", NONE, NONE, NONE, "m4"), "ok");
	/* nobody who is unknown or suspended */
	CHECK_STR(COMMIT("escrow_ask", "k5", "99", "X", NONE, NONE, "escrow", NONE, "amount", NONE, NONE, NONE, "m1"),
	          "SH001 changed");
	must("UPDATE users SET suspended_at = now()");
	CHECK_STR(COMMIT("escrow_ask", "k5", ANN, "m4", "amount", NONE, NONE, NONE, "m5"), "SH001 changed");
}

static void confirm_holds_the_money(void)
{
	clean();
	credit(1, "USD", 1000);
	reviewed();
	CHECK_STR(COMMIT("escrow_hold", "k1", ANN, "m1", "T1", "USD", "600", "a bicycle", "tok1"), "ok");
	CHECK_STR(wallet(1, "USD"), "400/600");
	CHECK_STR(
	    get("SELECT concat_ws(' ', public_id, buyer_id, seller_id IS NULL, amount, currency, status, terms, "
	        "expires_at BETWEEN now() + interval '23:59' AND now() + interval '24:00', changed_by) FROM escrows"),
	    "T1 1 t 600 USD pending a bicycle t 1");
	CHECK_STR(
	    get("SELECT concat_ws(' ', i.escrow_id, token, telegram_id IS NULL, i.status, i.expires_at = e.expires_at) "
	        "FROM invitations i, escrows e"),
	    "1 tok1 t active t");
	CHECK_STR(get("SELECT concat_ws(' ', key, kind, escrow_id) FROM ledger_transactions ORDER BY id DESC LIMIT 1"),
	          "trade:1:hold hold 1");
	CHECK_STR(STATE, "{}");
	/* the same review again, by another update: its dialogue is over */
	CHECK_STR(COMMIT("escrow_hold", "k2", ANN, "m1", "T2", "USD", "100", "x", "tok2"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_hold", "k1", ANN, "m1", "T2", "USD", "100", "x", "tok2"), "23505 guards_pkey");
	reviewed();
	CHECK_STR(COMMIT("escrow_hold", "k2", ANN, "m0", "T2", "USD", "100", "x", "tok2"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_hold", "k2", ANN, "m1", "T2", "USD", "401", "x", "tok2"), "SH001 funds");
	CHECK_STR(COMMIT("escrow_hold", "k2", ANN, "m1", "T2", "BTC", "1", "x", "tok2"), "SH001 funds");
	CHECK_STR(COMMIT("escrow_hold", "k2", ANN, "m1", "T2", "USD", "-5", "x", "tok2"), "23514 escrows_amount_check");
	CHECK_STR(COMMIT("escrow_hold", "k2", ANN, "m1", "T1", "USD", "5", "x", "tok2"), "23505 escrows_public_id_key");
	CHECK_STR(COMMIT("escrow_hold", "k2", ANN, "m1", "T2", "USD", "5", "x", "tok1"), "23505 invitations_token_key");
	/* not the one who is asked */
	CHECK_STR(COMMIT("escrow_hold", "k2", BOB, "m1", "T2", "USD", "5", "x", "tok2"), "SH001 changed");
	must("UPDATE users SET suspended_at = now() WHERE id = 1");
	CHECK_STR(COMMIT("escrow_hold", "k2", ANN, "m1", "T2", "USD", "5", "x", "tok2"), "SH001 changed");
	must("UPDATE users SET suspended_at = NULL");
	must("UPDATE conversations SET state = state || '{\"step\": \"terms\"}'");
	CHECK_STR(COMMIT("escrow_hold", "k2", ANN, "m1", "T2", "USD", "5", "x", "tok2"), "SH001 changed");
	CHECK_STR(
	    get("SELECT concat_ws(' ', (SELECT count(*) FROM escrows), (SELECT count(*) FROM invitations), (SELECT "
	        "count(*) FROM guards), (SELECT count(*) FROM ledger_transactions))"),
	    "1 1 1 2");
	CHECK_STR(wallet(1, "USD"), "400/600");
	CHECK_STR(books(), "");
}

static void first_to_open_is_invited(void)
{
	clean();
	credit(1, "USD", 1000);
	reviewed();
	CHECK_STR(HOLD("T1", "1000", "tok1"), "ok");
	CHECK_STR(COMMIT("escrow_open", "k1", ANN, "1"), "SH001 changed"); /* never the buyer */
	must("UPDATE users SET suspended_at = now() WHERE id = 3");
	CHECK_STR(COMMIT("escrow_open", "k1", CAT, "1"), "SH001 changed");
	must("UPDATE users SET suspended_at = NULL");
	/* also somebody whom nobody knew */
	must("INSERT INTO conversations (bot, chat_id, state) VALUES ('escrow', 50, '{\"step\": \"terms\"}'), "
	     "('escrow', 51, "
	     "'{\"step\": \"terms\"}'), ('persona', 50, '{\"x\": 1}')");
	CHECK_STR(COMMIT("escrow_open", "k1", "50", "Dan", "dan", "fr", "escrow", "1"), "ok");
	CHECK_STR(
	    get("SELECT string_agg(bot || chat_id, ' ' ORDER BY bot, chat_id) FROM conversations WHERE state <> '{}'"),
	    "escrow51 persona50"); /* what they were asked about a trade of their own is over */
	CHECK_STR(get("SELECT telegram_id FROM invitations"), "50");
	CHECK_STR(get("SELECT first_name FROM users WHERE telegram_id = 50"), "Dan");
	CHECK_STR(COMMIT("escrow_open", "k2", BOB, "1"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_accept", "k2", BOB, "1"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_decline", "k2", BOB, "1"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_accept", "k2", "50", "Dan", "dan", "fr", "escrow", "1"), "ok");
	CHECK_STR(
	    get("SELECT concat_ws(' ', e.status, u.telegram_id, i.status) FROM escrows e, invitations i, users u WHERE "
	        "u.id = seller_id"),
	    "active 50 accepted");
	/* too late, or over */
	clean();
	credit(1, "USD", 1000);
	reviewed();
	CHECK_STR(HOLD("T1", "1000", "tok1"), "ok");
	must("UPDATE escrows SET expires_at = now() - interval '1 ms'");
	CHECK_STR(COMMIT("escrow_open", "k3", BOB, "1"), "SH001 changed");
	must("UPDATE escrows SET expires_at = now() + interval '1 hour'");
	CHECK_STR(COMMIT("escrow_cancel", "k3", ANN, "1", "43"), "SH001 changed"); /* it was not opened */
	CHECK_STR(COMMIT("escrow_cancel", "k3", ANN, "1", NONE), "ok");
	CHECK_STR(COMMIT("escrow_open", "k4", BOB, "1"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_open", "k4", BOB, "99"), "SH001 changed");
	CHECK_STR(books(), "");
	/* opened after it was decided that nobody has to be told */
	clean();
	credit(1, "USD", 1000);
	reviewed();
	CHECK_STR(HOLD("T1", "1000", "tok1"), "ok");
	CHECK_STR(COMMIT("escrow_open", "k5", BOB, "1"), "ok");
	CHECK_STR(COMMIT("escrow_cancel", "k6", ANN, "1", NONE), "SH001 changed");
	CHECK_STR(COMMIT("escrow_cancel", "k6", ANN, "1", "44"), "SH001 changed");
	CHECK_STR(status(), "pending");
	CHECK_STR(COMMIT("escrow_cancel", "k6", ANN, "1", "43"), "ok");
	/* of several, by plain SQL, the newest is the one that is told about */
	clean();
	credit(1, "USD", 1000);
	reviewed();
	CHECK_STR(HOLD("T1", "1000", "tok1"), "ok");
	must("UPDATE invitations SET telegram_id = 44");
	must("INSERT INTO invitations (escrow_id, token) SELECT id, 'tok2' FROM escrows");
	CHECK_STR(COMMIT("escrow_cancel", "k7", ANN, "1", NONE), "ok");
	CHECK_STR(get("SELECT string_agg(DISTINCT status, ' ') FROM invitations"), "expired");
}

/* Rows of plain SQL that say of no moment that it is the end. */
static void a_trade_without_an_end(void)
{
	static const char *const ends[] = {"NULL", "'-infinity'", "'infinity'"};
	PGresult *due;
	char sql[100];

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		clean();
		credit(1, "USD", 1000);
		reviewed();
		CHECK_STR(HOLD("T1", "1000", "tok1"), "ok");
		snprintf(sql, sizeof(sql), "UPDATE escrows SET expires_at = %s", ends[i]);
		must(sql);
		due = sql_run(db, "fleet_due_trades", &(struct pg_params){.n = 2});
		CHECK(PQresultStatus(due) == PGRES_TUPLES_OK);
		CHECK_INT(PQntuples(due), 0);
		PQclear(due);
		CHECK_STR(COMMIT("escrow_open", "k1", BOB, "1"), "ok");
		CHECK_STR(COMMIT("escrow_accept", "k2", BOB, "1"), "ok");
		CHECK_STR(books(), "");
	}
}

/* Who may bring a trade from where to where, and what then is in Ann's and Bob's wallets. */
static const struct act {
	const char *statement, *from, *to;
	bool buyer, seller;
	const char *ann, *bob, *kind, *invitation;
	const char *invited; /* one that names who has opened the invitation */
} acts[] = {
    {"escrow_accept", "pending", "active", false, true, "9000/1000", "", "", "accepted", NULL},
    {"escrow_decline", "pending", "cancelled", false, true, "10000/0", "", "cancel", "declined", NULL},
    {"escrow_cancel", "pending", "cancelled", true, false, "10000/0", "", "cancel", "expired", "43"},
    {"escrow_release", "active", "released", true, false, "9000/0", "1000/0", "release", "accepted", NULL},
    {"escrow_refund", "active", "refunded", false, true, "10000/0", "", "refund", "accepted", NULL},
    {"escrow_dispute", "active", "disputed", true, true, "9000/1000", "", "", "accepted", NULL},
};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

/* By Ann, Bob or Cat. */
static const char *act_by(const struct act *a, int who)
{
	static const char *const people[][5] = {{ANN}, {BOB}, {CAT}};
	const char *const *p = people[who], *v[] = {"act", "[]", p[0], p[1], p[2], p[3], p[4], "1", a->invited};
	static char out[512];

	return run_on(db, out, sizeof(out), a->statement, v, a->invited ? 9 : 8);
}

static void each_act_by_the_right_one_in_the_right_state(void)
{
	for (size_t i = 0; i < ACTS; i++) {
		const struct act *a = &acts[i];

		for (int who = 0; who < 3; who++) {
			bool allowed = (who == 0 && a->buyer) || (who == 1 && a->seller);

			for (size_t s = 0; s < STATUSES; s++) {
				bool good = allowed && strcmp(statuses[s], a->from) == 0;
				char before[4096];

				trade(statuses[s]);
				snprintf(before, sizeof(before), "%s", everything());
				CHECK_STR(act_by(a, who), good ? "ok" : "SH001 changed");
				if (!good) {
					CHECK_STR(everything(), before);
					continue;
				}
				CHECK_STR(status(), a->to);
				CHECK_STR(wallet(1, "USD"), a->ann);
				CHECK_STR(wallet(2, "USD"), a->bob);
				CHECK_STR(get("SELECT kind FROM ledger_transactions WHERE key = 'trade:1:end'"),
				          a->kind);
				CHECK_STR(get("SELECT status FROM invitations"), a->invitation);
				CHECK_STR(get("SELECT changed_by FROM escrows"), who == 0 ? "1" : "2");
				CHECK_STR(books(), "");
				CHECK_STR(act_by(a, who), "23505 guards_pkey");
			}
		}
	}
}

static void suspended_person_does_nothing(void)
{
	for (size_t i = 0; i < ACTS; i++) {
		trade(acts[i].from);
		must("UPDATE users SET suspended_at = now()");
		CHECK_STR(act_by(&acts[i], acts[i].buyer ? 0 : 1), "SH001 changed");
		CHECK_STR(status(), acts[i].from);
	}
}

static void time_runs_out(void)
{
	trade("pending");
	CHECK_STR(COMMIT("escrow_expire", "k1", "1"), "SH001 changed"); /* not yet */
	must("UPDATE escrows SET expires_at = now()");
	CHECK_STR(COMMIT("escrow_accept", "k1", BOB, "1"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_expire", "k1", "1"), "ok");
	CHECK_STR(wallet(1, "USD"), "10000/0");
	CHECK_STR(get("SELECT concat_ws(' ', e.status, changed_by IS NULL, i.status) FROM escrows e, invitations i"),
	          "expired t expired");
	CHECK_STR(COMMIT("escrow_expire", "k2", "1"), "SH001 changed");
	CHECK_STR(books(), "");
	/* once it is accepted, time does not matter any more */
	trade("active");
	must("UPDATE escrows SET expires_at = now()");
	CHECK_STR(COMMIT("escrow_expire", "k1", "1"), "SH001 changed");
	CHECK_STR(COMMIT("escrow_release", "k1", ANN, "1"), "ok");
	/* to decline and to cancel is possible until somebody says that it is over */
	trade("pending");
	must("UPDATE escrows SET expires_at = now() - interval '1 hour'");
	CHECK_STR(COMMIT("escrow_decline", "k9", BOB, "1"), "ok");
	CHECK_STR(books(), "");
}

/* A trade that somebody made by hand without holding its money gives nobody any. */
static void money_that_is_not_held_is_not_given(void)
{
	clean();
	credit(1, "USD", 10000);
	must("INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status) VALUES ('T1', 1, 2, 1000, "
	     "'USD', 'active')");
	CHECK_STR(COMMIT("escrow_release", "k1", ANN, "1"), "SH001 funds");
	CHECK_STR(status(), "active");
	CHECK_STR(wallet(1, "USD"), "10000/0");
}

/* --- an admin decides */

static const char *resolve(const char *status, const char *undisputed)
{
	static char out[512];
	const char *v[] = {"T1", status, "a note", "somebody", undisputed};

	return run_on(db, out, sizeof(out), "cli_trade_resolve", v, 5);
}

static void decision_moves_the_money_and_is_told_once(void)
{
	for (size_t i = 0; i < STATUSES; i++) {
		char before[4096];

		trade(statuses[i]);
		snprintf(before, sizeof(before), "%s", everything());
		CHECK_STR(resolve("released", "f"), "ok");
		if (strcmp(statuses[i], "disputed") != 0)
			CHECK_STR(everything(), before);
		CHECK_STR(books(), "");
		trade(statuses[i]);
		snprintf(before, sizeof(before), "%s", everything());
		CHECK_STR(resolve("released", "t"), "ok"); /* the two are gone */
		if (strcmp(statuses[i], "disputed") != 0 && strcmp(statuses[i], "active") != 0)
			CHECK_STR(everything(), before);
		else
			CHECK_STR(wallet(2, "USD"), "1000/0");
		CHECK_STR(books(), "");
	}
	trade("disputed");
	CHECK_STR(resolve("refunded", "f"), "ok");
	CHECK_STR(wallet(1, "USD"), "10000/0");
	CHECK_STR(get("SELECT changed_by IS NULL FROM escrows"), "t");
	CHECK_STR(COMMIT("escrow_told", "t1", "1", "43"), "ok");
	CHECK_STR(COMMIT("escrow_told", "t1", "1", "43"), "23505 guards_pkey");
	CHECK_STR(COMMIT("escrow_told", "t2", "1", "43"), "SH001 told");
	CHECK_STR(COMMIT("escrow_told", "t2", "1", "44"), "SH001 told");
	CHECK_STR(get("SELECT string_agg(user_id::text, ' ') FROM escrow_notices"), "1");
	CHECK_STR(resolve("refunded", "f"), "ok");
	CHECK_STR(get("SELECT string_agg(user_id::text, ' ') FROM escrow_notices"), "1");
	CHECK_STR(get("SELECT count(*) FROM admin_audit"), "1");
}

/* --- at once */

struct racer {
	PGconn *conn;
	pthread_t thread;
	const char *statement;
	const char *v[16];
	int n;
	char result[160];
};

static void *run_racer(void *arg)
{
	struct racer *r = arg;

	run_on(r->conn, r->result, sizeof(r->result), r->statement, r->v, r->n);
	return NULL;
}

static void run_racers(struct racer *racers, int n)
{
	for (int i = 0; i < n; i++)
		CHECK(pthread_create(&racers[i].thread, NULL, run_racer, &racers[i]) == 0);
	for (int i = 0; i < n; i++)
		pthread_join(racers[i].thread, NULL);
}

#define RACER(connection, name, ...)                                                                                   \
	{                                                                                                              \
		.conn = (connection), .statement = (name), .v = {__VA_ARGS__},                                         \
		.n = (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))                                     \
	}

/* What two people can do from each state; the clock and an admin are people here. */
static const struct duel {
	const char *state;
	struct racer acts[6];
} duels[] = {
    {"pending",
     {RACER(NULL, "escrow_accept", "a", "[]", BOB, "1"), RACER(NULL, "escrow_decline", "b", "[]", BOB, "1"),
      RACER(NULL, "escrow_cancel", "c", "[]", ANN, "1", "43"), RACER(NULL, "escrow_expire", "d", "[]", "1")}},
    {"active",
     {RACER(NULL, "escrow_release", "a", "[]", ANN, "1"), RACER(NULL, "escrow_refund", "b", "[]", BOB, "1"),
      RACER(NULL, "escrow_dispute", "c", "[]", ANN, "1"), RACER(NULL, "escrow_dispute", "d", "[]", BOB, "1"),
      RACER(NULL, "cli_trade_resolve", "T1", "released", "n", "a", "t")}},
    {"disputed",
     {RACER(NULL, "cli_trade_resolve", "T1", "released", "n", "a", "f"),
      RACER(NULL, "cli_trade_resolve", "T1", "refunded", "n", "b", "f"),
      RACER(NULL, "escrow_release", "c", "[]", ANN, "1"), RACER(NULL, "escrow_refund", "d", "[]", BOB, "1")}},
};

/* Those that did something; the others were told that it changed. */
static int winners(const struct racer *racers)
{
	int won = atoi(get("SELECT count(*) FROM admin_audit"));

	for (int i = 0; i < 2; i++) {
		bool admin = strcmp(racers[i].statement, "cli_trade_resolve") == 0;

		won += !admin && strcmp(racers[i].result, "ok") == 0;
		CHECK(strcmp(racers[i].result, "ok") == 0 || strcmp(racers[i].result, "SH001 changed") == 0);
	}
	return won;
}

/* The two at once; how many of them did something. */
static int fight(const struct duel *d, struct racer one, struct racer two, bool late)
{
	struct racer racers[] = {one, two};
	int steps, won;

	trade(d->state);
	if (late)
		must("UPDATE escrows SET expires_at = now()");
	steps = atoi(get("SELECT count(*) FROM escrow_events"));
	run_racers(racers, 2);
	won = winners(racers);
	CHECK_INT(atoi(get("SELECT count(*) FROM escrow_events")) - steps, won);
	/* an admin may end what was disputed a moment before; nobody else can go on where the other one ended */
	if (won > 1)
		CHECK_STR(get("SELECT string_agg(status, ' ' ORDER BY id) FROM escrow_events"),
		          "active disputed released");
	CHECK(won <= 2);
	CHECK_STR(books(), "");
	CHECK_STR(wallet(2, "USD"), strcmp(status(), "released") == 0 ? "1000/0" : "");
	return won;
}

static void two_at_once_have_one_winner(void)
{
	PGconn *one = pgserver_connect(&server), *two = pgserver_connect(&server);
	int won = 0;

	for (const struct duel *d = duels; d < duels + sizeof(duels) / sizeof(duels[0]); d++) {
		for (int n = 0; d->acts[n / 5].statement; n++) { /* all pairs */
			struct racer a = d->acts[n / 5], b = d->acts[n % 5];

			if (n % 5 >= n / 5)
				continue;
			a.conn = one;
			b.conn = two;
			won += fight(d, a, b, false) + fight(d, a, b, true);
		}
	}
	CHECK(won > 35); /* nobody wins where nobody may do anything */
	PQfinish(one);
	PQfinish(two);
}

/* Nobody who has opened an invitation is left out where the buyer thought that there was nobody to tell. */
static void opened_or_cancelled_never_both(void)
{
	PGconn *one = pgserver_connect(&server), *two = pgserver_connect(&server);
	int opened = 0;

	for (int round = 0; round < 40; round++) {
		struct racer racers[] = {RACER(one, "escrow_open", "a", "[]", BOB, "1"),
		                         RACER(two, "escrow_cancel", "b", "[]", ANN, "1", NONE)};

		clean();
		credit(1, "USD", 1000);
		reviewed();
		CHECK_STR(HOLD("T1", "1000", "tok1"), "ok");
		run_racers(racers, 2);
		bool first = strcmp(racers[0].result, "ok") == 0;
		CHECK_STR(racers[first].result, "SH001 changed");
		CHECK_STR(racers[!first].result, "ok");
		CHECK_STR(status(), first ? "pending" : "cancelled");
		CHECK_STR(books(), "");
		opened += first;
	}
	CHECK(opened > 0);
	PQfinish(one);
	PQfinish(two);
}

static void two_admins_decide_once(void)
{
	PGconn *one = pgserver_connect(&server), *two = pgserver_connect(&server);

	for (int round = 0; round < 20; round++) {
		struct racer racers[] = {RACER(one, "cli_trade_resolve", "T1", "released", "n", "a", "f"),
		                         RACER(two, "cli_trade_resolve", "T1", "refunded", "n", "b", "f")};

		trade("disputed");
		run_racers(racers, 2);
		CHECK_STR(racers[0].result, "ok");
		CHECK_STR(racers[1].result, "ok");
		CHECK_STR(books(), "");
		CHECK_STR(get("SELECT count(*) FROM admin_audit"), "1");
		CHECK_STR(get("SELECT count(*) FROM escrow_notices"), "2");
		CHECK_STR(get("SELECT details ->> 'outcome' FROM admin_audit"), status());
		CHECK_STR(wallet(2, "USD"), strcmp(status(), "released") == 0 ? "1000/0" : "");
	}
	PQfinish(one);
	PQfinish(two);
}

/* A row that is locked and then changed by one statement can be in its own way, where others refer to the row
 * meanwhile. */
static void operators_at_once_do_not_block(void)
{
	enum { N = 6 };
	PGconn *conns[N];
	int good = 0;

	clean();
	for (int i = 0; i < N; i++)
		conns[i] = pgserver_connect(&server);
	for (int round = 0; round < 10; round++) {
		struct racer racers[N];

		for (int i = 0; i < N; i++)
			racers[i] = (struct racer)RACER(conns[i], "cli_user_suspend", "42", i % 2 ? "t" : "f", "me");
		racers[N - 1] =
		    (struct racer)RACER(conns[N - 1], "cli_wallet_credit", "42", "USD", "5", next_key(), "me");
		must("BEGIN");
		must("SELECT FROM users WHERE telegram_id = 42 FOR KEY SHARE");
		run_racers(racers, N);
		must("COMMIT");
		for (int i = 0; i < N; i++)
			good += strcmp(racers[i].result, "ok") == 0;
	}
	for (int i = 0; i < N; i++)
		PQfinish(conns[i]);
	CHECK_INT(good, 10 * N);
	CHECK_STR(wallet(1, "USD"), "50/0");
}

static void crowd_opens_an_invitation(void)
{
	enum { N = 10 };
	static char ids[N][8], keys[N][8];
	struct racer racers[N];
	int won = 0;

	clean();
	credit(1, "USD", 1000);
	reviewed();
	CHECK_STR(HOLD("T1", "1000", "tok1"), "ok");
	for (int i = 0; i < N; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%d", 100 + i);
		snprintf(keys[i], sizeof(keys[i]), "o%d", i);
		racers[i] = (struct racer)RACER(pgserver_connect(&server), "escrow_open", keys[i], "[]", ids[i], "X",
		                                NONE, NONE, "escrow", "1");
	}
	run_racers(racers, N);
	for (int i = 0; i < N; i++) {
		won += strcmp(racers[i].result, "ok") == 0;
		PQfinish(racers[i].conn);
	}
	CHECK_INT(won, 1);
	CHECK_STR(get("SELECT count(*) FROM users WHERE telegram_id >= 100"), "1"); /* losers leave nothing behind */
}

/* People who trade with each other in both directions: all succeed, none waits for the other for ever. */
static void opposite_directions_do_not_block(void)
{
	enum { N = 12 };
	static char trades[N][8], keys[N][8];
	struct racer racers[N];
	int good = 0;

	clean();
	credit(1, "USD", 10000);
	credit(2, "USD", 10000);
	for (int i = 0; i < N; i++) {
		char sql[400];

		snprintf(
		    sql, sizeof(sql),
		    "WITH e AS (INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status) VALUES "
		    "('T%d', %d, %d, 100, 'USD', 'active') RETURNING *) SELECT book('h%d', 'hold', id, currency, "
		    "amount, "
		    "'available', buyer_id, 'held', buyer_id) FROM e",
		    i, i % 2 ? 1 : 2, i % 2 ? 2 : 1, i);
		must(sql);
		snprintf(trades[i], sizeof(trades[i]), "%s", last_trade());
		snprintf(keys[i], sizeof(keys[i]), "x%d", i);
		if (i % 2)
			racers[i] = (struct racer)RACER(pgserver_connect(&server), "escrow_release", keys[i], "[]", ANN,
			                                trades[i]);
		else
			racers[i] = (struct racer)RACER(pgserver_connect(&server), "escrow_release", keys[i], "[]", BOB,
			                                trades[i]);
	}
	CHECK_STR(books(), "");
	run_racers(racers, N);
	for (int i = 0; i < N; i++) {
		good += strcmp(racers[i].result, "ok") == 0;
		PQfinish(racers[i].conn);
	}
	CHECK_INT(good, N);
	CHECK_STR(wallet(1, "USD"), "10000/0");
	CHECK_STR(wallet(2, "USD"), "10000/0");
	CHECK_STR(books(), "");
}

/* --- loads */

#define LOAD(name, ...) load_into(name, &f, &a, (const char *const[]){__VA_ARGS__})

static void load_tells_what_there_is(void)
{
	struct arena a;
	struct facts f;

	arena_init(&a);
	clean();
	LOAD("escrow_load", "99", "escrow", NONE, NONE); /* somebody unknown */
	CHECK(!f.user.known && !f.draft.step && !f.trade.found);
	CHECK_INT(f.wallets.n, 4);
	CHECK_STR(f.wallets.v[0].currency, "BTC");
	CHECK(f.wallets.v[0].scale == 8 && f.wallets.v[0].available == 0 && f.wallets.v[0].held == 0);
	trade("pending");
	reviewed();
	must(
	    "UPDATE conversations SET state = state || '{\"amount\": \"5\", \"currency\": \"BTC\", \"terms\": \"t\"}'");
	must("INSERT INTO bot_users VALUES ('escrow', 1, now()), ('persona', 2, now())");
	LOAD("escrow_load", "42", "escrow", "T1", NONE);
	CHECK(f.user.known && f.user.id == 1 && !f.user.suspended && f.user.blocked);
	CHECK_STR(f.draft.step, "review");
	CHECK_STR(f.draft.amount, "5");
	CHECK_STR(f.draft.currency, "BTC");
	CHECK_STR(f.draft.terms, "t");
	CHECK_STR(f.draft.mark, "m1");
	CHECK_STR(f.wallets.v[2].currency, "USD");
	CHECK(f.wallets.v[2].available == 9000 && f.wallets.v[2].held == 1000 && f.wallets.v[2].scale == 2);
	CHECK(f.trade.found && f.trade.id == 1 && f.trade.amount == 1000 && f.trade.scale == 2);
	CHECK_STR(f.trade.public_id, "T1");
	CHECK_STR(f.trade.status, "pending");
	CHECK_STR(f.trade.currency, "USD");
	CHECK_STR(f.trade.terms, "an old bicycle");
	CHECK_INT(f.trade.expires_ms / 1000, atoll(get("SELECT floor(extract(epoch FROM expires_at)) FROM escrows")));
	CHECK(f.now_ms < f.trade.expires_ms &&
	      f.now_ms > f.trade.expires_ms - 24 * 3600 * 1000); /* the server's time */
	CHECK(f.trade.buyer.known && f.trade.buyer.id == 1 && f.trade.buyer.telegram_id == 42 && f.trade.buyer.blocked);
	CHECK_STR(f.trade.buyer.first_name, "Ann");
	CHECK_STR(f.trade.buyer.language_code, "en");
	CHECK(f.trade.invitation_id == 1 && f.trade.invited == 43);
	CHECK_STR(f.trade.invitation_token, "tok1");
	/* the seller to be: who opened it */
	CHECK(f.trade.seller.known && f.trade.seller.telegram_id == 43 && !f.trade.seller.blocked);
	CHECK_STR(f.trade.seller.language_code, "de");
	LOAD("escrow_load", "44", "escrow", NONE, "tok1");
	CHECK(f.user.id == 3 && f.trade.found && !f.draft.step && f.wallets.n == 4 && f.wallets.v[2].available == 0);
	LOAD("escrow_load", "44", "escrow", "T9", NONE);
	CHECK(!f.trade.found && !f.trade.buyer.known && !f.trade.seller.known);
	LOAD("escrow_load", "44", "escrow", NONE, "tok9");
	CHECK(!f.trade.found);
	must("UPDATE users SET suspended_at = now() WHERE id = 1");
	must("UPDATE invitations SET telegram_id = NULL");
	LOAD("escrow_load", "42", "escrow", "T1", NONE);
	CHECK(f.user.suspended && f.trade.invited == 0 && !f.trade.seller.known);
	must("UPDATE escrows SET expires_at = 'infinity'"); /* by plain SQL: never */
	LOAD("escrow_load", "42", "escrow", "T1", NONE);
	CHECK(f.trade.found && f.trade.expires_ms == 0);
	trade("active");
	must("UPDATE users SET telegram_id = NULL, first_name = NULL WHERE id = 2"); /* erased */
	must("UPDATE invitations SET telegram_id = NULL");
	LOAD("escrow_load", "42", "escrow", "T1", NONE);
	CHECK(f.trade.seller.known && f.trade.seller.id == 2 && f.trade.seller.telegram_id == 0);
	arena_release(&a);
}

static void list_comes_in_pages(void)
{
	struct arena a;
	struct facts f;

	arena_init(&a);
	clean();
	reviewed();
	LOAD("escrow_load_trades", "42", "escrow", NONE, NONE);
	CHECK_STR(f.draft.step, "review");
	CHECK_STR(f.draft.mark, "m1");
	CHECK(f.user.known && f.listing.n == 0);
	LOAD("escrow_load_trades", "99", "escrow", NONE, NONE);
	CHECK(!f.user.known && f.listing.n == 0);
	/* 20 trades: Ann is in all but the last five, buyer of every other one */
	must("INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status) SELECT 'T' || i, CASE "
	     "WHEN i > "
	     "15 THEN 3 WHEN i % 2 = 0 THEN 1 ELSE 2 END, CASE WHEN i <= 15 AND i % 2 = 0 THEN 2 WHEN i <= 15 THEN 1 "
	     "ELSE 2 "
	     "END, i, 'USD', 'active' FROM generate_series(1, 20) i");
	/* to two of Cat's she is invited, to one of them still */
	must("INSERT INTO escrows (public_id, buyer_id, amount, currency) VALUES ('I1', 3, 5, 'BTC'), ('I2', 3, 5, "
	     "'BTC')");
	must("INSERT INTO invitations (escrow_id, token, telegram_id, status) VALUES (21, 'a', 42, 'active'), (22, "
	     "'b', 42, "
	     "'declined'), (16, 'c', 43, 'active')");
	LOAD("escrow_load_trades", "42", "escrow", NONE, NONE);
	CHECK_INT(f.listing.n, 7);
	CHECK_STR(f.listing.v[0].public_id, "I1");
	CHECK(!f.listing.v[0].mine && f.listing.v[0].scale == 8);
	CHECK_STR(f.listing.v[0].status, "pending");
	CHECK(f.listing.v[1].id == 15 && !f.listing.v[1].mine && f.listing.v[2].id == 14 && f.listing.v[2].mine);
	CHECK(f.listing.v[6].id == 10 && f.listing.v[6].amount == 10);
	LOAD("escrow_load_trades", "42", "escrow", "3", NONE);
	CHECK(f.listing.n == 2 && f.listing.v[0].id == 2 && f.listing.v[1].id == 1);
	LOAD("escrow_load_trades", "42", "escrow", NONE, "2");
	CHECK(f.listing.n == 7 && f.listing.v[0].id == 9 && f.listing.v[6].id == 3);
	LOAD("escrow_load_trades", "42", "escrow", NONE, "21");
	CHECK(f.user.known && f.listing.n == 0);
	arena_release(&a);
}

/* --- plans */

static void plan(const char *name, int nparams, const char *args)
{
	check_plan(name, nparams, args, (const char *const[]){NULL});
}

static void many_trades(const char *n)
{
	char sql[1000];

	clean();
	must("INSERT INTO users (telegram_id) SELECT 100000 + i FROM generate_series(1, 10000) i");
	must("INSERT INTO wallets (user_id, currency, available) SELECT id, 'USD', 5 FROM users");
	snprintf(
	    sql, sizeof(sql),
	    "INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status, created_at, expires_at) "
	    "SELECT 'P' || i, 4 + i %% 9999, 4 + (i + 1 + i %% 7) %% 9999, 100, 'USD', "
	    "(ARRAY['active', 'released', 'released', 'released', 'refunded', 'cancelled', 'expired', 'disputed', "
	    "'pending', 'released'])[1 + i %% 10], now() - i * interval '1 s', now() + (i %% 1000) * interval '1 "
	    "minute' "
	    "FROM generate_series(1, %s) i",
	    n);
	must(sql);
	must("ANALYZE"); /* or this connection goes on with plans for a few rows */
	must("INSERT INTO invitations (escrow_id, token, telegram_id, status) SELECT id, 'tok' || id, 100000 + id % "
	     "9999, "
	     "CASE WHEN status = 'pending' THEN 'active' ELSE 'accepted' END FROM escrows");
	must("INSERT INTO conversations (bot, chat_id) SELECT 'escrow', 100000 + i FROM generate_series(1, 10000) i");
	must("INSERT INTO bot_users SELECT 'escrow', id, NULL FROM users");
	must("INSERT INTO guards (key) SELECT 'g' || i FROM generate_series(1, 10000) i");
	must("INSERT INTO escrow_notices SELECT id, buyer_id FROM escrows WHERE id % 4 = 0");
	must("ANALYZE");
}

static void everything_goes_by_index(void)
{
	static const char *const closers[] = {"escrow_accept", "escrow_decline", "escrow_release", "escrow_refund",
	                                      "escrow_dispute"};
	const char *n = getenv("TRADES");

	many_trades(n ? n : "20000");
	for (int generic = 0; generic < 2; generic++) {
		must(generic ? "SET plan_cache_mode = force_generic_plan" : "RESET plan_cache_mode");
		plan("escrow_load", 4, "'100005', 'escrow', 'P77', NULL");
		plan("escrow_load", 4, "'100005', 'escrow', NULL, 'tok77'");
		plan("escrow_load_trades", 4, "'100005', 'escrow', NULL, NULL");
		plan("escrow_load_trades", 4, "'100005', 'escrow', '77777', NULL");
		plan("escrow_load_trades", 4, "'100005', 'escrow', NULL, '77'");
		for (size_t i = 0; i < sizeof(closers) / sizeof(closers[0]); i++)
			plan(closers[i], 8, "'k', '[]', '100005', 'a', NULL, NULL, 'escrow', '77'");
		plan("escrow_cancel", 9, "'k', '[]', '100005', 'a', NULL, NULL, 'escrow', '77', NULL");
		plan("escrow_expire", 3, "'k', '[]', '77'");
		plan("escrow_open", 8, "'k', '[]', '100005', 'a', NULL, NULL, 'escrow', '77'");
		plan("escrow_hold", 13,
		     "'k', '[]', '100005', 'a', NULL, NULL, 'escrow', 'm', 'T1', 'USD', '5', 'x', 'newtoken'");
		plan("escrow_ask", 13, "'k', '[]', '100005', 'a', NULL, NULL, 'escrow', NULL, 's', 'a', 'c', 't', 'm'");
		plan("fleet_due_trades", 2, "NULL, NULL");
		plan("fleet_due_trades", 2, "'2026-01-01', '77'");
		plan("fleet_untold", 2, "NULL, NULL");
		plan("fleet_untold", 2, "'77', '5'");
		plan("escrow_told", 4, "'k', '[]', '77', '100005'");
		plan("cli_trade_resolve", 5, "'P77', 'released', 'n', 'a', false");
		plan("cli_wallet_show", 1, "'100005'");
		plan("cli_wallet_credit", 5, "'100005', 'USD', '5', 'k', 'a'");
		plan("cli_wallet_debit", 5, "'100005', 'USD', '5', 'k', 'a'");
	}
	must("RESET plan_cache_mode");
	CHECK(index_serves("users_telegram_id_key", "SELECT FROM users WHERE telegram_id = 100005"));
	CHECK(index_serves("escrows_buyer_status", "SELECT FROM escrows WHERE buyer_id = 77 AND status = 'active'"));
	CHECK(index_serves("escrows_seller_status", "SELECT FROM escrows WHERE seller_id = 77 AND status = 'active'"));
	CHECK(index_serves("escrows_created", "SELECT * FROM escrows ORDER BY created_at DESC LIMIT 50"));
	CHECK(index_serves("escrows_due", "SELECT FROM escrows WHERE status = 'pending' AND expires_at < now()"));
	CHECK(index_serves("wallets_pkey", "SELECT FROM wallets WHERE user_id = 77 AND currency = 'USD'"));
	CHECK(index_serves("invitations_telegram_status",
	                   "SELECT FROM invitations WHERE telegram_id = 100005 AND status = 'active'"));
	CHECK(index_serves("invitations_token_key", "SELECT FROM invitations WHERE token = 'tok77'"));
	CHECK(index_serves("escrows_public_id_key", "SELECT FROM escrows WHERE public_id = 'P77'"));
	CHECK(index_serves("escrows_buyer_newest",
	                   "SELECT id FROM escrows WHERE buyer_id = 77 ORDER BY id DESC LIMIT 7"));
}

int main(void)
{
	sqlcheck_begin();
	RUN(currencies_are_there);
	RUN(every_column_can_be_inserted);
	RUN(wallets_change_by_the_ledger_only);
	RUN(ledger_only_grows);
	RUN(entries_sum_to_zero);
	RUN(trade_is_settled_once);
	RUN(money_follows_the_state);
	RUN(trades_go_legal_ways_only);
	RUN(trades_stay_what_was_agreed_on);
	RUN(invitations_are_used_once);
	RUN(new_person_is_made);
	RUN(dialogue_goes_on_from_where_it_was);
	RUN(confirm_holds_the_money);
	RUN(first_to_open_is_invited);
	RUN(a_trade_without_an_end);
	RUN(each_act_by_the_right_one_in_the_right_state);
	RUN(suspended_person_does_nothing);
	RUN(time_runs_out);
	RUN(money_that_is_not_held_is_not_given);
	RUN(decision_moves_the_money_and_is_told_once);
	RUN(two_at_once_have_one_winner);
	RUN(opened_or_cancelled_never_both);
	RUN(two_admins_decide_once);
	RUN(operators_at_once_do_not_block);
	RUN(crowd_opens_an_invitation);
	RUN(opposite_directions_do_not_block);
	RUN(load_tells_what_there_is);
	RUN(list_comes_in_pages);
	RUN(everything_goes_by_index);
	PQfinish(db);
	DONE();
}
