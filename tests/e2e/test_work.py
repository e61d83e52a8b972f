#!/usr/bin/python3
"""How much work an update is: what is counted is work, not time, so a busy machine changes little of it. The reference job
(README, "Performance") in fixed portions: a portion waits in the queue before the worker may take it, so the worker takes it
whole. The least of several portions counts: more of it comes of whoever was slower in one, as when nothing found company, or a
connection more was opened. Redis tells each command and whose it is (MONITOR): what the worker says by the clock, whether there is
work or not, is left out. How many turns of the queue a portion takes, and how much each reads, depends on who is quicker, so of
the turns it is the longest that counts, without the commands of its reads. Instructions and allocations by callgrind, system
calls by strace. The limits have a tenth of room; commands of updates half, as it differs how many share a question.

    test_work.py [BINARY]
"""
import collections
import hashlib
import os
import re
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "bench", "job")]
from lib import PATIENCE, check, finish, script_text, wait_for  # noqa: E402
from rig import Load, Rig, tree  # noqa: E402
from shoal import STREAM, Shoal  # noqa: E402
from stack import binary_from_argv, light  # noqa: E402
from work import Callgrind, Nothing, Strace, judge  # noqa: E402

PORTION, CODES, PORTIONS = 120, 20, 8
CONF = "shoal:{0}:conf"
# Counted with Debian 12's libraries
LIMITS = {"instructions of an update": 147500, "allocations of an update": 11.4, "system calls of an update": 5.4,
          "Redis commands of an update": 0.3, "Redis commands of a turn beside its reads": 22, "SQL statements of an update": 0.03}
READ = 5  # commands for up to 32 entries: they, their lanes, their keys of today and of yesterday; their keys written
OURS = {"xlen", "info", "client", "command", "xadd", "hdel", "echo"}  # of this test and the sender
IDLE_S = 3
TURN = hashlib.sha1(script_text("turn.lua").encode()).hexdigest()

# ---- what Redis is told

Spent = collections.namedtuple("Spent", "asked turns")  # commands by their name or script; (commands, reads) of each turn


class Monitor:
    """Reads along from now on."""
    LINE = re.compile(r'\+[\d.]+ \[\d+ (\S+)\] "([^"]*)"(?: "([^"]*)")?')

    def __init__(self, redis):
        self.client, self.marks = redis.client(), 0
        self.lines = socket.create_connection(("127.0.0.1", redis.port), PATIENCE)
        self.lines.sendall(b"MONITOR\r\n")
        self.file = self.lines.makefile("r", encoding="latin-1", newline="\r\n")
        if self.file.readline() != "+OK\r\n":
            raise RuntimeError("no MONITOR")

    def close(self):
        self.file.close()
        self.lines.close()

    def since(self):
        """What was spent since it was asked last."""
        self.marks += 1
        mark, script, spent = "mark-%d" % self.marks, "", Spent(collections.Counter(), [])
        self.client.echo(mark)
        for line in self.file:
            who, command, first = self.LINE.match(line).groups()
            command = command.lower()
            if command == "echo" and first == mark:
                return spent
            if who != "lua":  # a script's own come behind it
                script = first if command == "evalsha" else command
            if script == TURN and who != "lua":
                spent.turns.append([0, 0])
            elif script == TURN:
                spent.turns[-1][0] += 1
                spent.turns[-1][1] += command == "xreadgroup"
            else:
                spent.asked[script] += 1
        raise RuntimeError("MONITOR ended")


def for_updates(spent, by_the_clock):
    return sum(n for name, n in spent.asked.items() if name not in by_the_clock and name not in OURS)


def longest(spent):
    return max(n - READ * reads for n, reads in spent.turns)


def statements(worker):
    return sum(v for k, v in worker.metrics().items() if k.startswith("shoal_sql_statements_total"))


def portion(rig, shoal, monitor, number, mark):
    """Done by the worker that runs; what was spent on it. mark is called just before and after."""
    r = rig.redis.client()
    r.hset(CONF, "paused", "*")
    shoal.fill(rig, Load(PORTION, PORTION, CODES, number * PORTION))
    mark()
    monitor.since()
    r.hdel(CONF, "paused")
    if not wait_for(lambda: shoal.settled(rig), PATIENCE):
        raise RuntimeError("not settled: %d" % r.xlen(STREAM))
    spent = monitor.since()
    mark()
    return spent


def run(rig, tool):
    """One worker's life: what was spent on each portion but the first, SQL statements of all, what comes by the clock."""
    rig.fresh()
    shoal = Shoal(rig.binary, SHOAL_SLOW_QUERY_MS="60000")  # what is slow for the tool's sake is not to be told
    shoal.binary = tool.program(rig.binary)
    worker = shoal.start(rig, 1)
    if not wait_for(worker.ready, PATIENCE):
        raise RuntimeError("no worker: " + worker.output()[-2000:])
    pid, before, monitor = tree(worker.pid)[-1], statements(worker), Monitor(rig.redis)
    time.sleep(0 if tool.name else IDLE_S)
    by_the_clock = set(monitor.since().asked)
    commands = [portion(rig, shoal, monitor, n, lambda: tool.mark(pid)) for n in range(PORTIONS)][1:]
    monitor.close()
    asked = statements(worker) - before
    os.kill(pid, signal.SIGTERM)  # strace would leave it running
    check("it ends well" + tool.name, worker.wait() == 0, worker.output()[-2000:])
    return commands, asked, by_the_clock


def main():
    rig = Rig(binary_from_argv(), PORTION, CODES, "off")
    commands, statements_sent, by_the_clock = run(rig, Nothing())
    judge(LIMITS, "SQL statements of an update", statements_sent / (PORTIONS * PORTION))
    judge(LIMITS, "Redis commands of an update", min(for_updates(spent, by_the_clock) for spent in commands) / PORTION)
    judge(LIMITS, "Redis commands of a turn beside its reads", min(longest(spent) for spent in commands))
    if light():
        print("# instructions, allocations and system calls are not counted: a sanitizer's own are among them")
        return
    work, calls = Callgrind(rig.folder), Strace(rig.folder)
    for tool in work, calls:
        run(rig, tool)
    judge(LIMITS, "instructions of an update", min(n for n, _ in work.portions()) / PORTION)
    judge(LIMITS, "allocations of an update", min(n for _, n in work.portions()) / PORTION)
    judge(LIMITS, "system calls of an update", min(calls.portions()) / PORTION)


main()
finish()
