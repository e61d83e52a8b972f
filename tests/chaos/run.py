"""A chaos run: a whole Shoal under load, and faults from a seeded schedule. Then check.py judges.

    run.py [BINARY]     by environment: SECONDS, SEED, WORKERS, CHATS, RATE, FAULTS (all, or names with commas)

What it leaves in build/chaos (beside the binary): the journal of the sender, the simulator's record, the log of faults,
the tables and the queue's keys as they stood at the end, and the programs' logs. `check.py FOLDER` judges it again."""
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import psycopg2  # noqa: E402
import redis  # noqa: E402
from lib import Process, check, finish, free_port, wait_for  # noqa: E402
from pgbouncer import pooled  # noqa: E402
from stack import SECRET, Stack, binary_from_argv, light  # noqa: E402
import check as judge  # noqa: E402
import faults  # noqa: E402
from machine import Machine  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
FIRST = 1000000     # the first person's id
REPLIES = 50        # the persona's answers, in turn
LIMITED, PLACES = "chaos9", 7  # a start code for so many people
API_MS = 100        # how long the platform takes, so that a worker that is hit has something in hand
PATIENCE_S = 60     # so long a fault waits for another one that is in its way
EMPTY_S = 180       # so long the queue may take to empty at the end


def option(name, default):
    value = os.environ.get(name)
    return type(default)(value) if value else default


class Chaos:
    def __init__(self, binary):
        self.binary = os.path.abspath(binary)
        self.folder = os.path.join(os.path.dirname(self.binary), "chaos-pooled" if pooled() else "chaos")
        self.seconds = option("SECONDS", 60)
        self.seed = option("SEED", 1)
        self.wanted = option("WORKERS", 5)
        self.chats = option("CHATS", 100 if light() else 2000 if self.seconds > 60 else 400)
        self.kinds = self.read_kinds(option("FAULTS", "all"))
        self.calm = set(self.kinds) <= {"kill", "term"}
        self.rate = option("RATE", 60 if light() or self.calm else 450 if self.seconds > 60 else 200)
        self.rng = random.Random("faults %d" % self.seed)
        short = self.seconds <= 60
        self.drain_s = 3 if short else 8
        self.stop_s, self.outage, self.freeze = (2, 0.5, 2) if short else (5, 2, 5)  # s, of the faults that last
        self.first = FIRST
        self.guard, self.redis, self.pg, self.scaling = (threading.Lock() for _ in range(4))
        self.live, self.busy, self.names = [], set(), {}
        self.words = {}  # more for the sender
        self.stop_watch = threading.Event()
        self.threads, self.seen, self.watched = [], {}, {"looks": 0, "blind": 0, "imbalance": 0, "longest": 0}

    @staticmethod
    def read_kinds(text):
        kinds = list(faults.FAULTS) if text == "all" else text.split(",")
        for kind in kinds:
            if kind not in faults.FAULTS:
                sys.exit("FAULTS=%s: all, or of these, with commas: %s" % (text, " ".join(faults.FAULTS)))
        return kinds

    # ---- the stack

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.fault_log = open(os.path.join(self.folder, "faults.jsonl"), "w", encoding="utf-8")
        self.stack = Stack(self.binary, workers=0, webhook=False, pg_conf={"synchronous_commit": "on"},
                           SHOAL_LOG_UPDATES=0, SHOAL_DRAIN_S=self.drain_s)
        self.gateways = [
            faults.Gateway(self.stack, 1, self.stack.gateway_port, self.stack.gateway_metrics),
            faults.Gateway(self.stack, 2, free_port(), free_port())]
        self.gateways[0].process = self.stack.gateway
        self.gateways[1].start()
        self.gateways[1].wait()
        self.people()
        for w in [self.add() for _ in range(self.wanted)]:
            if not self.ready(w):
                raise RuntimeError("a worker did not come up:\n" + w.output()[-1500:])
        slow = {"method": "*", "kind": "delay", "ms": API_MS, "probability": 1 if self.calm else 0.5}
        self.stack.control("POST", "faults", slow)  # the first rule that fits is taken: some calls are left to others

    def people(self):
        pg = self.stack.pg
        pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', %s, %s)",
                judge.GREETING, ["answer %d" % n for n in range(REPLIES)])
        pg.rows("INSERT INTO start_codes (code) SELECT 'chaos' || n FROM generate_series(0, 9) n")
        pg.rows("UPDATE start_codes SET max_uses = %s WHERE code = %s", PLACES, LIMITED)
        for n in range(0, self.chats, 500):  # the simulator knows a chat from its first message, which goes nowhere
            self.stack.control("POST", "messages", {"bot": "persona", "updates": [
                {"user_id": FIRST + i, "text": "hello"} for i in range(n, min(n + 500, self.chats))]})

    def add(self):
        with self.guard:
            w = self.stack.add_worker()
            self.names[w] = "w%d-" % self.stack.seen
            self.live.append(w)
        return w

    def ready(self, w):
        return wait_for(lambda: self.stack.ready(w), 20)

    def forget(self, w):
        with self.guard:
            if w in self.live:
                self.live.remove(w)

    def workers(self):
        with self.guard:
            return list(self.live)

    @contextlib.contextmanager
    def one(self, rng, least):
        """A worker that nothing else befalls meanwhile; at least so many must be there."""
        with self.guard:
            free = [w for w in self.live if w not in self.busy and w.running()]
            if len(self.live) < least or not free:
                raise faults.Busy()
            w = rng.choice(free)
            self.busy.add(w)
        try:
            yield w
        finally:
            with self.guard:
                self.busy.discard(w)

    @contextlib.contextmanager
    def this(self, w):
        """The same for one that is known; False: it is gone, or something befalls it already."""
        with self.guard:
            free = w in self.live and w not in self.busy
            if free:
                self.busy.add(w)
        try:
            yield free
        finally:
            if free:
                with self.guard:
                    self.busy.discard(w)

    def name(self, w):
        return self.names[w]

    def redis_client(self, patience_s=1):
        return self.stack.redis.client(socket_timeout=patience_s, socket_connect_timeout=patience_s)

    def lanes_of(self, w):
        """The chats whose update this worker has in hand, as the queue's books say; None: they could not be read."""
        try:
            lanes = self.redis_client().hgetall("shoal:{0}:lanes")
        except redis.RedisError:
            return None
        return [int(lane.rsplit(b":", 1)[1]) for lane, owner in lanes.items()
                if owner.startswith(self.names[w].encode())]

    # ---- faults

    def log(self, entry):
        with self.guard:
            entry.setdefault("end", faults.now_ms())
            if "failed" not in entry:
                self.seen[entry["kind"]] = self.seen.get(entry["kind"], 0) + 1
            self.fault_log.write(json.dumps(entry) + "\n")
            self.fault_log.flush()

    def suffer(self, kind, number):
        patience = time.monotonic() + PATIENCE_S
        while time.monotonic() < patience:
            note = {"kind": kind, "at": faults.now_ms()}
            try:
                faults.FAULTS[kind](self, note, random.Random("fault %d of %d" % (number, self.seed)))
                self.log(note)
                return
            except faults.Busy:
                time.sleep(0.1)
            except (RuntimeError, OSError, redis.RedisError, psycopg2.Error) as e:  # away by another fault
                note["failed"] = repr(e)[:300]
                self.log(note)
                time.sleep(0.5)

    def launch(self, kind):
        t = threading.Thread(target=self.suffer, args=(kind, len(self.threads)), daemon=True)
        t.start()
        self.threads.append(t)

    def schedule(self):
        """(seconds from the start, kind), rising: every kind once in a short run, else at random times."""
        last = self.seconds - 4
        if self.calm:
            every = 7 if "kill" in self.kinds else 3
            return [(t, self.rng.choice(self.kinds)) for t in range(5, max(int(last), 6), every)]
        if self.seconds <= 60:
            kinds = [k for k in self.kinds if k != "api-hang"]
            self.rng.shuffle(kinds)
            kinds = (["api-hang"] if "api-hang" in self.kinds else []) + kinds
            return [(2 + i * (last - 2) / len(kinds), k) for i, k in enumerate(kinds)]
        when, out = 5.0, []
        weights = [faults.WEIGHTS.get(k, 2) for k in self.kinds]
        while when < last:
            out.append((when, self.rng.choices(self.kinds, weights)[0]))
            when += self.rng.expovariate(1 / 4.5)
        return out

    # ---- watching

    def watch(self):
        """The queue's books, every moment: what is read and not settled is in a lane or waits; and how long the queue is."""
        while not self.stop_watch.wait(0.5):
            try:
                with self.redis_client() as r:
                    length = judge.books(r, self.watched)
            except redis.RedisError:
                continue
            self.watched["longest"] = max(self.watched["longest"], length)
            with self.guard:
                dead = [w for w in self.live if not w.running()]
                for w in dead:
                    self.live.remove(w)
            for w in dead:
                check("%s lives on" % w.log, False, w.output()[-1500:])
                self.add()

    def programs(self):
        """Those that must get a processor in time, and their pids."""
        with self.guard:
            pids = {self.names[w]: w.pid for w in self.live}
        return {**pids, "redis": self.stack.redis.pid}

    def settled(self):
        try:
            return self.stack.settled(0.1)
        except redis.RedisError:
            return False

    # ---- the run

    def send(self):
        self.journal = os.path.join(self.folder, "journal.jsonl")
        words = {"gateways": ",".join("127.0.0.1:%d" % g.port for g in self.gateways), "secret": SECRET,
                 "journal": self.journal, "chats": self.chats, "first": FIRST, "rate": self.rate,
                 "seconds": self.seconds, "seed": self.seed, "bursts": 0.9 if self.calm else 0.3, **self.words}
        self.sender = Process(["/usr/bin/python3", os.path.join(HERE, "sender.py")] + [
            "%s=%s" % w for w in words.items()], os.path.join(self.folder, "sender.log"))

    def run(self):
        began = time.monotonic()
        self.send()
        threading.Thread(target=self.watch, daemon=True).start()
        machine = Machine(self.programs, self.log)
        threading.Thread(target=machine.watch, args=(self.stop_watch,), daemon=True).start()
        for when, kind in self.schedule():
            time.sleep(max(0, began + when - time.monotonic()))
            if not self.sender.running():
                break
            self.launch(kind)
        for t in self.threads:
            t.join(120)
        self.ended = faults.now_ms()
        self.stack.control("DELETE", "faults")
        code = self.sender.wait(max(0, began + self.seconds + EMPTY_S - time.monotonic()))
        check("the sender got everything accepted", code == 0, self.sender.output()[-1500:])
        waiting = time.monotonic()
        check("the queue empties", wait_for(self.settled, EMPTY_S, 0.05), self.stack.queue())
        self.emptied = time.monotonic() - waiting
        time.sleep(0.5)
        self.stop_watch.set()
        time.sleep(0.2)  # for what the watchers still have to say

    def end(self):
        """What is left, first with the workers alive, then without them."""
        imbalance = [wait_for(lambda: [self.stack.metrics(w)['shoal_queue_imbalance{shard="0"}']], 15)
                     for w in self.workers()]
        self.stack.stop_workers()
        judge.dump_tables(self.folder, self.stack.pg.url)
        judge.dump_queue(self.folder, "127.0.0.1", self.stack.redis.port)
        shutil.move(self.stack.record, os.path.join(self.folder, "calls.jsonl"))
        self.fault_log.close()
        with open(os.path.join(self.folder, "run.json"), "w", encoding="utf-8") as f:
            json.dump({"replies": REPLIES, "calm": self.calm, "kinds": self.kinds, "seconds": self.seconds,
                       "seed": self.seed, "emptied_s": round(self.emptied, 2), "ended": self.ended,
                       "metric_imbalance": [value[0] if value else None for value in imbalance],
                       "watched": self.watched, "limited": {LIMITED: PLACES},
                       "sender": json.loads(self.sender.output().splitlines()[-1])}, f)
        for name in os.listdir(self.stack.folder):
            if name.endswith(".log"):
                shutil.copy(os.path.join(self.stack.folder, name), self.folder)


def main():
    c = Chaos(binary_from_argv())
    c.begin()
    try:
        c.run()
    finally:
        c.stop_watch.set()
    c.end()
    missing = [k for k in c.kinds if not c.seen.get(k)]
    if c.seconds <= 60 and not c.calm:
        check("every kind of fault took place", not missing, missing)
    for promise in judge.judge(judge.load(c.folder)).lines():
        check(*promise)
    finish()


if __name__ == "__main__":
    main()
