"""A long life in short: UPDATES updates (10,000,000) through a gateway and two workers, all that people ask the persona bot,
and what they, Redis and Postgres hold in memory, in open files and on the disk along the way. After the first fifth nothing
may grow but what people have written.

    soak.py BINARY      by environment: UPDATES, STEP (250,000: so many between two looks), WORKERS

The platform is the stand-in of the reference job, the queue's Redis keeps no log. Days pass in seconds: the keys by which
updates are known again are kept for ten seconds and more, and what Postgres keeps for two days is born that old; the job that
removes it is due at every look. A look is at rest; it takes away those keys and the locks of pressed buttons, which end by
their time, so that it sees what Redis holds beside them to the byte."""
import os
import resource
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "job"), os.path.join(HERE, "..")]
from lib import Process, check, clean_env, descriptors, finish, free_port, http, wait_for  # noqa: E402
from rig import SECRET, TOKEN, Load, Rig, cpu_s, memory_mb, tree_cpu_s  # noqa: E402

UPDATES = int(os.environ.get("UPDATES") or 10000000)
STEP = min(int(os.environ.get("STEP") or 250000), max(UPDATES // 10, 1))
WORKERS = int(os.environ.get("WORKERS") or 2)
CONNECTIONS = 16
KEYS_S = 10        # SHOAL_IDEMPOTENCY_TTL_S; kept for twice that at most
SLACK_MB = 2       # pages that come and go: a byte for every four of ten million updates
TABLES_MB = 16     # the same of tables, and a quarter of them: vacuum comes when a fifth is dead
TEXT_BYTES = 1000  # what a text and its answer may take in Postgres, indexes and room to write included
QUEUE = "shoal:{0}:"
DUE = "shoal:{cache}:job:old_keys:last"  # without it that job is due
# As any Postgres that nobody has tuned for a run of seconds.
POSTGRES = {"autovacuum": "on", "autovacuum_naptime": "10s", "max_wal_size": "2GB", "checkpoint_timeout": "5min"}
AGE = """
ALTER TABLE guards ALTER at SET DEFAULT now() - interval '2 days';
ALTER TABLE messages ALTER created_at SET DEFAULT now() - interval '2 days';
"""
KEPT = "SELECT count(*), (SELECT count(*) FROM messages WHERE update_key IS NOT NULL) FROM guards"
SIZES = """
SELECT sum(pg_total_relation_size(c.oid)) FILTER (WHERE relname = 'messages')::bigint / 1048576.0,
	sum(pg_total_relation_size(c.oid)) FILTER (WHERE relname <> 'messages')::bigint / 1048576.0,
	(SELECT sum(size)::bigint FROM pg_ls_waldir()) / 1048576.0, (SELECT count(*) FROM messages WHERE direction = 'in')
FROM pg_class c WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace
"""


class Fleet:
    def __init__(self, rig):
        port, self.health = free_port(), [free_port() for _ in range(WORKERS + 1)]
        env = clean_env(
            SHOAL_REDIS_URL=rig.redis.url, SHOAL_POSTGRES_URL=rig.pg_url, SHOAL_BOTS="persona", SHOAL_PERSONA_TOKEN=TOKEN,
            SHOAL_WEBHOOK_SECRET=SECRET, SHOAL_TELEGRAM_API=rig.standin_url, SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % port,
            SHOAL_FLOOD_CHAT="0", SHOAL_FLOOD_GROUP="0", SHOAL_USER_RATE="0", SHOAL_LOG_UPDATES=0,
            SHOAL_IDEMPOTENCY_TTL_S=KEYS_S)
        self.port, self.programs = port, {}
        for n in range(WORKERS + 1):
            name = "worker %d" % n if n else "gateway"
            self.programs[name] = Process([rig.binary, name.split()[0]], rig.log(name.replace(" ", "-")), env={
                **env, "SHOAL_METRICS_LISTEN": "127.0.0.1:%d" % self.health[n]})
        if not all(wait_for(lambda p=p: http("GET", "http://127.0.0.1:%d/readyz" % p).status == 200) for p in self.health):
            raise RuntimeError("the fleet did not come up")

    def cpu(self, rig):
        """Seconds of the processors so far, and who has had them."""
        sender = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"gateway": cpu_s(self.programs["gateway"].pid), "redis": cpu_s(rig.redis.pid), "postgres": tree_cpu_s(rig.pg.pid),
                "workers": sum(cpu_s(p.pid) for name, p in self.programs.items() if name != "gateway"),
                "stand-in": cpu_s(rig.standin.pid), "sender": sender.ru_utime + sender.ru_stime, "this": time.process_time()}


class Look:
    """What all hold, at rest."""

    def __init__(self, rig, fleet, sent):
        r = rig.redis.client()
        # what came before these is old, and has gone while they came, or goes now
        self.kept_long = not wait_for(lambda: r.delete(DUE) < 2 and max(rig.rows(KEPT)[0]) <= len(sent), 300, 0.5)
        self.keys = r.hlen(QUEUE + "seen") + r.hlen(QUEUE + "seen_old")
        newest = time.monotonic_ns()
        # by their replies: when a worker took them matters, and in a burst they may have waited long for one
        self.recent = sum(newest - at < (2 * KEYS_S + 5) * 1e9 for at, _, _, _ in rig.record())
        r.delete(QUEUE + "seen", QUEUE + "seen_old")
        presses = list(r.scan_iter("shoal:{cache}:press:*", 10000))
        self.presses, self.endless = len(presses), sum(r.pttl(key) < 0 for key in presses[:100])
        for i in range(0, len(presses), 1000):
            r.delete(*presses[i:i + 1000])
        # {name: (MiB that may not grow, open files, MiB resident)}
        self.held = {name: (anon, descriptors(p.pid), rss) for name, p in fleet.programs.items() for rss, anon in [memory_mb(p.pid)]}
        self.held["redis"] = (r.info("memory")["used_memory"] / 2**20, descriptors(rig.redis.pid), memory_mb(rig.redis.pid)[0])
        self.messages, self.tables, self.log, self.texts = (float(n) for n in rig.rows(SIZES)[0])
        self.guards, self.keyed = rig.rows(KEPT)[0]

    def __str__(self):
        return "%s; Redis knows %d updates, %d presses; Postgres: %d guards, %d texts (%d by key), MiB: messages %.0f, " \
            "all else %.0f, log %.0f" % (
            ", ".join("%s %.1f MiB (%.1f) %d files" % (name, own, rss, files) for name, (own, files, rss) in self.held.items()),
            self.keys, self.presses, self.guards, self.texts, self.keyed, self.messages, self.tables, self.log)


def judge(warm, rest):
    """rest: the looks since the first fifth, in order; warm: the first of them."""
    last = rest[-1]
    for name in last.held:
        grown = last.held[name][0] - warm.held[name][0]
        check("%s: no memory more after the first fifth" % name, grown < SLACK_MB, "%.1f MiB" % grown)
        files = [look.held[name][1] for look in rest]
        check("%s: no file left open" % name, files[-1] <= max(files[:2]) + 2, files)
    check("Redis forgets updates when their time is over", all(look.keys <= look.recent for look in rest) and any(look.keys for look in rest),
          [(look.keys, look.recent) for look in rest])
    check("locks of presses have an end", all(look.presses and not look.endless for look in rest))
    check("Postgres: tables stay as large as they are, but for what people write", last.tables < warm.tables * 1.25 + TABLES_MB,
          "%.0f MiB, then %.0f" % (warm.tables, last.tables))
    texts = last.texts - warm.texts
    size = (last.messages - warm.messages) * 2**20 / max(texts, 1)
    check("Postgres: what people write takes what it has to", texts and size < TEXT_BYTES, "%.0f bytes a text and its answer" % size)
    check("Postgres: guards and keys of messages go when their time is over", not any(look.kept_long for look in rest),
          [(look.guards, look.keyed) for look in rest])


def main():
    rig = Rig(sys.argv[1] if len(sys.argv) > 1 else "build/shoal", appendfsync="off", **POSTGRES)
    rig.fresh()
    rig._run(rig.database, AGE)
    fleet, looks, began, lost = Fleet(rig), {}, time.monotonic(), 0
    before = fleet.cpu(rig)
    for first in range(0, UPDATES, STEP):
        http("GET", rig.standin_url + "/bench/forget")
        load = Load(min(STEP, UPDATES - first), first=first, mix=True)
        calls = load.calls()
        sent = rig.send(load, "webhook", fleet.port, SECRET, CONNECTIONS)
        if not wait_for(lambda: rig.replies() >= calls, 600, 0.2):
            lost += calls - rig.replies()
            break
        queue = rig.redis.client()
        wait_for(lambda: queue.xlen(QUEUE + "updates") == 0, 60, 0.1)
        time.sleep(1)  # connections that a burst has opened, and calls too many
        lost += calls - rig.replies()
        looks[first + load.count] = look = Look(rig, fleet, sent)
        print("# %9d updates, %5.0f s: %s" % (first + load.count, time.monotonic() - began, look))
        sys.stdout.flush()
    took, spent = time.monotonic() - began, fleet.cpu(rig)
    print("# %.0f updates/s; us of a processor for each: %s" % (max(looks, default=0) / took, ", ".join(
        "%s %.0f" % (name, 1e6 * (spent[name] - before[name]) / max(looks, default=1)) for name in spent)))
    check("every update has its replies, and none more", not lost and max(looks, default=0) == UPDATES, lost)
    rest = [look for at, look in looks.items() if at >= UPDATES // 5]
    if rest:
        judge(rest[0], rest)
    check("they end well", [p.stop() for p in fleet.programs.values()] == [0] * (WORKERS + 1))
    finish()


main()
