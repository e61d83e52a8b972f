"""The reference job (README, "Performance"), side by side: `make bench`. Everybody in turn, round by round, so that a machine
whose speed drifts drifts for all; medians. After each run every reply and every row is looked for.

    bench.py [options] [BINARY]
        --runs 5             rounds
        --only NAME,...      some of the contestants, by name or folder: shoal,go
        --vs PATH            another shoal beside this one, as "before", and no peers; may be given again
        --n UPDATES          of each full run, instead of what each contestant does in a few seconds
        --workers 1          processes of each contestant
        --appendfsync HOW    everysec, always, no, or off: no append-only file
        --rate 500 --seconds 5      the paced run; --seconds 0: none
        --people 10000 --codes 100
        --tune               how many at once and over how many connections is best for the peers; nothing else
        --marks              also what is asked of Shoal alone, and which marks are reached
        --json FILE          all figures        --chart FILE    as SVG        --readme FILE   the tables, between their marks
"""
import argparse
import datetime
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "job")]
import chart  # noqa: E402
import extras  # noqa: E402
import marks  # noqa: E402
import readme  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
from lib import check, finish  # noqa: E402
from peers import PEERS  # noqa: E402
from rig import PERSISTENCE, Rig, save  # noqa: E402
from shoal import Shoal  # noqa: E402

TRIED_AT_ONCE, TRIED_CONNECTIONS = (16, 32, 64, 128, 256), (4, 8, 16, 32)


def options():
    o = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    o.add_argument("binary", nargs="?", default="build/shoal")
    o.add_argument("--runs", type=int, default=5)
    o.add_argument("--only", default="")
    o.add_argument("--vs", action="append", default=[])
    o.add_argument("--n", type=int)
    o.add_argument("--workers", type=int, default=1)
    o.add_argument("--appendfsync", choices=list(PERSISTENCE), default="everysec")
    o.add_argument("--rate", type=float, default=500)
    o.add_argument("--seconds", type=float, default=5)
    o.add_argument("--people", type=int, default=10000)
    o.add_argument("--codes", type=int, default=100)
    o.add_argument("--tune", action="store_true")
    o.add_argument("--marks", action="store_true")
    o.add_argument("--json")
    o.add_argument("--chart")
    o.add_argument("--readme")
    given = o.parse_args()
    given.only = [w.strip().lower() for w in given.only.split(",") if w.strip()]
    unknown = [w for w in given.only if w != "shoal" and w not in {n for p in PEERS for n in (p.name.lower(), p.folder)}]
    for what in "runs", "n", "workers", "people", "codes":
        if getattr(given, what) is not None and getattr(given, what) < 1:
            o.error("--%s: at least 1" % what)
    if unknown:
        o.error("--only: nobody is called %s; there are shoal, %s" % (unknown[0], ", ".join(p.name for p in PEERS)))
    if not (0 <= given.seconds <= 3600 and 0 < given.rate <= 1e6):
        o.error("--rate: above 0, a million at most; --seconds: 0 to 3600")
    if given.marks and given.only and "shoal" not in given.only:
        o.error("--marks: they are Shoal's, whom --only leaves out")
    for path in [given.binary, *given.vs]:
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            o.error("%s: no program" % path)
    for path in given.json, given.chart, given.readme:
        if path and os.path.isdir(path):
            o.error("%s: a folder" % path)
    return given


def contestants(o):
    """Those who are wanted and can run here; who cannot is said to be left out."""
    who = [Shoal(o.binary)] + [Shoal(path, "before" if len(o.vs) == 1 else path) for path in o.vs]
    wanted, peers = o.only, PEERS if o.only or not o.vs else []
    who += [p for p in peers if not wanted or p.name.lower() in wanted or p.folder in wanted]
    for p in list(who[1 + len(o.vs):]):
        why = p.missing()
        if why:
            print("# %s is left out: %s" % (p.name, why), flush=True)
            who.remove(p)
    return [c for c in who if not wanted or c in who[1:] or "shoal" in wanted]


def attempt(what, title, fn):
    """A run; one that was not done right is a failure, and has no figures: None."""
    try:
        what.append(fn())
        return True
    except (run.Wrong, RuntimeError) as wrong:
        what.append(None)
        check("%s: every reply and every row is there" % title, False, wrong)
        return False


def progress(n, name, words):
    print("# %d  %-26s %s" % (n + 1, name, words), file=sys.stderr, flush=True)


def rounds(o, rig, who):
    """Everybody's runs, and what the marks ask of Shoal alone: name -> one result of each round."""
    results = [{"name": c.name, "grouped": c.grouped, "full": [], "paced": []} for c in who]
    found = {}
    for n in range(o.runs):
        for c, r in zip(who, results):
            if attempt(r["full"], c.name, lambda: run.full(c, rig, o.n, o.workers)):
                progress(n, c.name, "%6.0f/s, worker %.4f s of CPU per 1,000" % (
                    r["full"][-1]["per_second"], r["full"][-1]["cpu_per_1000"]["worker"]))
            if o.seconds > 0:
                attempt(r["paced"], c.name + ", paced", lambda: run.paced(c, rig, o.rate, o.seconds, o.workers))
            if o.marks and c is who[0] and r["full"][-1]:
                for name, fn in extras_of(o, rig, c, r["full"][-1]["per_second"]).items():
                    if name != "at_rest" or n == 0:
                        attempt(found.setdefault(name, []), name, fn)
                progress(n, "marks", "")
    for r in results:
        done = r["full"] + r["paced"]
        check("%s: every reply and every row is there, in %d runs" % (r["name"], len(done)), all(done))
    return results, {k: [r for r in v if r] for k, v in found.items()}


def extras_of(o, rig, shoal, capacity):
    """What the marks ask of Shoal alone, beside its full run of this round, which did `capacity` a second."""
    def always():
        rig.appendfsync, usual = "always", rig.appendfsync
        try:
            return run.full(shoal, rig, o.n)
        finally:
            rig.appendfsync = usual
    def hurry():
        """80 % of what it does while more comes in than it can do: sending costs the same processors something."""
        flood = run.paced(shoal, rig, int(1.3 * capacity), o.seconds or 1)
        return {**run.paced(shoal, rig, int(0.8 * flood["per_second"]), o.seconds or 1), "of": flood["per_second"]}
    return {
        "logged": lambda: run.full(Shoal(shoal.binary, updates=shoal.updates, SHOAL_LOG_UPDATES="1"), rig, o.n),
        "always": always,
        "two_redis": lambda: extras.two_redis(shoal, rig, o.n),
        "hurry": hurry,
        "gateway": lambda: extras.gateway(shoal, rig),
        "press": lambda: extras.press(shoal, rig, o.rate, o.seconds or 1),
        "at_rest": lambda: extras.at_rest(shoal, rig),
        "killed": lambda: extras.killed(shoal, rig, 2000, 7)}


def tune(o, rig, who):
    for c in who:
        for c.concurrency in TRIED_AT_ONCE if hasattr(c, "concurrency") else ():
            for c.connections in TRIED_CONNECTIONS:
                runs = [run.full(c, rig, o.n) for _ in range(o.runs)]
                print("%-26s %4d at once, %3d connections  %6.0f/s  worker %.4f s of CPU per 1,000, all %.4f" % (
                    c.name, c.concurrency, c.connections, report.median([r["per_second"] for r in runs]),
                    report.median([r["cpu_per_1000"]["worker"] for r in runs]),
                    report.median([sum(r["cpu_per_1000"][k] for k in report.SERVERS) for r in runs])), flush=True)


def main():
    o, began = options(), time.monotonic()
    rig = Rig(o.binary, o.people, o.codes, o.appendfsync)
    rig.came_before = True  # everybody's work is the same from the first update to the last: a first press costs more
    who = contestants(o)
    if o.tune:
        tune(o, rig, who)
        return
    results, found = rounds(o, rig, who)
    said = "%d worker process%s on %d processors shared with all servers; appendfsync %s, synchronous_commit on" % (
        o.workers, "es" if o.workers > 1 else "", os.cpu_count(), o.appendfsync)
    others = report.median([r["others"] for x in results for r in x["full"] if r] or [0])
    busy = ""
    if others > 0.1:
        busy = "; %.0f %% of the processors' time went to other programs, too much to compare rates and times" % (100 * others)
    said += "; medians of %d" % o.runs
    print("\n%s%s\nCPU in seconds per 1,000 updates, memory in MiB, p50 to p99 in ms at %g/s\n" % (said, busy, o.rate))
    for part in (report.table(results), report.spreads(results), report.ratios(results)):
        print(part + "\n")
    if o.marks:
        rows = marks.marks(results, found)
        print(marks.table(rows) + "\n")
    print("# it took %.0f s" % (time.monotonic() - began))
    if o.json:
        save(o.json, {"options": vars(o), "results": results, "extras": found})
    if not all(r for x in results for k in ("full", "paced") for r in x[k]):
        print("# not everything was done right: neither chart nor README is written")
        return
    if o.chart:
        os.makedirs(os.path.dirname(o.chart) or ".", exist_ok=True)
        chart.comparison(results, o.chart, said + "; on a busy machine" * bool(busy))
    if o.readme:
        when = "%s, %s%s" % (said, datetime.date.today(), busy)
        readme.write(o.readme, "bench", readme.comparison(results, when, o.chart))
        if o.marks:
            readme.marks(o.readme, "bench", rows)
            readme.write(o.readme, "capacity", readme.capacity(results[0], found))


main()
finish()
