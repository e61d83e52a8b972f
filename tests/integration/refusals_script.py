#!/usr/bin/python3
"""lua/refusals.lua against a real Redis, with a clock of the test's own: no test waits.

    refusals_script.py [ANYTHING [TEST...]]
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import script_rig as rig  # noqa: E402
from script_rig import after, eq, fresh  # noqa: E402

KEY = "shoal:{cache}:refusals:discord"


def tell(n=0, most=8000):
    return rig.run("refusals.lua", 1, KEY, n, most)


def test_nothing_is_written_without_refusals():
    fresh()
    eq(tell(), [0, 0])
    eq(rig.r.keys("shoal:*"), [])


def test_ten_minutes_count():
    fresh()
    for _ in range(100):
        tell(10)
        after(6)
    eq(tell()[1], 0)
    assert 970 <= tell()[0] <= 1000, tell()
    after(300)
    assert 470 <= tell()[0] <= 510, tell()
    after(310)
    eq(tell(), [0, 0])


def test_too_many():
    fresh()
    eq(tell(7999), [7999, 0])
    eq(tell(1), [8000, 600000])
    after(1)
    eq(tell(), [8000, 599000])
    eq(tell(50), [8050, 599000])  # those on the wire make it no longer
    after(598)
    eq(tell()[1], 1000)
    after(1.001)
    eq(tell()[1], 0)
    eq(tell(10)[1], 0)


def test_too_many_slowly():
    fresh()
    told = [tell(100) for _ in range(79) if not after(6)]
    eq(max(t[1] for t in told), 0)
    after(6)
    eq(tell(100), [8000, 600000])


def test_never_more_than_the_platform_bears():
    """Whatever comes, when it is let: in no ten minutes are there more than a slot's grace over the limit."""
    fresh()
    sent, most = [], 0
    for _ in range(2000):
        if tell()[1] == 0:
            tell(37)
            sent.append((rig.now(), 37))
        after(3.7)
        sent = [(t, n) for t, n in sent if t > rig.now() - 600e6]
        most = max(most, sum(n for _, n in sent))
    assert 5000 < most < 8000 + 200, most


def test_the_clock_steps():
    fresh()
    tell(8000)
    after(-3600)
    eq(tell(), [0, 0])
    eq(tell(5), [5, 0])
    after(7200)
    eq(tell(), [0, 0])


def test_rubbish_is_no_stop():
    fresh()
    rig.r.hset(KEY, mapping={"till": "x", "y": "1", "170000000": "z"})
    rig.r.pexpire(KEY, 10000)
    eq(tell(3), [3, 0])


def test_nothing_stays():
    fresh()
    tell(9000)
    after(611)
    eq(rig.r.keys("shoal:*"), [])


if __name__ == "__main__":
    sys.exit(rig.main(globals(), "refusals.lua"))
