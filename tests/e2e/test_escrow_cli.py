"""shoal wallet, shoal trade, and what erasing somebody leaves of their money, against a real Redis and PostgreSQL."""
import concurrent.futures
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lib  # noqa: E402
from lib import check  # noqa: E402
from pgbouncer import postgres_env  # noqa: E402

BIN = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/shoal")
DONE, FAILED, USAGE, NO_SERVER, NOT_THERE = range(5)
ANN, BOB = 42, 43

redis = lib.start_redis()
pg = lib.start_postgres()
r = redis.client()
BASE = {"SHOAL_REDIS_URL": redis.url, **postgres_env(pg)}


def shoal(*args, **env):
    done = subprocess.run([BIN, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
                          env=lib.clean_env(**{**BASE, **env}), timeout=lib.PATIENCE)
    return done.returncode, done.stdout.decode() + done.stderr.decode(), done.stdout.decode()


def expect(name, ran, code, *texts):
    return check(name, ran[0] == code and all(t in ran[1] for t in texts), "want exit %d with %r, got %d\n%s" % (
        code, texts, ran[0], ran[1]))


def one(sql, *parameters):
    rows = pg.rows(sql, *parameters)
    return rows[0][0] if rows else None


def wallet(user, currency="USD"):
    return {w["currency"]: (w["available"], w["held"]) for w in json.loads(
        shoal("wallet", "show", user, "--json")[2])}[currency]


shoal("migrate")
pg.rows("insert into users (telegram_id, first_name) values (%s, 'Ann'), (%s, 'Bob')", ANN, BOB)

# --- wallets

code, _, out = shoal("wallet", "show", ANN, "--json")
check("wallet_show_json", code == DONE and json.loads(out) == [
    {"currency": c, "available": "0.00", "held": "0.00"} for c in ("BTC", "ETH", "USD", "USDT")], out)
expect("wallet_show", shoal("wallet", "show", ANN), DONE, "CURRENCY", "USDT", "0.00")
expect("wallet_show_of_nobody", shoal("wallet", "show", 99), NOT_THERE, "99")
expect("wallet_credit", shoal("wallet", "credit", ANN, "USD", "100.5", "--key", "pay-1"), DONE, "42 credited 100.50 USD")
check("wallet_credit_books", wallet(ANN) == ("100.50", "0.00") and pg.rows(
    "select t.key, t.kind, account, amount, u.telegram_id from ledger_entries l join ledger_transactions t "
    "on t.id = transaction_id join users u on u.id = l.user_id order by l.id") == [
        ("pay-1", "credit", "outside", -10050, ANN), ("pay-1", "credit", "available", 10050, ANN)])
check("wallet_credit_is_audited", pg.rows(
    "select action, target, details->>'amount', details->>'currency', details->>'key', actor like 'cli:%%' "
    "from admin_audit") == [("wallet.credit", "user:1", "10050", "USD", "pay-1", True)])
expect("wallet_credit_again", shoal("wallet", "credit", ANN, "usd", "100.50", "--key", "pay-1"), DONE, "before under this key")
for what, args in [("amount", (ANN, "USD", "100.51")), ("currency", (ANN, "USDT", "100.5")), ("person", (BOB, "USD", "100.5"))]:
    expect("wallet_credit_under_a_key_of_another_%s" % what, shoal("wallet", "credit", *args, "--key", "pay-1"), FAILED,
           "pay-1", "something else")
expect("wallet_debit_under_a_key_of_a_credit", shoal("wallet", "debit", ANN, "USD", "100.5", "--key", "pay-1"), FAILED, "pay-1")
check("wallet_repetitions_do_nothing", wallet(ANN) == ("100.50", "0.00") and one("select count(*) from admin_audit") == 1
      and wallet(BOB) == ("0.00", "0.00"))
expect("wallet_debit_of_too_much", shoal("wallet", "debit", ANN, "USD", "100.51", "--key", "out-1"), FAILED,
       "less than 100.51 USD is available")
expect("wallet_debit_without_a_wallet", shoal("wallet", "debit", BOB, "BTC", "1", "--key", "out-1"), FAILED, "available")
expect("wallet_debit", shoal("wallet", "debit", ANN, "USD", "0.50", "--key", "out-1"), DONE, "42 debited 0.50 USD")
expect("wallet_debit_again", shoal("wallet", "debit", ANN, "USD", "0.50", "--key", "out-1"), DONE, "before under this key")
check("wallet_debit_books_once", wallet(ANN) == ("100.00", "0.00"))
expect("wallet_credit_of_the_smallest", shoal("wallet", "credit", BOB, "BTC", "0.00000001", "--key", "b", "--json"), DONE,
       '{"ok":true}')
check("wallet_smallest_is_exact", wallet(BOB, "BTC") == ("0.00000001", "0.00"))
for amount, word in [("0", "more than 0"), ("0.00", "more than 0"), ("-5", "decimal"), ("1,000", "decimal"), ("1e3", "decimal"),
                     ("0.001", "2 digits"), ("nan", "decimal"), ("", "decimal"), ("99999999999999", "is the most")]:
    expect("wallet_refuses_amount_%r" % amount, shoal("wallet", "credit", ANN, "USD", amount, "--key", "x"), USAGE, word)
for what, args, code, word in [
        ("no_key", (ANN, "USD", "1"), USAGE, "--key K is missing"), ("currency", (ANN, "EUR", "1", "--key", "x"), USAGE, "BTC, ETH"),
        ("nobody", (99, "USD", "1", "--key", "x"), NOT_THERE, "99"), ("id", ("ann", "USD", "1", "--key", "x"), USAGE, "whole number"),
        ("own_key", (ANN, "USD", "1", "--key", "trade:1:end"), USAGE, "the program's own"), ("empty_key", (ANN, "USD", "1", "--key", ""), USAGE, "1 to 200"),
        ("odd_key", (ANN, "USD", "1", "--key", "a b"), USAGE, "printable"), ("long_key", (ANN, "USD", "1", "--key", "x" * 201), USAGE, "1 to 200"),
        ("too_few", (ANN, "USD", "--key", "x"), USAGE, "AMOUNT")]:
    expect("wallet_credit_refuses_%s" % what, shoal("wallet", "credit", *args), code, word)
with concurrent.futures.ThreadPoolExecutor(12) as pool:
    ran = list(pool.map(lambda _: shoal("wallet", "credit", BOB, "USD", "1", "--key", "many"), range(12)))
check("wallet_credit_twelve_times_at_once_is_one", wallet(BOB) == ("1.00", "0.00") and [x[0] for x in ran] == [DONE] * 12
      and sum("before under" not in x[1] for x in ran) == 1, ran)
with concurrent.futures.ThreadPoolExecutor(12) as pool:
    ran = list(pool.map(lambda n: shoal("wallet", "debit", BOB, "USD", "0.30", "--key", "d%d" % n), range(12)))
check("wallet_debits_at_once_take_no_more_than_there_is", wallet(BOB) == ("0.10", "0.00")
      and sorted(x[0] for x in ran) == [DONE] * 3 + [FAILED] * 9, ran)
expect("wallet_without_postgres", shoal("wallet", "show", ANN, SHOAL_POSTGRES_URL="postgresql://127.0.0.1:%d/x" % lib.free_port()),
       NO_SERVER)

pg.rows("insert into wallets (user_id, currency, available) values (1, 'ETH', 8999999999999999999)")
expect("wallet_credit_of_the_last_that_fits", shoal("wallet", "credit", ANN, "ETH", "0.00000001", "--key", "e1"), DONE, "credited")
expect("wallet_credit_of_more_than_it_can_hold", shoal("wallet", "credit", ANN, "ETH", "0.00000001", "--key", "e2"), FAILED,
       "refused", "9000000000000000000")
check("wallet_credit_refused_does_nothing", wallet(ANN, "ETH") == ("90000000000.00", "0.00")
      and one("select count(*) from ledger_transactions where key = 'e2'") == 0, wallet(ANN, "ETH"))
pg.rows("select book('e3', 'debit', null, 'ETH', 9000000000000000000, 'available', 1, 'outside', 1)")

# --- trades


def made(public_id, status, seller=2, amount=1000):
    """A trade of Ann with Bob in this state, as the bot would have brought it there."""
    trade = one("insert into escrows (public_id, buyer_id, seller_id, amount, currency, status, terms, changed_by) values "
                "(%s, 1, %s, %s, 'USD', %s, 'a bicycle', 1) returning id", public_id, seller, amount, status)
    pg.rows("select book('trade:' || %s || ':hold', 'hold', %s, 'USD', %s, 'available', 1, 'held', 1)", trade, trade, amount)
    return trade


made("ONE1", "active")
made("TWO2", "active")
made("NEW3", "pending", None)
pg.rows("update escrows set status = 'disputed', changed_by = 2 where public_id in ('ONE1', 'TWO2')")
code, _, out = shoal("trade", "list", "--json")
rows = json.loads(out)
check("trade_list_json", code == DONE and [(t["public_id"], t["status"], t["amount"], t["currency"], t["buyer"], t["seller"])
                                          for t in rows] == [
    ("NEW3", "pending", "10.00", "USD", "42", None), ("TWO2", "disputed", "10.00", "USD", "42", "43"),
    ("ONE1", "disputed", "10.00", "USD", "42", "43")] and all(t["created_at"].endswith("Z") for t in rows), out)
expect("trade_list", shoal("trade", "list"), DONE, "PUBLIC ID", "ONE1", "10.00")
check("trade_list_by_status", [t["public_id"] for t in json.loads(shoal(
    "trade", "list", "--status", "disputed", "--json")[2])] == ["TWO2", "ONE1"])
check("trade_list_by_person", [t["public_id"] for t in json.loads(shoal(
    "trade", "list", "--user", BOB, "--json")[2])] == ["TWO2", "ONE1"])
check("trade_list_limit", [t["public_id"] for t in json.loads(shoal("trade", "list", "--limit", 1, "--json")[2])] == ["NEW3"])
expect("trade_list_of_none", shoal("trade", "list", "--user", 99), DONE, "no such trade")
pg.rows("update escrows set created_at = '-infinity', updated_at = 'infinity', expires_at = 'infinity' where public_id = 'ONE1'")
expect("trade_list_with_a_trade_of_all_times", shoal("trade", "list"), DONE, "ONE1", "TWO2")
expect("trade_show_of_all_times", shoal("trade", "show", "ONE1"), DONE, "ONE1")
pg.rows("update escrows set created_at = now(), updated_at = now(), expires_at = null where public_id = 'ONE1'")
expect("trade_list_refuses_a_status", shoal("trade", "list", "--status", "paid"), USAGE, "disputed")
expect("trade_list_refuses_a_limit", shoal("trade", "list", "--limit", "0"), USAGE)
code, _, out = shoal("trade", "show", "ONE1", "--json")
trade = json.loads(out)
check("trade_show_json", code == DONE and trade["terms"] == "a bicycle" and trade["buyer_name"] == "Ann"
      and [e["status"] for e in trade["events"]] == ["disputed"] and [e["by"] for e in trade["events"]] == ["seller"]
      and [(e["account"], e["amount"]) for e in trade["ledger"]] == [("available", "-10.00"), ("held", "10.00")]
      and trade["audit"] == [], out)
expect("trade_show", shoal("trade", "show", "ONE1"), DONE, "ONE1", "disputed", "bicycle")
expect("trade_show_of_none", shoal("trade", "show", "NONE"), NOT_THERE, "NONE")
expect("trade_show_refuses", shoal("trade", "show", "x' or 1=1"), USAGE, "no trade's id")

for what, args, code, word in [
        ("without_a_note", ("ONE1", "release"), USAGE, "--note"), ("an_outcome", ("ONE1", "keep", "--note", "x"), USAGE, "release"),
        ("a_blank_note", ("ONE1", "release", "--note", " "), USAGE, "empty"), ("no_such", ("NONE", "release", "--note", "x"), NOT_THERE, "NONE"),
        ("pending", ("NEW3", "refund", "--note", "x"), FAILED, "is pending"), ("too_few", ("ONE1", "--note", "x"), USAGE, "release|refund")]:
    expect("trade_resolve_refuses_%s" % what, shoal("trade", "resolve", *args), code, word)
check("trade_refusals_change_nothing", one("select count(*) from admin_audit where action = 'trade.resolve'") == 0
      and not r.exists("shoal:{0}:updates") and one("select string_agg(status, ' ' order by id) from escrows") ==
      "disputed disputed pending")
expect("trade_resolve_release", shoal("trade", "resolve", "ONE1", "release", "--note", "the parcel came"), DONE,
       "trade ONE1 is released")
check("trade_released_to_the_seller", wallet(ANN) == ("70.00", "20.00") and wallet(BOB) == ("10.10", "0.00"), (wallet(ANN), wallet(BOB)))
check("trade_resolve_is_audited", pg.rows("select action, target, details->>'outcome', details->>'note' from admin_audit "
                                          "where action like 'trade%%'") == [
    ("trade.resolve", "trade:ONE1", "released", "the parcel came")])
entries = [{k.decode(): v.decode() for k, v in e[1].items()} for e in r.xrange("shoal:{0}:updates")]
check("trade_both_are_to_be_told", [(e["bot"], e["lane"], e["key"]) for e in entries] == [
    ("escrow", "telegram:escrow:42", "shoal:escrow:resolved:ONE1:buyer"),
    ("escrow", "telegram:escrow:43", "shoal:escrow:resolved:ONE1:seller")]
    and json.loads(entries[1]["body"]) == {"shoal": "due", "chat_id": 43, "what": "resolved", "of": "ONE1"}, entries)
trade = json.loads(shoal("trade", "show", "ONE1", "--json")[2])
check("trade_show_tells_who_decided", [(e["status"], e["by"]) for e in trade["events"]] == [
    ("disputed", "seller"), ("released", "system")] and trade["audit"][0]["details"]["note"] == "the parcel came"
    and [e["kind"] for e in trade["ledger"]] == ["hold", "hold", "release", "release"], trade)
expect("trade_resolve_again", shoal("trade", "resolve", "ONE1", "release", "--note", "again"), DONE, "before")
check("trade_resolve_again_tells_nobody", r.xlen("shoal:{0}:updates") == 2)
expect("trade_resolve_otherwise", shoal("trade", "resolve", "ONE1", "refund", "--note", "again"), FAILED, "is released")
check("trade_decided_once", wallet(BOB) == ("10.10", "0.00")
      and one("select count(*) from admin_audit where action = 'trade.resolve'") == 1)
nowhere = "redis://127.0.0.1:%d/0" % lib.free_port()
expect("trade_resolve_without_redis", shoal("trade", "resolve", "TWO2", "refund", "--note", "n", SHOAL_REDIS_URL=nowhere),
       DONE, "TWO2 is refunded", "the fleet will tell the two")
check("trade_resolve_without_redis_stands", wallet(ANN) == ("80.00", "10.00"))
check("trade_who_is_to_be_told_is_written_down", pg.rows("select public_id, user_id from escrow_notices join escrows on id = "
                                                         "escrow_id order by 1, 2") == [
    ("ONE1", 1), ("ONE1", 2), ("TWO2", 1), ("TWO2", 2)])

# an active trade whose two people are gone
made("GONE4", "active")
expect("trade_resolve_of_an_active_one_is_refused", shoal("trade", "resolve", "GONE4", "refund", "--note", "n"), FAILED,
       "is active", "--undisputed")
expect("trade_resolve_of_a_pending_one_is_refused", shoal("trade", "resolve", "NEW3", "refund", "--note", "n", "--undisputed"),
       FAILED, "is pending")
redis.client(db=1).hset("shoal:{0}:conf", mapping={"v": "0\x1b[31m", "shard": "0/1"})
ran = shoal("trade", "resolve", "GONE4", "refund", "--note", "both left", "--undisputed",
            SHOAL_REDIS_URL=redis.url.rsplit("/", 1)[0] + "/1")
expect("trade_resolve_undisputed", ran, DONE, "GONE4 is refunded", "the fleet will tell the two")
check("trade_resolve_shows_no_mark_that_a_terminal_obeys", "format 0\ufffd[31m" in ran[1] and "\x1b" not in ran[1], ran)
check("trade_resolve_undisputed_pays_back", wallet(ANN) == ("80.00", "10.00"), wallet(ANN))
check("trade_resolve_undisputed_is_audited", pg.rows(
    "select details->>'was', details->>'note' from admin_audit where target = 'trade:GONE4'") == [("active", "both left")])
check("trade_resolve_undisputed_tells_both", pg.rows("select user_id from escrow_notices join escrows on id = escrow_id "
                                                     "where public_id = 'GONE4' order by 1") == [(1,), (2,)])

# --- erasing somebody with money

expect("erase_is_refused_in_an_open_trade", shoal("user", "erase", ANN, "--yes"), FAILED, "1 open trade (NEW3)")
check("erase_refused_changes_nothing", one("select first_name from users where telegram_id = %s", ANN) == "Ann"
      and one("select count(*) from escrows where terms is null") == 0)
export = json.loads(shoal("user", "export", ANN)[2])
check("export_has_money_and_trades", [(w["currency"], w["available"], w["held"]) for w in export["wallets"]] == [
    ("ETH", 0, 0), ("USD", 8000, 1000)]
      and [(e["public_id"], e["role"]) for e in export["escrows"]] == [("ONE1", "buyer"), ("TWO2", "buyer"), ("NEW3", "buyer"), ("GONE4", "buyer")]
      and len(export["ledger_entries"]) > 6 and "buyer_id" not in export["escrows"][0], export)
check("show_counts_trades", json.loads(shoal("user", "show", BOB, "--json")[2])["trades"] == 3)
pg.rows("insert into invitations (escrow_id, token, telegram_id) select id, 'tok', %s from escrows where public_id = 'NEW3'", ANN)
pg.rows("insert into guards (key, effects) values ('g1', '[{\"c\":43,\"b\":{\"text\":\"Ann released <code>ONE1</code>\"}}]'), "
        "('g2', '[{\"c\":43,\"b\":{\"text\":\"other\"}}]')")
pg.rows("with e as (update escrows set status = 'cancelled', changed_by = 1 where public_id = 'NEW3' returning id) "
        "select book('trade:' || id || ':end', 'cancel', id, 'USD', 1000, 'held', 1, 'available', 1) from e")
shoal("wallet", "credit", ANN, "BTC", "0.5", "--key", "coin")
before = pg.rows("select user_id, currency, available, held from wallets order by 1, 2")
ledger = one("select md5(string_agg(l::text, ' ' order by id)) from ledger_entries l")
expect("erase_with_money_is_refused", shoal("user", "erase", ANN, "--yes"), FAILED, "0.50000000 BTC, 90.00 USD", "wallet debit 42",
       "--with-money")
check("erase_with_money_changes_nothing", one("select first_name from users where telegram_id = %s", ANN) == "Ann")
expect("erase_gives_money_up_where_told_to", shoal("user", "erase", ANN, "--yes", "--with-money"), DONE, "user 42 erased")
check("erase_notes_what_was_given_up", one("select details->>'given_up' from admin_audit where action = 'user.erase'") ==
      "0.50000000 BTC, 90.00 USD")
check("erase_keeps_the_ledger_unnamed", pg.rows("select user_id, currency, available, held from wallets order by 1, 2") == before
      and one("select md5(string_agg(l::text, ' ' order by id)) from ledger_entries l") == ledger
      and pg.rows("select telegram_id, first_name from users where id = 1") == [(None, None)])
check("erase_removes_their_words", one("select count(*) from escrows where terms is not null") == 0
      and one("select count(*) from invitations where telegram_id = %s", ANN) == 0
      and pg.rows("select distinct user_id from escrow_notices") == [(2,)]
      and pg.rows("select key, effects is null from guards order by key") == [("g1", True), ("g2", False)])
expect("erased_have_no_wallet_to_show", shoal("wallet", "show", ANN), NOT_THERE)
for n, (currency, amount) in enumerate([("USD", "10.10"), ("BTC", "0.00000001")]):
    shoal("wallet", "debit", BOB, currency, amount, "--key", "paid-%d" % n)
expect("erase_of_who_was_paid", shoal("user", "erase", BOB, "--yes"), DONE, "user 43 erased")
check("erase_of_who_was_paid_gives_nothing_up", pg.rows(
    "select details ? 'given_up' from admin_audit where action = 'user.erase' order by id") == [(True,), (False,)])
lib.finish()
