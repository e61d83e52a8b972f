"""Redis fails over under load, and a judge of what came of it.

    run.py [BINARY]     by environment: SCENES (plain,cluster,sentinel), SECONDS (of each scene), RATE, CHATS, WORKERS, SEED

plain: three servers, one shard each; one is killed and comes back after a while. cluster: six shards on three masters
with a replica each; a master is killed, later another one. sentinel: a master and two replicas; the master is killed, and
the next one stands still until it was replaced, then goes on. Every server keeps its log as SHOAL_REDIS_URL should.

The sender and the judge are those of the chaos runs; what a scene leaves is in build/failover/SCENE, and
tests/chaos/check.py judges it again."""
import json
import os
import shutil
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("..", "../chaos"):
    sys.path.insert(0, os.path.join(HERE, folder))
import redis  # noqa: E402
from lib import Process, Redis, check, finish, free_port, temp_dir, wait_for  # noqa: E402
from cluster import Cluster, Sentinels, shard_of  # noqa: E402
from stack import SECRET, Stack, binary_from_argv, light  # noqa: E402
import check as judge  # noqa: E402

FIRST, REPLIES, EMPTY_S = 1000000, 50, 180
AWAY_S = 3   # so long a killed server that nobody replaces stays away
ERRORS = (redis.RedisError, OSError, RuntimeError, LookupError, AttributeError, TypeError)


def option(name, default):
    value = os.environ.get(name)
    return type(default)(value) if value else default


def now_ms():
    return time.time_ns() // 1000000


class Plain:
    """Three servers, a shard each."""
    shards = 3

    def __init__(self):
        self.nodes = [Redis(temp_dir(), free_port()) for _ in range(3)]
        self.url = ",".join(n.url for n in self.nodes)

    def client(self, shard=0):
        return self.nodes[shard].client(socket_timeout=2)

    def masters(self):
        return self.nodes

    def faults(self):
        return [("killed, back after %d s" % AWAY_S, lambda: self.killed(1)), ("killed again", lambda: self.killed(2))]

    def killed(self, shard):
        self.nodes[shard].kill()
        time.sleep(AWAY_S)
        self.nodes[shard] = self.nodes[shard].again()
        return [shard]

    def mend(self):
        pass

    def stop(self):
        for n in self.nodes:
            n.stop()


class Clustered:
    """Six shards on three masters, each with a replica."""
    shards = 6

    def __init__(self):
        self.cluster = Cluster()
        self.url = self.cluster.url(self.shards)
        self.dead = None

    def client(self, shard=0):
        return self.cluster.client("shoal:{%d}:updates" % shard)

    def masters(self):
        return [n for n in self.cluster.running() if n.client(socket_timeout=2).execute_command("ROLE")[0] == b"master"]

    def faults(self):
        return [("master killed", lambda: self.killed(0)), ("another master killed", lambda: self.killed(1))]

    def killed(self, shard):
        self.mend()
        victim = self.cluster.owner("shoal:{%d}:updates" % shard)
        hit = [n for n in range(self.shards) if self.cluster.owner("shoal:{%d}:updates" % n) is victim]
        victim.kill()
        self.dead = victim
        if not wait_for(lambda: self.cluster.owner("shoal:{%d}:updates" % shard)):
            raise RuntimeError("no replica took over")
        return hit

    def mend(self):
        """The dead one comes back as a replica."""
        if self.dead:
            self.cluster.again(self.dead)
            self.dead = None
            wait_for(lambda: self.cluster.sound(3))

    def stop(self):
        self.cluster.stop()


class Watched:
    """One server with two replicas, and three Sentinels."""
    shards = 1

    def __init__(self):
        self.sentinels = Sentinels()
        self.url = self.sentinels.url()

    def client(self, shard=0):
        del shard
        return wait_for(self.sentinels.master).client(socket_timeout=2)

    def masters(self):
        return [self.sentinels.master()]

    def faults(self):
        return [("master killed", self.killed), ("master stopped until it was replaced", self.stopped)]

    def replaced(self, victim):
        if not wait_for(lambda: self.sentinels.master() not in (None, victim)):
            raise RuntimeError("no replica took over")

    def killed(self):
        victim = self.sentinels.master()
        victim.kill()
        self.replaced(victim)
        nodes = self.sentinels.nodes
        nodes[nodes.index(victim)] = victim.again()
        return [0]

    def stopped(self):
        """It goes on without knowing that there is another one, until it is told."""
        victim = self.sentinels.master()
        victim.send(signal.SIGSTOP)
        self.replaced(victim)
        time.sleep(1)
        victim.send(signal.SIGCONT)
        wait_for(lambda: victim.client(socket_timeout=2).execute_command("ROLE")[0] == b"slave")
        return [0]

    def mend(self):
        pass

    def stop(self):
        self.sentinels.stop()


SCENES = {"plain": Plain, "cluster": Clustered, "sentinel": Watched}


class Scene:
    def __init__(self, name, binary):
        self.name, self.binary = name, os.path.abspath(binary)
        self.folder = os.path.join(os.path.dirname(self.binary), "failover", name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.seconds, self.rate = option("SECONDS", 40), option("RATE", 40 if light() else 120)
        self.chats, self.workers, self.seed = option("CHATS", 300), option("WORKERS", 3), option("SEED", 1)
        self.servers = SCENES[name]()
        self.stack = Stack(self.binary, workers=0, webhook=False, redis=self.servers, SHOAL_LOG_UPDATES=0,
                           pg_conf={"synchronous_commit": "on"})
        self.faults, self.watched, self.over = [], {"looks": 0, "blind": 0, "imbalance": 0, "longest": 0}, threading.Event()
        pg = self.stack.pg
        pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', %s, %s)",
                judge.GREETING, ["answer %d" % n for n in range(REPLIES)])
        pg.rows("INSERT INTO start_codes (code) SELECT 'chaos' || n FROM generate_series(0, 9) n")
        self.stack.control("POST", "messages", {"bot": "persona", "updates": [
            {"user_id": FIRST + i, "text": "hello"} for i in range(self.chats)]})
        self.stack.start_workers(self.workers)

    def watch(self):
        """What is read and not settled is in a lane or waits, in each shard at every moment at which it can be seen."""
        while not self.over.wait(0.7):
            longest = 0
            for n in range(self.servers.shards):
                try:
                    length = judge.books(self.servers.client(n), self.watched, n)
                except ERRORS:
                    continue
                longest += length
            self.watched["longest"] = max(self.watched["longest"], longest)

    def suffer(self, title, fault):
        note = {"kind": "redis-failover", "title": title, "at": now_ms()}
        note["shards"] = fault()
        note["end"] = now_ms()
        self.faults.append(note)

    def settled(self):
        try:
            return all(self.servers.client(n).xlen("shoal:{%d}:updates" % n) == 0 for n in range(self.servers.shards))
        except ERRORS:
            return False

    def run(self):
        words = {"gateways": "127.0.0.1:%d" % self.stack.gateway_port, "secret": SECRET, "chats": self.chats,
                 "journal": os.path.join(self.folder, "journal.jsonl"), "first": FIRST, "rate": self.rate,
                 "seconds": self.seconds, "seed": self.seed}
        sender = Process(["/usr/bin/python3", os.path.join(HERE, "../chaos/sender.py")] + [
            "%s=%s" % w for w in words.items()], os.path.join(self.folder, "sender.log"))
        threading.Thread(target=self.watch, daemon=True).start()
        time.sleep(self.seconds / 6)
        for title, fault in self.servers.faults():
            self.suffer(title, fault)
            time.sleep(self.seconds / 6)
        code = sender.wait(self.seconds + EMPTY_S)
        check(self.name + ": the sender got everything accepted", code == 0, sender.output()[-1500:])
        began = time.monotonic()
        check(self.name + ": the queue empties", wait_for(self.settled, EMPTY_S))
        self.emptied = time.monotonic() - began
        self.over.set()
        self.said = json.loads(sender.output().splitlines()[-1])

    def dump_queue(self):
        keys, groups, dead = {}, [], []
        for n in self.servers.masters():
            r = n.client()
            for key in r.scan_iter(count=1000):
                kind = r.type(key)
                if kind != b"none":
                    keys[key.decode("latin-1")] = {"type": kind.decode(), "size": judge.size_of(r, key),
                                                   "life": r.pttl(key)}
        for n in range(self.servers.shards):
            r = self.servers.client(n)
            groups += [{"name": g["name"].decode(), "pending": g["pending"]}
                       for g in r.xinfo_groups("shoal:{%d}:updates" % n)]
            dead += [{k.decode("latin-1"): v.decode("latin-1") for k, v in fields.items()}
                     for _, fields in r.xrange("shoal:{%d}:dead" % n)]
        with open(os.path.join(self.folder, "queue.json"), "w", encoding="utf-8") as f:
            json.dump({"keys": keys, "groups": groups, "dead": dead}, f)

    def end(self):
        self.stack.stop_workers()
        judge.dump_tables(self.folder, self.stack.pg.url)
        self.servers.mend()
        self.dump_queue()
        shutil.move(self.stack.record, os.path.join(self.folder, "calls.jsonl"))
        with open(os.path.join(self.folder, "faults.jsonl"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(note) + "\n" for note in self.faults)
        with open(os.path.join(self.folder, "run.json"), "w", encoding="utf-8") as f:
            json.dump({"replies": REPLIES, "calm": False, "kinds": [], "seconds": self.seconds, "seed": self.seed,
                       "emptied_s": round(self.emptied, 2), "ended": now_ms(), "metric_imbalance": [],
                       "watched": self.watched, "limited": {}, "sender": self.said}, f)
        for name in os.listdir(self.stack.folder):
            if name.endswith(".log"):
                shutil.copy(os.path.join(self.stack.folder, name), self.folder)

    def longest_gap(self, times, note):
        """ms, without anything in these shards; from a little before the fault to well after it."""
        near = sorted(t for t in times if note["at"] - 500 <= t <= note["end"] + 10000)
        return max((b - a for a, b in zip(near, near[1:])), default=None)

    def gaps(self, data):
        for note in self.faults:
            hit = set(note["shards"])
            for what, times in (("accepted", [(u["chat"], u["at"]) for u in data["sent"]]),
                                ("replied", [(chat, c.at) for chat, calls in data["calls"].items() for c in calls])):
                there = [at for chat, at in times if shard_of("telegram:persona:%d" % chat, self.servers.shards) in hit]
                others = [at for chat, at in times
                          if shard_of("telegram:persona:%d" % chat, self.servers.shards) not in hit]
                print("# %s, %s: nothing %s for %s ms in shards %s, for %s ms in the others" % (
                    self.name, note["title"], what, self.longest_gap(there, note), sorted(hit),
                    self.longest_gap(others, note)))

    def judge(self):
        data = judge.load(self.folder)
        self.gaps(data)
        verdict = judge.judge(data)
        for name, good, why in verdict.lines():
            check("%s: %s" % (self.name, name), good, why)
        print("# %s: lost %d, twice %d, out of order %d, replies missing %d, of %d updates" % (
            self.name, *(verdict[k].broken for k in ("lost", "twice", "order", "missing")), len(data["sent"])))


def main():
    for name in option("SCENES", "plain,cluster,sentinel").split(","):
        scene = Scene(name, binary_from_argv())
        try:
            scene.run()
            scene.end()
        finally:
            scene.over.set()
        scene.judge()
        check("%s: every program ended well" % name, not scene.stack.stop())
        scene.servers.stop()
    finish()


main()
