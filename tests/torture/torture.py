"""Torture: the end-to-end cases again and again, each time with another operation on a socket failing, in every way.
For each scenario, each n and each kind of fault the nth operation of the worker (or the gateway) is let fail; then the
effects must be there once, the replies in order, and nothing may be stuck, dead or tried in vain.

    torture.py [BINARY]             a sample
    torture.py --whole [BINARY]     all of it
    ONLY=scenario[:n[:kind]]        only that
    SLOTS=4  SEED=1  SAMPLE=50      how many stacks at once; which sample, and how large"""
import os
import queue
import random
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
from lib import check, finish  # noqa: E402
from scenarios import SCENARIOS, talk  # noqa: E402
from stack import light  # noqa: E402
from world import World  # noqa: E402

MORE = 3  # operations beyond those counted that are tried: their number varies by what happens beside
STACKS = ("webhook", "poll", "shards")
GIVE_UP = 12  # failing runs, after which it ends


def limit_unnoted(operations):
    """The connection that a 429 is noted by goes between the budget's answer and the call that gets it."""
    call = min(o.number for o in operations if o.peer == "api")
    asked = max(o.number for o in operations if o.peer == "redis" and o.number < call)
    return [("told_to_wait", n, "after") for n in (asked, asked + 1)]


ALWAYS = {"told_to_wait": limit_unnoted}  # in every sample: what went wrong once


class Torture:
    def __init__(self, binary):
        self.binary = os.path.abspath(binary)
        self.shim = os.path.join(os.path.dirname(self.binary), "tests", "torture", "fault.so")
        self.lock = threading.Lock()
        self.idle = {kind: [] for kind in STACKS}  # worlds between two lots of tasks
        self.nworlds = 0
        self.ops = {}     # scenario -> operations of an undisturbed run
        self.seen = {}    # scenario -> they themselves
        self.runs = {}    # scenario -> runs with a fault
        self.fired = {}   # (kind, peer) -> faults
        self.ended = {}   # (scenario, kind) -> the first n beyond its operations
        self.failed = {}  # scenario -> failing runs
        self.missed = self.repeated = 0
        self.noticed, self.broken = {}, []

    # ---- one after the other

    def world(self, kind):
        with self.lock:
            if self.idle[kind]:
                return self.idle[kind].pop()
            self.nworlds += 1
            people = (6 + self.nworlds) * 10**9
        return World(self.binary, self.shim, kind=kind, people=people)

    def serve(self, tasks, stack):
        world = None
        while True:
            try:
                name, n, kind = tasks.get_nowait()
            except queue.Empty:
                break
            if sum(self.failed.values()) >= GIVE_UP or n > self.ended.get((name, kind), n):
                continue
            world = world or self.world(stack)
            try:
                world.run(SCENARIOS[name], n, kind)
                self.count(world, name, n, kind)
            except Exception:  # whatever it is, this run has failed, and the others go on
                world.wrong(traceback.format_exc())
            if world.problems:
                self.report(world, name, n, kind)
                world.stack.stop()
                world = None
        if world:
            with self.lock:
                self.idle[stack].append(world)

    def count(self, world, name, n, kind):
        with self.lock:
            self.repeated += world.twice
            if n == 0:
                if world.count > self.ops.get(name, 0):
                    self.ops[name] = world.count
                    self.seen[name] = world.stack.control_of(world.target).operations()[:world.count]
                return
            self.runs[name] = self.runs.get(name, 0) + 1
            for o in world.fired:
                self.fired[(o.kind, o.peer)] = self.fired.get((o.kind, o.peer), 0) + 1
            if world.fired:
                return
            if n > self.ops.get(name, 0):
                self.ended[(name, kind)] = min(n, self.ended.get((name, kind), n))
            else:
                self.missed += 1

    def report(self, world, name, n, kind):
        control = world.stack.control_of(SCENARIOS[name].of)
        program = world.stack.gateway if SCENARIOS[name].of == "gateway" else world.worker
        lines = ["%s, undisturbed:" % name]
        if n:
            failed = ", ".join(map(str, control.failed())) or "it was not reached"
            lines = ["%s, operation %d fails (%s): %s" % (name, n, kind, failed)]
        lines += ["  " + line for p in world.problems for line in p.splitlines()]
        if n:
            lines += ["  operation %s" % o for o in control.operations(n - 4, n + 4)]
            lines += ["  alone: make torture ONLY=\"%s:%d:%s\"" % (name, n, kind)]
        lines += ["  said: " + line for line in world.printed.splitlines()] if world.target == "cli" else []
        lines += ["  log: " + line for line in (program.output().splitlines()[-15:] if program else [])]
        with self.lock:
            self.failed[name] = self.failed.get(name, 0) + 1
            print("\n".join("# " + line for line in lines), flush=True)

    # ---- side by side

    def go(self, tasks, slots):
        """All these tasks, on so many stacks at once, and some of each further kind."""
        threads = []
        for stack in STACKS:
            most = slots if stack == "webhook" else max(1, slots // 3)
            some = [t for t in tasks if SCENARIOS[t[0]].stack == stack]
            mine = queue.Queue()
            for t in sorted(some, key=lambda t: (t[2] != "silence", SCENARIOS[t[0]].group)):  # few changes of the worker
                mine.put(t)
            threads += [threading.Thread(target=self.serve, args=(mine, stack)) for _ in range(min(most, len(some)))]
        for t in threads:
            t.start()
        for t in threads:
            while t.is_alive():
                t.join(60)
                if t.is_alive() and len(tasks) > 500:
                    print("# %d of at most %d runs, %d failed" % (
                        sum(self.runs.values()), len(tasks), sum(self.failed.values())), flush=True)

    def everything(self, names):
        return [(name, n, kind) for name in names for n in range(1, self.ops.get(name, 0) + 1 + MORE)
                for kind in SCENARIOS[name].kinds]

    def count_of(self, name, peer, function):
        return sum((o.peer, o.function) == (peer, function) for o in self.seen.get(name, ()))

    def sample(self, names, size, seed):
        """One of each scenario, and others by chance; of what takes long only where the patience is short."""
        chance, tasks, rest = random.Random(seed), [], []
        for name in names:
            mine = [t for t in self.everything([name]) if t[1] <= self.ops.get(name, 0)]
            slow = [(name, n + 1, "silence at redis read") for n in range(self.count_of(name, "redis", "read"))
                    if "silence" in SCENARIOS[name].kinds]
            fast = [t for t in mine if t[2] != "silence"]
            chance.shuffle(fast)
            tasks += fast[:1] or chance.sample(slow, min(len(slow), 1))
            rest += fast[1:]
            if name in ALWAYS:
                tasks += ALWAYS[name](self.seen[name])
        return tasks + chance.sample(rest, min(len(rest), max(0, size - len(tasks))))


# ---- whether all this would notice

FORGET = """
CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN NEW.key := NEW.key || random(); RETURN NEW; END $$;
CREATE TRIGGER forget BEFORE INSERT ON guards FOR EACH ROW EXECUTE FUNCTION forget()"""


def without_guards(world):
    """Commits leave no key behind, and the answer to one is lost: the second that is read from Postgres."""
    world.rows(FORGET)
    return world.run(SCENARIOS["text"], 2, "before at postgres read")


def one_reply_more(world):
    def text(w):
        yield from interrupted(w, lambda u: w.stack.api("sendMessage", chat_id=u, text="moon"))
    return world.run(as_scenario(text))


def one_reply_less(world):
    def text(w):
        yield from interrupted(w, lambda u: w.api_fault(u, kind="400", count=1), before=True)
    return world.run(as_scenario(text))


def interrupted(w, deed, before=False):
    u = w.person(verified=True, persona="luna")
    yield
    if before:
        deed(u)
    w.say(u, "hello")
    yield
    if not before:
        deed(u)
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello"), activity=1, calls=[("sendMessage", "moon")])


def as_scenario(fn):
    fn.of, fn.group = "worker", "plain"
    return fn


def would_notice(t):
    """Three faults of Shoal, made by hand; each must be found."""
    found = {}
    world = t.world("webhook")
    for sabotage in (one_reply_more, one_reply_less, without_guards):
        try:
            found[sabotage.__name__] = sabotage(world)
        except Exception:
            t.broken.append(traceback.format_exc())
    world.stack.stop()
    t.noticed = found


def chosen():
    """ONLY=scenario[:n[:kind]]"""
    only = os.environ.get("ONLY")
    if not only:
        return list(SCENARIOS), None, None
    name, n, kind = (only.split(":") + ["", ""])[:3]
    if name not in SCENARIOS:
        sys.exit("ONLY=%s: the scenarios are %s" % (only, ", ".join(SCENARIOS)))
    return [name], int(n) if n else None, kind or None


def main():
    whole = "--whole" in sys.argv[1:] or "ONLY" in os.environ
    binary = ([a for a in sys.argv[1:] if not a.startswith("-")] + ["build/shoal"])[0]
    began = time.monotonic()
    slots = int(os.environ.get("SLOTS", 8 if whole else 4))
    names, n, kind = chosen()
    t = Torture(binary)
    judge = threading.Thread(target=would_notice, args=(t,))
    if n is None:
        judge.start()
    t.go([(name, 0, "") for name in names for _ in range(2 if whole else 1)], slots)
    if whole:
        tasks = list(t.everything(names))
    else:
        tasks = t.sample(names, int(os.environ.get("SAMPLE", 42 if light() else 50)), os.environ.get("SEED", "1"))
    tasks = [x for x in tasks if n in (None, x[1]) and kind in (None, x[2])]
    if n and not tasks:
        tasks = [(names[0], n, kind or "before")]
    t.go(tasks, slots)
    for name in names:
        check("%s: %d operations, %d runs with a fault" % (name, t.ops.get(name, 0), t.runs.get(name, 0)),
              name not in t.failed and t.ops.get(name, 0) > 0)
    total = sum(t.fired.values())
    for k in sorted({k for k, _ in t.fired}):
        print("# %s: %s" % (k, ", ".join("%s %d" % (p, c) for (kk, p), c in sorted(t.fired.items()) if kk == k)))
    print("# %d runs, %d faults, %d times the operation was not reached, %d calls made again; seed %s; %.0f s" % (
        sum(t.runs.values()), total, t.missed, t.repeated, os.environ.get("SEED", "1"), time.monotonic() - began))
    if n is None:
        judge.join()
        check("a lost guard, a reply more and a reply less are noticed", len(t.noticed) == 3 and all(t.noticed.values()),
              (t.noticed, t.broken))
        check("faults took place", total > 0 and t.missed <= 0.3 * len(tasks), (total, t.missed, len(tasks)))


main()
finish()
