"""shoal status: what it tells, once and again and again, on a terminal and beside one; with servers that go and come."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, free_port, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

stack = Stack(binary_from_argv(), SHOAL_LOG="error")
redis = stack.redis.client()
number = 0


def run(*argv, **env):
    """-> exit code, output"""
    global number
    number += 1
    p = stack.start("status-%d" % number, ["status", *argv], **env)
    return p.wait(), p.output()


def seen(**env):
    """The object of --json; what is for people goes beside it."""
    code, text = run("--json", **env)
    return code, json.loads(text.splitlines()[0])


def seen_alive(workers=1, **env):
    """The same once the worker is among those who tell: who stands still for 5 s is forgotten until the next second."""
    last = []

    def look():
        last[:] = [seen(**env)]
        return len(last[0][1]["workers"]) == workers
    wait_for(look)
    return last[0]


class Terminal:
    """`shoal status --watch` on a terminal of its own."""

    def __init__(self, *argv, columns=80, rows=24, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.clear()
            os.environ.update({**stack.env, "TERM": "xterm", **env})
            os.execv(stack.binary, [stack.binary, "status", *argv])
        self.text, self.code = b"", None
        self.resize(columns, rows, tell=False)
        self.before = termios.tcgetattr(self.fd)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                if select.select([self.fd], [], [], 60)[0]:
                    part = os.read(self.fd, 65536)
                    if not part:
                        return
                    self.text += part
            except OSError:
                return

    def resize(self, columns, rows, tell=True):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            os.kill(self.pid, signal.SIGWINCH)

    def pages(self):
        """Each page that was painted whole, as lines without what styles them."""
        text = self.text.decode("utf-8", "replace").replace("\r\n", "\n")
        whole = [p for p in text.split("\x1b[H")[1:] if "\x1b[J" in p]
        return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", p.split("\x1b[J")[0]).splitlines() for p in whole]

    def shows(self, words, pages=None):
        """Whether a page that was painted from now on shows it."""
        begin = len(self.pages()) if pages is None else pages
        return wait_for(lambda: any(words in "\n".join(p) for p in self.pages()[begin:]))

    def ended(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
        return pid != 0

    def put_back(self):
        """The terminal is as it was: keys are echoed, the cursor is there, and the page that stood there before."""
        tail = self.text[-200:]
        return b"\x1b[?25h" in tail and b"\x1b[?1049l" in tail and termios.tcgetattr(self.fd)[3] == self.before[3]


def prepare():
    stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', 'Hello', '{yes}')")
    for user in range(1, 6):
        stack.say(user, "/start")
        stack.say(user, "hello")
    redis.xadd("shoal:{0}:updates", {"bot": "nobody", "lane": "L", "body": "{}"})
    check("the fleet is at rest", stack.settled())
    stack.shoal("queue", "pause", "--bot", "persona")
    stack.post({"update_id": 77, "message": {"message_id": 1, "date": 0, "chat": {"id": 9, "type": "private"},
                                             "from": {"id": 9, "is_bot": False, "first_name": "x"}, "text": "hi"}})
    check("the worker tells", wait_for(lambda: seen()[1]["updates"]["count"] >= 10 and seen()[1]["queue"]["length"] == 1))


def at_once():
    code, all_ = seen_alive()
    check("json: one object, exit code 0", code == 0 and all_["all_reachable"] and all_["at"].endswith("Z"), all_)
    check("json: servers", [s["name"] for s in all_["servers"]] == ["queue", "caches", "postgres"] and
          all(s["reachable"] and s["error"] is None for s in all_["servers"]), all_["servers"])
    queue = all_["queue"]
    check("json: queue", (queue["length"], queue["dead"], queue["paused"], len(queue["shards"])) == (1, 1, "persona", 1) and
          queue["oldest_seconds"] > 0, queue)
    updates = all_["updates"]
    check("json: latency by bot, command and stage", [b["bot"] for b in updates["bots"]] == ["persona"] and
          updates["bots"][0]["count"] == updates["count"] >= 10 and 0 < updates["p50_ms"] <= updates["p95_ms"] <= updates["p99_ms"] and
          {"start", "text"} <= {c["command"] for c in updates["commands"]} and
          {"load", "commit", "reply"} <= {s["stage"] for s in updates["stages"]}, updates)
    worker = all_["workers"][0]
    check("json: workers with their load", len(all_["workers"]) == 1 and worker["state"] == "running" and
          worker["in_flight_max"] == 256 and worker["done"] >= 10 and worker["id"].startswith("w1-"), worker)
    persona = [c for c in all_["caches"] if c["cache"] == "persona"][0]
    check("json: caches with their hit rates", len(all_["caches"]) == 4 and 0 < persona["memory"]["hit_rate_pct"] <= 100, persona)
    check("json: flood and jobs", all_["flood"] == {"waiting": 0, "waits": all_["flood"]["waits"]} and
          {"matcher", "old_keys"} <= {j["job"] for j in all_["fleet_jobs"]}, (all_["flood"], all_["fleet_jobs"]))
    seen_alive()
    code, text = run()
    heads = [w for w in ("Reached", "Queue", "Paused  persona", "Bot", "p95 by stage", "Worker", "Cache", "Flood budget", "Job")
             if not re.search("^" + w, text, re.M)]
    check("for people: everything", code == 0 and not heads, (heads, text))
    check("for people: 80 columns, plain", max(map(len, text.splitlines())) <= 80 and "\x1b" not in text and text.isascii(), text)
    check("wrong usage", [run(*a)[0] for a in (["x"], ["--no"], ["--watch=1"])] == [2, 2, 2])
    check("a wrong value", run(SHOAL_REDIS_URL="x")[0] == 1)


def strangers():
    """Whoever can write into that Redis can say anything of a worker."""
    evil = "evil\x1b[2J\x1b]0;x\x07" + "\u202e\n" + "w" * 300
    redis.set("shoal:{cache}:worker:evil", json.dumps({"id": evil, "state": evil, "in_flight": 1e300, "in_flight_max": "x", "done": -1,
                                               "per_second": 5, "fleet_jobs": [{"job": evil}, 7], "caches": [{"cache": 1}]}))
    redis.set("shoal:{cache}:latency:evil", '{"commands":[["%s","\\u001b[2J","40:3"],[1,2,3]],"stages":7}' % ("b" * 100))
    for name in range(30):
        redis.set("shoal:{cache}:worker:n%d" % name, '{"id":"n%d"' % name)  # no JSON
    code, text = run()
    check("nothing that a terminal would obey", code == 0 and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text) and
          "evil" in text and max(map(len, text.splitlines())) <= 80, text)
    code, all_ = seen_alive(2)
    check("nor is the object broken", code == 0 and len(all_["workers"]) == 2, all_["workers"])
    for key in redis.keys("shoal:{cache}:worker:n*") + ["shoal:{cache}:worker:evil", "shoal:{cache}:latency:evil"]:
        redis.delete(key)


def liar(scan):
    """Something that is no Redis but speaks as one until it is asked to SCAN. -> its address"""
    def serve(peer):
        with peer, peer.makefile("rwb", buffering=0) as f:
            while head := f.readline():
                words = [f.read(int(f.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
                f.write(scan if words[0] == b"SCAN" else b":1\r\n")

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    listener = socket.create_server(("127.0.0.1", free_port()))
    threading.Thread(target=accept, daemon=True).start()
    return "redis://127.0.0.1:%d/0" % listener.getsockname()[1]


def answers_that_make_no_sense():
    for scan in (b"+OK\r\n", b"*0\r\n", b"*2\r\n:1\r\n:2\r\n", b"*2\r\n$-1\r\n*0\r\n", b"*2\r\n$1\r\n0\r\n$1\r\n0\r\n",
                 b"*2\r\n$1\r\n0\r\n*2\r\n:5\r\n$-1\r\n", b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nx\r\n",
                 b"*2\r\n$40\r\n" + 40 * b"1" + b"\r\n*0\r\n"):
        code, all_ = seen(SHOAL_CACHE_REDIS_URL=liar(scan))
        check("caches that answer %r" % scan, code == 3 and all_["workers"] is None and
              all_["servers"][1]["error"] == "answer makes no sense", all_["servers"])


def beside_a_terminal():
    p = stack.start("watch-lines", ["status", "--watch"])
    check("watch: a line for each look", wait_for(lambda: len(p.output().splitlines()) >= 3))
    p.send(signal.SIGINT)
    check("watch: Ctrl-C ends it well", p.wait() == 0)
    check("watch: plain lines", all(re.match(r"\d{4}-\d\d-\d\dT\S+Z workers [01], \S+/s, p95 .*, queue 1, oldest .*, dead 1, paused persona$", x)
                                    for x in p.output().splitlines()), p.output())
    p = stack.start("watch-json", ["status", "--watch", "--json"])
    check("watch --json: an object a line", wait_for(lambda: len([json.loads(x) for x in p.output().split("\n")[:-1]]) >= 2))
    p.send(signal.SIGTERM)
    check("watch --json: SIGTERM ends it well", p.wait() == 0)


def on_a_terminal():
    t = Terminal("--watch")
    check("terminal: a page", t.shows("Reached", 0) and wait_for(lambda: len(t.pages()) >= 3), t.text[-500:])
    page = t.pages()[-1]
    check("terminal: 80 columns, 24 rows", max(map(len, page)) <= 80 and len(page) <= 23, page)
    check("terminal: it is painted over, not cleared", b"\x1b[2J" not in t.text and t.text.startswith(b"\x1b[?1049h\x1b[?25l"))
    t.resize(50, 9)
    check("terminal: another size", wait_for(lambda: max(map(len, t.pages()[-1])) <= 50 and len(t.pages()[-1]) <= 8), t.pages()[-1])
    t.resize(120, 50)
    check("terminal: a larger one", t.shows("matcher"))
    stack.pg.stop()
    check("terminal: Postgres is away", t.shows("Away      postgres:") and not t.ended(), t.pages()[-1])
    stack.pg = stack.pg.again()
    check("terminal: and back", wait_for(lambda: "Away" not in "\n".join(t.pages()[-1])), t.pages()[-1])
    os.write(t.fd, b"xq")
    check("terminal: q ends it", wait_for(t.ended) and t.code == 0 and wait_for(t.put_back), (t.code, t.text[-300:]))
    t = Terminal("--watch", NO_COLOR="1")
    check("terminal: no colours where none are wanted", t.shows("Reached", 0) and b"\x1b[1m" not in t.text)
    os.write(t.fd, b"\x03")
    check("terminal: Ctrl-C ends it", wait_for(t.ended) and t.code == 0 and wait_for(t.put_back), (t.code, t.text[-300:]))


def servers_that_are_away():
    nobody = free_port()
    code, all_ = seen_alive(SHOAL_POSTGRES_URL="postgresql://x@127.0.0.1:%d/x" % nobody)
    check("Postgres away: exit code 3, and the rest", code == 3 and not all_["all_reachable"] and all_["queue"]["length"] == 1 and
          len(all_["workers"]) == 1 and "refused" in all_["servers"][2]["error"], all_)
    code, all_ = seen(SHOAL_CACHE_REDIS_URL="redis://127.0.0.1:%d/0" % nobody)
    check("the caches' Redis away", code == 3 and all_["queue"]["length"] == 1 and all_["workers"] is None, all_)
    # the second shard is nobody's
    code, all_ = seen(SHOAL_REDIS_URL=stack.redis.url + ",redis://127.0.0.1:%d/0" % nobody)
    check("one shard away: the other one is shown", code == 3 and [s["reachable"] for s in all_["queue"]["shards"]] == [True, False] and
          all_["queue"]["length"] == 1 and [s["name"] for s in all_["servers"]][:2] == ["queue 0", "queue 1"], all_)
    code, text = run(SHOAL_REDIS_URL="%s,%s/1" % (stack.redis.url, stack.redis.url.rsplit("/", 1)[0]))
    check("another list of shards: shown all the same, and said", code == 1 and "queue 1" in text and
          "shoal status: shard 0: its keys are of format 1, shard 0/1" in text, text)
    t = Terminal("--watch", rows=60)
    check("a page", t.shows("Reached", 0))
    stack.redis.kill()
    check("Redis away: it says so and goes on", t.shows("Away      queue:") and not t.ended(), t.pages()[-1])
    code, all_ = seen()
    check("nothing is known of the queue", code == 3 and all_["queue"] is None and all_["workers"] is None, all_)
    check("nor of the workers: no number is made up", all(all_[part] is None for part in ("updates", "caches", "flood", "fleet_jobs")), all_)
    check("terminal: nor there", "workers unknown" in t.pages()[-1][0] and "not known" in "\n".join(t.pages()[-1]), t.pages()[-1])
    p = stack.start("watch-away", ["status", "--watch"])
    check("watch: nor in a line", wait_for(lambda: "Z workers unknown, queue unknown\n" in p.output()), p.output())
    p.send(signal.SIGINT)
    p.wait()
    stack.redis = stack.redis.again()
    check("and sees it when it is back", wait_for(lambda: "Away" not in "\n".join(t.pages()[-1]) and "w1-" in "\n".join(t.pages()[-1])),
          t.pages()[-1])
    os.write(t.fd, b"q")
    check("q ends it still", wait_for(t.ended) and t.code == 0, t.code)


def servers_that_say_nothing():
    """Where many hang, only the first is waited for at length."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the connections
        url = "redis://127.0.0.1:%d/0" % silent.getsockname()[1]
        code, all_ = seen(SHOAL_REDIS_URL=",".join([stack.redis.url, url, url, url]), SHOAL_CACHE_REDIS_URL=url)
    said = [(s["error"] or "").rsplit(" ", 2)[-2:] for s in all_["servers"]]
    check("servers that say nothing: 5 s for the first, 1 s for each other", code == 3 and said == [
        [""], ["5", "s"], ["1", "s"], ["1", "s"], ["1", "s"], [""]], all_["servers"])


prepare()
at_once()
strangers()
answers_that_make_no_sense()
beside_a_terminal()
on_a_terminal()
servers_that_say_nothing()
servers_that_are_away()
stack.shoal("queue", "resume", "--bot", "persona")
finish()
