"""What is no request, ten thousand times, against `shoal admin`: ambiguous lengths behind which another request hides, heads
without an end, bodies that are no JSON or nested without end, ill-formed UTF-8, cursors and limits of fancy, methods that
are none, halves of requests. Each gets a refusal that says little, or nothing where it broke off; nothing is changed by
any, the program grows no larger, and who watches or asks meanwhile is served."""
import concurrent.futures
import contextlib
import json
import os
import random
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import PATIENCE, check, finish, free_port, http, wait_for  # noqa: E402
from stack import SECRET, TOKEN, Stack, binary_from_argv, light  # noqa: E402

ADMIN, VIEWER, KEY = "admin-token-of-the-tests", "viewer-token-of-the-tests", "key-of-the-responder"
SECRETS = [s.encode() for s in (ADMIN, VIEWER, SECRET, TOKEN, KEY)]
COUNT = 2000 if light() else 10000
GROWTH_KB = 4096  # of the program's memory, once everything was met
CODES, USERS = b"/api/analytics/start-codes", b"/api/analytics/users"

stack = Stack(binary_from_argv(), workers=0, webhook=False, SHOAL_ADMIN_TOKEN=ADMIN, SHOAL_VIEWER_TOKEN=VIEWER,
              SHOAL_RESPONDER_URL="http://127.0.0.1:9/v1", SHOAL_RESPONDER_KEY=KEY)
port, health = free_port(), free_port()
admin = stack.start("admin", ["admin"], SHOAL_ADMIN_LISTEN="127.0.0.1:%d" % port,
                    SHOAL_METRICS_LISTEN="127.0.0.1:%d" % health)
stack.expect("admin", lambda: http("GET", "http://127.0.0.1:%d/readyz" % health).status == 200)


def ask(method, path, body=None, token=ADMIN):
    return http(method, "http://127.0.0.1:%d%s" % (port, path), None if body is None else json.dumps(body),
                {"Authorization": "Bearer " + token})


# ---- kinds: each makes one request of a random generator: its bytes, and the statuses that it may get

AUTH = b"Authorization: Bearer " + ADMIN.encode() + b"\r\n"
REFUSED = {400, 401, 403, 404, 405, 408, 413, 417, 422, 429, 431, 501, 505}


def head(method, path, more=b"", auth=AUTH):
    return b"%s %s HTTP/1.1\r\nHost: x\r\n%s%s" % (method, path, auth, more)


def with_body(method, path, body, auth=AUTH):
    return head(method, path, b"Content-Length: %d\r\n\r\n" % len(body), auth) + body


def smuggling(rng):
    """Two readers could see one request here, or two."""
    hidden = with_body(b"POST", CODES, b'{"code":"smuggled-%d","persona":null}' % rng.randrange(1 << 30))
    n = b"%d" % len(hidden)
    trick = rng.choice([
        b"Content-Length: 0\r\nContent-Length: " + n, b"Content-Length: 0, " + n, b"Content-Length: +0", b"Content-Length: 0x0",
        b"Content-Length: -1", b"Content-Length: 0\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Transfer-Encoding : chunked", b"Content-Length : 0",
        b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding: identity, chunked", b"X: y\r\n Content-Length: 0",
        b"X: y\nContent-Length: " + n, b"X: y\rContent-Length: 0", b"Content-Length:", b"Content-Length: 99999999999999999999",
        b"Transfer-Encoding: \"chunked\"", b"X\x00: y", b"Content-Length: 0\r\n\r", b": y", b"Content Length: 0"])
    return head(b"POST", CODES, trick + b"\r\n\r\n") + hidden, REFUSED


def chunks(rng):
    bad = rng.choice([b"zz\r\n", b"-1\r\n\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"5;x\nabcde\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", b"5\r\nabcdeX\r\n0\r\n\r\n",
                      b"\r\n0\r\n\r\n", b"0x5\r\nabcde\r\n0\r\n\r\n", b"1\r\n{\r\n0\r\nX: " + b"y" * 70000, b" 5\r\nabcde\r\n0\r\n\r\n"])
    return head(b"POST", CODES, b"Transfer-Encoding: chunked\r\n\r\n") + bad, REFUSED


def heads(rng):
    text = rng.choice([
        head(b"GET", USERS, b"X: " + b"y" * rng.randrange(17000, 90000) + b"\r\n\r\n"),
        head(b"GET", USERS, b"X: y\r\n" * rng.randrange(3000, 9000) + b"\r\n"),
        head(b"GET", USERS + b"?q=" + b"a" * rng.randrange(17000, 90000), b"\r\n"),
        head(b"GET", USERS, b"X: " + bytes(rng.randrange(256) for _ in range(2000)).replace(b"\r", b"").replace(b"\n", b"") +
             b"\x01\r\n\r\n"),
        head(b"GET", USERS, b"\r\n", b"Authorization: Bearer " + b"\xff" * rng.randrange(1, 9000) + b"\r\n"),
        head(b"GET", USERS, b"\r\n", b"Authorization: Bearer guess-%d\r\n" % rng.randrange(1 << 30)),
        head(b"GET", USERS, b"\r\n", b"Authorization: Basic YWRtaW46YWRtaW4=\r\n"),
        head(b"GET", USERS, b"\r\n", b"Authorization: Bearer x\r\n" + AUTH),
        b"GET %s HTTP/9.9\r\nHost: x\r\n\r\n" % USERS, b"GET  %s HTTP/1.1\r\nHost: x\r\n\r\n" % USERS,
        b"GET %s\r\n\r\n" % USERS, b"\x16\x03\x01" * 50 + b"\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
    return text, REFUSED


def bodies(rng):
    nested = rng.choice([b"[", b'{"a":', b'[{"a":'])
    deep = nested * rng.randrange(201, 20000 // len(nested))
    text = rng.choice([
        deep, deep[:len(nested) * 3000] + b"1" + b"]" * 9, b"{", b"[]", b"null", b"1e999", b'"', b'{"code":"x"', b"\xff\xfe{}", b'{"code":"\xc3\x28","persona":null}',
        b'{"code":"\xed\xa0\x80"}', b'{"code":"x","code":"y","persona":null}', b'{"\\u0000":1}', b'{"code":"a\\u0000b","persona":null}',
        b'{"code":"\\ud800","persona":null}', b'{"code":1e400,"persona":null}', b'{"max_uses":-9223372036854775809}',
        b'{"keys":' + b"[" * 500 + b'"x"' + b"]" * 500 + b"}", b'{"keys":["' + b"x" * 60000 + b'"]}', b'{"all":"true"}',
        b'{"bot":{"$ne":null}}', b'{"bot":"persona\' OR 1=1"}', b'{"force":"yes"}', b'{"code":"x","persona":null,"expires_at":"9999999-01-01T00:00:00Z"}',
        b" " * 70000, b'{"code":"' + b"x" * 65 + b'","persona":null}', b'{"__proto__":{}}', b"{} {}", b"{'code':'x'}", b"NaN"])
    method, path = rng.choice([(b"POST", CODES), (b"PUT", CODES + b"/nobody"), (b"POST", b"/api/cache/persona/invalidate"),
                               (b"POST", b"/api/queue/pause"), (b"POST", b"/api/queue/resume"), (b"POST", b"/api/dead/1-1/retry"),
                               (b"POST", b"/api/cache/nothing/reload")])
    return with_body(method, path, text), REFUSED


def queries(rng):
    value = rng.choice([b"-1", b"0", b"-9223372036854775808", b"9223372036854775808", b"1e3", b"0x10", b"1.5", b"%00", b"%ff%fe", b"%", b"%zz",
                        b"../../etc/passwd", b"'%20OR%20'1'='1", b"%EF%BC%91", b"1%202", b"null", b"NaN", b"9" * 400, b":", b"0:", b"-1:1-1",
                        b"99:1:1", b"1-1-1", b"a%0d%0aSet-Cookie:%20x=y", b"%F0%9F%98%80" * 40])
    path, name = rng.choice([(USERS, b"limit"), (USERS, b"cursor"), (USERS, b"offset"), (CODES, b"limit"), (CODES, b"cursor"),
                             (CODES, b"order"), (b"/api/dead", b"limit"), (b"/api/dead", b"cursor"), (b"/api/audit", b"limit"),
                             (b"/api/audit", b"cursor"), (b"/api/queue/lanes", b"limit")])
    # an offset of 0 is one, and so is 0:CODE as a cursor; here it is only 0:
    fine = {200} if (name, value) == (b"offset", b"0") else set()
    return head(b"GET", path + b"?" + name + b"=" + value, b"\r\n"), REFUSED | fine


def methods(rng):
    method = rng.choice([b"TRACE", b"CONNECT", b"OPTIONS", b"PATCH", b"get", b"FOO", b"G" * 3000, b"", b"GET\x00", b"POST", b"PUT", b"DELETE",
                         b"PROPFIND", b"\xc3\xa9"])
    path = rng.choice([b"/api/session", b"/api/events", b"/", b"/app.js", b"/api", b"/api/history"])
    return head(method, path, b"\r\n"), REFUSED


def paths(rng):
    path = rng.choice([b"//api/queue", b"/api/../etc/passwd", b"/api/%2e%2e/queue", b"/api/dead/%2e%2e%2f", b"/api/dead/" + b"9" * 3000,
                       b"/api/dead/1-1%00", b"/api/analytics/start-codes/%ff", b"/api/analytics/start-codes/a%2fb", b"/api/cache//reload",
                       b"api/queue", b"*", b"/API/queue", b"/api/queue/", b"/api/queue?", b"/.git/config", b"/admin/web/app.js",
                       b"/index.html/", b"/..%5capp.js", b"/api\\queue", b"/api/queue#x", b"/%", b"/api/dead/\xff"])
    allowed = REFUSED | ({200} if path in (b"/api/queue?",) else set())
    return head(b"GET", path, b"\r\n"), allowed


def halves(rng):
    """Breaks off."""
    text = rng.choice([with_body(b"POST", CODES, b'{"code":"half-%d","persona":null}' % rng.randrange(1 << 30)), head(b"GET", USERS, b"\r\n")])
    return text[:rng.randrange(1, len(text) - 1)], None


def spoilt(rng):
    """Sound but for a few bytes; most are refused, all are answered or ended."""
    text = bytearray(rng.choice([head(b"GET", CODES, b"\r\n"), head(b"GET", USERS + b"?limit=3&q=a", b"\r\n"),
                                 with_body(b"PUT", CODES + b"/nobody", b'{"active":true}'), head(b"DELETE", b"/api/dead/1-1", b"\r\n")]))
    for _ in range(rng.randrange(1, 8)):
        text[rng.randrange(len(text))] = rng.randrange(256)
    return bytes(text), None


KINDS = [smuggling, chunks, heads, bodies, queries, methods, paths, halves, spoilt]

# ---- what comes of them

ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")
troubles, statuses = [], {}
lock = threading.Lock()


def read_all(s, text, must):
    """What is answered until the end; the client says that it has no more, as one that waits would keep both waiting."""
    said = b""
    with contextlib.suppress(OSError):
        s.sendall(text)
        if must or len(text) % 2:
            s.shutdown(socket.SHUT_WR)
            while more := s.recv(65536):
                said += more
    return said


def judge(kind, text, allowed, said):
    """What is wrong with the answers, None: nothing."""
    found = [int(m) for m in ANSWER.findall(said)]
    if any(secret in said for secret in SECRETS) or b"guess-" in said:
        return "a secret is told"
    if said and not said.startswith(b"HTTP/1.1 "):
        return "no HTTP"
    if any(status >= 500 and status not in (501, 505) for status in found):
        return "a failure"
    if allowed is None:
        return None
    if not found:
        return "no answer"
    if found[0] not in allowed:
        return "answered with %d" % found[0]
    if kind is smuggling and len(found) > 1:
        return "two answers"
    body = said.split(b"\r\n\r\n", 1)[1]
    if b"\r\nSet-Cookie" in said or b"nosniff" not in said:
        return "headers"
    if found[0] != 200 and len(found) == 1 and not text.startswith(b"HEAD") and set(json.loads(body)) != {"error"}:
        return "no error object"
    return None


def send(seed):
    rng = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    text, allowed = kind(rng)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as s:
        said = read_all(s, text, allowed is not None)
    try:
        why = judge(kind, text, allowed, said)
    except Exception as e:  # noqa: BLE001
        why = repr(e)
    with lock:
        status = (ANSWER.match(said) or [b"", b"none"])[1].decode()
        statuses[status] = statuses.get(status, 0) + 1
        if why:
            troubles.append((kind.__name__, why, text[:300], said[:400]))


def rss_kb():
    with open("/proc/%d/status" % admin.pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


class Watcher(threading.Thread):
    """Somebody who watches all the while: counts the ticks, until the stream ends."""

    def __init__(self):
        super().__init__(daemon=True)
        self.s = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.s.sendall(b"GET /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % VIEWER.encode())
        self.ticks, self.over = 0, False
        self.start()

    def run(self):
        text = b""
        with contextlib.suppress(OSError):
            while more := self.s.recv(65536):
                text += more
                *events, text = text.split(b"\n\n")
                for e in events:
                    self.ticks += json.loads(e.split(b"data: ")[1])["queue"]["length"] == 0
        self.over = True


def main():
    stack.shoal("persona", "add", "default", "--name", "Echo", "--greeting", "Hello")
    made = ask("POST", CODES.decode(), {"code": "stays", "persona": None})
    before = (ask("GET", CODES.decode()).body, stack.pg.rows("SELECT max(id) FROM admin_audit"))
    watcher, began = Watcher(), time.monotonic()
    served = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for at in range(0, COUNT, COUNT // 10):
            list(pool.map(send, range(at, at + COUNT // 10)))
            if at == COUNT // 10 * 4:
                warm = rss_kb()
            served += ask("GET", USERS.decode(), token=VIEWER).status == 200
    idle = []
    for n in range(700):  # more than there is room for, which say nothing, or not all
        idle.append(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
        with contextlib.suppress(OSError):
            idle[-1].sendall(b"" if n % 2 else b"GET / HTTP/1.1\r\nX: ")
    check("connections that say nothing keep nobody out", ask("GET", CODES.decode()).status == 200)
    for s in idle:
        s.close()
    print("# %d in %.1f s: %s" % (COUNT, time.monotonic() - began, sorted(statuses.items())))
    for kind, why, text, said in troubles[:5]:
        print("# %s: %s\n#   %r\n#   %r" % (kind, why, text, said))
    check("all are refused as they should be", not troubles, len(troubles))
    check("whoever has the right token is served all the while", served == 10 and made.status == 201, served)
    ticks = watcher.ticks
    check("who watches goes on watching", ticks > 0 and wait_for(lambda: watcher.ticks >= ticks + 2) and not watcher.over,
          (ticks, watcher.ticks))
    check("nothing is changed, nothing is noted", (ask("GET", CODES.decode()).body, stack.pg.rows(
        "SELECT max(id) FROM admin_audit")) == before, ask("GET", CODES.decode()).body)
    check("nothing is paused", json.loads(ask("GET", "/api/queue").body)["paused"] is None)
    print("# memory: %d KB after the first half, %d KB after all" % (warm, rss_kb()))
    check("it grows no larger", light() or rss_kb() - warm < GROWTH_KB, (warm, rss_kb()))
    check("it runs", admin.running() and http("GET", "http://127.0.0.1:%d/healthz" % health).status == 200)
    check("no secret is in the log", not any(s.decode() in admin.output() for s in SECRETS) and "guess-" not in admin.output())
    series = [line for line in http("GET", "http://127.0.0.1:%d/metrics" % health).body.decode().splitlines()
              if line.startswith("shoal_admin_requests_total{")]
    check("the metrics know only the routes there are", len(series) < 90, len(series))
    finish()


main()
