#!/usr/bin/python3
"""lua/flood.lua, lua/flood_word.lua and lua/admit.lua against a real Redis, with a clock of the test's own: no test waits.

    flood_script.py [ANYTHING [TEST...]]
"""
import heapq
import glob
import itertools
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import script_rig as rig  # noqa: E402
from lib import wait_for  # noqa: E402
from script_rig import after, eq, fresh  # noqa: E402

AGAIN, BOOKED, TEST, DOUBT, CHAT, BOT = range(6)
BUCKET, STATE = "shoal:{cache}:flood:b", "shoal:{cache}:flood:b:state"
SOON = ["shoal:{cache}:soon:0", "shoal:{cache}:soon:1"]
OFF = (0, 1)


class Answer:
    def __init__(self, raw):
        self.what, self.ms, self.doubt = (raw, 0, "") if raw == BOOKED else raw

    def __repr__(self):
        return "(%s, %d ms, %r)" % ("again booked test doubt chat bot".split()[self.what], self.ms, self.doubt)


def ask_together(chats, bot=OFF, per_chat=OFF, kind="new", longest=2000):
    """The answers, in the order of the chats."""
    keys = [BUCKET, STATE, *SOON]
    words = [n for limit in (bot, per_chat, OFF) for n in (limit[0], int(limit[1] * 1000))]
    for chat in chats:
        keys.append("%s:%d" % (BUCKET, chat))
        words.append("%sc%d" % ({"new": "n", "back": "b", "booked": "h", "ahead": "a"}[kind], longest))
    keys += ["%s:%d:block" % (BUCKET, chat) for chat in chats]
    return [Answer(raw) for raw in rig.run("flood.lua", len(keys), *keys, *words)]


def ask(chat=1, **more):
    return ask_together([chat], **more)[0]


def word(what, chat=1, seconds=1.0, doubt=""):
    return rig.run("flood_word.lua", 2, STATE, "%s:%d:block" % (BUCKET, chat), what, chat, int(seconds * 1000), doubt)


def is_what(answer, what, ms=None, slack=1):
    assert answer.what == what and (ms is None or abs(answer.ms - ms) <= slack), "%r, want %d, %s ms" % (
        answer, what, ms)


# ---- 429

def test_nothing_is_written_without_limits():
    fresh()
    is_what(ask(), BOOKED, 0)
    eq(rig.r.keys("shoal:*"), [])


def calls_of(what):
    """The commands of a script but those of the test's clock."""
    before = rig.r.info("commandstats")
    what()
    calls = {k[8:]: v["calls"] - before.get(k, {"calls": 0})["calls"] for k, v in rig.r.info("commandstats").items()}
    return {k: n for k, n in calls.items() if n and k not in ("hget", "evalsha", "info")}


def test_cost_without_a_429():
    """Of eight as of one: blocks and buckets, the bot's state, what ends soon read, of the span before for half of the time, and written."""
    for chats in [1], range(8):
        fresh()
        ask_together([99], per_chat=(20, 20))
        cost = calls_of(lambda: ask_together(chats, per_chat=(20, 20)))
        eq(cost, {"mget": 1, "hmget": 3, "hset": 1})
        after(2.01)
        eq(calls_of(lambda: ask_together(chats, per_chat=(20, 20)))["hmget"], 2)
        eq(calls_of(lambda: ask_together(chats, per_chat=(20, 20), kind="booked")), {"mget": 1, "hmget": 1})
        rig.r.hset(STATE, mapping={"from": rig.now(), "till": rig.now() + 5000000})
        eq(calls_of(lambda: ask_together(chats, per_chat=(20, 20))), {"mget": 1, "hmget": 1})


def test_together_is_as_one_after_the_other():
    """Random questions, asked together and one by one on a state of the same history."""
    for seed in range(60):
        said = []
        for together in (True, False):
            chance, answers = random.Random(seed), []
            fresh()
            for _ in range(12):
                if chance.random() < 0.3:
                    word(chance.choice(["chat", "only", "bot"]), chance.randint(1, 4), chance.choice([0.2, 2, 40]))
                chats = [chance.randint(1, 4) for _ in range(chance.randint(1, 6))]
                how = {"bot": chance.choice([OFF, (3, 1)]), "per_chat": chance.choice([OFF, (2, 1)]),
                       "kind": chance.choice(["new", "back", "booked", "ahead"]), "longest": chance.choice([0, 500, 2000])}
                answers += ask_together(chats, **how) if together else [ask(c, **how) for c in chats]
                after(chance.choice([0, 0.05, 1]))
            said.append(repr(answers))
        eq(said[0], said[1])


def all_that_is_kept():
    return {k: rig.r.hgetall(k) if rig.r.type(k) in ("hash", b"hash") else rig.r.get(k) for k in rig.r.keys("shoal:*")}


def test_ahead_of_its_time_a_message_goes_at_once_or_leaves_no_trace():
    limits = {"bot": (300, 100), "per_chat": (2, 10)}

    def refused(what):
        before = all_that_is_kept()
        is_what(ask(kind="ahead", longest=0, **limits), what)
        eq(all_that_is_kept(), before)
    fresh()
    for _ in range(2):
        is_what(ask(kind="ahead", longest=0, **limits), BOOKED, 0)
    refused(AGAIN)
    is_what(ask(**limits, longest=0), AGAIN, 5000)  # who asks now is told when to come; it was no place of the refused one
    is_what(ask(2, **limits), BOOKED, 0)
    refused(AGAIN)
    after(5)
    refused(AGAIN)  # there is a place again, but it is promised
    after(20)
    is_what(ask(kind="ahead", longest=0, **limits), BOOKED, 0)
    word("only", seconds=5)
    refused(CHAT)
    fresh()
    word("chat", 2, 30)
    refused(AGAIN)  # a test is for who can tell how it ended
    is_what(ask(1), TEST)
    refused(DOUBT)
    fresh()
    word("bot", 0, 5)
    refused(BOT)


def test_a_chat_that_is_limited_holds_up_no_other():
    fresh()
    word("chat", 1, 30)
    is_what(ask(1), CHAT, 30000)
    test = ask(2)
    is_what(test, TEST, 0)
    is_what(ask(3), DOUBT)  # one is enough
    is_what(ask(1), CHAT, 30000)
    after(0.05)
    eq(word("well", doubt=test.doubt), 1)
    is_what(ask(3), BOOKED, 0)
    is_what(ask(2), BOOKED, 0)
    is_what(ask(1), CHAT, 29950)
    after(29.9)
    is_what(ask(1), CHAT, 50)
    after(0.06)
    is_what(ask(1), BOOKED, 0)
    eq(rig.r.keys("shoal:*"), [])


def test_the_whole_bot():
    fresh()
    word("chat", 1, 3)
    test = ask(2)
    is_what(test, TEST)
    after(0.1)
    word("chat", 2, 3, test.doubt)
    for chat in (1, 2, 3):
        is_what(ask(chat), BOT, 3000)
    after(2.9)
    is_what(ask(3), BOT, 100)
    after(0.11)
    again = ask(3)  # is it over? one asks for all
    is_what(again, TEST)
    is_what(ask(4), DOUBT)
    eq(word("well", doubt=again.doubt), 1)
    is_what(ask(4), BOOKED, 0)
    after(0.6)
    eq(rig.r.keys("shoal:*"), [])


def test_the_whole_bot_still():
    fresh()
    word("chat", 1, 3)
    word("chat", 2, 3, ask(2).doubt)
    after(3.01)
    for n in range(5):  # one may have a limit of its own; two that shall wait until the same moment have not
        test = ask(10 * n)
        is_what(test, TEST)
        word("chat", 10 * n, 7, test.doubt)
        test = ask(10 * n + 1)
        is_what(test, TEST)
        is_what(ask(10 * n + 2), DOUBT)
        word("chat", 10 * n + 1, 7, test.doubt)
        is_what(ask(10 * n + 2), BOT, 7000)
        after(7.01)


def test_a_test_that_meets_a_limit_of_its_own_decides_nothing():
    fresh()
    word("chat", 1, 30)
    test = ask(2)
    word("chat", 2, 5, test.doubt)
    is_what(ask(2), CHAT, 5000)
    test = ask(3)
    is_what(test, TEST)
    is_what(ask(4), DOUBT)
    word("well", doubt=test.doubt)
    is_what(ask(4), BOOKED, 0)


def test_a_long_block_needs_more_proof():
    fresh()
    word("chat", 1, 86400)
    word("chat", 2, 86400, ask(2).doubt)
    test = ask(3)
    is_what(test, TEST)
    word("chat", 3, 86400, test.doubt)
    is_what(ask(4), BOT, 86400000)


def test_refused_whoever_it_is():
    """Each is told another time, but nobody gets through."""
    fresh()
    word("chat", 1, 10)
    for n in range(4):
        test = ask(2 + n)
        is_what(test, TEST)
        word("chat", 2 + n, 20 + 10 * n, test.doubt)
    is_what(ask(9), BOT, 50000)


def test_calls_that_were_on_their_way_decide_nothing():
    fresh()
    word("chat", 1, 30)
    word("chat", 2, 40)  # a limit of its own, told at the same moment
    is_what(ask(1), CHAT, 30000)
    is_what(ask(2), CHAT, 40000)
    test = ask(3)
    is_what(test, TEST)
    word("well", doubt=test.doubt)
    is_what(ask(4), BOOKED, 0)
    is_what(ask(2), CHAT, 40000)


def test_a_test_that_tells_nothing_makes_way_for_another():
    fresh()
    word("chat", 1, 30)
    test = ask(2)
    is_what(ask(3), DOUBT)
    word("void", doubt=test.doubt)
    is_what(ask(3), TEST)


def test_a_test_whose_worker_died_makes_way():
    fresh()
    word("chat", 1, 30)
    is_what(ask(2), TEST)
    is_what(ask(3), DOUBT, 3000)
    after(3.01)
    is_what(ask(3), TEST)
    after(3.01)
    is_what(ask(4), TEST)
    after(4.1)  # nothing was learnt for 10 s
    is_what(ask(5), BOOKED, 0)
    is_what(ask(1), CHAT)


def test_a_late_answer_of_an_old_test_decides_nothing():
    fresh()
    word("chat", 1, 1)
    old = ask(2)
    after(10.1)
    is_what(ask(3), BOOKED, 0)
    word("chat", 1, 5)
    eq(word("well", doubt=old.doubt), 0)
    is_what(ask(3), TEST)  # still in doubt
    word("chat", 2, 5, old.doubt)
    is_what(ask(4), DOUBT)


def test_a_success_does_not_lift_a_block():
    fresh()
    word("chat", 1, 3)
    first = ask(2)
    after(3.1)
    second = ask(3)  # the first test hangs
    is_what(second, TEST)
    word("chat", 9, 20)
    word("chat", 3, 20, second.doubt)
    eq(word("well", doubt=first.doubt), 0)
    is_what(ask(4), BOT, 20000)


def test_many_chats_with_limits_of_their_own_do_not_stop_the_bot():
    fresh()
    held, tests = 0, 0
    for n in range(200):  # a 429 for another chat every 20 ms; a call takes 40 ms
        word("chat", n, 10 + n % 7 * 10)
        a = ask(10000 + n)
        if a.what == TEST:
            tests += 1
            after(0.02)
            held += ask(20000 + n).what == DOUBT
            after(0.02)
            word("well", doubt=a.doubt)
        else:
            is_what(a, BOOKED, 0)
            after(0.02)
    assert 2 <= tests <= 12 and held <= tests, (tests, held)


def test_just_cleared_and_then_the_whole_bot():
    fresh()
    word("chat", 1, 30)
    word("well", doubt=ask(2).doubt)
    word("chat", 3, 5)
    is_what(ask(9), BOOKED, 0)  # one chat more
    word("chat", 4, 5)          # until the same moment as the other: that is no accident
    test = ask(9)
    is_what(test, TEST)
    word("chat", 9, 5, test.doubt)
    is_what(ask(10), BOT, 5000)


def test_a_later_word_for_a_chat_makes_no_block_shorter():
    fresh()
    word("chat", 1, 30)
    word("chat", 1, 2)
    is_what(ask(1), CHAT, 30000)
    word("chat", 1, 50)
    is_what(ask(1), CHAT, 50000)


def test_a_call_to_no_chat():
    fresh()
    word("chat", 0, 5)
    eq(rig.r.exists(BUCKET + ":0:block"), 0)
    is_what(ask(1), TEST)


def test_what_is_said_of_the_bot_itself():
    fresh()
    word("bot", 0, 5)
    is_what(ask(1), BOT, 5000)
    word("bot", 0, 2)
    is_what(ask(1), BOT, 5000)


def test_a_chat_that_is_said_to_be_limited_raises_no_doubt():
    fresh()
    word("only", chat=1, seconds=5)
    is_what(ask(chat=1), CHAT, 5000)
    is_what(ask(chat=2), BOOKED, 0)
    word("only", chat=2, seconds=5)
    is_what(ask(chat=3), BOOKED, 0)
    after(6)
    is_what(ask(chat=1), BOOKED, 0)
    fresh()
    word("chat", chat=1, seconds=5)
    test = ask(chat=2)
    is_what(test, TEST)
    word("only", chat=2, seconds=5, doubt=test.doubt)
    is_what(ask(chat=2), CHAT, 5000)
    is_what(ask(chat=3), TEST)


def test_a_day():
    fresh()
    word("chat", 1, 86400)
    word("well", doubt=ask(2).doubt)
    after(86000)
    is_what(ask(1), CHAT, 400000)
    is_what(ask(2), BOOKED, 0)


# ---- the budget

def test_a_burst_then_the_rate():
    fresh()
    for n in range(20):
        is_what(ask(per_chat=(20, 20)), BOOKED, 0)
    is_what(ask(per_chat=(20, 20)), BOOKED, 1000)
    is_what(ask(per_chat=(20, 20)), BOOKED, 2000)
    is_what(ask(per_chat=(20, 20)), AGAIN, 3000)
    is_what(ask(2, per_chat=(20, 20)), BOOKED, 0)
    after(1)
    is_what(ask(kind="booked"), BOOKED, 0)


def test_a_chat_counts_from_when_it_is_sent():
    """Held up by the bot, a message takes its place in the chat's bucket when it leaves, not when it asks."""
    fresh()
    limits = dict(bot=(1, 1), per_chat=(1, 2))
    is_what(ask(1, **limits), BOOKED, 0)
    is_what(ask(2, **limits), BOOKED, 1000)  # chat 2 is free, the bot is not
    after(1)
    is_what(ask(2, kind="booked", **limits), BOOKED, 0)
    after(1)  # the bot is free; chat 2 is not before 2 s after its message
    is_what(ask(2, **limits), BOOKED, 1000)


def test_a_busy_chat_takes_nothing_from_idle_ones():
    """It waits for itself: what the bot may send meanwhile is the others'."""
    fresh()
    limits = dict(bot=(30, 1), per_chat=(1, 1))
    for wait in (0, 1000, 2000):
        is_what(ask(1, **limits), BOOKED, wait)
    for chat in range(2, 12):
        is_what(ask(chat, **limits), BOOKED, 0)
    for chat in range(12, 29):  # 3 + 10 + 17 are the bot's 30
        is_what(ask(chat, **limits), BOOKED, 0)
    is_what(ask(29, **limits), BOOKED, 34)


def test_booked_ones_are_stopped_by_a_429_too():
    fresh()
    for n in range(20):
        ask(per_chat=(20, 20))
    is_what(ask(per_chat=(20, 20)), BOOKED, 1000)
    word("chat", 1, 30)
    is_what(ask(per_chat=(20, 20), kind="booked"), CHAT, 30000)
    is_what(ask(2, per_chat=(20, 20), kind="booked"), TEST)


def test_who_is_refused_takes_nothing():
    fresh()
    for n in range(20):
        ask(1, per_chat=(20, 20))
    for n in range(50):
        is_what(ask(1, bot=(30, 1), per_chat=(20, 20), longest=0), AGAIN)
    for n in range(30):
        is_what(ask(2 + n, bot=(30, 1)), BOOKED, 0)
    is_what(ask(99, bot=(30, 1)), BOOKED, 34)


def test_who_dies_costs_one_place():
    fresh()
    for n in range(20):
        ask(1, per_chat=(20, 20))
    is_what(ask(1, per_chat=(20, 20)), BOOKED, 1000)  # and dies
    after(2)
    is_what(ask(1, per_chat=(20, 20)), BOOKED, 0)


def rate_holds(sent, limit, window):
    """GCRA: in any time t not more than limit + t / window * limit."""
    for i in range(len(sent)):
        for j in range(i, min(i + 3 * limit, len(sent))):
            most = limit + (sent[j] - sent[i]) / 1e6 * limit / window + 1e-3
            assert j - i + 1 <= most, "%d in %d us" % (j - i + 1, sent[j] - sent[i])


def crowd(messages, limit, seed=1, arrive=0.0):
    """All want to go out through one bot: each asks, comes back when told. -> when each was sent, how often each asked."""
    rng = random.Random(seed)
    queue = [(rig.now() + int(n * arrive * 1e6), n, n, "new") for n in range(messages)]
    heapq.heapify(queue)
    sent, asked, turn = {}, [0] * messages, messages
    while queue:
        at, _, n, kind = heapq.heappop(queue)
        if at > rig.now():
            rig.set_clock(at)
        a = ask(n, bot=limit, kind=kind)
        asked[n] += 1
        turn += 1
        if a.what == BOOKED and a.ms == 0:
            sent[n] = rig.now()
        elif a.what == BOOKED:
            asked[n] -= 1
            heapq.heappush(queue, (rig.now() + a.ms * 1000, turn, n, "booked"))
        else:
            jitter = rng.randrange(a.ms // 16 + 10)
            heapq.heappush(queue, (rig.now() + (a.ms + jitter) * 1000, turn, n, "back"))
    return sent, asked


def test_a_crowd_is_told_to_come_one_by_one():
    fresh()
    start = rig.now()
    sent, asked = crowd(1500, (30, 1))
    rate_holds(sorted(sent.values()), 30, 1)
    took = (max(sent.values()) - start) / 1e6
    assert 48 < took < 55, "%.1f s for 1500 messages at 30 a second" % took
    assert sum(asked) < 2.1 * 1500 and max(asked) <= 4, (sum(asked), max(asked))


def test_a_crowd_beyond_the_line():
    fresh()
    start = rig.now()
    sent, asked = crowd(4000, (30, 1))
    rate_holds(sorted(sent.values()), 30, 1)
    took = (max(sent.values()) - start) / 1e6
    assert took < 200, took
    assert sum(asked) < 4 * 4000, sum(asked)


def test_new_ones_do_not_push_in():
    fresh()
    start = rig.now()
    sent, asked = crowd(1200, (30, 1), arrive=1 / 60)  # twice what may go out, for 20 s
    rate_holds(sorted(sent.values()), 30, 1)
    late = [sent[n] - start - n * 1e6 / 60 for n in range(1200)]  # how long each waited
    # the line grows as they come: a message of the middle waits about half as long as the last
    assert late[600] < 0.75 * max(late), (late[600], max(late))
    assert (max(sent.values()) - start) / 1e6 < 46


# ---- the clock

def test_the_clock_steps_back():
    fresh()
    for n in range(20):
        ask(1, per_chat=(20, 20))
    ask(1, bot=(30, 1), per_chat=(20, 20), longest=0)
    word("chat", 5, 30)
    word("chat", 6, 30, ask(6).doubt)
    is_what(ask(7), BOT, 30000)
    after(-3600)
    is_what(ask(7), BOT, 30000)  # what was left is not known: not longer than was said
    after(10)
    is_what(ask(7), BOT, 20000)
    after(20.01)
    is_what(ask(5), CHAT, 30000)
    test = ask(7)
    is_what(test, TEST)
    eq(word("well", doubt=test.doubt), 1)
    is_what(ask(8), BOOKED, 0)
    a = ask(1, per_chat=(20, 20), longest=2000)
    assert a.what in (BOOKED, AGAIN) and a.ms <= 3000, a
    after(31)
    is_what(ask(1, per_chat=(20, 20)), BOOKED, 0)
    is_what(ask(5), BOOKED, 0)


def test_the_clock_steps_back_in_a_doubt():
    fresh()
    word("chat", 1, 30)
    ask(2)
    after(-3600)
    is_what(ask(3), BOOKED, 0)  # a doubt of the future is none
    is_what(ask(1), CHAT, 30000)


def test_the_clock_steps_forward():
    fresh()
    for n in range(20):
        ask(1, per_chat=(20, 20))
    word("chat", 1, 30)
    after(3600)
    is_what(ask(1, per_chat=(20, 20)), BOOKED, 0)  # the platform says so again if it must
    eq([k for k in rig.r.keys("shoal:*") if "block" in k or "state" in k], [])


def test_a_line_of_the_future_is_not_believed():
    fresh()
    far = rig.now() + 86400 * 1000000
    rig.r.set(BUCKET, "%d %d" % (far, far), px=86400000)
    a = ask(1, bot=(30, 1))
    is_what(a, BOOKED, 34)
    rig.r.set(BUCKET, "%d %d" % (rig.now(), rig.now() + 50 * 1000000), px=60000)
    is_what(ask(1, bot=(30, 1)), AGAIN, 50000)  # as far as a line may go
    is_what(ask(1, bot=(30, 1), kind="back"), BOOKED, 0)


def test_rubbish_in_a_key_is_no_limit():
    fresh()
    rig.r.set(BUCKET, "x", px=10000)
    rig.r.set(BUCKET + ":1", "1 2 3", px=10000)
    rig.r.set(BUCKET + ":1:block", "soon", px=10000)
    rig.r.hset(STATE, mapping={"from": "a", "till": "b", "doubt": "c", "test": "d"})
    rig.r.pexpire(STATE, 10000)
    is_what(ask(1, bot=(30, 1), per_chat=(20, 20)), BOOKED, 0)
    word("chat", 1, 5)
    is_what(ask(1), CHAT, 5000)


# ---- admission

GOES, THROTTLED, TOLD = range(3)


def admit_together(updates, limit=(3, 10)):
    """updates: (user, key of the update where it is a press or "", counts)."""
    keys, words = [*SOON], [limit[0], int(limit[1] * 1000), 600000]
    for user, press, counts in updates:
        keys.append("shoal:{cache}:rate:b:%d" % user)
        words.append(("c" if counts else "l") + press)
    keys += ["shoal:{cache}:press:b:%d:1:x" % user for user, press, _ in updates if press]
    return rig.run("admit.lua", len(keys), *keys, *words)


def admit(user=1, press="", counts=True, **more):
    return admit_together([(user, press, counts)], **more)[0]


def test_what_a_user_sends_beyond_the_rate_is_throttled():
    fresh()
    eq([admit() for _ in range(5)], [GOES] * 3 + [TOLD, THROTTLED])
    eq(admit(2), GOES)
    after(10 / 3 + 0.01)
    eq([admit(), admit()], [GOES, THROTTLED])
    after(61)
    eq([admit() for _ in range(5)], [GOES] * 3 + [TOLD, THROTTLED])


def test_updates_that_come_together_count_each():
    fresh()
    eq(admit_together([(n % 2, "", True) for n in range(10)]), [GOES] * 6 + [TOLD] * 2 + [THROTTLED] * 2)


def test_who_only_looks_is_not_counted():
    fresh()
    eq(admit_together([(1, "", False)] * 5), [GOES] * 5)
    eq(rig.r.keys("shoal:*"), [])
    eq([admit() for _ in range(4)], [GOES] * 3 + [TOLD])
    eq(admit(counts=False), GOES)


def test_a_press_is_the_first_ones():
    fresh()
    eq(admit_together([(1, "k1", True), (1, "k2", True), (1, "k1", False), (2, "k3", True)]), [GOES, "k1", GOES, GOES])
    eq(rig.r.pttl("shoal:{cache}:press:b:1:1:x") > 590000, True)
    eq(admit(press="k2", counts=False), "k1")
    eq(admit_together([(1, "", True)] * 2), [GOES] * 2)  # another one's press was not counted


def test_what_is_no_lock_holds_nobody_up():
    fresh()
    rig.r.lpush("shoal:{cache}:press:b:2:1:x", "junk")
    for user in (1, 2):
        for name in ("", ":notice"):
            rig.r.sadd("shoal:{cache}:rate:b:%d%s" % (user, name), "junk")
    eq(admit_together([(1, "k1", True), (2, "k2", True), (2, "k3", True), (3, "k4", True)]), [GOES, GOES, "k2", GOES])
    eq(rig.r.get("shoal:{cache}:press:b:2:1:x"), "k2")
    eq(0 < rig.r.pttl("shoal:{cache}:press:b:2:1:x") <= 600000, True)


def test_a_throttled_press_keeps_no_lock():
    fresh()
    eq(admit_together([(1, "", True)] * 3 + [(1, "k1", True)]), [GOES] * 3 + [TOLD])
    eq(rig.r.exists("shoal:{cache}:press:b:1:1:x"), 0)
    after(11)
    eq(admit(press="k2"), GOES)


def test_nobody_is_throttled_for_a_clock_that_steps_back():
    fresh()
    eq([admit() for _ in range(3)], [GOES] * 3)
    after(-3600)
    eq([admit() for _ in range(4)], [GOES] * 3 + [TOLD])


def test_cost_of_an_admission():
    for users in [1], range(8):
        fresh()
        admit(99, limit=(30, 10))
        updates = [(n, "", True) for n in users]
        eq(calls_of(lambda: admit_together(updates, limit=(30, 10))), {"mget": 1, "hmget": 2, "hset": 1})
        after(2.01)
        eq(calls_of(lambda: admit_together(updates, limit=(30, 10))), {"mget": 1, "hmget": 1, "hset": 1})
        eq(calls_of(lambda: admit_together([(n, "", False) for n in users])), {})
        eq(calls_of(lambda: admit_together([(n, "k", False) for n in users])), {"set": len(users)})
    fresh()
    updates = [(1, "", True)] * 30
    eq(calls_of(lambda: admit_together(updates, limit=(30, 10))), {"mget": 1, "hmget": 2, "set": 1})


# ---- what ends soon

def test_what_ends_soon_is_known_until_it_ends():
    """Whenever in a span of time it begins."""
    for start in range(0, 80, 3):
        fresh()
        after(start / 10)
        one = {"limit": (1, 2)}, {"per_chat": (1, 2), "longest": 0}
        eq((admit(**one[0]), ask(**one[1]).what), (GOES, BOOKED))
        for step in (0.7, 0.7, 0.5):
            after(step)
            assert admit(**one[0]) != GOES and admit(2) == GOES, start
        is_what(ask(**one[1]), AGAIN, 100)
        after(0.2)
        eq((admit(**one[0]), ask(2, **one[1]).what), (GOES, BOOKED))


def test_what_ends_soon_is_known_to_who_is_not_the_first_of_a_call():
    fresh()
    after(3.9)
    is_what(ask(1, per_chat=(1, 2), longest=0), BOOKED)
    after(0.7)
    eq([a.what for a in ask_together([99, 1], per_chat=(1, 2), longest=0)], [BOOKED, AGAIN])


def test_what_has_ended_is_not_believed():
    fresh()
    eq((admit(limit=(2, 2)), ask(per_chat=(2, 2), longest=0).what), (GOES, BOOKED))
    after(3)
    eq([admit(limit=(2, 2)) for _ in range(3)], [GOES, GOES, TOLD])
    eq([a.what for a in ask_together([99] + [1] * 3, per_chat=(2, 2), longest=0)], [BOOKED] * 3 + [AGAIN])


def test_what_begins_at_the_end_of_a_span_outlives_it():
    one = {"limit": (1, 2)}, {"per_chat": (1, 2), "longest": 0}
    fresh()
    eq((admit(99, **one[0]), ask(99, **one[1]).what), (GOES, BOOKED))
    after(3.9)
    eq((admit(**one[0]), ask(**one[1]).what), (GOES, BOOKED))
    after(1.5)
    eq((admit(**one[0]), ask(**one[1]).what), (TOLD, AGAIN))


def test_what_ends_soon_leaves_nothing():
    for by in ("ask",), ("admit",), ("ask", "admit"):
        fresh()
        for n in range(130):
            if "admit" in by:
                admit_together([(100 * n + user, "", True) for user in range(40)], limit=(30, 10))
            if "ask" in by:
                ask_together([100 * n + chat for chat in range(40)], per_chat=(20, 20))
            eq(sorted(set(rig.r.keys("shoal:*")) | set(SOON)), SOON)
            for key in rig.r.keys("shoal:*"):
                eq(rig.r.object("encoding", key), "hashtable")
                assert rig.r.hlen(key) <= 1 + 40 * 40 * len(by), "more than of a span"
            after(0.1)
        after(13)
        eq(rig.r.keys("shoal:*"), [])


def test_what_lasts_is_known_to_who_is_not_the_first_of_a_call():
    fresh()
    eq([a.what for a in ask_together([1, 2, 3], per_chat=(1, 10), longest=0)], [BOOKED] * 3)
    after(7)
    eq([a.what for a in ask_together([1, 2, 3], per_chat=(1, 10), longest=0)], [AGAIN] * 3)
    fresh()
    after(3.5)
    eq([a.what for a in ask_together([1] * 20, per_chat=(20, 20), longest=0)], [BOOKED] * 20)
    after(6)
    eq([a.what for a in ask_together([99] + [1] * 7, per_chat=(20, 20), longest=0)], [BOOKED] * 7 + [AGAIN])


def test_limits_of_several_kinds_in_one_call():
    """A chat's, which ends soon, a group's, which does not, and none."""
    def ask_all():
        keys = [BUCKET, STATE, *SOON, *("%s:%d" % (BUCKET, n) for n in (1, -2, 3, 1, -2, 3)), *("%s:%d:block" % (BUCKET, n) for n in range(6))]
        return [Answer(raw).what for raw in rig.run(
            "flood.lua", len(keys), *keys, 0, 1, 1, 2000, 1, 20000, *["nc0", "ng0", "n-0"] * 2)]
    fresh()
    eq(ask_all(), [BOOKED, BOOKED, BOOKED, AGAIN, AGAIN, BOOKED])
    eq((rig.r.exists(BUCKET + ":-2"), rig.r.exists(BUCKET + ":3")), (1, 0))
    after(4.1)
    eq(ask_all(), [BOOKED, AGAIN, BOOKED, AGAIN, AGAIN, BOOKED])


def fresh_in_span(seconds):
    """So long after one of the spans of what ends soon began."""
    fresh()
    after((4 - rig.now() / 1e6) % 4 + seconds)


def test_clock_that_steps_back_over_spans():
    """Nobody who keeps to the limit, and comes all the time, is refused, not even where the clock comes again to a time of which
    something is kept; who does not keep to it gets what is allowed anew once at most. So do chats."""
    def refused(n, pause, ask_one):
        answers = []
        for _ in range(n):
            answers.append(ask_one())
            after(pause)
        return answers.count(False)
    deeds = [lambda rate, who: lambda: admit(who, limit=rate) == GOES,
             lambda rate, who: lambda: ask(who, per_chat=rate, longest=0).what == BOOKED]
    for back in 0.4, 1.3, 2.5, 4, 6, 8, 11, 16:
        for start in 0.1, 1.7, 2.9:
            for deed in deeds:
                fresh_in_span(start)
                eq(refused(6, 1.4, deed((3, 4), 1)), 0)
                after(-back)
                no = refused(10, 1.4, deed((3, 4), 1))
                assert no == 0, (back, start, deeds.index(deed), no)
                fresh_in_span(start)
                refused(60, 0.1, deed((5, 2), 1))
                after(-back)
                gone = 120 - refused(120, 0.1, deed((5, 2), 1))
                assert gone <= 5 + 120 * 0.1 / 0.4 + 1, (back, start, gone)


def test_clock_that_steps_back_a_little():
    """Within a span nothing is forgotten for it."""
    fresh_in_span(2.5)
    one = {"limit": (1, 2)}, {"per_chat": (1, 2), "longest": 0}
    eq((admit(**one[0]), ask(**one[1]).what), (GOES, BOOKED))
    after(-0.05)
    eq((admit(**one[0]), ask(**one[1]).what), (TOLD, AGAIN))


def test_clock_that_comes_to_a_span_again():
    """What was written there before it stepped back is gone, and the hash of it, too."""
    fresh_in_span(0.1)
    one = {"limit": (1, 2)}, {"per_chat": (1, 2), "longest": 0}
    eq((admit(**one[0]), ask(**one[1]).what), (GOES, BOOKED))
    after(-4)
    eq((admit(2, **one[0]), ask(2, **one[1]).what), (GOES, BOOKED))
    after(3.95)
    eq((admit(**one[0]), ask(**one[1]).what), (GOES, BOOKED))


def test_what_lies_in_the_place_of_what_ends_soon():
    for other in False, True:
        fresh()
        for key in SOON:
            if other:
                rig.r.hset(key, mapping={"shoal:{cache}:rate:b:1": rig.now() + 9000000, BUCKET + ":1": "x", "": "1"})
            else:
                rig.r.lpush(key, "junk")
            rig.r.pexpire(key, 100000)
        eq([admit(limit=(3, 3)) for _ in range(4)], [GOES] * 3 + [TOLD])
        eq([ask(per_chat=(2, 2), longest=0).what for _ in range(3)], [BOOKED] * 2 + [AGAIN])


def test_what_lasts_is_preferred_to_what_ends_soon():
    """A user's and a chat's place that lay in the one and then went to the other, as more came."""
    fresh()
    eq([admit(limit=(4, 4)) for _ in range(5)], [GOES] * 4 + [TOLD])
    eq([ask(per_chat=(4, 4), longest=0).what for _ in range(5)], [BOOKED] * 4 + [AGAIN])
    after(3.9)
    eq([admit(limit=(4, 4)) for _ in range(4)], [GOES] * 3 + [THROTTLED])
    eq([ask(per_chat=(4, 4), longest=0).what for _ in range(4)], [BOOKED] * 3 + [AGAIN])


def test_what_ends_soon_is_in_no_log():
    """Not the places that a chat's message and a user's update take for a second; all that is for longer, as the lock of a
    press, is, and all that is the whole bot's: a server that begins anew must not let twice as much of it out. Who is throttled
    adds nothing to it."""
    fresh()
    admit(99, limit=(30, 10))
    rig.r.config_set("appendfsync", "no")  # else what is written may wait for what is on its way to the disk
    rig.r.config_set("appendonly", "yes")
    assert wait_for(lambda: rig.r.info("persistence")["aof_enabled"] and not rig.r.info("persistence")["aof_rewrite_in_progress"])

    def logs(what):
        """Three times out of three: what ends meanwhile is logged, too."""
        def once():
            before = rig.r.info("persistence")["aof_current_size"]
            what()
            return rig.r.info("persistence")["aof_current_size"] > before
        return all(once() for _ in range(3))
    soon, late, rate, users = (30, 10), (1, 10), (20, 20), itertools.count(10)
    eq([logs(lambda: ask_together([1, 2, 3], bot=(0, 1), per_chat=rate)), logs(lambda: admit_together([(1, "", True)], limit=soon))],
       [False, False])
    eq([logs(lambda: ask(4, bot=(0, 1), per_chat=late)), logs(lambda: ask_together([6, 7], bot=(30, 1), per_chat=rate)),
        logs(lambda: admit_together([(next(users), "", True)], limit=late)),
        logs(lambda: admit_together([(next(users), key, True) for key in ("", "k", "")], limit=soon)),
        logs(lambda: admit_together([(next(users), "", True)] * 40, limit=soon))], [True] * 5)
    admit_together([(2, "", True), (2, "", True)], limit=late)
    admit_together([(5, "", True)] * 40, limit=soon)
    eq([logs(lambda: admit(2, limit=late)), logs(lambda: admit_together([(5, "", True)] * 5, limit=soon))], [False, False])
    after(8)
    before = logged_of(SOON)
    admit(99, limit=(30, 10))
    admit(98, limit=(30, 10))
    eq((before, logged_of(SOON)), ([], [["UNLINK", SOON[0]]]))  # or a replica kept what it had when it came
    rig.r.config_set("appendonly", "no")


def logged_of(keys):
    """The commands of the log on these keys, since it was begun; but those by which after() moves their ends."""
    words, found = [], []
    for path in glob.glob(rig.r.config_get("dir")["dir"] + "/appendonlydir/*.incr.aof"):
        with open(path, encoding="latin-1", newline="\r\n") as f:
            words += [line[:-2] for line in f if line[0] not in "$#"]
    for at, word in enumerate(words):
        if word in keys and words[at - 1].upper() != "PEXPIREAT":
            found.append([words[at - 1].upper(), word])
    return found


if __name__ == "__main__":
    sys.exit(rig.main(globals(), "flood.lua", "flood_word.lua", "admit.lua"))
