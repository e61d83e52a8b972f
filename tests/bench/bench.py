"""The reference job (README, "Performance"), side by side: `make bench`. Everybody in turn, round by round, so that a machine
whose speed drifts drifts for all; medians. After each run every reply and every row is looked for.

    bench.py [options] [BINARY]
        --runs 5             rounds
        --only NAME,...      some of the contestants
        --vs PATH            another shoal beside this one, as "before"; may be given again
        --n UPDATES          of each full run, instead of what each contestant does in a few seconds
        --workers 1          processes of each contestant
        --appendfsync HOW    everysec, always, no, or off: no append-only file
        --rate 500 --seconds 4      the paced run; --seconds 0: none
        --people 10000 --codes 100
        --json FILE          all figures
"""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "job")]
import report  # noqa: E402
import run  # noqa: E402
from contestants import Shoal  # noqa: E402
from lib import check, finish  # noqa: E402
from rig import PERSISTENCE, Rig, save  # noqa: E402


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
    o.add_argument("--seconds", type=float, default=4)
    o.add_argument("--people", type=int, default=10000)
    o.add_argument("--codes", type=int, default=100)
    o.add_argument("--json")
    return o.parse_args()


def contestants(o):
    all_of_them = [Shoal(o.binary)] + [Shoal(path, "before" if len(o.vs) == 1 else path) for path in o.vs]
    wanted = [w for w in o.only.split(",") if w]
    return [c for c in all_of_them if not wanted or c.name in wanted]


def attempt(what, title, fn):
    """A run; one that was not done right is a failure, and has no figures."""
    try:
        what.append(fn())
        return True
    except run.Wrong as wrong:
        check("%s: every reply and every row is there" % title, False, wrong)
        return False


def rounds(o, rig, who):
    results = [{"name": c.name, "grouped": c.grouped, "full": [], "paced": []} for c in who]
    for n in range(o.runs):
        for c, r in zip(who, results):
            if attempt(r["full"], c.name, lambda: run.full(c, rig, o.n, o.workers)):
                print("# %d  %-20s %6.0f/s" % (n + 1, c.name, r["full"][-1]["per_second"]), file=sys.stderr, flush=True)
            if o.seconds > 0:
                attempt(r["paced"], c.name + ", paced", lambda: run.paced(c, rig, o.rate, o.seconds, o.workers))
    for r in results:
        check("%s: every reply and every row is there, in %d runs" % (r["name"], len(r["full"]) + len(r["paced"])),
              len(r["full"]) == o.runs)
    return results


def main():
    o = options()
    rig = Rig(o.binary, o.people, o.codes, o.appendfsync)
    results = rounds(o, rig, contestants(o))
    print("\n%d workers, %d processors, appendfsync %s, synchronous_commit on; CPU in seconds per 1,000 updates, memory in MiB, "
          "times in ms at %g/s\n" % (o.workers, os.cpu_count(), o.appendfsync, o.rate))
    for part in (report.table(results), report.spreads(results), report.ratios(results)):
        print(part + "\n")
    if o.json:
        save(o.json, {"options": vars(o), "results": results})


main()
finish()
