"""The judge of the caches' torture. It knows nothing of Shoal: only what was written and acknowledged, and what was
read, each with its times on one clock (ns), and says which reads should never have been.

    A read that began after a version was acknowledged (voided, and every worker had heard) is of that version or later.
    A read is of a version whose change had begun when the read ended.
    What one process reads goes back only as long as the change it goes back from is under way: committed, not acknowledged.
    A change that nobody acknowledges (plain SQL) is under way for UNTOLD_S at most.
    A worker that cannot reach Redis hears of changes from Postgres alone: for CUT_OFF_S it may be behind."""
import bisect
import heapq

UNTOLD_S = 15
CUT_OFF_S = 5
GONE = -1
NS = 10**9


class Key:
    """What happened to one key: versions 1, 2, ... in order; the first was there before everything."""

    def __init__(self):
        self.begun, self.committed, self.gone = {1: 0}, {1: 0}, set()
        self.acks = []  # (time, version)

    def finish(self):
        self.newest = max(self.begun)
        self.acks.sort()
        self.ack_times = [t for t, _ in self.acks]
        best, self.floors, self.settled = 1, [], {1: 0}
        for t, v in self.acks:
            for between in range(best + 1, v + 1):
                self.settled[between] = t
            best = max(best, v)
            self.floors.append(best)
        self.gone_versions = sorted(self.gone)

    def floor(self, t):
        """The newest version that was acknowledged before t."""
        at = bisect.bisect_left(self.ack_times, t)
        return self.floors[at - 1] if at else 1

    def under_way_until(self, version):
        """When nobody may be behind this version any more."""
        return min(self.settled.get(version, self.committed[version] + UNTOLD_S * NS),
                   self.committed[version] + UNTOLD_S * NS)

    def newest_at(self, t):
        v = self.newest
        while self.begun[v] > t:
            v -= 1
        return v

    def candidates(self, version, floor, ended):
        """The oldest and the newest version that an answer can stand for, none older than floor if any such could be."""
        if version != GONE:
            return (version, version) if self.begun.get(version, ended + 1) <= ended and version not in self.gone else None
        known = [v for v in self.gone_versions if self.begun[v] <= ended]
        if not known:
            return None
        at = min(bisect.bisect_left(known, floor), len(known) - 1)
        return known[at], known[-1]


def read_logs(paths, until=None):
    """{key: Key}, {actor: [(began, ended, key, version, layer)]}, counts. until: only reads that had ended by then, while
    the logs are still written."""
    keys, reads, counts = {}, {}, {"errors": 0, "failed": 0}
    for name, path in paths:
        mine = reads.setdefault(name, [])
        with open(path, encoding="ascii") as f:
            for line in f:
                if not line.endswith("\n"):
                    continue  # cut off by a kill
                w = line.split()
                if w[0] == "R":
                    if until and int(w[2]) > until:
                        break
                    mine.append((int(w[1]), int(w[2]), w[3], int(w[4]), w[5]))
                elif w[0] == "W":
                    k, v = keys.setdefault(w[3], Key()), int(w[4])
                    k.begun[v], k.committed[v] = int(w[1]), int(w[2])
                    if w[5] == "gone":
                        k.gone.add(v)
                elif w[0] == "A":
                    keys.setdefault(w[3], Key()).acks.append((int(w[2]), int(w[4])))
                else:
                    counts["errors" if w[0] == "E" else "failed"] += 1
    for k in keys.values():
        k.finish()
    return keys, {name: r for name, r in reads.items() if r}, counts


def ms(ns):
    return "%.3f ms" % (ns / 1e6)


class Judge:
    def __init__(self, keys, reads):
        self.keys, self.reads = keys, reads
        self.problems, self.reports = 0, []
        self.layers = {}
        self.backward = self.behind = 0  # steps back that were allowed; reads of a worker that was cut off
        self.lag = []  # ns from a commit to the beginning of a read that did not see it yet

    def wrong(self, text):
        self.problems += 1
        if len(self.reports) < 20:
            self.reports.append(text)

    def one(self, actor, read):
        began, ended, name, version, layer = read
        k = self.keys.get(name) or Key()
        if not hasattr(k, "newest"):
            k.finish()
        self.layers[layer] = self.layers.get(layer, 0) + 1
        floor = k.floor(began)
        could = k.candidates(version, floor, ended)
        where = "%s read %s of %s (%s) at %d..%d" % (actor, version, name, layer, began, ended)
        if not could:
            self.wrong("%s: nobody had written that" % where)
            return None
        seen = could[1] if version == GONE and could[0] < floor else could[0]
        if seen < floor:
            late = began - k.settled[floor]
            if layer in "kK" and late < CUT_OFF_S * NS:
                self.behind += 1
            else:
                self.wrong("%s: version %d had been acknowledged %s before" % (where, floor, ms(late)))
        if could[1] < k.newest and k.committed[could[1] + 1] < began:
            lag = began - k.committed[could[1] + 1]
            self.lag.append(lag)
            if lag > UNTOLD_S * NS:
                self.wrong("%s: version %d had been committed %s before" % (where, could[1] + 1, ms(lag)))
        return could

    def backwards(self, actor, reads, could):
        """Reads in the order in which they began, against what had been read before."""
        best, ended = {}, []  # key -> (version, read); reads by their end
        for n in sorted(range(len(reads)), key=lambda i: reads[i][0]):
            began, _, name, _, layer = reads[n]
            while ended and ended[0][0] < began:
                _, m = heapq.heappop(ended)
                if could[m] and could[m][0] > best.get(reads[m][2], (0,))[0]:
                    best[reads[m][2]] = (could[m][0], m)
            if could[n]:
                was = best.get(name, (0,))[0]
                if could[n][1] < was:
                    self.backward += 1
                    if began > self.keys[name].under_way_until(was) and layer not in "kK":
                        self.wrong("%s went back from version %d to %d of %s at %d, when that was settled" % (
                            actor, was, could[n][1], name, began))
                heapq.heappush(ended, (reads[n][1], n))

    def judge(self):
        for actor, reads in self.reads.items():
            could = [self.one(actor, r) for r in reads]
            self.backwards(actor, reads, could)
        return self

    def rested(self, since, actors):
        """After rest every actor that is left reads the newest version of every key."""
        for actor in actors:
            last = {}
            for read in self.reads.get(actor, []):
                if read[0] > since:
                    last[read[2]] = read
            for name, k in self.keys.items():
                want = GONE if k.newest in k.gone else k.newest
                if name not in last:
                    self.wrong("%s did not read %s after rest" % (actor, name))
                elif last[name][3] != want:
                    self.wrong("%s read %d of %s after rest, not %d" % (actor, last[name][3], name, want))
