"""What an update costs when there is more of everything: `make bench-growth`. Processor time of worker, Redis and Postgres for one
update of the reference job by the number of chats, of what is queued, of start codes, of workers, and of Redis servers that share the queue. All points in turn, round
by round; medians.

    growth.py [--runs 5] [--only chats,backlog,codes,workers,shards] [--least N] [--most N] [--updates 40000] [--json FILE] [--chart FILE] [--readme FILE] [BINARY]
"""
import argparse
import datetime
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "job")]
import chart  # noqa: E402
import readme  # noqa: E402
import run  # noqa: E402
from lib import check, finish, free_port  # noqa: E402
from report import SERVERS, aligned, median  # noqa: E402
from rig import SECRET, Load, Rig, save  # noqa: E402
from shoal import STREAM, Shoal  # noqa: E402

PEOPLE, CODES = 10000, 100
UPDATES = 40000  # of a run, by default; the second half is measured, when what is often needed has been touched
WARM, TAKEN = 5000, 20000  # of a backlog: what comes before, and what is measured
WITHIN = 0.10


def set_size(rig, people=PEOPLE, codes=CODES):
    rig.people, rig.codes, rig.personas = people, codes, 1  # a chat each


def half(shoal, rig, updates, workers=1):
    """The cost in the second half of a run, ingest included."""
    c = run.full(shoal, rig, updates, workers, window=(0.5, 0.95))
    c["cpu_per_1000"]["redis"] += c["ingest_redis_per_1000"]
    return c


def chats(shoal, rig, size):
    set_size(rig, people=size)
    return half(shoal, rig, rig.updates)


def codes(shoal, rig, size):
    """Every code has been asked for at least once when it begins to count."""
    set_size(rig, codes=size)
    return half(shoal, rig, max(rig.updates, 2 * size + rig.updates // 2))


def fleet(shoal, rig, size):
    set_size(rig)
    return half(shoal, rig, rig.updates, size)


class Sharded(Shoal):
    """The queue in several Redis servers; the gateway chooses which, by the chat."""

    def __init__(self, binary, shards):
        super().__init__(binary)
        self.shards, self.redis = shards, []

    def fill(self, rig, load):
        self.redis = [rig.redis] + [rig.add_redis("redis") for _ in range(self.shards - 1)]
        self.env = {"SHOAL_REDIS_URL": ",".join(r.url for r in self.redis)}
        port = free_port()
        gateway = self.program(rig, "gateway", "gateway", SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % port)
        try:
            run.wait_ready([gateway])
            rig.send(load, "webhook", port, SECRET, 32)
        finally:
            gateway.stop()

    def settled(self, rig):
        return not any(r.client().xlen("shoal:{%d}:updates" % n) for n, r in enumerate(self.redis))


def shards(shoal, rig, size):
    set_size(rig)
    return half(Sharded(shoal.binary, size), rig, rig.updates)


def backlog(shoal, rig, size):
    """So many are queued all the while: a sender puts in another for each reply. What is left at the end is not waited for."""
    set_size(rig)
    rig.fresh(shoal.binary)
    load = Load(size + WARM + TAKEN + 1000, rig.people, rig.codes)
    argv = [os.path.join(rig.tools, "send"), *load.argv(), "-k", str(size), "-s", str(rig.standin_port),
            "xadd", "127.0.0.1", str(rig.redis.port), STREAM]
    with subprocess.Popen(argv) as sender:
        try:
            queued = run.wait_for(lambda: rig.redis.client().xlen(STREAM) >= size)
            worker = shoal.start(rig, 0)
            if not queued:
                raise run.Wrong("the backlog did not come about")
            try:
                shots, _ = run.watch(rig, [worker], WARM + TAKEN)
            finally:
                worker.kill()
        finally:
            sender.kill()
    return run.measured(shots, WARM, WARM + TAKEN)


COUNTED_CODES, COUNTED_PEOPLE = 100000, 1000000
USES = """
SET session_replication_role = replica; -- no foreign keys: they are right
INSERT INTO start_codes (code, persona_id) SELECT 'MORE' || n, (SELECT min(id) FROM personas) FROM generate_series(1, %d) n;
INSERT INTO start_code_uses (code_id, user_id) SELECT c.id, u.id FROM (SELECT id, row_number() OVER (ORDER BY id) n FROM users) u
	JOIN (SELECT id, row_number() OVER (ORDER BY id) n FROM start_codes) c ON c.n = u.n * 7919 %% %d + 1;
"""


def counted(shoal, rig, runs):
    """ms in which the users of every code are counted: one query, whatever their number."""
    set_size(rig, people=COUNTED_PEOPLE)
    rig.fresh(shoal.binary)
    db = rig.pg.connect(rig.database)
    db.autocommit = True
    with open("sql/queries/code_counts.sql", encoding="utf-8") as f:
        query, times = f.read(), []
    with db.cursor() as cur:
        cur.execute(USES % (COUNTED_CODES - CODES, COUNTED_CODES))
        cur.execute("VACUUM ANALYZE")
        for _ in range(runs):
            began = run.time.monotonic()
            cur.execute(query)
            rows = cur.fetchall()
            times.append(1000 * (run.time.monotonic() - began))
    db.close()
    check("the users of all codes were counted", len(rows) == COUNTED_CODES, len(rows))
    return median(times)


CURVES = {
    "chats": ("By the number of chats", chats, [100, 1000, 10000, 100000, 1000000]),
    "backlog": ("By what is queued", backlog, [10, 100, 1000, 10000, 100000, 1000000]),
    "codes": ("By the number of start codes", codes, [100, 1000, 10000, 100000]),
    "workers": ("By the number of workers", fleet, [1, 2, 4, 8]),
    "shards": ("By the number of Redis servers of the queue", shards, [1, 2, 4])}


def options():
    o = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    o.add_argument("binary", nargs="?", default="build/shoal")
    o.add_argument("--runs", type=int, default=5)
    o.add_argument("--only", default=",".join(CURVES))
    o.add_argument("--updates", type=int, default=UPDATES)
    o.add_argument("--least", type=int, default=0)
    o.add_argument("--most", type=int, default=10**9)
    o.add_argument("--json")
    o.add_argument("--chart")
    o.add_argument("--readme")
    return o.parse_args()


def measure(o, rig, shoal):
    """curve -> size -> [cost of each run]"""
    found = {name: {size: [] for size in CURVES[name][2] if o.least <= size <= o.most} for name in o.only.split(",")}
    for n in range(o.runs):
        for name, points in found.items():
            for size, costs in points.items():
                try:
                    costs.append(CURVES[name][1](shoal, rig, size))
                except run.Wrong as wrong:
                    check("%s %d: the job is done" % (name, size), False, wrong)
                    continue
                print("# %d  %-8s %8d  %6.0f/s, %s" % (n + 1, name, size, costs[-1]["per_second"], ", ".join(
                    "%s %.0f us" % (k, 1000 * costs[-1]["cpu_per_1000"][k]) for k in SERVERS)), file=sys.stderr, flush=True)
    return found


def whole(costs):
    return median([sum(c["cpu_per_1000"][k] for k in SERVERS) for c in costs])


def rows_of(found):
    """The last column: the cost beside that of the least, and whether that is within what is promised."""
    rows = [["", "", "updates/s", "worker us", "Redis us", "Postgres us", "all us", "beside the least"]]
    for name, points in found.items():
        costs = {size: c for size, c in points.items() if c}
        least = min(map(whole, costs.values()), default=None)
        for size, c in costs.items():
            beside = whole(c) / least
            rows.append([name, "{:,}".format(size), "%.0f" % median([x["per_second"] for x in c]),
                         *("%.0f" % (1000 * median([x["cpu_per_1000"][k] for x in c])) for k in SERVERS), "%.0f" % (1000 * whole(c)),
                         "%.2f %s" % (beside, "" if beside <= 1 + WITHIN else "MISSED")])
    return rows


def main():
    o = options()
    rig = Rig(o.binary, PEOPLE, CODES)
    rig.updates = o.updates
    shoal = Shoal(o.binary)
    found = measure(o, rig, shoal)
    for name, points in found.items():
        check("%s: measured" % name, all(len(c) == o.runs for c in points.values()))
    print("\n%d processors shared by all; processor time of one update, ingest included; medians of %d\n\n%s\n" % (
        os.cpu_count(), o.runs, aligned(rows_of(found))))
    said = ""
    if "codes" in found and o.most >= COUNTED_PEOPLE:
        said = "The users of {:,} start codes, {:,} in all, are counted by one query in {:.0f} ms.\n".format(
            COUNTED_CODES, COUNTED_PEOPLE, counted(shoal, rig, o.runs))
        print(said)
    if o.json:
        save(o.json, found)
    if o.chart:
        os.makedirs(os.path.dirname(o.chart) or ".", exist_ok=True)
        curves = [(CURVES[name][0], [(size, {k: [x["cpu_per_1000"][k] for x in c] for k in SERVERS}) for size, c in points.items() if c])
                  for name, points in found.items()]
        chart.growth(curves, o.chart, "processor time of one update, us; black: all of it, dashed: 10 %% around the first; medians of %d, %s" % (
            o.runs, datetime.date.today()))
    if o.readme:
        readme.write(o.readme, "growth", readme.markdown(rows_of(found)) + "\n" + said + readme.image(
            "What an update costs when there is more of everything", o.chart))


main()
finish()
