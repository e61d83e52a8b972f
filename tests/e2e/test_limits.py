"""Limits, from outside: bodies, texts and keyboards of just the size that is allowed, and one more; a worker with its hands
full; ten thousand chats in one queue. What memory that takes."""
import json
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, wait_for  # noqa: E402
from stack import SECRET, Stack, binary_from_argv, light  # noqa: E402

MIB = 1 << 20
FIRST = 5000000
INFLIGHT = 256
CROWD = 2000 if light() else 10000
STREAM = "shoal:{0}:updates"
_numbers = iter(range(1, 1 << 40))
stack = Stack(binary_from_argv(), workers=0, SHOAL_LOG_UPDATES=0, SHOAL_PG_CONNECTIONS=2)
redis = stack.redis.client()


def update(chat, text="word", **more):
    number = next(_numbers)
    who = {"id": chat, "is_bot": False, "first_name": "P"}
    return {"update_id": number, "message": {"message_id": number, "date": 1700000000, "from": who, "text": text,
                                             "chat": {"id": chat, "type": "private", "first_name": "P"}}, **more}


def own_mib(process):
    """RssAnon: what it has for itself."""
    with open("/proc/%d/status" % process.pid, encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon:")) / 1024


PEOPLE = [FIRST + n for n in range(30)] + [FIRST + 1000 + n for n in range(INFLIGHT + 40)]


def known():
    """The simulator answers only for chats that it knows: each has written once and is answered."""
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) SELECT unnest(%s), 'P', now()", PEOPLE)
    stack.control("POST", "messages", {"bot": "persona", "updates": [{"user_id": c, "text": "hello"} for c in PEOPLE]})
    wait_for(lambda: redis.xinfo_stream(STREAM)["entries-added"] >= len(PEOPLE) and stack.settled(0))


def heard(chat):
    """After that first answer."""
    return [m["text"] for m in stack.chat(chat)["messages"] if m.get("from", {}).get("is_bot")][1:]


def stored(chat):
    return [r[0] for r in stack.pg.rows("SELECT m.text FROM messages m JOIN chats c ON c.id = m.chat_id JOIN users u ON "
                                        "u.id = c.user_id WHERE m.direction = 'in' AND u.telegram_id = %s ORDER BY m.id", chat)][1:]


def again(worker=None, **env):
    """A worker in place of this one."""
    if worker:
        worker.stop()
        stack.workers.remove(worker)
    worker = stack.add_worker(**env)
    stack.expect("worker", lambda: stack.ready(worker))
    return worker


def connect():
    s = socket.create_connection(("127.0.0.1", stack.gateway_port), timeout=60)
    return s


def head(length):
    return ("POST /telegram/persona HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "X-Telegram-Bot-Api-Secret-Token: %s\r\n%s\r\n\r\n" % (
                SECRET, "Transfer-Encoding: chunked" if length is None else "Content-Length: %d" % length)).encode()


def status(s, *parts):
    """Of the answer to these bytes. Who refuses may end the connection before it has read all."""
    try:
        for part in parts:
            s.sendall(part)
    except OSError:
        pass
    got = b""
    try:
        while b"\r\n\r\n" not in got:
            more = s.recv(65536)
            if not more:
                break
            got += more
    except OSError:
        pass
    found = re.match(rb"HTTP/1.1 (\d+)", got)
    return int(found.group(1)) if found else 0


def in_chunks(body, size=60000):
    return b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size]) for i in range(0, len(body), size)) + b"0\r\n\r\n"


def bodies():
    chat, taken = FIRST, 0
    for chunked in (False, True):
        for size, wanted in ((MIB, 200), (MIB + 1, 413)):
            body = json.dumps(update(chat, pad="")).encode()
            body = body[:-2] + b"x" * (size - len(body)) + b'"}'
            with connect() as s:
                got = status(s, head(None if chunked else size), in_chunks(body) if chunked else body)
            if got == 0:  # a refusal may be overtaken by the reset of its connection
                with connect() as s:
                    got = status(s, head(None if chunked else size), (in_chunks(body) if chunked else body)[:-70000])
            taken += wanted == 200
            check("a body of 1 MiB%s%s: %d" % (" and a byte" if size > MIB else "", ", chunked" if chunked else "", wanted),
                  got == wanted and redis.xlen(STREAM) == taken, (got, redis.xlen(STREAM)))
    lengths = [len(fields[b"body"]) for _, fields in redis.xrange(STREAM)]
    check("bodies of 1 MiB are in the stream as they came", lengths == [MIB, MIB], lengths)
    for length in (MIB + 1, 10 ** 15, 10 ** 30):
        with connect() as s:
            got = status(s, head(length))
        check("a body announced with %.0e bytes is refused unseen" % length, got in (413, 400), got)
    worker = again()
    check("bodies of 1 MiB are answered", wait_for(lambda: len(heard(chat)) == 2), heard(chat))
    return worker


def bodies_that_do_not_come():
    before = own_mib(stack.gateway)
    silent = []
    for _ in range(400):
        s = connect()
        s.sendall(head(MIB))
        silent.append(s)
    check("bodies announced and not sent: others are served", stack.post(update(FIRST)).status == 200)
    announced = own_mib(stack.gateway) - before
    half, piece = [], b"x" * (MIB - 1000)
    for _ in range(40 if light() else 120):
        s = connect()
        s.sendall(head(MIB))
        s.settimeout(10)
        try:
            s.sendall(piece)
        except OSError:  # had to go for others
            pass
        half.append(s)
    check("bodies sent by half: others are served", stack.post(update(FIRST)).status == 200)
    sent = own_mib(stack.gateway) - before
    print("# the gateway, %.1f MiB: %.1f more for 400 announced bodies, %.1f for %d MiB of halves" % (
        before, announced, sent, len(half)))
    if not light():
        check("a body that is announced takes no memory", announced < 16, announced)
        check("bodies that are not whole are bounded", sent < 112, sent)
    for s in silent + half:
        s.close()


def texts():
    """Telegram counts characters of a message in UTF-16 code units; what it lets through is stored and answered whole."""
    wide = "\U0001F40B"
    # what a person can write, and what only a hand-made update holds
    for n, text in enumerate(["x" * 4096, wide * 2048, "\u20ac" * 4096, wide * 4096, "x" * 4097]):
        chat = FIRST + 10 + n
        stack.post(update(chat, text))
        check("a text of %d characters, %d bytes: stored whole and answered" % (len(text), len(text.encode())),
              wait_for(lambda: stored(chat) == [text] and heard(chat)), list(map(len, stored(chat))))


def long_replies():
    wide = "\U0001F40B"
    cases = [("x" * 4096, ["x" * 4096]), (wide * 2048, [wide * 2048]), ("&" * 4096, ["&" * 4096]), ("x" * 4097, None)]
    for n, (reply, wanted) in enumerate(cases):
        chat = FIRST + 20 + n
        stack.pg.rows("UPDATE personas SET replies = %s", [reply])
        stack.tell_caches("persona")
        stack.post(update(chat))
        if wanted:
            check("a reply of %d characters, %d bytes goes out whole" % (len(reply), len(reply.encode())),
                  wait_for(lambda: heard(chat) == wanted), [len(t) for t in heard(chat)])
        else:
            said = wait_for(lambda: "".join(heard(chat)))
            check("a reply of %d characters goes out as Telegram takes it" % len(reply), said and max(
                map(len, heard(chat))) <= 4096, [len(t) for t in heard(chat)])
    stack.pg.rows("UPDATE personas SET replies = '{yes}'")
    stack.tell_caches("persona")
    check("long texts: nothing is left", stack.settled() and stack.queue()["dead"] == 0, stack.queue())


def keyboards():
    """A pressed button comes with its whole message."""
    chat = FIRST + 30
    stack.control("POST", "users", {"id": chat, "first_name": "P"})
    stack.say(chat, "/start")
    shown = wait_for(lambda: [m for m in stack.chat(chat)["messages"] if m.get("reply_markup")])
    yes = shown[-1]["reply_markup"]["inline_keyboard"][0][0]
    others = [{"text": "\U0001F40B" * 16, "callback_data": "%064d" % n} for n in range(99)]
    rows = [[b] for b in others[:50]] + [others[50:57]] + [[b] for b in others[57:]] + [[yes]]
    who = {"id": chat, "is_bot": False, "first_name": "P"}
    answer = stack.post({"update_id": next(_numbers), "callback_query": {
        "id": "1", "from": who, "chat_instance": "1", "data": yes["callback_data"], "message": {
            "message_id": shown[-1]["message_id"], "date": 1700000000, "chat": {"id": chat, "type": "private"},
            "text": "x" * 4096, "reply_markup": {"inline_keyboard": rows}}}})
    check("a press on a message with 100 buttons is answered at once", answer.status == 200 and
          json.loads(answer.body)["method"].lower() == "answercallbackquery", answer)
    check("and has its effect", wait_for(lambda: stack.pg.rows(
        "SELECT 1 FROM users WHERE telegram_id = %s AND age_verified_at IS NOT NULL", chat)))


def append(updates):
    pipe = redis.pipeline(transaction=False)
    for chat, u in updates:
        pipe.xadd(STREAM, {"bot": "persona", "lane": "telegram:persona:%d" % chat, "body": json.dumps(u),
                           "key": "telegram:persona:%d" % u["update_id"], "at": int(time.time() * 1000)})
    pipe.execute()


def in_flight(worker, size):
    """(updates in hand, MiB) at most, of so many with bodies of that size, while the platform lets them all wait."""
    chats = PEOPLE[30:]
    stack.control("POST", "faults", {"method": "sendMessage", "kind": "delay", "ms": 6000})
    append((chat, update(chat, pad="x" * size)) for chat in chats)
    hands, most, end = 0, 0, time.monotonic() + 60
    while hands < INFLIGHT and time.monotonic() < end:
        hands, most = max(hands, stack.metrics(worker)["shoal_inflight"]), max(most, own_mib(worker))
        time.sleep(0.05)
    time.sleep(0.5)
    most = max(most, own_mib(worker))
    stack.control("DELETE", "faults")
    check("%d updates of %d bytes in hand" % (INFLIGHT, size), hands == INFLIGHT, hands)
    check("and settled", stack.settled(), stack.queue())
    return most


def a_worker_at_work(worker):
    worker = again(worker, SHOAL_INFLIGHT=INFLIGHT)
    idle = own_mib(worker)
    small, large = in_flight(worker, 300), in_flight(worker, 65536)
    each = (small - idle) * 1024 / INFLIGHT
    print("# a worker: %.1f MiB idle, %.1f with %d updates in hand (%.0f KiB each), %.1f with updates of 64 KiB (%.0f KiB each)" % (
        idle, small, INFLIGHT, each, large, (large - idle) * 1024 / INFLIGHT))
    if not light():  # a sanitizer's memory is its own
        check("a worker: at most 8 MiB idle", idle < 8, idle)
        check("a worker: at most 64 KiB for an update in hand", each < 64, each)
        check("a worker: at most four times a large update's size, beside that", (large - idle) * 1024 / INFLIGHT <
              64 + 4 * 64, large)
    return worker


def a_crowd(worker):
    """So many chats at once, each with an update that needs no answer, and some that do, twice: what one costs does not
    grow with their number."""
    talkers = [FIRST + 1000 + n for n in range(10)]
    costs, sizes = [], []
    before = {chat: len(heard(chat)) for chat in talkers}
    for rounds, many in enumerate((CROWD // 4, CROWD)):
        worker.stop()
        stack.workers.remove(worker)
        for begin in range(0, many, 1000):
            append((FIRST + 100000 + n, {"update_id": next(_numbers), "poll": {"id": "1", "pad": "x" * 500}, "message": {
                "chat": {"id": FIRST + 100000 + n}}}) for n in range(begin, min(begin + 1000, many)))
            append((chat, update(chat, "%d %d" % (rounds, begin))) for chat in talkers)
        sizes.append(redis.memory_usage(STREAM, samples=0) / many)
        cpu = redis.info("cpu")
        worker = again()
        check("%d chats in one queue: all is settled" % many, stack.settled(120), stack.queue())
        after = redis.info("cpu")
        costs.append((after["used_cpu_user"] + after["used_cpu_sys"] - cpu["used_cpu_user"] - cpu["used_cpu_sys"]) * 1e6 / many)
        own = own_mib(worker)
        check("%d chats in one queue: a worker's memory is bounded" % many, light() or own < 24, own)
    print("# %d and %d chats: %.0f and %.0f us of Redis each, %.0f and %.0f bytes; the worker has %.1f MiB" % (
        CROWD // 4, CROWD, *costs, *sizes, own))
    check("ten thousand chats: one costs what it did with a quarter of them", costs[1] < 2.5 * costs[0] + 20, costs)
    check("ten thousand chats: an update that waits takes about its size", sizes[1] < 2048, sizes)
    wrong = {}
    for chat in talkers:
        texts = [text for text in stored(chat) if " " in text]
        wanted = ["%d %d" % (r, b) for r, many in enumerate((CROWD // 4, CROWD)) for b in range(0, many, 1000)]
        if texts != wanted or len(heard(chat)) != before[chat] + len(wanted):
            wrong[chat] = (texts, len(heard(chat)) - before[chat])
    check("ten thousand chats: order is kept", not wrong, wrong)
    q = stack.queue()
    check("ten thousand chats: nothing is left", all(q[k] == 0 for k in q), q)


def main():
    stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'E', 'Hello', '{yes}')")
    worker = again()
    known()
    worker.stop()
    stack.workers.remove(worker)
    worker = bodies()
    bodies_that_do_not_come()
    texts()
    long_replies()
    keyboards()
    worker = a_worker_at_work(worker)
    a_crowd(worker)
    finish()


main()
