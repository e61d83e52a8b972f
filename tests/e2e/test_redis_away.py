"""The caches' Redis goes away (paused, shut down, killed) while updates are in hand: what is in hand goes on without the
user rate and the flood budget, counted and at a pace of the worker's own; a press goes on only where its lock is known to
be its own; a worker that no longer knows whether an entry is its own commits and sends nothing. Once with a Redis of its
own for the caches, once with one Redis for all. Effects and replies come once all along."""
import http.server
import json
import os
import signal
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import PATIENCE, check, finish, free_port, start_redis, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402

FIRST = 9000000
PERSONA = "Echo"
CROWD = 20 if light() else 30
STEP = 0.05  # s between two messages of a bot without Redis
FENCE = 2  # s for which a worker is certain of what it has
TRIES = 6  # what has to happen within the fence, or before a worker notices, may miss it on a busy machine


class Responder:
    """A chat-completions endpoint that holds its answers back while told to."""

    def __init__(self):
        self.open, self.lock, self.held = threading.Event(), threading.Lock(), 0
        self.open.set()
        me = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with me.lock:
                    me.held += 1
                me.open.wait(60)
                with me.lock:
                    me.held -= 1
                body = json.dumps({"choices": [{"message": {
                    "role": "assistant", "content": "heard " + asked["messages"][-1]["content"]}}]}).encode()
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # the worker has gone
                    self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self.port = free_port()
        server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()


class World:
    def __init__(self, name, separate):
        self.name, self.responder = name, Responder()
        self.cache = start_redis() if separate else None
        self.stack = Stack(binary_from_argv(), workers=0, SHOAL_MAX_ATTEMPTS=1, SHOAL_USER_RATE="1000/1",
                           SHOAL_RESPONDER_URL="http://127.0.0.1:%d/v1" % self.responder.port,
                           SHOAL_RESPONDER_TIMEOUT_S=60, SHOAL_CACHE_REDIS_URL=self.cache and self.cache.url)
        self.stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', %s, 'Hello', '{no}')",
                           PERSONA)
        self.stack.start_workers(1)
        self.worker, self.users = self.stack.workers[0], 0

    def check(self, what, good, detail=""):
        return check("%s: %s" % (self.name, what), good, detail)

    # ---- people

    def new(self, verified=True):
        user = FIRST + self.users
        self.users += 1
        self.stack.control("POST", "users", {"id": user, "first_name": "P"})
        if verified:
            self.stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) VALUES (%s, 'P', now())", user)
        return user

    def asked(self):
        """A new person whom the bot has asked for the age: (person, message, data of the button that says yes)"""
        user = self.new(False)
        self.stack.say(user, "/start")
        message = wait_for(lambda: [m for m in self.stack.chat(user)["messages"] if m.get("reply_markup")])[-1]
        return user, message["message_id"], message["reply_markup"]["inline_keyboard"][0][0]["callback_data"]

    def heard(self, user):
        return [m["text"] for m in self.stack.chat(user).get("messages", []) if m.get("from", {}).get("is_bot")]

    def lines(self, user):
        return [r[0] for r in self.stack.pg.rows(
            "SELECT m.text FROM messages m JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = c.user_id "
            "WHERE u.telegram_id = %s ORDER BY m.id", user)]

    def verified(self, user):
        return bool(self.stack.pg.rows("SELECT 1 FROM users WHERE telegram_id = %s AND age_verified_at IS NOT NULL", user))

    def calls(self, user, method="sendMessage"):
        return [c for c in self.stack.calls() if c["method"] == method and int(c["parameters"]["chat_id"]) == user]

    def answered(self, users, text, seconds=PATIENCE):
        return wait_for(lambda: all(self.heard(u)[-1:] == ["heard " + text] for u in users), seconds, 0.05)

    # ---- Redis

    def redis(self):
        return self.cache or self.stack.redis

    def pause(self):
        self.redis().send(signal.SIGSTOP)

    def go_on(self):
        self.redis().send(signal.SIGCONT)

    def again(self):
        if self.cache:
            self.cache = self.cache.again()
        else:
            self.stack.redis = self.stack.redis.again()

    def unasked(self, what):
        return self.stack.total("shoal_unasked_total", '"%s"' % what)

    def outcome(self, what, kind=""):
        return self.stack.total("shoal_updates_total", 'outcome="%s"' % what, kind)

    # ---- steps of the tests

    def hold(self, users, text):
        """Their messages are in hand, admitted and loaded, and wait for the responder."""
        self.responder.open.clear()
        for u in users:
            self.stack.say(u, text)
        if not wait_for(lambda: self.responder.held == len(users)):
            raise RuntimeError("%d of %d are held" % (self.responder.held, len(users)))

    def release(self):
        self.responder.open.set()

    def once(self, what, users, text):
        """All has gone well in the end: stored and answered, once, at no attempt's expense; and all is as before."""
        self.check(what + ": the queue empties", self.stack.settled(30), self.stack.queue())
        wrong = [(u, self.lines(u), self.heard(u)) for u in users
                 if self.lines(u) != [text, "heard " + text] or self.heard(u) != ["heard " + text]]
        self.check(what + ": the effects are there once", not wrong, wrong[:3])
        self.as_ever(what)

    def as_ever(self, what):
        q = self.stack.queue()
        self.check(what + ": no attempt was used up", q["dead"] == q["tries"] == 0, q)
        self.check(what + ": ready again", wait_for(lambda: self.stack.ready(self.worker)))
        before, user = (self.unasked("rate"), self.unasked("budget")), self.new()
        self.stack.say(user, "and now")
        self.check(what + ": then Redis is asked again", self.answered([user], "and now") and
                   before == (self.unasked("rate"), self.unasked("budget")), (before, self.heard(user)))


# ---- a Redis of the caches' own


def silent(w):
    """It stops answering while the budget is about to be asked."""
    users, before = [w.new() for _ in range(5)], w.unasked("budget")
    w.hold(users, "a")
    w.pause()
    w.release()
    w.check("silent: what is in hand is answered meanwhile", w.answered(users, "a"), [w.heard(u) for u in users])
    w.check("silent: counted", w.unasked("budget") == before + len(users), w.unasked("budget") - before)
    w.go_on()
    w.once("silent", users, "a")


def press_entry(user, message, data, number):
    person = {"id": user, "is_bot": False, "first_name": "P"}
    return {"bot": "persona", "lane": "telegram:persona:%d" % user, "key": "telegram:persona:%d" % number, "again": "1",
            "body": json.dumps({"update_id": number, "callback_query": {
                "id": str(number), "from": person, "chat_instance": "1", "data": data, "message": {
                    "message_id": message, "date": 1700000000, "text": "?", "chat": {
                        "id": user, "type": "private", "first_name": "P"}}}})}


def admission(w):
    """It stops answering before updates are admitted: a message goes on, a press waits, but for one that was committed."""
    for attempt in range(TRIES):
        user, (presser, message, data), (stored, *button), number = w.new(), w.asked(), w.asked(), 1800000000 + attempt
        effects = [{"m": "sendMessage", "c": stored, "g": False, "b": {"chat_id": stored, "text": "as stored"}}]
        w.stack.pg.rows("INSERT INTO guards (key, effects) VALUES (%s, %s)", "telegram:persona:%d" % number,
                        json.dumps(effects))
        w.stack.settled()
        rate, retried, twice = w.unasked("rate"), w.outcome("retried", "callback_query"), w.outcome("double_click")
        w.pause()
        w.stack.redis.client().xadd("shoal:{0}:updates", press_entry(stored, *button, number))
        w.stack.say(user, "b")
        for _ in range(2):
            w.stack.press(presser, message, data, force=True)
        if wait_for(lambda: w.unasked("rate") > rate and w.outcome("retried", "callback_query") > retried and
                    len(w.heard(stored)) == 2, 10):
            break
        w.go_on()  # the worker knew before it took them
    w.check("admission: a message goes on", w.answered([user], "b"), w.heard(user))
    w.check("admission: counted", w.unasked("rate") == rate + 1, w.unasked("rate") - rate)
    w.check("admission: so does a press that was committed before", w.heard(stored)[1:] == ["as stored"], w.heard(stored))
    w.check("admission: a press is given back", w.outcome("retried", "callback_query") == retried + 1)
    time.sleep(1.5)  # it would come again after one
    w.check("admission: and waits", not w.verified(presser) and len(w.heard(presser)) == 1, w.heard(presser))
    w.go_on()
    w.check("admission: then it works", wait_for(lambda: w.verified(presser) and len(w.heard(presser)) == 2),
            w.heard(presser))
    w.once("admission", [user], "b")
    wait_for(lambda: w.outcome("double_click") > twice)
    w.check("admission: pressed twice, once", w.outcome("double_click") == twice + 1 and len(w.heard(presser)) == 2 and
            len(w.calls(presser, "editMessageReplyMarkup")) == 1, (w.outcome("double_click") - twice, w.heard(presser)))


def crowd(w):
    """It is killed while many wait for Postgres. Nothing floods the platform, and nobody is given back."""
    users, before = [w.new() for _ in range(CROWD)], w.unasked("budget")
    blocker = w.stack.pg.connect()
    with blocker.cursor() as cur:
        cur.execute("LOCK TABLE chats IN ACCESS EXCLUSIVE MODE")
    for u in users:
        w.stack.say(u, "c")
    wait_for(lambda: w.stack.total("shoal_inflight") == CROWD)
    w.redis().kill()
    retried = w.outcome("retried")
    blocker.close()
    w.check("crowd: all are answered meanwhile", w.answered(users, "c"))
    w.check("crowd: none was given back", w.outcome("retried") == retried, w.outcome("retried") - retried)
    w.check("crowd: counted", w.unasked("budget") == before + CROWD, w.unasked("budget") - before)
    late = w.new()
    w.stack.say(late, "c")
    time.sleep(1)
    w.check("crowd: nothing new is taken", w.heard(late) == [] and w.stack.total("shoal_inflight") == 0)
    w.again()
    w.check("crowd: until it is back", w.answered([late], "c"))
    w.once("crowd", users, "c")
    times = sorted(w.calls(u)[0]["time"] / 1000 for u in users)
    print("# %d messages took %.2f s" % (CROWD, times[-1] - times[0]))
    w.check("crowd: one after the other", times[-1] - times[0] > STEP * CROWD / 2, times[-1] - times[0])


def between(w):
    """It shuts down between the two messages of a press that was admitted."""
    presser, message, data = w.asked()
    w.stack.control("POST", "faults", {"method": "editMessageReplyMarkup", "kind": "delay", "ms": 1000, "chat_id": presser})
    before, twice = w.unasked("budget"), w.outcome("double_click")
    w.stack.press(presser, message, data)
    wait_for(lambda: w.verified(presser))
    w.redis().stop()
    w.check("between: the second message comes meanwhile", wait_for(lambda: len(w.heard(presser)) == 2),
            w.heard(presser))
    w.check("between: counted", w.unasked("budget") > before)
    w.stack.press(presser, message, data, force=True)
    w.stack.control("DELETE", "faults")
    w.again()
    w.check("between: pressed again it is a double click", wait_for(lambda: w.outcome("double_click") == twice + 1))
    w.stack.settled()
    w.check("between: each message came once", len(w.heard(presser)) == 2 and
            len(w.calls(presser, "editMessageReplyMarkup")) == 1, w.heard(presser))
    w.as_ever("between")


def limits(w):
    """The platform's limits hold all the same, and Redis hears of them when it is back."""
    short, long = w.new(), w.new()
    w.hold([short, long], "d")
    for chat, seconds in ((short, 2), (long, 600)):
        w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "429", "chat_id": chat, "count": 1,
                                           "retry_after": seconds})
    w.redis().kill()
    w.release()
    w.check("limits: a short one is waited for", w.answered([short], "d"), w.heard(short))
    w.check("limits: for a long one the message goes back", wait_for(lambda: w.stack.queue()["due"] == 1 and
            w.stack.total("shoal_inflight") == 0), w.stack.queue())
    w.again()
    key = "shoal:{cache}:flood:persona:%d:block" % long
    left = wait_for(lambda: max(w.cache.client().pttl(key), 0)) or 0
    w.check("limits: Redis is told", 1000 < left <= 600000, left)
    w.cache.client().delete(key)  # the platform has changed its mind
    for name in w.stack.redis.client().zrange("shoal:{0}:due", 0, -1):
        w.stack.redis.client().zadd("shoal:{0}:due", {name: 0})
    w.check("limits: then it goes out", w.answered([long], "d"), w.heard(long))
    w.once("limits", [short, long], "d")
    calls = {u: [(c["status"], c["time"] / 1000) for c in w.calls(u)] for u in (short, long)}
    w.check("limits: one call met each", [[s for s, _ in c] for c in calls.values()] == [[429, 200]] * 2, calls)
    w.check("limits: the next kept to the time told", calls[short][-1][1] - calls[short][0][1] >= 2, calls)


# ---- one Redis for all


def within_the_fence(w):
    """It is killed, and for a moment the worker still knows what is its own."""
    for attempt in range(TRIES):
        user, before = w.new(), w.unasked("budget")
        w.hold([user], "e")
        w.redis().kill()
        w.release()
        soon = w.answered([user], "e", FENCE + 1)
        counted = w.unasked("budget") - before
        w.again()
        w.once("within the fence", [user], "e")
        if soon:
            break
    w.check("within the fence: answered meanwhile", soon)
    w.check("within the fence: counted", counted == 1, counted)


def beyond_the_fence(w):
    """It is away for longer before the answer is known: nothing is committed or sent until the worker is certain."""
    for name, begin, end in (("killed", lambda: w.redis().kill(), w.again), ("shut down", lambda: w.redis().stop(), w.again),
                             ("silent", w.pause, w.go_on)):
        users = [w.new() for _ in range(3)]
        w.hold(users, "f")
        begin()
        time.sleep(FENCE + 0.1)
        w.release()
        time.sleep(1)
        w.check("beyond the fence: %s: nothing is committed" % name, not any(w.lines(u) for u in users))
        w.check("beyond the fence: %s: nothing is sent" % name, not any(w.heard(u) for u in users))
        end()
        w.check("beyond the fence: %s: then all are answered" % name, w.answered(users, "f"))
        w.once("beyond the fence: " + name, users, "f")


def committed(w):
    """It is killed during the commit, which takes longer than the worker can be certain of what it has."""
    user, blocker = w.new(), w.stack.pg.connect()
    with blocker.cursor() as cur:
        cur.execute("LOCK TABLE activity_daily IN EXCLUSIVE MODE")
    w.stack.say(user, "g")
    wait_for(lambda: w.stack.pg.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    w.redis().kill()
    time.sleep(FENCE + 0.1)
    blocker.close()
    w.check("committed: it is", wait_for(lambda: len(w.lines(user)) == 2))
    time.sleep(1)
    w.check("committed: nothing is sent", not w.heard(user), w.heard(user))
    w.again()
    w.check("committed: then it is answered", w.answered([user], "g"))
    w.once("committed", [user], "g")


def run(name, separate, tests):
    began = time.monotonic()
    try:
        w = World(name, separate)
        for test in tests:
            test(w)
    except Exception:
        check(name + ": goes through", False, traceback.format_exc())
    print("# %s took %.1f s" % (name, time.monotonic() - began))


both = [threading.Thread(target=run, args=args) for args in (
    ("a Redis of their own", True, (silent, admission, crowd, between, limits)),
    ("one Redis", False, (within_the_fence, beyond_the_fence, committed)))]
for t in both:
    t.start()
for t in both:
    t.join()
finish()
