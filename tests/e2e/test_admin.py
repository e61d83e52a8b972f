"""`shoal admin`, through its API: what it answers to whom, what it changes and notes, and what it makes of what is no
request. The workers are real: a code that is made here works in a chat with the next message."""
import concurrent.futures
import contextlib
import json
import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import PATIENCE, check, finish, free_port, http, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402

ADMIN, VIEWER = "admin-token-of-the-tests", "viewer-token-of-the-tests"
CODES, USERS = "/api/analytics/start-codes", "/api/analytics/users"
CODE_FIELDS = ["code", "persona", "description", "active", "max_uses", "expires_at", "user_count", "created_at"]

stack = Stack(binary_from_argv(), workers=2, SHOAL_ADMIN_TOKEN=ADMIN, SHOAL_VIEWER_TOKEN=VIEWER)


def start_admin(**env):
    port, health = free_port(), free_port()
    p = stack.start("admin-%d" % port, ["admin"], SHOAL_ADMIN_LISTEN="127.0.0.1:%d" % port,
                    SHOAL_METRICS_LISTEN="127.0.0.1:%d" % health, **env)
    p.port, p.url, p.health = port, "http://127.0.0.1:%d" % port, "http://127.0.0.1:%d" % health
    stack.expect("admin", lambda: http("GET", p.health + "/readyz").status == 200)
    return p


admin = start_admin()


class Said:
    def __init__(self, answer):
        self.status, self.headers, self.raw = answer.status, answer.headers, answer.body
        self.json = json.loads(answer.body) if answer.body else None

    def __str__(self):
        return "%d %s" % (self.status, self.raw[:1500].decode("utf-8", "replace"))

    @property
    def error(self):
        return (self.json or {}).get("error", {}) if isinstance(self.json, dict) else {}


def ask(method, path, body=None, token=ADMIN, server=None, **headers):
    if token:
        headers["Authorization"] = "Bearer " + token
    if body is not None and not isinstance(body, (str, bytes)):
        body = json.dumps(body)
    return Said(http(method, (server or admin).url + path, body, headers))


def expect(name, said, status, **has):
    error = said.error
    return check(name, said.status == status and all(error.get(k) == v for k, v in has.items()) and
                 (status < 400 or (set(error) <= {"code", "message", "field"} and error.get("code") and
                                   error.get("message"))), (status, has, str(said)))


def audit(action, target):
    return stack.pg.rows("SELECT actor, details FROM admin_audit WHERE action = %s AND target = %s ORDER BY id", action,
                         target)


def last_answer(user, n):
    """The text of the nth message of a chat, once it is there."""
    if not wait_for(lambda: len(stack.chat(user).get("messages", [])) >= n):
        raise RuntimeError("no answer: %s" % stack.queue())
    return stack.chat(user)["messages"][n - 1]["text"]


def prepare():
    stack.shoal("persona", "add", "default", "--name", "Echo", "--greeting", "Hello from Echo", "--reply", "I hear you")
    stack.shoal("persona", "add", "luna", "--name", "Luna", "--greeting", "Hello from Luna", "--reply", "Hm")


# ---- who may

ROUTES = [("GET", CODES, 200), ("POST", CODES, 422), ("PUT", CODES + "/nobody", 404), ("DELETE", CODES + "/nobody", 404)]


def tokens():
    wrong = 0
    for method, path, status in ROUTES:
        name = "%s %s" % (method, path)
        expect(name + ": no token", ask(method, path, {}, token=None), 401, code="unauthorized")
        if wrong < 20:
            wrong += 1
            expect(name + ": a wrong token", ask(method, path, {}, token=ADMIN + "x"), 401, code="unauthorized")
        expect(name + ": the admin's", ask(method, path, {}), status)
        viewer = ask(method, path, {}, token=VIEWER)
        if method == "GET":
            check(name + ": the viewer's", viewer.status == status, viewer)
        else:
            expect(name + ": the viewer's", viewer, 403, code="forbidden")
    said = ask("GET", CODES, token=None)
    check("401 names the scheme", said.headers.get("www-authenticate", "").startswith("Bearer"), said.headers)
    for value in ("", "Bearer", "Bearer ", "Basic " + ADMIN, ADMIN, "Bearer  " + ADMIN, "Bearer " + ADMIN + " "):
        said = Said(http("GET", admin.url + CODES, headers={"Authorization": value}))
        check("not let in: %r" % value, said.status == (200 if value == "Bearer " + ADMIN + " " else 401), said)
    expect("unknown paths are told to nobody without a token", ask("GET", "/api/nothing", token=None), 401)
    expect("an unknown path", ask("GET", "/api/nothing"), 404, code="not_found")
    expect("a path outside", ask("GET", "/etc/passwd"), 404)
    said = ask("PATCH", CODES, {})
    check("a method that is not there", said.status in (405, 501), said)
    said = ask("DELETE", CODES)
    check("405 says which are", said.status == 405 and said.headers.get("allow") == "GET, POST", (said, said.headers))
    for said in (ask("GET", CODES), ask("GET", CODES, token=None), ask("GET", "/nothing")):
        h = said.headers
        check("every answer is guarded: %d" % said.status,
              h.get("cache-control") == "no-store" and h.get("x-content-type-options") == "nosniff" and
              h.get("x-frame-options") == "DENY" and "default-src 'none'" in h.get("content-security-policy", "") and
              "unsafe" not in h.get("content-security-policy", ""), h)


# ---- start codes

def codes():
    expect("no codes yet", ask("GET", CODES), 200)
    said = ask("POST", CODES, {"code": "spring", "persona": "luna", "description": "Posters <b>\U0001f331", "max_uses": 3,
                               "expires_at": "2099-01-31T12:00:00+01:00"})
    expect("a code is made", said, 201)
    made = said.json
    check("what was made is told", list(made) == CODE_FIELDS and made["persona"] == "luna" and made["active"] is True and
          made["max_uses"] == 3 and made["expires_at"] == "2099-01-31T11:00:00.000Z" and made["user_count"] == 0 and
          made["description"] == "Posters <b>\U0001f331" and made["created_at"].endswith("Z"), made)
    check("the list has it", ask("GET", CODES).json == [made], ask("GET", CODES))
    check("the viewer sees it, too", ask("GET", CODES, token=VIEWER).json == [made])
    rows = audit("code.add", "code:spring")
    check("it is noted who made it", len(rows) == 1 and rows[0][0].startswith("admin:") and
          rows[0][0].endswith("@127.0.0.1") and ADMIN not in rows[0][0] and rows[0][1]["code"] == "spring", rows)

    stack.say(700, "/start spring")
    greeting = last_answer(700, 2)  # are you of age?
    markup = stack.chat(700)["messages"][1]["reply_markup"]["inline_keyboard"][0][0]
    stack.press(700, stack.chat(700)["messages"][1]["message_id"], markup["callback_data"])
    check("it works in a chat at once", wait_for(lambda: any("Luna" in m.get("text", "")
                                                             for m in stack.chat(700)["messages"])), greeting)
    check("it is counted", wait_for(lambda: ask("GET", CODES).json[0]["user_count"] == 1), ask("GET", CODES))
    expect("in use it stays", ask("DELETE", CODES + "/spring"), 409, code="in_use")

    said = ask("PUT", CODES + "/spring", {"active": False, "description": None})
    expect("it is changed", said, 200)
    check("what is not said stays", said.json["active"] is False and said.json["description"] is None and
          said.json["max_uses"] == 3 and said.json["user_count"] == 1, said)
    stack.say(701, "/start spring")
    check("an inactive code is refused in the next chat", wait_for(
        lambda: len(stack.chat(701).get("messages", [])) > 1) and "Luna" not in str(stack.chat(701)), stack.chat(701))
    back = ask("PUT", CODES + "/spring", {**said.json, "active": True, "max_uses": None, "expires_at": None})
    check("what was got may be sent back", back.status == 200 and back.json["max_uses"] is None and
          back.json["expires_at"] is None and back.json["active"] is True, back)
    rows = audit("code.set", "code:spring")
    check("before and after are noted", len(rows) == 2 and rows[0][1]["before"]["active"] is True and
          rows[0][1]["after"]["active"] is False, rows)
    expect("with force it goes", ask("DELETE", CODES + "/spring?force=true"), 204)
    check("it is gone", ask("GET", CODES).json == [])
    expect("and is not there twice", ask("DELETE", CODES + "/spring"), 404, code="not_found")
    check("that is noted, with its uses", [r[1]["uses"] for r in audit("code.remove", "code:spring")] == [1])

    said = ask("POST", CODES, {"code": "plain", "persona": None, "description": "0"})
    check("a code without a persona", said.status == 201 and said.json["persona"] is None and
          said.json["description"] == "0", said)
    expect("its persona", ask("PUT", CODES + "/plain", {"persona": "luna"}), 200)
    check("can be taken away", ask("PUT", CODES + "/plain", {"persona": None}).json["persona"] is None)
    expect("an unused one goes", ask("DELETE", CODES + "/plain"), 204)


WRONG_CODES = [
    ({}, "code"), ({"code": "x"}, "persona"), ({"code": "a b", "persona": "luna"}, "code"),
    ({"code": "x" * 65, "persona": "luna"}, "code"), ({"code": "", "persona": "luna"}, "code"),
    ({"code": 7, "persona": "luna"}, "code"), ({"code": None, "persona": "luna"}, "code"),
    ({"code": "x", "persona": "nobody"}, "persona"), ({"code": "x", "persona": "A B"}, "persona"),
    ({"code": "x", "persona": 1}, "persona"), ({"code": "x", "persona": "luna", "active": "yes"}, "active"),
    ({"code": "x", "persona": "luna", "active": None}, "active"),
    ({"code": "x", "persona": "luna", "max_uses": 0}, "max_uses"),
    ({"code": "x", "persona": "luna", "max_uses": -1}, "max_uses"),
    ({"code": "x", "persona": "luna", "max_uses": 1.5}, "max_uses"),
    ({"code": "x", "persona": "luna", "max_uses": "3"}, "max_uses"),
    ({"code": "x", "persona": "luna", "max_uses": 2 ** 63}, "max_uses"),
    ({"code": "x", "persona": "luna", "expires_at": "tomorrow"}, "expires_at"),
    ({"code": "x", "persona": "luna", "expires_at": 5}, "expires_at"),
    ({"code": "x", "persona": "luna", "description": "x" * 1001}, "description"),
    ({"code": "x", "persona": "luna", "description": "\x07"}, "description"),
    ({"code": "x", "persona": "luna", "description": ["a"]}, "description"),
    ({"code": "x", "persona": "luna", "colour": "red"}, "colour"),
]
NOT_JSON = [b"{", b"[]", b"1", b"null", b"{\"code\": \"x\"", b"\xff\xfe", b"{\"a\":1}x", b"[" * 5000]


def wrong_codes():
    for body, field in WRONG_CODES:
        expect("422 %s of %.60r" % (field, body), ask("POST", CODES, body), 422, code="invalid", field=field)
        if field not in ("code", "persona") or body.get("persona") not in (None, "luna"):
            changed = {k: v for k, v in body.items() if k != "code"}
            said = ask("PUT", CODES + "/nobody", changed)
            check("PUT refuses it, too: %.60r" % changed, said.status in (404, 422), said)
    expect("422 of a field that comes twice", ask("POST", CODES, b'{"code":"x","code":"y","persona":"luna"}'), 422,
           field="code")
    for text in NOT_JSON:
        expect("400 of %.30r" % text, ask("POST", CODES, text), 400, code="bad_json")
    expect("413", ask("POST", CODES, b" " * 70000), 413)
    check("none of them was made", ask("GET", CODES).json == [], ask("GET", CODES))
    ask("POST", CODES, {"code": "twice", "persona": "luna"})
    expect("409", ask("POST", CODES, {"code": "twice", "persona": "default"}), 409, code="exists")
    expect("a code keeps its name", ask("PUT", CODES + "/twice", {"code": "other"}), 422, field="code")
    for path in ("/a%2Fb", "/a/b", "/%00", "/..", "/", "/" + "x" * 300, "/%F0%9F%98%80"):
        said = ask("PUT", CODES + path, {"active": True})
        check("no such code: %s" % path[:20], said.status in (400, 404, 405), said)
    expect("force is true or false", ask("DELETE", CODES + "/twice?force=1"), 422, field="force")
    ask("DELETE", CODES + "/twice")


def at_once():
    """Two admins, one code."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda n: ask("POST", CODES, {"code": "race", "persona": "luna", "max_uses": n + 1}), range(16)))
        check("one of many makes a code", sorted(s.status for s in made) == [201] + 15 * [409], [str(s) for s in made])
        before = len(audit("code.set", "code:race"))
        changed = list(pool.map(lambda n: ask("PUT", CODES + "/race", {"max_uses": n + 100}), range(16)))
        check("all changes are made", all(s.status == 200 and s.json["max_uses"] == n + 100
                                          for n, s in enumerate(changed)), [str(s) for s in changed])
        rows = audit("code.set", "code:race")[before:]
        check("one after the other, as noted", len(rows) == 16 and all(
            rows[i][1]["before"]["max_uses"] == rows[i - 1][1]["after"]["max_uses"] for i in range(1, 16)), rows)
        check("the last one stands", ask("GET", CODES).json[0]["max_uses"] == rows[-1][1]["after"]["max_uses"])
        gone = list(pool.map(lambda n: ask("DELETE", CODES + "/race"), range(16)))
        check("one of many removes it", sorted(s.status for s in gone) == [204] + 15 * [404], [str(s) for s in gone])


# ---- what is no request

def hostile():
    rng = random.Random(7)
    count = 200 if light() else 1000
    heads = [b"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (CODES.encode(), ADMIN.encode()),
             b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{\"code\":\"x\"}" % CODES.encode(),
             b"PUT /api/analytics/start-codes/%%00 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\x16\x03\x01" * 40]
    for _ in range(count):
        text = bytearray(rng.choice(heads))
        for _ in range(rng.randrange(1, 8)):
            text[rng.randrange(len(text))] = rng.randrange(256)
        said = b""
        with socket.create_connection(("127.0.0.1", admin.port), timeout=PATIENCE) as s, contextlib.suppress(OSError):
            s.sendall(bytes(text))
            if rng.random() < 0.5:
                s.shutdown(socket.SHUT_WR)
                said = s.recv(4096)
        if said and not said.startswith(b"HTTP/1.1 "):
            check("an answer is HTTP", False, said[:200])
    check("%d spoilt requests later it serves" % count, ask("GET", CODES).status == 200 and admin.running())


def login_limit():
    other = start_admin()
    first = [ask("GET", CODES, token="wrong-%d" % n, server=other) for n in range(60)]
    limited = [s for s in first if s.status == 429]
    check("wrong tokens are 401, then 429", {s.status for s in first} == {401, 429} and
          [s.status for s in first].index(429) >= 30, [s.status for s in first])
    check("429 tells how long", limited and 1 <= int(limited[0].headers.get("retry-after", 0)) <= 60 and
          limited[0].error.get("code") == "too_many_logins", limited and limited[0].headers)
    expect("the right one has to wait, too", ask("GET", CODES, server=other), 429)
    expect("who shows none is told as ever", ask("GET", CODES, token=None, server=other), 401)
    check("after a while it is let in", wait_for(lambda: ask("GET", CODES, server=other).status == 200, every=0.5))
    other.stop()
    check("no token is in the log", not any(t in p.output() for t in (ADMIN, VIEWER) for p in (admin, other)))


def metrics():
    text = http("GET", admin.health + "/metrics").body.decode()
    series = [line for line in text.splitlines() if line.startswith("shoal_admin_requests_total{")]
    check("requests are counted by route", any('path="%s/{code}",status="404"' % CODES in s for s in series) and
          any('path="other",status="404"' in s for s in series), series)
    check("and by nothing that users send", not any("nobody" in s or "passwd" in s for s in series) and len(series) < 80,
          len(series))


prepare()
tokens()
codes()
wrong_codes()
at_once()
hostile()
login_limit()
metrics()
finish()
