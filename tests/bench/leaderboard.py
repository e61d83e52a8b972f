"""The ladder's commands with a million players, from the platform's side, and the refresh of its leaderboard while they
go on. By environment: PLAYERS (1,000,000), WORKERS (4), SECONDS (30), AT_ONCE (4: people who ask without a pause)."""
import io
import os
import random
import subprocess
import sys
import threading
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")]
from lib import finish  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

PLAYERS, WORKERS, SECONDS, AT_ONCE = (int(os.environ.get(k, v)) for k, v in [
    ("PLAYERS", 1000000), ("WORKERS", 4), ("SECONDS", 30), ("AT_ONCE", 4)])
BASE = 80351110224678912
COUNTRIES = ["KR", "US", "DE", "CN", "BR", "FR", "PL", "SE", "CA", "AU"]
REGIONS = ["kor", "nae", "euw", "chn", "sam", "eun"]
RACES = ["bw_protoss", "bw_terran", "bw_zerg", "sc2_protoss", "sc2_terran", "sc2_zerg"]

random.seed(6)
stack = Stack(binary_from_argv(), workers=WORKERS, bot="ladder", SHOAL_LOG="warn")


def copy(table, line):
    db = stack.pg.connect()
    with db, db.cursor() as cur:
        for first in range(0, PLAYERS, 100000):
            rows = "".join(map(line, range(first, min(first + 100000, PLAYERS))))
            cur.copy_expert("COPY %s FROM STDIN" % table, io.StringIO(rows))
    db.close()


def uid(n):
    return BASE + n * 4194304


def seed():
    began = time.time()
    copy("players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at)", lambda n:
         "%d\tPlayer %d\t%s\t%s\t2026-01-01\t2026-01-01\n" % (uid(n), n, random.choice(COUNTRIES), random.choice(REGIONS)))
    copy("mmrs_1v1 (discord_uid, race, mmr, games_played, games_won, games_lost)", lambda n: "%d\t%s\t%d\t9\t5\t4\n" % (
        uid(n), random.choice(RACES), random.gauss(1500, 200)))
    stack.pg.rows("VACUUM ANALYZE")
    print("%d players seeded in %.0f s" % (PLAYERS, time.time() - began))


def refresh(what):
    began = time.time()
    subprocess.run([stack.binary, "ladder", "refresh"], env=stack.env, check=True, stdout=subprocess.DEVNULL)
    print("%s: %.1f s" % (what, time.time() - began))


def page():
    filters = {"race": RACES, "region": REGIONS, "country": COUNTRIES}
    return "leaderboard", {k: random.choice(v) for k, v in filters.items() if random.random() < 0.4}


COMMANDS = [page, lambda: ("profile", {}), lambda: ("profile", {"player": "player %d" % random.randrange(PLAYERS)}),
            lambda: ("setcountry", {"country": random.choice(COUNTRIES)})]


def ask(until, times, commands):
    """One after the other, each by another player: what it took from sending to the answer's last edit, in ms."""
    while not until.is_set():
        name, options = random.choice(commands)()
        done = stack.command(uid(random.randrange(PLAYERS)), name, **options)
        if not (done.get("original") or {}).get("content"):
            print("no answer: %s" % done)
        times.setdefault(name, []).append(done["done_ms"])


def change(until):
    """Matches are settled meanwhile, fifty a second."""
    while not until.is_set():
        a, b = random.sample(range(PLAYERS), 2)
        stack.pg.rows("SELECT settle_mmrs(%s, 'sc2_zerg', %s, 'bw_zerg', '1')", uid(a), uid(b))
        time.sleep(0.02)


def measure(title, work, commands=COMMANDS):
    until, times = threading.Event(), {}
    threads = [threading.Thread(target=ask, args=(until, times, commands)) for _ in range(AT_ONCE)]
    threads.append(threading.Thread(target=change, args=(until,)))
    for t in threads:
        t.start()
    work()
    until.set()
    for t in threads:
        t.join()
    print(title)
    for name, ms in sorted(times.items()):
        ms.sort()
        print("  %-12s %6d times, half within %6.1f ms, 99 of 100 within %6.1f, all within %6.1f" % (
            name, len(ms), ms[len(ms) // 2], ms[len(ms) * 99 // 100], ms[-1]))


def stages():
    """What the workers' histograms of the ladder's stages have counted: (stage, edge in s) -> updates."""
    found = {}
    for w in stack.workers:
        for name, count in stack.metrics(w).items():
            if name.startswith("shoal_stage_seconds_bucket") and 'bot="ladder"' in name:
                key = (name.split('stage="')[1].split('"')[0], float(name.split('le="')[1].split('"')[0]))
                found[key] = found.get(key, 0) + count
    return found


def cached_pages():
    """Only first pages without a filter: after the first they come from a cache. The workers' own time for them."""
    before = stages()
    measure("the first page again and again:", lambda: time.sleep(SECONDS / 3), [lambda: ("leaderboard", {})])
    after = {k: v - before.get(k, 0) for k, v in stages().items()}
    for stage in ("decode", "load", "decide", "commit", "settle"):
        counts = sorted((edge, n) for (s, edge), n in after.items() if s == stage)
        if counts and counts[-1][1]:
            print("  of it in the stage %-8s 99 of 100 within %g ms" % (
                stage, 1000 * next(edge for edge, n in counts if n >= 0.99 * counts[-1][1])))


seed()
refresh("the first refresh")
stack.pg.rows("VACUUM leaderboard_1v1, leaderboard_1v1_steps")
measure("%d people at once, for %d s:" % (AT_ONCE, SECONDS), lambda: time.sleep(SECONDS))
cached_pages()
measure("all of it while the leaderboard is refreshed:", lambda: refresh("a refresh meanwhile"))
finish()
