"""The judge of the caches' torture must be able to fail: a small history that is right, spoilt in one way after another.
And every mistake that cache_mutants.py makes still has its place."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
import cache_judge as judge  # noqa: E402
import cache_mutants as mutants  # noqa: E402
from lib import check, finish, temp_dir  # noqa: E402

S = judge.NS
# Times in seconds: version 2 is acknowledged, 3 comes by plain SQL, with 4 the key is gone, with 5 there again.
WRITES = ["W 1.0 1.1 p1 2 there", "A - 1.3 p1 2", "W 2.0 2.1 p1 3 there", "W 3.0 3.1 p1 4 gone", "F - 3.3 p1 4 timeout",
          "W 4.0 4.1 p1 5 there", "A - 4.3 p1 5"]
READS = ["R 0.5 0.6 p1 1 m", "R 1.05 1.2 p1 1 g", "R 1.05 1.21 p1 2 g", "R 1.4 1.5 p1 2 m", "R 2.2 2.3 p1 2 m",
         "R 2.4 2.5 p1 3 g", "R 2.6 2.7 p1 2 m", "R 3.2 3.3 p1 3 m", "R 3.4 3.5 p1 -1 m", "E 3.6 3.7 p1",
         "R 4.2 4.25 p1 -1 m", "R 4.4 4.5 p1 5 m", "R 9 9.1 p1 5 m"]


def ns(line):
    words = line.split()
    return " ".join(str(int(float(w) * S)) if i in (1, 2) and w != "-" else w for i, w in enumerate(words))


def judged(folder, reads, writes, rested=None):
    paths = []
    for name, lines in (("write1", writes), ("read1", reads)):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="ascii") as f:
            f.write("".join(ns(line) + "\n" for line in lines) + "R 9 9")  # the last was cut off
        paths.append((name, path))
    keys, reads, counts = judge.read_logs(paths)
    j = judge.Judge(keys, reads).judge()
    if rested is not None:
        j.rested(int(rested * S), ["read1"])
    return j, counts


def main():
    folder = temp_dir()
    j, counts = judged(folder, READS, WRITES, 8)
    check("a right history is right", j.problems == 0, "\n".join(j.reports))
    check("what was allowed is counted", j.backward == 1 and counts == {"errors": 1, "failed": 1} and j.behind == 0,
          (j.backward, counts, j.behind))
    spoilt = {
        "older than acknowledged, from memory": "R 1.4 1.5 p1 1 m",
        "older than acknowledged, past memory": "R 1.31 5 p1 1 g",
        "still there though its end was acknowledged over": "R 4.4 4.5 p1 3 m",
        "gone though it was there again": "R 4.4 4.5 p1 -1 g",
        "of the future": "R 2.2 2.3 p1 4 m",
        "gone before anybody removed it": "R 2.2 2.3 p1 -1 m",
        "never written": "R 5 5.1 p1 9 m",
        "of a key that nobody knows": "R 5 5.1 p7 2 m",
        "cut off, but for too long": "R 9.5 9.6 p1 3 k",
    }
    for what, line in spoilt.items():
        j, _ = judged(folder, READS + [line], WRITES)
        check("found: " + what, j.problems, j.problems)
    j, _ = judged(folder, READS + ["R 4.4 4.5 p1 3 k"], WRITES)
    check("one that is cut off from Redis may be behind a little", j.problems == 0 and j.behind == 1, j.reports)
    j, _ = judged(folder, READS[:6] + ["R 2.6 2.7 p1 2 m", "R 30 30.1 p1 2 m"], WRITES[:3])
    check("found: plain SQL that is never seen", j.problems, j.problems)
    j, _ = judged(folder, READS + ["R 9.5 9.6 p1 -1 k"], WRITES, 9.4)
    check("found: not the newest after rest", j.problems, j.problems)
    j, _ = judged(folder, READS, WRITES, 9.4)
    check("found: nothing was read after rest", j.problems, j.problems)

    build = os.path.dirname(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/shoal"))
    actor = os.path.join(build, "tests", "torture", "cache_actor")
    lost = []
    for name, path, text in [(n, actor, x[2]) for n, x in mutants.SCRIPTS.items()] + [
            (n, mutants.source(x[2]), x[3]) for n, x in mutants.SOURCES.items()]:
        try:
            mutants.once(path, text)
        except RuntimeError as e:
            lost.append("%s: %s" % (name, e))
    check("every mistake has its place", not lost, "\n".join(lost))
    finish()


main()
