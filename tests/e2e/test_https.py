"""A platform that is spoken to over TLS, as real ones are: by HTTP/1.1 with connections kept, and by HTTP/2. Connections
that end in good order or not, refused streams, and a certificate that is not to be believed."""
import concurrent.futures
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lib  # noqa: E402
from certificates import certified  # noqa: E402
from lib import check, finish, free_port, http, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402

CHATS = 40
EACH = 3 if light() else 5  # messages of a chat in one wave
FIRST = 5000
FRONT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls_front.mjs")

folder = lib.temp_dir()
authority, authority_key, authority_file, _ = certified(folder, "authority")
other, other_key, other_file, _ = certified(folder, "other")
good = dict(zip(("cert", "key"), certified(folder, "server", authority, authority_key)[2:]))
bad = dict(zip(("cert", "key"), certified(folder, "stranger", other, other_key)[2:]))
stack = Stack(binary_from_argv(), workers=0, webhook=False)
stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) "
              "SELECT %s + n, 'Person ' || n, now() FROM generate_series(0, %s) n", FIRST, CHATS - 1)
stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', 'Hello', %s)",
              ["answer %d" % n for n in range(100)])
for person in range(FIRST, FIRST + CHATS):
    stack.control("POST", "users", {"id": person, "first_name": "Person"})
# it stays with the simulator, which has no webhook: bots may write only to those who wrote to them
stack.control("POST", "messages", {"bot": "persona", "updates": [
    {"user_id": FIRST + n, "text": "/start"} for n in range(CHATS)]})


class Front:
    def __init__(self, protocol, certificate):
        self.port, self.control_port = free_port(), free_port()
        self.process = lib.Process(
            ["node", FRONT, protocol, str(self.port), str(self.control_port), str(stack.sim_port), certificate["cert"],
             certificate["key"]], os.path.join(folder, "front%s.log" % protocol), env=lib.clean_env())
        if not wait_for(self.counts):
            raise RuntimeError("the front did not start:\n" + self.process.output())

    def tell(self, what, body):
        answer = http("POST", "http://127.0.0.1:%d/%s" % (self.control_port, what), json.dumps(body))
        if answer.status != 200:
            raise RuntimeError("%s: %d" % (what, answer.status))

    def counts(self):
        return json.loads(http("GET", "http://127.0.0.1:%d/counts" % self.control_port).body)


written = 0  # by each person
judged, calls_judged = 0, 0


def write_chat(user):
    """Whether the gateway took all."""
    return all(stack.post({"update_id": (user - FIRST) * 1000 + n + 1, "message": {
        "message_id": n + 1, "date": 1, "text": str(n), "chat": {"id": user, "type": "private", "first_name": "A"},
        "from": {"id": user, "is_bot": False, "first_name": "A"}}}).status == 200 for n in range(written, written + EACH))


def write():
    global written
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        taken = all(pool.map(write_chat, range(FIRST, FIRST + CHATS)))
    written += EACH
    return taken


def judge(name):
    """That what was written since the last judgement has its replies."""
    global judged, calls_judged
    settled, calls, got = stack.settled(), stack.calls(), {}
    for call in calls[calls_judged:]:
        if call["method"].lower() == "sendmessage" and call["ok"]:
            got.setdefault(int(call["parameters"]["chat_id"]), []).append(call["parameters"]["text"])
    wanted = ["answer %d" % n for n in range(judged, written)]
    wrong = {user: got.get(user) for user in range(FIRST, FIRST + CHATS) if got.get(user) != wanted}
    judged, calls_judged = written, len(calls)
    check(name + ": every update has its reply once, in order of its chat", settled and not wrong,
          (stack.queue(), len(wrong), list(wrong.items())[:3], stack.workers[-1].output()[-800:]))


def wave(name, front, faults=()):
    before = front.counts()
    front.tell("faults", faults)
    check(name + ": the gateway takes all", write())
    judge(name)
    now = front.counts()
    check(name + ": what was to go wrong did", now["done"][len(before["done"]):] == [f for _, f in faults], now)
    grown = {k: now[k] - before[k] for k in ("connections", "calls", "refused", "unanswered")}
    print("# %s: %s" % (name, grown))
    return grown


def trusts(name, front):
    """A worker at a platform of which it believes nothing, and later the certificate. Its roots are others at the end: it has
    read them, and does not for each connection."""
    roots = shutil.copy(authority_file, os.path.join(folder, "roots.crt"))
    worker = stack.add_worker(SHOAL_TELEGRAM_API="https://localhost:%d" % front.port, SSL_CERT_FILE=roots)
    url = "http://127.0.0.1:%d/readyz" % stack.ports[worker]

    def says():
        answer = http("GET", url)
        return answer.status == 503 and b"telegram cannot be reached" in answer.body

    wait_for(lambda: http("GET", url).status)
    check(name + ", a stranger's certificate: the gateway takes all", write())
    check(name + ", a stranger's certificate: the worker says that it cannot reach the platform", wait_for(says),
          (http("GET", url), worker.output()[-1500:]))
    check(name + ", a stranger's certificate: the log names it", wait_for(lambda: "certificate" in worker.output()),
          worker.output()[-1500:])
    check(name + ", a stranger's certificate: nothing is told to such a platform", front.counts()["calls"] == 0, front.counts())
    check(name + ", a stranger's certificate: all is kept", stack.queue()["length"] == CHATS * EACH, stack.queue())
    front.tell("certificate", good)
    check(name + ", the right certificate: the worker gets ready", wait_for(lambda: stack.ready(worker)),
          worker.output()[-1500:])
    judge(name + ", the right certificate")
    shutil.copy(other_file, roots)
    return worker


front = Front("1", bad)
first = trusts("HTTP/1.1", front)
n = wave("HTTP/1.1", front)
total = front.counts()
check("HTTP/1.1: it is spoken", list(total["versions"]) == ["1.1"], total)
check("HTTP/1.1: connections are kept: no more than chats for %d calls" % total["calls"],
      total["connections"] <= CHATS and n["calls"] >= CHATS * EACH, total)
n = wave("HTTP/1.1, connections end", front, [[20, "end"], [60, "end"]])
check("HTTP/1.1, connections end: with calls unanswered", n["unanswered"] >= 2, n)
first.stop()
front.process.stop()

front = Front("2", bad)
trusts("HTTP/2", front)
wave("HTTP/2", front)
total = front.counts()
check("HTTP/2: it is spoken", list(total["versions"]) == ["2.0"], total)
check("HTTP/2: one connection or two carry all of %d calls" % total["calls"],
      1 <= total["connections"] <= 2 and total["calls"] >= 2 * CHATS * EACH, total)
n = wave("HTTP/2, GOAWAY", front, [[20, "goaway"], [60, "goaway"]])
# where many wait for a new connection curl may open several
check("HTTP/2, GOAWAY: other connections follow, not one for each call", 1 <= n["connections"] < n["calls"] / 2, n)
n = wave("HTTP/2, connections end", front, [[20, "end"], [60, "end"]])
check("HTTP/2, connections end: with calls unanswered", n["unanswered"] >= 2, n)
n = wave("HTTP/2, refused streams", front, [[20, "refuse"], [60, "refuse"]])
check("HTTP/2, refused streams: there were", n["refused"] == 10, n)
finish()
