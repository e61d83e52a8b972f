"""The reference job of `make bench`, small: it is done, every reply and row is there; and its judge can fail."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.join(HERE, "..", "bench")
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(BENCH, "job")]
import run  # noqa: E402
from lib import check, finish  # noqa: E402
from rig import PERSONAS, Load  # noqa: E402
from stack import binary_from_argv  # noqa: E402


class Judged:
    """A run with 20 people who came twice, as it should be; then spoilt in one way."""
    ordered, came_before = True, False

    def __init__(self, ordered=True):
        self.ordered, self.load = ordered, Load(40, people=20, codes=7)
        self.record = [(n, self.load.person(n), self.load.code(n) % PERSONAS, "sendMessage") for n in range(40)]
        self.people = [[self.load.person(n), "CODE%d" % self.load.code(n), "anchor_lantern_%d" % self.load.person(n), 1]
                       for n in range(20)]
        self.counts = (40, 20)

    def rows(self, sql):
        return [self.counts] if "guards" in sql else self.people

    def verdict(self, again=0):
        try:
            run.check_replies(self, self.load, self.record, again=again)
            run.check_rows(self, self.load, self)
            return "good"
        except run.Wrong as wrong:
            return str(wrong)


def spoilt(how, ordered=True):
    j = Judged(ordered)
    how(j)
    return j.verdict()


def swap(j):
    """The two replies of a person whose codes have different personas."""
    a = next(n for n in range(20) if j.record[n][2] != j.record[n + 20][2])
    j.record[a], j.record[a + 20] = j.record[a + 20], j.record[a]


check("replies are counted from a second after the first update to the last one", run.while_sending(
    [(0, n * 10**8, 0, 1) for n in range(41)], [(n * 5 * 10**7, 1, 0, "sendMessage") for n in range(200)]) == 20)
check("a right run is right", Judged().verdict() == "good" and Judged(False).verdict() == "good")
twice = Judged()
late = next(i for i in range(20, 40) if twice.record[i][2] != twice.record[i - 20][2])
twice.record.insert(late + 1, twice.record[late])
check("a reply that came twice is right where its sender died", twice.verdict(again=1) == "good", twice.verdict(again=1))
check("a reply that came twice is wrong where nobody died", twice.verdict() != "good")
check("swapped replies are right only where no order is promised", spoilt(swap) != "good" and spoilt(swap, False) == "good")
for name, how in {
        "a missing reply": lambda j: j.record.pop(5),
        "a reply too many": lambda j: j.record.append(j.record[-1]),
        "a reply of the wrong persona": lambda j: j.record.append((1,) + j.record.pop()[1:2] + (99, "sendMessage")),
        "a reply to a stranger": lambda j: j.record.append((1, 77, 0, "sendMessage")),
        "a call of another method": lambda j: j.record.append(j.record.pop()[:3] + ("editMessageText",)),
        "a missing row": lambda j: j.people.pop(),
        "a row of a stranger": lambda j: j.people.append([77, "CODE1", "x", 1]),
        "a row with another's code": lambda j: j.people[3].__setitem__(1, "CODE99"),
        "a row that was not renewed": lambda j: j.people[3].__setitem__(2, "Somebody")}.items():
    check(name + " is found", spoilt(how) != "good" and spoilt(how, False) != "good", spoilt(how))
check("a commit too many is found", spoilt(lambda j: setattr(j, "counts", (41, 20))) != "good")

done = subprocess.run(["/usr/bin/python3", os.path.join(BENCH, "bench.py"), "--runs", "1", "--n", "800", "--people", "300",
                       "--only", "shoal", "--seconds", "0.2", binary_from_argv()], capture_output=True, text=True, check=False)
check("the job is done, as fast as can be and at a pace", done.returncode == 0 and "ok Shoal" in done.stdout,
      done.stdout + done.stderr)
finish()
