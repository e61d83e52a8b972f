"""Whether the machine gave the programs of a chaos run the time that they wanted. Where it did not, nobody is to blame
for a worker that was taken for dead: the log of faults says so, and the judge counts what came of it as a cause of its
own."""
import time

from faults import now_ms

LOOK_S, STALL_S = 0.05, 1.0
SPAN_S, SHARE = 1.0, 0.5   # it waited for a processor for half of a second


def waited_s(pid):
    """How long a program has waited for a processor so far, by the kernel's books."""
    try:
        with open("/proc/%d/schedstat" % pid, encoding="ascii") as f:
            return int(f.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


class Machine:
    """programs() gives {name: pid}, log(entry) takes what was found."""

    def __init__(self, programs, log):
        self.programs, self.log = programs, log
        self.before, self.hungry = {}, {}

    def stall(self, last, now):
        if now - last > STALL_S:
            end = now_ms()
            self.log({"kind": "stall", "at": end - int((now - last) * 1000), "end": end})

    def hunger(self, elapsed):
        """Times without a processor, one entry for as long as each lasts."""
        end, programs = now_ms(), self.programs()
        begin = end - int(elapsed * 1000)
        for name, pid in programs.items():
            waited = waited_s(pid)
            known = self.before.get((name, pid))
            if waited is None:
                continue
            self.before[(name, pid)] = waited
            if known is not None and waited - known > SHARE * elapsed:
                self.hungry.setdefault(name, {"kind": "starved", "worker": name, "at": begin})["end"] = end
        for name in [n for n, entry in self.hungry.items() if entry["end"] < end]:
            self.log(self.hungry.pop(name))

    def watch(self, stopped):
        last = looked = time.monotonic()
        while not stopped.wait(LOOK_S):
            now = time.monotonic()
            self.stall(last, now)
            last = now
            if now - looked >= SPAN_S:
                self.hunger(now - looked)
                looked = now
        for entry in self.hungry.values():
            self.log(entry)
