"""The escrow bot from outside: two people trade in the simulator, the judge reads Postgres, the simulator's record and
the metrics. Buttons are found by what they do (the first word of their data); words are compared only where the test gave
them."""
import concurrent.futures
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import PATIENCE, check, finish, free_port, http, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402

EVIL = "<b>Eve</b> https://evil.example/x @evilbot /start"
TERMS = "A bicycle, <i>blue</i> & used. http://evil.example t.me/evilbot @evilbot /cancel"
OPEN = ("pending", "active", "disputed")


class World:
    def __init__(self, stack):
        self.stack, self.number, self.update_id, self.credits = stack, 7000000000, 4 * 10**12, 0

    def rows(self, sql, *parameters):
        return self.stack.pg.rows(sql, *parameters)

    def one(self, sql, *parameters):
        rows = self.rows(sql, *parameters)
        return rows[0][0] if rows else None

    def person(self, name="Ann", money=None, language="en"):
        """Somebody who has met the bot, with 100.00 USD unless told otherwise."""
        self.number += 1
        self.stack.control("POST", "users", {"id": self.number, "first_name": name, "language_code": language})
        self.talk(self.number, "/start")
        if money != 0:
            self.credits += 1
            self.rows("SELECT book(%s, 'credit', NULL, 'USD', %s, 'outside', id, 'available', id) FROM users "
                      "WHERE telegram_id = %s", "test %d" % self.credits, money or 10000, self.number)
        return self.number

    def stranger(self, name="Bob", language="de"):
        self.number += 1
        self.stack.control("POST", "users", {"id": self.number, "first_name": name, "language_code": language})
        return self.number

    def rest(self, seconds=None):
        """Until the simulator has delivered everything and the queue is empty."""
        def quiet():
            b, q = self.stack.control("GET", "stats")["bots"]["escrow"], self.stack.queue()
            return b["pending"] == 0 and b["in_flight"] == 0 and q["length"] == 0 and q["pending"] == 0
        if not wait_for(quiet, seconds or PATIENCE):
            print("# not at rest: %s %s" % (self.stack.queue(), self.stack.control("GET", "stats")["bots"]))

    def messages(self, chat):
        return [m for m in self.stack.chat(chat).get("messages", []) if m["from"]["is_bot"]]

    def last(self, chat):
        messages = self.messages(chat)
        return messages[-1]["text"] if messages else ""

    def talk(self, user, text, **more):
        """What the bot answered, in this chat."""
        before = len(self.messages(user))
        self.stack.say(user, text, **more)
        self.rest()
        return [m["text"] for m in self.messages(user)[before:]]

    def buttons(self, user, verb=None):
        """(message id, data, label) of the buttons with this verb, newest first."""
        found = []
        for m in reversed(self.messages(user)):
            for row in m.get("reply_markup", {}).get("inline_keyboard", []):
                found += [(m["message_id"], b["callback_data"], b["text"]) for b in row if "callback_data" in b and
                          (verb is None or b["callback_data"].split(":")[0] == verb)]
        return found

    def press(self, user, verb, which=0, trade=None):
        """Presses the newest button of this kind; the text of its message afterwards."""
        found = [b for b in self.buttons(user, verb) if trade is None or b[1].split(":")[1] == trade]
        if len(found) <= which:
            return "there is no button %s; %s" % (verb, self.buttons(user))
        message, data, _ = found[which]
        self.stack.press(user, message, data)
        self.rest()
        return self.text_of(user, message)

    def text_of(self, user, message):
        return next((m["text"] for m in self.messages(user) if m["message_id"] == message), "")

    def link(self, user):
        """The newest invitation's token."""
        for m in reversed(self.messages(user)):
            found = re.search(r"https://t\.me/escrow_bot\?start=(inv_[A-Za-z0-9_-]{22,60})(\s|$)", m["text"])
            if found:
                return found.group(1)
        return None

    def review(self, buyer, amount="12.50", currency="USD", terms="a bicycle"):
        """Up to the review; its text."""
        self.talk(buyer, "/new")
        self.talk(buyer, amount)
        wanted = [i for i, b in enumerate(self.buttons(buyer, "cur")) if b[1].split(":")[1] == currency]
        self.press(buyer, "cur", wanted[0])
        return self.talk(buyer, terms)

    def trade(self, buyer, seller=None, accepted=True, **more):
        """A new trade; its public id."""
        self.review(buyer, **more)
        self.press(buyer, "confirm")
        if seller:
            self.talk(seller, "/start " + self.link(buyer))
            if accepted:
                self.press(seller, "accept")
        return self.one("SELECT public_id FROM escrows ORDER BY id DESC LIMIT 1")

    def status(self, public_id):
        return self.one("SELECT status FROM escrows WHERE public_id = %s", public_id)

    def wallet(self, user, currency="USD"):
        rows = self.rows("SELECT available, held FROM wallets w JOIN users u ON u.id = w.user_id "
                         "WHERE u.telegram_id = %s AND currency = %s", user, currency)
        return rows[0] if rows else (0, 0)

    def books(self):
        """What is wrong with the books, now and here: empty when all is well."""
        return self.rows(
            "SELECT 'sum', transaction_id::text FROM ledger_entries GROUP BY transaction_id, currency "
            "HAVING sum(amount) <> 0 "
            "UNION ALL SELECT 'wallet', w.user_id::text FROM wallets w WHERE (available, held) <> "
            "(SELECT coalesce(sum(amount) FILTER (WHERE account = 'available'), 0), "
            "coalesce(sum(amount) FILTER (WHERE account = 'held'), 0) FROM ledger_entries l "
            "WHERE l.user_id = w.user_id AND l.currency = w.currency) "
            "UNION ALL SELECT 'held', w.user_id::text FROM wallets w WHERE held <> (SELECT coalesce(sum(amount), 0) "
            "FROM escrows e WHERE e.buyer_id = w.user_id AND e.currency = w.currency AND status IN %s)", OPEN)

    def calls(self, chat, *methods):
        return [c for c in self.stack.calls() if c["method"] in methods
                and chat in (c.get("chat_id"), c["parameters"].get("chat_id"))]

    def update(self, **members):
        self.update_id += 1
        return {"update_id": self.update_id, **members}

    def press_of(self, user, message, data):
        who = {"id": user, "first_name": "By hand", "is_bot": False}
        return self.update(callback_query={
            "id": "q%d" % self.update_id, "from": who, "chat_instance": "1", "data": data,
            "message": {"message_id": message, "date": 1, "chat": {"id": user, "type": "private"}}})

    def together(self, updates):
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            return list(pool.map(self.stack.post, updates))


def links_in(message):
    """What of a message a client would make into links: everything but our own."""
    text = message["text"].encode("utf-16-le")
    found = []
    for e in message.get("entities", []):
        part = text[2 * e["offset"]:2 * (e["offset"] + e["length"])].decode("utf-16-le")
        if e["type"] in ("url", "text_link", "mention", "text_mention", "email", "phone_number") or (
                e["type"] == "bot_command" and "evil" in part):
            found.append((e["type"], part))
    return [f for f in found if not f[1].startswith("https://t.me/escrow_bot?start=inv_")]


# ---- a whole trade

def whole_trade(w):
    ann = w.stranger("Ann", "en")
    said = w.talk(ann, "/start")
    check("a new person is told what this is, then gets the menu", len(said) == 2
          and {b[1].split(":")[0] for b in w.buttons(ann)} == {"wallet", "new", "trades", "help"}, (said, w.buttons(ann)))
    check("her row is made", w.one("SELECT first_name FROM users WHERE telegram_id = %s", ann) == "Ann")
    w.rows("SELECT book('ann', 'credit', NULL, 'USD', 10000, 'outside', id, 'available', id) FROM users "
           "WHERE telegram_id = %s", ann)
    menu = (ann, *w.buttons(ann, "help")[0][:2])
    said = w.press(ann, "wallet")
    check("the wallet is shown in the menu's place", "100.00" in said and w.buttons(ann, "wallet") == [], said)
    answers = w.calls(ann, "answerCallbackQuery")
    check("the press was answered once, in the webhook's reply, before anything else", len(answers) == 1
          and answers[0]["via"] == "webhook" and all(c["seq"] > answers[0]["seq"] for c in w.calls(ann, "editMessageText")),
          answers)
    w.press(ann, "new")
    said = w.talk(ann, "nonsense")
    check("what is no amount is asked again", len(said) == 1 and w.buttons(ann, "stop"), said)
    said = w.talk(ann, "1,000")
    check("an amount that could mean two things, too", len(said) == 1 and not w.buttons(ann, "cur"), said)
    said = w.talk(ann, "12.505")
    check("then the currency is asked", {b[2] for b in w.buttons(ann, "cur")} == {"BTC", "ETH", "USD", "USDT"},
          w.buttons(ann))
    usd = [i for i, b in enumerate(w.buttons(ann, "cur")) if b[2] == "USD"][0]
    said = w.press(ann, "cur", usd)
    check("three digits are too many for dollars", not w.buttons(ann, "cur") and "USD" in said, said)
    w.talk(ann, "12.50 usd")
    said = w.talk(ann, TERMS)
    check("the review shows all of it", len(said) == 1 and "12.50 USD" in said[0] and TERMS in said[0]
          and w.buttons(ann, "confirm")[0][2] == "Confirm", said)
    check("nothing is held before she confirms", w.wallet(ann) == (10000, 0) and w.rows("SELECT 1 FROM escrows") == [])
    review = w.buttons(ann, "confirm")[0]
    said = w.press(ann, "confirm")
    trade = w.one("SELECT public_id FROM escrows")
    token = w.link(ann)
    check("Confirm holds the money", w.wallet(ann) == (8750, 1250) and w.status(trade) == "pending", w.wallet(ann))
    check("and gives an invitation to pass on, in the review's place", token and trade in said
          and w.text_of(ann, review[0]) == said and not w.buttons(ann, "confirm"), said)
    check("the token is one of chance", w.one("SELECT token FROM invitations") == token[4:] and len(token) >= 26)
    bob = w.stranger(EVIL, "de-CH")
    said = w.talk(bob, "/start " + token)
    check("whoever opens it is told what this is, and sees the terms", len(said) == 2 and TERMS in said[1]
          and w.buttons(bob, "accept") and w.buttons(bob, "decline"), said)
    check("in their own language", "Willkommen" in said[0] and "Bedingungen" in said[1], said)
    check("the buyer hears who opened it", EVIL in w.last(ann), w.last(ann))
    cat = w.person("Cat")
    said = w.talk(cat, "/start " + token)
    check("a second one sees nothing of it", len(said) == 1 and "bicycle" not in said[0] and not w.buttons(cat, "accept"),
          said)
    said = w.talk(ann, "/start " + token)
    check("the buyer is never the seller", not w.buttons(ann, "accept") and w.status(trade) == "pending", said)
    w.press(bob, "accept")
    check("accepted: active, the money is still held", w.status(trade) == "active" and w.wallet(ann) == (8750, 1250)
          and w.one("SELECT u.telegram_id FROM escrows e JOIN users u ON u.id = seller_id") == bob)
    check("the buyer is told, with the button to release", w.buttons(ann, "release")[0][1].split(":")[1] == trade
          and EVIL in w.last(ann), w.last(ann))
    old = w.buttons(ann, "release")[0]
    said = w.press(ann, "release")
    check("released: the seller has the money", w.status(trade) == "released" and w.wallet(ann) == (8750, 0)
          and w.wallet(bob) == (1250, 0), (w.status(trade), w.wallet(bob)))
    check("the button is gone", all(b[0] != old[0] for b in w.buttons(ann, "release")), w.buttons(ann))
    check("the seller is told, in their language", "12.50 USD" in w.last(bob) and "freigegeben" in w.last(bob), w.last(bob))
    found = [l for p in (ann, bob, cat) for m in w.messages(p) for l in links_in(m)]
    check("nobody's name or terms became a link or a mention", found == [], found)
    check("the ledger tells it all", w.rows(
        "SELECT t.kind, l.account, l.amount FROM ledger_entries l JOIN ledger_transactions t ON t.id = transaction_id "
        "WHERE t.escrow_id IS NOT NULL ORDER BY l.id") == [("hold", "available", -1250), ("hold", "held", 1250),
                                                            ("release", "held", -1250), ("release", "available", 1250)])
    check("so do the events", w.rows("SELECT status FROM escrow_events ORDER BY id") == [("active",), ("released",)])
    check("the books balance", w.books() == [], w.books())
    return menu


def other_endings(w):
    for what, presses, status, back in [
            ("declined", [("bob", "decline")], "cancelled", True),
            ("cancelled by the buyer", [("ann", "drop")], "cancelled", True),
            ("refunded", [("bob", "accept"), ("bob", "refund")], "refunded", True),
            ("disputed by the buyer", [("bob", "accept"), ("ann", "dispute")], "disputed", False),
            ("disputed by the seller", [("bob", "accept"), ("bob", "dispute")], "disputed", False)]:
        people = {"ann": w.person("Ann"), "bob": w.person("Bob", 0)}
        trade = w.trade(people["ann"], people["bob"], accepted=False)
        before = {p: len(w.messages(people[p])) for p in people}
        for who, verb in presses:
            w.press(people[who], verb)
        other = "ann" if presses[-1][0] == "bob" else "bob"
        check("%s: %s" % (what, status), w.status(trade) == status, w.status(trade))
        check("%s: the money is %s" % (what, "back" if back else "held"),
              w.wallet(people["ann"]) == ((10000, 0) if back else (8750, 1250)) and w.wallet(people["bob"]) == (0, 0))
        check("%s: the other one is told" % what, len(w.messages(people[other])) > before[other]
              and trade in w.last(people[other]), w.last(people[other]))
        check("%s: no button of the trade is left to the two in what was said last" % what,
              not [b for p in people.values() for b in w.buttons(p) if b[0] == w.messages(p)[-1]["message_id"]
                   and b[1].split(":")[0] in ("accept", "decline", "drop", "release", "refund", "dispute")])
    check("the books balance after all that", w.books() == [], w.books())


def refusals(w):
    ann, bob, cat = w.person("Ann"), w.person("Bob", 0), w.person("Cat")
    trade = w.trade(ann, bob)
    for what, who, verb in [("the seller cannot release", bob, "release"), ("the buyer cannot refund", ann, "refund"),
                            ("a third one cannot release", cat, "release"), ("nor refund", cat, "refund"),
                            ("nor dispute", cat, "dispute"), ("nor cancel", cat, "drop"), ("nor accept", cat, "accept"),
                            ("the buyer cannot cancel any more", ann, "drop")]:
        before = w.wallet(ann), w.wallet(bob), w.wallet(cat)
        w.stack.post(w.press_of(who, w.messages(who)[-1]["message_id"], "%s:%s:forged01" % (verb, trade)))
        w.rest()
        check(what, w.status(trade) == "active" and (w.wallet(ann), w.wallet(bob), w.wallet(cat)) == before)
    said = w.text_of(cat, w.messages(cat)[-1]["message_id"])
    check("and a third one learns nothing of it", trade not in said and "bicycle" not in said, said)
    w.rows("UPDATE users SET suspended_at = now() WHERE telegram_id = %s", ann)
    before = len(w.messages(ann))
    w.press(ann, "release")
    check("a suspended person gets one answer and no effect", w.status(trade) == "active"
          and len(w.messages(ann)) == before + 1, w.last(ann))
    check("also to a text", len(w.talk(ann, "please")) == 1)
    w.rows("UPDATE users SET suspended_at = NULL WHERE telegram_id = %s", ann)
    for data in ["release:", "release", "release:NOSUCH000:forged01", "nonsense:1:2:3:4:5:6:7:8", "confirm:forged01",
                 "cur:USD:forged01", "trades:o:99999999999999999999:forged01", "trade:' OR 1=1 --:forged01", "x" * 64]:
        answer = w.stack.post(w.press_of(ann, w.messages(ann)[-1]["message_id"], data))
        w.rest()
        check("a forged button is answered and changes nothing: %s" % data[:20], answer.status == 200
              and w.status(trade) == "active" and w.stack.queue()["dead"] == 0)
    dan = w.person("Dan", 1000)
    w.review(dan, amount="10.01")
    check("nobody holds more than they have", not w.buttons(dan, "confirm") and w.wallet(dan) == (1000, 0))
    w.review(dan, amount="10")
    w.rows("SELECT book('away', 'debit', NULL, 'USD', 1, 'available', id, 'outside', id) FROM users "
           "WHERE telegram_id = %s", dan)
    w.press(dan, "confirm")
    check("nor when it went away after the review", w.wallet(dan) == (999, 0)
          and w.one("SELECT count(*) FROM escrows e JOIN users u ON u.id = buyer_id WHERE telegram_id = %s", dan) == 0)
    rich = w.person("Rich", 0)
    trade = w.trade(cat, rich)
    w.rows("INSERT INTO wallets (user_id, currency, available) SELECT id, 'USD', 9000000000000000000 FROM users "
           "WHERE telegram_id = %s", rich)
    said = w.press(cat, "release", trade=trade)
    check("who gives to a wallet that can hold no more is told so, and the trade stays", w.status(trade) == "active"
          and w.wallet(cat) == (8750, 1250) and trade in said and "no more" in said and w.stack.queue()["dead"] == 0, said)
    w.rows("SELECT book('rich', 'debit', NULL, 'USD', 1250, 'available', id, 'outside', id) FROM users "
           "WHERE telegram_id = %s", rich)
    w.press(cat, "release", trade=trade)
    check("until there is room", w.status(trade) == "released" and w.wallet(rich)[0] == 9 * 10**18, w.wallet(rich))
    w.stack.say(dan, "hello", chat_id=-500, chat_title="A group")
    w.rest()
    w.stack.say(dan, "/start", chat_id=-500)
    w.rest()
    check("a group is told once that this is private", len(w.messages(-500)) == 1, w.messages(-500))
    check("the books balance after the refusals", w.books() == [], w.books())


def once_only(w):
    """Pressed twice, delivered twice, both at once."""
    ann, bob = w.person("Ann", 100000), w.person("Bob", 0)
    w.review(ann)
    message, data, _ = w.buttons(ann, "confirm")[0]
    twice = w.press_of(ann, message, data)
    w.together([twice, twice, w.press_of(ann, message, data), w.press_of(ann, message, data)])
    w.rest()
    count = "SELECT count(*) FROM escrows e JOIN users u ON u.id = buyer_id WHERE telegram_id = %s"
    check("Confirm pressed three times and delivered twice: one trade", w.one(count, ann) == 1
          and w.wallet(ann) == (98750, 1250), (w.one(count, ann), w.wallet(ann)))
    r = w.stack.redis.client()
    for key in r.keys("shoal:{cache}:press:*"):
        r.delete(key)
    w.stack.post(w.press_of(ann, message, data))
    w.rest()
    check("pressed once more when nobody remembers: answered, and still one", w.one(count, ann) == 1
          and not w.buttons(ann, "confirm"), w.text_of(ann, message))
    r.delete("shoal:{0}:seen", "shoal:{0}:seen_old")
    w.stack.post(twice)
    w.rest()
    check("delivered again when the queue has forgotten it: still one", w.one(count, ann) == 1)
    token = w.one("SELECT token FROM invitations ORDER BY id DESC LIMIT 1")
    w.talk(bob, "/start inv_" + token)
    w.press(bob, "accept")
    won = {"released": 0, "refunded": 0}
    for _ in range(4 if light() else 10):
        trade = w.trade(ann, bob)
        release, refund = (next(b for b in w.buttons(p, v) if trade in b[1]) for p, v in (
            (ann, "release"), (bob, "refund")))
        w.together([w.press_of(ann, release[0], release[1]), w.press_of(bob, refund[0], refund[1])])
        w.rest()
        won[w.status(trade)] = won.get(w.status(trade), 0) + 1
        ends = w.one("SELECT count(*) FROM ledger_transactions t JOIN escrows e ON e.id = escrow_id "
                     "WHERE public_id = %s AND kind <> 'hold'", trade)
        both = [w.text_of(ann, release[0]), w.text_of(bob, refund[0])]
        if ends != 1 or w.status(trade) not in won or not all(trade in t for t in both):
            check("both at once: one winner, both answered", False, (w.status(trade), ends, both))
    check("both at once: one winner each time", set(won) == {"released", "refunded"}, won)
    print("# both at once: %s" % won)
    check("the books balance after the races", w.books() == [], w.books())


def old_buttons(w, menu):
    """Buttons of messages of long ago are answered with how things stand."""
    ann, bob = w.person("Ann"), w.person("Bob", 0)
    trade = w.trade(ann, bob)
    message = next(b for b in w.buttons(ann, "release") if trade in b[1])
    w.press(bob, "refund")
    w.stack.press(ann, message[0], message[1])
    w.rest()
    said = w.text_of(ann, message[0])
    check("an old button shows the trade as it is now", "refunded" in said and not [
        b for b in w.buttons(ann, "release") if b[0] == message[0]], said)
    w.press(ann, "trades")
    check("the list has it", [b for b in w.buttons(ann, "trade") if trade in b[1]], w.buttons(ann))
    said = w.press(ann, "trade", trade=trade)
    check("and leads to it", trade in said and "refunded" in said, said)
    for _ in range(8):
        w.trade(ann, amount="1")
    w.talk(ann, "/trades")
    first = [b[1].split(":")[1] for b in w.buttons(ann, "trade")]
    w.press(ann, "trades", [i for i, b in enumerate(w.buttons(ann, "trades")) if ":o:" in b[1]][0])
    second = [b[1].split(":")[1] for b in w.buttons(ann, "trade")]
    check("the list has pages, newest first", len(first) == 6 and len(second) == 3 and not set(first) & set(second)
          and second[-1] == trade, (first, second))
    w.press(ann, "trades", [i for i, b in enumerate(w.buttons(ann, "trades")) if ":n:" in b[1]][0])
    check("and one comes back", [b[1].split(":")[1] for b in w.buttons(ann, "trade")] == first)
    w.stack.post(w.press_of(*menu))
    w.rest()
    said = w.text_of(*menu[:2])
    check("the menu of the very beginning still works", "/trades" in said and "/cancel" in said, said)
    trade = w.trade(ann, bob)
    w.stack.post(w.press_of(ann, 999999999, "release:%s:oldmark1" % trade))
    w.rest()
    check("who pressed a button of a message that is gone hears of it in a new one", w.status(trade) == "released"
          and trade in w.last(ann) and "released" in w.last(ann), w.last(ann))


def blocked(w):
    ann, bob = w.person("Ann"), w.person("Bob", 0)
    trade = w.trade(ann, bob)
    w.stack.control("POST", "block", {"bot": "escrow", "user_id": bob})
    w.rest()
    known = "SELECT blocked_at IS NOT NULL FROM bot_users b JOIN users u ON u.id = user_id WHERE telegram_id = %s"
    check("a block is known", w.one(known, bob) is True)
    before = len(w.calls(bob, "sendMessage"))
    w.press(ann, "release")
    check("the money moves all the same, and nothing is sent to who blocked", w.status(trade) == "released"
          and w.wallet(bob) == (1250, 0) and len(w.calls(bob, "sendMessage")) == before)
    w.stack.control("POST", "unblock", {"bot": "escrow", "user_id": bob})
    w.talk(bob, "/wallet")
    check("their next word ends it", w.one(known, bob) is False and "12.50" in w.last(bob))
    trade = w.trade(ann, bob)
    w.stack.control("POST", "block", {"bot": "escrow", "user_id": bob})
    w.rest()
    w.rows("UPDATE bot_users SET blocked_at = NULL")  # as if nobody had told us
    w.press(ann, "release")
    check("a refused notice is a block, and the press is done", w.status(trade) == "released" and w.one(known, bob) is True
          and w.stack.queue()["dead"] == 0)


def decided(w):
    """An admin decides disputes."""
    ann, bob = w.person("Ann"), w.person("Bob", 0, language="de")
    for outcome, status, hers, his in [("release", "released", (8750, 0), (1250, 0)),
                                       ("refund", "refunded", (8750, 0), (1250, 0))]:
        trade = w.trade(ann, bob)
        w.press(ann, "dispute")
        w.press(bob, "refund", trade=trade)
        w.press(ann, "release", trade=trade)
        check("a disputed trade is nobody's to end", w.status(trade) == "disputed")
        before = {p: len(w.messages(p)) for p in (ann, bob)}
        # one command reaches the queue; after the other nobody would hear of it but by the fleet
        w.stack.shoal("trade", "resolve", trade, outcome, "--note", "so it is",
                    **({} if outcome == "release" else {"SHOAL_REDIS_URL": "redis://127.0.0.1:%d/0" % free_port()}))
        if outcome == "refund":
            w.stack.redis.client().delete("shoal:{cache}:job:due_trades:last")
            wait_for(lambda: w.one("SELECT count(*) FROM escrow_notices") == 0)
        w.rest()
        check("an admin's %s: the money is where it belongs" % outcome, w.status(trade) == status
              and w.wallet(ann) == hers and w.wallet(bob) == his, (w.wallet(ann), w.wallet(bob)))
        check("an admin's %s: both are told, once" % outcome, all(
            len(w.messages(p)) == before[p] + 1 and trade in w.last(p) for p in (ann, bob)), (w.last(ann), w.last(bob)))
        w.stack.shoal("trade", "resolve", trade, outcome, "--note", "again")
        w.rest()
        check("an admin's %s again: nobody is told again" % outcome, all(
            len(w.messages(p)) == before[p] + 1 for p in (ann, bob)))
    check("nobody is left to be told", w.one("SELECT count(*) FROM escrow_notices") == 0)
    check("the books balance after the decisions", w.books() == [], w.books())


def expiry(w):
    ann, bob = w.person("Ann"), w.person("Bob", 0)
    lonely, opened = w.trade(ann), w.trade(ann, bob, accepted=False)
    active = w.trade(ann, bob)
    late = w.trade(ann, bob, accepted=False)
    w.rows("UPDATE escrows SET expires_at = now() WHERE public_id = %s", late)
    w.press(bob, "accept", trade=late)
    check("accepted too late: expired at once, the money is back", w.status(late) == "expired" and late in w.last(ann),
          w.status(late))
    w.rows("UPDATE escrows SET expires_at = now() WHERE public_id IN (%s, %s, %s)", lonely, opened, active)
    w.stack.redis.client().delete("shoal:{cache}:job:due_trades:last")
    wait_for(lambda: w.status(lonely) == "expired" and w.status(opened) == "expired", PATIENCE)
    w.rest()
    check("pending trades expire by themselves", w.status(lonely) == "expired" and w.status(opened) == "expired",
          (w.status(lonely), w.status(opened)))
    check("an accepted one does not", w.status(active) == "active")
    check("their money is back", w.wallet(ann) == (8750, 1250), w.wallet(ann))
    check("both people are told", any(lonely in m["text"] for m in w.messages(ann)[-3:])
          and any(opened in m["text"] for m in w.messages(ann)[-3:]) and opened in w.last(bob), w.last(bob))
    w.stack.redis.client().delete("shoal:{cache}:job:due_trades:last")
    check("the books balance after the expiry", w.books() == [], w.books())


def traces(w, word):
    """Where Postgres and Redis still have a word, in keys and values."""
    found = ["%s: %s" % (table, row[0][:200]) for table, in w.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") for row in w.rows(
            "SELECT t::text FROM %s t WHERE strpos(t::text, %%s) > 0" % table, word)]
    r = w.stack.redis.client()
    read = {b"string": r.get, b"hash": r.hgetall, b"zset": lambda k: r.zrange(k, 0, -1), b"set": r.smembers,
            b"list": lambda k: r.lrange(k, 0, -1), b"stream": r.xrange}
    for key in r.scan_iter("*"):
        kind = r.type(key)
        if kind != b"none" and word.encode() in key + repr(read[kind](key)).encode():
            found.append(key.decode())
    return found


def erased(w):
    """Nothing names who is erased, whatever way their trades went."""
    ann, gone = w.person("Ann", 100000), []

    def due(trade):
        w.rows("UPDATE escrows SET expires_at = now() WHERE public_id = %s", trade)
        w.stack.redis.client().delete("shoal:{cache}:job:due_trades:last")
        wait_for(lambda: w.status(trade) == "expired")
        w.rest()

    def invited(name):
        bob = w.person(name, 0)
        gone.append((name, bob))
        return bob, w.trade(ann, bob, accepted=False)

    def out(user):
        w.stack.control("POST", "block", {"bot": "escrow", "user_id": user})
        w.rest()

    bob, trade = invited("Zqblocked")  # opened, went away, the buyer cancels: the notice is the buyer's alone
    out(bob)
    w.press(ann, "drop", trade=trade)
    bob, trade = invited("Zqexpired")
    out(bob)
    due(trade)
    bob, trade = invited("Zqdeclined")
    w.press(bob, "decline", trade=trade)
    bob, trade = invited("Zqold")
    w.press(bob, "accept", trade=trade)
    w.press(bob, "refund", trade=trade)
    w.rows("UPDATE escrows SET updated_at = now() - interval '9 days' WHERE public_id = %s", trade)
    w.rows("INSERT INTO bot_users (bot, user_id, blocked_at) SELECT 'escrow', id, now() FROM users WHERE telegram_id = %s "
           "ON CONFLICT (bot, user_id) DO UPDATE SET blocked_at = now()", ann)
    w.talk(ann, "/trades")
    w.rows("UPDATE bot_users SET blocked_at = now() FROM users WHERE id = user_id AND telegram_id = %s", ann)
    w.press(ann, "trade", trade=trade)  # an old trade shown with a guard, as the block is over
    buyer = w.person("Zqbuyer", 1000)
    gone.append(("Zqbuyer", buyer))
    due(w.trade(buyer, amount="1", terms="of Zqbuyer"))
    cat = w.person("Cat", 0)
    trade = w.trade(buyer, cat, amount="1", terms="of Zqbuyer")
    w.press(cat, "dispute", trade=trade)
    w.stack.shoal("trade", "resolve", trade, "refund", "--note", "so it is")
    w.rest()
    w.review(buyer, terms="of Zqbuyer")
    check("before, there is something to find", all(traces(w, word) for g in gone for word in (g[0], str(g[1]))))
    for name, user in gone:
        w.stack.shoal("user", "erase", str(user), "--yes", "--with-money")
        found = traces(w, name) + traces(w, str(user))
        check("nothing is left of %s" % name, found == [], found)
    check("the books balance after the erasures", w.books() == [], w.books())


def default_bots(w):
    """A worker that nobody told which bots to run, with the token of another one only."""
    before = list(w.stack.workers)
    lone = w.stack.add_worker(SHOAL_BOTS="", SHOAL_ESCROW_TOKEN="", SHOAL_PERSONA_TOKEN="100000002:another")
    check("bots of the default that have no token are not missed", wait_for(lambda: w.stack.ready(lone), PATIENCE))
    ann = w.person("Ann")
    for _ in range(4):
        w.talk(ann, "/menu")
    done = sum(v for k, v in w.stack.metrics(lone).items() if k.startswith("shoal_updates_total"))
    check("and their updates are left to those who can", done == 0, w.stack.metrics(lone))
    named = w.stack.add_worker(SHOAL_BOTS="persona,escrow", SHOAL_ESCROW_TOKEN="",
                               SHOAL_PERSONA_TOKEN="100000002:another")
    check("where it is named, its token is missed", wait_for(lambda: "bot escrow" in http(
        "GET", "http://127.0.0.1:%d/readyz" % w.stack.ports[named]).body.decode(), PATIENCE))
    for p in (lone, named):
        p.stop()
    w.stack.workers = before


def forgotten():
    """Redis comes back from its disk as it was before it had handed a click out, and the money is on its way by then: whoever
    takes the click anew finds a trade that is over, and has nothing to change."""
    w = World(Stack(binary_from_argv(), workers=1, bot="escrow", poll=True, redis_conf={"appendonly": "no"}))
    stack, worker = w.stack, w.stack.workers[0]
    ann, bob = w.person("Ann"), w.person("Bob", 0)
    trade = w.trade(ann, bob)
    message, data, _ = w.buttons(ann, "release")[0]
    before = len(w.messages(bob))
    worker.send(signal.SIGSTOP)
    stack.press(ann, message, data)
    check("forgotten: the click waits", wait_for(lambda: stack.queue()["length"] == 1))
    stack.redis.client().save()
    stack.control("POST", "faults", {"method": "editMessageText", "kind": "hang", "count": 1})
    worker.send(signal.SIGCONT)
    check("forgotten: the trade is over", wait_for(lambda: w.status(trade) == "released"))
    stack.redis.kill()
    stack.redis = stack.redis.again()
    check("forgotten: the seller hears that the money is theirs", wait_for(lambda: len(w.messages(bob)) == before + 1)
          and trade in w.last(bob), w.messages(bob)[before:])
    w.rest()
    check("forgotten: the buyer sees it", not w.buttons(ann, "release") and trade in w.text_of(ann, message), w.text_of(ann, message))
    answers = lambda: sum(c["method"] == "answerCallbackQuery" for c in stack.calls())
    answered = answers()
    w.press(ann, "menu")
    check("forgotten: a press of now is answered all the same", answers() == answered + 1, (answered, answers()))
    check("forgotten: nothing happened twice", len(w.messages(bob)) == before + 1 and w.wallet(bob) == (1250, 0)
          and w.wallet(ann) == (8750, 0) and w.books() == [], (w.messages(bob)[before:], w.wallet(ann), w.wallet(bob), w.books()))


def emptied():
    """Redis is emptied when a click has committed and its replies have not gone out; the platform delivers it again."""
    w = World(Stack(binary_from_argv(), workers=1, bot="escrow"))
    stack = w.stack
    for what, anew in (("whose worker lives on", False), ("whose worker died as well", True)):
        ann, bob = w.person("Ann"), w.person("Bob", 0)
        trade = w.trade(ann, bob)
        message, data, _ = w.buttons(ann, "release")[0]
        before, click, worker = len(w.messages(bob)), w.press_of(ann, message, data), stack.workers[0]
        stack.control("POST", "faults", {"method": "editMessageText", "kind": "hang", "count": 1})
        stack.post(click)
        check("emptied, %s: the trade is over" % what, wait_for(lambda t=trade: w.status(t) == "released"))
        worker.send(signal.SIGKILL if anew else signal.SIGSTOP)
        stack.redis.client().flushall()
        if anew:
            worker.wait()
            stack.workers.remove(worker)
            stack.start_workers(1)
        else:
            worker.send(signal.SIGCONT)
        stack.post(click)
        check("emptied, %s: the seller hears that the money is theirs" % what, wait_for(
            lambda b=bob, n=before: len(w.messages(b)) == n + 1) and trade in w.last(bob), w.messages(bob)[before:])
        w.rest()
        check("emptied, %s: nothing happened twice" % what, len(w.messages(bob)) == before + 1 and w.wallet(bob) == (1250, 0)
              and w.books() == [], (w.messages(bob)[before:], w.wallet(bob), w.books()))
        check("emptied, %s: the buyer sees it" % what, trade in w.text_of(ann, message), w.text_of(ann, message))


def main():
    w = World(Stack(binary_from_argv(), workers=2, bot="escrow"))
    menu = whole_trade(w)
    other_endings(w)
    refusals(w)
    once_only(w)
    old_buttons(w, menu)
    blocked(w)
    decided(w)
    expiry(w)
    erased(w)
    default_bots(w)
    over = w.stack.total("shoal_sql_per_update_count") - w.stack.total("shoal_sql_per_update_bucket", 'le="2"')
    check("one load and one commit at most, but where a conflict or a redelivery asked again",
          over <= w.stack.total("shoal_asked_again_total"), over)
    check("no update became a dead letter", w.stack.queue()["dead"] == 0)
    forgotten()
    emptied()
    finish()


main()
