#!/usr/bin/python3
"""How much work an update is: what is counted is work, not time, so a busy machine changes little of it. The reference job
(README, "Performance") in fixed portions: a portion waits in the queue before the worker may take it, so the worker takes it
whole. How many turns of the queue that takes depends on who is quicker, so their commands are counted by the turn. Instructions
and allocations by callgrind, system calls by strace: the difference between a run of one portion and one of three. The limits
have a tenth of room, that of the system calls more: it depends on how many statements found company.

    test_work.py [BINARY]
"""
import os
import re
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "bench", "job")]
from lib import PATIENCE, check, finish, wait_for  # noqa: E402
from rig import Load, Rig, tree  # noqa: E402
from shoal import STREAM, Shoal  # noqa: E402
from stack import binary_from_argv, light  # noqa: E402

PORTION, CODES = 120, 20
CONF = "shoal:{0}:conf"
# per update. With Debian 12's libraries; more than half of the instructions are theirs
LIMITS = {"instructions": 320000, "allocations": 135, "system calls": 10.5,
          "Redis commands": 5.6, "Redis commands by the turn": 30, "SQL statements": 2}
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


def portion(rig, shoal, number):
    """Done by the worker that runs; what was spent on it."""
    r = rig.redis.client()
    r.hset(CONF, "paused", "*")
    shoal.fill(rig, Load(PORTION, PORTION, CODES, number * PORTION))
    before = calls(r)
    r.hdel(CONF, "paused")
    if not wait_for(lambda: shoal.settled(rig), PATIENCE):
        raise RuntimeError("not settled: %d" % r.xlen(STREAM))
    return spent(before, calls(r))


def run(rig, portions, wrapper=""):
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
    before = statements(worker)
    commands = [portion(rig, shoal, n) for n in range(portions)][1:]
    asked = statements(worker) - before
    os.kill(tree(worker.pid)[-1], signal.SIGTERM)  # strace would leave it running
    check("it ends well" + " under " * bool(wrapper) + wrapper.split(" ")[0], worker.wait() == 0, worker.output()[-2000:])
    return commands, asked


def callgrind(path):
    """(instructions, allocations) of a whole run."""
    with open(path, encoding="utf-8", errors="replace") as f:
        text = f.read()
    names = dict(re.findall(r"^c?fn=\((\d+)\) (\S+)", text, re.M))
    wanted = {n for n, name in names.items() if name in ("malloc", "calloc", "realloc")}
    allocations = sum(int(n) for fn, n in re.findall(r"^cfn=\((\d+)\)[^\n]*\ncalls=(\d+)", text, re.M) if fn in wanted)
    return int(re.search(r"^(?:totals|summary): (\d+)", text, re.M).group(1)), allocations


def strace(path):
    with open(path, encoding="utf-8") as f:
        return int(re.search(r"^100\.00\s+[\d.]+\s+\d+\s+(\d+)", f.read(), re.M).group(1))


def judge(what, per_update):
    limit = LIMITS[what]
    check("%s%s: %.6g, at most %g" % (what, "" if "turn" in what else " of an update", per_update, limit), per_update <= limit)


def main():
    rig = Rig(binary_from_argv(), PORTION, CODES, "off")
    commands, statements_sent = run(rig, 4)
    judge("SQL statements", statements_sent / (4 * PORTION))
    judge("Redis commands", min(asked for asked, _, _ in commands) / PORTION)
    judge("Redis commands by the turn", min(in_turns / turns for _, in_turns, turns in commands))
    if light():
        return
    found = []
    for portions in (1, 3):
        out = os.path.join(rig.folder, "counted-%d" % portions)
        run(rig, portions, "valgrind -q --tool=callgrind --callgrind-out-file=%s.callgrind" % out)
        run(rig, portions, "strace -f -c -o %s.strace" % out)
        found.append((*callgrind(out + ".callgrind"), strace(out + ".strace")))
    for what, one, three in zip(("instructions", "allocations", "system calls"), *found):
        judge(what, (three - one) / (2 * PORTION))


main()
finish()
