#!/usr/bin/python3
"""lua/turn.lua against a real Redis: every rule of the queue by hand. Random walks are in tests/model.

    turn_script.py [ANYTHING [CASE...]]
"""
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import redis

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPO, "tests"))
import lib  # noqa: E402
SCRIPT = lib.script_text("turn.lua")
REREAD = lib.script_text("reread.lua")
STATS = lib.script_text("stats.lua")
KEY_WORDS = "updates lanes waiting due tries workers dead seen seen_old conf wake".split()
K = {w: "shoal:{0}:" + w for w in KEY_WORDS}
TTL = 1000  # ms; short, so that the tests are, yet longer than a busy machine stalls

r = None


# ---- the script's callers

class Answer:
    def __init__(self, raw):
        self.word = raw[0]
        self.raw = raw
        self.entries = []
        if self.word == "ok":
            self.entries = [Entry(e) for e in raw[1]]
            self.fenced, self.due_in, self.short, self.duplicates = raw[2], raw[3], raw[4], raw[5]
            self.killers = raw[8]
            self.held_back = raw[7]  # not 0: something waits for empty hands
            self.dead = list(zip(raw[6][0::5], raw[6][1::5]))
            self.reasons = raw[6][2::5]
            self.origins = list(zip(raw[6][3::5], raw[6][4::5]))  # keys and traceparents of the dead
            self.ids = [e.id for e in self.entries]
        elif self.word == "kept":
            self.kept = raw[1]


class Entry:
    def __init__(self, raw):
        self.id, fields, *history = raw
        if isinstance(fields, str):  # as gateways append them, they come without names
            values = [v for v in raw[1:] if isinstance(v, str)]
            fields = [x for pair in zip(("bot", "lane", "key", "at", "body", "traceparent"), values) for x in pair]
            history = raw[1 + len(values):]
            assert len(values) in (5, 6), raw
        self.again = int(bool(history))
        self.retries, self.takeovers, self.sent = history or (0, 0, 0)
        self.fields = dict(zip(fields[0::2], fields[1::2]))
        self.lane = self.fields.get("lane")


sha = None


def turn(name, reports=(), want=32, mode="work", empty=1, ttl=TTL, attempts=3, life=86400000, fmt="1", shard="0/1",
         args=None, except_=""):
    global sha
    argv = [fmt, shard, name, mode, want, empty, ttl, attempts, life, except_]
    if args is not None:
        argv += args
    if reports:
        finished = [rep[1] for rep in reports if rep[0] == "done"]
        argv += [len(finished), *[e.id for e in finished], *[e.lane for e in finished]]
    for kind, entry, number, text in [(tuple(rep) + (0, ""))[:4] for rep in reports if rep[0] != "done"]:
        argv += [kind, entry.id, entry.lane, number, text]
    return Answer(r.evalsha(sha, len(K), *[K[w] for w in KEY_WORDS], *argv))


def hello(name, old=(), kept=(), past=0, may_mark=1, **more):
    return turn(name, mode="hello", args=[past, may_mark, len(old), *old, *kept], **more)


def done(*entries):
    return [("done", e, 0, "") for e in entries]


def stats(behind=""):
    words = ("updates", "lanes", "waiting", "due", "tries", "workers", "dead", "conf")
    return r.eval(STATS, len(words), *[K[w] for w in words], behind)


def imbalance():
    return stats()[9]


def listed():
    return r.xpending(K["updates"], "workers")["pending"]


def reread(nobodys=1, listed_to=None):
    """lua/reread.lua, as a worker calls it whose numbers tell of entries that are nobody's."""
    words = ("updates", "conf", "wake")
    return r.eval(REREAD, len(words), *[K[w] for w in words], nobodys, stats()[10] if listed_to is None else listed_to)


def pending():
    return r.hlen(K["lanes"]) + r.zcard(K["waiting"])


def add(lane="L", body="{}", bot="persona", key=None, **more):
    fields = {"bot": bot, "lane": lane, "body": body, "key": key, **more}
    return r.xadd(K["updates"], {k: v for k, v in fields.items() if v is not None})


def now_ms():
    s, us = r.time()
    return s * 1000 + us // 1000


def kill(name):
    """As if this worker had not turned for a whole TTL."""
    r.zadd(K["workers"], {name: now_ms() - 1}, xx=True)


def fresh(*names):
    r.flushall()
    r.config_set("maxmemory", 0)
    for n in names or ("A~1",):
        hello(n)
        turn(n, want=1)  # makes the groups


# ---- what must hold

def unpad(member):
    ms, seq = member.split("\1")[1].split("-")
    return "%d-%d" % (int(ms), int(seq))


def state():
    lanes = r.hgetall(K["lanes"])
    waiting = [unpad(m) for m in r.zrange(K["waiting"], 0, -1)]
    group = [g for g in r.xinfo_groups(K["updates"]) if g["name"] == "workers"][0]
    stream = [i for i, _ in r.xrange(K["updates"])]
    unread = [i for i, _ in r.xrange(K["updates"], min="(" + group["last-delivered-id"])]
    assert all(c["pending"] == 0 for c in r.xinfo_consumers(K["updates"], "workers") if c["name"] == "w"), "it keeps a list of its own"
    return lanes, waiting, stream, unread


def invariant(deleted=()):
    """deleted: ids removed by hand, which are in a lane or wait until the script finds out."""
    lanes, waiting, stream, unread = state()
    held = [v.split(" ")[1] for v in lanes.values()]
    known = sorted(i for i in held + waiting if i not in deleted)
    assert known == sorted(set(stream) - set(unread)), "what is read and not settled is in a lane or waits"
    assert set(held + waiting) - set(stream) <= set(deleted), "in a lane, or waiting, but gone from the stream"
    if not deleted:
        assert len(stream) == len(unread) + len(lanes) + len(waiting), "XLEN = unread + lanes + waiting"
    due = r.zrange(K["due"], 0, -1)
    parked = ["%s %s" % (v.split(" ")[1], l) for l, v in lanes.items() if v.startswith("@ ")]
    assert sorted(due) == sorted(parked), "due = the lanes held by @"
    assert set(r.hkeys(K["tries"])) <= set(held + waiting), "tries of settled entries"


def empty():
    invariant()
    for w in ("lanes", "waiting", "due", "tries"):
        assert not r.exists(K[w]), "left over in " + w
    assert r.xlen(K["updates"]) == 0, "left over in the stream"


def eq(got, want):
    assert got == want, "%r, want %r" % (got, want)


def until(what, limit=5.0):
    end = time.time() + limit
    while time.time() < end:
        got = what()
        if got:
            return got
        time.sleep(0.005)
    raise AssertionError("did not happen within %s s" % limit)


def drain(*names, rounds=400):
    """Everything that can be given is taken and settled; the ids in their order."""
    order, hands = [], {n: [] for n in names}
    for i in range(rounds):
        quiet = True
        for n in names:
            a = turn(n, done(*hands[n]))
            assert not a.fenced
            order += a.ids
            hands[n] = a.entries
            quiet = quiet and not a.entries and a.due_in < 0 and a.short
        if quiet:
            return order
        if not any(hands.values()):
            time.sleep(0.002)
    raise AssertionError("never came to rest")


# ---- order, hand-over, give-back

def test_order_in_a_lane_across_workers():
    fresh("A~1", "B~1", "C~1")
    ids = [add("L%d" % (i % 3), str(i)) for i in range(60)]
    lanes = {}
    hands = {n: [] for n in ("A~1", "B~1", "C~1")}
    rng = random.Random(5)
    given = 0
    while given < 60 or any(hands.values()):
        n = rng.choice(sorted(hands))
        back = [e for e in hands[n] if rng.random() < 0.7]
        hands[n] = [e for e in hands[n] if e not in back]
        a = turn(n, done(*back), want=rng.randrange(1, 4))
        for e in a.entries:
            eq(e.again, 0)
            lanes.setdefault(e.lane, []).append(e.id)
            held = [x.lane for h in hands.values() for x in h]
            assert e.lane not in held, "two of a lane in hand"
            hands[n].append(e)
            given += 1
        invariant()
    for l in range(3):
        eq(lanes["L%d" % l], ids[l::3])
    empty()


def test_done_hands_the_lane_on_in_the_same_turn():
    fresh("A~1")
    first, second = add(), add()
    a = turn("A~1")
    eq(a.ids, [first])
    eq(r.zcard(K["waiting"]), 1)
    b = turn("A~1", done(*a.entries))
    eq((b.ids, b.entries[0].again), ([second], 0))
    invariant()
    c = turn("A~1", done(*b.entries), want=0)
    eq(c.ids, [])
    empty()


def test_hand_over_without_room_goes_to_another():
    fresh("A~1", "B~1")
    first, second, third = add(), add(), add()
    a = turn("A~1")
    b = turn("A~1", done(*a.entries), want=0)
    eq((b.ids, b.due_in), ([], 0))
    eq(r.hget(K["lanes"], "L"), "@ %s new" % second)
    invariant()
    c = turn("B~1")
    eq((c.ids, c.entries[0].again), ([second], 0))
    eq(turn("A~1").ids, [])
    eq(turn("B~1", done(*c.entries)).ids, [third])


def test_unread_does_not_overtake_waiting():
    fresh("A~1", "B~1")
    first, second = add(), add()
    a = turn("A~1")
    third = add()
    turn("A~1", done(*a.entries), want=0)  # second is due, third unread
    b = turn("B~1", want=1)
    eq(b.ids, [second])
    eq(turn("B~1", done(*b.entries)).ids, [third])


def test_leave_gives_back_at_once():
    fresh("A~1", "B~1")
    ids = [add("L1"), add("L2"), add("L1")]
    a = turn("A~1")
    eq(a.ids, ids[:2])
    b = turn("A~1", done(a.entries[1]), mode="leave")
    eq((b.entries, b.fenced), ([], []))
    eq(r.zscore(K["workers"], "A~1"), None)
    invariant()
    c = turn("B~1")
    eq([(e.id, e.again, e.takeovers) for e in c.entries], [(ids[0], 1, 0)])
    eq(turn("A~1").word, "gone")
    eq(turn("B~1", done(*c.entries)).ids, [ids[2]])


def test_the_dead_are_found_by_any_turn():
    fresh("A~1", "B~1")
    first = add()
    add()
    a = turn("A~1")
    began = time.time()

    def taken():
        b = turn("B~1")
        return b.entries or None
    b = until(taken)
    assert time.time() - began > TTL / 1000 * 0.9, "before its deadline"
    eq((b[0].id, b[0].again, b[0].takeovers), (first, 1, 1))
    eq(turn("A~1", done(*a.entries)).word, "gone")
    eq(turn("B~1", done(*b)).entries[0].takeovers, 0)


# ---- fencing, grace, hello

def test_late_reports_are_fenced():
    fresh("A~1", "B~1")
    first = add()
    a = turn("A~1").entries
    eq(turn("B~1", done(*a)).fenced, [first])
    eq(turn("B~1", [("sent", a[0], 3, "")]).fenced, [first])
    eq(turn("B~1", [("dead", a[0], 1, "no")]).fenced, [first])
    eq(r.xlen(K["dead"]), 0)
    invariant()
    eq(turn("A~1", [("later", a[0], 0, "")], want=0).fenced, [])
    eq(turn("A~1", done(*a), want=0).fenced, [first])  # given back: no longer mine
    b = turn("B~1").entries
    eq((b[0].id, b[0].again), (first, 1))
    eq(turn("A~1", [("retry", b[0], 0, "x")]).fenced, [first])
    eq(turn("B~1", done(*b)).fenced, [])
    eq(turn("B~1", done(*b)).fenced, [first])  # settled already
    empty()


def test_grace_after_a_stall():
    fresh("A~1", "B~1")
    add()
    a = turn("A~1").entries
    for n in ("A~1", "B~1"):
        kill(n)
    r.hset(K["conf"], "turned", now_ms() - TTL)  # nobody turned: Redis stood still
    eq(turn("B~1").entries, [])
    assert r.zscore(K["workers"], "A~1") > now_ms(), "a new deadline"
    eq(turn("A~1", done(*a)).fenced, [])
    empty()


def test_less_grace_where_a_new_worker_speaks_first():
    fresh("A~1")
    add()
    turn("A~1")
    r.hset(K["conf"], "turned", now_ms() - TTL)
    hello("B~1")
    left = r.zscore(K["workers"], "A~1") - now_ms()
    assert TTL / 3 < left <= TTL / 2, left
    r.hset(K["conf"], "turned", now_ms() - TTL)
    hello("B~2", ["B~1"])
    assert r.zscore(K["workers"], "A~1") - now_ms() > TTL / 2, "one that comes back: all of it"


def test_clock_stepping_forward_kills_nobody():
    fresh("A~1", "B~1")
    add()
    a = turn("A~1").entries
    step = 3600000  # what the keys look like after it
    for n in ("A~1", "B~1"):
        r.zincrby(K["workers"], -step, n)
    r.hincrby(K["conf"], "turned", -step)
    eq(turn("B~1").entries, [])
    eq(turn("A~1", done(*a)).fenced, [])


def test_clock_stepping_back_keeps_nobody_alive():
    fresh("A~1", "B~1")
    first = add()
    turn("A~1")
    step = 3600000
    for n in ("A~1", "B~1"):
        r.zincrby(K["workers"], step, n)
    r.hincrby(K["conf"], "turned", step)
    turn("B~1")
    assert r.zscore(K["workers"], "A~1") <= now_ms() + TTL, "its deadline is near again"
    eq(until(lambda: turn("B~1").ids), [first])


def test_clock_stepping_back_does_not_hold_up_what_is_due():
    fresh("A~1", "B~1")
    add("L1"), add("L2")
    a = turn("A~1").entries
    turn("A~1", [("later", a[0], 0, ""), ("later", a[1], 60000, "")], want=0)
    step = 3600000
    for n in ("A~1", "B~1"):
        r.zincrby(K["workers"], step, n)
    for m in r.zrange(K["due"], 0, -1):
        r.zincrby(K["due"], step, m)
    r.hincrby(K["conf"], "turned", step)
    eq(until(lambda: turn("B~1").ids, 2), [a[0].id])
    assert r.zrange(K["due"], 0, -1, withscores=True)[0][1] > now_ms() + 50000, "the other's wait is as long as it was"
    invariant()


def test_hello_keeps_what_is_named():
    fresh("A~1", "B~1")
    ids = [add("L%d" % i) for i in range(3)]
    eq(turn("A~1").ids, ids)
    a = hello("A~2", ["A~0", "A~1"], [ids[0], ids[2], "99-0"])
    eq(sorted(a.kept), sorted([ids[0], ids[2]]))
    invariant()
    eq(turn("A~1").word, "gone")
    eq(r.zscore(K["workers"], "A~1"), None)
    b = turn("B~1").entries
    eq([(e.id, e.again, e.takeovers) for e in b], [(ids[1], 1, 0)])
    # what B has A cannot keep
    eq(hello("A~3", ["A~2"], ids).kept.count(ids[1]), 0)
    eq(len(r.hgetall(K["lanes"])), 3)
    invariant()


def test_another_redis_may_have_forgotten():
    fresh("A~1")
    add("L1")
    hello("A~2", ["A~1"])
    eq([e.again for e in turn("A~2").entries], [0])
    ids = [add("L%d" % i) for i in range(2, 4)]
    r.hset(K["conf"], "run", "of the master that died")
    hello("A~3", ["A~2"], [])
    later = r.xadd(K["updates"], {"bot": "persona", "lane": "L4", "body": "{}"}, "%d-0" % (now_ms() + 70000))
    taken = turn("A~3").entries
    got = {e.id: e.again for e in taken}
    eq([e.retries for e in taken], [0, -1, -1, 0])  # given back, perhaps twice, later
    eq([got.get(i) for i in (*ids, later)], [1, 1, 0])
    eq(sorted(hello("A~4", ["A~3"], list(got)).kept), sorted(got))
    first = r.hget(K["conf"], "lost")
    hello("B~1")
    eq(r.hget(K["conf"], "lost"), first)  # it is the same Redis
    invariant()


def test_an_emptied_redis_may_have_forgotten():
    for past, again in ((0, 0), (1, 1)):  # a fleet that has done nothing yet has nothing to forget
        r.flushall()
        hello("A~1", past=past)
        add("L")
        eq([(e.again, e.retries) for e in turn("A~1").entries], [(again, -again)])
        invariant()


def test_a_mark_is_made_by_who_may():
    r.flushall()
    eq(hello("S~1", may_mark=0).word, "bare")
    eq((r.dbsize(), hello("A~1").word), (0, "kept"))
    eq((hello("S~1", may_mark=0).word, r.hget(K["conf"], "shard")), ("kept", "0/1"))
    eq(hello("S~2", may_mark=0, shard="0/2").word, "version")
    r.hdel(K["conf"], "v", "shard")
    eq((turn("S~3").word, r.hexists(K["conf"], "shard")), ("gone", False))
    eq(turn("A~1").word, "ok")  # whose name is registered there, it is
    eq(r.hget(K["conf"], "shard"), "0/1")
    invariant()


def test_a_redis_that_does_not_tell_which_it_is():
    fresh("A~1")
    hello("A~2", ["A~1"])
    r.execute_command("ACL", "SETUSER", "default", "-info")
    try:
        add()
        eq(hello("A~3", ["A~2"]).word, "kept")
    finally:
        r.execute_command("ACL", "SETUSER", "default", "+info")
    eq([e.again for e in turn("A~3").entries], [0])
    eq(r.hget(K["conf"], "lost"), None)
    invariant()


def test_a_late_turn_of_a_lost_connection_does_nothing():
    fresh("A~1")
    first = add()
    a = turn("A~1").entries
    hello("A~2", ["A~1"], [first])
    eq(turn("A~1", done(*a)).word, "gone")
    eq(r.xlen(K["updates"]), 1)
    eq(turn("A~2", done(*a)).fenced, [])
    empty()


def test_a_late_hello_takes_nothing_away():
    fresh("A~1")
    first = add()
    a = turn("A~1").entries
    hello("A~3", ["A~1", "A~2"], [first])
    eq(hello("A~2", ["A~1"], [first]).kept, [])
    eq(turn("A~3", done(*a)).fenced, [])
    empty()


# ---- somebody's hand in Redis

def everything():
    return {k: r.dump(k) for k in sorted(r.keys("*")) if k != K["conf"]}


def test_a_key_of_a_wrong_type_changes_nothing():
    for word in KEY_WORDS:
        fresh("A~1", "B~1")
        held = [add("held"), add("held"), add("due"), add("tried")]
        a = turn("A~1").entries
        eq([e.id for e in a], [held[0], held[2], held[3]])
        turn("A~1", [("later", a[1], 0), ("retry", a[2], 60000, "x")], want=0)
        new = [add(lane, key="k%d" % n) for n, lane in enumerate(("L", "M", "L", "held"))]
        r.xadd(K["updates"], {"no": "lane"})
        had = r.exists(K[word])
        if had:
            r.rename(K[word], "aside")
        r.set(K[word], "x")
        before = everything()
        try:
            turn("B~1", want=9)
        except redis.exceptions.ResponseError as e:
            looked_at = "updates lanes due dead seen seen_old wake".split()  # of the others something is asked for
            assert ("WRONGTYPE %s is a string, not a " % K[word] if word in looked_at else "WRONGTYPE") in str(e), e
        else:
            raise AssertionError("a turn with a wrong " + word)
        eq(everything(), before)
        r.delete(K[word])
        if had:
            r.rename("aside", K[word])
        b = turn("B~1", want=9)
        eq(b.ids, [held[2], new[0], new[1]])
        invariant()
        eq(turn("A~1", done(a[0]), want=0).fenced, [])
        took = []
        while b.entries:
            took += b.ids
            b = turn("B~1", done(*b.entries))
        eq([i for i in took if i in (held[1], new[3])], [held[1], new[3]])
        eq([i for i in took if i in (new[0], new[2])], [new[0], new[2]])


def read_by_hand(count):
    return [i for i, _ in r.xreadgroup("workers", "somebody", {K["updates"]: ">"}, count=count)[0][1]]


def test_what_somebody_else_has_read_comes_back():
    fresh("A~1", "B~1")
    held = [add("held"), add("held"), add("other")]
    a = turn("A~1").entries
    eq([e.id for e in a], [held[0], held[2]])
    first = [add(lane, key="k%d" % n) for n, lane in enumerate(("L", "M", "L", "held", "L"))]
    eq(read_by_hand(9), first)
    last = add("L", key="later")
    eq(wait_for_word(imbalance, 1), 1)  # so much can be told while something is unread
    eq(read_by_hand(1), [last])
    eq(imbalance(), len(first) + 1)
    eq(listed(), len(first) + 1)
    eq(reread(), 1)
    eq(reread(0), 0)
    eq(listed(), 0)
    assert r.xlen(K["wake"]) > 0, "nobody is told"
    eq(imbalance(), 0)
    b = turn("B~1", want=9).entries
    eq([e.id for e in b], first[:2])
    invariant()
    eq(imbalance(), 0)
    eq(turn("A~1", done(*a), want=0).fenced, [])
    took, answer = [], turn("B~1", done(*b))
    while answer.entries:
        took += answer.ids
        answer = turn("B~1", done(*answer.entries))
    eq(sorted(took), sorted([held[1], first[2], first[3], first[4], last]))
    eq([i for i in took if i in (first[2], first[4], last)], [first[2], first[4], last])
    eq(answer.duplicates, [])
    empty()


def test_what_was_read_and_is_gone_is_nobodys_no_longer():
    fresh("A~1")
    kept, gone, held = add("L"), add("M"), add("H")
    read_by_hand(2)
    eq(turn("A~1").ids, [held])
    eq(imbalance(), 2)
    r.xdel(K["updates"], gone)
    eq(imbalance(), 1)
    eq(reread(), 1)
    eq(turn("A~1").ids, [kept])
    invariant()


def test_it_is_told_that_a_lane_is_held_for_nothing():
    fresh("A~1")
    held = add("L")
    a = turn("A~1").entries
    add("L")
    turn("A~1")
    eq(imbalance(), 0)
    r.xdel(K["updates"], held)
    eq(imbalance(), -1)
    turn("A~1", done(*a))
    invariant()


def test_what_is_nobodys_is_told_at_the_head_whatever_is_unread():
    fresh("A~1")
    lost, held = add("L"), add("M")
    read_by_hand(1)
    a = turn("A~1").entries
    eq([e.id for e in a], [held])
    add("N"), add("M")
    eq(imbalance(), 1)
    turn("A~1", want=1)
    r.xdel(K["updates"], held)  # a lane without its entry, which hides nothing
    eq(imbalance(), 1)
    eq(reread(), 1)
    eq(imbalance(), 0)
    eq([i for i in turn("A~1", done(*a)).ids if i == lost], [lost])
    invariant()


def test_who_waits_or_is_parked_at_the_head_is_somebodys():
    fresh("A~1")
    first, second = add("L"), add("L")
    add("unread")
    turn("A~1", want=1)
    add("unread")
    eq(imbalance(), 0)
    r.hset(K["conf"], "paused", "persona")
    turn("A~1", [("later", Entry([first, ["lane", "L"]]), 0, "")])
    turn("A~1")
    eq(r.zscore(K["due"], first + " L"), float("inf"))
    eq(imbalance(), 0)
    r.hset(K["lanes"], "L", "@ " + second)
    eq(imbalance(), 1)


def test_a_turn_that_may_not_do_all_does_nothing():
    """Whichever command of the script it is; but those whose refusal it expects: what is known about the server, a bell;
    the one that changes wrong scores, before anything else; and the one that names a wrong type."""
    fresh("A~1")
    ids = [add("L"), add("L"), add("M")]
    a = turn("A~1").entries
    before = everything()
    commands = set(re.findall(r"""(?:p?call|batched|size)\('([A-Z]{3,})'|^\t*(?:local \w+ = )?\{+'([A-Z]{3,})'""", SCRIPT, re.M))
    commands = {one or other for one, other in commands}
    assert {"HSET", "XDEL", "HGETALL", "XREADGROUP", "RENAME", "XLEN"} <= commands and len(commands) > 20, commands
    at_once = {"HLEN", "HMGET", "TIME", "XLEN", "ZCARD", "ZCOUNT", "ZRANGE"}  # before anything is changed
    for command in sorted(commands - {"INFO", "XINFO", "ZUNIONSTORE", "TYPE"}):
        r.execute_command("ACL", "SETUSER", "default", "-" + command)
        try:
            turn("A~1", done(a[0]) + [("dead", a[1], 1, "by hand")])
            raise AssertionError("it may not " + command)
        except redis.ResponseError as e:
            said = str(e)  # Redis 7 does not name the command that a script may not give, 8 does
            assert "may not " + command in said or command in at_once and any(
                w in said for w in ("can't run this command", "run the '%s'" % command.lower())), e
        finally:
            r.execute_command("ACL", "SETUSER", "default", "+" + command)
        eq((command, everything()), (command, before))
    eq(turn("A~1", done(a[0]) + [("dead", a[1], 1, "by hand")]).ids, ids[1:2])
    eq(r.xlen(K["dead"]), 1)
    invariant()


def test_a_look_says_what_it_may_not_ask():
    fresh("A~1")
    add("L")
    for command in "xlen", "xrange", "xinfo", "hget":
        r.execute_command("ACL", "SETUSER", "default", "-" + command)
        try:
            said = stats()
            raise AssertionError("%s without %s" % (said, command))
        except redis.ResponseError as e:
            assert command in str(e).lower(), e
        finally:
            r.execute_command("ACL", "SETUSER", "default", "+" + command)
    eq(imbalance(), 0)


def test_what_is_nobodys_is_found_behind_what_stays_at_the_head():
    fresh("A~1")
    add("parked", bot="escrow")
    r.hset(K["conf"], "paused", "escrow")
    turn("A~1")
    lost = [add("L%d" % n) for n in range(5)]
    read_by_hand(5)
    add("unread")
    eq(wait_for_word(imbalance, 1), 1)
    eq(reread(), 1)
    eq(sorted(turn("A~1").ids)[:5], lost)
    eq([imbalance() for _ in range(50)], 50 * [0])
    invariant()


def test_the_list_of_one_who_read_by_hand_tells_what_is_nobodys():
    """Also where a look at a few would have to be lucky; and it stays until that is read anew."""
    fresh("A~1")
    parked = [add("parked%d" % n, bot="escrow") for n in range(200)]
    r.hset(K["conf"], "paused", "escrow")
    turn("A~1", want=300)
    lost = add("L")
    eq(read_by_hand(1), [lost])
    add("unread")
    eq((imbalance(), listed()), (1, 1))
    r.hset(K["conf"], "reread", now_ms())  # at another one's word
    eq((reread(), listed()), (0, 1))
    r.hdel(K["conf"], "reread")
    eq((reread(), listed()), (1, 0))
    assert lost in turn("A~1").ids
    eq(r.hlen(K["lanes"]), len(parked) + 2)
    invariant()


def test_one_look_goes_on_where_the_last_one_ended():
    """All these have one millisecond, as after a burst or where the clock was set back."""
    fresh("A~1")
    ms = now_ms()
    for n in range(150):
        r.xadd(K["updates"], {"bot": "escrow", "lane": "parked%d" % n, "body": "{}"}, id="%d-%d" % (ms, n))
    r.hset(K["conf"], "paused", "escrow")
    turn("A~1", want=300)
    add("L")
    r.xreadgroup("workers", "thief", {K["updates"]: ">"}, count=1, noack=True)
    add("unread")
    for behind, looks in ("0-0", 5), ("%d-0" % (ms + 10 ** 9), 6):  # the latter: of a stream that was there before
        found = []
        while len(found) < looks:
            said = stats(behind)
            found.append(said[9])
            behind = said[11]
        eq(found, [0] * (looks - 1) + [1])


def test_a_lane_that_was_lost_in_due_comes_back():
    fresh("A~1")
    first, second = add("L", bot="escrow"), add("L", bot="escrow")
    tried = add("M")
    r.hset(K["conf"], "paused", "escrow")
    a = turn("A~1").entries
    turn("A~1", [("later", a[0], 60000, "")])
    eq(r.zcard(K["due"]), 2)
    r.delete(K["due"])
    r.hdel(K["conf"], "paused")
    eq(turn("A~1").ids, [])
    eq(imbalance(), 1)
    eq(reread(), 1)
    again = turn("A~1")
    eq((again.ids, again.due_in), ([], 0))
    got = turn("A~1").entries
    eq(sorted(e.id for e in got), [first, tried])
    eq(turn("A~1", done(*got)).ids, [second])
    invariant()


def test_what_waits_behind_a_lane_that_was_lost_comes_once():
    """Deleted by hand: what was in hand may have been done, and what waited is nobody's."""
    fresh("A~1", "B~1")
    ids = [add("L") for n in range(3)]
    a = turn("A~1").entries
    eq([e.id for e in a], ids[:1])
    r.hdel(K["lanes"], "L")
    eq(imbalance(), 1)
    eq(reread(), 1)
    answer = turn("B~1")
    eq(turn("A~1", done(*a), want=0).fenced, ids[:1])
    took, perhaps = [], set()
    while answer.entries:
        took += answer.ids
        perhaps |= {e.retries for e in answer.entries}
        answer = turn("B~1", done(*answer.entries))
    eq(took, ids)
    eq(perhaps, {-1})
    later = add("L")
    answer = turn("B~1")
    eq([(e.id, e.again) for e in answer.entries], [(later, 0)])
    turn("B~1", done(*answer.entries))
    empty()


def comes_back(name, wanted):
    """What is amiss is told, read anew, and all of it is handled, in the order of each lane."""
    eq(wait_for_word(imbalance, 1), 1)
    eq(reread(), 1)
    took, answer, end = [], turn(name), time.time() + 10
    while r.xlen(K["updates"]) and time.time() < end:
        took += answer.ids
        answer = turn(name, done(*answer.entries))
    eq(sorted(took), sorted(wanted))
    last = {}
    for lane, i in [(i_lane[i], i) for i in took]:
        assert last.get(lane, (0, 0)) < number_of(i), "%s: %s after %s" % (lane, i, last.get(lane))
        last[lane] = number_of(i)
    empty()


i_lane = {}


def number_of(entry):
    return tuple(map(int, entry.split("-")))


def added(lane, **more):
    i = add(lane, **more)
    i_lane[i] = lane
    return i


def test_what_a_worker_has_whom_nobody_knows_any_more_comes_back():
    fresh("A~1", "B~1")
    ids = [added("L%d" % (n % 3)) for n in range(9)]
    eq(turn("A~1").ids, ids[:3])
    r.zrem(K["workers"], "A~1")
    comes_back("B~1", [*ids, added("unread")])


def test_a_worker_whose_name_was_lost_keeps_what_it_has():
    fresh("A~1", "B~1")
    ids = [added("L"), added("L")]
    a = turn("A~1").entries
    eq([e.id for e in a], ids[:1])
    r.zrem(K["workers"], "A~1")
    eq(imbalance(), 1)
    eq(reread(), 1)
    eq(turn("B~1").ids, [])
    eq(imbalance(), 0)
    again = turn("A~1", done(*a))
    eq((again.fenced, again.ids), ([], ids[1:]))
    turn("A~1", done(*again.entries))
    empty()


def test_what_waits_behind_a_lane_that_was_lost_in_due_comes_back():
    """Whether what the lane is held by is still there or not, and whatever sound entry lies before it."""
    for gone in False, True:
        fresh("A~1")
        sound = added("sound", bot="escrow")
        ids = [added("L"), added("L"), added("L")]
        r.hset(K["conf"], "paused", "escrow,persona")
        turn("A~1")
        eq(r.zrem(K["due"], ids[0] + " L"), 1)
        if gone:
            r.xdel(K["updates"], ids.pop(0))
        r.hdel(K["conf"], "paused")
        eq([e.id for e in turn("A~1", except_="escrow").entries], [])
        comes_back("A~1", [sound, *ids])


def test_the_group_set_to_the_end_of_all_ids():
    fresh("A~1")
    ids = [added("L%d" % (n % 3)) for n in range(9)]
    r.xgroup_setid(K["updates"], "workers", "18446744073709551615-18446744073709551615")
    eq(turn("A~1").ids, [])
    eq(imbalance(), len(ids))
    eq(reread(), 1)
    took, answer = [], turn("A~1")
    while answer.entries:
        took += answer.ids
        answer = turn("A~1", done(*answer.entries))
    eq(sorted(took), sorted(ids))
    empty()


def test_a_lane_that_holds_no_words_of_ours_is_free():
    fresh("A~1")
    r.hset(K["lanes"], "L", "garbage")
    ids = [added("L"), added("L")]
    answer = turn("A~1")
    eq(answer.ids, ids[:1])
    eq(turn("A~1", done(*answer.entries)).ids, ids[1:])


def served(name):
    """All that comes of a few turns and of what reads anew, while other workers' time passes."""
    took = []
    for _ in range(6):
        answer = turn(name)
        while answer.entries:
            took += answer.ids
            answer = turn(name, done(*answer.entries))
        if stats()[9] > 0:
            r.hdel(K["conf"], "reread")
            reread()
        for other in set(r.zrange(K["workers"], 0, -1)) - {name}:
            kill(other)
        for member, ms in r.zrange(K["due"], 0, -1, withscores=True):
            if now_ms() < ms < float("inf"):
                r.zadd(K["due"], {member: now_ms()})
    return took


LONG_ID = "99999999999999999999999-0"


def test_what_another_hand_wrote_holds_up_nobody_for_ever():
    """Neither its chat nor the others: in a lane, in due, behind a lane, in the history."""
    writes = [("HSET", "lanes", "L", word) for word in
              ("", "garbage", "two words", "@ garbage", "@", "@ " + LONG_ID, "Z~9 " + LONG_ID, "@ 1-", "Z~9 -1-1", "@ 1-1 x", "A~1 1-1 x",
               "A~1 1-1 new", "@ 1-1x", "@ 1-1 ", "@ 1-1 newer")]
    writes += [("ZADD", "due", score, member) for score in ("1", "-inf", "+inf")
               for member in ("", " ", " x", "garbage", "garbage L", LONG_ID + " L", "1-1", "1-1 L", "L 1-1")]
    writes += [("ZADD", "waiting", score, member) for score, member in (("1", "!"), ("-1", "~"), ("inf", "L"), ("-inf", "L\1"))]
    writes += [("ZADD", "workers", "1", member) for member in ("@", "", "Z~9", "two words")]
    writes += [("ZADD", "waiting", "0", member) for member in ("L", "L\1", "L\1garbage", "L\1-", "L\1" + LONG_ID, "\1")]
    writes += [("HSET", "tries", "", "x"), ("HSET", "tries", LONG_ID, "9 9 9"), ("HSET", "tries", "garbage", "9 9 9")]
    writes += [("HSET", "conf", field, word) for field in ("turned", "rotated", "deaths", "claim", "parked", "lost", "reread")
               for word in ("", "nan", "inf", "-inf", "1e400", "garbage", "nan nan")]
    both = [[("HSET", "lanes", "L", "@ " + word), ("ZADD", "due", "1", word + " L"), ("HSET", "tries", word, tries)]
            for word in ("garbage", LONG_ID, "-", "+", "(1-1", "5", "1-1") for tries in ("0 0 0", "0 1 0", "0 2 0", "9 9 9")]
    for commands in [[w] for w in writes] + both:
        fresh("A~1")
        ids = [added("L"), added("L"), added("M")]
        for command, key, *rest in commands:
            r.execute_command(command, K[key], *rest)
        try:
            took = served("A~1")
            eq((took.index(ids[0]) < took.index(ids[1]), sorted(took)), (True, sorted(ids)))
        except Exception as e:
            raise AssertionError("after %r: %s" % (commands, e))


def test_no_number_of_tries_is_more_than_an_answer_holds():
    for history in "3000000000 0 0", "0 1 3000000000", "0 0 99999999999999999999":
        fresh("A~1")
        turn("A~1", [("later", add_and_take("L"), 0)])
        held = r.zrange(K["due"], 0, -1)[0].split()[0]
        r.hset(K["tries"], held, history)
        entry = turn("A~1").entries[0]
        eq(entry.id, held)
        assert max(entry.retries, entry.takeovers, entry.sent) == 1000000, (history, entry.retries, entry.takeovers, entry.sent)


def test_what_is_due_is_in_nobodys_hands():
    fresh("A~1")
    turn("A~1", [("later", add_and_take("L"), 60000)])
    for _ in range(3):
        kill("@")
        turn("A~1")
    eq((r.exists(K["tries"]), r.xlen(K["dead"]), r.hlen(K["lanes"])), (0, 0, 1))


def add_and_take(lane):
    add(lane)
    return turn("A~1").entries[0]


def test_what_waits_is_found_whatever_another_hand_put_between():
    for score, member in (1, "!"), (-1, "~"):
        fresh("A~1")
        ids = [add("L") for _ in range(3)]
        answer = turn("A~1")
        r.zadd(K["waiting"], {member: score})
        took = []
        while answer.entries:
            took += answer.ids
            add("L") if len(took) == 1 else None
            answer = turn("A~1", done(*answer.entries))
        eq((took[:3], len(took)), (ids, 4))


def test_what_another_hand_listed_in_two_lanes_is_given_for_its_own():
    for command, *rest in ("ZADD", "waiting", 0), ("HSET", "lanes", "L"):
        fresh("A~1", "B~1")
        first = add("M")
        held = turn("A~1").entries
        if command == "ZADD":
            ids = [add("L")]
            b = turn("B~1").entries
            r.zadd(K["waiting"], {"L\1" + "-".join(part.zfill(20) for part in first.split("-")): 0})
        else:
            ids, b = [], []
            r.hset(K["lanes"], "L", "@ " + first)
            r.zadd(K["due"], {first + " L": 1})
        ids.append(add("L"))
        eq([e.id for e in b] + turn("B~1", done(*b)).ids, ids)
        eq(len(r.xrange(K["updates"], first, first)), 1)
        eq(turn("A~1", done(*held)).fenced, [])
        eq(r.xrange(K["updates"], first, first), [])


def test_who_killed_is_given_to_empty_hands_in_its_own_lane():
    fresh("A~1")
    m = add("M")
    r.hset(K["lanes"], "L", "@ " + m)
    r.hset(K["tries"], m, "0 2 0")
    r.zadd(K["due"], {m + " L": 1})
    answer = turn("A~1")
    eq((answer.ids, r.hget(K["lanes"], "M")), ([m], "A~1 " + m))


def test_nothing_is_written_where_another_format_or_shard_is():
    for mark in {"v": "2"}, {"shard": "1/2"}:
        fresh("A~1")
        add("L")
        turn("A~1")
        add("L")
        turn("A~1", want=0)
        r.zadd(K["waiting"], {"future": 7})
        r.hset(K["conf"], mapping=mark)
        before = {key: r.dump(key) for key in r.keys("*")}
        eq((turn("A~1").word, hello("B~1").word), ("version", "version"))
        eq({key: r.dump(key) for key in r.keys("*")}, before)


def test_who_waits_keeps_its_place_whatever_its_score():
    for score in 1, -1, float("inf"), float("-inf"):
        fresh("A~1")
        ids = [add("L") for _ in range(3)]
        answer = turn("A~1")
        eq(r.zcard(K["waiting"]), 2)
        r.zadd(K["waiting"], {r.zrange(K["waiting"], 0, 0)[0]: score})
        took = []
        while answer.entries:
            took += answer.ids
            answer = turn("A~1", done(*answer.entries))
        eq((took, r.xlen(K["updates"])), (ids, 0))


def test_who_waits_behind_a_lane_whose_words_are_lost_goes_first():
    fresh("A~1", "B~1")
    ids = [added("L"), added("L"), added("L")]
    a = turn("A~1").entries
    r.hset(K["lanes"], "L", "garbage")
    ids.append(added("L"))
    b = turn("B~1")
    eq(b.ids, ids[1:2])
    eq(turn("A~1", done(*a)).fenced, ids[:1])
    eq(turn("B~1", done(*b.entries)).ids, ids[2:3])


def test_a_clock_that_steps_back_a_little_is_a_grace_once():
    fresh("A~1", "B~1")
    r.hset(K["conf"], "turned", now_ms() + 80)
    turn("A~1")
    assert r.zscore(K["workers"], "B~1") > now_ms() + TTL - 500
    before = r.zscore(K["workers"], "B~1")
    for _ in range(5):
        turn("A~1")
    eq(r.zscore(K["workers"], "B~1"), before)


def test_a_worker_whose_name_was_lost_speaks_first():
    fresh("A~1", "B~1")
    ids = [added("L"), added("L")]
    a = turn("A~1").entries
    r.zrem(K["workers"], "A~1")
    again = turn("A~1", done(*a))
    eq((again.fenced, again.ids), ([], ids[1:]))
    eq(turn("B~1").ids, [])
    kill("A~1")
    turn("B~1")
    eq(turn("A~1", done(*again.entries)).word, "gone")


def test_to_read_anew_prolongs_no_deadline_and_hastens_nothing():
    fresh("A~1", "B~1")
    ids = [added("L"), added("M")]
    a = turn("A~1", want=1).entries
    b = turn("B~1", want=1).entries
    eq([e.id for e in a + b], ids)
    deadline = now_ms() + TTL // 2
    r.zadd(K["workers"], {"A~1": deadline})
    add("N")
    read_by_hand(1)
    eq(reread(), 1)
    turn("B~1", [("later", b[0], 60000)])
    eq(r.zscore(K["workers"], "A~1"), deadline)
    assert r.zscore(K["due"], ids[1] + " M") > now_ms() + 50000


def test_what_is_no_number_is_none():
    for word in "nan", "inf", "1e400", "garbage":
        fresh("A~1", "B~1")
        add("L")
        turn("A~1")
        kill("A~1")
        r.hset(K["conf"], mapping={"rotated": word, "deaths": word + " " + word, "lost": word})
        r.hset(K["lanes"], "M", "Z~9 " + add("M"))
        turn("B~1")  # reads it, to a lane that nobody holds
        eq(reread(), 1)
        marks = r.hmget(K["conf"], "rotated", "deaths", "lost")
        for n in " ".join(marks).split():
            assert re.fullmatch(r"[\d.]+", n), (word, marks)


def test_a_look_is_bounded_in_bytes_whatever_the_field():
    fresh("A~1")
    r.hset(K["conf"], "paused", "*")
    for n in range(20):
        r.xadd(K["updates"], {"bot": "persona", "lane": "L%d" % n, "body": "{}", "junk": "x" * 70000})
    got = [i for i, _ in r.xreadgroup("workers", "somebody", {K["updates"]: ">"}, count=9)[0][1]]
    for n, i in enumerate(got):
        r.hset(K["lanes"], "L%d" % n, "A~1 " + i)
    said = stats()
    eq((said[9], said[10]), (0, got[0]))
    eq((reread(0), listed()), (0, 8))
    said = stats("0-0")
    eq((said[9], said[11]), (0, got[0]))


def test_marks_that_were_lost_are_made_again():
    fresh("A~1")
    r.hdel(K["conf"], "shard")
    eq(turn("A~1").word, "ok")
    eq(r.hget(K["conf"], "shard"), "0/1")
    r.hset(K["conf"], "reread", "nan")
    add("L")
    read_by_hand(1)
    eq(reread(), 1)
    answer = turn("A~1")
    turn("A~1", done(*answer.entries))
    ids = [add("M", bot="escrow"), add("N")]
    r.hset(K["conf"], "paused", "escrow,persona")
    turn("A~1")
    r.hdel(K["conf"], "parked")
    r.hset(K["conf"], "paused", "escrow")
    took = []
    for _ in range(4):
        took += turn("A~1").ids
    eq(took, ids[1:])
    eq((r.hget(K["conf"], "parked"), r.zscore(K["due"], ids[0] + " M")), ("escrow", float("inf")))
    add("O")
    turn("A~1", [("later", turn("A~1").entries[0], 60000)])  # nor does what comes later hide what is parked
    r.hdel(K["conf"], "paused", "parked")
    eq(sum((turn("A~1").ids for _ in range(3)), []), ids[:1])


def wait_for_word(ask, word):
    for _ in range(1000):
        said = ask()
        if said == word:
            break
    return said


def test_the_list_of_an_earlier_version_goes():
    """Its workers read without NOACK, and do so while newer ones settle what is theirs."""
    fresh("old~1", "new~1")
    ids = [add("L") for n in range(3)]
    r.xreadgroup("workers", "w", {K["updates"]: ">"}, count=3)
    r.hset(K["lanes"], "L", "old~1 " + ids[0])
    for i in ids[1:]:
        r.zadd(K["waiting"], {"L\1%020d-%020d" % tuple(map(int, i.split("-"))): 0})
    eq((imbalance(), listed()), (0, 3))
    turn("old~1", done(Entry([ids[0], ["lane", "L"]])), want=0)
    turn("old~1", mode="leave")
    answer = turn("new~1")
    while answer.entries:
        answer = turn("new~1", done(*answer.entries))
    eq(r.xlen(K["updates"]), 0)
    eq((imbalance(), listed()), (0, 3))
    eq(reread(0), 0)
    eq(listed(), 0)
    empty()


def test_nothing_is_read_anew_without_need():
    r.flushall()
    eq(imbalance(), 0)
    fresh("A~1")
    eq(imbalance(), 0)
    ids = [add("L%d" % (n % 7)) for n in range(40)]
    eq(imbalance(), 0)
    turn("A~1", want=20)
    eq(imbalance(), 0)
    eq(len(turn("A~1", want=40).ids), 0)
    eq((pending(), imbalance()), (len(ids), 0))
    invariant()


def test_reading_anew_is_not_begun_again_before_it_is_through():
    fresh("A~1", "B~1")
    behind = [add("busy") for _ in range(1200)]  # more than one turn looks at
    a = turn("A~1", want=1).entries
    while pending() < len(behind):
        turn("A~1", want=1)
    lost = add("L")
    eq(read_by_hand(1), [lost])
    eq(reread(), 1)
    turns, got = 0, []
    while not got and turns < 10:
        eq((imbalance(), reread()), (0, 0))
        got = turn("B~1", want=1).ids
        turns += 1
    eq(got, [lost])
    assert turns > 1, "all in one turn"
    invariant()
    eq(len(a), 1)
    for ms, again in ((-9000, 0), (-10001, 1), (60000, 1)):  # the last: the clock has stepped back since
        r.hset(K["conf"], "reread", now_ms() + ms)
        eq(reread(), again)
    while not turn("B~1", want=1).short:
        pass
    invariant()


def test_first_hello_without_names():
    r.flushall()
    a = hello("A~1")
    eq((a.word, a.kept), ("kept", []))
    eq(turn("nobody").word, "gone")
    assert r.zscore(K["workers"], "nobody") is None
    eq(turn("A~1", want=0).word, "ok")


# ---- retries, dead letters

def dead_letters():
    out = []
    for _, pairs in r.eval("return redis.call('XRANGE', KEYS[1], '-', '+')", 1, K["dead"]):  # a name may come twice
        cut = pairs.index("entry")
        out.append((dict(zip(pairs[0:cut:2], pairs[1:cut:2])), pairs[cut + 2:]))
    return out


def test_retry_then_dead_with_all_fields():
    fresh("A~1", "B~1")
    body = "{\"x\":1}"
    first = add(key="k1", body=body, at="17", traceparent="t" * 99)
    second = add()
    e = turn("A~1").entries[0]
    for i in (1, 2):
        began = now_ms()
        a = turn("A~1", [("retry", e, 400, "boom %d" % i)])
        eq((a.ids, a.dead), ([], []))
        assert 0 < a.due_in <= 400, "told when"
        assert r.hget(K["lanes"], "L") == "@ " + first, "its lane stays held"
        invariant()
        early = turn("B~1", want=0 if now_ms() > began + 300 else 32).ids  # the machine may have stood still
        eq(early, [])
        e = until(lambda: turn("A~1").entries)[0]
        eq((e.id, e.again, e.retries, e.takeovers), (first, 1, i, 0))
    turn("A~1", [("sent", e, 2, "")], want=0)
    a = turn("A~1", [("retry", e, 30, "boom 3")])
    eq((a.dead, a.ids, a.origins), ([(first, "persona")], [second], [("k1", "t" * 64)]))
    (head, fields), = dead_letters()
    assert abs(int(head.pop("died_at")) - now_ms()) < 10000
    eq(head, {"id": first, "lane": "L", "error": "boom 3", "retries": "3", "takeovers": "0", "sent": "2",
              "maybe_applied": "0", "worker": "A~1"})
    eq(dict(zip(fields[0::2], fields[1::2])), {"bot": "persona", "lane": "L", "body": body, "key": "k1", "at": "17",
                                                "traceparent": "t" * 99})
    invariant()
    turn("A~1", done(*a.entries))
    empty()


def test_dead_at_once():
    fresh("A~1")
    first, second = add(), add()
    e = turn("A~1").entries[0]
    a = turn("A~1", [("dead", e, 1, "bad\x00\xff")])
    eq((a.dead, a.ids, a.origins), ([(first, "persona")], [second], [(first, "")]))
    head = dead_letters()[0][0]
    eq((head["error"], head["maybe_applied"], head["retries"]), ("bad\x00\xff", "1", "0"))


def test_later_counts_nothing():
    fresh("A~1")
    first = add()
    e = turn("A~1").entries[0]
    for i in range(12):
        a = turn("A~1", [("later", e, 1, "")], want=0)
        eq(a.dead, [])
        e = until(lambda: turn("A~1").entries)[0]
        eq((e.id, e.again, e.retries, e.takeovers), (first, 1, 0, 0))
    assert not r.exists(K["tries"])
    turn("A~1", done(e))
    empty()


def test_sent_marks_survive():
    fresh("A~1", "B~1")
    add()
    e = turn("A~1").entries[0]
    eq(turn("A~1", [("sent", e, 1, "")]).fenced, [])
    turn("A~1", [("sent", e, 2, "")])
    turn("A~1", [("retry", e, 0, "x")], want=0)
    e = until(lambda: turn("A~1").entries)[0]
    eq((e.sent, e.retries), (2, 1))
    kill("A~1")
    e = until(lambda: turn("B~1").entries)[0]
    eq((e.sent, e.retries, e.takeovers), (2, 1, 1))
    turn("B~1", done(e))
    empty()


# ---- takeovers

def ripen():
    """What is due is due now."""
    for m in r.zrange(K["due"], 0, -1):
        r.zadd(K["due"], {m: now_ms() - 1})


def gather(name, count, limit=5.0):
    """A new worker that takes until it has so many; the ids."""
    hello(name, ttl=30000)
    got, end = [], time.time() + limit
    while len(got) < count:
        got += turn(name, want=100, empty=int(not got), ttl=30000).entries
        assert time.time() < end, "only %d of %d came" % (len(got), count)
        time.sleep(0.005)
    return [e.id for e in got]


def die(name, by):
    kill(name)
    a = turn(by, want=0, ttl=30000)
    ripen()
    return a


def test_takeovers_one_two_three():
    fresh("Z~0")
    hello("Z~1", ttl=30000)
    first, second = add(), add()
    other = add("other")
    for i in (1, 2):
        eq(sorted(gather("A~%d" % i, 2)), sorted([first, other]))
        eq(die("A~%d" % i, "Z~1").dead, [])
        eq(r.hget(K["tries"], first), "0 %d 0" % i)
        invariant()
    # both entries of the dead worker are suspects now: each comes alone, and only to empty hands
    unread = add("U")
    a = turn("Z~1", empty=0, want=1, ttl=30000)
    eq(a.ids, [unread])
    assert a.held_back
    add("U2")
    hello("B~1", ttl=30000)
    b = turn("B~1", empty=1, ttl=30000)
    eq([e.takeovers for e in b.entries], [2])
    c = turn("Z~1", done(*a.entries), empty=1, ttl=30000)
    eq([e.takeovers for e in c.entries], [2])
    eq(sorted(b.ids + c.ids), sorted([first, other]))
    killer, living = ("B~1", "Z~1") if b.ids == [first] else ("Z~1", "B~1")
    kill(killer)
    d = turn(living, want=1, empty=0, ttl=30000)
    eq([i for i, _ in d.dead], [first])
    eq(d.ids, [second])  # the lane goes on
    head = dead_letters()[0][0]
    eq((head["takeovers"], head["maybe_applied"], head["lane"]), ("3", "1", "L"))
    invariant()


def test_a_storm_of_deaths_buries_no_innocent_entry():
    fresh("Z~0")
    hello("Z~1", ttl=30000)
    for n in range(40):  # workers that hold nothing tell nothing
        hello("X~%d" % n, ttl=30000)
        die("X~%d" % n, "Z~1")
    for n in range(9):
        other = add("other%d" % n)
        eq(gather("Y~%d" % n, 1), [other])
        die("Y~%d" % n, "Z~1")
        e = until(lambda: turn("Z~1", empty=1, ttl=30000).entries, 3)
        turn("Z~1", done(*e), want=0, ttl=30000)
    i = add()
    taken = 0
    while True:
        eq(gather("A~%d" % taken, 1), [i])
        a = die("A~%d" % taken, "Z~1")
        taken += 1
        invariant()
        if a.dead:
            break
    assert 3 < taken < 20, "dead after %d takeovers" % taken
    eq(dead_letters()[0][0]["takeovers"], str(taken))
    empty()


def test_deaths_with_empty_hands_are_no_storm():
    fresh("Z~0")
    hello("Z~1", ttl=30000)
    for n in range(40):
        hello("X~%d" % n, ttl=30000)
        die("X~%d" % n, "Z~1")
    i = add()
    for n in range(3):
        eq(gather("A~%d" % n, 1), [i])
        dead = die("A~%d" % n, "Z~1").dead
    eq([x for x, _ in dead], [i])
    empty()


def test_one_worker_empties_its_hands_for_suspects():
    fresh("Z~0")
    hello("Z~1", ttl=30000), hello("Y~1", ttl=30000)
    i = add("S")
    for n in ("P~1", "P~2"):
        eq(gather(n, 1), [i])
        die(n, "Z~1")
    until(lambda: turn("Z~1", empty=0, ttl=30000).held_back == 2, 3)
    eq(turn("Y~1", empty=0, ttl=30000).held_back, 0)  # Z has said that it will
    eq(turn("Z~1", empty=0, ttl=30000).held_back, 2)
    r.hset(K["conf"], "claim", "Z~1 %d" % (now_ms() - 1))
    eq(turn("Y~1", empty=0, ttl=30000).held_back, 2)  # but never came
    eq(turn("Z~1", empty=1, ttl=30000).ids, [i])  # whose hands are empty gets it all the same


def test_the_claim_lasts_as_long_as_the_hands_are_full():
    fresh("Z~0")
    hello("Z~1", ttl=30000), hello("Y~1", ttl=30000)
    slow = add("slow")
    eq(turn("Z~1", want=1, ttl=300).ids, [slow])
    i = add("S")
    for n in ("P~1", "P~2"):
        eq(gather(n, 1), [i])
        die(n, "Y~1")
    until(lambda: turn("Z~1", empty=0, ttl=300).held_back == 2, 3)
    for _ in range(12):
        turn("Z~1", want=0, empty=0, ttl=300)
        eq(turn("Y~1", empty=0, ttl=300).held_back, 0)  # goes on with its work
        time.sleep(0.05)
    hello("X~1", ttl=30000)
    turn("Z~1", mode="leave", empty=0)
    eq(turn("X~1", empty=0, ttl=300).held_back, 2)  # a claim goes with its owner
    hello("Z~1")
    turn("X~1", want=0, empty=1, ttl=300)  # drains: nothing will be in its hands
    eq(turn("Z~1", want=1, empty=0, ttl=300).held_back, 2)
    eq(turn("Y~1", empty=1, ttl=300).ids, [i])  # who has nothing in hand need not wait
    a = turn("Z~1", empty=0, ttl=300)
    eq((a.ids, a.held_back), ([], 0))
    assert not r.hexists(K["conf"], "claim"), "nothing is left to wait for"


def test_killers_come_with_what_they_may_have_locked():
    fresh("Z~1")
    first, second = add("L", body="one", key="k"), add("M", body="two")
    hello("A~1")
    ids = gather("A~1", 2)
    eq(ids, [first, second])
    for i in ids:
        r.hset(K["tries"], i, "0 2 0")
    a = die("A~1", "Z~1")
    eq(sorted(zip(a.killers[0::3], a.killers[1::3], a.killers[2::3])),
       sorted([("persona", "k", "one"), ("persona", second, "two")]))
    add("", body="x")
    eq(turn("Z~1").killers, [])


def test_a_letter_tells_whether_it_may_be_applied():
    fresh("A~1")
    for kind, maybe in (("retry", "0"), ("retry?", "1")):
        add("L")
        e = turn("A~1").entries[0]
        for _ in range(3):
            turn("A~1", [(kind, e, 0, "no")], want=0)
            time.sleep(0.002)
            e = (turn("A~1").entries or [e])[0]
        head, _ = dead_letters()[-1]
        eq((head["retries"], head["maybe_applied"]), ("3", maybe))
    empty()


def test_a_suspect_that_is_paused_or_deleted_keeps_nobody_waiting():
    fresh("Z~0")
    hello("Z~1", ttl=30000)
    i = add("S")
    for n in ("P~1", "P~2"):
        eq(gather(n, 1), [i])
        die(n, "Z~1")
    assert turn("Z~1", empty=0, ttl=30000).held_back
    r.hset(K["conf"], "paused", "persona")
    a = turn("Z~1", empty=0, ttl=30000)
    eq((a.held_back, a.ids, a.due_in), (0, [], -1))
    eq(turn("Z~1", empty=1, ttl=30000).held_back, 0)
    r.hdel(K["conf"], "paused")
    ripen()
    assert turn("Z~1", empty=0, ttl=30000).held_back
    r.xdel(K["updates"], i)
    later = add("S")
    a = turn("Z~1", empty=1, ttl=30000)
    eq((a.held_back, a.ids), (0, [later]))
    turn("Z~1", done(*a.entries), ttl=30000)
    empty()


def test_suspects_do_not_hold_up_the_others():
    fresh("Z~0")
    hello("Z~1", ttl=30000)
    for i in range(100):
        add("s%d" % i)
    for n in ("A~1", "A~2"):
        gather(n, 100)
        die(n, "Z~1")
        eq(r.zcard(K["due"]), 100)
    add("innocent")
    e = turn("Z~1", empty=0, want=4, ttl=30000).entries
    eq([x.lane for x in e], ["innocent"])
    turn("Z~1", [("later", e[0], 0, "")], want=0, ttl=30000)
    e = until(lambda: turn("Z~1", empty=0, want=4, ttl=30000).entries, 2)
    eq([x.lane for x in e], ["innocent"])


def rings():
    """Rings to the bell since the last look."""
    got = r.xread({K["wake"]: r.heard}) if r.exists(K["wake"]) else []
    ids = [i for i, _ in got[0][1]] if got else []
    r.heard = ids[-1] if ids else r.heard
    return len(ids)


def test_a_ring_for_what_is_left_to_others():
    fresh("A~1", "B~1")
    r.heard = "0"
    ids = [add("L%d" % (i % 70)) for i in range(80)]
    a = turn("A~1", want=100)
    eq((len(a.entries), rings()), (70, 0))
    turn("A~1", done(*a.entries[:2]), want=2)
    eq(rings(), 0)  # the lanes' next went to the same worker
    turn("A~1", done(*a.entries[2:5]), want=0)
    eq(rings(), 1)
    eq(set(turn("B~1", want=3).ids), set(ids[72:75]))
    turn("A~1", mode="leave")
    eq(rings(), 3)  # for 67 entries
    hello("C~1")
    bell = redis.Redis(connection_pool=r.connection_pool)
    eq(bell.xreadgroup("bell", "w", {K["wake"]: ">"}, noack=True), [])  # heard of nothing older
    eq(r.xlen(K["updates"]), 75)
    turn("B~1", want=100)
    eq(rings(), 0)


def test_hello_rings_for_what_it_does_not_keep():
    fresh("A~1")
    r.heard = "0"
    add("L1"), add("L2")
    a = turn("A~1")
    hello("A~2", ["A~1"], [a.ids[0]])
    eq(rings(), 1)
    assert r.xreadgroup("bell", "w", {K["wake"]: ">"}, noack=True), "whoever listens hears it"


def test_paused_entries_are_parked():
    fresh("A~1")
    ids = [add("p%d" % i) for i in range(5)] + [add("p0")]
    first = turn("A~1", want=1)
    r.hset(K["conf"], "paused", "persona")
    other = add("e", bot="escrow")
    a = turn("A~1", done(*first.entries))
    eq((a.ids, a.due_in), ([other], -1))
    eq(r.zcount(K["due"], "+inf", "+inf"), 5)
    invariant()
    r.hset(K["conf"], "paused", "persona,ladder")
    a = turn("A~1", done(*a.entries))
    eq((a.ids, a.due_in), ([], -1))
    eq(r.zcount(K["due"], "+inf", "+inf"), 5)
    r.hset(K["conf"], "paused", "ladder")
    a = turn("A~1", want=50)
    eq(set(a.ids), set(ids[1:]))
    assert all(e.again == 0 for e in a.entries)
    turn("A~1", done(*a.entries))
    empty()
    assert not r.hexists(K["conf"], "parked")


def test_thousands_of_parked_entries_come_back():
    fresh("A~1")
    r.hset(K["conf"], "paused", "persona,escrow")
    pipe = r.pipeline(transaction=False)
    for i in range(5000):
        pipe.xadd(K["updates"], {"bot": ("persona", "escrow")[i % 2], "lane": "p%d" % i, "body": "{}"})
    pipe.execute()
    for _ in range(20):
        turn("A~1", want=500, ttl=30000)
    eq(r.zcount(K["due"], "+inf", "+inf"), 5000)
    r.hset(K["conf"], "paused", "escrow")
    got, hands = set(), []
    for _ in range(40):
        a = turn("A~1", done(*hands), want=500, ttl=30000)
        hands = a.entries
        got |= {e.lane for e in hands}
        if len(got) == 2500 and not hands:
            break
        time.sleep(0.05)
    eq(got, {"p%d" % i for i in range(0, 5000, 2)})
    until(lambda: turn("A~1", want=500, ttl=30000) and r.zcount(K["due"], "+inf", "+inf") == 2500, 5)
    eq(r.hget(K["conf"], "parked"), "escrow")
    r.hdel(K["conf"], "paused")
    r.hdel(K["conf"], "parked")  # even so they come back
    got = set()
    hands = []
    for _ in range(40):
        a = turn("A~1", done(*hands), want=500, ttl=30000)
        hands = a.entries
        got |= {e.lane for e in hands}
    eq(len(got), 2500)
    empty()


def test_what_a_worker_cannot_serve_stays_for_others():
    fresh("A~1", "B~1")
    r.heard = "0"
    ids = [add("p%d" % i) for i in range(3)] + [add("p0")]
    other = add("e", bot="escrow")
    a = turn("A~1", except_="ladder,persona")
    eq(a.ids, [other])
    eq(rings(), 1)
    b = turn("B~1", want=2)
    eq((b.ids, [e.again for e in b.entries]), (ids[:2], [0, 0]))
    b2 = turn("B~1", done(*b.entries), want=9, except_="persona")
    eq((b2.ids, b2.due_in), ([], 0))
    eq(rings(), 1)
    b2 = turn("B~1", want=9, except_="persona")
    assert 0 < b2.due_in <= 1000, "looked at again later, not at once: %d" % b2.due_in
    got = []
    until(lambda: got.extend(turn("A~1", want=9, ttl=30000).ids) or len(got) == 2, 3)
    eq(set(got), set(ids[2:]))
    invariant()


def test_a_dead_letters_second_life_is_a_redelivery():
    fresh("A~1")
    i = add("L", again="1", key="k")
    r.hset(K["tries"], i, "0 0 2")
    e = turn("A~1").entries[0]
    eq((e.again, e.retries, e.takeovers, e.sent), (1, 0, 0, 2))
    add("M", again="0")
    eq(turn("A~1").entries[0].again, 0)


def test_dead_letters_name_the_worker():
    fresh("A~1", "Z~1")
    add("L"), add("M"), add("N", bot="")
    e = turn("A~1").entries
    turn("A~1", [("dead", e[0], 0, "no good")])
    r.hset(K["tries"], e[1].id, "0 2 0")
    die("A~1", "Z~1")
    eq([(h["error"], h["worker"]) for h, _ in dead_letters()],
       [("no bot", ""), ("no good", "A~1"), ("killed its worker 3 times", "A~1")])


# ---- what comes in

def test_duplicates():
    fresh("A~1")
    first = add("L1", key="k")
    add("L2", key="k"), add("L1", key="k", bot="ladder")
    a = turn("A~1")
    eq((a.ids, sorted(a.duplicates)), ([first], ["ladder", "persona"]))
    invariant()
    add("L3", key="k")
    a2 = turn("A~1", done(*a.entries))
    eq((a2.ids, a2.duplicates), ([], ["persona"]))
    r.hset(K["conf"], "rotated", now_ms() - 86400001)
    add("L3", key="k")
    eq(turn("A~1").duplicates, ["persona"])  # now in seen_old
    assert r.exists(K["seen_old"]) and not r.exists(K["seen"])
    r.hset(K["conf"], "rotated", now_ms() - 86400001)
    late = add("L3", key="k")
    a3 = turn("A~1")
    eq((a3.ids, a3.duplicates), ([late], []))  # forgotten after two lives
    assert not r.exists(K["seen_old"])
    a4 = add("L4", key=""), add("L5", key="")
    eq(turn("A~1").ids, list(a4))  # an empty key is none
    invariant()


def test_bad_entries_go_aside():
    fresh("A~1")
    raw = lambda *a: r.execute_command("XADD", K["updates"], "*", *a)
    cases = [
        ("no bot", raw("lane", "x", "body", "{}")),
        ("no bot", raw("bot", "", "lane", "x", "body", "{}")),
        ("no body", raw("bot", "persona", "lane", "x")),
        ("no lane", raw("bot", "persona", "body", "{}")),
        ("no lane", raw("bot", "persona", "body", "{}", "lane", "")),
        ("lane is", raw("bot", "persona", "body", "{}", "lane", "x" * 256)),
        ("lane is", raw("bot", "persona", "body", "{}", "lane", "a\x01b")),
        ("lane is", raw("bot", "persona", "body", "{}", "lane", "a\x00")),
        ("lane is", raw("bot", "persona", "body", "{}", "lane", "\x7f")),
        ("lane is", raw("bot", "persona", "body", "{}", "lane", "\xc3\xa4")),
        ("key is", raw("bot", "persona", "body", "{}", "lane", "x", "key", "k" * 256)),
        ("key has", raw("bot", "persona", "body", "{}", "lane", "x", "key", "k\x00")),
        ("no bot", raw("\x00\xff", "\xff" * 300, "", "")),
        ("no bot", raw("bot\x00", "x", "body", "{}", "lane", "x")),
    ]
    good = [raw("bot", "persona", "body", "", "lane", "x" * 255), raw("bot", "b", "body", "\x00\xff", "lane", " ~ a "),
            raw("bot", "b", "body", "\x00", "lane", "y", "key", "k\xff" * 127)]
    a = turn("A~1")
    eq(a.ids, good)
    eq([i for i, _ in a.dead], [i for _, i in cases])
    for (reason, i), (head, _) in zip(cases, dead_letters()):
        assert head["error"].startswith(reason), (head["error"], reason)
        eq((head["id"], head["maybe_applied"]), (i, "0"))
    invariant()
    eq(turn("A~1", done(*a.entries)).fenced, [])
    empty()


def test_thousands_of_fields():
    fresh("A~1")
    many = [x for i in range(6000) for x in ("f%d" % i, "v")]
    first = r.execute_command("XADD", K["updates"], "*", *many, "bot", "persona", "lane", "x", "body", "B", "key", "kk")
    bad = r.execute_command("XADD", K["updates"], "*", *many, "bot", "persona", "lane", "y")
    a = turn("A~1")
    eq((a.ids, [i for i, _ in a.dead]), ([first], [bad]))
    b = turn("A~1", [("dead", a.entries[0], 0, "no")])
    eq([i for i, _ in b.dead], [first])
    fields = dead_letters()[1][1]
    eq({k: v for k, v in zip(fields[0::2], fields[1::2]) if k in ("bot", "lane", "body", "key")},
       {"bot": "persona", "lane": "x", "body": "B", "key": "kk"})  # what a retry needs is there
    empty()


# ---- damage by hand

def test_entries_deleted_by_hand():
    fresh("A~1")
    in_hand, waiting, third = add(), add(), add()
    a = turn("A~1").entries
    due = add("D")
    b = turn("A~1").entries
    turn("A~1", [("later", b[0], 0, "")], want=0)
    unread = add("U")
    r.xdel(K["updates"], in_hand, waiting, due, unread)
    c = turn("A~1")
    eq(c.ids, [])
    d = turn("A~1", done(*a))
    eq((d.ids, d.fenced), ([third], []))
    invariant()
    turn("A~1", done(*d.entries))
    empty()


def test_deleted_by_hand_then_reported_in_every_way():
    fresh("A~1", "B~1")
    ids = [add("L%d" % i) for i in range(4)]
    e = turn("A~1").entries
    r.xdel(K["updates"], *ids)
    a = turn("A~1", [("retry", e[0], 0, "x"), ("dead", e[1], 0, "y"), ("sent", e[2], 1, ""), ("later", e[3], 0, "")])
    eq((a.fenced, [i for i, _ in a.dead]), ([], [ids[1]]))
    kill("A~1")
    until(lambda: turn("B~1").due_in < 0)
    empty()


def test_group_destroyed():
    fresh("A~1", "B~1")
    ids = [add("L"), add("L"), add("M"), add("L")]
    a = turn("A~1")
    eq(a.ids, [ids[0], ids[2]])
    turn("A~1", [("later", a.entries[1], 0, "")], want=0)
    r.xgroup_destroy(K["updates"], "workers")
    r.xgroup_destroy(K["updates"], "bell")
    ids.append(add("L"))
    b = turn("B~1")
    eq(b.ids, [ids[2]])
    invariant()
    c = turn("A~1", done(a.entries[0]), want=0)
    eq(c.fenced, [])
    eq(sorted(turn("B~1", done(*b.entries)).ids), [ids[1]])
    r.xgroup_destroy(K["updates"], "workers")
    e = [Entry([ids[1], ["lane", "L"]])]
    got = []
    while e:
        e = turn("B~1", done(*e)).entries
        got += [x.id for x in e]
    eq(got, [ids[3], ids[4]])
    assert {g["name"] for g in r.xinfo_groups(K["updates"])} == {"workers", "bell"}
    empty()


def test_settled_in_the_turn_that_reads_anew():
    fresh("A~1")
    first, second = add("L"), add("M")
    a = turn("A~1")
    add("M")
    r.xgroup_destroy(K["updates"], "workers")
    b = turn("A~1", [("done", a.entries[0], 0, ""), ("dead", a.entries[1], 0, "x")])
    assert first not in b.ids and second not in b.ids, "handed out again, though settled"
    invariant()
    turn("A~1", done(*b.entries))
    empty()


def test_stream_deleted():
    fresh("A~1", "B~1")
    for i in range(3):
        add("L"), add("M")
    e = turn("A~1").entries
    turn("A~1", [("later", e[1], 0, "")], want=0)
    r.delete(K["updates"])
    a = turn("B~1")
    eq(a.ids, [])
    eq(turn("A~1", done(e[0])).ids, [])
    until(lambda: turn("B~1").due_in < 0)
    empty()
    new = add("L")
    eq(turn("B~1").ids, [new])


def test_everything_deleted():
    fresh("A~1")
    add()
    e = turn("A~1").entries
    r.flushall()
    eq(turn("A~1", done(*e)).word, "gone")
    eq(hello("A~2", ["A~1"], [e[0].id]).kept, [])
    new = add()
    eq(turn("A~2").ids, [new])


# ---- a full Redis

def test_a_full_redis_still_settles():
    fresh("A~1", "B~1")
    for i in range(6):
        add("L%d" % i, key="k%d" % i)
    add("L0", key="last")
    e = turn("A~1").entries
    r.config_set("maxmemory", 1000000)
    try:
        try:
            add()
            raise AssertionError("it is not full")
        except redis.exceptions.ResponseError as full:
            assert "maxmemory" in str(full), full
        a = turn("A~1", [("done", e[0], 0, ""), ("retry", e[1], 0, "x"), ("dead", e[2], 0, "x"), ("sent", e[3], 1, ""),
                         ("later", e[4], 0, "")])
        eq((a.fenced, len(a.entries), len(a.dead)), ([], 1, 1))
        hello("C~1")
        r.config_set("maxmemory", 0)
        kill("A~1")
        r.config_set("maxmemory", 1000000)
        turn("C~1", want=0)
        turn("B~1", mode="leave")
        drain("C~1")
        empty()
    finally:
        r.config_set("maxmemory", 0)


# ---- pause

def test_pause_all():
    fresh("A~1")
    held, due = add("H"), add("D")
    e = turn("A~1").entries
    turn("A~1", [("later", e[1], 0, "")], want=0)
    waiting = add("H")
    turn("A~1", want=0)
    r.hset(K["conf"], "paused", "*")
    unread = add("U")
    time.sleep(0.005)
    a = turn("A~1")
    eq((a.ids, a.short), ([], 1))
    assert a.due_in < 0 or a.due_in >= 100, "no busy loop while paused: %d" % a.due_in
    b = turn("A~1", done(e[0]))  # settling goes on
    eq((b.ids, b.fenced), ([], []))
    invariant()
    r.hdel(K["conf"], "paused")
    eq(sorted(drain("A~1")), sorted([waiting, due, unread]))
    empty()


def test_pause_one_bot():
    fresh("A~1")
    stopped = [add("P", bot="persona"), add("P", bot="persona"), add("Q", bot="persona")]
    e = turn("A~1", want=1).entries
    r.hset(K["conf"], "paused", "ladder,persona")
    free = [add("E", bot="escrow"), add("E2", bot="escro")]
    a = turn("A~1")
    eq(a.ids, free)
    b = turn("A~1", done(*e))
    eq(b.ids, [])
    invariant()
    c = turn("A~1", done(*a.entries))
    eq((c.ids, c.due_in), ([], -1))
    r.hset(K["conf"], "paused", "ladder")
    got = until(lambda: turn("A~1").entries, 4)
    while len(got) < 2:
        got += turn("A~1").entries
    eq(sorted(x.id for x in got), sorted(stopped[1:]))
    eq([x.again for x in got], [0, 0])
    turn("A~1", done(*got))
    empty()


# ---- bounds

def test_one_lane_of_ten_thousand():
    fresh("A~1")
    p = r.pipeline(transaction=False)
    for i in range(10000):
        p.xadd(K["updates"], {"bot": "persona", "lane": "L", "body": "x" * 100})
    p.execute()
    slowest, turns, a, had = 0, 0, None, 0
    while a is None or not a.short:
        began = time.time()
        a = turn("A~1", want=256, ttl=3000)
        slowest = max(slowest, time.time() - began)
        turns += 1
        n = pending()
        assert n - had <= 600, "%d read in one turn" % (n - had)
        had = n
        assert turns < 100
    eq(had, 10000)
    assert slowest < 2, "a turn took %d ms" % (slowest * 1000)
    invariant_counts()
    began = time.time()
    e = Entry([r.hget(K["lanes"], "L").split(" ")[1], ["lane", "L"]])
    last = ""
    for i in range(10000):
        a = turn("A~1", done(e), ttl=3000)
        if i == 9999:
            break
        e = a.entries[0]
        assert int(e.id.split("-")[0]) >= int((last or "0-0").split("-")[0])
        last = e.id
    eq(a.entries, [])
    empty()


def invariant_counts():
    eq((imbalance(), r.xpending(K["updates"], "workers")["pending"]), (0, 0))


def test_many_at_once():
    """More lanes in hand, reports, expired entries than Lua unpacks at once."""
    fresh("A~1")
    hello("B~1", ttl=30000)
    p = r.pipeline(transaction=False)
    for i in range(9000):
        p.xadd(K["updates"], {"bot": "persona", "lane": "L%d" % (i % 4500), "body": "x"})
    p.execute()
    mine = []
    while len(mine) < 4500:
        mine += turn("A~1", want=5000, ttl=30000).entries
    a = None
    while a is None or not a.short:
        a = turn("A~1", want=1, ttl=30000)
    invariant_counts()
    b = turn("A~1", done(*mine), want=3, ttl=30000)
    eq((len(b.entries), b.fenced), (3, []))
    invariant_counts()
    kill("A~1")
    turn("B~1", want=0, ttl=30000)
    invariant()
    n, hands, end = 0, [], time.time() + 10
    while n < 4500:
        c = turn("B~1", done(*hands), want=5000, ttl=30000)
        hands = c.entries
        n += len(hands)
        assert time.time() < end, "only %d came" % n
    turn("B~1", done(*hands), mode="leave")
    empty()


def test_large_bodies_do_not_come_all_at_once():
    fresh("A~1")
    body = "x" * 900000
    for i in range(40):
        add("L%d" % i, body=body)
    got, largest = [], 0
    while len(got) < 40:
        e = turn("A~1", want=256, ttl=30000).entries
        got += e
        largest = max(largest, sum(len(x.fields["body"]) for x in e))
        time.sleep(0.001)
    assert largest <= 4 << 20, "one answer of %d bytes" % largest
    eq(len({e.id for e in got}), 40)
    turn("A~1", done(*got), ttl=30000)
    empty()


def test_due_takes_at_most_half():
    fresh("A~1")
    for i in range(20):
        add("D%d" % i)
    e = turn("A~1", want=20).entries
    turn("A~1", [("later", x, 0, "") for x in e], want=0)
    for i in range(20):
        add("U%d" % i)
    time.sleep(0.003)
    a = turn("A~1", want=8)
    eq(sorted(x.lane[0] for x in a.entries), list("DDDDUUUU"))
    b = turn("A~1", want=40)
    eq(len(b.entries), 32)
    eq(b.short, 1)


# ---- the rest

def test_again_tells_whether_it_was_ever_handed_out():
    fresh("A~1", "B~1")
    first, second = add(), add()
    e = turn("A~1").entries
    turn("A~1", done(*e), want=0)
    r.hset(K["conf"], "paused", "persona")
    add("M")
    turn("B~1"), turn("B~1", mode="leave")
    r.hdel(K["conf"], "paused")
    hello("C~1")
    got = []
    while len(got) < 2:
        got += until(lambda: turn("C~1").entries, 4)
    eq([x.again for x in got], [0, 0])
    hello("C~2", ["C~1"])  # an answer that was lost counts as handed out
    got = until(lambda: turn("C~2").entries)
    eq({x.again for x in got}, {1})


def test_version_mismatch_does_nothing():
    fresh("A~1")
    first = add()
    e = turn("A~1").entries
    keys = {k: r.type(k) for k in K.values() if r.exists(k)}
    deadline = r.zscore(K["workers"], "A~1")
    for more in ({"fmt": "2"}, {"shard": "0/2"}, {"shard": "1/2"}):
        a = turn("A~1", done(*e), **more)
        eq(a.raw, ["version", "1", "0/1"])
        eq(hello("X~1", **more).raw, ["version", "1", "0/1"])
    eq(r.zscore(K["workers"], "A~1"), deadline)
    eq(r.zscore(K["workers"], "X~1"), None)
    eq({k: r.type(k) for k in K.values() if r.exists(k)}, keys)
    eq(r.xlen(K["updates"]), 1)
    eq(turn("A~1", done(*e)).fenced, [])


def test_reports_out_of_shape_do_not_raise():
    fresh("A~1")
    first = add()
    e = turn("A~1").entries[0]
    for dones in (["x"], ["-1"], ["1.5", e.id, e.lane], ["1"], ["1", e.id], ["9" * 400, e.id, e.lane], ["2", e.id, e.id, e.lane]):
        eq(turn("A~1", args=dones).word, "ok")
        eq(r.xlen(K["updates"]), 1)
    eq(turn("A~1", args=["0", "later", e.id, e.lane, "0"]).word, "ok")
    eq(turn("A~1", args=["0", "later", e.id, e.lane, "x", "", "later"], want=0).word, "ok")
    eq(until(lambda: turn("A~1").ids), [first])


def test_the_bell_rings_for_what_comes_after():
    fresh("A~1")
    listen = lambda: r.execute_command("XREADGROUP", "GROUP", "bell", "w", "COUNT", 1, "BLOCK", 1, "NOACK", "STREAMS",
                                       K["updates"], ">")
    add("L1"), add("L2"), add("L3")
    assert turn("A~1", want=1).short == 0
    assert listen(), "there is more to read: it rings"
    assert turn("A~1", want=5).short == 1
    assert not listen(), "all is read: silence"
    add("L4")
    assert listen()


def main():
    global r, sha
    only = sys.argv[2:]
    where = tempfile.mkdtemp(prefix="shoal-turn-")
    sock = os.path.join(where, "s")
    server = subprocess.Popen([lib.REDIS_SERVER, "--port", "0", "--unixsocket", sock, "--save", "", "--appendonly", "no",
                               "--dir", where], stdout=subprocess.DEVNULL)
    failed = 0
    try:
        r = redis.Redis(unix_socket_path=sock, encoding="latin-1", decode_responses=True)
        for _ in range(500):
            try:
                r.ping()
                break
            except redis.exceptions.ConnectionError:
                time.sleep(0.02)
        sha = r.script_load(SCRIPT.encode("latin-1"))
        for name, fn in list(globals().items()):
            if not name.startswith("test_") or (only and name not in only):
                continue
            try:
                fn()
                print("ok " + name)
            except Exception as e:  # a test fails by whatever it meets
                import traceback
                tb = traceback.extract_tb(e.__traceback__)
                print("# line %s: %s: %s" % ([t.lineno for t in tb if t.filename == __file__], type(e).__name__, e))
                print("not ok " + name)
                failed += 1
            sys.stdout.flush()
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(where, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
