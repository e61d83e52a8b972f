"""What an update costs when there is more of everything: `make bench-growth`. Processor time of worker, Redis and Postgres for one
update of the reference job by the number of chats, of what is queued, of start codes, of workers, and of Redis servers that share the queue. All points in turn, round
by round, every second round backwards; medians. How the cost grows is told by runs of one round, which are minutes apart at most: a machine
that others use too is slower in one hour than in the next, by more than what is looked for.

    growth.py [--runs 9] [--only chats,backlog,codes,workers,shards] [--least N] [--most N] [--json FILE] [--chart FILE] [--readme FILE] [BINARY]
"""
import argparse
import datetime
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "job")]
import chart  # noqa: E402
import marks  # noqa: E402
import readme  # noqa: E402
import run  # noqa: E402
from lib import check, finish, free_port  # noqa: E402
from report import SERVERS, aligned, median, told  # noqa: E402
from rig import SECRET, Load, Rig, save  # noqa: E402
from shoal import STREAM, Shoal  # noqa: E402

PEOPLE, CODES = 10000, 100
WARM, TAKEN, REST = 6000, 24000, 4000  # updates of a run: before it is measured, while it is, and after, so that nobody runs dry
# Of each worker of many: by then every connection of its has prepared its statements; and twice what it has in hand
# (SHOAL_INFLIGHT), so that no hands get empty while it is measured.
WARM_EACH, REST_EACH = 3000, 512
EACH_MOST, CODES_MOST = 8, 100000  # workers for each processor, start codes
WITHIN = 0.10


def set_size(rig, people=PEOPLE, codes=CODES):
    """A chat each. All have come before: who comes for the first time costs more, whatever their number."""
    rig.people, rig.codes, rig.personas, rig.came_before = people, codes, 1, True


def middle(shoal, rig, workers=1, warm=WARM, rest=REST):
    """The cost of those in the middle of a run, ingest included. All sizes of a curve have done as many before: Redis remembers
    each, and with 200,000 it spends a tenth more on one than with 6,000."""
    c = run.full(shoal, rig, warm + TAKEN + rest, workers, (warm, warm + TAKEN))
    c["cpu_per_1000"]["redis"] += c["ingest_redis_per_1000"]
    return c


def chats(shoal, rig, size):
    set_size(rig, people=size)
    return middle(shoal, rig)


def codes(shoal, rig, size):
    """When it begins to count every code has been asked for twice: it came from Postgres, then from Redis, and is in the
    worker's memory, which holds them all."""
    set_size(rig, codes=size)
    return middle(Shoal(shoal.binary, SHOAL_MEMORY_CACHE_MB="64"), rig, warm=2 * CODES_MOST)


def fleet(shoal, rig, size):
    set_size(rig)
    most = EACH_MOST * os.cpu_count()
    return middle(shoal, rig, size * os.cpu_count(), WARM_EACH * most, REST_EACH * most)


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
    return middle(Sharded(shoal.binary, size), rig)


def backlog(shoal, rig, size):
    """So many are queued all the while: a sender puts in another for each reply. What is left at the end is not waited for."""
    set_size(rig)
    rig.fresh(shoal.binary)
    load = Load(size + WARM + TAKEN + REST, rig.people, rig.codes)
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
TRUNCATE start_code_uses;
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
        cur.execute("VACUUM ANALYZE start_codes, start_code_uses")
        for _ in range(runs):
            began = run.time.monotonic()
            cur.execute(query)
            rows = cur.fetchall()
            times.append(1000 * (run.time.monotonic() - began))
    db.close()
    users = [r[6] for r in rows]
    check("the users of all codes were counted", len(rows) == COUNTED_CODES and sum(users) == COUNTED_PEOPLE,
          "%d codes, %d users" % (len(rows), sum(users)))
    return median(times)


CURVES = {
    "chats": ("chats", chats, [100, 10000, 1000000]),
    "backlog": ("updates waiting", backlog, [10, 1000, 100000, 1000000]),
    "codes": ("start codes", codes, [100, 10000, CODES_MOST]),
    "workers": ("workers for each processor", fleet, [1, 2, 4, EACH_MOST]),
    "shards": ("Redis servers of the queue", shards, [1, 4])}
MARK = ("chats", "backlog", "codes", "workers")


def options():
    o = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    o.add_argument("binary", nargs="?", default="build/shoal")
    o.add_argument("--runs", type=int, default=9)
    o.add_argument("--only", default=",".join(CURVES))
    o.add_argument("--least", type=int, default=0)
    o.add_argument("--most", type=int, default=10**9)
    o.add_argument("--json")
    o.add_argument("--chart")
    o.add_argument("--readme")
    return o.parse_args()


def measure(o, rig, shoal):
    """curve -> size -> [cost in each round, None where the job was not done]; no curve without a size"""
    sizes = {name: [size for size in CURVES[name][2] if o.least <= size <= o.most] for name in o.only.split(",")}
    found = {name: {size: [] for size in some} for name, some in sizes.items() if some}
    for n in range(o.runs):
        for name, points in found.items():
            for size, costs in sorted(points.items(), reverse=n % 2 == 1):
                try:
                    costs.append(CURVES[name][1](shoal, rig, size))
                except run.Wrong as wrong:
                    check("%s %d: the job is done" % (name, size), False, wrong)
                    costs.append(None)
                    continue
                print("# %d  %-8s %8d  %6.0f/s, %s" % (n + 1, name, size, costs[-1]["per_second"], ", ".join(
                    "%s %.0f us" % (k, 1000 * costs[-1]["cpu_per_1000"][k]) for k in SERVERS)), file=sys.stderr, flush=True)
    return found


def spent(cost):
    return sum(cost["cpu_per_1000"][k] for k in SERVERS)


def done(costs):
    return [c for c in costs if c]


def whole(costs):
    return median([spent(c) for c in done(costs)])


def times(points):
    """size -> [how many times what it cost in the same round with less], each size beside the cheapest of the smaller ones."""
    sizes = sorted(size for size, costs in points.items() if done(costs))
    found = {}
    for i, size in enumerate(sizes[1:]):
        least = min(sizes[:i + 1], key=lambda s: whole(points[s]))
        found[size] = [spent(b) / spent(a) for a, b in zip(points[least], points[size]) if a and b]
    return found


def grown(points):
    """How many times as much an update costs with more, at worst."""
    return max((median(ratios) for ratios in times(points).values() if ratios), default=None)


def marks_of(found, counted_ms):
    """Rows as in marks.py."""
    rows = []
    for name, points in found.items():
        sizes = sorted(points)
        bound = 1 + WITHIN if name in MARK else None
        rows.append(("6", "%s to %s %s: cost grows, times" % ("{:,}".format(sizes[0]), "{:,}".format(sizes[-1]), CURVES[name][0]),
                     grown(points), bound, True, "%.2f"))
    if counted_ms:
        rows.append(("7", "users of {:,} codes, {:,} in all, by one query, ms".format(COUNTED_CODES, COUNTED_PEOPLE), counted_ms,
                     None, True, "%.0f"))
    return rows


def rows_of(found):
    """The last column: the cost beside that of the cheapest of those with less; median, least and most of the rounds."""
    rows = [["", "", "updates/s", "worker us", "Redis us", "Postgres us", "all us", "grown to"]]
    for name, points in found.items():
        ratios = times(points)
        for size, c in sorted((s, done(c)) for s, c in points.items() if done(c)):
            rows.append([CURVES[name][0], "{:,}".format(size), "%.0f" % median([x["per_second"] for x in c]),
                         *("%.0f" % (1000 * median([x["cpu_per_1000"][k] for x in c])) for k in SERVERS), "%.0f" % (1000 * whole(c)),
                         told(ratios[size], "%.2f") if ratios.get(size) else ""])
    return rows


def draw(found, path, said):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    chart.growth([("By the number of " + CURVES[name][0] if name != "backlog" else "By what is waiting in the queue",
                   [(size, {k: [x["cpu_per_1000"][k] for x in done(c)] for k in SERVERS}) for size, c in sorted(points.items()) if done(c)])
                  for name, points in found.items()], path, said)


def main():
    o, began = options(), run.time.monotonic()
    rig = Rig(o.binary, PEOPLE, CODES)
    shoal = Shoal(o.binary)
    found = measure(o, rig, shoal)
    for name, points in found.items():
        check("%s: measured" % name, all(len(done(c)) == o.runs for c in points.values()))
    said = "Processor time of one update, us, ingest included, on %d processors shared by all; medians of %d, %s" % (
        os.cpu_count(), o.runs, datetime.date.today())
    print("\n%s\n\n%s\n" % (said, aligned(rows_of(found))))
    rows = marks_of(found, counted(shoal, rig, o.runs) if o.most >= COUNTED_PEOPLE else None)
    print(marks.table(rows) + "\n\n# it took %.0f s" % (run.time.monotonic() - began))
    if o.json:
        save(o.json, {"options": vars(o), "results": found, "marks": rows})
    if o.chart:
        draw(found, o.chart, said + "; dashed: a tenth more than the least")
    if o.readme:
        readme.write(o.readme, "growth", readme.markdown(rows_of(found), 2) + "\n" + said + ".\n" + readme.image(
            "What an update costs when there is more of everything", o.chart))
        readme.marks(o.readme, "growth", rows)


main()
finish()
