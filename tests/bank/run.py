"""The bank: people who trade with each other at random, hostile and in a hurry, while workers are killed and stopped and the
servers are restarted; a judge from outside looks at the books all the time.

    run.py [BINARY]     by environment: TRADES, PEOPLE, WORKERS, SEED, FAULTS (0: none)"""
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import psycopg2  # noqa: E402
import judge  # noqa: E402
from crowd import CREDIT, SCALE, Crowd  # noqa: E402
from lib import PATIENCE, check, finish, free_port, wait_for  # noqa: E402
from meter import Meter  # noqa: E402
from stack import SECRET, Stack, binary_from_argv, light  # noqa: E402

EMPTY_S = 180  # so long the queue may take to empty at the end


def option(name, default):
    value = os.environ.get(name)
    return type(default)(value) if value else default


class Bank:
    def __init__(self):
        self.trades = option("TRADES", 60 if light() else 120)
        self.whole = self.trades > 1000
        self.seed, self.wanted = option("SEED", 1), option("WORKERS", 5 if self.whole else 3)
        self.stack = Stack(binary_from_argv(), workers=self.wanted, bot="escrow",
                           pg_conf={"max_connections": "200", "fsync": "on" if self.whole else "off"})
        self.crowd = Crowd(self.stack, option("PEOPLE", 200 if self.whole else 40), self.seed, SECRET)
        self.meter = Meter(self.stack)
        self.rng = random.Random("faults %d" % self.seed)
        self.over, self.servers = threading.Event(), threading.Lock()
        self.looks, self.wrong, self.faults, self.resolved = 0, [], {}, 0
        self.credited, self.deadlocks, self.nowhere = {}, 0, free_port()
        self.events = {"expire": self.expire, "resolve": self.resolve, "forget": self.forget}
        if option("FAULTS", 1):
            self.events.update(kill=self.kill, stop=self.stop, postgres=self.postgres, redis=self.redis)

    # ---- money

    def credit(self):
        """By the operator's command for some, three times each, as one whose answers got lost; by its statement for all."""
        by_command = self.crowd.people[:2 if self.whole else 1]
        for currency, units in CREDIT.items():
            amount = "%d.%s" % (units // 10**SCALE[currency], str(units % 10**SCALE[currency]).rjust(SCALE[currency], "0"))
            for user in by_command:
                for _ in range(3):
                    self.stack.shoal("wallet", "credit", str(user), currency, amount, "--key", "c-%s-%d" % (currency, user))
            self.stack.pg.rows("SELECT count(book('d-' || %s || telegram_id, 'credit', NULL, %s, %s, 'outside', id, 'available', "
                               "id)) FROM users WHERE telegram_id = ANY(%s)", currency, currency, units, self.crowd.people[len(by_command):])
            self.credited[currency] = units * len(self.crowd.people)

    # ---- faults

    def fault(self, name, fn):
        self.faults[name] = self.faults.get(name, 0) + 1
        fn()

    def a_worker(self):
        while True:
            running = [w for w in self.stack.workers if w.running()]
            if running:
                return self.rng.choice(running)
            self.stack.add_worker()

    def kill(self):
        w = self.a_worker()
        self.meter.look(w)
        w.kill()
        self.stack.workers.remove(w)
        self.stack.add_worker()

    def stop(self):
        w = self.a_worker()
        w.send(signal.SIGSTOP)
        time.sleep(self.rng.uniform(0.5, 6 if self.whole else 2))
        w.send(signal.SIGCONT)

    def count_deadlocks(self):
        self.deadlocks += self.stack.pg.rows("SELECT sum(deadlocks) FROM pg_stat_database")[0][0]

    def postgres(self):
        with self.servers:
            self.count_deadlocks()  # a crash forgets them
            self.stack.pg.stop(self.rng.choice([signal.SIGINT, signal.SIGQUIT]))
            self.stack.pg = self.stack.pg.again()

    def redis(self):
        with self.servers:
            if self.rng.random() < 0.5:
                self.stack.redis.kill()
            else:
                self.stack.redis.stop()
            self.stack.redis = self.stack.redis.again()

    def forget(self):
        """What was delivered comes again, and the queue has forgotten it: the guard has to know."""
        r = self.stack.redis.client()
        r.delete("shoal:{0}:seen", "shoal:{0}:seen_old")
        for key in r.keys("shoal:{cache}:press:*"):
            r.delete(key)

    def expire(self, share=11):
        self.stack.pg.rows("UPDATE escrows SET expires_at = now() WHERE status = 'pending' AND id %% %s = %s",
                           share, self.rng.randrange(share))
        self.stack.redis.client().delete("shoal:{cache}:job:due_trades:last")

    def resolve(self):
        rows = self.stack.pg.rows("SELECT public_id FROM escrows WHERE status = 'disputed' ORDER BY random() LIMIT %s",
                                  5 if self.whole else 2)
        cut_off = {"SHOAL_REDIS_URL": "redis://127.0.0.1:%d/0" % self.nowhere}  # as if it died once it is decided
        for (public_id,) in rows:
            for _ in range(2):
                self.stack.shoal("trade", "resolve", public_id, self.rng.choice(["release", "refund"]), "--note", "n",
                                 fails=True, **self.rng.choice([{}, cut_off]))
            self.resolved += 1

    def trouble(self):
        while not self.over.is_set():
            often = ("kill", "stop") * 2 if self.whole else ()
            round_ = list(self.events.items()) + [(n, self.events[n]) for n in often if n in self.events]
            self.rng.shuffle(round_)
            for name, fn in round_:
                if self.over.is_set():
                    return
                try:
                    self.fault(name, fn)
                except (psycopg2.Error, OSError, RuntimeError) as e:
                    print("# %s: %s" % (name, str(e)[:200]))
                except Exception as e:  # of python3-redis, while it restarts
                    if "redis" not in type(e).__module__:
                        raise
                self.over.wait(self.rng.uniform(0.1, 1 if self.whole else 0.5))

    # ---- looking

    def look(self):
        db = None
        while not self.over.is_set():
            try:
                if db is None:
                    db = self.stack.pg.connect()
                    db.autocommit = True
                found, _, _ = judge.look(db)
                self.looks += 1
                self.wrong += found
            except psycopg2.Error:
                if db:
                    db.close()
                db = None
                time.sleep(0.2)
            if len(self.wrong) > 20:
                return
            self.over.wait(1 if self.whole else 0.3)

    # ---- the run

    def measure(self):
        while not self.over.wait(0.5):
            self.meter.look_at_all()

    def rest(self, seconds):
        def quiet():
            q = self.stack.queue()
            return q["length"] == 0 and q["pending"] == 0
        return wait_for(quiet, seconds, 0.1)

    def calm(self, trades):
        """Without faults and hostility: how many statements an update takes, how soon a press is answered and seen."""
        while self.crowd.made < trades:
            self.crowd.step(calm=True)
        self.rest(EMPTY_S)
        self.meter.look_at_all()
        updates, over = self.meter.total("shoal_sql_per_update_count"), self.meter.over_two()
        check("one load and one commit at most, in calm: %d of %d updates asked again" % (over, updates),
              0 < updates and over <= updates / 100, over)
        self.latencies()

    def latencies(self):
        edits = {}
        for c in self.stack.calls():
            if c["method"] == "editMessageText":
                edits.setdefault((c["parameters"]["chat_id"], c["parameters"]["message_id"]), c["time"])
        answered = sorted(ms for _, _, _, ms in self.crowd.presses)
        edited = sorted(edits[(c, m)] - at for c, m, at, _ in self.crowd.presses if (c, m) in edits)
        for what, v in (("to the answer of a press", answered), ("to its edited message", edited)):
            if v:
                print("# ms %s: %s" % (what, ", ".join("%s %.1f" % (n, v[min(int(len(v) * p), len(v) - 1)]) for n, p in (
                    ("p50", .5), ("p90", .9), ("p99", .99), ("max", 1)))) + " (%d presses)" % len(v))
        check("every press was answered and led to an edited message", len(answered) > 0
              and len(edited) >= len(answered) * 0.9, (len(answered), len(edited)))

    def storm(self):
        threads = [threading.Thread(target=fn, daemon=True) for fn in (self.look, self.trouble, self.measure)]
        for t in threads:
            t.start()
        shown = time.monotonic()
        while (self.crowd.made < self.trades or set(self.faults) != set(self.events)) and not self.wrong:
            self.crowd.step()
            if self.whole and time.monotonic() - shown > 20:
                shown = time.monotonic()
                print("# %d trades, %d updates, %d looks, %s" % (self.crowd.made, self.crowd.sent, self.looks, self.faults),
                      flush=True)
        for _ in range(30 if self.whole else 6):
            self.crowd.step(want_new=False)
        self.over.set()
        for t in threads:
            t.join(120)
        self.expire(1)  # all that nobody has accepted: in the storm those that were chosen may have been too few
        wait_for(lambda: self.stack.pg.rows("SELECT count(*) FROM escrows WHERE status = 'pending'") == [(0,)])

    def run(self):
        self.crowd.arrive()
        self.rest(EMPTY_S)
        self.credit()
        self.calm(self.trades // 10)
        self.storm()
        self.crowd.stopping.set()
        check("the queue empties", self.rest(EMPTY_S), self.stack.queue())
        self.final()

    def final(self):
        db = self.stack.pg.connect()
        db.autocommit = True
        found, totals, trades = judge.look(db)
        check("at every look the books were right (%d looks)" % self.looks, not self.wrong and self.looks > 3, self.wrong[:20])
        check("they are at the end", found == [], found[:20])
        check("the wallets hold what was credited, to the smallest unit", {c: t for c, t in totals.items() if t} ==
              self.credited, (totals, self.credited))
        states = {}
        for t in trades:
            states[t[6]] = states.get(t[6], 0) + 1
        check("there were trades that ended in every way", len(trades) >= self.trades and all(
            states.get(s) for s in ("released", "refunded", "cancelled", "expired")), states)
        self.count_deadlocks()
        check("no two statements waited for each other", self.deadlocks == 0, self.deadlocks)
        q = self.stack.queue()
        check("no update became a dead letter", q["dead"] == 0, self.stack.shoal("dead", "list", "--json", fails=True)[:1500])
        untold = "SELECT count(*) FROM escrow_notices"
        self.stack.redis.client().delete("shoal:{cache}:job:due_trades:last")
        check("everybody was told what an admin decided (%d times)" % self.resolved, wait_for(
            lambda: self.stack.pg.rows(untold) == [(0,)]), self.stack.pg.rows(untold))
        self.meter.look_at_all()
        self.meter.say()
        check("one load and one commit at most, over the whole run, but after a conflict or delivered again",
              len(trades) < self.meter.total("shoal_sql_per_update_count") and self.meter.over_two() <= self.meter.again(),
              (self.meter.over_two(), self.meter.again()))
        print("# trades %s; updates %d, of them %d repeated, %d hostile; refused for a while %d; resolved %d; faults %s" % (
            states, self.crowd.sent, self.crowd.repeated, self.crowd.hostile, self.crowd.refused, self.resolved, self.faults))


def main():
    Bank().run()
    finish()


main()
