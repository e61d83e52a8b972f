"""The judge of the bank finds what is wrong: books that are sound pass, and each way to spoil them is noticed."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import judge  # noqa: E402
import lib  # noqa: E402
from lib import check  # noqa: E402

BIN = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/shoal")
STATES = ["pending", "active", "disputed", "released", "refunded", "cancelled", "expired"]
SPOILT = [
    ("money out of nothing", "UPDATE wallets SET available = available + 1 WHERE user_id = 1"),
    ("money that is gone", "UPDATE wallets SET held = held - 1 WHERE user_id = 1"),
    ("money of one as another's", "UPDATE wallets SET available = available + CASE user_id WHEN 1 THEN -5 ELSE 5 END "
                                  "WHERE user_id IN (1, 2)"),
    ("a negative balance", "UPDATE wallets SET available = -1, held = held + available + 1 WHERE user_id = 1"),
    ("an entry that was changed", "UPDATE ledger_entries SET amount = amount + 1 WHERE id = 2"),
    ("an entry that is missing", "DELETE FROM ledger_entries WHERE id = 4"),
    ("an entry of somebody else", "UPDATE ledger_entries SET user_id = 2 WHERE id = 4"),
    ("a transaction without entries", "INSERT INTO ledger_transactions (key) VALUES ('empty')"),
    ("an ending that nobody booked", "UPDATE escrows SET status = 'refunded' WHERE public_id = 'active'"),
    ("an open trade that was let go", "UPDATE escrows SET status = 'active' WHERE public_id = 'released'"),
    ("an ending in the wrong direction", "UPDATE escrows SET status = 'refunded' WHERE public_id = 'released'"),
    ("a way that is none", "UPDATE escrow_events SET status = 'released' WHERE escrow_id = 5"),
    ("a step too many", "INSERT INTO escrow_events (escrow_id, status) VALUES (4, 'refunded')"),
    ("a step by the wrong person", "UPDATE escrow_events SET user_id = 2 WHERE escrow_id = 4 AND status = 'released'"),
    ("a step by a third one", "UPDATE escrow_events SET user_id = 3 WHERE escrow_id = 6"),
    ("a step of the clock by a person", "UPDATE escrow_events SET user_id = 1 WHERE escrow_id = 7"),
    ("a seller who was not invited", "UPDATE invitations SET telegram_id = 44 WHERE escrow_id = 2"),
    ("an invitation that is still open", "UPDATE invitations SET status = 'active' WHERE escrow_id = 6"),
    ("a trade without an invitation", "DELETE FROM invitations WHERE escrow_id = 3"),
    ("a trade without a seller", "UPDATE escrows SET seller_id = NULL WHERE public_id = 'active'"),
    ("a seller before anybody accepted", "UPDATE escrows SET seller_id = 2 WHERE public_id = 'pending'"),
    ("another amount", "UPDATE escrows SET amount = amount + 1 WHERE public_id = 'expired'"),
    ("a trade whose money was never held", "INSERT INTO escrows (public_id, buyer_id, amount, currency) "
                                           "VALUES ('x', 1, 1, 'USD')"),
]

pg = lib.start_postgres()
lib.subprocess.run([BIN, "migrate"], env=lib.clean_env(SHOAL_POSTGRES_URL=pg.url), check=True, capture_output=True,
                   timeout=lib.PATIENCE)
pg.rows("INSERT INTO users (telegram_id) VALUES (42), (43), (44)")
pg.rows("SELECT book('c', 'credit', NULL, 'USD', 100000, 'outside', 1, 'available', 1)")
for n, state in enumerate(STATES, 1):
    pg.rows("INSERT INTO escrows (public_id, buyer_id, amount, currency) VALUES (%s, 1, 1000, 'USD')", state)
    pg.rows("SELECT book('trade:' || %s || ':hold', 'hold', %s, 'USD', 1000, 'available', 1, 'held', 1)", n, n)
    pg.rows("INSERT INTO invitations (escrow_id, token, telegram_id) VALUES (%s, %s, 43)", n, state)
    if state in ("active", "disputed", "released", "refunded"):
        pg.rows("UPDATE escrows SET status = 'active', seller_id = 2, changed_by = 2 WHERE id = %s", n)
        pg.rows("UPDATE invitations SET status = 'accepted' WHERE escrow_id = %s", n)
    elif state != "pending":
        pg.rows("UPDATE invitations SET status = %s WHERE escrow_id = %s", "declined" if n == 6 else "expired", n)
    who = {"disputed": 1, "released": 1, "refunded": 2, "cancelled": 2}.get(state)
    kind = {"released": "release", "refunded": "refund", "cancelled": "cancel", "expired": "expire"}.get(state)
    change = "WITH e AS (UPDATE escrows SET status = %s, changed_by = %s WHERE id = %s RETURNING id) SELECT "
    if kind:
        pg.rows(change + "book('trade:' || id || ':end', %s, id, 'USD', 1000, 'held', 1, 'available', %s) FROM e", state, who, n,
                kind, 2 if kind == "release" else 1)
    elif state == "disputed":
        pg.rows(change + "id FROM e", state, who, n)

db = pg.connect()
db.autocommit = True
found, totals, rows = judge.look(db)
check("sound books are found sound", found == [] and totals["USD"] == 100000 and len(rows) == 7, found)
for what, sql in SPOILT:
    with db.cursor() as cur:
        cur.execute("BEGIN; SET LOCAL session_replication_role = replica; ALTER TABLE wallets DROP CONSTRAINT "
                    "wallets_available_check; ALTER TABLE escrows DROP CONSTRAINT escrows_seller")
        cur.execute(sql)
        spoilt = []
        judge.sums(cur, spoilt)
        judge.wallets(cur, spoilt)
        judge.ledger(cur, spoilt)
        judge.trades(cur, spoilt)
        cur.execute("ROLLBACK")
    check("found: " + what, spoilt != [])
found, _, _ = judge.look(db)
check("and sound again", found == [], found)
lib.finish()
