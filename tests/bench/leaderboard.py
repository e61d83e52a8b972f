"""The ladder with a million players, from the platform's side: `make bench-leaderboard`. A page of the leaderboard that is in the
cache, and what of a worker it takes; the query for somebody's place; then all its commands at once, and the refresh of the
leaderboard while they go on.

    leaderboard.py [--players 1000000] [--pages 2000] [--seconds 15] [--workers 4] [--at-once 4] [--json FILE] [--readme FILE] [BINARY]
"""
import argparse
import io
import json
import os
import random
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "job")]
import marks  # noqa: E402
import readme  # noqa: E402
from lib import check, finish  # noqa: E402
from report import median  # noqa: E402
from rig import POSTGRES, cpu_s, save  # noqa: E402
from run import percentile  # noqa: E402
from stack import Stack  # noqa: E402

BASE = 80351110224678912
COUNTRIES = ["KR", "US", "DE", "CN", "BR", "FR", "PL", "SE", "CA", "AU"]
REGIONS = ["kor", "nae", "euw", "chn", "sam", "eun"]
RACES = ["bw_protoss", "bw_terran", "bw_zerg", "sc2_protoss", "sc2_terran", "sc2_zerg"]
FILTERS = {"race": RACES, "region": REGIONS, "country": COUNTRIES}
CACHED = [{}, *({"race": r} for r in RACES), *({"region": r} for r in REGIONS)]  # pages that many ask for


def options():
    o = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    o.add_argument("binary", nargs="?", default="build/shoal")
    o.add_argument("--players", type=int, default=1000000)
    o.add_argument("--pages", type=int, default=2000)
    o.add_argument("--seconds", type=float, default=15)
    o.add_argument("--workers", type=int, default=4)
    o.add_argument("--at-once", type=int, default=4, help="people who ask without a pause")
    o.add_argument("--json")
    o.add_argument("--readme")
    return o.parse_args()


def uid(n):
    return BASE + n * 4194304


class Ladder:
    def __init__(self, o):
        self.o, self.times = o, {}
        self.stack = Stack(o.binary, workers=1, bot="ladder", pg_conf={**POSTGRES, "autovacuum": "on"}, SHOAL_LOG_FORMAT="json")

    def somebody(self):
        return uid(random.randrange(self.o.players))

    # ---- players

    def copy(self, table, line):
        db = self.stack.pg.connect()
        with db, db.cursor() as cur:
            cur.execute("SET LOCAL session_replication_role = replica")  # they are right: no foreign key has to be looked up
            for first in range(0, self.o.players, 100000):
                rows = "".join(map(line, range(first, min(first + 100000, self.o.players))))
                cur.copy_expert("COPY %s FROM STDIN" % table, io.StringIO(rows))
        db.close()

    def seed(self):
        began = time.monotonic()
        self.copy("players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at)", lambda n:
                  "%d\tPlayer %d\t%s\t%s\t2026-01-01\t2026-01-01\n" % (
                      uid(n), n, random.choice(COUNTRIES), random.choice(REGIONS)))
        self.copy("mmrs_1v1 (discord_uid, race, mmr, games_played, games_won, games_lost)", lambda n: "%d\t%s\t%d\t9\t5\t4\n" % (
            uid(n), random.choice(RACES), random.gauss(1500, 200)))
        self.stack.pg.rows("VACUUM ANALYZE")
        print("%d players seeded in %.0f s" % (self.o.players, time.monotonic() - began), flush=True)

    def refresh(self, what):
        began = time.monotonic()
        subprocess.run([self.stack.binary, "ladder", "refresh"], env=self.stack.env, check=True, stdout=subprocess.DEVNULL)
        print("%s: %.1f s" % (what, time.monotonic() - began), flush=True)

    # ---- the marks: one asks, one worker answers

    def page(self, filters):
        done = self.stack.command(self.somebody(), "leaderboard", **filters)
        if "Leaderboard" not in (done.get("original") or {}).get("content", ""):
            raise RuntimeError("no page: %s" % done)

    def cached_pages(self):
        """ms of a worker's processor for each page, and ms that each was in its hands, without the wait for the platform."""
        worker, spent = self.stack.workers[0], []
        for filters in CACHED:
            self.page(filters)
        told = len(worker.output())
        last = cpu_s(worker.pid)
        for n in range(self.o.pages):
            self.page(CACHED[n % len(CACHED)])
            now = cpu_s(worker.pid)
            spent.append(1000 * (now - last))
            last = now
        lines = [json.loads(line) for line in worker.output()[told:].splitlines() if '"command":"leaderboard"' in line]
        check("each page was told in the log", abs(len(lines) - self.o.pages) <= 1, len(lines))
        return spent, [line["total_ms"] - line.get("send", 0) for line in lines]

    def ranks(self):
        """ms of the query for the places of a player, as a client sees them; ms of Postgres' processor for each."""
        with open("sql/queries/ladder_ranks.sql", encoding="utf-8") as f:
            query, times, spent, found = f.read(), [], [], 0
        db = self.stack.pg.connect()
        db.autocommit = True
        with db.cursor() as cur:
            cur.execute("PREPARE ranks(bigint, text, text, text) AS " + query)
            for n in range(self.o.pages):
                filters = CACHED[n % len(CACHED)]
                began, before = time.monotonic(), cpu_s(db.info.backend_pid)
                cur.execute("EXECUTE ranks(%s, %s, %s, %s)", (
                    self.somebody(), filters.get("race", ""), filters.get("region", ""), filters.get("country", "")))
                found += len(cur.fetchall())
                times.append(1000 * (time.monotonic() - began))
                spent.append(1000 * (cpu_s(db.info.backend_pid) - before))
        db.close()
        check("places were found", found > self.o.pages / 20, found)
        return times, spent

    # ---- all commands at once

    def ask(self, until):
        """One after the other, each by another player: what it took from sending to the answer's last edit, in ms."""
        commands = [
            lambda: ("leaderboard", {k: random.choice(v) for k, v in FILTERS.items() if random.random() < 0.4}),
            lambda: ("profile", {}), lambda: ("profile", {"player": "player %d" % random.randrange(self.o.players)}),
            lambda: ("setcountry", {"country": random.choice(COUNTRIES)})]
        while not until.is_set():
            name, chosen = random.choice(commands)()
            done = self.stack.command(self.somebody(), name, **chosen)
            if not (done.get("original") or {}).get("content"):
                check("each command is answered", False, done)
            self.times.setdefault(name, []).append(done["done_ms"])

    def change(self, until):
        """Matches are settled meanwhile, fifty a second."""
        while not until.is_set():
            self.stack.pg.rows("SELECT settle_mmrs(%s, 'sc2_zerg', %s, 'bw_zerg', '1')",
                               *map(uid, random.sample(range(self.o.players), 2)))
            time.sleep(0.02)

    def all_at_once(self, title, work):
        until, self.times = threading.Event(), {}
        threads = [threading.Thread(target=self.ask, args=(until,)) for _ in range(self.o.at_once)]
        threads.append(threading.Thread(target=self.change, args=(until,)))
        for t in threads:
            t.start()
        work()
        until.set()
        for t in threads:
            t.join()
        print(title)
        for name, ms in sorted(self.times.items()):
            print("  %-12s %6d times, half within %6.1f ms, 99 of 100 within %6.1f, all within %6.1f" % (
                name, len(ms), percentile(ms, .5), percentile(ms, .99), max(ms)), flush=True)


def main():
    o = options()
    random.seed(6)
    ladder = Ladder(o)
    ladder.seed()
    ladder.refresh("the first refresh")
    ladder.stack.pg.rows("VACUUM ANALYZE leaderboard_1v1, leaderboard_1v1_steps")
    spent, held = ladder.cached_pages()
    ranks, ranked = ladder.ranks()
    players = "{:,} players".format(o.players)
    rows = [("7", "page of the leaderboard from the cache, %s: worker's processor, p99, ms" % players, percentile(spent, .99), 1, True, "%.2f"),
            ("7", "the same in its hands, with the query for the asker's place: p99, ms", percentile(held, .99), None, True, "%.2f"),
            ("7", "query for a place: p99, ms", percentile(ranks, .99), 2, True, "%.2f"),
            ("7", "of it Postgres' processor: p99, ms", percentile(ranked, .99), None, True, "%.2f")]
    ladder.stack.start_workers(o.workers - 1)
    ladder.all_at_once("%d people at once, for %g s:" % (o.at_once, o.seconds), lambda: time.sleep(o.seconds))
    ladder.all_at_once("all of it while the leaderboard is refreshed:", lambda: ladder.refresh("a refresh meanwhile"))
    print("half of the pages took %.2f ms of a processor, and were %.2f ms in a worker's hands; half of the queries %.2f ms\n\n%s" % (
        median(spent), median(held), median(ranks), marks.table(rows)))
    if o.json:
        save(o.json, {"options": vars(o), "processor_ms": spent, "held_ms": held, "rank_ms": ranks, "rank_processor_ms": ranked, "marks": rows})
    if o.readme:
        readme.marks(o.readme, "leaderboard", rows)


main()
finish()
