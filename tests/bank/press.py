"""How long a button takes, from the platform's side: an even stream of presses, by people who look at things and people who
move money; the time from each press until the webhook's answer, which ends the wait in the client, and until the call that
edits its message. Counted from the moment at which the press was due, so that no wait for the sender hides. Durable servers:
every commit and every accepted update is on the disk.

    press.py [BINARY]     by environment: RATES (presses a second, one after the other), SECONDS of each, WORKERS, PEOPLE"""
import asyncio
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import PATIENCE, check, finish, wait_for  # noqa: E402
from stack import SECRET, Stack, binary_from_argv  # noqa: E402

FIRST = 6000000        # the first person's id
CONNECTIONS = 40       # of the platform, at once
WARM_S = 3             # before each rate, not counted
MONEY = 0.4            # share of presses that commit: a trade is released, refunded or disputed
LOOKS = ("menu", "wallet", "trades", "help")
DEEDS = (("release", "buyer"), ("refund", "seller"), ("dispute", "buyer"))
TRADES = """
WITH made AS (
    INSERT INTO escrows (public_id, buyer_id, seller_id, amount, currency, status, terms)
    SELECT 'B' || lpad(i::text, 9, '0'), b.id, s.id, 100, 'USD', 'active', 'a bicycle'
    FROM generate_series(1, %(n)s) i
    JOIN users b ON b.telegram_id = %(first)s + mod(i, %(people)s)
    JOIN users s ON s.telegram_id = %(first)s + mod(i + 1, %(people)s)
    RETURNING id, buyer_id
) SELECT count(book('trade:' || id || ':hold', 'hold', id, 'USD', 100, 'available', buyer_id, 'held', buyer_id)) FROM made"""


def option(name, default):
    value = os.environ.get(name)
    return type(default)(value) if value else default


class Press:
    __slots__ = ("user", "data", "message", "money", "due", "due_ms", "posted", "answered")

    def __init__(self, user, data, message, money):
        self.user, self.data, self.message, self.money = user, data, message, money
        self.due = self.due_ms = self.posted = self.answered = 0.0

    def body(self):
        return json.dumps({"update_id": 10**12 + self.message, "callback_query": {
            "id": "q%d" % self.message, "from": {"id": self.user, "is_bot": False, "first_name": "P%d" % self.user},
            "chat_instance": "1", "data": self.data,
            "message": {"message_id": self.message, "date": 1, "chat": {"id": self.user, "type": "private"}}}}).encode()


class Platform:
    """Posts presses over a few connections, each when it is due."""

    def __init__(self, port):
        self.port, self.due, self.wrong = port, asyncio.Queue(), []
        self.head = "POST /telegram/escrow HTTP/1.1\r\nHost: b\r\nX-Telegram-Bot-Api-Secret-Token: %s\r\nContent-Length: " % SECRET

    async def post(self, streams, press):
        reader, writer = streams
        body = press.body()
        press.posted = time.monotonic()
        writer.write(("%s%d\r\n\r\n" % (self.head, len(body))).encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next((int(h.split(b":")[1]) for h in answer.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
        said = await reader.readexactly(length)
        press.answered = time.monotonic()
        if not answer.startswith(b"HTTP/1.1 200") or b"answerCallbackQuery" not in said:
            self.wrong.append(answer[:60] + said[:100])

    async def connection(self):
        streams = await asyncio.open_connection("127.0.0.1", self.port)
        while True:
            press = await self.due.get()
            if press is None:
                streams[1].close()
                return
            await self.post(streams, press)

    async def run(self, presses, rate):
        connections = [asyncio.create_task(self.connection()) for _ in range(CONNECTIONS)]
        began, wall = time.monotonic() + 0.2, time.time() + 0.2
        for n, press in enumerate(presses):
            press.due, press.due_ms = began + n / rate, (wall + n / rate) * 1000
            await asyncio.sleep(max(press.due - time.monotonic(), 0))
            self.due.put_nowait(press)
        for _ in connections:
            self.due.put_nowait(None)
        await asyncio.gather(*connections)


class Bench:
    def __init__(self):
        self.rates = [float(r) for r in option("RATES", "25,50,100,200").split(",")]
        self.seconds, self.people = option("SECONDS", 20), option("PEOPLE", 2000)
        durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
        self.stack = Stack(binary_from_argv(), workers=option("WORKERS", 3), bot="escrow", pg_conf=durable,
                           SHOAL_FLOOD_CHAT="20/20", SHOAL_USER_RATE="30/10")
        self.rng, self.messages, self.trade = random.Random(1), 0, 0

    def furnish(self):
        wanted = int(sum(r * (self.seconds + WARM_S) for r in self.rates)) + 1
        rows = self.stack.pg.rows
        rows("INSERT INTO users (telegram_id, first_name) SELECT %s + i, 'P' || i FROM generate_series(0, %s - 1) i",
             FIRST, self.people)
        rows("SELECT count(book('c' || id, 'credit', NULL, 'USD', 1000000000, 'outside', id, 'available', id)) FROM users")
        rows(TRADES % {"n": wanted, "first": FIRST, "people": self.people})
        rows("ANALYZE")

    def press(self):
        self.messages += 1
        mark = "%08d" % self.messages
        if self.rng.random() >= MONEY:
            return Press(FIRST + self.rng.randrange(self.people), "%s:%s" % (self.rng.choice(LOOKS), mark), self.messages, False)
        self.trade += 1
        verb, who = self.rng.choice(DEEDS)
        user = FIRST + (self.trade + (who == "seller")) % self.people
        return Press(user, "%s:B%09d:%s" % (verb, self.trade, mark), self.messages, True)

    def load(self, rate):
        presses = [self.press() for _ in range(int(rate * (self.seconds + WARM_S)))]
        platform = Platform(self.stack.gateway_port)
        before = idle()
        asyncio.run(platform.run(presses, rate))
        spent, free = (b - a for a, b in zip(before, idle()))
        wait_for(lambda: self.stack.queue()["length"] == 0, PATIENCE)
        check("%g a second: every press was answered in the webhook's reply" % rate, not platform.wrong, platform.wrong[:3])
        print("# %g a second: the processors were idle %.0f%% of the time" % (rate, 100 * free / spent))
        self.tell(rate, presses[int(rate * WARM_S):])

    def edits(self):
        found = {}
        for c in self.stack.calls():
            if c["method"] == "editMessageText":
                found.setdefault((c["parameters"]["chat_id"], c["parameters"]["message_id"]), c["time"])
        return found

    def tell(self, rate, presses):
        edits = self.edits()
        edited = [(p, edits[(p.user, p.message)] - p.due_ms) for p in presses if (p.user, p.message) in edits]
        check("%g a second: every press led to an edited message" % rate, len(edited) == len(presses), (len(edited), len(presses)))
        say("%g/s, answer" % rate, [(p.answered - p.due) * 1000 for p in presses])
        say("%g/s, of it the sender's delay" % rate, [(p.posted - p.due) * 1000 for p in presses])
        say("%g/s, edited, without a commit" % rate, [ms for p, ms in edited if not p.money])
        say("%g/s, edited, with a commit" % rate, [ms for p, ms in edited if p.money])

    def run(self):
        self.furnish()
        print("# %d workers, %d people, %d processors, load %.1f at the start; ms from the press, as the platform sees it" % (
            len(self.stack.workers), self.people, os.cpu_count(), os.getloadavg()[0]))
        for rate in self.rates:
            self.load(rate)
        done = self.stack.pg.rows("SELECT count(*) FROM escrows WHERE status <> 'active'")[0][0]
        check("every press that should move money did, once", done == self.trade, (done, self.trade))
        check("no update became a dead letter", self.stack.queue()["dead"] == 0)


def idle():
    """All processors together, since the start: time, and idle time of it."""
    with open("/proc/stat") as f:
        ticks = [int(n) for n in f.readline().split()[1:9]]
    return sum(ticks), ticks[3]


def say(what, values):
    v = sorted(values)
    print("# %-32s %6d presses  %s" % (what, len(v), "  ".join("%s %7.1f" % (name, v[min(int(len(v) * p), len(v) - 1)]) for name, p in (
        ("p50", .5), ("p90", .9), ("p99", .99), ("p99.9", .999), ("max", 1)))), flush=True)


Bench().run()
finish()
