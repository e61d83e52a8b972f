"""The faults of a chaos run. Each is a function of the run, of its entry in the log of faults, and of a source of
chance. It lasts as long as the fault and has a thread of its own, so that several overlap."""
import os
import signal
import threading
import time

import psycopg2

from lib import http, wait_for
from pgbouncer import pooled

CALLS = ("sendMessage", "editMessageReplyMarkup")


def now_ms():
    return time.time_ns() // 1000000


class Busy(Exception):
    """Not now: what the fault needs is not there, or suffers another one."""


class Held:
    """A server that one fault at a time may touch."""

    def __init__(self, lock):
        self.lock = lock

    def __enter__(self):
        if not self.lock.acquire(blocking=False):
            raise Busy()

    def __exit__(self, *_):
        self.lock.release()


# ---- workers

def kill(c, note, rng):
    """kill -9; another one is started a moment later. Stopped first, so that what it had in hand can be seen."""
    with c.one(rng, 2) as w:
        c.forget(w)
        w.send(signal.SIGSTOP)
        note["at"] = now_ms()
        note.update(worker=c.name(w), lanes=c.lanes_of(w))
        w.kill()
    note["end"] = now_ms()
    time.sleep(0.2)
    c.add()


def stop(c, note, rng):
    with c.one(rng, 3) as w:
        note.update(worker=c.name(w), seconds=round(min(1 + rng.expovariate(1 / c.stop_s), 20), 1))
        w.send(signal.SIGSTOP)
        time.sleep(note["seconds"])
        w.send(signal.SIGCONT)


def leave(c, w, note):
    """SIGTERM, and the time that it took to go."""
    c.forget(w)
    wait_for(lambda: "worker started" in w.output(), 20)  # before that it ends as any program does
    w.send(signal.SIGSTOP)
    note["at"] = now_ms()
    note.update(worker=c.name(w), lanes=c.lanes_of(w))
    w.send(signal.SIGTERM)
    w.send(signal.SIGCONT)
    began = time.monotonic()
    note["code"] = w.wait(c.drain_s + 20)
    note["left_s"] = round(time.monotonic() - began, 3)


def term(c, note, rng):
    """As a rolling update of one: the new one is ready before the old one has to go."""
    with c.one(rng, 2) as w:
        c.ready(c.add())
        leave(c, w, note)


def roll(c, note, rng):
    with Held(c.scaling):
        old = c.workers()
        for w in old:
            with c.this(w) as free:
                if free:
                    c.ready(c.add())
                    each = {"kind": "term", "at": now_ms(), "of": "roll"}
                    leave(c, w, each)
                    c.log(each)
        note["workers"] = len(old)


def scale(c, note, rng):
    with Held(c.scaling):
        want = rng.choice([n for n in range(3, 9) if n != len(c.workers())])
        note["workers"] = want
        for _ in range(want - len(c.workers())):
            c.add()
        for w in c.workers()[want:]:
            with c.this(w) as free:
                if free:
                    each = {"kind": "term", "at": now_ms(), "of": "scale"}
                    leave(c, w, each)
                    c.log(each)


# ---- servers

def redis_restart(number):
    def fault(c, note, rng):
        with Held(c.redis):
            if number == signal.SIGKILL:
                c.stack.redis.kill()
            else:
                c.stack.redis.stop(number, 30)
            note["down"] = now_ms()
            time.sleep(rng.uniform(0, c.outage))
            c.stack.redis = c.stack.redis.again()
    return fault


def redis_stop(c, note, rng):
    with Held(c.redis):
        c.stack.redis.send(signal.SIGSTOP)
        time.sleep(rng.uniform(1, c.freeze))
        c.stack.redis.send(signal.SIGCONT)


def redis_cut(c, note, rng):
    with Held(c.redis):
        r = c.redis_client(10)
        mine = r.client_id()
        clients = [x["id"] for x in r.client_list() if int(x["id"]) != mine]
        share = rng.choice([0.3, 1.0])
        gone = [i for i in clients if rng.random() < share]
        for i in gone:
            r.execute_command("CLIENT", "KILL", "ID", i)
        note["connections"] = len(gone)


def pg_restart(number):
    def fault(c, note, rng):
        with Held(c.pg):
            c.stack.pg.stop(number, 30)
            time.sleep(rng.uniform(0, c.outage))
            c.stack.pg = c.stack.pg.again()
    return fault


def postgres_pids(c):
    """The postmaster and its processes."""
    first = c.stack.pg.pid
    pids = [first]
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, encoding="latin-1") as f:
                    if int(f.read().rpartition(")")[2].split()[1]) == first:
                        pids.append(int(name))
            except (OSError, ValueError, IndexError):
                pass
    return pids


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def pg_stop(c, note, rng):
    with Held(c.pg):
        pids = postgres_pids(c)
        signal_all(pids, signal.SIGSTOP)
        time.sleep(rng.uniform(1, c.freeze))
        signal_all(pids, signal.SIGCONT)


def pg_cut(c, note, rng):
    with Held(c.pg):
        share = rng.choice([0.3, 1.0])
        note["connections"] = c.stack.pg.rows(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = 'shoal' AND pid <> pg_backend_pid() AND random() < %s", share)[0][0]


def pg_crash(c, note, rng):
    """One process of the server is killed: it throws all of them out and recovers."""
    with Held(c.pg):
        pids = [row[0] for row in c.stack.pg.rows(
            "SELECT pid FROM pg_stat_activity WHERE datname = 'shoal' AND pid <> pg_backend_pid() ORDER BY pid")]
        if not pids:
            raise Busy()
        os.kill(rng.choice(pids), signal.SIGKILL)
        time.sleep(0.2)
        if not wait_for(lambda: answers(c), 60):
            raise RuntimeError("postgres does not come back")


def answers(c):
    try:
        return c.stack.pg.rows("SELECT 1")
    except psycopg2.Error:
        return False


def pooler_restart(number):
    def fault(c, note, rng):
        with Held(c.pg):
            c.stack.pooler.stop(number, 30)
            time.sleep(rng.uniform(0, c.outage))
            c.stack.pooler = c.stack.pooler.again()
    return fault


def pooler_say(command, end):
    def fault(c, note, rng):
        with Held(c.pg):
            c.stack.pooler.rows(command)
            time.sleep(rng.uniform(0, c.freeze))
            c.stack.pooler.rows(end)
    return fault


def gateway_stop(c, note, rng):
    g = rng.choice(c.gateways)
    with Held(g.lock):
        note["gateway"] = g.number
        g.process.send(signal.SIGSTOP)
        time.sleep(rng.uniform(1, c.freeze))
        g.process.send(signal.SIGCONT)


def gateway_restart(number):
    def fault(c, note, rng):
        g = rng.choice(c.gateways)
        with Held(g.lock):
            note["gateway"] = g.number
            if number == signal.SIGKILL:
                g.process.kill()
            else:
                note["code"] = g.process.stop(number, 30)
            time.sleep(rng.uniform(0, c.outage))
            g.start()
            g.wait()
    return fault


# ---- the platform's API

def api(count, **rule):
    def fault(c, note, rng):
        spec = {"bot": "persona", "method": rng.choice(CALLS) if rule.get("one_method") else "*",
                "count": rng.randint(*count)}
        for name, value in rule.items():
            if name != "one_method":
                spec[name] = rng.choice(value) if isinstance(value, tuple) else value
        note.update(rule=spec)
        c.stack.control("POST", "faults", spec)
    return fault


def api_429_chat(c, note, rng):
    """One chat is told to wait."""
    chat = c.first + rng.randrange(c.chats)
    note["rule"] = {"bot": "persona", "method": "*", "kind": "429", "retry_after": rng.choice([1, 3]),
                    "chat_id": chat, "count": 3}
    c.stack.control("POST", "faults", note["rule"])


BEFORE_AFTER = ("before", "after")

FAULTS = {
    "kill": kill, "stop": stop, "term": term, "roll": roll, "scale": scale,
    "redis-term": redis_restart(signal.SIGTERM), "redis-kill": redis_restart(signal.SIGKILL), "redis-stop": redis_stop,
    "redis-cut": redis_cut,
    "pg-fast": pg_restart(signal.SIGINT), "pg-immediate": pg_restart(signal.SIGQUIT), "pg-crash": pg_crash,
    "pg-stop": pg_stop, "pg-cut": pg_cut,
    "gateway-kill": gateway_restart(signal.SIGKILL), "gateway-term": gateway_restart(signal.SIGTERM),
    "gateway-stop": gateway_stop,
    "api-429": api((3, 8), kind="429", retry_after=(1, 2)), "api-429-chat": api_429_chat,
    "api-500": api((20, 80), kind="500", when=BEFORE_AFTER, probability=0.5),
    "api-reset": api((10, 60), kind="reset", when=BEFORE_AFTER, probability=0.5),
    "api-hang": api((1, 4), kind="hang", when=BEFORE_AFTER),
    "api-slow": api((50, 300), kind="delay", when=BEFORE_AFTER, ms=(300, 1000, 3000)),
}
if pooled():
    FAULTS.update({
        "pooler-kill": pooler_restart(signal.SIGKILL), "pooler-term": pooler_restart(signal.SIGINT),
        "pooler-pause": pooler_say("PAUSE", "RESUME"), "pooler-cut": pooler_say("KILL shoal", "RESUME shoal")})
# how often, beside one another; 2 where nothing is said
WEIGHTS = {"kill": 5, "stop": 3, "roll": 1, "api-hang": 1}


class Gateway:
    """One of the gateways, on ports of its own, over all of its restarts."""

    def __init__(self, stack, number, port, metrics):
        self.stack, self.number, self.port, self.metrics, self.lock = stack, number, port, metrics, threading.Lock()
        self.process = None

    def start(self):
        self.process = self.stack.start("gateway-%d" % self.number, ["gateway"],
                                        SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % self.port,
                                        SHOAL_METRICS_LISTEN="127.0.0.1:%d" % self.metrics)

    def wait(self):
        """Listening; what it depends on may be away."""
        return wait_for(lambda: http("GET", "http://127.0.0.1:%d/readyz" % self.metrics, timeout=2).status, 20)
