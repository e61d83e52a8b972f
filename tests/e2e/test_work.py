#!/usr/bin/python3
"""How much work an update is: what is counted is work, not time, so a busy machine changes little of it. The reference job
(README, "Performance") in fixed portions: a portion waits in the queue before the worker may take it, so the worker takes it
whole. The least of several portions counts: more of it comes of whoever was slower in one, as when nothing found company, or a
connection more was opened. How many turns of the queue a portion takes depends on who is quicker, so their commands are
counted by the turn. Instructions and allocations by callgrind, system calls by strace. The limits have a tenth of room.

    test_work.py [BINARY]
"""
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "bench", "job")]
from lib import PATIENCE, check, finish, wait_for  # noqa: E402
from rig import Load, Rig, tree  # noqa: E402
from shoal import STREAM, Shoal  # noqa: E402
from stack import binary_from_argv, light  # noqa: E402

PORTION, CODES, PORTIONS = 120, 20, 5
CONF = "shoal:{0}:conf"
# per update. With Debian 12's libraries; more than half of the instructions are theirs
LIMITS = {"instructions": 205000, "allocations": 65, "system calls": 5.8,
          "Redis commands": 2.7, "Redis commands by the turn": 29, "SQL statements": 0.2}
OURS = {"xlen", "info", "client", "ping", "command", "xadd"}  # of this test and the sender
ASKED = {"evalsha", "get", "set", "mget", "time"}  # for an update; a turn is one EVALSHA too, and one TIME
TURN = "zscore"  # once in a turn: is the worker's name known?


def calls(r):
    return {k[len("cmdstat_"):]: v["calls"] for k, v in r.info("commandstats").items()}


def spent(before, after):
    """(for updates, in turns, turns)"""
    new = {k: n - before.get(k, 0) for k, n in after.items() if k not in OURS}
    turns = new[TURN]
    asked = sum(n for k, n in new.items() if k in ASKED) - 2 * turns
    return asked, sum(new.values()) - asked, turns


def statements(worker):
    return sum(v for k, v in worker.metrics().items() if k.startswith("shoal_sql_statements_total"))


def portion(rig, shoal, number, mark):
    """Done by the worker that runs; what was spent on it. mark is called just before and after."""
    r = rig.redis.client()
    r.hset(CONF, "paused", "*")
    shoal.fill(rig, Load(PORTION, PORTION, CODES, number * PORTION))
    mark()
    before = calls(r)
    r.hdel(CONF, "paused")
    if not wait_for(lambda: shoal.settled(rig), PATIENCE):
        raise RuntimeError("not settled: %d" % r.xlen(STREAM))
    after = calls(r)
    mark()
    return spent(before, after)


def run(rig, portions, wrapper="", mark=lambda pid: None):
    """One worker's life: what was spent on each portion but the first, and SQL statements of all."""
    rig.fresh()
    shoal = Shoal(rig.binary, SHOAL_SLOW_QUERY_MS="60000")  # what is slow for the tool's sake is not to be told
    if wrapper:
        path = os.path.join(rig.folder, "wrapped-%d" % rig.runs)
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\nexec %s %s \"$@\"\n" % (wrapper, rig.binary))
        os.chmod(path, 0o755)
        shoal.binary = path
    worker = shoal.start(rig, 1)
    if not wait_for(worker.ready, PATIENCE):
        raise RuntimeError("no worker: " + worker.output()[-2000:])
    pid, before = tree(worker.pid)[-1], statements(worker)
    commands = [portion(rig, shoal, n, lambda: mark(pid)) for n in range(portions)][1:]
    asked = statements(worker) - before
    os.kill(pid, signal.SIGTERM)  # strace would leave it running
    check("it ends well" + " under " * bool(wrapper) + wrapper.split(" ")[0], worker.wait() == 0, worker.output()[-2000:])
    return commands, asked


def between(marks):
    """[(before, after)] of each portion but the first."""
    return list(zip(marks[2::2], marks[3::2]))


def allocations(text):
    return sum(map(int, re.findall(r"^cfn=(?:malloc|calloc|realloc)\ncalls=(\d+)", text, re.M)))


def callgrind(rig):
    """[(instructions, allocations)] of each portion: what was counted is written, and begun anew, before and after it."""
    out, dumps = os.path.join(rig.folder, "callgrind"), []

    def dump(pid):
        subprocess.run(["vgdb", "--wait=60", "--pid=%d" % pid, "dump"], check=True, capture_output=True)
        dumps.append("%s.%d" % (out, len(dumps) + 1))
    run(rig, PORTIONS, "valgrind -q --tool=callgrind --compress-strings=no --callgrind-out-file=" + out, dump)
    found = []
    for _, path in between(dumps):
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        found.append((int(re.search(r"^(?:totals|summary): (\d+)", text, re.M).group(1)), allocations(text)))
    return found


def strace(rig):
    """Calls in each portion."""
    out, times = os.path.join(rig.folder, "strace"), []
    run(rig, PORTIONS, "strace -f -ttt -o %s" % out, lambda _: times.append(time.time()))
    with open(out, encoding="utf-8", errors="replace") as f:
        at = [float(m.group(1)) for m in re.finditer(r"^\d+ +([\d.]+) (?!<\.\.\.|---|\+\+\+)", f.read(), re.M)]
    return [sum(first <= t < last for t in at) for first, last in between(times)]


def judge(what, per_update):
    limit = LIMITS[what]
    check("%s%s: %.6g, at most %g" % (what, "" if "turn" in what else " of an update", per_update, limit), per_update <= limit)


def main():
    rig = Rig(binary_from_argv(), PORTION, CODES, "off")
    commands, statements_sent = run(rig, PORTIONS)
    judge("SQL statements", statements_sent / (PORTIONS * PORTION))
    judge("Redis commands", min(asked for asked, _, _ in commands) / PORTION)
    judge("Redis commands by the turn", min(in_turns / turns for _, in_turns, turns in commands))
    if light():
        print("# instructions, allocations and system calls are not counted: a sanitizer's own are among them")
        return
    work = callgrind(rig)
    judge("instructions", min(n for n, _ in work) / PORTION)
    judge("allocations", min(n for _, n in work) / PORTION)
    judge("system calls", min(strace(rig)) / PORTION)


main()
finish()
