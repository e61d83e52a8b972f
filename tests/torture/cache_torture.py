"""Stale-fill torture of the caches: readers, writers and invalidations on few keys, while workers are killed and
stopped, connections cut and Redis restarted, also with data of some seconds ago. Then cache_judge.py, which knows
nothing of the caches, looks for a read that was older than an invalidation that had ended before it began.

    cache_torture.py [BINARY]      a sample of some seconds
    OPS=1000000                    so many reads, writes and invalidations
    SEED=1 FAULTS=kill,stop        which chaos; KEEP=folder: logs stay there"""
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
from cache_judge import GONE, Judge, read_logs  # noqa: E402
from lib import PATIENCE, Process, check, clean_env, finish, start_postgres, start_redis, temp_dir, \
    wait_for  # noqa: E402
from stack import light  # noqa: E402

READERS = [{}, {}, {"DEAF": "1"}, {"MEMORY": "0"}]  # deaf: hears of changes from Redis alone
KEYS = ["p1", "p2", "p3", "p4", "c1", "c2", "c3", "c4"]  # each has a writer of its own
LINE = 48  # bytes of a line of a log, about

# Rows are read, and told a while later: what is on its way is old by then.
SLOW = """
ALTER TABLE {0} RENAME TO {1};
CREATE VIEW {0} AS SELECT t.* FROM {1} t, (SELECT pg_sleep(random() * {2}) OFFSET 0) nap;
"""


class Torture:
    def __init__(self, binary, actor, seed, faults=None, env=None):
        self.random = random.Random(seed)
        self.actor, self.env = actor, clean_env(**(env or {}))
        keep = os.environ.get("KEEP")
        self.folder = tempfile.mkdtemp(prefix="seed-%d-" % seed, dir=keep) if keep else temp_dir()
        self.redis = start_redis(aof_load_truncated="yes", auto_aof_rewrite_percentage="0")
        self.pg = start_postgres(max_connections="60")
        self.redis_files = threading.Lock()
        made = Process([binary, "migrate"], os.path.join(self.folder, "migrate.log"), env=clean_env(
            SHOAL_POSTGRES_URL=self.pg.url, SHOAL_REDIS_URL=self.redis.url))
        if made.wait() != 0:
            raise RuntimeError("migrate: " + made.output())
        nap = self.env.get("NAP", "0.02")
        self.pg.rows(SLOW.format("players", "real_players", nap) + SLOW.format("start_codes", "real_codes", nap))
        self.pg.rows("INSERT INTO real_players (discord_uid, player_name) SELECT i, 'v1' FROM generate_series(1, 9) i; "
                     "INSERT INTO real_codes (code, max_uses) SELECT 'c' || i, 1 FROM generate_series(1, 9) i")
        self.faults = {name: fn for name, fn in FAULTS.items() if not faults or name in faults}
        self.done = {name: 0 for name in self.faults}
        self.logs, self.readers, self.number = [], [], 0
        self.copies = []  # of Redis' files, with their age
        self.writers = [self.start("write", key) for key in KEYS]
        for kind in READERS:
            self.add_reader(kind)

    def start(self, verb, *keys, env=None):
        self.number += 1
        name = "%s%d" % (verb, self.number)
        log = os.path.join(self.folder, name + ".events")
        self.logs.append((name, log))
        p = Process([self.actor, verb, name, log, self.redis.url, self.pg.url, *keys],
                    os.path.join(self.folder, name + ".log"), env={**self.env, **(env or {})})
        p.name, p.events, p.kind = name, log, env
        return p

    def add_reader(self, kind):
        p = self.start("read", *KEYS, env=kind)
        self.readers.append(p)
        return p

    def ops(self):
        return sum(os.path.getsize(log) for _, log in self.logs if os.path.exists(log)) // LINE

    def acks(self):
        n = 0
        for name, log in self.logs:
            if name.startswith("write") and os.path.exists(log):
                with open(log, "rb") as f:
                    n += f.read().count(b"\nA ")
        return n

    # ---- chaos

    def keep_copy(self):
        """Redis' files as they are now, to be put back later."""
        to = os.path.join(self.folder, "copy-%d" % len(self.copies))
        shutil.rmtree(to, ignore_errors=True)
        try:
            shutil.copytree(os.path.join(self.redis.folder, "appendonlydir"), to)
        except (OSError, shutil.Error):
            return
        self.copies.append((time.monotonic(), to))

    def disturb(self):
        names = sorted(self.faults)
        name = self.random.choices(names, [1 if n in HEAVY else 4 for n in names])[0]
        try:
            self.faults[name](self)
            self.done[name] += 1
        except Exception as e:  # a server that is away refuses what the chaos asks of it, too
            if "redis" not in type(e).__module__ and "psycopg2" not in type(e).__module__:
                raise

    def run(self, ops, seconds):
        end = time.monotonic() + seconds
        copied = 0
        while time.monotonic() < end and self.ops() < ops:
            if time.monotonic() - copied > 1:
                copied = time.monotonic()
                self.keep_copy()
            if self.faults:
                self.disturb()
            time.sleep(self.random.choice([0.02, 0.1, 0.3, 0.6]))
        return self

    # ---- and rest

    def rest(self):
        """Everybody reads the newest of everything, sooner or later."""
        for p in self.readers + self.writers:
            p.send(signal.SIGCONT)
        self.redis.send(signal.SIGCONT)
        self.redis.client().config_set("maxmemory", 0)
        for p in self.writers:
            p.send(signal.SIGTERM)
        codes = [p.wait() for p in self.writers]
        check("writers ended well", not any(codes), "\n".join(p.output()[-500:] for p in self.writers))
        dead = [p for p in self.readers if not p.running()]
        check("readers ended only where they were killed", not dead, "\n".join(p.output()[-2000:] for p in dead))
        newest = {}
        for name, log in self.logs:
            if name.startswith("write"):
                with open(log, encoding="ascii") as f:
                    for w in (line.split() for line in f):
                        if w[0] == "W":
                            newest[w[3]] = GONE if w[5] == "gone" else int(w[4])
        self.rested = None

        def all_newest():
            since = time.monotonic_ns()
            time.sleep(0.5)
            for p in self.readers:
                last = {}
                with open(p.events, "rb") as f:
                    f.seek(max(0, os.path.getsize(p.events) - 40000))
                    for w in (line.split() for line in f.read().decode("ascii", "replace").split("\n")[1:-1]):
                        if w and w[0] == "R" and int(w[1]) > since:
                            last[w[3]] = int(w[4])
                if last != newest:
                    return False
            self.rested = since
            return True
        wait_for(all_newest, PATIENCE)
        for p in self.readers:
            p.stop(signal.SIGKILL)

    def look(self):
        """What the judge finds so far. Changes are written down a moment after they can be read."""
        until = time.monotonic_ns()
        time.sleep(0.5)
        keys, reads, _ = read_logs(self.logs, until)
        j = Judge(keys, reads).judge()
        return j.problems, j.reports

    def stop(self):
        for p in self.readers + self.writers:
            p.stop(signal.SIGKILL)
        self.redis.stop()
        self.pg.stop()

    def judge(self):
        self.rest()
        keys, reads, counts = read_logs(self.logs)
        j = Judge(keys, reads).judge()
        if self.rested:
            j.rested(self.rested, [p.name for p in self.readers])
        else:
            j.wrong("after rest not everybody read the newest within %d s" % PATIENCE)
        return j, counts


# ---- what may happen

def kill(t):
    p = t.readers.pop(t.random.randrange(len(t.readers)))
    p.kill()
    t.add_reader(p.kind)


def halt(p, seconds):
    p.send(signal.SIGSTOP)
    timer = threading.Timer(seconds, p.send, [signal.SIGCONT])
    timer.daemon = True
    timer.start()


def stop(t):
    halt(t.random.choice(t.readers), t.random.choice([0.1, 0.3, 1, 1.9, 2.1, 2.5, 4]))


def hiccup(t):
    """Stopped again and again for a few ms, wherever they stand: answers and messages of that time come all at once."""
    some = t.random.sample(t.readers, t.random.randrange(1, len(t.readers) + 1))
    for _ in range(20):
        for p in some:
            p.send(signal.SIGSTOP)
        time.sleep(t.random.choice([0.002, 0.01, 0.03]))
        for p in some:
            p.send(signal.SIGCONT)
        time.sleep(0.01)


def cut_tracking(t):
    c = t.redis.client(socket_timeout=2)
    ids = [x["id"] for x in c.client_list(_type="pubsub")]
    some = ids if t.random.random() < 0.3 else t.random.sample(ids, min(1, len(ids)))
    for i in some:
        c.execute_command("CLIENT", "KILL", "ID", i)


def cut_redis(t):
    t.redis.client(socket_timeout=2).execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def cut_listeners(t):
    t.pg.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%%shoal_echo%%' "
              "AND pid <> pg_backend_pid() AND random() < " + t.random.choice(["0.3", "1"]))


def cut_postgres(t):
    t.pg.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'read%%' "
              "AND query NOT LIKE '%%shoal_echo%%' AND random() < 0.5")


def redis_again(t, before=lambda: None):
    t.redis.kill()
    before()
    t.redis = t.redis.again()


def restart_redis(t):
    redis_again(t)


def restart_redis_with_old_data(t):
    """Of a second to five ago."""
    old = [folder for at, folder in t.copies if 1 <= time.monotonic() - at <= 5]
    if not old:
        return

    def put_back():
        there = os.path.join(t.redis.folder, "appendonlydir")
        shutil.rmtree(there)
        shutil.copytree(t.random.choice(old), there)
    redis_again(t, put_back)


def stop_redis(t):
    halt(t.redis, t.random.choice([0.05, 0.2, 0.8, 2.2]))


def delay_writes(t):
    """Fills, voids and posts wait; what only reads goes on."""
    t.redis.client(socket_timeout=2).execute_command("CLIENT", "PAUSE", t.random.choice([20, 100, 400]), "WRITE")


def empty_redis(t):
    t.redis.client(socket_timeout=2).flushall()


def forget_scripts(t):
    t.redis.client(socket_timeout=2).script_flush()


def drop_generations(t):
    t.redis.client(socket_timeout=2).delete("shoal:{cache}:v:player", "shoal:{cache}:v:startcode")


def fill_redis(t):
    c = t.redis.client(socket_timeout=2)
    c.config_set("maxmemory", 1)
    time.sleep(t.random.uniform(0.05, 0.3))
    c.config_set("maxmemory", 0)


FAULTS = {"kill": kill, "stop": stop, "hiccup": hiccup, "cut_tracking": cut_tracking, "cut_redis": cut_redis,
          "cut_listeners": cut_listeners, "cut_postgres": cut_postgres, "restart_redis": restart_redis,
          "old_redis": restart_redis_with_old_data, "stop_redis": stop_redis, "delay_writes": delay_writes,
          "empty_redis": empty_redis, "forget_scripts": forget_scripts, "drop_generations": drop_generations,
          "full_redis": fill_redis}
HEAVY = ("restart_redis", "old_redis", "empty_redis", "stop", "stop_redis")  # fences wait for them, up to 2 s


def percentile(sorted_list, p):
    return sorted_list[min(len(sorted_list) - 1, int(len(sorted_list) * p))] / 1e6 if sorted_list else 0


def tell(t, j, counts, took):
    acks = sum(len(k.acks) for k in j.keys.values())
    lag = sorted(j.lag)
    print("# %d reads (%s), %d errors, %d versions, %d invalidations acknowledged, %d not, in %.0f s" % (
        sum(j.layers.values()), ", ".join("%s %d" % x for x in sorted(j.layers.items())), counts["errors"],
        sum(k.newest - 1 for k in j.keys.values()), acks, counts["failed"], took))
    print("# chaos: " + ", ".join("%s %d" % x for x in sorted(t.done.items())))
    print("# reads begun after a commit that did not see it yet: %d; how long after, ms: p50 %.1f p99 %.1f max %.1f; "
          "steps back while a change was under way: %d; reads cut off from Redis and behind: %d" % (
              len(lag), percentile(lag, 0.5), percentile(lag, 0.99), percentile(lag, 1), j.backward, j.behind))
    return acks


def main():
    binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/shoal")
    actor = os.path.join(os.path.dirname(binary), "tests", "torture", "cache_actor")
    ops = int(os.environ.get("OPS", 0))
    faults = os.environ.get("FAULTS")
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    print("# seed %d" % seed)
    began = time.monotonic()
    t = Torture(binary, actor, seed, faults.split(",") if faults else None)
    check("it runs", wait_for(lambda: t.ops() > 1000))
    t.run(ops or 10**9, 3600 if ops else 5 if light() else 8)
    wait_for(lambda: t.acks() >= 50)
    j, counts = t.judge()
    acks = tell(t, j, counts, time.monotonic() - began)
    check("no read is older than what it followed", not j.problems, "\n".join(j.reports))
    check("there was enough to be judged", acks >= 50 and j.layers.get("m", 0) > 300 and j.layers.get("g", 0) > 100)
    if ops:
        check("all of it was done", sum(j.layers.values()) + acks >= ops * 0.9)
    finish()


if __name__ == "__main__":
    main()
