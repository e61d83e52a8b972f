#!/usr/bin/python3
"""The scripts of the line of those who wait for an opponent (lua/line_*.lua) against a real Redis, with a clock of the test's
own, and a walk of random steps against a model that knows only what players are promised.

    line_script.py      STEPS=3000 SEED=1
"""
import json
import os
import random
import sys

import redis

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, script_text, start_redis  # noqa: E402

NAMES = ["shoal:{0}:" + n for n in ("line", "line:mmr", "line:since", "line:until", "updates")]
LINE, MMR, SINCE, UNTIL, UPDATES = NAMES
WINDOW, WIDENS, KEEP, WAIT, GRACE = 100, 10, 3600000, 14 * 60000, 60000

r = start_redis(appendonly="no").client(decode_responses=True)
now = 0


def script(name):
    """The script with a clock that the test sets."""
    text = script_text(name)
    real = "redis.call('TIME')"
    return r.script_load(text.replace(real, "{redis.call('HGET', 'clock', 's'), redis.call('HGET', 'clock', 'us')}"))


SHA = {name: script("line_%s.lua" % name) for name in ("enter", "player", "paired", "match")}


def set_clock(ms):
    global now
    now = ms
    r.hset("clock", mapping={"s": ms // 1000, "us": ms % 1000 * 1000})


def fresh():
    r.flushdb()
    set_clock(1700000000000)


def enter(player, serial, races, till=None, **facts):
    words = [w for pair in (facts or {"token": "tok" + str(player)}).items() for w in pair]
    return r.evalsha(SHA["enter"], 4, *NAMES[:4], GRACE, player, serial, now + WAIT if till is None else till,
                     " ".join("%s:%d" % race for race in races.items()), *words)


def leave(player, serial=""):
    return r.evalsha(SHA["player"], 4, *NAMES[:4], player, serial, KEEP)


def paired(key, *words):
    return r.evalsha(SHA["paired"], 4, *NAMES[:4], key, *words)


def part(at=0, commands=600):
    return r.evalsha(SHA["match"], 5, *NAMES, "ladder", "discord:ladder:", at, commands, WINDOW, WIDENS, KEEP, GRACE)


def whole(commands=600):
    """All parts of one run of the matcher: (pairs, over)."""
    at = pairs = over = 0
    while at >= 0:
        p, o, at = part(at, commands)
        pairs, over = pairs + p, over + o
    return pairs, over


def entries():
    out = [fields for _, fields in r.xrange(UPDATES)]
    r.xtrim(UPDATES, maxlen=0)
    return out


def waiting():
    return set(r.zrange(SINCE, 0, -1))


def eq(title, got, want):
    check(title, got == want, "%r, want %r" % (got, want))


def two_who_fit():
    fresh()
    eq("enters", enter(9, 100, {"zerg": 1500, "terran": 1700}, token='t"/9', region="euw"), "waiting")
    eq("a longer number is a larger one", enter(10, 99, {"protoss": 1610}, token="t10", region="kor"), "waiting")
    eq("nearest over all races is taken", whole(), (1, 0))
    (entry,) = entries()
    eq("entry", {k: v for k, v in entry.items() if k != "body"}, {
        "bot": "ladder", "lane": "discord:ladder:9", "key": "match_9_10_%d" % now, "at": str(now)})
    eq("body", json.loads(entry["body"]), {
        "shoal": "due", "chat_id": 9, "what": "match", "of": entry["key"], "with": {
            "player_1": "9", "race_1": "terran", "mmr_1": "1700", "token_1": 't"/9', "till_1": str(now + WAIT), "till_2": str(now + WAIT), "region_1": "euw",
            "player_2": "10", "race_2": "protoss", "mmr_2": "1610", "token_2": "t10", "region_2": "kor"}})
    eq("nobody waits", (waiting(), r.zcard(MMR)), (set(), 0))
    eq("how it stands", leave(9), ["paired", "100"])
    eq("an old update puts nobody back", enter(9, 100, {"zerg": 1500}), "stale")
    eq("nor does a new one before the match is made", enter(9, 101, {"zerg": 1500}), "paired")
    eq("who was taken out cannot leave", leave(9, 102), ["paired", "100"])
    key = entry["key"]
    paired("match_9_10_1", 9, "back")
    eq("another pairing changes nothing", waiting(), set())
    paired(key, 9, "back", 10, "met")
    eq("back to the place", (waiting(), leave(9), leave(10)), ({"9"}, ["waiting", "100"], ["met", "99"]))
    eq("with all races", sorted(r.zrange(MMR, 0, -1)), ["9 terran", "9 zerg"])
    paired(key, 9, "met", 10, "back")
    eq("a second time nothing", (waiting(), leave(10)), ({"9"}, ["met", "99"]))


def places():
    fresh()
    enter(1, 10, {"zerg": 1000})
    set_clock(now + 50000)
    eq("says something else", enter(1, 11, {"terran": 1200}), "waiting")
    eq("only that", r.zrange(MMR, 0, -1, withscores=True), [("1 terran", 1200)])
    enter(2, 20, {"zerg": 1801})
    eq("too far", whole(), (0, 0))
    enter(3, 30, {"zerg": 1800})
    eq("the place was kept: who waits longest comes first, with the window of 50 s", whole(), (1, 0))
    eq("the nearest", entries()[0]["key"], "match_1_3_%d" % now)
    enter(4, 40, {"zerg": 1902})
    eq("too far at once", whole(), (0, 0))
    enter(5, 50, {"zerg": 1901})
    eq("not too far", whole(), (1, 0))
    eq("the longest wait again", entries()[0]["key"], "match_2_5_%d" % now)


def leaving():
    fresh()
    eq("nothing is known", leave(1, 5), [])
    enter(1, 10, {"zerg": 1500})
    eq("an older word takes nobody out", leave(1, 9), ["waiting", "10"])
    eq("left", leave(1, 11), ["left", "11"])
    eq("again the same", leave(1, 11), ["left", "11"])
    eq("what was said before", enter(1, 10, {"zerg": 1500}), "stale")
    eq("nobody waits", (waiting(), r.zcard(MMR)), (set(), 0))
    eq("later", enter(1, 12, {"zerg": 1500}), "waiting")
    eq("a late repetition takes nobody out", leave(1, 11), ["waiting", "12"])
    eq("when it is just over", (enter(2, 13, {"zerg": 1500}, till=now), whole(), leave(2)), ("waiting", (0, 1), ["over", "13"]))
    eq("when it is long over", enter(3, 14, {"zerg": 1500}, till=now - GRACE), "late")
    entries()
    set_clock(now + KEEP + 1)
    whole()
    eq("in the end nothing stays", (r.exists(MMR, SINCE), r.hkeys(LINE)), (0, ["1"]))
    set_clock(now + KEEP + 1)
    whole()
    eq("at all", r.exists(*NAMES[:4]), 0)


def over():
    fresh()
    enter(7, 10, {"zerg": 1500}, token="tok", channel="5")
    set_clock(now + WAIT - 1)
    eq("not yet", whole(), (0, 0))
    set_clock(now + 1)
    enter(8, 11, {"zerg": 1500})
    eq("nobody is paired with who waits no longer", whole(), (0, 1))
    (entry,) = entries()
    eq("is told", (entry["lane"], entry["key"], json.loads(entry["body"])), ("discord:ladder:7", "over_7_10", {
        "shoal": "due", "chat_id": 7, "what": "line_over", "of": "over_7_10",
        "with": {"player": "7", "token": "tok", "channel": "5", "till": str(now)}}))
    eq("the other waits", (waiting(), leave(7)), ({"8"}, ["over", "10"]))
    eq("may queue again", enter(7, 12, {"zerg": 3000}), "waiting")


def over_all_at_once():
    """However many have waited too long, one run sees to all of them, in parts, and then to those who wait."""
    fresh()
    for p in range(1, 301):
        enter(p, p, {"zerg": 1500 + 1000 * p, "terran": -1000 * p})
    set_clock(now + WAIT)
    enter(301, 301, {"zerg": 1500}), enter(302, 302, {"zerg": 1500})
    at, most = 0, 0
    pairs = nover = parts = 0
    while at >= 0:
        p, o, at = part(at)
        pairs, nover, parts, most = pairs + p, nover + o, parts + 1, max(most, o)
    eq("all of them, and the pair", (pairs, nover), (1, 300))
    check("in parts", parts > 2 and most < 150, (parts, most))
    entries()
    set_clock(now + KEEP + 1)
    eq("in the end all are forgotten but the two of whom nobody said what became", (whole(), sorted(r.hkeys(LINE))),
       ((0, 2), ["301", "302"]))


def no_match():
    """A pairing that comes to nothing, such as by a dead letter: both hear at least that their waiting is over."""
    fresh()
    enter(7, 10, {"zerg": 1500}), enter(8, 11, {"zerg": 1500})
    eq("paired", (whole(), entries()[0]["key"]), ((1, 0), "match_7_8_%d" % now))
    set_clock(now + WAIT + GRACE - 1)
    eq("not yet", (whole(), enter(7, 12, {"zerg": 1500})), ((0, 0), "paired"))
    set_clock(now + 1)
    eq("over", (whole(), [e["key"] for e in entries()]), ((0, 2), ["over_7_10", "over_8_11"]))
    eq("may queue again", enter(7, 13, {"zerg": 1500}), "waiting")


def rubbish():
    """What somebody did by hand stops nobody else."""
    fresh()
    r.zadd(SINCE, {"1": 5})
    r.zadd(MMR, {"2 zerg": 1500, "nonsense": 1500})
    r.zadd(UNTIL, {"3": 5})
    enter(7, 10, {"zerg": 1500})
    enter(8, 11, {"zerg": 1510})
    eq("two are paired all the same", whole(), (1, 0))


class Model:
    """What players are promised."""

    def __init__(self, seed):
        self.random, self.serial, self.seed = random.Random(seed), 10 ** 18, seed
        self.state, self.said = {}, {}  # player -> (state, serial, since, till, races); player -> [repeatable things]
        self.made, self.gaps, self.pairings = set(), 0, []

    def wrong(self, what):
        raise AssertionError("seed %d: %s" % (self.seed, what))

    def of(self, player):
        return self.state.get(player, ("none", 0, 0, 0, {}))

    def enter(self, player):
        self.serial += self.random.randint(1, 10 ** 6)
        races = {race: self.random.choice((1500, 1500, self.random.randint(600, 2600)))
                 for race in self.random.sample(("zerg", "terran", "protoss", "bw_zerg"), self.random.randint(1, 3))}
        self.repeat(("enter", player, self.serial, races, now + WAIT))
        self.said.setdefault(player, []).append(("enter", player, self.serial, races, now + WAIT))

    def leave(self, player):
        self.serial += self.random.randint(1, 10 ** 6)
        self.repeat(("leave", player, self.serial))
        self.said.setdefault(player, []).append(("leave", player, self.serial))

    def repeat(self, thing):
        player, serial = thing[1], thing[2]
        state, last, since, _, _ = self.of(player)
        if thing[0] == "enter":
            _, _, _, races, till = thing
            answer = enter(player, serial, races, till)
            want = ("stale" if serial <= last else "late" if now >= till + GRACE else
                    "paired" if state == "paired" and now < self.of(player)[3] + GRACE else "waiting")
            if answer != want:
                self.wrong("%s at %s: %s, want %s" % (thing, self.of(player), answer, want))
            if answer == "waiting":
                self.state[player] = ("waiting", serial, since if state == "waiting" else now, till, races)
        else:
            answer = leave(player, serial)
            if state == "waiting" and serial > last:
                self.state[player] = state, last, _, _, _ = ("left", serial, 0, 0, {})
            if (answer or ["none", 0])[0] != state or (answer and int(answer[1]) != last):
                self.wrong("%s at %s: %s" % (thing, self.of(player), answer))

    def window(self, player):
        return WINDOW + (now - self.of(player)[2]) / 1000 * WIDENS

    def match(self):
        before = {p for p in self.state if self.of(p)[0] == "waiting"}
        stuck = {p for p in self.state if self.of(p)[0] == "paired" and self.of(p)[3] + GRACE <= now}
        whole(self.random.choice((20, 60, 600)))
        for entry in entries():
            body = json.loads(entry["body"])
            told = body["with"]
            if body["what"] == "line_over":
                if told["player"] not in before | stuck or self.of(told["player"])[3] > now:
                    self.wrong("over: %s" % told)
                before.discard(told["player"])
                stuck.discard(told["player"])
                self.state[told["player"]] = ("over", self.of(told["player"])[1], 0, 0, {})
                continue
            two = [told["player_1"], told["player_2"]]
            if int(two[0]) >= int(two[1]) or not set(two) <= before or body["of"] != "match_%s_%s_%d" % (*two, now):
                self.wrong("a pair of %s, of whom wait %s" % (two, before))
            before -= set(two)
            gap = abs(self.of(two[0])[4][told["race_1"]] - self.of(two[1])[4][told["race_2"]])
            if gap > max(map(self.window, two)):
                self.wrong("a gap of %d, windows %s" % (gap, list(map(self.window, two))))
            for p in two:
                self.state[p] = ("paired", *self.of(p)[1:])
            self.pairings.append((entry["key"], two))
            self.gaps += 1
        late = [p for p in before if self.of(p)[3] <= now] + list(stuck)
        if late:
            self.wrong("still waiting: %s" % late)
        for a in before:
            for b in before - {a}:
                gap = min(abs(x - y) for x in self.of(a)[4].values() for y in self.of(b)[4].values())
                if gap <= self.window(a):
                    self.wrong("not paired: %s and %s" % (a, b))

    def settle(self):
        """What became of a pairing, now or long after; the first word counts."""
        if not self.pairings:
            return
        key, two = self.random.choice(self.pairings)
        words = []
        for p in two:
            what = self.random.choice(("met", "met", "back"))
            words += [p, what]
            last = [k for k, pair in self.pairings if p in pair][-1]
            if self.of(p)[0] == "paired" and last == key:
                self.state[p] = ("waiting" if what == "back" else "met", *self.of(p)[1:])
        paired(key, *words)

    def compare(self):
        mine = {p for p in self.state if self.of(p)[0] == "waiting"}
        if waiting() != mine:
            self.wrong("waiting: %s, want %s" % (waiting(), mine))
        races = {("%s %s" % (p, race), float(mmr)) for p in mine for race, mmr in self.of(p)[4].items()}
        if set(r.zrange(MMR, 0, -1, withscores=True)) != races:
            self.wrong("ratings: %s, want %s" % (r.zrange(MMR, 0, -1, withscores=True), races))
        kept = set(r.hkeys(LINE))
        if kept != set(r.zrange(UNTIL, 0, -1)) or not mine <= kept:
            self.wrong("kept: %s" % kept)
        for p in set(self.state) - kept:  # forgotten, long after
            del self.state[p]
            self.said.pop(p, None)

    def step(self):
        player = str(self.random.randint(1, 30))
        what = self.random.random()
        if what < 0.4:
            self.enter(player)
        elif what < 0.5:
            self.leave(player)
        elif what < 0.65 and self.said.get(player):
            self.repeat(self.random.choice(self.said[player]))
        elif what < 0.75:
            self.settle()
        elif what < 0.85:
            self.match()
        else:
            set_clock(now + self.random.choice((1, 1000, 10000, 60000, WAIT // 3)))
        self.compare()


def walk(steps, seed):
    fresh()
    model = Model(seed)
    try:
        for _ in range(steps):
            model.step()
        check("a walk of %d steps: %d pairs" % (steps, model.gaps), model.gaps > steps // 50)
    except AssertionError as wrong:
        check("a walk of %d steps" % steps, False, str(wrong))


def much_at_once():
    """5,000 at once: no part of the work is long, and all who fit are paired."""
    fresh()
    rng = random.Random(5)
    for p in range(1, 5001):
        enter(p, p, {race: int(rng.gauss(1500, 300)) for race in rng.sample(("zerg", "terran", "protoss"), 2)})
    at = parts = 0
    r.config_resetstat()
    while at >= 0:
        _, _, at = part(at)
        parts += 1
    usec = r.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
    left = waiting()
    print("# 5,000 in %d parts of %.1f ms each, %d left" % (parts, usec / 1000, len(left)))
    check("5,000 at once: in parts", parts > 50)
    pairs = [json.loads(e["body"])["with"] for e in entries()]
    both = [p["player_%d" % n] for p in pairs for n in (1, 2)]
    check("5,000 at once: nobody twice, nobody lost", len(set(both)) == len(both) and set(both) | left == {
        str(p) for p in range(1, 5001)} and not set(both) & left)
    check("5,000 at once: nearly all are paired", len(left) < 100, len(left))


def main():
    steps = int(os.environ.get("STEPS", 3000))
    seed = int(os.environ.get("SEED", random.SystemRandom().randint(1, 10 ** 6)))
    for test in (two_who_fit, places, leaving, over, over_all_at_once, no_match, rubbish):
        test()
    walk(steps, seed)
    much_at_once()
    finish()


try:
    main()
except redis.exceptions.ResponseError as e:
    check("the scripts run", False, str(e))
    finish()
