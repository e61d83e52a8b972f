"""Who does the reference job, and how each is filled, started and known to be ready."""
import json
import os
import shutil
import subprocess
import sys

from lib import Process, clean_env, free_port, http, wait_for
from rig import SECRET, TOKEN

PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
STREAM = "shoal:{0}:updates"


class Shoal:
    """The program itself: lanes, fencing, stored effects, flood budget, user's rate and metrics on; budgets set so high
    that nothing waits for them. No log line for each update, as the peers write none."""

    ordered = True  # keeps order per chat, and says nothing twice
    grouped = False
    stream = STREAM

    def __init__(self, binary, name="Shoal", updates=60000, **env):
        self.binary, self.name, self.updates, self.env = os.path.abspath(binary), name, updates, env

    def missing(self):
        return None

    def environment(self, rig, **more):
        values = {
            "SHOAL_REDIS_URL": rig.redis.url, "SHOAL_POSTGRES_URL": rig.pg_url, "SHOAL_BOTS": "persona",
            "SHOAL_PERSONA_TOKEN": TOKEN, "SHOAL_WEBHOOK_SECRET": SECRET, "SHOAL_TELEGRAM_API": rig.standin_url,
            "SHOAL_FLOOD_BOT": "1000000/1", "SHOAL_FLOOD_CHAT": "1000/1", "SHOAL_USER_RATE": "1000/1",
            "SHOAL_LOG": "warn", "SHOAL_LOG_UPDATES": "0", **self.env, **more}
        return clean_env(**values)

    def fill(self, rig, load):
        rig.send(load, "xadd", "127.0.0.1", rig.redis.port, self.stream)

    def paced(self, rig, load, rate):
        return rig.send(load, "xadd", "127.0.0.1", rig.redis.port, self.stream, rate=rate)

    def program(self, rig, verb, name, **env):
        """A running worker or gateway; .metrics: where it tells about itself."""
        port = free_port()
        p = Process([self.binary, verb], rig.log("%d-%s" % (rig.runs, name)),
                    env=self.environment(rig, SHOAL_METRICS_LISTEN="127.0.0.1:%d" % port, **env))
        p.metrics = "http://127.0.0.1:%d/metrics" % port
        p.ready = lambda: http("GET", "http://127.0.0.1:%d/readyz" % port, timeout=5).status == 200
        return p

    def start(self, rig, number):
        return self.program(rig, "worker", "worker-%d" % number, SHOAL_WORKER_ID="w%d" % number)

    def settled(self, rig):
        return rig.redis.client().xlen(self.stream) == 0


class Peer(Shoal):
    """What others would write, in peers/FOLDER. Codes and personas are in Redis, where all of its processes share them."""

    ordered = False
    stream = "bench:updates"

    def __init__(self, folder, name, argv, updates, grouped=False, concurrency=64, tools=()):
        self.folder, self.name, self.updates, self.grouped = folder, name, updates, grouped
        self.argv, self.concurrency, self.tools = argv, concurrency, tools

    def missing(self):
        """Why it cannot run here, or None."""
        for tool in self.tools:
            if not shutil.which(tool):
                return "there is no " + tool
        return self.prepare()

    def prepare(self):
        return None

    def environment(self, rig, **more):
        return clean_env(REDIS_PORT=rig.redis.port, PG_PORT=rig.pg.port, PG_USER=rig.pg.user, PG_DATABASE=rig.database,
                         PLATFORM=rig.standin_url, TOKEN=TOKEN, STREAM=self.stream, CONCURRENCY=self.concurrency,
                         GROUPED="1" if self.grouped else None, **more)

    def cache(self, rig):
        r = rig.redis.client()
        r.hset("bench:codes", mapping={c: json.dumps({"code": c, "persona": p}) for c, p in rig.rows(
            "SELECT code, persona_id FROM start_codes")})
        r.hset("bench:personas", mapping={i: json.dumps({"id": i, "name": n}) for i, n in rig.rows(
            "SELECT id, name FROM personas")})
        r.xgroup_create(self.stream, "workers", "0", mkstream=True)

    def fill(self, rig, load):
        self.cache(rig)
        super().fill(rig, load)

    def command(self):
        return [*self.argv]

    def start(self, rig, number):
        p = Process(self.command(), rig.log("%d-%s-%d" % (rig.runs, self.folder, number)),
                    env=self.environment(rig, CONSUMER="w%d" % number))
        p.ready = lambda: "ready" in p.output()
        return p
