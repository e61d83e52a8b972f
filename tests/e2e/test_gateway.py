"""The gateway by its contract: what it takes, what it refuses, what enters the stream, what happens without Redis."""
import concurrent.futures
import itertools
import json
import os
import re
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), HERE]
import lib
import random_updates
from lib import check, http, wait_for
from standstill import Standstill

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/shoal"
SECRET, OLD = "New_secret-1", "Old_secret-0"
TOKEN_HEADER = "X-Telegram-Bot-Api-Secret-Token"
STREAM = "shoal:{0}:updates"
machine = Standstill()


class Gateway(lib.Process):
    count = itertools.count(1)

    def __init__(self, folder, redis_url, **env):
        self.port, self.health = lib.free_port(), lib.free_port()
        self.base = "http://127.0.0.1:%d" % self.port
        values = dict(SHOAL_REDIS_URL=redis_url, SHOAL_BOTS="persona", SHOAL_WEBHOOK_SECRET=SECRET,
                      SHOAL_WEBHOOK_SECRET_OLD=OLD, SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % self.port,
                      SHOAL_METRICS_LISTEN="127.0.0.1:%d" % self.health, SHOAL_LOG="info", SHOAL_DRAIN_S=5)
        values.update(env)
        super().__init__([BINARY, "gateway"], os.path.join(folder, "gateway%d.log" % next(self.count)),
                         env=lib.clean_env(**values))

    def ready(self):
        return wait_for(lambda: self.get("/readyz").status == 200)

    def get(self, path):
        return http("GET", "http://127.0.0.1:%d%s" % (self.health, path))

    def post(self, body, secret=SECRET, path="/telegram/persona", method="POST", **headers):
        if secret is not None:
            headers[TOKEN_HEADER] = secret
        headers.setdefault("Content-Type", "application/json")
        return http(method, self.base + path, body, headers)

    def counter(self, name):
        found = re.findall(r"^%s ([0-9.e+]+)$" % re.escape(name), self.get("/metrics").body.decode(), re.M)
        return float(found[0]) if found else 0


def entries(redis):
    return [(i, {k.decode(): v for k, v in f.items()}) for i, f in redis.xrange(STREAM)]


def message(update_id, text="hi", chat=77):
    return json.dumps({"update_id": update_id, "message": {
        "message_id": 5, "date": 1, "chat": {"id": chat, "type": "private"}, "from": {"id": chat}, "text": text}})


def expected_lane(update):
    """The contract's words, read here independently: the chat, else the user, else the update."""
    kind = next((k for k in random_updates.TYPES["Update"]["fields"] if k != "update_id" and
                 isinstance(update.get(k), dict)), None)
    value = update[kind] if kind else {}
    chat = value.get("chat") or (value.get("message") or {}).get("chat") or value.get("voter_chat")
    user = value.get("from") or value.get("user")
    if not user and "boost" in value:
        user = (value["boost"].get("source") or {}).get("user")
    if not user and kind == "removed_chat_boost":
        user = value["source"].get("user")
    if chat:
        return "telegram:persona:%d" % chat["id"]
    if user:
        return "telegram:persona:user:%d" % user["id"]
    return "telegram:persona:update:%d" % update["update_id"]


# --- cases

def refusals(gw, redis):
    body = message(1)
    many = "x" * (1 << 20)
    cases = [
        ("no secret", 401, dict(secret=None)),
        ("an empty secret", 401, dict(secret="")),
        ("a wrong secret", 401, dict(secret="wrong")),
        ("a secret cut short", 401, dict(secret=SECRET[:-1])),
        ("a secret with more behind", 401, dict(secret=SECRET + "x")),
        ("a secret with far more behind", 401, dict(secret=SECRET + "x" * 5000)),
        ("a secret in other case", 401, dict(secret=SECRET.upper())),
        ("a bot that is not there", 404, dict(path="/telegram/nobody")),
        ("a bot that does not run", 404, dict(path="/telegram/ladder")),
        ("no bot", 404, dict(path="/telegram/")),
        ("more behind the bot", 404, dict(path="/telegram/persona/x")),
        ("another path", 404, dict(path="/")),
        ("another case", 404, dict(path="/Telegram/persona")),
        ("GET", 405, dict(method="GET", body=None)),
        ("PUT", 405, dict(method="PUT")),
        ("DELETE", 405, dict(method="DELETE", body=None)),
        ("a body over 1 MiB", 413, dict(body=message(1, many))),
        ("an empty body", 400, dict(body="")),
        ("no JSON", 400, dict(body="hello")),
        ("half a message", 400, dict(body=body[:-1])),
        ("more behind the JSON", 400, dict(body=body + "x")),
        ("an array", 400, dict(body="[%s]" % body)),
        ("a string", 400, dict(body='"x"')),
        ("null", 400, dict(body="null")),
        ("no update_id", 400, dict(body='{"message":{}}')),
        ("update_id as text", 400, dict(body='{"update_id":"1"}')),
        ("update_id with a fraction", 400, dict(body='{"update_id":1.5}')),
        ("update_id below 0", 400, dict(body='{"update_id":-1}')),
        ("update_id above 2^53", 400, dict(body='{"update_id":9007199254740993}')),
        ("update_id of 30 digits", 400, dict(body='{"update_id":%s}' % ("9" * 30))),
        ("update_id null", 400, dict(body='{"update_id":null}')),
        ("ill-formed UTF-8", 400, dict(body=b'{"update_id":1,"x":"\xff\xfe"}')),
        ("nesting without end", 400, dict(body='{"update_id":1,"x":%s' % ("[" * 100000))),
    ]
    for name, status, how in cases:
        given = gw.post(how.pop("body", body), **how)
        good = given.status == status
        if good and given.body and given.headers.get("content-type", "").startswith("application/json"):
            good = set(json.loads(given.body)["error"]) == {"code", "message"}
        check("refused with %d: %s" % (status, name), good, given)
    check("refusals leave nothing in the stream", redis.xlen(STREAM) == 0, entries(redis))
    check("405 names what is allowed", gw.post(None, method="GET").headers.get("allow") == "POST")
    check("refusals are counted", gw.counter(
        'shoal_gateway_requests_total{path="/telegram/persona",status="401"}') == sum(status == 401 for _, status, _ in cases))
    check("strange paths share a series", gw.counter(
        'shoal_gateway_requests_total{path="other",status="404"}') == 6)


def connect(gw):
    return socket.create_connection(("127.0.0.1", gw.port), lib.PATIENCE)


def raw(gw, data):
    with connect(gw) as s:
        s.sendall(data)
        out = b""
        try:
            while chunk := s.recv(65536):
                out += chunk
        except OSError:
            pass
        return out


def refused_by_the_head(gw, redis):
    """Who may not send is told so before the body comes, of which nothing is kept."""
    def memory():
        return next(int(line.split()[1]) for line in open("/proc/%d/status" % gw.pid) if line.startswith("VmRSS"))
    head = "%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s: %s\r\nContent-Length: 1000000\r\n\r\n"
    for status, line, secret in ((401, "POST /telegram/persona", "wrong"), (404, "POST /x", SECRET),
                                 (405, "PUT /telegram/persona", SECRET)):
        given = raw(gw, (head % (line, TOKEN_HEADER, secret)).encode())
        check("refused by its head with %d" % status, given.startswith(b"HTTP/1.1 %d" % status) and
              b"Connection: close" in given and b'"error"' in given, given)
    before, open_now = memory(), []
    for _ in range(60):
        s = connect(gw)
        open_now.append(s)
        try:
            s.sendall((head % ("POST /telegram/persona", TOKEN_HEADER, "wrong")).encode() + b"x" * 999990)
        except OSError:
            pass
    time.sleep(0.5)
    if not os.environ.get("SHOAL_TEST_LIGHT"):  # what is freed stays in the sanitizer's quarantine
        check("bodies of strangers are not kept", memory() - before < 20000, memory() - before)
    for s in open_now:
        s.close()
    given = gw.post(message(1), **{"Expect": "100-continue"})
    check("and who may send goes on", given.status == 200 and redis.xlen(STREAM) == 1, given)
    redis.delete(STREAM)


def half_a_request(gw, redis):
    head = "POST /telegram/persona HTTP/1.1\r\nHost: x\r\n%s: %s\r\n" % (TOKEN_HEADER, SECRET)
    body = message(2)
    with connect(gw) as s:
        s.sendall((head + "Content-Length: %d\r\n\r\n%s" % (len(body) + 10, body)).encode())
    both = raw(gw, (head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").encode())
    check("a body with two lengths is refused", both.startswith(b"HTTP/1.1 4"), both)
    time.sleep(0.2)
    check("half a body leaves nothing in the stream", redis.xlen(STREAM) == 0)
    chunks = "".join("%x\r\n%s\r\n" % (len(p), p) for p in re.findall(r".{1,7}", body)) + "0\r\n\r\n"
    given = raw(gw, (head + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks).encode())
    check("a body in chunks is taken", given.startswith(b"HTTP/1.1 200") and entries(redis)[0][1]["body"] ==
          body.encode(), given)
    redis.delete(STREAM)


def one_entry(gw, redis):
    body = b' { "update_id" : 9007199254740992 ,\n"message":{"chat":{"id":-1001234567890123,"type":"supergroup"},' \
           b'"from":{"id":4503599627370495},"text":"\\u0000 \\ud83d caf\\u00e9 \xf0\x9f\x98\x80","x":1.50E+1}}\n'
    before = int(time.time() * 1000)
    given = gw.post(body)
    after = int(time.time() * 1000)
    check("an update is taken", given.status == 200 and given.body == b"", given)
    got = entries(redis)
    fields = got[0][1] if got else {}
    check("it is one entry", len(got) == 1, got)
    check("fields are bot, lane, key, at, body, traceparent", list(fields) == ["bot", "lane", "key", "at", "body", "traceparent"], fields)
    check("bot", fields.get("bot") == b"persona")
    check("lane", fields.get("lane") == b"telegram:persona:-1001234567890123", fields.get("lane"))
    check("key", fields.get("key") == b"telegram:persona:9007199254740992", fields.get("key"))
    check("at is ms now", before - 1 <= int(fields.get("at", 0)) <= after + 1)
    check("the body is untouched, byte for byte", fields.get("body") == body, fields.get("body"))
    check("an update that comes twice is taken twice", gw.post(body).status == 200 and redis.xlen(STREAM) == 2)
    check("the old secret is good too", gw.post(message(0), secret=OLD).status == 200 and redis.xlen(STREAM) == 3)
    redis.delete(STREAM)


def press(update_id, data, press_id="777", **more):
    return json.dumps({"update_id": update_id, "callback_query": dict(
        {"id": press_id, "from": {"id": 8, "is_bot": False, "first_name": "A"}, "chat_instance": "1", "data": data,
         "message": {"message_id": 3, "date": 0, "chat": {"id": 8, "type": "private"}}}, **more)})


def presses(gw, redis):
    for name, body in [("a button", press(1, "age:yes:abcd1234")), ("a strange button", press(2, "\u05d0:::")),
                       ("one without data", press(3, None)), ("one of a game", press(4, 5, game_short_name="g"))]:
        given = gw.post(body)
        reply = json.loads(given.body or b"{}")
        check("answered at once: " + name, given.status == 200 and reply.get("method") == "answerCallbackQuery" and
              reply.get("callback_query_id") == "777" and given.headers["content-type"] == "application/json" and
              0 <= len(reply.get("text", "x")) <= 200, given)
    check("and it is in the stream too", redis.xlen(STREAM) == 4)
    given = gw.post(press(5, "x", press_id='"\\\u2028</script>\U0001f600'))
    check("a strange press id comes back as it was",
          json.loads(given.body)["callback_query_id"] == '"\\\u2028</script>\U0001f600', given)
    for name, body in [("no id", press(6, "x", press_id=None)),
                       ("no sender", press(7, "x", **{"from": None, "message": None}))]:
        given = gw.post(body)
        check("a press with %s is taken without an answer" % name, given.status == 200 and not given.body, given)
    redis.delete(STREAM)


def fixtures(gw, redis):
    with open(os.path.join(HERE, "../fixtures/telegram-updates.jsonl"), "rb") as f:
        lines = [line.rstrip(b"\n") for line in f]
    bad = [line for line in lines if gw.post(line).status != 200]
    check("%d recorded updates are taken" % len(lines), len(lines) == 219 and not bad, bad)
    got = entries(redis)
    check("all of them are in the stream, in order, untouched", [f["body"] for _, f in got] == lines)
    check("with their keys", [f["key"].decode() for _, f in got] ==
          ["telegram:persona:%d" % json.loads(line)["update_id"] for line in lines])
    redis.delete(STREAM)
    with open(os.path.join(HERE, "../fixtures/telegram-updates-odd.jsonl"), "rb") as f:
        odd = f.read().splitlines()
    check("of the odd ones only the sound one", [gw.post(line).status for line in odd] == [400, 400, 200])
    check("enters", [f["lane"] for _, f in entries(redis)] == [b"telegram:persona:update:8"])
    redis.delete(STREAM)


def every_type(gw, redis):
    made, missing = random_updates.covering(7)
    check("every type and field of the Bot API occurs", not missing, missing)
    bodies = [random_updates.dumps(u, i) for i, u in enumerate(made)]
    bad = [b for b in bodies if gw.post(b).status != 200]
    check("and is taken (%d updates)" % len(made), not bad, bad[:2])
    wrong = [(expected_lane(u), f["lane"]) for u, (_, f) in zip(made, entries(redis))
             if f["lane"].decode() != expected_lane(u)]
    check("in the lane of its chat, user or update", not wrong, wrong[:5])
    redis.delete(STREAM)
    number = 300 if os.environ.get("SHOAL_TEST_LIGHT") else 1500
    statuses, seed = {}, int(time.time())
    print("# hostile updates: seed %d" % seed)
    for i, update in enumerate(itertools.islice(random_updates.hostile(seed), number)):
        body = random_updates.dumps(update, i)
        try:
            status = gw.post(body).status
        except OSError as e:
            status = repr(e)
        if status != 200:
            statuses[status] = body
    check("%d hostile updates are taken too" % number, not statuses, statuses)
    lanes = [f["lane"] for _, f in entries(redis)]
    check("with lanes of printable bytes", len(lanes) == number and
          all(re.fullmatch(rb"telegram:persona:(user:|update:)?-?[0-9]+", lane) for lane in lanes))
    redis.delete(STREAM)


def many_at_once(gw, redis):
    def send(n):
        return gw.post(message(n, chat=1000 + n % 10)).status
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(send, range(600)))
    check("many at once are all taken", statuses == [200] * 600, statuses)
    check("each once", sorted(int(f["key"].rsplit(b":", 1)[1]) for _, f in entries(redis)) == list(range(600)))
    redis.delete(STREAM)


def is_busy(given):
    return given.status == 503 and 1 <= int(given.headers.get("retry-after", 0)) <= 5 and \
        json.loads(given.body)["error"]["code"] == "unavailable"


def without_redis(gw, server):
    server.stop()
    given = gw.post(message(1))
    check("Redis gone: 503 with Retry-After", is_busy(given), given)
    given = gw.post(press(1, "age:yes:abcd1234"))
    check("and no answer to a press", is_busy(given) and b"answerCallbackQuery" not in given.body, given)
    check("not ready", wait_for(lambda: gw.get("/readyz").status == 503))
    check("but alive", gw.get("/healthz").status == 200)
    check("what is wrong is still told first", gw.post("x").status == 400 and gw.post("x", secret="x").status == 401)
    times = {gw.post(message(1)).headers.get("retry-after") for _ in range(40)}
    check("Retry-After is spread", len(times) > 2, times)
    server = server.again()
    check("Redis back: taken again by itself", wait_for(lambda: gw.post(message(2)).status == 200))
    check("and ready", gw.ready())
    keys = [f["key"] for _, f in entries(server.client())]
    check("what was refused is not in the stream", set(keys) == {b"telegram:persona:2"}, keys)
    server.client().delete(STREAM)
    return server


def hung_redis(gw, server):
    server.send(signal.SIGSTOP)
    began = time.monotonic()
    given = gw.post(message(5))
    took = time.monotonic() - began
    server.send(signal.SIGCONT)
    check("Redis hangs: 503 within its time", is_busy(given) and 1.5 < took < 5, (took, given))
    check("and on it goes", wait_for(lambda: gw.post(message(6)).status == 200))
    server.client().delete(STREAM)


def full_redis(gw, server):
    redis = server.client()
    redis.config_set("maxmemory", redis.info()["used_memory"] + 2_000_000)
    padding = "x" * 100_000
    taken, given = 0, None
    for i in range(100):
        given = gw.post(message(i, padding))
        if given.status != 200:
            break
        taken += 1
    check("Redis full: 503 with Retry-After", 0 < taken < 100 and is_busy(given), (taken, given.status))
    check("all that got 200 is there, and no more", redis.xlen(STREAM) == taken, (redis.xlen(STREAM), taken))
    redis.config_set("maxmemory", 0)
    check("room again: taken again", gw.post(message(200)).status == 200 and redis.xlen(STREAM) == taken + 1)
    redis.delete(STREAM)


def wrong_type(gw, redis):
    redis.set(STREAM, "not a stream")
    given = gw.post(message(1))
    check("a key that is no stream: 503", is_busy(given), given)
    redis.delete(STREAM)
    check("mended: taken", gw.post(message(1)).status == 200)
    redis.delete(STREAM)


def begin_post(gw, update_id):
    """A connection on which an update has been sent."""
    s, body = connect(gw), message(update_id)
    s.sendall(("POST /telegram/persona HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        TOKEN_HEADER, SECRET, len(body), body)).encode())
    return s


def end_post(s):
    """The status of the answer; 0: there is none."""
    try:
        answer = s.recv(65536)
    except OSError:
        answer = b""
    s.close()
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def until_under_way(gw, requests):
    """So many requests are read, and wait for Redis: the gateway has nothing left to read."""
    def nothing_to_read():
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f if line.split()[1].endswith(":%04X" % gw.port)]
        open_ones = [r for r in rows if r[3] == "01"]
        return len(open_ones) >= requests and all(r[4].endswith(":00000000") for r in open_ones)
    check("requests are under way", wait_for(nothing_to_read))
    time.sleep(0.1)


def drain(folder, server):
    """SIGTERM with requests in hand: those are finished, nothing is half done."""
    gw = Gateway(folder, server.url)
    gw.ready()
    with connect(gw) as idle:
        server.send(signal.SIGSTOP)
        posts = [begin_post(gw, n) for n in (1, 2)]
        until_under_way(gw, 3)
        gw.send(signal.SIGTERM)
        time.sleep(0.3)
        running = gw.running()
        server.send(signal.SIGCONT)
        statuses = [end_post(s) for s in posts]
        code = gw.wait()
        check("told to stop, it finishes what is in hand", running and statuses == [200, 200], (running, statuses))
        check("ends with 0", code == 0, (code, gw.output()[-800:]))
        check("idle connections are closed", idle.recv(10) == b"")
    server.client().delete(STREAM)


def drain_in_time(folder, server):
    gw = Gateway(folder, server.url, SHOAL_DRAIN_S=1)
    gw.ready()
    server.send(signal.SIGSTOP)
    post = begin_post(gw, 3)
    until_under_way(gw, 1)
    began = time.monotonic()
    gw.send(signal.SIGTERM)
    code = gw.wait()
    took = time.monotonic() - began
    server.send(signal.SIGCONT)
    status = end_post(post)
    check("it does not wait longer than SHOAL_DRAIN_S", code == 0 and took < 2.5, (code, took))
    check("and what is not certain is not confirmed", status in (0, 503), status)
    server.client().delete(STREAM)


def goes_slowly(folder, server):
    """Told to stop while others still send to it: it is not ready, and serves them, each on its last connection."""
    gw = Gateway(folder, server.url)
    gw.ready()
    first = gw.post(message(11))
    time.sleep(1.2)  # however quiet it was before
    gw.send(signal.SIGTERM)
    said = wait_for(lambda: b"draining\":\"draining" in gw.get("/readyz").body, every=0)
    late = gw.post(message(12))
    check("told to stop, it says so in /readyz", said)
    check("and takes what is still sent to it, on its last connection", first.status == late.status == 200 and
          first.headers["connection"] == "keep-alive" and late.headers["connection"] == "close", (first, late))
    check("then it ends", gw.wait() == 0, gw.output()[-800:])
    check("nothing is half done", server.client().xlen(STREAM) == 2)
    server.client().delete(STREAM)


def several_shards(folder, first):
    second = lib.start_redis()
    gw = Gateway(folder, first.url + "," + second.url)
    check("a shard of another list: not ready, and says why", wait_for(lambda: b"shard 0/1" in gw.get("/readyz").body) and
          gw.get("/readyz").status == 503, gw.get("/readyz"))
    check("and nothing is appended anywhere", {gw.post(message(chat, chat=chat)).status for chat in range(1, 9)} == {503} and
          not first.client().exists(STREAM) and not second.client().exists("shoal:{1}:updates"))
    first.client().delete("shoal:{0}:conf")
    check("the list was changed as it may be: ready", wait_for(lambda: gw.get("/readyz").status == 200), gw.get("/readyz"))
    gw.stop()
    gw = Gateway(folder, first.url + "," + second.url)
    check("two shards: ready, and both take entries", wait_for(lambda: b'"shards":"ok"' in gw.get("/readyz").body))
    for chat in range(1, 101):
        gw.post(message(chat, chat=chat))
    lanes = [[f[b"lane"] for _, f in s.client().xrange("shoal:{%d}:updates" % i)]
             for i, s in enumerate((first, second))]
    check("lanes are spread over both", len(lanes[0]) + len(lanes[1]) == 100 and min(map(len, lanes)) > 25,
          list(map(len, lanes)))
    for chat in range(1, 101):
        gw.post(message(1000 + chat, chat=chat))
    again = [[f[b"lane"] for _, f in s.client().xrange("shoal:{%d}:updates" % i)]
             for i, s in enumerate((first, second))]
    check("a lane stays on its shard", [sorted(a) for a in again] == [sorted(x * 2) for x in lanes])
    second.stop()
    check("one shard gone: the metrics say so", wait_for(lambda: gw.counter('shoal_cut_off{peer="queue"}') == 1))
    check("one shard gone: ready for the lanes of the other", gw.get("/readyz").status == 200, gw.get("/readyz"))
    statuses = {gw.post(message(2000 + chat, chat=chat)).status for chat in range(1, 30)}
    check("its lanes get 503, the others go on", statuses == {200, 503}, statuses)
    first.client().delete(STREAM)
    first.send(signal.SIGSTOP)
    for chat in range(1, 9):
        gw.post(message(3000 + chat, chat=chat))
    check("no shard left: not ready, and says why", wait_for(lambda: b"shard 0" in gw.get("/readyz").body) and
          gw.get("/readyz").status == 503, gw.get("/readyz"))
    first.send(signal.SIGCONT)
    gw.stop()
    first.client().delete(STREAM, "shoal:{0}:conf")


def does_not_tell_whose_it_is(folder):
    """Without rights for scripts nobody knows whether the shard is ours, however often it is asked."""
    server = lib.start_redis()
    redis = server.client()
    redis.execute_command("ACL", "SETUSER", "default", "-@scripting")
    gw = Gateway(folder, server.url)
    check("no right to ask whose it is: not ready, and says why", wait_for(
        lambda: b"does not tell whose it is: access denied" in gw.get("/readyz").body), gw.get("/readyz"))
    check("it is asked again and again", wait_for(
        lambda: redis.info("commandstats").get("cmdstat_evalsha", {}).get("rejected_calls", 0) >= 4), redis.info("commandstats"))
    given = gw.post(message(1))
    check("and nothing is appended", is_busy(given) and not redis.exists(STREAM), given)
    redis.execute_command("ACL", "SETUSER", "default", "+@scripting")
    check("it may ask: ready by itself", gw.ready() and gw.post(message(1)).status == 200 and redis.xlen(STREAM) == 1,
          gw.get("/readyz"))
    gw.stop()
    server.stop()


def says_what_it_found(folder, server):
    def log_of(redis_url, *words):
        gw = Gateway(folder, redis_url)
        found = wait_for(lambda: all(w in gw.output() for w in words))
        gw.stop()
        return check("the log tells: " + words[0], found, gw.output()[-1500:])
    log_of(server.url, "redis has every accepted update on disk", "redis does not evict", "7.")
    other = lib.start_redis(appendfsync="everysec", maxmemory="50mb", maxmemory_policy="allkeys-lru")
    log_of(other.url, "the last second can be lost", "redis may evict", "allkeys-lru")
    other.stop()
    other = lib.start_redis(appendonly="no", requirepass="geheim-pass")
    log_of("redis://:geheim-pass@127.0.0.1:%d/0" % other.port, "keeps no log of its writes")
    other.client().execute_command("ACL", "SETUSER", "app", "on", ">app-pass", "~*", "+@all", "-config")
    other.client().config_set("appendonly", "yes")
    log_of("redis://app:app-pass@127.0.0.1:%d/0" % other.port, "CONFIG GET is refused")
    check("secrets are in no log", not any(
        s in open(os.path.join(folder, f)).read() for f in os.listdir(folder) if f.startswith("gateway")
        for s in ("geheim-pass", "app-pass", SECRET, OLD)))
    other.kill()  # it would not stop while it writes its first log


def wrong_configuration(folder, server):
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    busy = "127.0.0.1:%d" % taken.getsockname()[1]
    for env, code, word in [
            (dict(SHOAL_WEBHOOK_SECRET=None), 1, "SHOAL_WEBHOOK_SECRET"),
            (dict(SHOAL_WEBHOOK_SECRET="with space"), 1, "SHOAL_WEBHOOK_SECRET"),
            (dict(SHOAL_WEBHOOK_SECRET="x" * 257), 1, "SHOAL_WEBHOOK_SECRET"),
            (dict(SHOAL_REDIS_URL="http://localhost"), 1, "SHOAL_REDIS_URL"),
            (dict(SHOAL_REDIS_URL=server.url + ",nonsense"), 1, "SHOAL_REDIS_URL"),
            (dict(SHOAL_REDIS_URL=server.url + "?shards=4," + server.url), 1, "shards"),
            (dict(SHOAL_GATEWAY_LISTEN=busy), 1, "SHOAL_GATEWAY_LISTEN"),
            (dict(SHOAL_METRICS_LISTEN=busy), 1, "SHOAL_METRICS_LISTEN"),
            (dict(SHOAL_BOTS="persona, nobody"), 1, "persona, escrow or ladder"),
            (dict(SHOAL_TELEGRAM_MODE="push"), 1, "SHOAL_TELEGRAM_MODE"),
            (dict(SHOAL_TELEGRAM_MODE="poll"), 1, "token"),
            (dict(SHOAL_DRAIN_S="soon"), 1, "SHOAL_DRAIN_S")]:
        gw = Gateway(folder, server.url, **env)
        got = gw.wait()
        lines = [x for x in gw.output().splitlines() if x.strip() and "redis" not in x.lower().split(word.lower())[0]]
        name = ", ".join("%s=%s" % (k, str(v)[:30].replace(str(server.port), "PORT").replace(busy, "TAKEN"))
                         for k, v in env.items())
        check("refused at start: " + name, got == code and word in gw.output() and "with space" not in gw.output(),
              (got, lines))
        gw.stop()
    taken.close()
    odd = lib.Process([BINARY, "gateway", "--nonsense"], os.path.join(folder, "usage.log"), env=lib.clean_env())
    check("wrong usage ends with 2", odd.wait() == 2, odd.output())


def main():
    folder = lib.temp_dir()
    server = lib.start_redis()
    redis = server.client()
    gw = Gateway(folder, server.url)
    if not check("the gateway becomes ready", gw.ready(), gw.output()[-2000:]):
        lib.finish()
    refusals(gw, redis)
    refused_by_the_head(gw, redis)
    half_a_request(gw, redis)
    machine.undisturbed(one_entry, gw, redis)
    machine.undisturbed(presses, gw, redis)
    machine.undisturbed(fixtures, gw, redis)
    machine.undisturbed(every_type, gw, redis)
    machine.undisturbed(many_at_once, gw, redis)
    machine.undisturbed(wrong_type, gw, redis)
    machine.undisturbed(full_redis, gw, server)
    machine.undisturbed(hung_redis, gw, server)
    server = without_redis(gw, server)
    check("still the same process", gw.running())
    check("series stay few", gw.get("/metrics").body.count(b"\nshoal_gateway_requests_total{") < 20)
    gw.send(signal.SIGTERM)
    check("stops with 0", gw.wait(10) == 0, gw.output()[-1500:])
    check("without complaints of a sanitizer", "Sanitizer" not in gw.output() and "runtime error" not in gw.output(),
          gw.output()[-3000:])
    machine.undisturbed(drain, folder, server)
    machine.undisturbed(drain_in_time, folder, server)
    machine.undisturbed(goes_slowly, folder, server)
    machine.undisturbed(several_shards, folder, server)
    does_not_tell_whose_it_is(folder)
    says_what_it_found(folder, server)
    wrong_configuration(folder, server)
    lib.finish()


main()
