"""The caches from outside: how soon and how surely all workers answer with what was changed, by verb and by plain SQL;
that a cold key costs one query, whoever asks; that workers without a memory, and workers that join, do as well.
By environment: CHANGES=1000, RATE=600 updates a second, BACKLOG=40 of them at most that wait."""
import json
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import PATIENCE, check, finish, http, start_postgres, wait_for  # noqa: E402
from proxy import Proxy  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402

CHANGES = int(os.environ.get("CHANGES", "12" if light() else "60"))
RATE = int(os.environ.get("RATE", "200" if light() else "600"))
WORKERS = 4
BACKLOG = int(os.environ.get("BACKLOG", "40"))
FIRST = 8_100_000_000
CHATS = 300
CODE = "turn"


def now_ms():
    return time.time() * 1000


def entry(update_id, user, text):
    """As the gateway would append it."""
    message = {"message_id": update_id % 10**9, "date": int(time.time()), "text": text,
               "chat": {"id": user, "type": "private"}, "from": {"id": user, "is_bot": False, "first_name": "P"},
               "entities": [{"type": "bot_command", "offset": 0, "length": 6}]}
    return {"bot": "persona", "lane": "telegram:persona:%d" % user, "key": "telegram:persona:%d" % update_id,
            "at": int(now_ms()), "body": json.dumps({"update_id": update_id, "message": message})}


def seed(stack):
    """Two personas, and people who are verified, came by some code before and have talked to both."""
    for name in ("even", "odd"):
        stack.pg.rows("INSERT INTO personas (key, name, greeting) VALUES (%s, %s, 'hi')", name, name)
    stack.pg.rows("INSERT INTO start_codes (code, persona_id) SELECT %s, id FROM personas WHERE key = 'even'", CODE)
    for n in range(CHATS):
        stack.control("POST", "users", {"id": FIRST + n, "first_name": "P"})
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at, acquisition_source) "
                  "SELECT %s + n, 'P', now(), 'before' FROM generate_series(0, %s) n", FIRST, 2000)
    stack.pg.rows("INSERT INTO chats (user_id, persona_id) SELECT u.id, p.id FROM users u, personas p "
                  "WHERE p.key IN ('even', 'odd')")


class Load(threading.Thread):
    """/start CODE from all chats in turn, at a steady rate; when each update of each chat was posted."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack, self.posted, self.over = stack, [[] for _ in range(CHATS)], False

    def run(self):
        redis, update_id, due, step = self.stack.redis.client(), 5 * 10**12, time.monotonic(), 0.02
        while not self.over:
            pipe = redis.pipeline(transaction=False)
            at = now_ms()
            for _ in range(max(1, int(RATE * step))):
                chat = update_id % CHATS
                self.posted[chat].append(at)
                pipe.xadd("shoal:{0}:updates", entry(update_id, FIRST + chat, "/start " + CODE))
                update_id += 1
            pipe.execute()
            due = max(due + step, time.monotonic())
            time.sleep(max(0, due - time.monotonic()))
            while redis.xlen("shoal:{0}:updates") > BACKLOG and not self.over:  # a busy machine: what waits measures nothing
                time.sleep(0.005)


class Answers:
    """What the platform got: (worker, when the update was posted, when the answer came, persona)."""

    def __init__(self, stack, load):
        self.stack, self.load, self.seen, self.per_chat, self.all = stack, load, 0, [0] * CHATS, []

    def read(self):
        calls = self.stack.calls()
        for c in calls[self.seen:]:
            chat = (c.get("chat_id") or 0) - FIRST
            if c["method"] != "sendMessage" or not 0 <= chat < CHATS:
                continue
            name = re.search(r"<b>(even|odd)</b>", c["parameters"]["text"])
            nth = self.per_chat[chat]
            self.per_chat[chat] += 1
            self.all.append((c["worker"], self.load.posted[chat][nth], c["time"], name.group(1) if name else None))
        self.seen = len(calls)
        return self.all

    def new_by_all(self, since, start, want):
        """Whether every worker has answered an update that was posted after `since` with what it is now."""
        return len({a[0] for a in self.read()[start:] if a[1] > since and a[3] == want}) == WORKERS


def change(stack, by_verb, want):
    """When it had been done, for whoever asked for it."""
    if by_verb:
        stack.shoal("code", "set", CODE, "--persona", want)
    else:
        stack.pg.rows("UPDATE start_codes SET persona_id = (SELECT id FROM personas WHERE key = %s) WHERE code = %s",
                      want, CODE)
    return now_ms()


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(len(values) * q))] if values else 0


def judge(answers, changes):
    """Of each kind of change: how long until the last worker had answered with the new value, and how long after it
    updates were posted that still got the old one; and what came too late."""
    waits, windows, stale = {True: [], False: []}, {True: [], False: []}, []
    for i, (by_verb, at, start, want, _) in enumerate(changes):
        end = changes[i + 1][4] if i + 1 < len(changes) else float("inf")
        later = [a for a in answers[start:] if at < a[1] and a[2] < end]  # behind that comes the next change's value
        first, begun = {}, changes[i][4]
        for worker, _, came, name in answers[start:]:
            if name == want and begun < came < end:
                first.setdefault(worker, came)
        last = max(first.values())
        waits[by_verb].append(max(0, last - at))
        old = [posted - at for _, posted, _, name in later if name != want]
        windows[by_verb].append(max(old) if old else 0)
        stale += [a for a in later if a[3] != want and (by_verb or a[1] > last)]
    return waits, windows, stale


def changes_are_seen(stack):
    stack.start_workers(WORKERS)
    load = Load(stack)
    answers = Answers(stack, load)
    load.start()
    want, changes, missed = "even", [], 0
    for i in range(CHANGES):
        want = "odd" if want == "even" else "even"
        by_verb = i % 2 == 0
        start, before = len(answers.read()), now_ms()
        at = change(stack, by_verb, want)
        changes.append((by_verb, at, start, want, before))
        if not wait_for(lambda: answers.new_by_all(at, start, want), PATIENCE, 0.01):
            missed += 1
        time.sleep(random.uniform(0, 0.03))
    load.over = True
    load.join()
    check("changes: all is answered", stack.settled(), stack.queue())
    check("changes: after each, every worker answers with the new value (%d changes)" % len(changes), missed == 0, missed)
    posted = sum(map(len, load.posted))
    check("changes: every update has one answer (%d)" % posted, len(answers.read()) == posted, len(answers.all))
    waits, windows, stale = judge(answers.all, changes)
    for by_verb, name in ((True, "`shoal code set`, from its end"), (False, "plain SQL, from its COMMIT")):
        print("# %s: until the last of %d workers has answered with the new value: p50 %.0f ms, p99 %.0f ms, longest %.0f ms; "
              "later updates that still got the old value were posted up to %.0f ms (p99), %.0f ms (longest) after it"
              % (name, WORKERS, quantile(waits[by_verb], 0.5), quantile(waits[by_verb], 0.99), max(waits[by_verb]),
                 quantile(windows[by_verb], 0.99), max(windows[by_verb])))
    check("changes: no old value once the verb has returned, nor once all workers have the new one", not stale, stale[:5])
    check("changes: nothing waits for seconds", quantile(windows[False], 0.5) < 2000, windows[False])


def asks_for(stack, text):
    """How often Postgres executed a statement with this in it, by its own log."""
    with open(stack.pg.log, "rb") as f:
        return sum(text in m for m in re.findall(rb"LOG:  execute [^\n]*(?:\n\t[^\n]*)*", f.read()))


def counted(stack):
    """The same, of single codes, by the workers."""
    return stack.total("shoal_sql_statements_total", 'statement="cache_startcode"')


def push_all(stack, first, users, text):
    pipe = stack.redis.client().pipeline(transaction=False)
    for n, user in enumerate(users):
        pipe.xadd("shoal:{0}:updates", entry(first + n, user, text))
    pipe.execute()


def a_cold_key_costs_one_query(stack):
    """With too many codes to be loaded whole: a thousand people come by one of them at the same moment."""
    crowd = 200 if light() else 1000
    stack.pg.rows("INSERT INTO start_codes (code, persona_id) SELECT 'many' || n, p.id FROM generate_series(1, 1500) n, "
                  "personas p WHERE p.key = 'odd'")
    stack.shoal("cache", "invalidate", "startcode", "--all")
    for code, what in (("many77", "a code"), ("nowhere", "a code that is none")):
        stack.shoal("queue", "pause")
        push_all(stack, 6 * 10**12 + crowd * (code == "nowhere"), range(FIRST, FIRST + crowd), "/start " + code)
        before, told = asks_for(stack, b"starts_with($1::text"), counted(stack)
        stack.shoal("queue", "resume")
        check("cold: %s: all are answered" % what, stack.settled(), stack.queue())
        asked = asks_for(stack, b"starts_with($1::text") - before
        check("cold: %s, asked for by %d updates at once at %d workers: one query" % (what, crowd, WORKERS), asked == 1, asked)
        check("cold: %s: the metric says the same" % what, counted(stack) - told == 1, counted(stack) - told)


def workers_that_join(stack):
    """While others listen, what Redis holds is believed by whoever comes."""
    whole = asks_for(stack, b" AS fits")
    stack.start_workers(2)
    push_all(stack, 7 * 10**12, range(FIRST, FIRST + 100), "/start many77")
    check("join: all are answered", stack.settled(), stack.queue())
    check("join: nothing was loaded anew", asks_for(stack, b" AS fits") == whole, asks_for(stack, b" AS fits") - whole)


def without_memory(stack):
    stack.stop_workers()
    w = stack.add_worker(SHOAL_MEMORY_CACHE_MB=0)
    stack.expect("worker", lambda: stack.ready(w))
    for n, want in enumerate(("even", "odd", "even")):
        stack.shoal("code", "set", CODE, "--persona", want)
        seen = len(stack.calls())
        push_all(stack, 8 * 10**12 + n, [FIRST], "/start " + CODE)
        stack.settled()
        texts = [c["parameters"].get("text", "") for c in stack.calls()[seen:] if c.get("chat_id") == FIRST]
        check("no memory: the new value at once (%s)" % want, len(texts) == 1 and "<b>%s</b>" % want in texts[0], texts)
    check("no memory: it was not asked", stack.total("shoal_cache_requests_total", 'layer="memory"') == 0)


def another_database(stack):
    """A listener that hears nothing of the database in which changes are made: it counts for nothing, and says so."""
    other = start_postgres()
    way = Proxy(stack.pg.port)
    direct = stack.pg.url.replace(":%d/" % stack.pg.port, ":%d/" % way.port)
    w = stack.add_worker(SHOAL_POSTGRES_DIRECT_URL=direct)
    stack.expect("worker", lambda: stack.ready(w))
    for to, said in ((other, False), (stack.pg, True), (other, False)):
        way.to = to.port
        way.cut()
        way.mend()
        told = lambda: b"SHOAL_POSTGRES_DIRECT_URL" in http("GET", "http://127.0.0.1:%d/readyz" % stack.ports[w]).body
        check("another database: " + ("the right one again" if said else "not ready, with the variable that is wrong"),
              wait_for(lambda: stack.ready(w) if said else told()))
    check("another database: it is logged", "are not heard through SHOAL_POSTGRES_DIRECT_URL" in w.output())
    w.stop()
    # one that has never heard it begins all the same, and goes by what others hear
    v = stack.add_worker(SHOAL_POSTGRES_DIRECT_URL=direct)
    stack.expect("worker", lambda: b'"caches":"ok"' in http("GET", "http://127.0.0.1:%d/readyz" % stack.ports[v]).body)
    other.stop()


def main():
    stack = Stack(binary_from_argv(), workers=0, pg_conf={"log_statement": "all", "log_line_prefix": "%a|"},
                  SHOAL_INFLIGHT=4, SHOAL_LOG_UPDATES=0)
    seed(stack)
    changes_are_seen(stack)
    a_cold_key_costs_one_query(stack)
    workers_that_join(stack)
    without_memory(stack)
    another_database(stack)
    stack.stop()


main()
finish()
