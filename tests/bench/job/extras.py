"""What the marks ask of Shoal alone: its Redis in two parts, a safer disk, near its capacity, its gateway, buttons, and at
rest."""
import signal
import threading
import time

from lib import free_port, wait_for
from rig import SECRET, Load, memory_mb
from run import WARM_S, Wrong, delays, full, settle, spread, still_running, verify, wait_ready
from shoal import STREAM, Shoal

CONNECTIONS = 40  # of the platform to the gateway, as Telegram makes them by default
REST_S = 3
WARM_UPDATES = 2000
LATE_MS = 250  # no reply takes that long where nobody is killed


class TwoRedis(Shoal):
    """The queue in one Redis, caches, limits and locks in another one."""

    def start(self, rig, number):
        caches = rig.add_redis("caches")
        return self.program(rig, "worker", "worker-%d" % number, SHOAL_CACHE_REDIS_URL=caches.url)


def two_redis(shoal, rig, count=None):
    """CPU seconds per 1,000 updates of both, and of what the sender's XADD costs."""
    c = full(TwoRedis(shoal.binary, updates=shoal.updates), rig, count)
    return {"ingest": c["ingest_redis_per_1000"], "turns": c["cpu_per_1000"]["redis"], "caches": c["cpu_per_1000"]["caches"]}


def gateway_of(shoal, rig):
    """A running gateway, not ready yet, and its port."""
    port = free_port()
    return shoal.program(rig, "gateway", "gateway", SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % port), port


def gateway(shoal, rig, connections=CONNECTIONS):
    """A gateway at full load: CPU seconds per 1,000 updates, each of which is in the queue once."""
    load, warm = Load(shoal.updates, rig.people, rig.codes), Load(WARM_UPDATES, rig.people, rig.codes, shoal.updates)
    rig.fresh(shoal.binary)
    program, port = gateway_of(shoal, rig)
    try:
        wait_ready([program])
        rig.send(warm, "webhook", port, SECRET, connections)
        a = rig.snapshot([program])
        rig.send(load, "webhook", port, SECRET, connections)
        b = rig.snapshot([program])
        still_running([program])
    finally:
        program.stop()
    queued = rig.redis.client().xlen(STREAM)
    if queued != load.count + warm.count:
        raise Wrong("%d updates, %d in the queue" % (load.count + warm.count, queued))
    return {"cpu_per_1000": (b["cpu"]["worker"] - a["cpu"]["worker"]) * 1000 / load.count,
            "per_second": load.count / (b["at"] - a["at"])}


def press(shoal, rig, rate, seconds):
    """Buttons through the webhook: until its answer, which ends the wait in the client, and until the new message."""
    load = Load(int(rate * (seconds + WARM_S)), rig.people, rig.codes)
    rig.fresh(shoal.binary)
    door, port = gateway_of(shoal, rig)
    programs = [shoal.start(rig, 0), door]
    try:
        wait_ready(programs)
        a = rig.snapshot(programs[1:])
        sent = rig.send(load, "webhook", port, SECRET, CONNECTIONS, rate=rate, press=True)
        b = rig.snapshot(programs[1:])
        settle(shoal, rig, programs)
        arrived = {}
        for at, chat, _, method in rig.record():
            if method == "sendMessage":
                arrived.setdefault(chat, []).append(at)
    finally:
        for p in programs:
            p.stop()
    if sorted(p for _, _, _, p in sent) != sorted(p for p, times in arrived.items() for _ in times):
        raise Wrong("%d presses, messages to %d people" % (len(sent), len(arrived)))
    edited = [(arrived[person].pop(0) - due) / 1e6 for due, _, _, person in sent]
    warm = int(rate * WARM_S)
    return {"rate": rate, "answer": spread([(at - due) / 1e6 for due, _, at, _ in sent[warm:]]), "message": spread(edited[warm:]),
            "gateway_cpu_per_1000": (b["cpu"]["worker"] - a["cpu"]["worker"]) * 1000 / load.count}


def at_rest(shoal, rig):
    """Memory of a worker that has nothing to do, MiB."""
    rig.fresh(shoal.binary)
    worker = shoal.start(rig, 0)
    try:
        wait_ready([worker])
        time.sleep(REST_S)
        rss, anon = memory_mb(worker.pid)
        before, at = rig.snapshot([worker]), time.monotonic()
        time.sleep(REST_S)
        after = rig.snapshot([worker])
    finally:
        worker.stop()
    return {"rss_mb": rss, "anon_mb": anon, "processor_share": (after["cpu"]["worker"] - before["cpu"]["worker"]) / (time.monotonic() - at)}


def die_with_work(rig, worker, name, after_s):
    """Kills it in a moment in which it holds entries, and says how many: it is stopped, looked at, and goes on where it holds
    none."""
    time.sleep(after_s)
    mine, held, r = name.encode() + b"-", 0, rig.redis.client()
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        worker.send(signal.SIGSTOP)
        time.sleep(0.02)  # what it has asked for comes
        held = sum(owner.startswith(mine) for owner in r.hgetall("shoal:{0}:lanes").values())
        if held:
            break
        worker.send(signal.SIGCONT)
        time.sleep(0.005)
    worker.kill()
    return held


def killed(shoal, rig, rate, seconds):
    """One of two workers is killed amid a steady load with entries in hand: how late those replies were that it held up, ms."""
    load = Load(int(rate * seconds), rig.people, rig.codes)
    rig.fresh(shoal.binary)
    workers, held = [shoal.start(rig, n) for n in range(2)], []
    killer = threading.Thread(target=lambda: held.append(die_with_work(rig, workers[0], "w0", seconds / 3)))
    try:
        wait_ready(workers)
        killer.start()
        sent = shoal.paced(rig, load, rate)
        killer.join()
        if not wait_for(lambda: rig.replies() >= load.count):
            raise Wrong("replies are missing after a worker was killed")
        settle(shoal, rig, workers[1:])
        verify(shoal, load, rig, held[0])
        late = [ms for ms in delays(sent, rig.record()) if ms > LATE_MS]
    finally:
        if killer.is_alive():
            killer.join()
        for w in workers:
            w.stop()
    if not held[0]:
        raise Wrong("the worker that was killed never had anything in hand")
    return {"held": held[0], "late": late}
