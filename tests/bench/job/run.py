"""One run of the reference job by one contestant: as fast as it can, or at a pace; and whether it did it."""
import collections
import os
import time

from lib import wait_for
from rig import PERSONAS, Load, memory_mb

FROM, UPTO = 0.2, 0.95  # the part of a full run that is measured: everybody is warm, nobody runs out of work
LOOK_S = 0.02
STUCK_S = 60


class Wrong(Exception):
    """What a contestant did not do."""


def wait_ready(workers):
    for w in workers:
        if not wait_for(lambda: w.ready() or not w.running()) or not w.running():
            raise Wrong("did not become ready:\n" + w.output()[-2000:])


def still_running(workers):
    for w in workers:
        if not w.running():
            raise Wrong("ended with %s:\n%s" % (w.child.returncode, w.output()[-2000:]))


def settle(who, rig, workers):
    """Until the queue is empty, too: the last replies are out a moment before their updates are settled."""
    if not wait_for(lambda: who.settled(rig), STUCK_S):
        raise Wrong("left something in the queue")
    still_running(workers)


# ---- whether it was done

def said_again(numbers, got):
    """One reply of them came twice, the second time right behind the first."""
    return any(got[:i] + got[i + 1:] == numbers and got[i] == got[i - 1] for i in range(1, len(got)))


def check_replies(who, load, record, personas=PERSONAS, again=0):
    """Every update got its reply, by its code's persona; in the order of the chat where order is promised. In `again` chats
    one may have come twice: whoever sent it died before its answer was kept."""
    want, got = collections.defaultdict(list), collections.defaultdict(list)
    for n in range(load.count):
        want[load.person(n)].append(load.code(n) % personas)
    for _, chat, number, method in record:
        if method == "sendMessage":
            got[chat].append(number)
    for chat, numbers in want.items():
        if again and said_again(numbers, got[chat]):
            again -= 1
        elif (numbers != got[chat]) if who.ordered else (sorted(numbers) != sorted(got[chat])):
            raise Wrong("chat %d: replies %s instead of %s" % (chat, got[chat][:20], numbers[:20]))
    if len(got) != len(want):
        raise Wrong("replies to %d chats instead of %d" % (len(got), len(want)))


def check_rows(who, load, rig):
    """Everybody who came has a row of the job, and as their source a code of theirs: the first one where order is promised;
    who had one before keeps it."""
    codes = collections.defaultdict(list)
    for n in range(load.count):
        codes[load.person(n)].append("CODE%d" % load.code(n))
    rows = {i: (source, name, seen) for i, source, name, seen in rig.rows(
        "SELECT telegram_id, acquisition_source, username, last_seen_at FROM users WHERE last_seen_at IS NOT NULL")}
    for person, theirs in codes.items():
        source, name, seen = rows.pop(person, (None, None, None))
        right = ["CODE0"] if rig.came_before else theirs[:1] if who.ordered else theirs
        if not seen or name != "anchor_lantern_%d" % person or source not in right:
            raise Wrong("person %d: row %s, codes %s" % (person, (source, name, seen), theirs[:5]))
    if rows:
        raise Wrong("rows of %d people who never came" % len(rows))
    if who.ordered:  # Shoal's own tables
        done = rig.rows("SELECT (SELECT count(*) FROM guards), (SELECT count(*) FROM start_code_uses)")[0]
        right = load.count, rig.people if rig.came_before else len(codes)
        if done != right:
            raise Wrong("guards and uses of codes: %s, not %s" % (done, right))


def verify(who, load, rig, again=0):
    check_replies(who, load, rig.record(), rig.personas, again)
    check_rows(who, load, rig)


# ---- runs

def watch(rig, workers, count, every=LOOK_S):
    """Snapshots until so many replies are there; the most memory that was seen."""
    shots, memory, news = [], (0, 0), time.monotonic()
    while not shots or shots[-1]["replies"] < count:
        time.sleep(every)
        shots.append(rig.snapshot(workers))
        memory = tuple(map(max, memory, map(sum, zip(*(memory_mb(w.pid) for w in workers)))))
        if len(shots) > 1 and shots[-1]["replies"] > shots[-2]["replies"]:
            news = shots[-1]["at"]
        if shots[-1]["at"] - news > STUCK_S:
            raise Wrong("stood still after %d of %d" % (shots[-1]["replies"], count))
        still_running(workers)
    return shots, memory


def cost(a, b):
    """What was spent between two snapshots."""
    done, ticks = b["replies"] - a["replies"], [y - x for x, y in zip(a["processors"], b["processors"])]
    seconds = b["at"] - a["at"]
    spent = {k: b["cpu"][k] - a["cpu"][k] for k in a["cpu"]}
    return {"updates": done, "seconds": seconds, "per_second": done / seconds,
            "cpu_per_1000": {k: v * 1000 / done for k, v in spent.items()}, "busy": {k: v / seconds for k, v in spent.items()},
            "idle": ticks[1] / ticks[0], "disk": ticks[2] / ticks[0],
            "others": max(0, 1 - ticks[1] / ticks[0] - sum(spent.values()) / seconds / os.cpu_count())}


def bottleneck(c):
    """What kept it from being faster."""
    most = max(c["busy"], key=c["busy"].get)
    if c["idle"] < 0.08:
        return "both processors"
    if c["busy"][most] > 0.85 and most != "postgres":
        return "one processor: " + most
    return "waiting for the disk" if c["disk"] > 0.05 else "waiting for each other"


def measured(shots, first, last):
    """The cost between the first looks at which so many replies were there."""
    a, b = (next(s for s in shots if s["replies"] >= replies) for replies in (first, last))
    if a is b:
        raise Wrong("too few updates: %d were done between two looks" % (last - first))
    return cost(a, b)


def full(who, rig, count=None, workers=1, window=None):
    """As fast as it can, on a queue that was filled before; measured between two numbers of replies."""
    load = Load(count or who.updates, rig.people, rig.codes)
    window = window or (FROM * load.count, UPTO * load.count)
    rig.fresh(getattr(who, "binary", None))
    before = rig.snapshot([])
    who.fill(rig, load)
    filled, written = rig.snapshot([]), rig.written()
    running = [who.start(rig, n) for n in range(workers)]
    try:
        shots, memory = watch(rig, running, load.count)
        settle(who, rig, running)
        verify(who, load, rig)
    finally:
        for w in running:
            w.stop()
    c = measured(shots, *window)
    c["ingest_redis_per_1000"] = (filled["cpu"]["redis"] - before["cpu"]["redis"]) * 1000 / load.count
    syncs, size = (b - a for a, b in zip(written, rig.written()))
    return {**c, "wal_syncs": syncs / load.count, "wal_bytes": size / load.count, "rss_mb": memory[0], "anon_mb": memory[1], "bottleneck": bottleneck(c)}


def delays(sent, record):
    """Of each update in order: ms from when it was due until its reply was at the platform, by the order within its chat."""
    arrived = collections.defaultdict(collections.deque)
    for at, chat, _, method in record:
        if method == "sendMessage":
            arrived[chat].append(at)
    try:
        return [(arrived[person].popleft() - due) / 1e6 for due, _, _, person in sent]
    except IndexError:
        raise Wrong("a reply is missing") from None


def percentile(values, p):
    v = sorted(values)
    return v[min(int(len(v) * p), len(v) - 1)]


def spread(values):
    return {"p50": percentile(values, .5), "p95": percentile(values, .95), "p99": percentile(values, .99), "max": max(values)}


WARM_S = 1


def while_sending(sent, record):
    """Replies a second in the time in which updates came in, the first second left out."""
    began, ended = sent[0][1] + WARM_S * 10**9, max(at for _, at, _, _ in sent)
    return sum(1 for at, _, _, method in record if method == "sendMessage" and began <= at < ended) / max(1, ended - began) * 1e9


def paced(who, rig, rate, seconds, workers=1):
    """At a pace that does not wait for anybody."""
    load = Load(int(rate * (seconds + WARM_S)), rig.people, rig.codes)
    rig.fresh(getattr(who, "binary", None))
    if hasattr(who, "cache"):
        who.cache(rig)
    running = [who.start(rig, n) for n in range(workers)]
    try:
        wait_ready(running)
        a = rig.snapshot(running)
        sent = who.paced(rig, load, rate)
        watch(rig, running, load.count, 0.05)
        b = rig.snapshot(running)
        settle(who, rig, running)
        record = rig.record()
        verify(who, load, rig)
        inside = who.inside(running)
    finally:
        for w in running:
            w.stop()
    warm = int(rate * WARM_S)
    if inside.get("lookups"):  # each code's first one is nobody's warm lookup
        inside["lookups_beyond_memory"] = max(0, inside["lookups_beyond_memory"] - load.codes)
    return {"rate": rate, "per_second": while_sending(sent, record), **spread(delays(sent, record)[warm:]), "cpu_per_1000": cost(a, b)["cpu_per_1000"], **inside,
            "sender": spread([(at - due) / 1e6 for due, at, _, _ in sent[warm:]])}
