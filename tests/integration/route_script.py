#!/usr/bin/python3
"""lua/route.lua and lua/route_word.lua against a real Redis, with a clock of the test's own: no test waits.

    route_script.py [ANYTHING [TEST...]]
"""
import heapq
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import script_rig as rig  # noqa: E402

GO, EMPTY, FIRST = range(3)
ROUTES = "shoal:{cache}:flood:b:routes"
eq = rig.eq


class Answer:
    def __init__(self, raw):
        self.what, self.ms = raw

    def __repr__(self):
        return "(%s, %d ms)" % ("go empty first".split()[self.what], self.ms)


def buckets(chat):
    return "shoal:{cache}:flood:b:%d:buckets" % chat


def ask(chat=1, route="post", kind="new", longest=2000):
    return Answer(rig.run("route.lua", 2, ROUTES, buckets(chat), route, kind, longest))


def told(left, reset, chat=1, route="post", bucket="abc", limit=5):
    """An answer of the platform; reset in s."""
    return rig.run("route_word.lua", 2, ROUTES, buckets(chat), route, bucket, limit, left, int(reset * 1000))


def is_what(answer, what, ms=None, slack=1):
    assert answer.what == what and (ms is None or abs(answer.ms - ms) <= slack), "%r, want %d, %s ms" % (
        answer, what, ms)


class Platform:
    """Counts as Discord does: so many in a window, which the first call opens."""

    def __init__(self, limit=5, window=5.0):
        self.limit, self.window, self.ends, self.left, self.refused = limit, int(window * 1e6), {}, {}, 0

    def call(self, chat, at):
        """-> (left, reset in s) as told, or None for a 429"""
        if at >= self.ends.get(chat, 0):
            self.ends[chat], self.left[chat] = at + self.window, self.limit
        if self.left[chat] == 0:
            self.refused += 1
            return None
        self.left[chat] -= 1
        return self.left[chat], (self.ends[chat] - at) / 1e6


# ---- what is not known

def test_one_learns_for_all():
    rig.fresh()
    is_what(ask(), GO, 0)
    for _ in range(3):
        is_what(ask(), FIRST)
    is_what(ask(chat=2), GO)  # another chat's is another bucket
    told(4, 5)
    for _ in range(4):
        is_what(ask(), GO)
    is_what(ask(), EMPTY, 5000)


def test_a_new_chat_need_not_learn():
    rig.fresh()
    ask(chat=1)
    told(4, 5, chat=1)
    for _ in range(5):
        is_what(ask(chat=2), GO)
    is_what(ask(chat=2), FIRST)  # when they are there again only an answer can tell


def test_the_one_that_learns_is_lost():
    rig.fresh()
    is_what(ask(), GO)
    is_what(ask(), FIRST, 5000)
    rig.after(4.9)
    is_what(ask(), FIRST, 100)
    rig.after(0.2)
    is_what(ask(), GO)
    is_what(ask(), FIRST, 5000)


def test_the_one_that_learns_is_lost_beside_a_bucket_that_lasts():
    rig.fresh()
    ask(route="edit")
    told(0, 60, route="edit", bucket="e")
    is_what(ask(), GO)
    rig.after(4.9)
    is_what(ask(), FIRST, 100)
    rig.after(0.2)
    is_what(ask(), GO)


def test_answers_that_name_no_bucket():
    rig.fresh()
    ask()
    told(0, 0, bucket="", limit=0)
    for chat in (1, 1, 1, 2, 3):
        is_what(ask(chat=chat), GO)
    rig.after(61)
    is_what(ask(), GO)
    is_what(ask(), FIRST)  # it may have changed its mind
    told(4, 5)
    is_what(ask(), GO)
    told(0, 0, bucket="", limit=0)  # a failure, say, in the middle of it
    for _ in range(3):
        is_what(ask(), GO)
    is_what(ask(), EMPTY, 5000)


def test_routes_of_one_bucket():
    rig.fresh()
    ask(route="post")
    ask(route="edit")
    told(4, 5, route="post", bucket="both")
    told(3, 5, route="edit", bucket="both")
    for route in ("post", "edit", "post"):
        is_what(ask(route=route), GO)
    is_what(ask(route="post"), EMPTY, 5000)
    is_what(ask(route="edit"), EMPTY, 6000)  # behind the other


def test_routes_of_their_own():
    rig.fresh()
    ask(route="post")
    ask(route="edit")
    told(0, 5, route="post", bucket="a")
    told(4, 5, route="edit", bucket="b")
    is_what(ask(route="post"), EMPTY, 5000)
    is_what(ask(route="edit"), GO)


# ---- what is known

def test_empty_until_its_time_and_not_longer():
    rig.fresh()
    ask()
    told(0, 2.5)
    is_what(ask(), EMPTY, 2500)
    rig.after(2.49)
    is_what(ask(kind="back"), EMPTY)
    rig.after(0.02)
    for _ in range(5):
        is_what(ask(kind="back"), GO)
    is_what(ask(kind="back"), FIRST)


def test_others_use_it_up_too():
    """Another program with the same token: what the platform says is left counts."""
    rig.fresh()
    ask()
    told(1, 5)
    is_what(ask(), GO)
    is_what(ask(), EMPTY)


def test_answers_that_overtake():
    rig.fresh()
    ask()
    told(4, 5)
    ask(), ask(), ask()
    told(1, 5)
    told(3, 5)
    told(2, 5)
    is_what(ask(), GO)
    is_what(ask(), EMPTY)


def test_the_latest_end_that_was_told_counts():
    rig.fresh()
    ask()
    told(4, 5)
    for _ in range(4):
        ask()
    told(1, 5)
    told(0, 4.6)  # its answer took less time
    is_what(ask(), EMPTY, 5000)


def test_less_is_counted_than_went_out():
    """A call that never arrived: with none on its way the platform's number is the truth."""
    rig.fresh()
    ask()
    told(4, 5)
    ask(), ask()  # one of them is lost, and its answer never comes
    told(3, 5)
    for _ in range(2):
        is_what(ask(), GO)
    is_what(ask(), EMPTY)
    rig.after(5.01)
    ask(kind="back")
    told(4, 5)
    for _ in range(4):
        is_what(ask(kind="back"), GO)


def test_another_limit():
    rig.fresh()
    ask()
    told(4, 5)
    rig.after(5.1)
    ask()
    told(0, 1, limit=1)
    is_what(ask(), EMPTY, 1000)
    rig.after(1.01)
    is_what(ask(kind="back"), GO)
    is_what(ask(kind="back"), FIRST)


def test_another_bucket():
    rig.fresh()
    ask()
    told(0, 60, bucket="old")
    told(4, 5, bucket="new")
    is_what(ask(), GO)


# ---- the line

def test_a_crowd_comes_one_after_the_other():
    rig.fresh()
    ask()
    told(0, 5)
    waits = [ask().ms for _ in range(20)]
    eq(waits[:3], [5000, 6000, 7000])
    eq(waits[19], 24000)


def test_the_line_has_an_end():
    rig.fresh()
    ask()
    told(0, 5)
    assert max(ask().ms for _ in range(500)) <= 60000


def test_new_ones_do_not_push_in():
    rig.fresh()
    ask()
    told(0, 5)
    for _ in range(12):
        ask()
    rig.after(5.01)
    is_what(ask(kind="new"), EMPTY, 11990, 30)
    for _ in range(5):
        is_what(ask(kind="back"), GO)


def simulate(chats, messages, latency, seed, platform):
    """Messages for some chats, all at once; the call reaches the platform after a while, and so does its answer."""
    rng = random.Random(seed)
    rig.fresh()
    events, n = [], 0  # (time, number, what, ...)
    done, asked = {}, 0

    def at(when, *event):
        nonlocal n
        n += 1
        heapq.heappush(events, (when, n) + event)
    for chat, count in zip(chats, messages):
        for _ in range(count):
            at(rig.now() + rng.randrange(1000000), "ask", chat, "new")
    while events:
        when, _, what, chat, *rest = heapq.heappop(events)
        rig.set_clock(max(when, rig.now()))
        if what == "ask":
            a = ask(chat=chat, kind=rest[0])
            asked += 1
            if a.what == GO:
                at(when + rng.randrange(latency), "call", chat)
            else:
                at(when + a.ms * 1000 + (0 if a.what == EMPTY else -a.ms * 1000 + 100000), "ask", chat, "back")
        elif what == "call":
            answer = platform.call(chat, when)
            if answer is None:
                at(when + 1000000, "ask", chat, "back")
            else:
                done.setdefault(chat, []).append(when)
                at(when + rng.randrange(latency), "told", chat, *answer)
        else:
            told(rest[0], rest[1], chat=chat, limit=platform.limit)
    return done, asked


def test_against_a_platform():
    """No 429 while only we use the buckets, and little of them is left unused."""
    for seed in range(3):
        platform = Platform()
        done, asked = simulate([1, 2, 3], [40, 10, 1], 60000, seed, platform)
        eq(platform.refused, 0)
        eq({c: len(t) for c, t in done.items()}, {1: 40, 2: 10, 3: 1})
        took = {c: (max(t) - min(t)) / 1e6 for c, t in done.items()}
        assert 34 < took[1] < 42, took  # 40 at 5 in 5 s
        assert took[2] < 13, took  # nobody waits for another chat
        assert asked < 3 * 51, asked


def test_a_crowd_beyond_the_line():
    platform = Platform(limit=10, window=1.0)
    done, asked = simulate([1], [1500], 60000, 1, platform)
    eq((platform.refused, len(done[1])), (0, 1500))
    assert (max(done[1]) - min(done[1])) / 1e6 < 190
    assert asked < 6 * 1500, asked


# ---- the clock, and rubbish

def test_the_clock_steps_back():
    rig.fresh()
    ask()
    told(0, 5)
    rig.after(-3600)
    is_what(ask(), GO)  # a window that ends in an hour is none
    told(0, 5)
    is_what(ask(), EMPTY, 5000, 1500)


def test_the_clock_steps_back_while_it_is_learned():
    rig.fresh()
    ask()
    rig.after(-3600)
    is_what(ask(), GO)


def test_the_clock_steps_forward():
    rig.fresh()
    ask()
    told(0, 5)
    for _ in range(30):
        ask()
    rig.after(3600)
    is_what(ask(), GO)


def test_rubbish_in_a_key_is_no_limit():
    rig.fresh()
    rig.r.hset(ROUTES, mapping={"post": "x"})
    rig.r.hset(buckets(1), mapping={"post": "1 2", "abc": "soon"})
    rig.r.pexpire(ROUTES, 1000), rig.r.pexpire(buckets(1), 1000)
    is_what(ask(), GO)
    told(0, 5)
    is_what(ask(), EMPTY, 5000)


def test_nothing_stays():
    rig.fresh()
    for chat in range(5):
        ask(chat=chat)
        told(0, 5, chat=chat)
        ask(chat=chat)
    rig.after(86401)
    eq(rig.r.keys("shoal:*"), [])


if __name__ == "__main__":
    sys.exit(rig.main(globals(), "route.lua", "route_word.lua"))
