"""How soon a change of a start code reaches all workers, by stage: `make bench-changes`. Four workers under a small steady
load; a code is changed by plain SQL and by `shoal code set`, in turn. From the return of the COMMIT, or of the verb:

    forgotten   until the last worker has dropped it from its memory (its own log)
    answered    until the last worker's first answer with the new value has come to the platform. Updates are posted in
                small bursts behind each change, so that every worker has one in hand all the time
    old         updates that were posted after the change and still got the old value: how long after it, at most

By environment: CHANGES=1000, LOAD=60 updates a second."""
import datetime
import json
import os
import random
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from lib import check, finish  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

CHANGES = int(os.environ.get("CHANGES", "1000"))
LOAD = int(os.environ.get("LOAD", "60"))
WORKERS, CHATS, FIRST, CODE = 4, 400, 8_200_000_000, "turn"
BURSTS = ((0, 8), (15, 4), (30, 4), (50, 4), (80, 4), (120, 4))  # ms after the change, updates: two a worker at first
BETWEEN_S = 0.1


def now_ms():
    return time.time() * 1000


def seed(stack):
    for name in ("even", "odd"):
        stack.pg.rows("INSERT INTO personas (key, name, greeting) VALUES (%s, %s, 'hi')", name, name)
    stack.pg.rows("INSERT INTO start_codes (code, persona_id) SELECT %s, id FROM personas WHERE key = 'even'", CODE)
    for n in range(CHATS):
        stack.control("POST", "users", {"id": FIRST + n, "first_name": "P"})
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at, acquisition_source) "
                  "SELECT %s + n, 'P', now(), 'before' FROM generate_series(0, %s) n", FIRST, CHATS - 1)
    stack.pg.rows("INSERT INTO chats (user_id, persona_id) SELECT u.id, p.id FROM users u, personas p "
                  "WHERE p.key IN ('even', 'odd')")


class Poster:
    """/start CODE from the chats in turn; when each of each chat was posted."""

    def __init__(self, stack):
        self.redis, self.next, self.posted, self.lock = stack.redis.client(), 5 * 10**12, [[] for _ in range(CHATS)], threading.Lock()

    def post(self, n):
        with self.lock:
            pipe = self.redis.pipeline(transaction=False)
            at = now_ms()
            for _ in range(n):
                chat, user = self.next % CHATS, FIRST + self.next % CHATS
                message = {"message_id": self.next % 10**9, "date": int(at / 1000), "text": "/start " + CODE,
                           "chat": {"id": user, "type": "private"}, "from": {"id": user, "is_bot": False, "first_name": "P"},
                           "entities": [{"type": "bot_command", "offset": 0, "length": 6}]}
                pipe.xadd("shoal:{0}:updates", {
                    "bot": "persona", "lane": "telegram:persona:%d" % user, "key": "telegram:persona:%d" % self.next,
                    "at": int(at), "body": json.dumps({"update_id": self.next, "message": message})})
                self.posted[chat].append(at)
                self.next += 1
            pipe.execute()


def load(poster, over):
    while not over.wait(random.expovariate(LOAD)):
        poster.post(1)


def changes(stack, poster):
    """[(by verb, before it, when it was done, the new value)]"""
    db, done, want = stack.pg.connect(), [], "even"
    db.autocommit = True
    cur = db.cursor()
    for i in range(CHANGES):
        want = "odd" if want == "even" else "even"
        before = now_ms()
        if i % 2:
            stack.shoal("code", "set", CODE, "--persona", want)
        else:
            cur.execute("UPDATE start_codes SET persona_id = (SELECT id FROM personas WHERE key = %s) WHERE code = %s",
                        (want, CODE))
        at = now_ms()
        done.append((bool(i % 2), before, at, want))
        for ms, n in BURSTS:
            time.sleep(max(0, (at + ms - now_ms()) / 1000))
            poster.post(n)
        time.sleep(BETWEEN_S)
    return done


def answers(stack, poster):
    """[(worker, when the update was posted, when the answer came, persona)]"""
    nth, out = [0] * CHATS, []
    for c in stack.calls():
        chat = (c.get("chat_id") or 0) - FIRST
        if c["method"] != "sendMessage" or not 0 <= chat < CHATS:
            continue
        name = re.search(r"<b>(even|odd)</b>", c["parameters"]["text"])
        out.append((c["worker"], poster.posted[chat][nth[chat]], c["time"], name and name.group(1)))
        nth[chat] += 1
    return out


def forgotten(worker):
    """When this worker dropped the code, ms."""
    out = []
    for line in worker.output().splitlines():
        if '"cache key changed"' in line and '"key":"%s"' % CODE in line:
            at = datetime.datetime.fromisoformat(json.loads(line)["time"].replace("Z", "+00:00"))
            out.append(at.timestamp() * 1000)
    return out


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(len(values) * q))] if values else float("nan")


def report(name, values):
    print("# %-34s %5d: p50 %6.1f  p90 %6.1f  p99 %6.1f  longest %6.1f ms" % (
        name, len(values), quantile(values, 0.5), quantile(values, 0.9), quantile(values, 0.99), max(values, default=0)))


def judge(done, seen, dropped):
    for by_verb, name in ((False, "plain SQL"), (True, "code set")):
        took, gone, answered, slowest, old, late = [], [], [], [], [], 0
        for i, (verb, before, at, want) in enumerate(done):
            if verb != by_verb:
                continue
            end = done[i + 1][1] if i + 1 < len(done) else float("inf")
            first = {}
            for worker, posted, came, value in seen:
                if value == want and before < came < end:
                    first[worker] = min(came, first.get(worker, came))
            took.append(at - before)
            drops = [[t for t in d if before - 1 < t < end] for d in dropped]
            if all(drops):
                gone.append(max(0, max(min(d) for d in drops) - at))
            late += len(first) < WORKERS
            if len(first) == WORKERS:
                answered.append(max(0, max(first.values()) - at))
            slowest += [came - posted for _, posted, came, _ in seen if at <= posted < end]
            old.append(max([posted - at for _, posted, came, value in seen
                            if at < posted and came < end and value != want], default=0))
        report(name + ": the change itself", took)
        report(name + ": forgotten by the last", gone)
        report(name + ": answered by the last", answered)
        report(name + ": any update, from its posting", slowest)
        report(name + ": old after it", old)
        check("%s: every worker answered with the new value in time (%d did not)" % (name, late), late <= CHANGES // 100)
        check("%s: an old value is told for no longer (p99 of the updates that were posted after it)" % name,
              quantile(old, 0.99) < 50)


def main():
    stack = Stack(binary_from_argv(), workers=0, SHOAL_INFLIGHT=2, SHOAL_LOG="debug", SHOAL_LOG_FORMAT="json",
                  SHOAL_LOG_UPDATES=0)
    seed(stack)
    stack.start_workers(WORKERS)
    poster, over = Poster(stack), threading.Event()
    threading.Thread(target=load, args=(poster, over), daemon=True).start()
    began = time.monotonic()
    done = changes(stack, poster)
    over.set()
    stack.settled()
    print("# %d changes in %.0f s, load average %.1f" % (len(done), time.monotonic() - began, os.getloadavg()[0]))
    judge(done, answers(stack, poster), [forgotten(w) for w in stack.workers])
    stack.stop()


main()
finish()
