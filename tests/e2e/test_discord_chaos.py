"""Interactions while everything behind the platform fails: gateways, of which there are two, workers, Redis and Postgres. Each
is posted as by a load balancer, which takes the other gateway where one refuses or cuts the connection. The judge is
tests/chaos/responses.py. By environment: SECONDS (14), RATE (20 a second), SEED (1)."""
import contextlib
import copy
import http.client
import itertools
import json
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../chaos")]
import discord  # noqa: E402
import faults  # noqa: E402
import responses  # noqa: E402
from lib import PATIENCE, check, finish, free_port, wait_for  # noqa: E402
from machine import waited_s  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402
from standstill import Standstill  # noqa: E402

SECONDS, SEED = (int(os.environ.get(k) or v) for k, v in [("SECONDS", 14), ("SEED", 1)])
RATE = float(os.environ.get("RATE") or (10 if light() else 20))
FIRST = 80351110224678912      # of the players
STRANGERS = 80451110224678912  # who have not accepted the terms yet
COUNTRIES = ("DE", "FR", "PL", "SE", "US", "BR")
# in this order in a short run; seconds that each is given before the next one
FAULTS = {"gateway-kill": 0.8, "gateway-term": 1.2, "gateway-term+redis-stop": 3.6, "redis-kill": 1.2,
          "kill": 0.8, "pg-stop": 3.2, "pg-immediate": 1.2}


class Longest(random.Random):
    """A source of chance under which what lasts some while lasts as long as it may."""

    def uniform(self, a, b):
        return b


class Fleet:
    """What tests/chaos/faults.py works on."""
    outage, freeze = 0.7, 2.8  # s; the freeze is longer than a gateway waits for Redis

    def __init__(self, stack):
        self.stack, self.faults = stack, []
        self.redis, self.pg, self.guard = threading.Lock(), threading.Lock(), threading.Lock()
        self.gateways = [faults.Gateway(stack, 1, stack.gateway_port, stack.gateway_metrics),
                         faults.Gateway(stack, 2, free_port(), free_port())]
        self.gateways[0].process = stack.gateway
        self.gateways[1].start()
        self.gateways[1].wait()
        self.live = list(stack.workers)

    @contextlib.contextmanager
    def one(self, rng, least):
        with self.guard:
            if len(self.live) < least:
                raise faults.Busy()
            w = rng.choice(self.live)
        yield w

    def forget(self, w):
        with self.guard:
            self.live.remove(w)

    def add(self):
        with self.guard:
            self.live.append(self.stack.add_worker())

    @staticmethod
    def name(w):
        return os.path.basename(w.log)

    @staticmethod
    def lanes_of(_):
        return None

    def suffer(self, kind, number):
        note = {"kind": kind, "at": faults.now_ms()}
        try:
            faults.FAULTS[kind](self, note, Longest("%d of %d" % (number, SEED)))
        except faults.Busy:
            return
        note["end"] = faults.now_ms()
        self.faults.append(note)

    def schedule(self):
        """(kinds, seconds until the next), until time is up; a long run goes on at random."""
        rng, left = random.Random(SEED), SECONDS - 1
        for kinds in itertools.chain(FAULTS, iter(lambda: rng.choice(list(FAULTS)), None)):
            left -= FAULTS[kinds]
            if left < 0:
                return
            yield kinds.split("+"), FAULTS[kinds]

    def run(self):
        threads, next_at = [], time.monotonic() + 0.5
        for kinds, seconds in self.schedule():
            time.sleep(max(0, next_at - time.monotonic()))
            next_at = max(next_at, time.monotonic()) + seconds
            for kind in kinds:
                threads.append(threading.Thread(target=self.suffer, args=(kind, len(threads))))
                threads[-1].start()
        for t in threads:
            t.join()


def make(n):
    """The nth interaction, of a person who sends no other one; and what becomes of it."""
    user = FIRST + n
    what = random.Random("%d of %d" % (n, SEED)).random()
    if what < 0.5:
        one, want, effects = discord.command("setcountry", ("country", COUNTRIES[n % 6]), user=user), (5,), 1
    elif what < 0.65:
        one, want, effects = discord.press("terms_yes:%08d" % n, user=STRANGERS + n), (6, 7), 1
    elif what < 0.75:
        one, want, effects = discord.command("help", user=user), (5,), 0
    elif what < 0.9:
        one, want, effects = discord.command("setcountry", ("country", "germ", True), kind=4, user=user), (8,), 0
    else:
        one, want, effects = discord.command("setup", user=user), (9,), 0
    return one, want, effects


class Balancer:
    """Posts each interaction to a gateway that takes the connection; where the connection is cut, to the next one."""

    def __init__(self, fleet, signer):
        self.fleet, self.signer, self.turn, self.sent = fleet, signer, itertools.count(), []
        self.still = Standstill()

    @staticmethod
    def connect(gateway):
        conn = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE)
        try:
            conn.connect()
            return conn
        except OSError:
            return None

    def attempt(self, conn, gateway, body, headers):
        pid, begun, waited = gateway.process.pid, time.time(), self.waited(gateway.process.pid)
        sent, status, said, failure = begun, None, {}, None
        try:
            conn.request("POST", "/discord/ladder", body, headers)
            sent = time.time()
            answer = conn.getresponse()
            status, said = answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as e:
            failure = repr(e)
        finally:
            conn.close()
        ended = time.time()
        starved = self.waited(pid) - waited
        took = ended - begun - max(self.still.lost(begun, ended), starved)
        return responses.Attempt(gateway.number, sent, ended, took, status, said.get("type"),
                                 (said.get("data") or {}).get("content", ""), failure)

    @staticmethod
    def waited(pid):
        """How long the gateway and this thread have waited for a processor."""
        return (waited_s(pid) or 0) + (waited_s(threading.get_native_id()) or 0)

    def post(self, sent, body, headers):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not any(a.answered() for a in sent.attempts):
            gateway = self.fleet.gateways[next(self.turn) % len(self.fleet.gateways)]
            conn = self.connect(gateway)
            if conn:
                sent.attempts.append(self.attempt(conn, gateway, body, headers))
            else:
                time.sleep(0.01)

    def run(self, count):
        threads, began = [], time.monotonic()
        for n in range(count):
            one, want, effects = make(n)
            body = json.dumps(one).encode()
            user = int(one["member"]["user"]["id"])
            self.sent.append(responses.Sent((one["data"].get("name") or "terms"), user, one["token"], want, effects))
            time.sleep(max(0, began + n / RATE - time.monotonic()))
            threads.append(threading.Thread(target=self.post, args=(self.sent[-1], body, self.signer.headers(body))))
            threads[-1].start()
        for t in threads:
            t.join()


def answers(api):
    found = {}
    for method, path, _, _ in list(api.calls):
        if method == "PATCH" and "/webhooks/" in path:
            token = path.split("/webhooks/")[1].split("/")[1]
            found[token] = found.get(token, 0) + 1
    return found


def mistakes(sent, noted, rows, calls):
    """The judge must find each of these."""
    def spoilt(name, change):
        mine, there, told = copy.deepcopy(sent), dict(rows), dict(calls)
        change(mine, there, told)
        found = [p[0] for p in responses.judge(mine, noted, there, told) if not p[1]]
        check("the judge finds %s" % name, found, found)

    done = next(i for i, s in enumerate(sent) if s.accepted() and s.effects)

    def attempt(mine):
        return next(a for a in mine[done].attempts if a.answered())
    spoilt("a first response of 3.1 s", lambda m, r, c: setattr(attempt(m), "took", 3.1))
    spoilt("an answer that was not given", lambda m, r, c: m[done].attempts.append(
        responses.Attempt(1, 0.0, 0.0, 0.0, failure="reset")))
    spoilt("an answer of another kind", lambda m, r, c: setattr(attempt(m), "kind", 9))
    spoilt("an effect that is missing", lambda m, r, c: r.pop(m[done].user))
    spoilt("an effect that is there twice", lambda m, r, c: r.update({m[done].user: 2}))
    spoilt("an answer that the bot did not give", lambda m, r, c: c.pop(m[done].token))
    spoilt("an effect of what was denied", lambda m, r, c: setattr(m[done], "attempts", [
        responses.Attempt(1, 0.0, 0.0, 0.0, 200, 4, responses.SURE)]))


def main():
    signer, api = discord.Signer(), discord.Server()
    stack = Stack(binary_from_argv(), workers=3, webhook=False, pg_conf={"synchronous_commit": "on"}, SHOAL_BOTS="ladder",
                  SHOAL_LADDER_TOKEN=discord.TOKEN, SHOAL_LADDER_APP_ID=discord.APP_ID, SHOAL_DRAIN_S=3,
                  SHOAL_LADDER_PUBLIC_KEY=signer.public, SHOAL_DISCORD_API=api.url)
    count = int(SECONDS * RATE)
    stack.pg.rows("INSERT INTO players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at) "
                  "SELECT %s + n, 'Player ' || n, 'AT', 'euw', now(), now() FROM generate_series(0, %s) n", FIRST, count)
    fleet = Fleet(stack)
    balancer = Balancer(fleet, signer)
    chaos = threading.Thread(target=fleet.run)
    chaos.start()
    balancer.run(count)
    chaos.join()
    check("the queue empties", wait_for(lambda: stack.settled(1), 180), stack.queue())
    check("nothing became a dead letter", stack.queue()["dead"] == 0, stack.queue())
    rows = dict(stack.pg.rows("SELECT discord_uid, count(*) FROM player_action_logs GROUP BY 1"))
    calls = answers(api)
    print("# " + responses.summary(balancer.sent))
    seen = {f["kind"] for f in fleet.faults}
    wanted = {k for kinds in FAULTS for k in kinds.split("+")}
    check("every kind of fault took place", seen == wanted or SECONDS < 14, wanted - seen)
    check("Redis away was apologised for", any(s.apologies() for s in balancer.sent))
    for promise in responses.judge(balancer.sent, fleet.faults, rows, calls):
        check(*promise)
    mistakes(balancer.sent, fleet.faults, rows, calls)
    stack.gateway = fleet.gateways[0].process
    finish()


main()
