"""Clocks that jump, forth and back, by an hour and by a day: Redis', a worker's, the gateway's, the admin server's,
Postgres'. What is accepted is done once and in order, living workers keep their chats and dead ones lose them, and nothing
waits for as long as a clock was set back: no retry, no lock, no budget, no job."""
import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "outside")]
import discord  # noqa: E402
from lib import check, finish, free_port, http, start_postgres, start_redis, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402
from wall_clock import WallClock  # noqa: E402

HOUR, DAY = 3600, 86400
FIRST, CHATS = 9000000, 5
TALKER, REFUSED, LEFT = FIRST + 100, FIRST + 101, FIRST + 102
BUILD = os.path.dirname(os.path.abspath(binary_from_argv()))
ADMIN_TOKEN = "clock-test-admin-token"


def own_clock():
    return WallClock(BUILD)


class World:
    def __init__(self):
        self.clocks = {who: own_clock() for who in ("Redis", "Postgres", "gateway", "worker", "admin")}
        with self.clocks["Redis"].here():
            redis = start_redis()
        self.stack = s = Stack(binary_from_argv(), workers=0, redis=redis, SHOAL_USER_RATE="60/600")
        # the schema is there; the server comes again with its clock
        s.pg.stop()
        with self.clocks["Postgres"].here():
            s.pg = s.pg.again()
        s.gateway.stop()
        plain, s.env = s.env, {**s.env, **self.clocks["gateway"].env}
        s.gateway = s.start_gateway()
        s.env = plain
        self.jumper = s.add_worker(**self.clocks["worker"].env)
        self.other = s.add_worker()
        self.told = {}
        s.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'E', 'Hello', '{yes}')")
        s.tell_caches("persona")
        for chat in [FIRST + n for n in range(CHATS)] + [TALKER, REFUSED, LEFT]:
            s.control("POST", "users", {"id": chat, "first_name": "P"})
            s.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) VALUES (%s, 'P', now())", chat)
            self.told[chat] = 0
        for w in s.workers:
            s.expect("worker", lambda: s.ready(w))

    def say(self, chat):
        self.told[chat] += 1
        self.stack.say(chat, "%d" % self.told[chat])

    def stored(self, chat):
        return [r[0] for r in self.stack.pg.rows(
            "SELECT m.text FROM messages m JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = c.user_id "
            "WHERE m.direction = 'in' AND u.telegram_id = %s ORDER BY m.id", chat)]

    def heard(self, chat):
        return sum(bool(m.get("from", {}).get("is_bot")) for m in self.stack.chat(chat)["messages"])

    def all_answered(self, chats):
        return wait_for(lambda: all(self.heard(c) >= self.told[c] for c in chats) and self.stack.settled(0), every=0.2)

    def numbers(self, chat):
        return ["%d" % (n + 1) for n in range(self.told[chat])]


def jump(w, who, to, name):
    """While everybody has something in hand."""
    chats = [FIRST + n for n in range(CHATS)]
    w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "delay", "ms": 300})
    for _ in range(2):
        for chat in chats:
            w.say(chat)
    wait_for(lambda: w.stack.queue()["lanes"] == CHATS)
    w.clocks[who].set(to)
    for chat in chats:
        w.say(chat)
    w.stack.control("DELETE", "faults")
    check("%s: all are answered" % name, w.all_answered(chats), (w.stack.queue(), [w.heard(c) for c in chats], w.told))
    check("%s: workers are ready, and keep what they have" % name, all(
        wait_for(lambda: w.stack.ready(p)) for p in w.stack.workers) and w.stack.total("shoal_takeovers_total") == 0)


def each_clock(w):
    for who in ("worker", "gateway", "Postgres"):
        for to, name in ((HOUR, "an hour ahead"), (0, "an hour back"), (DAY, "a day ahead"), (0, "a day back")):
            jump(w, who, to, "%s %s" % (who, name))
    for to, name in ((HOUR, "an hour ahead"), (DAY, "a day ahead")):
        jump(w, "Redis", to, "Redis %s" % name)
    # from the day before yesterday's side of things: what has an end has it a day later now
    before_redis_goes_back(w)
    jump(w, "Redis", -HOUR, "Redis more than a day back")
    after_redis_went_back(w)
    killed_as_redis_goes_back(w)


def before_redis_goes_back(w):
    """Everything that ends at a time which Redis keeps."""
    w.stack.control("POST", "messages", {"bot": "persona", "updates": [{"user_id": TALKER, "text": "word"}] * 75})
    check("60 in ten minutes are allowed: who writes 75 is throttled", wait_for(lambda: w.stack.settled(0) and w.stack.total(
        "shoal_updates_total", 'outcome="throttled"') > 0))
    w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "429", "retry_after": 4, "count": 1, "chat_id": REFUSED})
    w.refused_at = time.monotonic()
    w.say(REFUSED)
    wait_for(lambda: w.stack.queue()["due"] == 1)
    check("a 429 of 4 s: its message waits", w.stack.queue()["due"] == 1, w.stack.queue())


def after_redis_went_back(w):
    check("Redis went back: what a 429 held up comes when its time is over", wait_for(lambda: w.heard(REFUSED) == 1))
    took = time.monotonic() - w.refused_at
    check("Redis went back: and not before", took > 3, took)
    before = len(w.stored(TALKER))

    def again():
        time.sleep(1)
        w.say(TALKER)
        wait_for(lambda: w.stack.settled(0), 5)
        return len(w.stored(TALKER)) > before
    check("Redis went back: who wrote too much is heard again soon", wait_for(again))


def killed_as_redis_goes_back(w):
    w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "hang", "chat_id": LEFT, "count": 1})
    w.say(LEFT)
    wait_for(lambda: any(c["method"] == "sendMessage" and c["chat_id"] == LEFT for c in w.stack.calls()) or
             w.stack.queue()["lanes"] == 1)
    holder = next(p for p in (w.jumper, w.other) if w.stack.metrics(p)["shoal_inflight"] > 0)
    w.clocks["Redis"].set(-DAY - HOUR)
    holder.kill()
    check("killed as Redis' clock goes back a day: another one answers", wait_for(lambda: w.heard(LEFT) == 1), w.stack.queue())
    took = wait_for(lambda: w.stack.settled(0))
    check("and all is settled", took, w.stack.queue())


def admin(w):
    port = free_port()
    url = "http://127.0.0.1:%d" % port
    p = w.stack.start("admin", ["admin"], SHOAL_ADMIN_LISTEN="127.0.0.1:%d" % port, SHOAL_ADMIN_TOKEN=ADMIN_TOKEN,
                      **w.clocks["admin"].env)
    bearer = {"Authorization": "Bearer " + ADMIN_TOKEN}
    check("admin: it is there", wait_for(lambda: http("GET", url + "/api/session", headers=bearer).status == 200))
    for _ in range(40):
        http("GET", url + "/api/session", headers={"Authorization": "Bearer wrong"})
    held = http("GET", url + "/api/session", headers={"Authorization": "Bearer wrong"})
    for to in (DAY, -DAY):
        w.clocks["admin"].set(to)
        good = [http("GET", url + path, headers=bearer) for path in ("/api/session", "/api/queue", "/api/workers")]
        check("admin %+d h: its token holds" % (to / HOUR), all(a.status == 200 for a in good), good)
        still = http("GET", url + "/api/session", headers={"Authorization": "Bearer wrong"})
        check("admin %+d h: who tried wrong ones is neither let go nor held for longer" % (to / HOUR), held.status == 429 ==
              still.status and int(still.headers["retry-after"]) <= int(held.headers["retry-after"]) + 2, (held, still))
    check("admin: the command line works beside it", "w1" in w.stack.shoal("workers", **w.clocks["admin"].env))
    p.stop()


def judge(w):
    wrong = {c: (w.stored(c), w.numbers(c)) for c in w.told if c != TALKER and w.stored(c) != w.numbers(c)}
    check("stored once each, in order", not wrong, wrong)
    sent = [c["chat_id"] for c in w.stack.calls() if c["method"] == "sendMessage" and c["ok"]]
    twice = {c: (sent.count(c), n) for c, n in w.told.items() if c not in (TALKER, LEFT) and sent.count(c) != n}
    check("answered once each", not twice, twice)
    q = w.stack.queue()
    check("no dead letters, nothing left", all(q[k] == 0 for k in q), q)


def ladder():
    """On Discord: tokens that live for minutes, and a job that runs each second."""
    clocks = {who: own_clock() for who in ("Redis", "worker")}
    with clocks["Redis"].here():
        redis = start_redis()
    signer, api = discord.Signer(), discord.Server()
    stack = Stack(binary_from_argv(), workers=0, webhook=False, redis=redis, bot="ladder",
                  SHOAL_LADDER_PUBLIC_KEY=signer.public, SHOAL_DISCORD_API=api.url)
    for uid in (21, 22, 23, 24):
        stack.pg.rows("INSERT INTO players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at) "
                      "VALUES (%s, %s, 'DE', 'euw', now(), now())", uid, "P%d" % uid)
    worker = stack.add_worker(**clocks["worker"].env)
    stack.expect("worker", lambda: stack.ready(worker))

    def slash(uid, name, **options):
        one = discord.command(name, *options.items(), user=uid)
        answer = signer.post(stack.gateway_url + "/discord/ladder", one)
        if answer.status != 200:
            raise RuntimeError("the gateway says %s" % (answer,))
        return one

    def answered(one):
        return wait_for(lambda: any(c[0] == "PATCH" for c in api.of(one)), 20)

    def matched(a, b, name):
        for uid in (a, b):
            slash(uid, "queue", races="bw_zerg")
        check("%s: two who queue are matched" % name, wait_for(lambda: stack.pg.rows(
            "SELECT 1 FROM matches_1v1 WHERE %s IN (player_1, player_2) AND %s IN (player_1, player_2)", a, b)),
            stack.redis.client().keys("shoal:{cache}:*job*"))

    for to in (HOUR, -HOUR, DAY, -DAY, 0):
        clocks["worker"].set(to)
        check("a worker %+d h from right: commands are answered" % (to / HOUR), answered(slash(21, "profile")),
              worker.output()[-1500:])
        if to:
            check("a worker %+d h from right: it says so" % (to / HOUR), wait_for(lambda: abs(stack.metrics(worker)[
                "shoal_clock_ahead_seconds"] - to) < 60) and "this machine's clock and Redis' differ" in worker.output())
    matched(21, 22, "with right clocks")
    stack.redis.client().set("shoal:{cache}:lock:job:matcher", "of a dead worker", px=3000)
    clocks["Redis"].set(-DAY)
    matched(23, 24, "Redis a day back")


def main():
    w = World()
    each_clock(w)
    admin(w)
    judge(w)
    ladder()
    finish()


main()
