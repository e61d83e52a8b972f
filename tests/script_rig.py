"""For tests of Lua scripts against a real Redis, with a clock of the test's own: no test waits."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import redis

import lib

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

r = None
_shas = {}
_now = 0  # us
_last = _stall = 0.0  # s, of the real clock


def _load(name):
    """The script with a clock that the test sets."""
    text = lib.script_text(name)
    real = "redis.call('TIME')"
    assert text.count(real) == 1, name
    return r.script_load(text.replace(real, "{redis.call('HGET', 'clock', 's'), redis.call('HGET', 'clock', 'us')}"))


def run(name, nkeys, *argv):
    note_stall()
    return r.evalsha(_shas[name], nkeys, *argv)


def now():
    return _now


def set_clock(us):
    """Redis keeps a key's end as a time of day, so a stepping clock moves the ends, too."""
    global _now
    for key in r.keys("shoal:*"):
        left = r.pttl(key)
        assert left != -1, "%s would stay for ever" % key
        if left < 0:  # it has ended meanwhile
            continue
        left -= (us - _now) // 1000
        if left <= 0:
            r.delete(key)
        else:
            r.pexpire(key, left)
    _now = us
    r.hset("clock", mapping={"s": us // 1000000, "us": us % 1000000})


def after(seconds):
    set_clock(_now + int(seconds * 1e6))


def fresh():
    global _now
    r.flushall()
    _now = 0
    set_clock(1700000000 * 1000000)


def eq(got, want):
    assert got == want, "%r, want %r" % (got, want)


def note_stall():
    """Keys end by the real clock, which the test's does not stop: a test in which the machine stood still proves nothing."""
    global _last, _stall
    _stall, _last = max(_stall, time.monotonic() - _last), time.monotonic()


def _whatever_the_machine_does(fn):
    global _last, _stall
    for _ in range(5):
        _last, _stall = time.monotonic(), 0.0
        try:
            fn()
            return
        except AssertionError:
            note_stall()
            if _stall < 0.2:
                raise
    fn()


def _each(tests, only):
    failed = 0
    for name, fn in list(tests.items()):
        if not name.startswith("test_") or (only and name not in only):
            continue
        try:
            _whatever_the_machine_does(fn)
            print("ok " + name)
        except Exception as e:  # a test fails by whatever it meets
            tb = traceback.extract_tb(e.__traceback__)
            print("# line %s: %s: %s" % ([t.lineno for t in tb if t.filename != __file__], type(e).__name__, e))
            print("not ok " + name)
            failed += 1
        sys.stdout.flush()
    return failed


def main(tests, *scripts):
    """Runs every test_ of a module's globals; the exit code."""
    global r
    where = tempfile.mkdtemp(prefix="shoal-script-")
    sock = os.path.join(where, "s")
    server = subprocess.Popen([lib.REDIS_SERVER, "--port", "0", "--unixsocket", sock, "--save", "", "--appendonly", "no",
                               "--dir", where], stdout=subprocess.DEVNULL)
    try:
        r = redis.Redis(unix_socket_path=sock, decode_responses=True)
        for _ in range(500):
            try:
                r.ping()
                break
            except redis.exceptions.ConnectionError:
                time.sleep(0.02)
        for name in scripts:
            _shas[name] = _load(name)
        return 1 if _each(tests, sys.argv[2:]) else 0
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(where, ignore_errors=True)
