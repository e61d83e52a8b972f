"""Shoal as it does the reference job. Lanes, fencing, stored effects, flood budget, the user's rate and metrics are on; budgets
so high that nothing waits for them. No log line for each update, as the others write none."""
import os

from lib import Process, clean_env, free_port, http
from rig import SECRET, TOKEN

STREAM = "shoal:{0}:updates"


def series(text):
    """{'name{labels}': value} of /metrics."""
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and not line.startswith("#")}


def within(values, name, share):
    """Seconds within which so many of all that a histogram has counted were over: the edge of its bucket."""
    buckets = {}
    for k, v in values.items():
        if k.startswith(name + "_bucket"):
            edge = k.split('le="')[1].split('"')[0]
            buckets[float(edge)] = buckets.get(float(edge), 0) + v
    most = max(buckets.values(), default=0)
    return min((edge for edge, v in buckets.items() if v >= share * most), default=None) if most else None


class Shoal:
    ordered = True  # the order of a chat, everything once
    grouped = False

    def __init__(self, binary, name="Shoal", updates=40000, **env):
        self.binary, self.name, self.updates, self.env = os.path.abspath(binary), name, updates, env

    def environment(self, rig, **more):
        return clean_env(**{
            "SHOAL_REDIS_URL": rig.redis.url, "SHOAL_POSTGRES_URL": rig.pg_url, "SHOAL_BOTS": "persona",
            "SHOAL_PERSONA_TOKEN": TOKEN, "SHOAL_WEBHOOK_SECRET": SECRET, "SHOAL_TELEGRAM_API": rig.standin_url,
            "SHOAL_FLOOD_BOT": "1000000/1", "SHOAL_FLOOD_CHAT": "1000/1", "SHOAL_USER_RATE": "1000/1",
            "SHOAL_LOG_UPDATES": "0", **self.env, **more})

    def fill(self, rig, load):
        rig.send(load, "xadd", "127.0.0.1", rig.redis.port, STREAM)

    def paced(self, rig, load, rate):
        return rig.send(load, "xadd", "127.0.0.1", rig.redis.port, STREAM, rate=rate)

    def program(self, rig, verb, name, **env):
        """A running worker or gateway."""
        port = free_port()
        p = Process([self.binary, verb], rig.log("%d-%s" % (rig.runs, name)),
                    env=self.environment(rig, SHOAL_METRICS_LISTEN="127.0.0.1:%d" % port, **env))
        p.metrics = lambda: series(http("GET", "http://127.0.0.1:%d/metrics" % port).body.decode())
        p.ready = lambda: http("GET", "http://127.0.0.1:%d/readyz" % port, timeout=5).status == 200
        return p

    def start(self, rig, number):
        return self.program(rig, "worker", "worker-%d" % number, SHOAL_WORKER_ID="w%d" % number)

    def settled(self, rig):
        return rig.redis.client().xlen(STREAM) == 0

    def inside(self, workers):
        """What a worker says of its own work: SQL statements in ms, lookups of start codes, and of them those that its memory
        did not answer."""
        values = workers[0].metrics()
        lookups = {k: v for k, v in values.items() if k.startswith("shoal_cache_requests_total") and 'cache="startcode"' in k and
                   'layer="memory"' in k}
        sql = within(values, "shoal_sql_seconds", .95)
        return {"sql_p95": sql and 1000 * sql, "lookups": sum(lookups.values()),
                "lookups_beyond_memory": sum(v for k, v in lookups.items() if 'result="hit"' not in k)}
