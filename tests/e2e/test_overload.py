"""Too much of everything: one chat with a great many messages, twice what the workers can do, a Redis without room. What
was accepted is answered, oldest first and fairly, and memory stays what it was, the workers' and Redis'.

    SCALE=n   n times the load
"""
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, own_kib, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402
from standstill import Standstill  # noqa: E402

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCALE = float(os.environ.get("SCALE", 1))
STREAM = "shoal:{0}:updates"
FIRST, PEOPLE = 1000000, 3000
ANSWERS = ["answer %d" % n for n in range(7)]
machine = Standstill()
_numbers = iter(range(1, 1 << 40))


def size(n, few):
    return int((few if light() else n) * SCALE)


stack = Stack(binary_from_argv(), workers=0, SHOAL_LOG_UPDATES=0)
redis = stack.redis.client()
stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) "
              "SELECT %s + n, 'Person', now() FROM generate_series(0, %s) n", FIRST, PEOPLE - 1)
stack.pg.rows("INSERT INTO personas (key, name, replies) VALUES ('default', 'Echo', %s)", ANSWERS)


def workers(n, **env):
    for w in [stack.add_worker(**env) for _ in range(n)]:
        stack.expect("worker", lambda: stack.ready(w))


def no_workers():
    stack.stop_workers()
    stack.workers.clear()


def update(chat, text="word"):
    number = next(_numbers)
    who = {"id": chat, "is_bot": False, "first_name": "Person"}
    return {"update_id": number, "message": {"message_id": number, "date": 1700000000, "from": who, "text": text,
                                             "chat": {"id": chat, "type": "private", "first_name": "Person"}}}


def append(chats):
    """One message of each, straight into the stream, as the gateway would."""
    pipe = redis.pipeline(transaction=False)
    for chat in chats:
        u = update(chat)
        pipe.xadd(STREAM, {"bot": "persona", "lane": "telegram:persona:%d" % chat, "body": json.dumps(u),
                           "key": "telegram:persona:%d" % u["update_id"], "at": int(time.time() * 1000)})
    return pipe.execute()


def sent():
    """Messages sent, oldest first, as (time in s, chat, text)."""
    return [(c["time"] / 1000, c["chat_id"], c["parameters"]["text"]) for c in stack.calls()
            if c["method"] == "sendMessage" and c["ok"]]


def know(people):
    """The simulator answers only for chats that it knows: each has written once and is answered."""
    before = len(sent())
    stack.control("POST", "messages", {"bot": "persona", "updates": [{"user_id": c, "text": "word"} for c in people]})
    wait_for(lambda: len(sent()) >= before + len(people))


def answers(since=0):
    return [a for a in sent() if a[0] >= since]


def delays(chats):
    """How long a message of each takes, one after the other: from its arrival to the answer, s, rising."""
    out = []
    for chat in chats:
        said = time.time()
        append([chat])
        mine = wait_for(lambda: [t for t, c, _ in sent() if c == chat and t > said - 0.002])
        out.append(machine.took(said, mine[0]) if mine else 99)
    return sorted(out)


def fair():
    flood, messages = FIRST, size(1500, 500)
    workers(2)
    others = [FIRST + 1 + n for n in range(size(20, 8))]
    know([flood, *others])
    stack.settled()
    quiet = delays(others)
    start = time.time()
    append([flood] * messages)
    busy = delays(others)
    left = stack.queue()["length"]
    middle = len(others) // 2
    print("# quiet %.1f ms (longest %.1f), beside %d messages of one chat %.1f ms (longest %.1f); %d of them left" % (
        quiet[middle] * 1e3, quiet[-1] * 1e3, messages, busy[middle] * 1e3, busy[-1] * 1e3, left))
    check("one chat's flood: it is still at work when the others are answered", left > messages / 10, left)
    check("one chat's flood: delays nobody by more than its share", busy[middle] < 5 * quiet[middle] + 0.5 and
          busy[-1] < 5 * quiet[-1] + 3, (quiet, busy))
    check("one chat's flood: ends", stack.settled(), stack.queue())
    texts = [t for _, c, t in answers(start) if c == flood]
    where = ANSWERS.index(texts[0]) if texts else 0
    check("one chat's flood: its own order is kept", len(texts) == messages and
          texts == [ANSWERS[(where + n) % len(ANSWERS)] for n in range(messages)], len(texts))
    q = stack.queue()
    check("one chat's flood: nothing is left", all(q[k] == 0 for k in q), q)
    no_workers()


def twice_the_capacity():
    inflight = 32
    people = [FIRST + n for n in range(size(600, 150))]
    workers(2, SHOAL_INFLIGHT=inflight)
    know(people)
    stack.settled()
    delay = 0.1
    stack.control("POST", "faults", {"method": "sendMessage", "kind": "delay", "ms": int(delay * 1000)})
    append(people)  # so that memory is measured at work
    stack.settled()
    base = {w: own_kib(w.pid) for w in stack.workers}
    most = dict.fromkeys(stack.workers, 0)
    start, ids, longest, hands = time.time(), [], 0, 0
    rate = 2 * len(stack.workers) * inflight / delay
    while time.time() - start < size(2, 2):
        n = int((time.time() - start) * rate) - len(ids)
        ids += append([people[(len(ids) + i) % len(people)] for i in range(n)])
        for w in stack.workers:
            most[w] = max(most[w], own_kib(w.pid))
            hands = max(hands, stack.metrics(w)["shoal_inflight"])
        longest = max(longest, stack.queue()["length"])
        time.sleep(0.1)
    check("twice the capacity: the queue grows", longest > len(ids) / 5, (longest, len(ids)))
    check("twice the capacity: and shrinks again", stack.settled(), stack.queue())
    grown = {os.path.basename(w.log): most[w] - base[w] for w in stack.workers}
    print("# %d messages in %.1f s, %d waited at most; grown by %s KiB, %d in hand" % (
        len(ids), time.time() - start, longest, grown, hands))
    stack.control("DELETE", "faults")
    check("twice the capacity: SHOAL_INFLIGHT holds", 0 < hands <= inflight, hands)
    check("twice the capacity: the workers' memory is bounded", max(grown.values()) < (65536 if light() else 8192),
          (base, most))  # a sanitizer keeps what was freed
    got = answers(start)
    check("twice the capacity: each answered once", len(got) == len(ids), (len(got), len(ids)))
    # The n-th message of a chat has the n-th answer: how far from its place in the stream was it answered?
    places, taken, off = {}, {}, []
    for place in range(len(ids)):
        places.setdefault(people[place % len(people)], []).append(place)
    for rank, (_, chat, _) in enumerate(got):
        n = taken[chat] = taken.get(chat, -1) + 1
        off.append(abs(rank - places[chat][n]))
    off.sort()
    print("# from its place in the line: p50 %d, p99 %d, most %d" % (
        off[len(off) // 2], off[len(off) * 99 // 100], off[-1]))
    check("twice the capacity: oldest first", off[len(off) * 99 // 100] < 6 * 2 * inflight, off[-5:])
    no_workers()


def sizes():
    """Bytes of every key of ours but those of the dead."""
    return {k.decode(): redis.memory_usage(k) or 0 for k in redis.keys("shoal:*")}


def flat():
    """Redis' memory after many updates is what it was after the first ones."""
    rounds, each = size(3, 2), size(1250, 500)
    people = [FIRST + n for n in range(250)]
    workers(2, SHOAL_IDEMPOTENCY_TTL_S=1)
    know(people)
    stack.settled()
    # a few that stay for long, each in a part of the stream of its own
    stuck = [FIRST + 2000 + n for n in range(5)]
    used, keys = [], []
    for n in range(rounds):
        for chat in (stuck if n == 0 else []):
            stack.control("POST", "faults", {"method": "sendMessage", "kind": "429", "retry_after": 86400, "count": 1,
                                             "chat_id": chat})
            append([chat])
            wait_for(lambda: redis.exists("shoal:{cache}:flood:persona:%d:block" % chat))
            append(people[:120])
            wait_for(lambda: stack.queue()["length"] == stack.queue()["due"])
        for i in range(0, each, 250):
            append(people)
        wait_for(lambda: stack.queue()["length"] == len(stuck))
        wait_for(lambda: not redis.exists("shoal:{0}:seen", "shoal:{0}:seen_old"), every=0.1)
        keys.append(sizes())
        used.append(redis.info("memory")["used_memory"])
    check("redis: the few that stay are all that is left", stack.queue()["length"] == len(stuck) ==
          stack.queue()["due"], stack.queue())
    growth = (used[-1] - used[0]) // 1024
    print("# used memory after each %d updates: %s KiB; the stream takes %d bytes, all keys %d" % (
        each, [u // 1024 for u in used], keys[-1][STREAM], sum(keys[-1].values())))
    check("redis: used memory is flat", growth < 400 + 0.02 * rounds * each, used)
    bell = "shoal:{0}:wake"  # keeps its last rings, however few there were at first
    bigger = {k: (keys[0].get(k, 0), v) for k, v in keys[-1].items()
              if v > max(keys[0].get(k, 0) + 4096, 8192 if k == bell else 0)}
    check("redis: no key grows", not bigger, bigger)
    # one a job, and notes of what was told, for a minute: not by the updates
    more = [k for k in set(keys[-1]) - set(keys[0]) if not re.match(r"shoal:\{cache\}:(job|lock:job|told):", k)]
    check("redis: nor do they get more", len(more) <= 2, sorted(more))
    check("redis: entries that stay do not keep settled ones' memory", keys[-1][STREAM] < 5 * 8192 + 8192, keys[-1])
    check("redis: every key but the queue's and the caches' own has an end", not [
        k for k in redis.keys("shoal:*") if not k.startswith(b"shoal:{0}:") and redis.ttl(k) == -1
        and not re.match(rb"shoal:\{cache\}:(v|l|trusts|deaf|since|listening)\b", k)], keys[-1].keys())
    for chat in stuck:
        redis.delete("shoal:{cache}:flood:persona:%d:block" % chat)
    redis.zadd("shoal:{0}:due", {m: 0 for m in redis.zrange("shoal:{0}:due", 0, -1)})
    check("redis: in the end nothing is left", stack.settled(), stack.queue())
    no_workers()


def never_trimmed():
    """Only settled entries leave the stream: there is no command that cuts it. The bell's stream, which holds no entries,
    may be cut."""
    cut, bell = re.compile(r"\b(XTRIM|MAXLEN|MINID)\b", re.I), re.compile(r"'XADD', WAKE, 'MAXLEN'")
    found = []
    for where in ("src", "lua", "include"):
        for folder, _, files in os.walk(os.path.join(REPO, where)):
            for name in files:
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
                    found += [name + ": " + line for line in f if cut.search(line) and not bell.search(line)]
    check("no command that trims a stream of entries", not found, found)


def no_room():
    """A Redis at its maxmemory: refused with a time to come again, nothing lost, and room is made by settling."""
    people = [FIRST + n for n in range(40)]
    workers(1)
    know(people)
    stack.settled()
    no_workers()
    done = len(answers())
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] + 400 * 1024)
    accepted, refused, n = [], [], 0
    while len(refused) < 10 and n < 5000:
        u = update(people[n % len(people)], "word " + "x" * 500)
        (accepted if stack.post(u).status == 200 else refused).append(u)
        n += 1
    check("no room: the gateway takes what fits", len(accepted) > 50, len(accepted))
    answer = stack.post(refused[0])
    check("no room: then 503 with Retry-After", answer.status == 503 and
          1 <= int(answer.headers.get("retry-after", 0)) <= 60, answer)
    check("no room: nothing of what was refused is in the stream", redis.xlen(STREAM) == len(accepted),
          (redis.xlen(STREAM), len(accepted)))
    check("no room: still so", redis.info("memory")["maxmemory"] > 0 and stack.post(refused[1]).status == 503)
    workers(2)  # with no byte of room
    check("no room: workers settle what is there", stack.settled(), stack.queue())
    again = wait_for(lambda: stack.post(refused[0]).status == 200)
    check("no room: which makes room", again)
    check("no room: Telegram comes again with the rest", all(wait_for(
        lambda: stack.post(u).status == 200) for u in refused))  # the first one a second time
    check("no room: all is answered", stack.settled(), stack.queue())
    got = len(answers()) - done
    check("no room: once each", got == len(accepted) + len(refused), (got, len(accepted), len(refused)))
    stored = stack.pg.rows("SELECT count(*) FROM messages WHERE direction = 'in' AND text LIKE 'word x%%'")[0][0]
    check("no room: and stored once each", stored == len(accepted) + len(refused), stored)
    q = stack.queue()
    check("no room: no dead letters, nothing left", all(q[k] == 0 for k in q), q)
    print("# %d accepted, %d refused" % (len(accepted), len(refused)))

    redis.config_set("maxmemory-policy", "allkeys-lru")
    w = stack.add_worker()
    check("a Redis that may evict: programs say so at the start",
          wait_for(lambda: "maxmemory-policy noeviction" in w.output()), w.output()[-500:])


never_trimmed()
for part in (fair, twice_the_capacity, flat, no_room):
    if len(sys.argv) < 3 or part.__name__ in sys.argv[2:]:
        began = time.time()
        part()
        print("# %s took %.1f s" % (part.__name__, time.time() - began))
finish()
