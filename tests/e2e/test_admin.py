"""`shoal admin`, through its API: what it answers to whom, what it changes and notes, and what it makes of what is no
request. The workers are real: a code that is made here works in a chat with the next message."""
import concurrent.futures
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import PATIENCE, check, finish, free_port, http, start_redis, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

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


def forgive():
    """Wrong tokens that were tried are forgotten again, by an admin of its own."""
    global admin
    admin.stop()
    admin = start_admin()


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

# What a route's braces stand for here: nothing that there is. The table itself comes from the program, so that none is
# left out; what is no GET must be the admin's alone.
NOWHERE = {"{code}": "nobody", "{name}": "nothing", "{id}": "1-1"}
# that change nothing even where they are let in
HARMLESS = {"/api/queue/pause": {"bot": "nobody"}, "/api/queue/resume": {"bot": "nobody"}}
LET_IN = {"GET": (200,), "POST": (404, 422), "PUT": (404,), "DELETE": (404,)}


def routes():
    """All routes, as the program tells them: [(method, path)]."""
    said = ask("GET", "/api", token=VIEWER)
    found = []
    for r in said.json:
        path = r["path"]
        for word, value in NOWHERE.items():
            path = path.replace(word, value)
        found.append((r["method"], path))
        check("%s %s is for %s" % (r["method"], r["path"], r["role"]),
              r["role"] == ("viewer" if r["method"] == "GET" else "admin"), r)
    source = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/admin/api.c")).read()
    check("the table is told whole", len(found) == len(re.findall(r'{"[A-Z]+", "/api', source)) > 20, found)
    return found


def tokens():
    for method, path in routes():
        name, body = "%s %s" % (method, path), None if method == "GET" else HARMLESS.get(path, {})
        expect(name + ": no token", ask(method, path, body, token=None), 401, code="unauthorized")
        for wrong in (ADMIN + "x", ADMIN[:-1], VIEWER.upper()):
            said = ask(method, path, body, token=wrong)
            check(name + ": a wrong token", said.status in (401, 429) and
                  said.error.get("code") in ("unauthorized", "too_many_logins"), said)
        if path == "/api/events":
            check(name + ": the viewer's", len(Watcher().ticks(1)) == 1)
            continue
        said = ask(method, path, body)
        check(name + ": the admin's", said.status in LET_IN[method] + ((404,) if "1-1" in path else ()), said)
        viewer = ask(method, path, body, token=VIEWER)
        if method == "GET":
            check(name + ": the viewer's", viewer.status == said.status, viewer)
        else:
            expect(name + ": the viewer's", viewer, 403, code="forbidden")
    forgive()
    said = ask("GET", CODES, token=None)
    check("401 names the scheme", said.headers.get("www-authenticate", "").startswith("Bearer"), said.headers)
    for value in ("", "Bearer", "Bearer ", "Basic " + ADMIN, ADMIN, "Bearer  " + ADMIN, "Bearer " + ADMIN + " "):
        said = Said(http("GET", admin.url + CODES, headers={"Authorization": value}))
        check("not let in: %r" % value.replace(ADMIN, "TOKEN"), said.status == (200 if value == "Bearer " + ADMIN + " " else 401), said)
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


def page():
    said = http("GET", admin.url + "/")
    check("the page is for everybody", said.status == 200 and said.headers["content-type"].startswith("text/html") and
          b"<script" in said.body and b"style=" not in said.body, said)
    files = re.findall(rb'(?:src|href)="(/[^"]+)"', said.body)
    scripts = [f for f in files if f.endswith(b".js")]
    for script in scripts:
        text = http("GET", admin.url + script.decode()).body
        found = [b"/" + f for f in re.findall(rb'from "\./([a-z]+\.js)"', text)]
        scripts += [f for f in found if f not in scripts]
    check("all that it loads is there", len(scripts) > 12 and all(
        http("GET", admin.url + f.decode()).status == 200 for f in set(files + scripts)), (files, scripts))
    said = ask("POST", "/", {}, token=None)
    check("and is only read", said.status == 405, said)
    check("who one is", ask("GET", "/api/session").json == {"role": "admin", "bots": ["persona"]} and
          ask("GET", "/api/session", token=VIEWER).json == {"role": "viewer", "bots": ["persona"]})


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


def code_pages():
    """The same list in pages, by people and by name, and only what is looked for."""
    codes = ["Alpha", "alpha", "beta", "delta_9", "epsilon", "gamma"]
    for n, code in enumerate(codes):
        ask("POST", CODES, {"code": code, "persona": "luna" if n % 2 else None, "description": "for the %d%% fair" % n})
        stack.pg.rows("INSERT INTO users (telegram_id) SELECT 60000 + 100 * %s + k FROM generate_series(1, %s) k", n, n % 4)
        stack.pg.rows("INSERT INTO start_code_uses (code_id, user_id) SELECT c.id, u.id FROM start_codes c, users u WHERE "
                      "c.code = %s AND u.telegram_id BETWEEN 60000 + 100 * %s AND 60099 + 100 * %s", code, n, n)
    whole = ask("GET", CODES).json
    check("all of them", [c["code"] for c in whole] == codes, whole)
    for order, want in (("code", codes), ("users", sorted(codes, key=lambda c: (-(codes.index(c) % 4), c)))):
        for limit in (1, 2, 5, 6, 1000):
            found, cursor = [], ""
            while cursor is not None and len(found) < 20:
                said = ask("GET", "%s?order=%s&limit=%d&cursor=%s" % (CODES, order, limit, cursor))
                found += said.json
                cursor = said.headers.get("x-next-cursor")
            check("in pages of %d by %s" % (limit, order), [c["code"] for c in found] == want and
                  sorted(found, key=lambda c: c["code"]) == whole and said.headers["x-total-count"] == "6" and
                  said.headers["x-total-users"] == "7", (found, said.headers))
    for q, want in (("ALPHA", ["Alpha", "alpha"]), ("3%25%20fair", ["delta_9"]), ("_", ["delta_9"]), ("luna", codes[1::2]),
                    ("nothing", []), ("%25%25", [])):
        said = ask("GET", "%s?order=code&q=%s" % (CODES, q))
        check("looked for: %s" % q, [c["code"] for c in said.json] == want and
              said.headers["x-total-count"] == str(len(want)), said)
    for query, field in (("limit=0", "limit"), ("limit=1001", "limit"), ("order=up", "order"), ("cursor=x", "cursor"),
                         ("cursor=1:", "cursor"), ("cursor=1:a%20b", "cursor"), ("cursor=:x", "cursor"),
                         ("q=" + "x" * 200, "q")):
        expect("422 of %.20s" % query, ask("GET", CODES + "?" + query), 422, field=field)
    tag = ask("GET", CODES).headers["etag"]
    said = ask("GET", CODES, **{"If-None-Match": tag})
    check("who has it is told so", said.status == 304 and said.raw == b"" and said.headers["etag"] == tag, said)
    check("another one has it not", ask("GET", CODES, **{"If-None-Match": '"0"'}).status == 200)
    ask("PUT", CODES + "/beta", {"active": False})
    said = ask("GET", CODES, **{"If-None-Match": tag})
    check("what was changed is told", said.status == 200 and said.headers["etag"] != tag, said)
    for code in codes:
        ask("DELETE", CODES + "/%s?force=true" % code)
    stack.pg.rows("DELETE FROM users WHERE telegram_id BETWEEN 60000 AND 60999")


def changes():
    said = ask("GET", "/api/audit", token=VIEWER)
    entries = said.json["entries"]
    check("what was changed can be looked at, the last first", 40 < len(entries) <= 50 and
          list(entries[0]) == ["id", "at", "actor", "action", "target", "details"] and entries[0]["action"] == "code.remove" and
          entries[0]["target"] == "code:gamma" and entries[0]["details"]["uses"] == 1 and
          entries[0]["at"].endswith("Z"), entries[:2])
    found, cursor = [], ""
    while cursor is not None and len(found) < 1000:
        page = ask("GET", "/api/audit?limit=7&cursor=" + cursor).json
        found += [e["id"] for e in page["entries"]]
        cursor = page["next_cursor"]
    check("all of it, in pages", found == [r[0] for r in stack.pg.rows(
        "SELECT a.id::text FROM admin_audit a ORDER BY a.id DESC")], len(found))
    for query, field in (("limit=0", "limit"), ("limit=501", "limit"), ("cursor=-1", "cursor"), ("cursor=x", "cursor")):
        expect("422 of %s" % query, ask("GET", "/api/audit?" + query), 422, field=field)


# ---- people

USER_FIELDS = ["id", "telegram_id", "first_name", "username", "acquisition_source", "created_at", "last_seen_at",
               "sparkline", "streak_days"]
# days ago on which somebody wrote, and for how many days in a row that is
STREAKS = [([], 0), ([0], 1), ([1], 1), ([2], 0), ([0, 1, 2], 3), ([1, 2, 3], 3), ([2, 3, 4], 0), ([0, 2, 3], 1),
           ([0, 1, 3, 4, 5], 2), (list(range(40)), 40), (list(range(1, 31)), 30), ([13], 0), ([14], 0), ([-1, 0], 1)]


def ids(where="true"):
    """The newest first."""
    return [r[0] for r in stack.pg.rows("SELECT u.id::text FROM users u WHERE %s ORDER BY u.id DESC" % where)]


def pages(query, limit, between=None):
    """All pages of a listing, by its cursors."""
    found, cursor = [], ""
    while cursor is not None:
        said = ask("GET", "%s?limit=%d&cursor=%s%s" % (USERS, limit, cursor, query))
        if said.status != 200 or len(said.json["users"]) > limit or len(found) > 5000:
            raise RuntimeError("a page: %s" % said)
        found += said.json["users"]
        cursor = said.json["next_cursor"]
        if between:
            between()
    return found


def users():
    stack.pg.rows("DELETE FROM users")
    said = ask("GET", USERS)
    check("nobody", said.json == {"users": [], "next_cursor": None, "total": 0, "total_is_exact": True}, said)
    for n, (days, _) in enumerate(STREAKS):
        stack.pg.rows("INSERT INTO users (telegram_id, first_name) VALUES (%s, 'S')", 9007199254740993 + n)
        for d in days:
            stack.pg.rows("INSERT INTO activity_daily SELECT id, (now() AT TIME ZONE 'UTC')::date - %s, %s FROM users "
                          "WHERE telegram_id = %s", d, d + 100, 9007199254740993 + n)
    stack.pg.rows("INSERT INTO activity_daily SELECT id, (now() AT TIME ZONE 'UTC')::date - 1, 0 FROM users "
                  "WHERE telegram_id = %s", 9007199254740993 + 1)
    got = ask("GET", USERS).json["users"][::-1]
    check("fields", list(got[0]) == USER_FIELDS and got[0]["telegram_id"] == "9007199254740993" and
          isinstance(got[0]["id"], str), got[0])
    for n, (days, streak) in enumerate(STREAKS):
        want = [d + 100 if d in days else 0 for d in range(13, -1, -1)]
        check("streak and sparkline of %s" % days[:6], got[n]["streak_days"] == streak and got[n]["sparkline"] == want,
              (got[n], streak, want))

    stack.pg.rows("DELETE FROM users")
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, username, acquisition_source) SELECT 1000 + n, "
                  "(ARRAY['Ann', 'Bob', NULL])[n %% 3 + 1], CASE WHEN n %% 2 = 0 THEN 'Nick' || n END, "
                  "CASE WHEN n %% 5 = 0 THEN 'spring' END FROM generate_series(1, %s) n", 400)
    before = ids()
    new = iter(range(5000, 9000))
    found = pages("", 17, lambda: stack.pg.rows("INSERT INTO users (telegram_id) VALUES (%s), (%s)", next(new), next(new)))
    check("pages have everybody once while others come", [u["id"] for u in found] == before, len(found))
    stack.pg.rows("DELETE FROM users WHERE telegram_id >= 5000")
    check("so has one at a time", [u["id"] for u in pages("&q=Ann", 1)] ==
          ids("first_name = 'Ann'"))
    said = ask("GET", USERS + "?limit=10&offset=390")
    check("by offset", [u["id"] for u in said.json["users"]] == before[390:] and said.json["next_cursor"] is None and
          said.json["total"] == 400, said)
    check("past the end", ask("GET", USERS + "?offset=400").json["users"] == [] and
          ask("GET", USERS + "?cursor=1").json["users"] == [])
    for q, sql in (("ann", "first_name = 'Ann'"), ("AN", "first_name = 'Ann'"), ("@nick3", "username LIKE 'Nick3%%'"),
                   ("%20nick12%20", "username LIKE 'Nick12%%'"), ("spr", "acquisition_source = 'spring'"),
                   ("SPR", "false"), ("1007", "telegram_id = 1007"), ("%25", "false"), ("_", "false"), ("nn", "false"),
                   ("'%3B--", "false"), ("%F0%9F%8C%B1", "false"), ("99999999999999999999", "false")):
        want = ids(sql)
        said = ask("GET", USERS + "?limit=200&q=" + q)
        check("search for %s" % q, [u["id"] for u in said.json["users"]] == want[:200] and said.json["total"] == len(want),
              said)
    check("a search has pages, too", [u["id"] for u in pages("&q=nick", 7)] ==
          ids("username IS NOT NULL"))
    for query, field in (("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("limit=1.5", "limit"),
                         ("cursor=x", "cursor"), ("cursor=0", "cursor"), ("cursor=-1", "cursor"), ("offset=-1", "offset"),
                         ("cursor=99999999999999999999", "cursor"), ("offset=1e9", "offset"), ("q=" + "x" * 200, "q"),
                         ("q=%FF", "q")):
        said = ask("GET", USERS + "?" + query)
        check("422 of %s" % query[:20], said.status == 422 and said.error.get("field") == field or
              (said.status == 400 and "%FF" in query), said)


# ---- the queue

def queue():
    said = ask("GET", "/api/queue")
    check("an empty queue", said.json["length"] == 0 and said.json["oldest_seconds"] is None and
          said.json["paused"] is None and [s["reachable"] for s in said.json["shards"]] == [True] and
          said.json["workers"] == 2, said)
    stack.redis.client().set("shoal:{0}:dead", "junk")
    said = ask("GET", "/api/queue")
    check("a key of another type is told", said.status == 503 and "shoal:{0}:dead is a string" in said.error["message"], said)
    stack.redis.client().delete("shoal:{0}:dead")
    expect("no such bot", ask("POST", "/api/queue/pause", {"bot": "nobody"}), 422, field="bot")
    expect("a bot is a text", ask("POST", "/api/queue/pause", {"bot": 1}), 422, field="bot")
    said = ask("POST", "/api/queue/pause", {"bot": "persona"})
    check("a bot is paused", said.status == 200 and said.json == {"changed": True, "paused": "persona", "noted": True}, said)
    stack.say(800, "hello")
    stack.say(800, "and again")
    stack.say(801, "hello")
    said = wait_for(lambda: (lambda l: l if l.json["total"] == 2 and l.json["lanes"][0]["waiting"] == 1 else None)(
        ask("GET", "/api/queue/lanes", token=VIEWER)))
    check("who waits can be seen, those with most behind them first", said and said.json["all_counted"] and
          [(x["lane"], x["waiting"], x["state"], x["worker"]) for x in said.json["lanes"]] ==
          [("telegram:persona:800", 1, "paused", None), ("telegram:persona:801", 0, "paused", None)] and
          said.json["lanes"][0]["oldest_seconds"] > 0, said or ask("GET", "/api/queue/lanes"))
    check("no more than wanted", len(ask("GET", "/api/queue/lanes?limit=1").json["lanes"]) == 1)
    expect("422 of too many", ask("GET", "/api/queue/lanes?limit=501"), 422, field="limit")
    check("what comes stays", wait_for(lambda: ask("GET", "/api/queue").json["length"] == 3) and
          ask("GET", "/api/queue").json["paused"] == "persona", ask("GET", "/api/queue"))
    said = ask("POST", "/api/queue/pause")
    check("all are paused, also without a body", said.json["paused"] == "all", said)
    expect("one cannot go on alone", ask("POST", "/api/queue/resume", {"bot": "persona"}), 409, code="all_paused")
    check("paused twice changes nothing", ask("POST", "/api/queue/pause", {"bot": None}).json["changed"] is False)
    check("all go on", ask("POST", "/api/queue/resume", {}).json == {"changed": True, "paused": None, "noted": True})
    check("and what had to wait is answered", stack.settled(), stack.queue())
    rows = stack.pg.rows("SELECT action, target FROM admin_audit WHERE action LIKE 'queue.%%' ORDER BY id")
    check("pauses are noted", rows == [("queue.pause", "bot:persona"), ("queue.pause", "bot:*"), ("queue.resume", "bot:*")],
          rows)


def workers():
    said = ask("GET", "/api/workers")
    check("workers", wait_for(lambda: len(ask("GET", "/api/workers").json) == 2), said)
    got = ask("GET", "/api/workers").json
    check("each tells of itself", all(list(w) == [
        "id", "host", "state", "version", "pid", "in_flight", "in_flight_max", "done", "per_second", "started_at"]
        for w in got) and {w["pid"] for w in got} == {w.pid for w in stack.workers} and
        {w["state"] for w in got} == {"running"}, got)
    check("together they have done it", wait_for(lambda: sum(w["done"] for w in ask("GET", "/api/workers").json) > 3))
    r = stack.redis.client()
    r.set("shoal:{cache}:worker:nobody-knows", json.dumps({"id": "nobody-knows", "state": "cut off"}), px=60000)
    other = start_admin()
    check("who is not registered with the queue is found, too", wait_for(
        lambda: "nobody-knows" in [w["id"] for w in ask("GET", "/api/workers", server=other).json]))
    other.stop()
    r.delete("shoal:{cache}:worker:nobody-knows")
    extra = stack.add_worker()
    stack.expect("worker", lambda: stack.ready(extra))
    check("who comes is seen", wait_for(lambda: len(ask("GET", "/api/workers").json) == 3))
    extra.stop()
    check("who leaves is gone", wait_for(lambda: len(ask("GET", "/api/workers").json) == 2))


def performance():
    for n in range(20):
        stack.say(801 + n % 2, "hello %d" % n)
    stack.settled()
    done = wait_for(lambda: (lambda said: said if sum(
        c["count"] for c in said.json["commands"] if c["command"] != "none") >= 20 else None)(ask("GET", "/api/performance")))
    check("latency is counted by command", done, ask("GET", "/api/performance"))
    got = done.json
    check("over some minutes", got["window_seconds"] == 300 and got["workers"] == 2 and got["count"] == sum(
        c["count"] for c in got["commands"]), got)
    check("in order", all(0 < x["p50_ms"] <= x["p95_ms"] <= x["p99_ms"] < 600000
                          for x in [got] + got["commands"] + got["stages"]), got)
    check("and by bot", [b["bot"] for b in got["bots"]] == ["persona"] and got["bots"][0]["count"] == got["count"] and
          got["bots"][0]["p99_ms"] == got["p99_ms"], got["bots"])
    check("and by stage", {s["stage"] for s in got["stages"]} >= {"load", "reply"} and
          all(s["bot"] == "persona" for s in got["stages"]), got["stages"])


# ---- caches

def caches():
    got = {c["cache"]: c for c in ask("GET", "/api/cache").json}
    check("the caches", list(got) == ["startcode", "persona", "player", "static"] and all(
        c["all_counted"] and c["workers"] == 2 and list(c["layers"]) == ["memory", "redis", "postgres"]
        for c in got.values()), got)
    check("personas are loaded whole", got["persona"]["loaded"] == "whole" and got["persona"]["last_loaded"] and
          got["persona"]["entries"] >= 2 and got["persona"]["bytes"] > 0 and got["player"]["ttl_seconds"] == 300, got)
    check("hits are counted", got["persona"]["hits"] > 0 and 0 < got["persona"]["hit_rate_pct"] <= 100 and
          got["persona"]["layers"]["memory"]["hits"] > 0, got["persona"])
    cli = {(r["cache"], r["layer"]): r for r in json.loads(stack.shoal("cache", "stats", "--json"))}
    check("as the command line counts them", all(c["layers"]["redis"]["entries"] == cli[name, "redis"]["entries"] and
                                                 c["bytes"] == cli[name, "redis"]["bytes"] for name, c in got.items()),
          (got, cli))

    stack.pg.rows("SET session_replication_role = replica; UPDATE personas SET replies = '{changed behind}'")
    stack.pg.rows("INSERT INTO users (telegram_id, age_verified_at) VALUES (820, now())")
    stack.say(820, "hello")
    first = last_answer(820, 2)
    said = ask("POST", "/api/cache/persona/invalidate", {"keys": ["default", "default"]})
    check("a key is forgotten", said.status == 200 and said.json["values"] == 1 and
          said.json["heard"] + said.json["silent"] == 2 and said.json["noted"] is True, said)
    stack.say(820, "hello")
    check("and read anew", last_answer(820, 4) == "changed behind" != first, (first, stack.chat(820)))
    said = ask("POST", "/api/cache/persona/invalidate", {"all": True})
    check("all are forgotten", said.status == 200 and said.json["values"] >= 1 and
          said.json["heard"] + said.json["silent"] == 2, said)
    said = ask("POST", "/api/cache/persona/reload")
    check("all are read anew", said.status == 200 and said.json["loaded"] == "whole" and said.json["keys"] >= 2, said)
    said = ask("POST", "/api/cache/player/reload", {})
    check("players are read one by one", said.status == 200 and said.json["loaded"] == "one by one" and
          said.json["keys"] == 0, said)
    check("it is noted", [r[0] for r in stack.pg.rows(
        "SELECT action || ' ' || target || ' ' || details::text FROM admin_audit WHERE action LIKE 'cache.%%' ORDER BY id")
        ][:2] == ['cache.invalidate cache:persona {"keys": ["default", "default"]}',
                  'cache.invalidate cache:persona {"all": true}'])
    for body in ({}, {"keys": []}, {"keys": "default"}, {"all": False}, {"all": True, "keys": ["1"]}, {"keys": [1]},
                 {"keys": ["x y"]}, {"keys": ["*"]}, {"keys": [""]}, {"keys": ["9" * 300]}, {"keys": ["1"] * 1001},
                 {"keys": ["1"], "all": False, "x": 1}):
        expect("422 of %.40r" % body, ask("POST", "/api/cache/persona/invalidate", body), 422, code="invalid")
    expect("all is true or false", ask("POST", "/api/cache/persona/invalidate", {"all": 1}), 422, field="all")
    expect("no such cache", ask("POST", "/api/cache/board/invalidate", {"all": True}), 404)

    stack.workers[0].send(signal.SIGSTOP)
    began = time.monotonic()
    said = ask("POST", "/api/cache/static/invalidate", {"keys": ["maps"]})
    stack.workers[0].send(signal.SIGCONT)
    check("who stands still is not waited for, once it may not believe its memory",
          said.status == 200 and said.json["silent"] <= 1 and said.json["heard"] + said.json["silent"] == 2, said)
    print("# one that stands still cost %.1f s" % (time.monotonic() - began))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda n: ask("POST", "/api/cache/persona/" + ("reload" if n % 2 else "invalidate"),
                                           None if n % 2 else {"all": True}), range(12)))
    check("many at once", all(s.status in (200, 503) for s in said) and any(s.status == 200 for s in said),
          [str(s) for s in said])


# ---- events

class Watcher:
    """Reads /api/events until it is closed."""

    def __init__(self, token=VIEWER, method="GET", server=None):
        self.s = socket.create_connection(("127.0.0.1", (server or admin).port), timeout=PATIENCE)
        self.s.sendall(b"%s /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
            method.encode(), token.encode()))
        self.text = b""

    def ticks(self, n):
        """The first n, as JSON; none where it is no stream, or ends before."""
        while self.text.count(b"\n\n") < n:
            more = self.s.recv(65536)
            self.text += more
            if not more or not self.text.startswith(b"HTTP/1.1 200"):
                return []
        body = self.text.split(b"\r\n\r\n", 1)[1]
        return [json.loads(e.split(b"data: ", 1)[1]) for e in body.split(b"\n\n") if e.startswith(b"event: tick\n")][:n]

    def close(self):
        self.s.close()


def asked():
    """How often somebody asked what the workers tell."""
    return stack.redis.client().info("commandstats").get("cmdstat_mget", {}).get("calls", 0)


def events():
    w = Watcher()
    ticks = w.ticks(3)
    head = w.text.split(b"\r\n\r\n")[0].lower()
    check("ticks come", len(ticks) == 3 and b"text/event-stream" in head and b"connection: close" in head and
          b"content-length" not in head and b"no-store" in head, w.text[:500])
    tick = ticks[-1]
    check("with queue, workers and latency", tick["queue"]["length"] == 0 and tick["workers"]["alive"] == 2 and
          tick["workers"]["in_flight_max"] == 512 and tick["latency"]["p99_ms"] > 0 and tick["at"].endswith("Z") and tick["postgres"] is True and
          [b["bot"] for b in tick["latency"]["bots"]] == ["persona"], tick)
    others = [Watcher() for _ in range(63)]
    check("many watch", all(len(o.ticks(1)) == 1 for o in others))
    expect("but not too many", ask("GET", "/api/events"), 503)
    for o in others:
        o.close()
    check("who leaves makes room", wait_for(lambda: len(Watcher().ticks(1)) == 1))
    expect("without a token there is nothing to see", ask("GET", "/api/events", token=None), 401)
    w.close()
    check("while nobody watches, hardly anything is asked", wait_for(
        lambda: (lambda before: time.sleep(3) or 0 < asked() <= before + 1)(asked()), every=0))
    said = ask("GET", "/api/history", token=VIEWER)
    rows = [dict(zip(said.json["columns"], row)) for row in said.json["rows"]]
    check("what was lately is told to who comes late", said.json["step_seconds"] == 5 and len(rows) > 1 and
          rows[-1]["p99_ms"] > 0 and rows[-1]["length"] == 0 and rows[-1]["dead"] == 0 and
          [r["at"] for r in rows] == sorted(r["at"] for r in rows), said)
    check("HEAD is no stream", http("HEAD", admin.url + "/api/events",
                                    headers={"Authorization": "Bearer " + VIEWER}).status == 200)
    other = start_admin()
    s = socket.create_connection(("127.0.0.1", other.port), timeout=PATIENCE)
    s.sendall(b"GET /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % ADMIN.encode())
    check("a stream begins", b"event: tick" in s.recv(65536) + s.recv(65536))
    other.send(signal.SIGTERM)
    check("and does not hold up the end", other.wait() == 0)
    s.close()


# ---- dead letters

keys = iter(range(1000000))


def bury(n, text=lambda n: "body %d" % n):
    r = stack.redis.client()
    before = r.xlen("shoal:{0}:dead")
    for i in range(n):
        r.xadd("shoal:{0}:updates", {"bot": "nobody", "lane": "telegram:nobody:%d" % i, "key": "k%d" % next(keys),
                                     "body": text(i)})
    if not wait_for(lambda: r.xlen("shoal:{0}:dead") == before + n):
        raise RuntimeError("no dead letters: %s" % stack.queue())


def dead_pages(limit, between=None):
    found, cursor = [], ""
    while cursor is not None:
        said = ask("GET", "/api/dead?limit=%d&cursor=%s" % (limit, cursor))
        if said.status != 200 or len(found) > 1000:
            raise RuntimeError("a page: %s" % said)
        found += said.json["letters"]
        cursor = said.json["next_cursor"]
        if between:
            between()
    return found


def dead():
    said = ask("GET", "/api/dead")
    check("no dead letters", said.json == {"letters": [], "next_cursor": None, "total": 0}, said)
    bury(30)
    r = stack.redis.client()
    want = ["0:" + e[0].decode() for e in r.xrevrange("shoal:{0}:dead")]
    said = ask("GET", "/api/dead")
    check("the newest first", [x["id"] for x in said.json["letters"]] == want and said.json["total"] == 30 and
          said.json["next_cursor"] is None, said)
    check("all there is to know", said.json["letters"][0]["bot"] == "nobody" and said.json["letters"][0]["error"] and
          said.json["letters"][0]["lane"].startswith("telegram:nobody:") and
          said.json["letters"][0]["body_bytes"] == 7 and said.json["letters"][0]["died_at"].endswith("Z"), said)
    check("in pages, while others die", [x["id"] for x in dead_pages(7, lambda: bury(1))] == want)
    check("one at a time", len(dead_pages(1)) == r.xlen("shoal:{0}:dead"))
    r.xadd("shoal:{0}:updates", {"bot": "noone", "lane": "telegram:noone:1", "body": "{}"})
    check("of one bot", wait_for(lambda: [x["bot"] for x in ask("GET", "/api/dead?bot=noone").json["letters"]] == ["noone"]) and
          len(ask("GET", "/api/dead?bot=nobody&limit=500").json["letters"]) == r.xlen("shoal:{0}:dead") - 1 and
          ask("GET", "/api/dead?bot=persona").json["letters"] == [])
    expect("422 of no bot's name", ask("GET", "/api/dead?bot=" + "x" * 256), 422, field="bot")
    for cursor in ("x", "9:1-1", "1-", "0:", "0:1-1-1", "-1:1-1"):
        expect("no cursor: %s" % cursor, ask("GET", "/api/dead?cursor=" + cursor), 422, field="cursor")
    for name in ("x", "9:1-1", "0:99-9", "99-9", "0:-1", "%00"):
        said = ask("GET", "/api/dead/" + name)
        check("no letter: %s" % name, said.status in (400, 404), said)
    bury(1, lambda n: b'{"token": "secret", "a": [1]}')
    one = ask("GET", "/api/dead?limit=1").json["letters"][0]
    said = ask("GET", "/api/dead/" + one["id"])
    check("one with its body, tokens hidden", said.status == 200 and said.json["body"] == {"token": "***", "a": [1]} and
          said.json["body_text"] is None and {k: said.json[k] for k in one} == one, said)
    check("its short id will do", ask("GET", "/api/dead/" + one["id"][2:]).json["id"] == one["id"])
    bury(1, lambda n: b"\xff\x00<script>")
    other = ask("GET", "/api/dead?limit=1").json["letters"][0]
    said = ask("GET", "/api/dead/" + other["id"])
    check("a body that is no JSON", said.json["body"] is None and said.json["body_base64"] == "/wA8c2NyaXB0Pg==", said)

    expect("force is true or false", ask("POST", "/api/dead/%s/retry" % one["id"], {"force": 1}), 422, field="force")
    said = ask("POST", "/api/dead/%s/retry" % one["id"])
    check("a letter is retried", said.status == 200 and said.json["id"] == one["id"] and
          said.json["entry"].startswith("0:") and said.json["noted"] is True, said)
    check("and fails anew", wait_for(lambda: ask("GET", "/api/dead?limit=1").json["letters"][0]["retried"]))
    expect("it is not there any more", ask("POST", "/api/dead/%s/retry" % one["id"]), 404)
    expect("a letter is dropped", ask("DELETE", "/api/dead/" + other["id"]), 204)
    expect("once", ask("DELETE", "/api/dead/" + other["id"]), 404)
    check("both are noted", len(audit("dead.retry", "dead:" + one["id"])) == 1 and
          audit("dead.drop", "dead:" + other["id"])[0][1]["bot"] == "nobody")
    bury(1)
    last = ask("GET", "/api/dead?limit=1").json["letters"][0]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        gone = list(pool.map(lambda n: ask("DELETE", "/api/dead/" + last["id"]).status, range(8)))
    check("one of many drops it", sorted(gone) == [204] + 7 * [404], gone)
    r.delete("shoal:{0}:dead")


# ---- several shards

def shards():
    """Three, which nobody works off: letters are laid in by hand."""
    redis = [start_redis() for _ in range(3)]
    other = start_admin(SHOAL_REDIS_URL=",".join(r.url for r in redis), SHOAL_CACHE_REDIS_URL=stack.redis.url)
    want = []
    for n, r in enumerate(redis):
        for ms in (1700000000000, 1700000000001, 1700000000001 + n, 1700000000005):
            for seq in range(3):
                entry = "%d-%d" % (ms, seq + 10 * len([w for w in want if w[:2] == (ms, n)]))
                with contextlib.suppress(Exception):  # the same id twice
                    r.client().xadd("shoal:{%d}:dead" % n, {"id": "1-1", "error": "by hand", "entry": "", "bot": "persona",
                                                            "body": "{}"}, id=entry)
                    want.append((ms, n, int(entry.split("-")[1])))
    want = ["%d:%d-%d" % (n, ms, seq) for ms, n, seq in sorted(want, reverse=True)]
    for limit in (1, 2, 5, 100):
        found, cursor = [], ""
        while cursor is not None and len(found) <= len(want):
            said = ask("GET", "/api/dead?limit=%d&cursor=%s" % (limit, cursor), server=other)
            found += [x["id"] for x in said.json["letters"]]
            cursor = said.json["next_cursor"]
        check("letters of all shards in order, %d at a time" % limit, found == want and said.json["total"] == len(want),
              (found, want))
    expect("an id without its shard is none", ask("GET", "/api/dead/1700000000000-0", server=other), 404)
    check("one of a shard", ask("GET", "/api/dead/2:1700000000005-0", server=other).json["id"] == "2:1700000000005-0")
    expect("is dropped there", ask("DELETE", "/api/dead/2:1700000000005-0", server=other), 204)
    check("and only there", [r.client().xlen("shoal:{%d}:dead" % n) for n, r in enumerate(redis)] ==
          [sum(w.startswith("%d:" % n) for w in want) - (n == 2) for n in range(3)])
    said = ask("POST", "/api/queue/pause", {}, server=other)
    check("a pause is told to all", said.status == 200 and [
        r.client().hget("shoal:{%d}:conf" % n, "paused") for n, r in enumerate(redis)] == 3 * [b"*"], said)
    redis[2].client().hset("shoal:{2}:lanes", "by hand", "w1-ab~0123 5-1")
    redis[1].stop()
    said = wait_for(lambda: (lambda q: q if not q.json["shards"][1]["reachable"] else None)(
        ask("GET", "/api/queue", server=other)))
    check("a shard that is away is said, the others are counted", said.status == 200 and
          [s["reachable"] for s in said.json["shards"]] == [True, False, True] and
          said.json["dead"] == sum(w[0] != "1" for w in want) - 1, said)
    said = ask("GET", "/api/queue/lanes", server=other)
    check("so are their lanes, which are not all", said.status == 200 and said.json["all_counted"] is False and
          [(x["shard"], x["lane"]) for x in said.json["lanes"]] == [(2, "by hand")], said)
    said = ask("POST", "/api/queue/resume", {}, server=other)
    check("who resumes is told which shard did not hear", said.status == 503 and "shard 1" in said.error["message"], said)
    check("what did change is noted", stack.pg.rows("SELECT action FROM admin_audit WHERE action LIKE 'queue.%%' ORDER BY id"
                                                    )[-1] == ("queue.resume",))
    said = ask("GET", "/api/dead", server=other)
    check("a list that would have holes is none, and which shard lacks is told", said.status == 503 and
          "Redis of shard 1 cannot be reached" in said.error["message"], said)
    check("one of a shard in reach", ask("GET", "/api/dead/0:1700000000000-0", server=other).status == 200)
    for method, path in (("GET", ""), ("POST", "/retry"), ("DELETE", "")):
        said = ask(method, "/api/dead/1:1700000000000-0" + path, {} if method == "POST" else None, server=other)
        check("%s of one of a shard that is away" % method, said.status == 503 and
              said.error["message"].startswith("Redis of shard 1 "), said)
    other.stop()


def another_list():
    """With one server less than the workers have: a part would be taken for the whole."""
    first = start_redis()
    other = start_admin(SHOAL_REDIS_URL=first.url, SHOAL_CACHE_REDIS_URL=stack.redis.url)
    check("a shard that is nobody's is no trouble", ask("GET", "/api/queue", server=other).status == 200)
    first.client().hset("shoal:{0}:conf", mapping={"v": "1", "shard": "0/2"})
    first.client().xadd("shoal:{0}:dead", {"id": "1-1", "error": "by hand", "entry": "", "bot": "persona", "body": "{}"}, id="5-5")
    said = wait_for(lambda: (lambda a: a if a.status == 503 else None)(http("GET", other.health + "/readyz")))
    check("an admin with another list of shards is not ready", said and b"shard 0/2" in said.body, said)
    for method, path in (("GET", "queue"), ("GET", "queue/lanes"), ("GET", "dead"), ("GET", "dead/0:5-5"),
                         ("POST", "queue/pause"), ("POST", "dead/0:5-5/retry"), ("DELETE", "dead/0:5-5")):
        expect("%s %s with another list" % (method, path), ask(method, "/api/" + path, {} if method == "POST" else None, server=other),
               503, code="version")
    check("nothing changed", first.client().xlen("shoal:{0}:dead") == 1 and first.client().hgetall("shoal:{0}:conf") == {
        b"v": b"1", b"shard": b"0/2"})
    watch = Watcher(server=other)
    tick = watch.ticks(1)[0]
    check("who watches is told, and sees no part for the whole", tick["queue"] is None and "shard 0/2" in tick["foreign"], tick)
    watch.close()
    stray = stack.start("stray", ["worker"], SHOAL_REDIS_URL=first.url, SHOAL_CACHE_REDIS_URL=stack.redis.url, SHOAL_WORKER_ID="stray",
                        SHOAL_METRICS_LISTEN="127.0.0.1:%d" % free_port())
    check("a worker with another list is seen to be cut off", wait_for(lambda: [x["state"] for x in ask("GET", "/api/workers").json
                                                                           if x["id"].startswith("stray-")] == ["cut off"]))
    stray.stop()
    first.client().delete("shoal:{0}:conf")
    check("once the mark is gone it goes on", wait_for(lambda: ask("GET", "/api/queue", server=other).status == 200) and http(
        "GET", other.health + "/readyz").status == 200)
    other.stop()
    first.stop()


# ---- servers that are away

def slow_questions():
    """Somebody who may look keeps Postgres busy; who changes something does not wait behind that."""
    held = stack.pg.connect()
    held.cursor().execute("BEGIN")
    held.cursor().execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        slow = [pool.submit(ask, "GET", USERS, token=VIEWER) for _ in range(16)]
        refused = [f.result() for _, f in zip(range(8), concurrent.futures.as_completed(slow))]
        check("more slow questions than can be answered in time are refused at once", all(
            s.status == 503 and s.error["code"] == "busy" and int(s.headers["retry-after"]) > 0 for s in refused),
            [str(s) for s in refused])
        said = ask("POST", "/api/queue/pause", {"bot": "persona"})
        check("a pause does not wait behind them, nor does its note", said.status == 200 and said.json["noted"] is True and
              sum(f.done() for f in slow) == 8, (str(said), [f.done() for f in slow]))
        check("nor does a code", ask("POST", CODES, {"code": "quick", "persona": None}).status == 201 and
              ask("DELETE", CODES + "/quick").status == 204 and sum(f.done() for f in slow) == 8)
        held.rollback()
        held.close()
        check("they are answered when Postgres can", all(f.result().status == 200 for f in slow if f.result() not in refused))
    ask("POST", "/api/queue/resume", {"bot": "persona"})


def away():
    """What needs nothing of a server that is away goes on; the rest is 503, and comes back by itself."""
    letters = "/api/dead"
    stack.pg.stop()
    for path in (CODES, USERS):
        said = ask("GET", path)
        check("no Postgres, %s: 503" % path, said.status == 503 and said.error["code"] == "unavailable" and
              int(said.headers["retry-after"]) > 0, said)
        check("who only looked is not told that nothing was done", said.error["message"] == "PostgreSQL cannot be reached", said)
    check("the queue can be seen", ask("GET", "/api/queue").status == 200 and ask("GET", "/api/workers").status == 200)
    expect("no cache is read anew", ask("POST", "/api/cache/persona/reload"), 503)
    said = ask("POST", "/api/queue/pause", {"bot": "persona"})
    check("and be paused, which is not noted", said.status == 200 and said.json["noted"] is False, said)
    check("and resumed", ask("POST", "/api/queue/resume", {"bot": "persona"}).json["paused"] is None)
    check("it is not ready", http("GET", admin.health + "/readyz").status == 503 and
          http("GET", admin.health + "/healthz").status == 200)
    stack.pg = stack.pg.again()
    check("Postgres is back", wait_for(lambda: ask("GET", CODES).status == 200 and ask("GET", USERS).status == 200 and
                                       http("GET", admin.health + "/readyz").status == 200))

    slow_questions()
    stack.redis.send(signal.SIGSTOP)
    expect("a Redis that stands still", ask("POST", "/api/queue/pause", {"bot": "persona"}), 503, code="unavailable")
    stack.redis.send(signal.SIGCONT)
    check("may have done it: that is noted", audit("queue.pause", "bot:persona")[-1][1] == {"outcome": "unknown"},
          audit("queue.pause", "bot:persona"))
    check("and can be undone", wait_for(lambda: ask("POST", "/api/queue/resume", {"bot": "persona"}).status == 200) and
          wait_for(lambda: len(ask("GET", "/api/workers").json) == 2))

    stack.redis.stop()
    for path in ("/api/queue", "/api/queue/lanes", "/api/workers", "/api/performance", "/api/cache", letters):
        said = ask("GET", path)
        check("no Redis, %s: 503" % path, wait_for(lambda: ask("GET", path).status == 503) and
              ask("GET", path).error["code"] == "unavailable", said)
    expect("a pause is refused", ask("POST", "/api/queue/pause"), 503)
    expect("and a cache keeps what it has", ask("POST", "/api/cache/persona/invalidate", {"all": True}), 503)
    check("who watches is told that nothing is known", Watcher().ticks(1)[0]["queue"] is None)
    check("codes can be seen", ask("GET", CODES).status == 200)
    said = ask("POST", CODES, {"code": "dark", "persona": "luna"})
    check("and made: who listens to Postgres hears of it", said.status == 201, said)
    stack.redis = stack.redis.again()
    check("Redis is back", wait_for(lambda: all(ask("GET", path).status == 200 for path in ("/api/queue", letters))))
    check("so are the workers", wait_for(lambda: len(ask("GET", "/api/workers").json) == 2))
    check("it is ready", wait_for(lambda: http("GET", admin.health + "/readyz").status == 200))
    ask("DELETE", CODES + "/dark")


# ---- wrong tokens

def login_limit():
    other = start_admin()
    first = [ask("GET", CODES, token="wrong-%d" % n, server=other) for n in range(60)]
    limited = [s for s in first if s.status == 429]
    check("wrong tokens are 401, then 429", {s.status for s in first} == {401, 429} and
          [s.status for s in first].index(429) >= 30, [s.status for s in first])
    check("429 tells how long", limited and 1 <= int(limited[0].headers.get("retry-after", 0)) <= 60 and
          limited[0].error.get("code") == "too_many_logins", limited and limited[0].headers)
    check("the right one is let in all the while, from the same address", all(
        ask("GET", CODES, server=other).status == 200 and ask("GET", CODES, token=VIEWER, server=other).status == 200 and
        ask("GET", CODES, token="wrong-again-%d" % n, server=other).status in (401, 429) for n in range(60)))
    expect("who shows none is told as ever", ask("GET", CODES, token=None, server=other), 401)
    check("after a while a wrong one is looked at", wait_for(
        lambda: ask("GET", CODES, token="wrong", server=other).status == 401, every=0.5))
    check("wrong tokens are told in the log, but not each", "a wrong token was tried" in other.output() and
          other.output().count("a wrong token was tried") < 20, other.output()[-1000:])
    other.stop()
    short = start_admin(SHOAL_ADMIN_TOKEN="short-one")
    for n in range(60):
        ask("GET", CODES, token="guess-%d" % n, server=short)
    expect("a token that could be found by trying has to wait as the wrong ones", ask("GET", CODES, token="short-one",
                                                                                   server=short), 429)
    check("after a while it is let in", wait_for(lambda: ask("GET", CODES, token="short-one", server=short).status == 200,
                                                 every=0.5))
    short.stop()
    check("no token is in the log", not any(t in p.output() for t in (ADMIN, VIEWER, "short-one", "guess-1")
                                            for p in (admin, other, short)))


def metrics():
    text = http("GET", admin.health + "/metrics").body.decode()
    series = [line for line in text.splitlines() if line.startswith("shoal_admin_requests_total{")]
    check("requests are counted by route", any('path="%s/{code}",status="404"' % CODES in s for s in series) and
          any('path="other",status="404"' in s for s in series), series)
    check("and by nothing that users send", not any("nobody" in s or "passwd" in s for s in series) and len(series) < 90,
          len(series))


prepare()
tokens()
page()
codes()
wrong_codes()
at_once()
code_pages()
changes()
users()
queue()
workers()
performance()
caches()
events()
dead()
shards()
another_list()
away()
login_limit()
metrics()
finish()
