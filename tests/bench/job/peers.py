"""What others would use instead, as they would write it: in tests/bench/peers. Each is made ready in build/bench/peers, with what
its lock file names; codes and personas are in Redis, where all of its processes share them."""
import json
import os
import shutil
import subprocess

from lib import Process, clean_env
from rig import SENT, TOKEN

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
BUILT = os.path.abspath("build/bench/peers")
STREAM = "bench:updates"


def short(text):
    return " ".join(text.split())[-200:]


class Peer:
    ordered = False

    def __init__(self, folder, name, updates, concurrency, connections, grouped=False):
        self.folder, self.name, self.updates, self.grouped = folder, name, updates, grouped
        self.concurrency, self.connections = concurrency, connections
        self.source, self.built = os.path.join(SOURCES, folder), os.path.join(BUILT, folder)

    def environment(self, rig, **more):
        return clean_env(REDIS_PORT=rig.redis.port, PG_PORT=rig.pg.port, PG_USER=rig.pg.user, PG_DATABASE=rig.database,
                         PG_CONNECTIONS=self.connections, PLATFORM=rig.standin_url, TOKEN=TOKEN, STREAM=STREAM,
                         CONCURRENCY=self.concurrency, GROUPED="1" if self.grouped else None, NODE_ENV="production", **more)

    def cache(self, rig):
        r = rig.redis.client()
        r.hset("bench:codes", mapping={c: json.dumps({"code": c, "persona": p}) for c, p in rig.rows(
            "SELECT code, persona_id FROM start_codes")})
        r.hset("bench:personas", mapping={i: json.dumps({"id": i, "name": n}) for i, n in rig.rows(
            "SELECT id, name FROM personas")})
        r.xgroup_create(STREAM, "workers", "0", mkstream=True)

    def fill(self, rig, load):
        self.cache(rig)
        rig.send(load, "xadd", "127.0.0.1", rig.redis.port, STREAM)

    def paced(self, rig, load, rate):
        return rig.send(load, "xadd", "127.0.0.1", rig.redis.port, STREAM, rate=rate)

    def start(self, rig, number):
        p = Process(self.argv(), rig.log("%d-%s-%d" % (rig.runs, self.folder, number)), cwd=self.built,
                    env=self.environment(rig, CONSUMER="w%d" % number))
        p.ready = lambda: "ready" in p.output()
        return p

    def settled(self, rig):
        return rig.redis.client().xlen(STREAM) == 0

    def inside(self, _):
        return {}


class Node(Peer):
    def missing(self):
        """Why it cannot run here, or None."""
        for tool in ("node", "npm"):
            if not shutil.which(tool):
                return "there is no " + tool
        shutil.copytree(self.source, self.built, dirs_exist_ok=True)
        shutil.copy(os.path.join(SOURCES, "rows.js"), self.built)  # two of them write rows alike
        lock, there = (os.path.join(self.built, f) for f in ("package-lock.json", "installed.json"))
        with open(lock, "rb") as f:
            wanted = f.read()
        if not os.path.exists(there) or open(there, "rb").read() != wanted:
            done = subprocess.run(["npm", "install"], cwd=self.built, capture_output=True, text=True, check=False)
            if done.returncode:
                return "npm install failed: " + short(done.stderr)
            shutil.copy(lock, there)
        return None

    def argv(self):
        return ["node", "main.js"]


class BullMQ(Node):
    """Updates are jobs, added by its own queue."""

    def add(self, rig, load, rate, kept=""):
        updates = subprocess.run([os.path.join(rig.tools, "send"), *load.argv(), "print"], capture_output=True, check=True).stdout
        done = subprocess.run(["node", "add.js", str(rate), kept], input=updates, cwd=self.built, env=self.environment(rig),
                              capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError("add.js: " + done.stderr.decode())

    def fill(self, rig, load):
        self.cache(rig)
        self.add(rig, load, 0)

    def paced(self, rig, load, rate):
        kept = rig.log("sent")
        self.add(rig, load, rate, kept)
        with open(kept, "rb") as f:
            return list(SENT.iter_unpack(f.read()))

    def settled(self, rig):
        r = rig.redis.client()
        return r.llen("bull:updates:wait") == 0 and r.llen("bull:updates:active") == 0


class Go(Peer):
    """From Debian's packages, as they stand in /usr/share/gocode."""

    def missing(self):
        if not shutil.which("go"):
            return "there is no go"
        os.makedirs(self.built, exist_ok=True)
        env = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": os.path.join(BUILT, "go-cache"),
               "GOFLAGS": ""}
        done = subprocess.run(["go", "build", "-o", self.argv()[0], os.path.join(self.source, "main.go")], env=env,
                              capture_output=True, text=True, check=False)
        return "go build failed: " + short(done.stderr) if done.returncode else None

    def argv(self):
        return [os.path.join(self.built, "worker")]


class Python(Peer):
    def missing(self):
        os.makedirs(self.built, exist_ok=True)
        done = subprocess.run(["/usr/bin/python3", "-c", "import redis.asyncio, asyncpg, aiohttp"], capture_output=True,
                              text=True, check=False)
        return short(done.stderr) if done.returncode else None

    def argv(self):
        return ["/usr/bin/python3", os.path.join(self.source, "main.py")]


# The number of updates is three seconds' work at least, and enough for a compiler that learns; then how many at once, and over
# how many connections to Postgres: --tune tries what else there is.
PEERS = [
    BullMQ("bullmq", "BullMQ", 12000, 64, 16),
    BullMQ("bullmq", "BullMQ (grouped)", 18000, 128, 4, grouped=True),
    Node("grammy", "grammY", 12000, 64, 16),
    Python("python", "Python asyncio", 8000, 64, 16),
    Node("streams", "Node on streams", 12000, 128, 16),
    Node("streams", "Node on streams (grouped)", 18000, 128, 4, grouped=True),
    Go("go", "Go on streams", 16000, 64, 16),
    Go("go", "Go on streams (grouped)", 25000, 128, 4, grouped=True),
]
