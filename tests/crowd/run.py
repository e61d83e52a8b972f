"""A crowd that queues at one moment while the workers that pair it are killed, and once Redis; a judge of what came of it.

    crowd/run.py [build/shoal]      PLAYERS=5000 WORKERS=4 KILLS=8 SEED=1
"""
import json
import os
import random
import sys
import threading
import time

import redis

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
import discord  # noqa: E402
import judge  # noqa: E402
from lib import check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

PLAYERS, WORKERS, KILLS = (int(os.environ.get(n, d)) for n, d in (("PLAYERS", 5000), ("WORKERS", 4), ("KILLS", 8)))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(10 ** 6)))
RACES = ["bw_terran", "bw_zerg", "bw_protoss", "sc2_terran", "sc2_zerg", "sc2_protoss"]
FIRST = 80000000000000000
STREAM = "shoal:{0}:updates"
PORTION = 500  # updates that are sent at once


class Crowd:
    def __init__(self):
        self.rng = random.Random(SEED)
        self.api = discord.Server()
        self.api.http.handle_error = lambda *_: None  # connections of killed workers
        self.stack = Stack(binary_from_argv(), workers=WORKERS, webhook=False, bot="ladder", SHOAL_DISCORD_API=self.api.url)
        self.redis = self.stack.redis.client(decode_responses=True)
        self.rows = self.stack.pg.rows
        self.queued, self.kills, self.over = {}, 0, threading.Event()

    def arrive(self):
        self.rows("INSERT INTO players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at) "
                  "SELECT %s + i * 7919, 'p' || i, 'DE', (SELECT code FROM regions ORDER BY code OFFSET i %% 16 LIMIT 1), now(), "
                  "now() FROM generate_series(1, %s) i", FIRST, PLAYERS)
        self.rows("SELECT setseed(%s)", SEED % 1000 / 1000)
        self.rows("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) SELECT discord_uid, r.code, 1500 + ((random() + random() + random() "
                  "+ random() - 2) * 600)::int FROM players, races r WHERE random() < 0.8")
        self.maps = [code for (code,) in self.rows("SELECT code FROM maps ORDER BY 1")]

    def entry(self, one):
        return {"bot": "ladder", "lane": "discord:ladder:" + one["member"]["user"]["id"], "key": "discord:ladder:" + one["id"],
                "at": int(time.time() * 1000), "body": json.dumps(one)}

    def confirmed(self, entries):
        """Whether Redis has said that it has them."""
        pipe = self.redis.pipeline(transaction=False)
        for e in entries:
            pipe.xadd(STREAM, e)
        try:
            return bool(pipe.execute())
        except redis.exceptions.ConnectionError:  # a server that loads its data, too
            return False

    def append(self, entries):
        """As a gateway does: what Redis has not confirmed, as it was killed, is sent again under its keys."""
        while entries:
            if not wait_for(lambda: self.confirmed(entries[:PORTION]), 60, 0.1):
                raise RuntimeError("Redis takes no updates")
            entries = entries[PORTION:]

    def queue(self):
        """All at once, one in ten delivered twice; one in twenty thinks better of it."""
        users = [FIRST + i * 7919 for i in range(1, PLAYERS + 1)]
        self.rng.shuffle(users)
        entries = []
        for user in users:
            self.queued[user] = one = discord.command(
                "queue", ("races", " ".join(self.rng.sample(RACES, self.rng.randint(1, 3)))),
                ("vetoes", " ".join(self.rng.sample(self.maps, self.rng.randint(0, 4))) or "none"), user=user)
            for _ in range(2 if self.rng.random() < 0.1 else 1):
                entries.append(self.entry(one))
        for user in self.rng.sample(users, PLAYERS // 20):
            entries.append(self.entry(discord.command("leave", user=user)))
        self.append(entries)

    def matcher(self):
        """The worker that has run the matcher, most likely does so now, and is killed."""
        def runs(worker):
            return sum(v for k, v in self.stack.metrics(worker).items()
                       if k.startswith("shoal_fleet_job_runs_total") and '"matcher"' in k)
        before = {w: runs(w) for w in self.stack.workers}
        wait_for(lambda: any(runs(w) > before[w] for w in self.stack.workers), 5, 0.05)
        return max(self.stack.workers, key=lambda w: runs(w) - before[w])

    def trouble(self):
        while self.kills < KILLS and not self.over.is_set():
            worker = self.matcher()
            worker.kill()
            self.stack.workers.remove(worker)
            self.stack.add_worker()
            self.kills += 1
            if self.kills == 1 and KILLS > 2:
                self.stack.redis.kill()
                self.stack.redis = self.stack.redis.again()
            wait_for(lambda: all(self.stack.ready(w) for w in self.stack.workers), 30)

    def rest(self):
        """Everything handled, and nobody paired for some seconds."""
        def state():
            q = self.stack.queue()
            return q["length"] + q["pending"], self.redis.zcard(judge.LINE + ":since")
        last, since = None, time.monotonic()
        while time.monotonic() - since < 4:
            now = state()
            if now != last or now[0]:
                last, since = now, since if now[0] and time.monotonic() - self.began > 600 else time.monotonic()
            time.sleep(0.2)
        return last[0] == 0

    def told(self):
        """How many of those with a match were told of it, each by the token of their own command."""
        calls = {}
        for c in self.api.calls:
            if c[0] == "POST" and c[2] and "Your match" in c[2].get("content", ""):
                calls.setdefault(c[1].rsplit("/", 1)[1].split("?")[0], []).append(c[2])
        matched = [uid for pair in self.rows("SELECT player_1, player_2 FROM matches_1v1") for uid in pair]
        return [uid for uid in matched if self.queued[uid]["token"] not in calls], len(matched)

    def report(self, gaps, waiting):
        print("# seed %d: %d players, %d matches, %d wait on, %d kills" % (SEED, PLAYERS, len(gaps), len(waiting), self.kills))
        for low, high in ((0, 1), (1, 2), (2, 5), (5, 10), (10, 30), (30, 900)):
            v = sorted(g for g, waited in gaps if low <= max(waited, 0) < high)
            if v:
                print("# waited %d to %d s: %d matches, gap median %d, nine in ten %d, most %d" % (
                    low, high, len(v), v[len(v) // 2], v[len(v) * 9 // 10], v[-1]))

    def run(self):
        self.arrive()
        self.began = time.monotonic()
        thread = threading.Thread(target=self.trouble, daemon=True)
        thread.start()
        self.queue()
        if not wait_for(lambda: self.kills >= KILLS, 300):
            self.over.set()
        thread.join(60)
        check("everything is handled", self.rest(), self.stack.queue())
        found, gaps, waiting = judge.look(self.rows, self.redis)
        self.report(gaps, waiting)
        check("nobody in two matches, nobody lost, nobody paired amiss", found == [], found[:20])
        check("the matcher was killed %d times" % self.kills, self.kills >= KILLS)
        check("nearly all have a match", PLAYERS - len(gaps) * 2 < PLAYERS // 10 + 10, len(gaps))
        missed, matched = self.told()
        check("everybody with a match was told", matched > 0 and not missed, missed[:10])
        check("no dead letters", self.stack.queue()["dead"] == 0, self.redis.xrange("shoal:{0}:dead", count=3))


Crowd().run()
finish()
