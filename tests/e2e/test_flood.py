"""Outgoing limits with three workers, judged from the simulator's record alone: a 429 stops its scope until its time and
nobody else, budgets hold for the fleet, those who wait keep nobody out, and what is refused for good is no error.
SHOAL_MAX_ATTEMPTS is 1 all along: whatever used up an attempt would be a dead letter."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402
from standstill import Standstill  # noqa: E402

FIRST, CHATS = 1000000, 30
GAP = 0.03 if light() else 0.015  # s between two messages of the trickle
SLACK = 1.2 if light() else 0.6  # s that a call, or the word of one, may be on its way on a busy machine
machine = Standstill()

stack = Stack(binary_from_argv(), workers=0, SHOAL_MAX_ATTEMPTS=1)
stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) "
              "SELECT %s + n, 'Person', now() FROM generate_series(0, 999) n", FIRST)
stack.pg.rows("INSERT INTO personas (key, name, replies) VALUES ('default', 'Echo', %s)", ["one", "two", "three"])
stack.start_workers(3)
redis = stack.redis.client(decode_responses=True)


def calls(since=0.0, chat=None):
    """Messages on their way to chats, as (time in s, call)."""
    return [(c["time"] / 1000, c) for c in stack.calls() if c["method"] == "sendMessage" and c["time"] / 1000 >= since and
            (chat is None or int(c["parameters"]["chat_id"]) == chat)]


def settled(since=0.0, sent=0):
    """So many messages are sent, and nothing is left to do."""
    wait_for(lambda: len([t for t, c in calls(since) if c["ok"]]) >= sent, every=0.1)
    return stack.settled()


class Trickle(threading.Thread):
    """People who write, one after the other, until told to stop."""

    def __init__(self, chats=CHATS):
        super().__init__(daemon=True)
        self.chats, self.said, self.over = chats, [], threading.Event()
        self.start()

    def run(self):
        n = 0
        while not self.over.wait(GAP):
            self.said.append((time.time(), FIRST + n % self.chats))
            stack.say(FIRST + n % self.chats, "word")
            n += 1

    def end(self):
        self.over.set()
        self.join()


def fault(**rule):
    stack.control("POST", "faults", {"method": "sendMessage", "bot": "persona", **rule})


def all_answered(name, trickle, since):
    check(name + ": everything is answered in the end", settled(since, len(trickle.said)), stack.queue())
    done, said = {}, {}
    for _, c in calls(since):
        if c["ok"]:
            chat = int(c["parameters"]["chat_id"])
            done[chat] = done.get(chat, 0) + 1
    for _, chat in trickle.said:
        said[chat] = said.get(chat, 0) + 1
    check(name + ": once each", done == said, (done, said))
    q = stack.queue()
    check(name + ": and no attempt was used up", q["dead"] == 0 and q["tries"] == 0, q)


def one_chat():
    limited, since = FIRST + 7, time.time()
    trickle = Trickle()
    time.sleep(0.7)
    fault(kind="429", chat_id=limited, retry_after=3, count=1)
    wait_for(lambda: [c for _, c in calls(since, limited) if c["status"] == 429])
    time.sleep(3.2)
    trickle.end()
    all_answered("a chat's 429", trickle, since)
    mine = calls(since, limited)
    at = next(t for t, c in mine if c["status"] == 429)
    early = [t - at for t, _ in mine if at < t < at + 3]
    check("a chat's 429: no call of the chat before its time", not early, early)
    after = [t - at for t, c in mine if t >= at + 3]
    check("a chat's 429: then it goes on", after and machine.took(at, at + after[0]) < 6, after[:3])
    others = [(t, c) for t, c in calls(since) if int(c["parameters"]["chat_id"]) != limited and at < t < at + 3]
    in_time = at + 2.5 - machine.lost(at, at + 3)
    said = sum(1 for t, chat in trickle.said if chat != limited and at < t < in_time)
    check("a chat's 429: the others go on", len(others) >= said, (len(others), said))
    times = sorted([at] + [t for t, _ in others] + [at + 3])
    gap = max(machine.took(a, b) for a, b in zip(times, times[1:]))
    check("a chat's 429: without a pause", gap < 2.8, gap)
    print("# longest pause of the others: %.2f s, of the chat: %.2f s" % (gap, after[0]))


def whole_bot(name):
    since = time.time()
    trickle = Trickle()
    time.sleep(0.7)
    fault(kind="429", retry_after=3)
    first = wait_for(lambda: [t for t, c in calls(since) if c["status"] == 429])
    time.sleep(max(0, first[0] + 2.5 - time.time()))
    stack.control("DELETE", "faults")
    time.sleep(1.5)
    trickle.end()
    all_answered(name, trickle, since)
    seen = calls(since)
    at = next(t for t, c in seen if c["status"] == 429)
    # the test came a moment after the first, and was told 3 s of its own
    until = max(t for t, c in seen if c["status"] == 429) + 3
    late = machine.lost(at, until)
    heard = at + SLACK + late
    early = [t - at for t, c in seen if heard < t < until]
    check(name + ": no call of the bot before its time", not early and until < heard + 3, (early, until - at, late))
    chats = [int(c["parameters"]["chat_id"]) for t, c in seen if at <= t <= min(heard, until)]
    print("# calls until the fleet knew: %d; pause %.2f s" % (len(chats), min(t for t, c in seen if t > until) - at))
    check(name + ": one call finds it out, beside those on their way", 2 <= len(chats) <= 5 + late / GAP, chats)
    check(name + ": each to another chat", len(set(chats)) == len(chats), chats)
    again = [(t, c) for t, c in seen if t >= until]
    check(name + ": then it goes on", again and machine.took(until, again[0][0]) < 3, again[:1])


def long_block():
    """A day, as Telegram is known to say. Nothing waits in a worker, and the entry looks again now and then."""
    limited, since = FIRST + 900, time.time()
    fault(kind="429", chat_id=limited, retry_after=86400, count=1)
    stack.say(limited, "word")
    check("a long block: the entry is given back",
          wait_for(lambda: redis.zcard("shoal:{0}:due") == 1 and stack.total("shoal_inflight") == 0), stack.queue())
    due = redis.zrange("shoal:{0}:due", 0, 0, withscores=True)[0]
    at = calls(since, limited)[0][0]
    left = due[1] / 1000 - at
    check("a long block: it looks again within a minute or so", 50 < left < 70 + machine.lost(at, time.time()), left)
    key = "shoal:{cache}:flood:persona:%d:block" % limited
    check("a long block: it is the chat's", 86000 < redis.ttl(key) <= 86400, redis.ttl(key))
    trickle = Trickle(10)
    time.sleep(1)
    trickle.end()
    others = wait_for(lambda: len([t for t, c in calls(since) if c["ok"]]) >= len(trickle.said))
    check("a long block: the others go on", others, stack.queue())
    redis.delete(key)  # the platform has changed its mind, and the minute is over
    redis.zadd("shoal:{0}:due", {due[0]: 0})
    check("a long block: once it is over the message goes out", settled() and
          [c["status"] for _, c in calls(since, limited)] == [429, 200], stack.queue())


def refused_for_good():
    """What becomes of messages that the platform will never take. -> blocked people"""
    refusals = ["403 Forbidden: bot was blocked by the user", "403 Forbidden: user is deactivated",
                "400 Bad Request: chat not found", "400 Bad Request: have no rights to send a message",
                "400 Bad Request: group chat was upgraded to a supergroup chat",
                "400 Bad Request: query is too old and response timeout expired or query ID is invalid"]
    done = stack.total("shoal_updates_total", 'outcome="done"')
    for n, text in enumerate(refusals):
        fault(kind=text[:3], description=text[4:], chat_id=FIRST + 910 + n, count=1)
        stack.say(FIRST + 910 + n, "word")
    group = -4000000001
    fault(kind="403", description="Forbidden: bot was kicked from the group chat", chat_id=group, count=1)
    stack.control("POST", "groups", {"bot": "persona", "user_id": FIRST + 920, "chat_id": group, "title": "Crowd"})
    stack.control("POST", "message", {"bot": "persona", "user_id": FIRST + 920, "chat_id": group, "text": "/start"})
    wait_for(lambda: stack.total("shoal_updates_total", 'outcome="done"') >= done + len(refusals) + 1)
    check("refused for good: all settled, none an error", settled() and
          all(stack.queue()[k] == 0 for k in ("dead", "tries", "due")), stack.queue())
    check("refused for good: not sent again", all(len(calls(0, FIRST + 910 + n)) == 1 for n in range(len(refusals))) and
          len(calls(0, group)) == 1)
    check("refused for good: no retries", stack.total("shoal_updates_total", 'outcome="dead"') == 0)
    rows = stack.pg.rows("SELECT telegram_id FROM users u JOIN bot_users b ON b.user_id = u.id "
                         "WHERE blocked_at IS NOT NULL ORDER BY 1")
    check("refused for good: who does not want us is marked, others are not",
          rows == [(FIRST + 910,), (FIRST + 911,)], rows)


def bot_budget():
    """The fleet's budget, with the three workers at it together."""
    stack.stop_workers()
    stack.workers.clear()
    for w in [stack.add_worker(SHOAL_FLOOD_BOT="6/1") for _ in range(3)]:
        stack.expect("worker", lambda: stack.ready(w))
    n, since = 24, time.time()
    stack.control("POST", "messages", {"bot": "persona", "updates": [
        {"user_id": FIRST + 100 + i, "text": "word"} for i in range(n)]})
    check("the bot's budget: all are answered", settled(since, n), stack.queue())
    times = [t for t, _ in calls(since)]
    if not check("the bot's budget: once each", len(times) == n, len(times)):
        return
    # 6 at once, then 6 a second; a call may be on its way for a while
    late = machine.lost(since, times[-1])
    most = max(j - i + 1 - 6 - (times[j] - times[i]) * 6 for i in range(n) for j in range(i, n))
    check("the bot's budget: kept by all together", most <= 1 + (SLACK + late) * 6, most)
    took = times[-1] - times[0]
    print("# %d messages in %.2f s, %.1f beyond the rate at most" % (n, took, most))
    check("the bot's budget: and used", 3 - SLACK - late <= took < 12 + late, took)


def slow_commits():
    """A place in the budget is asked for while the commit is under way. Where that lasts, the platform has said more since,
    and yet the place is the message's."""
    stack.pg.rows("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.09); RETURN NULL; END $$")
    stack.pg.rows("CREATE TRIGGER slow AFTER INSERT ON guards FOR EACH STATEMENT EXECUTE FUNCTION slow()")
    whole_bot("slow commits: the bot's 429")
    stack.stop_workers()
    stack.workers.clear()
    w = stack.add_worker(SHOAL_FLOOD_CHAT="20/60")
    stack.expect("worker", lambda: stack.ready(w))
    since, n = time.time(), 18
    for _ in range(n):
        stack.say(FIRST + 950, "word")
    check("slow commits: all are answered", settled(since, n), stack.queue())
    times = [t for t, _ in calls(since, FIRST + 950)]
    # a place is kept for 250 ms: whose commit took longer asked again, and the budget has two places to spare
    late = stack.total("shoal_sql_seconds_count", "persona_say") - stack.total("shoal_sql_seconds_bucket", "persona_say", 'le="0.25"')
    waits = stack.total("shoal_flood_wait_seconds_count")
    check("slow commits: each message takes one place", len(times) == n and waits <= max(0, late - 2), (len(times), waits, late))
    stack.pg.rows("DROP TRIGGER slow ON guards")


def waiting_room():
    """Chats that may send one message in two seconds, many more of them than a worker has room: who writes beside them
    is answered as if they were not there."""
    stack.stop_workers()
    stack.workers.clear()
    w = stack.add_worker(SHOAL_FLOOD_CHAT="1/2", SHOAL_INFLIGHT=16)
    stack.expect("worker", lambda: stack.ready(w))
    since, crowd, sent = time.time(), 40 if light() else 80, 0
    delays, full = [], 0
    for i in range(40):  # one after the other, each beside a crowd that still waits when it is answered
        if stack.queue()["length"] < crowd:
            filled = time.time()
            stack.control("POST", "messages", {"bot": "persona", "updates": [
                {"user_id": FIRST + 200 + n, "text": "word"} for _ in range(3) for n in range(crowd)]})
            sent += 3 * crowd
            wait_for(lambda: len(calls(filled)) >= crowd)  # each has sent one and waits with the next
        said = time.time()
        stack.say(FIRST + 300 + i, "word")
        sent += 1
        mine = wait_for(lambda: calls(said - 1, FIRST + 300 + i))
        full = max(full, stack.total("shoal_inflight"))
        if stack.queue()["length"] >= crowd / 2:
            delays.append(machine.took(said, mine[0][0]) if mine else 99)
        if len(delays) == 8:
            break
    print("# beside %d waiting chats: %s s; %d in hand at most" % (
        crowd, ", ".join("%.2f" % d for d in delays), full))
    check("the waiting room: the crowd still waits", len(delays) == 8, delays)
    check("the waiting room: others are answered at once", sorted(delays)[6] < 3 and max(delays) < 10, delays)
    check("the waiting room: everybody's turn comes", settled(since, sent), stack.queue())
    per_chat = {}
    for t, c in calls(since):
        per_chat.setdefault(int(c["parameters"]["chat_id"]), []).append(t)
    close = [b - a for times in per_chat.values() for a, b in zip(times, times[1:]) if b - a + machine.lost(a - 2, b) < 1]
    check("the waiting room: one message in two seconds, but for some that were late", len(close) < crowd / 4, close)


one_chat()
whole_bot("the bot's 429")
long_block()
refused_for_good()
slow_commits()
bot_budget()
waiting_room()
check("no dead letter", redis.xlen("shoal:{0}:dead") == 0, redis.xrange("shoal:{0}:dead"))
finish()
