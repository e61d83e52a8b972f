"""The people of the bank: what they do at random, as updates that Telegram would send. Most of it makes sense, some of it
is hostile: the wrong person, the wrong moment, twice, both sides at once, the same update again, buttons that nobody
ever showed. A step is one look at the tables, and then many actions at once."""
import concurrent.futures
import http.client
import json
import random
import threading
import time

import psycopg2
import redis

FIRST = 5000000  # the first person's id
CREDIT = {"USD": 500000, "USDT": 9000000000, "BTC": 300000000}  # to each one, in smallest units
SCALE = {"USD": 2, "USDT": 6, "BTC": 8}
DEEDS = ("accept", "decline", "drop", "release", "refund", "dispute")
SENSIBLE = {"pending": (("seller", "accept"),) * 8 + (("seller", "decline"), ("buyer", "drop")),
            "active": (("buyer", "release"),) * 6 + (("seller", "refund"),) * 2 + (("buyer", "dispute"), ("seller", "dispute"))}
JUNK = ["menu:00000000", "wallet:00000000", "trades:00000000", "trades:o:5:00000000", "trades:n:5:00000000", "help:x",
        "confirm:00000000", "cur:USD:00000000", "release:::", "trade:-1:00000000", "stop:00000000", "y:1:abcdefgh", "\u00e9"]
WORDS = ["a bicycle", "<b>two</b> & more", "http://evil.example @x", "\u05d0\u202e\u0645", "x" * 900, "ok", "1,000", "12 USD",
         "0 USD", "99999999999999 USD", "0.001 USD", "/wallet", "/trades", "/help", "/menu", "/nonsense", "/start inv_nothing"]


class Crowd:
    def __init__(self, stack, people, seed, secret, path="/telegram/escrow"):
        self.stack, self.rng, self.secret, self.path = stack, random.Random(seed), secret, path
        self.people = [FIRST + n for n in range(people)]
        self.pool = concurrent.futures.ThreadPoolExecutor(24)
        self.local, self.guard = threading.local(), threading.Lock()
        self.next_update, self.next_message = 7 * 10**12, 10**6
        self.sent, self.repeated, self.hostile, self.refused = 0, 0, 0, 0
        self.old = []  # updates to be delivered once more
        self.presses = []  # (chat, message, when it was sent, ms until the answer) of sensible ones, for the latencies
        self.db, self.made = None, 0
        self.stopping = threading.Event()

    # ---- the way in

    def update(self, **members):
        with self.guard:
            self.next_update += 1
            return {"update_id": self.next_update, **members}

    def text(self, user, words):
        u = self.update()
        u["message"] = {"message_id": u["update_id"] % 10**6, "date": 1, "text": words, "from": self.who(user),
                        "chat": {"id": user, "type": "private"}}
        return u

    def press(self, user, data):
        """Each on a message of its own, so that what is edited tells which press it was."""
        with self.guard:
            self.next_message += 1
            message = self.next_message
        return self.update(callback_query={
            "id": "q%d" % message, "from": self.who(user), "chat_instance": "1", "data": data,
            "message": {"message_id": message, "date": 1, "chat": {"id": user, "type": "private"}}})

    def who(self, user):
        return {"id": user, "is_bot": False, "first_name": "P%d <b>" % user, "language_code": "de" if user % 2 else "en"}

    def post(self, update):
        """As Telegram does: until it is accepted. The answer's body and how long it took."""
        body = json.dumps(update)
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                conn = getattr(self.local, "conn", None)
                if conn is None:
                    conn = self.local.conn = http.client.HTTPConnection("127.0.0.1", self.stack.gateway_port, timeout=30)
                conn.request("POST", self.path, body, {"Content-Type": "application/json",
                                                       "X-Telegram-Bot-Api-Secret-Token": self.secret})
                answer = conn.getresponse()
                said = answer.read()
                if answer.status == 200:
                    with self.guard:
                        self.sent += 1
                    return said, (time.monotonic() - began) * 1000
            except (OSError, http.client.HTTPException):
                if self.local.conn:
                    self.local.conn.close()
                self.local.conn = None
            with self.guard:
                self.refused += 1
            time.sleep(0.1)
        return b"", 0

    def deliver(self, update, again=0.05):
        """Now and then twice, and remembered to be delivered again much later."""
        sent_ms = time.time() * 1000
        said, ms = self.post(update)
        press = update.get("callback_query")
        if press and said:
            self.presses.append((press["message"]["chat"]["id"], press["message"]["message_id"], sent_ms, ms))
        with self.guard:
            dice = random.random()
        if dice < again:
            self.repeated += 1
            self.post(update)
        elif dice < 2 * again:
            with self.guard:
                self.old.append(update)
                del self.old[:-500]

    # ---- what there is

    def rows(self, sql, *parameters):
        while not self.stopping.is_set():
            try:
                if self.db is None:
                    self.db = self.stack.pg.connect()
                    self.db.autocommit = True
                with self.db.cursor() as cur:
                    cur.execute(sql, parameters)
                    return cur.fetchall() if cur.description else []
            except psycopg2.Error:
                if self.db:
                    self.db.close()
                self.db = None
                time.sleep(0.2)
        return []

    def see(self):
        self.drafts = {r[0]: r[1:] for r in self.rows(
            "SELECT chat_id, state->>'step', state->>'mark' FROM conversations WHERE bot = 'escrow' AND state ? 'step'")}
        self.open = self.rows(
            "SELECT e.public_id, e.status, b.telegram_id, coalesce(s.telegram_id, i.telegram_id), i.token FROM escrows e "
            "JOIN users b ON b.id = e.buyer_id LEFT JOIN users s ON s.id = e.seller_id "
            "LEFT JOIN invitations i ON i.escrow_id = e.id WHERE e.status IN ('pending', 'active', 'disputed')")
        self.made = self.rows("SELECT count(*) FROM escrows")[0][0]

    # ---- what they do

    def amount(self):
        currency = self.rng.choice(list(SCALE))
        units = self.rng.randrange(1, CREDIT[currency] // 20)
        digits = str(units).rjust(SCALE[currency] + 1, "0")
        return "%s.%s %s" % (digits[:-SCALE[currency]], digits[-SCALE[currency]:], currency)

    def ask(self, user):
        """A dialogue up to its review, said in one breath."""
        for words in ("/new", self.amount(), self.rng.choice(WORDS[:6])):
            self.deliver(self.text(user, words), again=0.02)

    def confirm(self, user, mark):
        press = self.press(user, "confirm:" + mark)
        self.deliver(press)
        if self.rng.random() < 0.2:  # once more, as another press of the same review
            self.hostile += 1
            self.deliver(self.press(user, "confirm:" + mark))

    def deed(self, public_id, user, verb):
        self.deliver(self.press(user, "%s:%s:%08d" % (verb, public_id, self.rng.randrange(10**8))))

    def trade_step(self, trade, calm):
        public_id, status, buyer, seller, token = trade
        dice = self.rng.random()
        if status == "pending" and seller is None and dice < 0.8:
            others = [p for p in self.rng.sample(self.people, 3) if calm is False or p != buyer]
            for user in others[:1 if calm or dice < 0.7 else 3]:
                yield lambda u=user: self.deliver(self.text(u, "/start inv_" + token))
        elif not calm and dice < 0.3:  # anybody does anything
            self.hostile += 1
            user = self.rng.choice([buyer, seller or buyer, self.rng.choice(self.people)])
            yield lambda: self.deed(public_id, user, self.rng.choice(DEEDS))
        elif not calm and dice < 0.45 and seller:  # both at once
            self.hostile += 1
            yield lambda: self.deed(public_id, buyer, self.rng.choice(["release", "dispute", "drop"]))
            yield lambda: self.deed(public_id, seller, self.rng.choice(["refund", "dispute", "accept", "decline"]))
        elif status in SENSIBLE and seller:
            role, verb = self.rng.choice(SENSIBLE[status])
            yield lambda: self.deed(public_id, buyer if role == "buyer" else seller, verb)

    def actions(self, want_new, calm):
        going = [t for t in self.open if t[1] != "disputed"]
        disputed = [] if calm else [t for t in self.open if t[1] == "disputed"]
        for trade in self.rng.sample(going, min(len(going), 40)) + self.rng.sample(disputed, min(len(disputed), 4)):
            yield from self.trade_step(trade, calm)
        for user in self.rng.sample(self.people, min(len(self.people), 40)):
            step, mark = self.drafts.get(user, (None, None))
            if step == "review":
                yield lambda u=user, m=mark: self.confirm(u, m)
            elif want_new and len(going) < 2 * len(self.people):  # first things first
                yield lambda u=user: self.ask(u)
            if not calm and self.rng.random() < 0.1:
                self.hostile += 1
                yield lambda u=user: self.deliver(self.press(u, self.rng.choice(JUNK)))
            if not calm and self.rng.random() < 0.05:
                yield lambda u=user: self.deliver(self.text(u, self.rng.choice(WORDS)))
        with self.guard:
            again = [self.old.pop(self.rng.randrange(len(self.old))) for _ in range(min(len(self.old), 2))]
        for update in again:
            self.repeated += 1
            yield lambda u=update: self.post(u)

    def quiet(self):
        """What was said is mostly done, or it takes long: who goes on before that talks past the bot."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                if self.stack.queue()["length"] < 20:
                    return
            except (OSError, RuntimeError, redis.RedisError):
                pass
            time.sleep(0.02)

    def step(self, want_new=True, calm=False):
        self.quiet()
        self.see()
        for done in [self.pool.submit(a) for a in self.actions(want_new, calm)]:
            done.result()

    def arrive(self):
        """All of them say hello."""
        list(self.pool.map(lambda u: self.post(self.text(u, "/start")), self.people))
