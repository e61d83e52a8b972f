"""A long life in short: UPDATES updates (10,000,000) through a gateway and two workers, and what they and Redis hold in memory
and in open files along the way. After the first fifth nothing may grow.

    soak.py BINARY      by environment: UPDATES, STEP (100,000: so many between two looks), WORKERS

The platform is the stand-in of the reference job, the queue's Redis keeps no log. The keys by which updates are known again are
kept for a minute or two and not counted: there are as many as updates came in that time."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "job"), os.path.join(HERE, "..")]
from lib import Process, check, clean_env, descriptors, finish, free_port, http, wait_for  # noqa: E402
from rig import SECRET, TOKEN, Load, Rig, memory_mb  # noqa: E402

UPDATES = int(os.environ.get("UPDATES") or 10000000)
STEP = min(int(os.environ.get("STEP") or 100000), max(UPDATES // 10, 1))
WORKERS = int(os.environ.get("WORKERS") or 2)
SLACK_MB = 4  # pages that come and go


class Fleet:
    def __init__(self, rig):
        port, self.health = free_port(), [free_port() for _ in range(WORKERS + 1)]
        env = clean_env(
            SHOAL_REDIS_URL=rig.redis.url, SHOAL_POSTGRES_URL=rig.pg_url, SHOAL_BOTS="persona", SHOAL_PERSONA_TOKEN=TOKEN,
            SHOAL_WEBHOOK_SECRET=SECRET, SHOAL_TELEGRAM_API=rig.standin_url, SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % port,
            SHOAL_FLOOD_CHAT="0", SHOAL_FLOOD_GROUP="0", SHOAL_USER_RATE="0", SHOAL_LOG_UPDATES=0,
            SHOAL_IDEMPOTENCY_TTL_S=60)
        self.port, self.programs = port, {}
        for n in range(WORKERS + 1):
            name = "worker %d" % n if n else "gateway"
            self.programs[name] = Process([rig.binary, name.split()[0]], rig.log(name.replace(" ", "-")), env={
                **env, "SHOAL_METRICS_LISTEN": "127.0.0.1:%d" % self.health[n]})
        if not all(wait_for(lambda p=p: http("GET", "http://127.0.0.1:%d/readyz" % p).status == 200) for p in self.health):
            raise RuntimeError("the fleet did not come up")

    def look(self, rig):
        """{name: (MiB of its own, open files)}"""
        seen = {name: (memory_mb(p.pid)[1], descriptors(p.pid)) for name, p in self.programs.items()}
        r = rig.redis.client()
        keys = sum(r.memory_usage("shoal:{0}:" + name, samples=100) or 0 for name in ("seen", "seen_old"))
        return {**seen, "redis": ((r.info("memory")["used_memory"] - keys) / 2**20, descriptors(rig.redis.pid))}


def main():
    rig = Rig(sys.argv[1] if len(sys.argv) > 1 else "build/shoal", appendfsync="off")
    rig.fresh()
    fleet, seen, began, lost = Fleet(rig), [], time.monotonic(), 0
    for first in range(0, UPDATES, STEP):
        http("GET", rig.standin_url + "/bench/forget")
        count = min(STEP, UPDATES - first)
        rig.send(Load(count, first=first), "webhook", fleet.port, SECRET, 16)
        if not wait_for(lambda: rig.replies() >= count, 600, 0.2):
            lost += count - rig.replies()
            break
        queue = rig.redis.client()
        wait_for(lambda: queue.xlen("shoal:{0}:updates") == 0, 60, 0.1)
        time.sleep(1)  # connections that a burst has opened
        seen.append((first + count, fleet.look(rig)))
        print("# %9d updates, %5.0f s: %s" % (first + count, time.monotonic() - began, ", ".join(
            "%s %.1f MiB %d files" % (name, *value) for name, value in seen[-1][1].items())))
        sys.stdout.flush()
    check("every update has its reply", not lost and seen and seen[-1][0] == UPDATES, lost)
    warm = next((s for s in seen if s[0] >= UPDATES // 5), seen[-1])
    for name in seen[-1][1]:
        rest = [look[name] for at, look in seen if at >= warm[0]]
        grown = rest[-1][0] - rest[0][0]
        check("%s: no memory more after the first fifth" % name, grown < SLACK_MB, "%.1f MiB" % grown)
        check("%s: no file left open" % name, rest[-1][1] <= max(n for _, n in rest[:2]) + 2, [n for _, n in rest])
    check("they end well", [p.stop() for p in fleet.programs.values()] == [0] * (WORKERS + 1))
    finish()


main()
