"""Where the reference job is done: a Redis and a database for each run, one PostgreSQL for all, the stand-in of the platform,
and what their processes cost."""
import json
import os
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
from lib import Process, clean_env, free_port, http, start_postgres, start_redis, temp_dir, wait_for  # noqa: E402

FIRST_PERSON, STRIDE, UPDATE_ID = 5000001, 7368787, 10**9  # as in send/update.c
SECRET, TOKEN = "secret-of-the-bench", "100000001:token-of-the-bench"
PERSONAS = 4
REPLY, SENT = struct.Struct("<qqq16s"), struct.Struct("<qqqq")
# Enough memory, and no checkpoint or vacuum in a run of seconds; every commit waits for the disk.
POSTGRES = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "2GB",
            "wal_buffers": "16MB", "max_wal_size": "16GB", "checkpoint_timeout": "1h", "autovacuum": "off",
            "max_connections": "200", "jit": "off"}
PERSISTENCE = {"off": {"appendonly": "no"}, **{k: {"appendonly": "yes", "appendfsync": k} for k in ("no", "everysec", "always")}}
# Pages have room, as where rows have come and gone for a while. What is put in is right: no foreign key has to be looked up.
SEED = """
SET LOCAL session_replication_role = replica;
ALTER TABLE users SET (fillfactor = 70);
ALTER TABLE chats SET (fillfactor = 70);
INSERT INTO personas (key, name) SELECT CASE WHEN n = 0 THEN 'default' ELSE 'p' || n END, 'No. ' || n
	FROM generate_series(0, %(personas)s - 1) n ORDER BY n;
INSERT INTO start_codes (code, persona_id) SELECT 'CODE' || n, p.id FROM generate_series(0, %(codes)s - 1) n
	JOIN personas p ON p.name = 'No. ' || n %% %(personas)s ORDER BY n;
"""
NEW_PEOPLE = """
INSERT INTO users (telegram_id, first_name, age_verified_at)
	SELECT %(first)s + n, 'Somebody', now() FROM generate_series(0, %(people)s - 1) n;
"""
# Those who have come by a code before: their names are what is sent.
KNOWN_PEOPLE = """
INSERT INTO users (telegram_id, first_name, username, language_code, acquisition_source, age_verified_at)
	SELECT %(first)s + n, 'Persephone', 'anchor_lantern_' || %(first)s + n, 'en', 'CODE0', now()
	FROM generate_series(0, %(people)s - 1) n;
INSERT INTO start_code_uses (code_id, user_id) SELECT c.id, u.id FROM users u JOIN start_codes c ON c.code = 'CODE0' ORDER BY u.id;
"""
CHATS = "INSERT INTO chats (user_id, persona_id, opened_at) SELECT u.id, p.id, now() FROM users u, personas p ORDER BY u.id, p.id"
# Keys of updates that came before, as the queue knows them.
REMEMBER = """
for n = 1, ARGV[1], 1000 do
	local kept = {}
	for i = n, math.min(n + 999, ARGV[1]) do
		kept[#kept + 1] = 'telegram:persona:' .. 10000000 + i
		kept[#kept + 1] = '1-' .. i
	end
	redis.call('HSET', KEYS[1], unpack(kept))
end
"""


class Load:
    """What is sent, and what is to come of it: the same rules as send/update.c, written a second time."""

    def __init__(self, count, people=10000, codes=100, first=0, mix=False):
        self.count, self.people, self.codes, self.first, self.mix = count, people, codes, first, mix

    def person(self, n):
        return FIRST_PERSON + n % self.people * STRIDE % self.people

    def code(self, n):
        return (n * 31 + n // max(self.people, self.codes)) % self.codes

    def kind(self, n):
        """Which of the ten that everybody does, of the mix."""
        return (self.first + n + (self.first + n) // self.people) % 10

    def calls(self):
        """What the platform is asked for all of it: a message each; where a button was pressed it is taken away before."""
        return self.count + self.mix * sum(self.kind(n) == 3 for n in range(self.count))

    def argv(self):
        return ["-n", str(self.count), "-u", str(self.people), "-c", str(self.codes), "-i", str(self.first), *["-m"] * self.mix]


def cpu_s(pid):
    """Seconds that the processors have spent on a process, to the nanosecond (its clock by clock_getcpuclockid(3)), and
    on its children that have ended."""
    with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as f:
        ticks = f.read().rsplit(")", 1)[1].split()[13:15]
    return time.clock_gettime(~pid << 3 | 2) + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def tree(pid):
    """A process and what it has started."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
            return [pid] + [p for child in f.read().split() for p in tree(int(child))]
    except (FileNotFoundError, ProcessLookupError):
        return []


def tree_cpu_s(pid):
    total = 0.0
    for p in reversed(tree(pid)):
        try:
            total += cpu_s(p)
        except OSError:  # ended meanwhile: it is among its parent's
            pass
    return total


def memory_mb(pid):
    """RSS and RssAnon of a process and what it has started, MiB."""
    rss = anon = 0
    for p in tree(pid):
        try:
            with open("/proc/%d/status" % p, encoding="utf-8", errors="replace") as f:
                said = dict(line.split(":", 1) for line in f if line.startswith(("VmRSS", "RssAnon")))
            rss, anon = rss + int(said["VmRSS"].split()[0]), anon + int(said["RssAnon"].split()[0])
        except (OSError, KeyError):
            pass
    return rss / 1024, anon / 1024


def processors():
    """All processors together since the start, in ticks: time, and idle time of it (a wait for the disk is none)."""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(n) for n in f.readline().split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4], ticks[4]


class Rig:
    def __init__(self, binary, people=10000, codes=100, appendfsync="everysec", **postgres):
        self.binary = os.path.abspath(binary)
        self.tools = os.path.join(os.path.dirname(self.binary), "tests", "bench")
        if not os.path.exists(os.path.join(self.tools, "standin")):  # the binary of another tree
            self.tools = "build/tests/bench"
        self.people, self.codes, self.personas, self.appendfsync = people, codes, PERSONAS, appendfsync
        self.came_before = False  # everybody has a source already, and Redis knows an update of each
        self.folder = temp_dir()
        self.pg = start_postgres(**{**POSTGRES, **postgres})
        self.standin_port = free_port()
        self.standin_url = "http://127.0.0.1:%d" % self.standin_port
        self.standin = Process([os.path.join(self.tools, "standin"), str(self.standin_port)], self.log("standin"))
        if not wait_for(lambda: self.replies() == 0):
            raise RuntimeError("the stand-in did not start: " + self.standin.output())
        self.seeds, self.runs, self.redis, self.more = {}, 0, None, []  # more: (as what it counts, server) beside

    def log(self, name):
        return os.path.join(self.folder, name + ".log")

    # ---- databases

    def _admin(self, sql):
        self._run("postgres", sql)

    def _run(self, database, sql):
        db = self.pg.connect(database)
        db.autocommit = True
        with db.cursor() as cur:
            cur.execute(sql)
        db.close()

    def _migrate(self, binary, url):
        env = clean_env(SHOAL_POSTGRES_URL=url, SHOAL_LOG="warn")
        done = subprocess.run([binary, "migrate"], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError("shoal migrate: " + done.stdout + done.stderr)

    def url(self, database):
        return self.pg.url.rsplit("/", 1)[0] + "/" + database

    def seed(self, binary):
        """A database with this binary's schema, the people and the codes; made once."""
        key = (binary, self.people, self.codes, self.personas, self.came_before)
        if key not in self.seeds:
            name = self.seeds[key] = "seed_%d" % len(self.seeds)
            self._admin("CREATE DATABASE " + name)
            self._migrate(binary, self.url(name))
            db = self.pg.connect(name)
            with db, db.cursor() as cur:
                cur.execute(SEED + (KNOWN_PEOPLE if self.came_before else NEW_PEOPLE) + CHATS, {
                    "personas": self.personas, "codes": self.codes, "people": self.people, "first": FIRST_PERSON})
            db.autocommit = True
            with db.cursor() as cur:
                cur.execute("CREATE EXTENSION pg_prewarm")
                cur.execute("VACUUM ANALYZE")
            db.close()
        return self.seeds[key]

    def rows(self, sql):
        db = self.pg.connect(self.database)
        try:
            with db.cursor() as cur:
                cur.execute(sql)
                return cur.fetchall()
        finally:
            db.close()

    # ---- a run

    def add_redis(self, counts_as):
        """One more Redis for this run, beside the first."""
        r = start_redis(save="", **{"auto_aof_rewrite_percentage": 0, **PERSISTENCE[self.appendfsync]})
        self.more.append((counts_as, r))
        return r

    def written(self):
        """What Postgres has written up to now: times that it waited for the disk, and bytes, of its log. Whole when those who
        wrote are gone."""
        return self.rows("SELECT wal_sync, wal_bytes::bigint FROM pg_stat_wal")[0]

    def fresh(self, binary=None):
        """An empty Redis, a database as it was seeded, and a platform that has forgotten all."""
        self.runs += 1
        seed = self.seed(os.path.abspath(binary or self.binary))
        for r in [self.redis, *(p for _, p in self.more)] if self.redis else []:
            r.stop()
        self.more = []
        if self.redis:
            self._admin("DROP DATABASE %s WITH (FORCE)" % self.database)
        self.database = "run_%d" % self.runs
        # So copied, every page is in Postgres' log already: after a checkpoint the first change of each is dear, and where
        # checkpoints are rare, as they should be, few changes are first.
        self._admin("CREATE DATABASE %s TEMPLATE %s STRATEGY wal_log" % (self.database, seed))
        self.pg_url = self.url(self.database)
        self.rows("SELECT sum(pg_prewarm(oid)) FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace")
        self.redis = start_redis(save="", **{"auto_aof_rewrite_percentage": 0, **PERSISTENCE[self.appendfsync]})
        if self.came_before:
            self.redis.client().eval(REMEMBER, 1, "shoal:{0}:seen", self.people)
        http("GET", self.standin_url + "/bench/forget")

    def send(self, load, *where, rate=0, press=False):
        """Runs the sender to its end; [due, sent, answered, person] of each update, in ns."""
        kept = os.path.join(self.folder, "sent")
        argv = [os.path.join(self.tools, "send"), *load.argv(), "-o", kept, *(["-r", str(rate)] if rate else []),
                *(["-p"] if press else []), *map(str, where)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError("send: " + done.stderr)
        with open(kept, "rb") as f:
            return list(SENT.iter_unpack(f.read()))

    def replies(self):
        return int(http("GET", self.standin_url + "/bench/replies", timeout=10).body)

    def record(self):
        """(ns, chat, number or -1, method) of each call that the platform got, oldest first."""
        body = http("GET", self.standin_url + "/bench/record").body
        return [(at, chat, number, method.rstrip(b"\0").decode()) for at, chat, number, method in REPLY.iter_unpack(body)]

    def snapshot(self, workers):
        now = {"at": time.monotonic(), "processors": processors(), "replies": self.replies()}
        now["cpu"] = {"worker": sum(tree_cpu_s(w.pid) for w in workers), "redis": tree_cpu_s(self.redis.pid),
                      "postgres": tree_cpu_s(self.pg.pid), "standin": cpu_s(self.standin.pid)}
        for name, p in self.more:
            now["cpu"][name] = now["cpu"].get(name, 0) + tree_cpu_s(p.pid)
        return now


def save(path, what):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(what, f, indent=1)
        f.write("\n")
