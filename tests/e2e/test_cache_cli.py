"""What an operator sees of the caches and does to them: `shoal cache`, through the real program, with real workers that
answer from what they remember. Rows are changed behind the triggers' back: nobody but the verb tells the workers."""
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lib  # noqa: E402
from lib import check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402

BIN = os.path.abspath(binary_from_argv())
DONE, FAILED, USAGE, NO_SERVER, NOT_THERE = range(5)
WORKERS, PEOPLE, FIRST = 3, 12, 5000000
PATIENCE = 60
MANY = 3000 if light() else 20000
NAMES = "startcode, persona, player, static"
LAYERS = ("memory", "redis", "postgres")


class Ran:
    def __init__(self, code, out, err):
        self.code, self.raw = code, out
        self.out, self.err = out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.raw.decode("utf-8"))

    def __str__(self):
        return "exit %s\n%s\n%s" % (self.code, self.out[-3000:], self.err[-3000:])


cache = lib.start_redis()  # of its own: it is filled up, and its keys are counted
r = cache.client()
stack = Stack(binary_from_argv(), workers=0, SHOAL_CACHE_REDIS_URL=cache.url, SHOAL_LOG_UPDATES=0)


def begin(*args, **env):
    return subprocess.Popen([BIN, "cache", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env={**stack.env, **env})


def end(p):
    out, err = p.communicate(timeout=PATIENCE)
    return Ran(p.returncode, out, err)


def verb(*args, **env):
    return end(begin(*args, **env))


def rows(*args):
    ran = verb(*args, "--json")
    if ran.code != DONE:
        raise RuntimeError("shoal cache %s: %s" % (" ".join(args), ran))
    return ran.json()


def expect(name, ran, code, *texts):
    said = ran.out + ran.err
    return check(name, ran.code == code and all(t in said for t in texts),
                 "want exit %d with %r, got %s" % (code, texts, ran))


def value(kind, key=None):
    return "shoal:{cache}:v:" + kind + (":" + key if key else "")


def keys_of(kind):
    return sorted(k.decode("utf-8", "replace").split(":", 4)[4] for k in r.scan_iter(value(kind, "*"), count=10000))


def values_of(kind):
    """Without the list of all keys, which is no value of anybody's."""
    return [k for k in keys_of(kind) if k != "%"]


# ---- the fleet

version = [0]


def change():
    """Another text of the personas' replies, and nobody is told."""
    version[0] += 1
    stack.pg.rows("SET session_replication_role = replica; UPDATE personas SET replies = ARRAY[%s]", said())


def said():
    return "v%d" % version[0]


def answer(user):
    """To one message: who gave it, and its text."""
    n = len(stack.chat(user).get("messages", []))
    stack.say(user, "x")
    if not wait_for(lambda: len(stack.chat(user).get("messages", [])) == n + 2, PATIENCE, 0.002):
        raise RuntimeError("no answer: %s" % stack.queue())
    last = stack.chat(user)["messages"][-1]
    return last["worker"], last["text"]


def answers():
    """What the workers say now, each of them: {worker: texts}."""
    told, running = {}, sum(w.running() for w in stack.workers)
    for n in range(100 * running):
        worker, text = answer(FIRST + n % PEOPLE)
        told.setdefault(worker, set()).add(text)
        if len(told) == running and n >= 2 * running:
            break
    else:
        check("every worker answers", False, told)
    return told


def all_say(name, text):
    told = answers()
    return check(name, all(t == {text} for t in told.values()), (text, told))


def prepare():
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) SELECT %s + n, 'P' || n, now() "
                  "FROM generate_series(0, %s) n", FIRST, PEOPLE - 1)
    stack.pg.rows("INSERT INTO personas (id, key, name, greeting, replies) VALUES "
                  "(1, 'default', 'Echo', 'Hello', '{v0}'), (2, 'luna', 'Luna', 'Hello', '{v0}')")
    stack.pg.rows("INSERT INTO start_codes (code, persona_id) VALUES ('spring', 1), ('spray', 1), ('autumn', 2)")
    stack.pg.rows("INSERT INTO players (discord_uid, player_name) VALUES (42, 'Ann')")
    for n in range(PEOPLE):
        stack.control("POST", "users", {"id": FIRST + n, "first_name": "P%d" % n})
    stack.start_workers(WORKERS)


# ---- forgetting

def forgets_keys_and_patterns_and_all():
    all_say("they answer from what they remember", "v0")
    change()
    all_say("nobody has heard of a change by stealth", "v0")
    dry = verb("invalidate", "persona", "1", "default", "7", "--dry-run")
    expect("dry run: counts what is there", dry, DONE, "2 values would be forgotten\n")
    check("dry run: as JSON", rows("invalidate", "persona", "*", "--dry-run") == {
        "cache": "persona", "values": 3, "heard": None, "silent": None, "stopped": False, "dry_run": True},
        rows("invalidate", "persona", "*", "--dry-run"))
    expect("dry run of all: counts all", verb("invalidate", "persona", "--all", "--dry-run"), DONE, "3 values would be")
    all_say("dry run: changes nothing", "v0")
    check("dry run: Redis has all of it still", keys_of("persona") == ["%", "1", "2", "default"], keys_of("persona"))

    expect("a key: counted", verb("invalidate", "persona", "1"), DONE, "1 value forgotten; ", "heard")
    all_say("a key: every worker answers anew", said())
    change()
    got = rows("invalidate", "persona", "[1-9]*")
    check("a pattern: counts", got["values"] == 2 and 0 < got["heard"] + got["silent"] <= WORKERS, got)
    all_say("a pattern: every worker answers anew", said())
    check("a pattern: others stay", keys_of("startcode") == ["#1", "#2", "#3", "%", "autumn", "spray", "spring"],
          keys_of("startcode"))
    r.set("shoal:{cache}:l:startcode:sprout", "token", px=60000)
    got = rows("invalidate", "startcode", "spr[a-o]*", "autumn", "autumn", "gone")
    check("keys and patterns together, each once", got["values"] == 3, got)
    check("who fills what fits is not believed", not r.exists("shoal:{cache}:l:startcode:sprout"))
    check("with a code goes the list of all", keys_of("startcode") == ["#1", "#2", "#3"], keys_of("startcode"))
    expect("a pattern that fits nothing", verb("invalidate", "startcode", "x*"), DONE, "0 values forgotten")
    expect("nothing of glob in a code's #ID", verb("invalidate", "startcode", "#1"), DONE, "1 value forgotten")
    change()
    before = r.get(value("persona"))
    have = len(values_of("persona"))
    expect("all: counted", verb("invalidate", "persona", "--all"), DONE, "%d values forgotten" % have)
    check("all: a new generation, and Redis is rid of the old", r.get(value("persona")) != before and
          keys_of("persona") == [] and have > 0, (have, keys_of("persona")))
    all_say("all: every worker answers anew", said())
    change()
    asked = stack.total("shoal_cache_requests_total", 'cache="persona"', 'layer="postgres"')
    got = rows("reload", "persona")
    check("reload: it is loaded", (got["loaded"], got["keys"]) == ("whole", 3), got)
    check("reload: Redis has it again", keys_of("persona") == ["%", "1", "2", "default"], keys_of("persona"))
    all_say("reload: every worker answers anew", said())
    now = stack.total("shoal_cache_requests_total", 'cache="persona"', 'layer="postgres"')
    check("reload: none of them had to ask Postgres", now == asked, (asked, now))
    expect("reload of static", verb("reload", "static"), DONE, "4 keys loaded")
    expect("reload of players loads none", verb("reload", "player"), DONE, "nothing is loaded: they are read")
    audit = stack.pg.rows("SELECT action, target, (details->>'values')::int, actor LIKE 'cli:%%' FROM admin_audit "
                          "WHERE action LIKE 'cache.%%' ORDER BY id")
    check("audited", audit == [
        ("cache.invalidate", "cache:persona", 1, True), ("cache.invalidate", "cache:persona", 2, True),
        ("cache.invalidate", "cache:startcode", 3, True), ("cache.invalidate", "cache:startcode", 0, True),
        ("cache.invalidate", "cache:startcode", 1, True), ("cache.invalidate", "cache:persona", have, True),
        ("cache.reload", "cache:persona", audit[6][2], True), ("cache.reload", "cache:static", 4, True),
        ("cache.reload", "cache:player", 0, True)], audit)
    # in one of several tries: a machine that stands still makes workers silent
    check("all workers have heard", wait_for(
        lambda: "; %d programs have heard\n" % WORKERS in verb("invalidate", "persona", "1").out, PATIENCE))


def stopped(sleeper):
    """A change while this worker stands still: what the verb says of it."""
    change()
    sleeper.send(signal.SIGSTOP)
    began = time.monotonic()
    ran = verb("invalidate", "persona", "1")
    print("# a stopped worker cost %.1f s" % (time.monotonic() - began))
    sleeper.send(signal.SIGCONT)
    all_say("stopped: awake again, it does not answer from its old memory", said())
    return ran.code == DONE and "; %d programs have heard, 1 said nothing" % (WORKERS - 1) in ran.out


def a_stopped_worker_holds_nobody_up():
    all_say("stopped: all have it in memory", said())
    check("stopped: the verb says that one said nothing", wait_for(lambda: stopped(stack.workers[0]), PATIENCE, 1))
    # one that goes on believing and never says what it has heard
    change()
    r.zadd("shoal:{cache}:trusts", {"ghost": r.time()[0] * 1000 + 3600000})
    ran = verb("invalidate", "persona", "1")
    expect("who does not hear is told of", ran, NO_SERVER, "forgotten in Redis", "have not heard")
    r.zrem("shoal:{cache}:trusts", "ghost")
    all_say("and the others answer anew", said())


def a_full_redis():
    """What Redis has no room for, workers remember all the same: it is forgotten by its key, too."""
    r.config_set("maxmemory", "1")
    check("full: forgotten all the same", verb("invalidate", "persona", "1").code == DONE)
    all_say("full: they answer", said())
    check("full: Redis has not got it", "1" not in keys_of("persona"), keys_of("persona"))
    change()
    all_say("full: they answer from memory", "v%d" % (version[0] - 1))
    expect("full: it is forgotten in memory", verb("invalidate", "persona", "1"), DONE, "0 values forgotten")
    all_say("full: they answer anew", said())
    ran = verb("reload", "persona")
    expect("full: a reload says that Redis does not hold it", ran, FAILED, "Redis does not hold what was read")
    r.config_set("maxmemory", "0")


# ---- looking

def requests(worker, kind):
    """{layer: [asked, hits]} by the metrics."""
    out = {layer: [0, 0] for layer in LAYERS}
    for name, n in stack.metrics(worker).items():
        m = re.match(r'shoal_cache_requests_total\{cache="(\w+)",layer="(\w+)",result="(\w+)"\}', name)
        if m and m.group(1) == kind:
            out[m.group(2)][0] += n
            out[m.group(2)][1] += n if m.group(3) in ("hit", "negative") else 0
    return out


def stats_add_up():
    answers()

    def fits():
        fleet, each = rows("stats"), rows("stats", "--workers")
        for kind in NAMES.split(", "):
            mine = [w for w in each if w["cache"] == kind]
            counted = [requests(w, kind) for w in stack.workers]
            for layer in LAYERS:
                f = [x for x in fleet if (x["cache"], x["layer"]) == (kind, layer)][0]
                asked, hits = (sum(c[layer][i] for c in counted) for i in (0, 1))
                if (f["hits"] + f["misses"], f["hits"]) != (asked, hits) or f["workers"] != WORKERS:
                    return False
                if asked and abs(f["hit_rate_pct"] - 100 * hits / asked) > 0.1:
                    return False
                if layer == "memory" and (
                        sum(w["hits"] for w in mine) != hits or sum(w["entries"] for w in mine) != f["entries"] or
                        sum(w["bytes"] for w in mine) != f["bytes"]):
                    return False
                if layer == "redis" and (f["entries"], f["bytes"]) != (len(values_of(kind)), sum(
                        r.memory_usage(k, samples=0) for k in r.scan_iter(value(kind, "*"), count=10000))):
                    return False
        return True
    check("stats: they are what the workers counted, and what Redis holds", wait_for(fits, PATIENCE, 0.3),
          (rows("stats"), rows("stats", "--workers")))
    fleet, each = rows("stats"), rows("stats", "--workers")
    check("stats: a row for each cache and layer", [(x["cache"], x["layer"]) for x in fleet] == [
        (k, l) for k in NAMES.split(", ") for l in LAYERS])
    persona = {x["layer"]: x for x in fleet if x["cache"] == "persona"}
    check("stats: memory hits, entries, bytes", persona["memory"]["hits"] > 0 and persona["memory"]["entries"] > 0 and
          persona["memory"]["bytes"] > 0 and persona["memory"]["hit_rate_pct"] <= 100, persona)
    check("stats: Postgres is no copy", persona["postgres"]["entries"] is None and
          persona["postgres"]["last_loaded"] is None, persona)
    check("stats: they believe their memory", wait_for(
        lambda: all(x["believing"] == WORKERS for x in rows("stats") if x["layer"] == "memory") and
        all(w["believed"] for w in rows("stats", "--workers")), PATIENCE, 0.3), each)
    check("stats: a row for each worker and cache", len(each) == 4 * WORKERS and
          len({(w["worker"], w["cache"]) for w in each}) == 4 * WORKERS, each)
    players = [x for x in fleet if x["cache"] == "player"]
    check("stats: lives", players[1]["ttl_seconds"] == 300 and persona["redis"]["ttl_seconds"] == 0, players)
    table = verb("stats")
    check("stats: for people", table.code == DONE and "HIT RATE PCT" in table.out and
          len(table.out.splitlines()) == 13, table)
    before = persona["redis"]["last_loaded"]
    verb("reload", "persona")
    after = [x for x in rows("stats") if (x["cache"], x["layer"]) == ("persona", "redis")][0]["last_loaded"]
    check("stats: last_loaded is of the reload", before and after and after > before, (before, after))
    sleeper = stack.workers[0]
    sleeper.send(signal.SIGSTOP)
    gone = wait_for(lambda: len(rows("stats", "--workers")) == 4 * (WORKERS - 1), PATIENCE)
    sleeper.send(signal.SIGCONT)
    check("stats: of those that are alive", gone and wait_for(
        lambda: len(rows("stats", "--workers")) == 4 * WORKERS, PATIENCE))


def lists():
    for kind in NAMES.split(", "):
        verb("reload", kind)
    got = {x["cache"]: x for x in rows("list")}
    check("list: the four", list(got) == NAMES.split(", "), got)
    check("list: how they are loaded", [(got[k]["entries"], got[k]["loaded"], got[k]["whole_max"]) for k in got] == [
        (6, "whole", 1000), (3, "whole", 1000), (0, "one by one", 0), (4, "whole", 4)], got)
    check("list: when", all((got[k]["last_loaded"] is None) == (k == "player") for k in got), got)
    check("list: lives, and what the keys are", got["player"]["ttl_seconds"] == 300 and "Discord" in
          got["player"]["keys"] and "countries" in got["static"]["keys"], got)
    verb("invalidate", "static", "--all")
    got = {x["cache"]: x for x in rows("list")}
    check("list: not loaded", (got["static"]["entries"], got["static"]["loaded"], got["static"]["last_loaded"]) == (
        0, "no", None), got)
    r.set(value("static", "maps"), b"0123456789abcdef-old|[]")
    got = {x["cache"]: x for x in rows("list")}
    check("list: what is void is told apart", (got["static"]["entries"], got["static"]["void"]) == (0, 1), got)
    expect("what is void would not be forgotten", verb("invalidate", "static", "--all", "--dry-run"), DONE, "0 values")
    expect("and goes with all", verb("invalidate", "static", "--all"), DONE, "0 values forgotten")
    check("and is gone then", keys_of("static") == [], keys_of("static"))
    stack.pg.rows("SET session_replication_role = replica; INSERT INTO start_codes (code) "
                  "SELECT 'many' || n FROM generate_series(1, 1000) n")
    expect("more than are loaded whole", verb("reload", "startcode"), DONE, "there are more than 1000: ")
    got = rows("list")[0]
    check("list: too many to be loaded whole", (got["loaded"], got["entries"]) == ("one by one", 0), got)
    stack.pg.rows("SET session_replication_role = replica; DELETE FROM start_codes WHERE code LIKE 'many%%'")
    verb("reload", "startcode")


def gets():
    verb("reload", "persona")
    verb("reload", "static")
    got = rows("get", "persona", "2")
    check("get: a value", got["source"] == "redis" and got["state"] == "value" and got["postgres"] == "same" and
          got["value"]["key"] == "luna" and got["value"]["replies"] == [said()] and
          got["expires_in_seconds"] is None and not got["filling"], got)
    check("get: the list of all expires", 0 < rows("get", "persona", "%")["expires_in_seconds"] <= 86400)
    check("get: of which generation", got["generation"] == r.get(value("persona")).decode(), got)
    ran = verb("get", "persona", "2")
    expect("get: for people, indented", ran, DONE, '\n  "key": "luna",\n', "postgres")
    change()
    check("get: not what Postgres has", rows("get", "persona", "2")["postgres"] == "differs")
    stack.pg.rows("SET session_replication_role = replica; UPDATE personas SET id = 9 WHERE id = 2")
    check("get: gone from Postgres", rows("get", "persona", "2")["postgres"] == "has none")
    stack.pg.rows("SET session_replication_role = replica; UPDATE personas SET id = 2 WHERE id = 9")
    check("get: a code of an id", rows("get", "startcode", "#1")["value"] == "spring")
    check("get: the list", rows("get", "startcode", "%")["value"] == ["autumn", "spray", "spring"])
    check("get: a table", len(rows("get", "static", "countries")["value"]) > 200)
    r.set(value("startcode", "winter"), r.get(value("startcode")) + b"|")
    got = rows("get", "startcode", "winter")
    check("get: known not to be there", [got[k] for k in ("state", "value", "postgres")] == ["negative", None, "same"],
          got)
    r.set(value("startcode", "winter"), r.get(value("startcode")) + b"|{\"half")
    got = rows("get", "startcode", "winter")
    check("get: what no worker could read", (got["state"], got["value"]) == ("unreadable", '{"half'), got)
    r.set(value("startcode", "spring"), b"0123456789abcdef-old|{}")
    ran = verb("get", "startcode", "spring", "--json")
    expect("get: void is not cached", ran, NOT_THERE, "what Redis has of it is void", "this is what PostgreSQL has")
    got = ran.json()
    check("get: as Postgres has it, and said so", (got["source"], got["state"], got["value"]["code"]) == (
        "postgres", "void", "spring"), ran)
    expect("get: not cached, but there", verb("get", "player", "42"), NOT_THERE, '"name": "Ann"', "42 is not cached")
    ran = verb("get", "player", "43", "--json")
    expect("get: nowhere", ran, NOT_THERE, "PostgreSQL has none")
    check("get: nowhere is nothing", ran.out == "", ran)
    r.set("shoal:{cache}:l:player:42", "token", px=60000)
    expect("get: somebody fills it", verb("get", "player", "42"), NOT_THERE, "is being filled now")
    r.delete("shoal:{cache}:l:player:42", value("startcode", "winter"), value("startcode", "spring"))


def refuses():
    for sub in (["get", "codes", "1"], ["invalidate", "codes", "--all"], ["reload", "Persona"], ["get", "", "x"]):
        expect("no such cache: " + " ".join(sub), verb(*sub), NOT_THERE, "only: " + NAMES)
    expect("hostile: a cache's name is shown harmless", verb("reload", "\x1b[31mred"), NOT_THERE, "\\x1b[31mred")
    for name, key in (("control characters", "a\x1b[2Jb"), ("a line break", "a\nb"), ("256 bytes", "x" * 256),
                      ("no UTF-8", b"\xff\xfe"), ("nothing", "")):
        for sub in ("get", "invalidate"):
            expect("hostile: %s: %s" % (sub, name), verb(sub, "startcode", key), USAGE, "key is")
        expect("hostile: a pattern with " + name, verb("invalidate", "startcode", b"*" + (
            key if isinstance(key, bytes) else key.encode())), DONE if name == "nothing" else USAGE)
    expect("hostile: a pattern that does not close", verb("invalidate", "startcode", "a[b"), USAGE, "does not close")
    for kind, key in (("persona", "luna"), ("persona", "01"), ("player", "x"), ("player", "99999999999999999999"),
                      ("static", "planets"), ("startcode", "two words"), ("startcode", "#x"), ("player", "%"),
                      ("startcode", "x" * 65)):
        for sub in ("get", "invalidate"):
            expect("%s: no key of %s: %s" % (sub, kind, key[:20]), verb(sub, kind, key), NOT_THERE,
                   "is no key of the cache " + kind)
    expect("get: patterns are no keys", verb("get", "startcode", "spr*"), NOT_THERE, "is no key")
    expect("one bad key, and nothing is forgotten", verb("invalidate", "persona", "1", "luna"), NOT_THERE, "luna")
    for args in (["invalidate", "persona"], ["invalidate", "persona", "1", "--all"], ["invalidate"], [],
                 ["get", "persona"], ["reload"], ["reload", "persona", "1"], ["list", "--all"], ["stats", "persona"],
                 ["forget", "persona"]):
        expect("usage: " + " ".join(args), verb(*args), USAGE, "Try `shoal help cache`")
    # names that somebody else has put there
    verb("invalidate", "startcode", "--all")
    bad = value("startcode").encode() + b":\x80"
    r.mset({value("startcode", "\x1b[31mred"): "x", value("startcode", "two words"): "x",
            value("startcode", "line\nbreak"): "x", bad: "x"})
    r.rpush(value("startcode", "list"), "x")
    check("alien keys are counted as void", rows("list")[0]["void"] == 4, rows("list")[0])
    expect("alien keys go with all", verb("invalidate", "startcode", "--all"), DONE, "0 values forgotten")
    check("and are gone, but what is no key of a cache", keys_of("startcode") == ["\ufffd"], keys_of("startcode"))
    r.delete(bad)


def silent_servers():
    """Both take connections and say nothing; how long is waited for them is the verb's own matter, but bounded."""
    mute = socket.create_server(("127.0.0.1", lib.free_port()))
    port = mute.getsockname()[1]
    postgres = "postgresql://x@127.0.0.1:%d/shoal" % port
    began = time.monotonic()
    on_redis, on_postgres = begin("list", SHOAL_CACHE_REDIS_URL="redis://127.0.0.1:%d/0" % port), begin(
        "invalidate", "persona", "1", SHOAL_POSTGRES_URL=postgres)
    blocker = stack.pg.connect()
    blocker.cursor().execute("LOCK TABLE admin_audit")
    locked = begin("invalidate", "persona", "2")
    ran = end(locked)
    expect("silent: a note that waits for a lock is waited for no longer", ran, DONE, "forgotten; ",
           "whether it is noted in admin_audit is not known: PostgreSQL said nothing for 3 s")
    blocker.close()
    expect("silent: a note that no server takes", end(on_postgres), DONE, "forgotten; ", "not noted in admin_audit: ")
    print("# the notes took %.1f s" % (time.monotonic() - began))
    expect("silent: Redis, and how long it was waited for", end(on_redis), NO_SERVER, "cannot reach Redis: redis://127.0.0.1:",
           "it said nothing for 5 s")
    mute.close()


def without_servers():
    nobody = "redis://127.0.0.1:%d/0" % lib.free_port()
    nowhere = "postgresql://x@127.0.0.1:%d/shoal" % lib.free_port()
    for args in (["list"], ["stats"], ["get", "persona", "1"], ["invalidate", "persona", "1"], ["invalidate", "persona",
                 "--all", "--dry-run"], ["reload", "persona"]):
        expect("no Redis: " + " ".join(args), verb(*args, SHOAL_CACHE_REDIS_URL=nobody), NO_SERVER, "cannot reach")
    verb("reload", "persona")
    for args in (["list"], ["stats"], ["get", "persona", "1"]):
        expect("no Postgres: " + " ".join(args), verb(*args, SHOAL_POSTGRES_URL=nowhere), DONE)
    expect("no Postgres: what is not cached cannot be shown", verb("get", "player", "42", SHOAL_POSTGRES_URL=nowhere),
           NO_SERVER, "cannot reach PostgreSQL")
    before = r.get(value("persona"))
    expect("no Postgres: no reload", verb("reload", "persona", SHOAL_POSTGRES_URL=nowhere), NO_SERVER,
           "cannot reach PostgreSQL")
    check("no Postgres: nothing is forgotten for a reload that cannot be", r.get(value("persona")) == before and
          len(keys_of("persona")) == 4)
    change()
    expect("no Postgres: it is forgotten, and said not to be noted", verb(
        "invalidate", "persona", "1", SHOAL_POSTGRES_URL=nowhere), DONE, "1 value forgotten", "not noted in")
    all_say("no Postgres: every worker answers anew", said())
    verb_wrong = verb("list", SHOAL_CACHE_REDIS_URL="redis://x:wrong@127.0.0.1:%d/0" % cache.port)
    check("wrong password", verb_wrong.code == NO_SERVER, verb_wrong)


# ---- much

def blocked():
    """A client waits for the end of the pause: of those that are left it is the verb's."""
    return wait_for(lambda: any("b" in c["flags"] for c in r.client_list()), PATIENCE)


def much():
    """Progress on a terminal, and Ctrl-C: what is void is void."""
    stack.stop_workers()
    generation = r.get(value("player"))
    pipe = r.pipeline(transaction=False)
    for n in range(MANY):
        pipe.set(value("player", str(n)), generation + b'|{"name":null}')
    pipe.execute()
    # other names: many steps that find nothing
    pipe = r.pipeline(transaction=False)
    for n in range(MANY):
        pipe.set("other:%d" % n, "x")
    pipe.execute()
    expect("much: counted", verb("invalidate", "player", "--all", "--dry-run"), DONE, "%d values would" % MANY)
    some = len([n for n in range(MANY) if str(n).startswith("1")])
    expect("much: a pattern", verb("invalidate", "player", "1*"), DONE, "%d values forgotten" % some)
    check("much: those and no others", len(keys_of("player")) == MANY - some)
    r.client_pause(PATIENCE * 1000, all=False)
    leader, follower = pty.openpty()
    p = subprocess.Popen([BIN, "cache", "invalidate", "player", "--all"], stdin=follower, stdout=subprocess.PIPE,
                         stderr=follower, env=stack.env)
    os.close(follower)
    blocked()
    time.sleep(0.2)  # long enough to be worth a word
    r.client_unpause()
    ran = end_of(p, leader)
    check("much: progress on a terminal", ran.code == DONE and "%d values forgotten" % (MANY - some) in ran.out and
          "\r" in ran.err and re.search("counting: [0-9]+", ran.err), ran)
    check("much: Redis is rid of them", keys_of("player") == [])
    pipe = r.pipeline(transaction=False)
    generation = r.get(value("player"))
    for n in range(MANY):
        pipe.set(value("player", str(n)), generation + b'|{"name":null}')
    pipe.execute()
    r.client_pause(PATIENCE * 1000, all=False)
    p = begin("invalidate", "player", "?*")
    waits = blocked()
    p.send_signal(signal.SIGINT)
    r.client_unpause()
    ran = end(p)
    left = len(keys_of("player"))
    check("much: Ctrl-C stops between two steps", waits and ran.code == FAILED and "stopped before it was through" in
          ran.err and 0 < left < MANY, "%d left\n%s" % (left, ran))
    r.flushdb()


def interrupted():
    """Ctrl-C at the worst moment, when it is void and a worker has not heard yet, or while it is being loaded: each says
    how far it came, and notes it."""
    pipe = r.pipeline(transaction=False)
    verb("invalidate", "player", "--all")
    generation = r.get(value("player"))
    for n in range(MANY):
        pipe.set(value("player", str(n)), generation + b'|{"name":null}')
    pipe.execute()
    before = {kind: r.get(value(kind)) for kind in ("player", "static", "persona")}
    stack.pg.rows("DELETE FROM admin_audit")
    r.zadd("shoal:{cache}:trusts", {"ghost": int(r.time()[0] * 1000 + 2500)})
    blocker = stack.pg.connect()
    blocker.cursor().execute("LOCK TABLE personas")
    running = [begin("invalidate", "player", "--all"), begin("reload", "static"), begin("reload", "persona")]
    void = wait_for(lambda: all(r.get(value(kind)) != was for kind, was in before.items()), PATIENCE)
    for p in running[:2]:
        p.send_signal(signal.SIGINT)
    loading = wait_for(lambda: stack.pg.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
                                             "application_name = 'shoal cli'"), PATIENCE)
    running[2].send_signal(signal.SIGINT)
    ran = [end(p) for p in running]
    blocker.close()
    check("interrupted: all of them were under way", void and loading)
    expect("interrupted: all are void, not all removed", ran[0], FAILED,
           "all are void, and what was not removed goes with its time")
    # of those that could not be counted in the second that an end waits for it, only the removed ones are told
    told = re.search("^([0-9]+) values forgotten", ran[0].out)
    check("interrupted: those are told that were counted or removed", told and 0 < int(told[1]) <= MANY, ran[0])
    check("interrupted: some were not removed", 0 < len(keys_of("player")) < MANY, len(keys_of("player")))
    expect("interrupted: before it was loaded", ran[1], FAILED, "forgotten", "stopped before it was loaded")
    expect("interrupted: while it was loaded", ran[2], FAILED, "forgotten", "stopped before it was loaded")
    audit = stack.pg.rows("SELECT action, target, details->>'complete', details->>'loaded' FROM admin_audit ORDER BY 2")
    check("interrupted: all is noted", audit == [
        ("cache.reload", "cache:persona", None, "no"), ("cache.invalidate", "cache:player", "false", None),
        ("cache.reload", "cache:static", None, "no")], audit)
    r.zrem("shoal:{cache}:trusts", "ghost")


def broken_keys():
    """Somebody has put lists where the caches keep what they go by, and nobody works: the verbs mend it."""
    mine, all_of_them = [value("startcode"), value("startcode", "%")], ["shoal:{cache}:trusts", "shoal:{cache}:since"]
    for args, names in ((["invalidate", "startcode", "--all"], mine), (["reload", "startcode"], mine + all_of_them)):
        for name in names:
            r.delete(name)
            r.rpush(name, "x")
        expect("broken keys: they can be looked at", verb("list"), DONE)
        expect("broken keys: mended by " + args[0], verb(*args), DONE, "forgotten")
        check("broken keys: none is left", not [n for n in names if r.type(n) == b"list"], [r.type(n) for n in names])


def end_of(p, leader):
    err = b""
    while True:
        try:
            got = os.read(leader, 4096)
        except OSError:  # the other end is closed
            got = b""
        if not got:
            break
        err += got
    os.close(leader)
    out = p.stdout.read()
    p.stdout.close()
    return Ran(p.wait(PATIENCE), out, err)


def main():
    began = time.monotonic()
    prepare()
    for run in (forgets_keys_and_patterns_and_all, a_stopped_worker_holds_nobody_up, stats_add_up, lists, gets, refuses,
                without_servers, silent_servers, a_full_redis, much,
                interrupted, broken_keys):
        run()
        print("# %s: %.1f s" % (run.__name__, time.monotonic() - began))
    finish()


main()
