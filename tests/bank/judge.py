"""The judge of the bank: reads nothing but the tables, in one snapshot, and says what cannot be. It shares no code with
Shoal, and does not ask how something came about."""

OPEN = ("pending", "active", "disputed")
# from -> {to: who may have done it}; nobody: the clock or an admin
PATHS = {"pending": {"active": "seller", "cancelled": "buyer or invited", "expired": "nobody"},
         "active": {"released": "buyer", "refunded": "seller", "disputed": "either"},
         "disputed": {"released": "nobody", "refunded": "nobody"}}
INVITATIONS = {"pending": {"active"}, "cancelled": {"declined", "expired"}, "expired": {"expired"}, "active": {"accepted"},
               "disputed": {"accepted"}, "released": {"accepted"}, "refunded": {"accepted"}}


def sums(cur, found):
    cur.execute("SELECT c.code, coalesce(w.all, 0), coalesce(w.held, 0), coalesce(e.held, 0), coalesce(o.outside, 0) "
                "FROM currencies c "
                "LEFT JOIN (SELECT currency, sum(available) + sum(held) AS all, sum(held) AS held FROM wallets GROUP BY 1) w "
                "ON w.currency = c.code "
                "LEFT JOIN (SELECT currency, sum(amount) AS held FROM escrows WHERE status IN %s GROUP BY 1) e "
                "ON e.currency = c.code "
                "LEFT JOIN (SELECT currency, -sum(amount) AS outside FROM ledger_entries WHERE account = 'outside' "
                "GROUP BY 1) o ON o.currency = c.code", (OPEN,))
    totals = {}
    for code, everything, held, in_trades, credited in cur.fetchall():
        totals[code] = int(credited)
        if everything != credited:
            found.append("%s: the wallets hold %s, and %s was credited" % (code, everything, credited))
        if held != in_trades:
            found.append("%s: %s is held, and the open trades are worth %s" % (code, held, in_trades))
    return totals


def wallets(cur, found):
    cur.execute("SELECT user_id, currency, available, held FROM wallets WHERE available < 0 OR held < 0")
    found += ["wallet %s %s: %s, %s held" % row for row in cur.fetchall()]
    cur.execute("SELECT user_id, currency FROM wallets w FULL JOIN ("
                "SELECT user_id, currency, sum(CASE account WHEN 'available' THEN amount ELSE 0 END) AS a, "
                "sum(CASE account WHEN 'held' THEN amount ELSE 0 END) AS h FROM ledger_entries WHERE account <> 'outside' "
                "GROUP BY 1, 2) l USING (user_id, currency) "
                "WHERE coalesce(available, 0) <> coalesce(a, 0) OR coalesce(held, 0) <> coalesce(h, 0)")
    found += ["wallet %s %s is not what its entries say" % row for row in cur.fetchall()]
    cur.execute("SELECT w.user_id, w.currency, w.held, e.held FROM wallets w FULL JOIN ("
                "SELECT buyer_id AS user_id, currency, sum(amount) AS held FROM escrows WHERE status IN %s GROUP BY 1, 2) e "
                "USING (user_id, currency) WHERE coalesce(w.held, 0) <> coalesce(e.held, 0)", (OPEN,))
    found += ["wallet %s %s: %s held, %s in open trades" % row for row in cur.fetchall()]


def ledger(cur, found):
    cur.execute("SELECT transaction_id, currency, sum(amount) FROM ledger_entries GROUP BY 1, 2 HAVING sum(amount) <> 0")
    found += ["transaction %s sums to %s %s" % (t, s, c) for t, c, s in cur.fetchall()]
    cur.execute("SELECT t.id FROM ledger_transactions t LEFT JOIN ledger_entries l ON l.transaction_id = t.id "
                "WHERE l.id IS NULL")
    found += ["transaction %s has no entries" % row for row in cur.fetchall()]


def trades(cur, found):
    """Each trade by itself: its way, its money, its invitation."""
    cur.execute("SELECT id, public_id, buyer_id, seller_id, amount, currency, status FROM escrows")
    rows = cur.fetchall()
    cur.execute("SELECT v.escrow_id, v.status, v.user_id FROM escrow_events v ORDER BY v.escrow_id, v.id")
    events = group(cur.fetchall())
    cur.execute("SELECT t.escrow_id, t.kind, l.account, l.user_id, l.currency, l.amount FROM ledger_transactions t "
                "JOIN ledger_entries l ON l.transaction_id = t.id WHERE t.escrow_id IS NOT NULL ORDER BY t.id, l.id")
    money = group(cur.fetchall())
    cur.execute("SELECT i.escrow_id, i.status, u.id FROM invitations i LEFT JOIN users u ON u.telegram_id = i.telegram_id")
    invited = group(cur.fetchall())
    for trade in rows:
        found += ["trade %s: %s" % (trade[1], what) for what in one_trade(
            trade, events.get(trade[0], []), money.get(trade[0], []), invited.get(trade[0], []))]
    return rows


def group(rows):
    out = {}
    for row in rows:
        out.setdefault(row[0], []).append(row[1:])
    return out


def one_trade(trade, events, money, invitations):
    _, _, buyer, seller, amount, currency, status = trade
    at = "pending"
    for to, who in events:
        allowed = PATHS.get(at, {}).get(to)
        if not allowed:
            yield "went from %s to %s" % (at, to)
        elif (allowed == "buyer" and who != buyer) or (allowed == "seller" and who != seller) or (
                allowed == "nobody" and who is not None) or (allowed == "either" and who not in (buyer, seller)) or (
                allowed == "buyer or invited" and who not in [buyer] + [i[1] for i in invitations]):
            yield "was brought from %s to %s by %s" % (at, to, who)
        at = to
    if at != status:
        yield "is %s, and its events end with %s" % (status, at)
    if seller == buyer or (status in ("active", "disputed", "released", "refunded")) != (seller is not None):
        yield "is %s, of %s with %s" % (status, buyer, seller)
    expected = [("hold", "available", buyer, currency, -amount), ("hold", "held", buyer, currency, amount)]
    if status not in OPEN:
        kind = {"released": "release", "refunded": "refund", "cancelled": "cancel", "expired": "expire"}[status]
        expected += [(kind, "held", buyer, currency, -amount),
                     (kind, "available", seller if status == "released" else buyer, currency, amount)]
    if money != expected:
        yield "is %s, and its money went %s" % (status, money)
    if len(invitations) != 1 or invitations[0][0] not in INVITATIONS[status]:
        yield "is %s with invitations %s" % (status, invitations)
    elif seller is not None and invitations[0][1] != seller:
        yield "has the seller %s, and %s was invited" % (seller, invitations[0][1])


def look(db):
    """(what is wrong, {currency: credited}, the trades) at one moment."""
    found = []
    with db.cursor() as cur:
        cur.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            totals = sums(cur, found)
            wallets(cur, found)
            ledger(cur, found)
            rows = trades(cur, found)
        finally:
            cur.execute("ROLLBACK")
    return found, totals, rows
