"""What an operator sees and does: `shoal queue`, `shoal dead`, through the real program and a real stack. One update in
a thousand is poison: its lane goes on, the dead letters hold exactly the poisoned ones, and a retry heals them once.

    UPDATES=n CHATS=n     another load for the part with poison
"""
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lib  # noqa: E402
from lib import check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402

BIN = os.path.abspath(binary_from_argv())
DONE, FAILED, USAGE, NO_SERVER, NOT_THERE = range(5)
FIRST = 7000000  # Telegram id of the first person
DAY = 86400000
CHATS = int(os.environ.get("CHATS", 20))
UPDATES = int(os.environ.get("UPDATES", 1000 if light() else 4000))
if UPDATES < 1000:
    sys.exit("UPDATES is %d, but one in a thousand is poison: 1000 at least" % UPDATES)


class Ran:
    def __init__(self, code, out, err):
        self.code, self.raw = code, out
        self.out, self.err = out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.raw.decode("utf-8"))

    def __str__(self):
        return "exit %s\n%s\n%s" % (self.code, self.out[-3000:], self.err[-3000:])


class Cli:
    def __init__(self, env):
        self.env = env

    def begin(self, *args, **env):
        return subprocess.Popen([BIN, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**self.env, **env})

    def end(self, p):
        out, err = p.communicate(timeout=120)
        return Ran(p.returncode, out, err)

    def __call__(self, *args, **env):
        return self.end(self.begin(*args, **env))

    def json(self, *args, **env):
        ran = self(*args, "--json", **env)
        if ran.code != DONE:
            raise RuntimeError("shoal %s: %s" % (" ".join(args), ran))
        return ran.json()


def expect(name, ran, code, *texts):
    said = ran.out + ran.err
    return check(name, ran.code == code and all(t in said for t in texts),
                 "want exit %d with %r, got %s" % (code, texts, ran))


def key(what, shard=0):
    return "shoal:{%d}:%s" % (shard, what)


def message(number, user, text):
    return json.dumps({"update_id": number, "message": {
        "message_id": number, "date": int(time.time()), "text": text,
        "chat": {"id": user, "type": "private", "first_name": "P"},
        "from": {"id": user, "is_bot": False, "first_name": "P"}}})


def entry(number, user, text, keyed=True, body=None):
    fields = {"bot": "persona", "lane": "telegram:persona:%d" % user, "body": body or message(number, user, text)}
    if keyed:
        fields["key"] = "telegram:persona:%d" % number
    return fields


def prepare(stack, people):
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) SELECT %s + n, 'P' || n, now() "
                  "FROM generate_series(0, %s) n", FIRST, people - 1)
    stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', 'Hello', '{yes}')")
    for n in range(people):
        stack.control("POST", "users", {"id": FIRST + n, "first_name": "P%d" % n})


# ---- the letters themselves: nobody works meanwhile, so that what a verb did can be looked at

redis, second = lib.start_redis(), lib.start_redis()
r = redis.client(decode_responses=True)
nowhere = "postgresql://x@127.0.0.1:%d/shoal" % lib.free_port()
pg_less = Cli(lib.clean_env(SHOAL_REDIS_URL=redis.url, SHOAL_POSTGRES_URL=nowhere, SHOAL_LOG_FORMAT="text"))
both = Cli({**pg_less.env, "SHOAL_REDIS_URL": redis.url + "," + second.url})


def now_ms():
    s, us = r.time()
    return s * 1000 + us // 1000


def bury(old_id, died=None, maybe=0, sent=0, retries=5, takeovers=0, error="broken", **fields):
    head = {"id": old_id, "lane": "L", "error": error, "retries": retries, "takeovers": takeovers, "sent": sent,
            "maybe_applied": maybe, "died_at": died or now_ms(), "entry": "follows"}
    pairs = [x for pair in list(head.items()) + list(fields.items()) for x in pair]
    return r.execute_command("XADD", key("dead"), "*", *pairs)


def retried(letter, *options):
    """What `dead retry` of this letter did: the entry that came of it."""
    ran = pg_less("dead", "retry", "0:" + letter, *options)
    if ran.code != DONE:
        return ran
    new = r.xrevrange(key("updates"), count=1)[0]
    return new if not r.xrange(key("dead"), letter, letter) else "still there"


def clear():
    r.flushall()
    second.client().flushall()


def retry_rebuilds_the_entry():
    clear()
    now = now_ms()
    old = "%d-3" % (now - 5000)
    got = retried(bury(old, bot="persona", lane="L", body="{}", extra="kept"))
    check("retry_gives_a_keyless_entry_its_old_id_as_key", got[1] == {
        "again": "1", "born": str(now - 5000), "key": old, "at": str(now - 5000), "bot": "persona", "lane": "L",
        "body": "{}", "extra": "kept"}, got)
    check("retry_moves_the_letter", r.xlen(key("dead")) == 0 and r.xlen(key("updates")) == 1)
    check("retry_marks_the_key_as_the_new_entry's", r.hget(key("seen"), old) == got[0], r.hgetall(key("seen")))
    check("retry_of_nothing_sent_writes_no_tries", not r.exists(key("tries")))
    got = retried(bury(old, bot="persona", lane="L", body="{}", key="k", at="123", sent=2))
    check("retry_keeps_key_and_time", (got[1]["key"], got[1]["at"]) == ("k", "123"), got)
    check("retry_keeps_what_was_sent", r.hget(key("tries"), got[0]) == "0 0 2", r.hgetall(key("tries")))
    again = bury(got[0], bot="persona", lane="L", body="{}", key="k", at="123", again="1", born="77")
    got = retried(again)
    check("retry_of_a_retried_one_keeps_its_birth", got[1]["born"] == "77" and got[1]["again"] == "1", got)
    expect("retry_of_what_is_gone", pg_less("dead", "retry", "0:" + again), NOT_THERE, "no such dead letter")
    check("retry_of_what_is_gone_does_nothing", r.xlen(key("updates")) == 3)
    letter = r.xadd(key("dead"), {"id": "1-1", "error": "by hand"})
    expect("retry_of_what_holds_no_entry", pg_less("dead", "retry", letter), FAILED, "no entry")
    check("what_holds_no_entry_stays", r.xlen(key("dead")) == 1)


def retry_moves_the_marker():
    clear()
    old = "%d-0" % (now_ms() - 5000)
    letter = dict(bot="persona", lane="L", body="{}", key="k")
    for where in ("seen", "seen_old"):
        r.delete(key("seen"), key("seen_old"))
        r.hset(key(where), "k", old)
        got = retried(bury(old, **letter))
        check("retry_moves_the_marker_in_%s" % where, r.hget(key("seen"), "k") == got[0], got)
    other = bury(old, **letter)
    r.delete(key("seen"), key("seen_old"))
    r.hset(key("seen_old"), "k", "98-9")
    expect("retry_of_a_key_that_came_again_long_ago", pg_less("dead", "retry", "0:" + other), FAILED, "98-9")
    r.hset(key("seen"), "k", "99-9")
    length = r.xlen(key("updates"))
    expect("retry_of_a_key_that_came_again", pg_less("dead", "retry", "0:" + other), FAILED, "came again", "99-9",
          "--force")
    check("retry_that_is_refused_changes_nothing",
          (r.xlen(key("dead")), r.xlen(key("updates")), r.hget(key("seen"), "k")) == (1, length, "99-9"))
    got = retried(other, "--force")
    check("retry_of_a_key_that_came_again_by_force", r.hget(key("seen"), "k") == got[0] and r.xlen(key("dead")) == 0,
          got)


def retry_asks_before_it_may_happen_twice():
    clear()
    old = "%d-0" % (now_ms() - 3 * DAY)
    young = "%d-0" % (now_ms() - DAY)
    letter = dict(bot="persona", lane="L", body="{}")
    for name, what in (("maybe_applied", dict(maybe=1)), ("taken_over", dict(takeovers=1))):
        r.delete(key("seen"))
        one = bury(old, **what, **letter)
        expect("retry_of_an_old_one_that_was_%s" % name, pg_less("dead", "retry", "0:" + one), FAILED, "72 hours",
              "--force")
        check("old_one_that_was_%s_stays" % name, len(r.xrange(key("dead"), one, one)) == 1)
        check("old_one_that_was_%s_by_force" % name, retried(one, "--force")[1]["key"] == old)
        check("young_one_that_was_%s" % name, retried(bury(young, **what, **letter))[1]["key"] == young)
    check("old_one_that_was_not_applied", retried(bury(old, key="plain", **letter))[1]["key"] == "plain")
    got = retried(bury(young, maybe=1, born=str(now_ms() - 3 * DAY), key="b", **letter))
    check("retried_one_is_as_old_as_its_first_life", isinstance(got, Ran) and got.code == FAILED, got)


def ids_name_their_shard():
    clear()
    one = bury("1-1", bot="persona", lane="L", body="{}")
    other = second.client(decode_responses=True).xadd(key("dead", 1), {"id": "1-1", "entry": "follows",
          "bot": "persona",
                                                                         "lane": "M", "body": "{}"})
    check("ids_say_their_shard", sorted(l["id"] for l in both.json("dead", "list")) == ["0:" + one, "1:" + other])
    expect("id_without_shard_where_there_are_two", both("dead", "show", one), USAGE, "which shard")
    check("id_without_shard_where_there_is_one", pg_less.json("dead", "show", one)["id"] == "0:" + one)
    check("id_of_the_second_shard", both.json("dead", "show", "1:" + other)["lane"] == "M")
    expect("id_on_another_shard", both("dead", "show", "1:99-9"), NOT_THERE, "1:99-9")
    for bad in ("x", "1", "0:1", "2:1-1", "-1:1-1", "0:1-1-1", "0:1-", "0:-1-1", "0:" + "9" * 30 + "-0"):
        expect("no_id_" + bad[:12], both("dead", "show", "--", bad), USAGE, "Try `shoal help dead`")
    expect("retry_with_a_bad_id_does_nothing", both("dead", "retry", "0:" + one, "x"), USAGE, "\"x\"")
    check("retry_with_a_bad_id_did_nothing", r.xlen(key("dead")) == 1)
    ran = both("dead", "retry", "0:" + one, "1:1-1", "1:" + other, "--json")
    check("retry_of_several", ran.code == NOT_THERE and [x["result"] for x in ran.json()] == ["retried", "gone",
          "retried"], ran)
    fresh = [c.xrange(key("updates", n)) for n, c in enumerate((r, second.client(decode_responses=True)))]
    check("retry_goes_to_the_letter's_shard", [len(f) for f in fresh] == [1, 1], fresh)
    check("retry_tells_equal_ids_of_two_shards_apart", [f[0][1]["key"] for f in fresh] == ["1-1", "1/1-1"], fresh)


def a_dead_shard_leaves_the_others():
    clear()
    letter = bury("%d-1" % now_ms(), bot="persona", lane="L", body="{}")
    half = Cli({**pg_less.env, "SHOAL_REDIS_URL": redis.url + ",redis://127.0.0.1:%d/0" % lib.free_port()})
    for args in (["queue", "status"], ["queue", "peek"], ["queue", "lanes"], ["dead", "list"]):
        ran = half(*args, "--json")
        check("dead_shard_" + "_".join(args), ran.code == NO_SERVER and "shard 1" in ran.err and
              isinstance(ran.json(), list), ran)
    check("dead_shard_lists_the_others", [l["id"] for l in half("dead", "list", "--json").json()] == ["0:" + letter])
    ran = half("queue", "pause", "--json")
    check("dead_shard_pause", ran.code == NO_SERVER and r.hget(key("conf"), "paused") == "*" and [
        (s["reachable"], s["changed"]) for s in ran.json()] == [(True, True), (False, None)], ran)
    ran = half("dead", "retry", "--all", "--json")
    check("dead_shard_retry_all", ran.code == NO_SERVER and ran.json()["done"] == 1, ran)
    ran = half("dead", "retry", "--all", "--bot", "ladder")
    check("dead_shard_may_hold_more", ran.code == NO_SERVER and ran.out.strip() ==
          "there are no dead letters of this bot on the shards in reach", ran)
    gone = Cli({**pg_less.env, "SHOAL_REDIS_URL": "redis://127.0.0.1:%d/0" % lib.free_port()})
    for args in (["queue", "peek"], ["queue", "pause"], ["dead", "list"], ["dead", "retry", "--all"], ["workers"]):
        expect("no_redis_" + "_".join(args[:2]), gone(*args), NO_SERVER, "cannot reach Redis")


def bodies_are_shown_safely():
    clear()
    raw = b'{"a": "\xff\x00\x1b[31m'
    c = redis.client()
    letter = c.execute_command("XADD", key("dead"), "*", "id", "1-1", "error", b"bad \xfe\x1b[2J", "entry", "follows",
          "bot",
                               "persona", "lane", b"l\xff", "key", "k", "body", raw, "odd", b"\x01\xfd").decode()
    ran = pg_less("dead", "show", letter, "--json")
    got = ran.json()
    check("body_that_is_no_text_in_json", ran.code == DONE and base64.b64decode(got["body_base64"]) == raw and
          got["body"] is None and got["body_text"].startswith('{"a": "\ufffd'), ran)
    check("fields_that_are_no_text_in_json", got["fields"] == {"odd": "\x01\ufffd"} and got["lane"] == "l\ufffd", ran)
    check("body_raw", pg_less("dead", "show", letter, "--raw").raw == raw)
    ran = pg_less("dead", "show", letter)
    check("body_for_a_terminal", ran.code == DONE and b"\x1b" not in ran.raw and b"\x00" not in ran.raw and
          "[31m" in ran.out, ran)
    ran = pg_less("dead", "list", "--json")
    check("list_of_what_is_no_text", ran.json()[0]["error"].startswith("bad \ufffd"), ran)
    check("list_for_a_terminal", b"\x1b" not in pg_less("dead", "list").raw)
    ran = pg_less("dead", "drop", letter)
    check("drop_for_a_terminal", ran.code == DONE and b"\x1b" not in ran.raw and "bad " in ran.out and
          "lane" in ran.out, ran)
    body = '{"id":"123456789012345678","token":"aW50ZXJhY3Rpb24","big":9007199254740993,"list":[],"o":{"x":[1,"}"]}}'
    letter = bury("1-1", bot="ladder", lane="discord:ladder:5", body=body)
    ran = pg_less("dead", "show", letter, "--json")
    check("body_as_json", ran.json()["body"] == {**json.loads(body), "token": "***"} and
          ran.json()["body_text"] is None, ran)
    ran = pg_less("dead", "show", letter)
    check("body_indented", '\n  "token": "***",\n  "big": 9007199254740993,\n  "list": [],\n  "o": {\n    "x": [\n'
          in ran.out and "aW50" not in ran.out, ran)
    new = r.xadd(key("updates"), {"bot": "ladder", "lane": "d", "body": body})
    ran = pg_less("queue", "peek", new, "--json")
    check("entry_as_json", ran.json()["body"]["token"] == "***" and ran.json()["id"] == "0:" + new, ran)
    check("entry_for_people", "aW50" not in pg_less("queue", "peek", "0:" + new).out)
    expect("entry_that_is_not_there", pg_less("queue", "peek", "0:5-5"), NOT_THERE, "0:5-5")


def another_list_of_shards():
    """Of an operator who has one server more than the workers in SHOAL_REDIS_URL."""
    clear()
    letter, entry = bury("1-1", bot="persona", lane="L", body="x"), r.xadd(key("updates"), {"bot": "persona", "lane": "L", "body": "{}"})
    r.hset(key("conf"), mapping={"v": "1", "shard": "0/1"})
    other = {"SHOAL_REDIS_URL": "%s,%s/1" % (redis.url, redis.url.rsplit("/", 1)[0])}
    said = "shard 0: its keys are of format 1, shard 0/1, which is not how this program sees it"
    for argv, shown in ((["queue", "status"], "total"), (["queue", "lanes"], ""), (["queue", "peek"], ""), (["dead", "list"], letter),
                        (["queue", "peek", "0:" + entry], entry), (["dead", "show", "0:" + letter], "0:" + letter), (["dead", "show", "0:" + letter, "--raw"], "x"),
                        (["dead", "show", "0:" + letter, "--json"], letter)):
        ran = pg_less(*argv, **other)
        check("%s_with_another_list" % "_".join(argv[:2] + argv[3:]), ran.code == FAILED and said in ran.err and shown in ran.out, ran)
    for argv in (["queue", "pause"], ["queue", "resume", "--bot", "persona"], ["dead", "retry", "--all"],
                 ["dead", "drop", "0:" + letter, "--yes"]):
        ran = pg_less(*argv, **other)
        check("%s_with_another_list" % "_".join(argv[:2]), ran.code == FAILED and ran.err.count(said) == 1 and not ran.out, ran)
    ran = pg_less("status", **other)
    check("status_with_another_list", ran.code == NO_SERVER and "queue 1" in ran.out, ran)  # for want of Postgres
    check("another_list_changed_nothing", r.xlen(key("dead")) == 1 and r.hgetall(key("conf")) == {"v": "1", "shard": "0/1"} and
          redis.client(db=1).keys("*") == [], (r.hgetall(key("conf")), redis.client(db=1).keys("*")))
    r.delete(key("conf"))


def lists_are_cut_and_sorted():
    clear()
    letters = [bury("%d-1" % n, bot="persona" if n % 3 else "escrow", lane="L", body="x" * 100) for n in range(1, 701)]
    check("list_is_cut", [l["id"] for l in pg_less.json("dead", "list")] == ["0:" + l for l in letters[:-51:-1]])
    ran = pg_less("dead", "list", "--oldest", "--limit", "600", "--json")
    check("list_oldest_first", [l["id"] for l in ran.json()] == ["0:" + l for l in letters[:600]] and
          "600 of 700" in ran.err, ran)
    got = pg_less.json("dead", "list", "--bot", "escrow", "--limit", "1000")
    check("list_of_one_bot", len(got) == 233 and {l["bot"] for l in got} == {"escrow"}, len(got))
    check("list_of_big_bodies", len(big_letters()) == 30)
    got = pg_less.json("dead", "retry", "--all", "--bot", "escrow")
    check("retry_all_of_one_bot", got == {"letters": 233, "done": 233, "gone": 0, "refused": 0, "failed": 0,
          "left": 0} and
          r.xlen(key("dead")) == 467, got)
    expect("drop_all_without_a_terminal", pg_less("dead", "drop", "--all"), FAILED, "--yes")
    check("drop_all_without_a_terminal_did_nothing", r.xlen(key("dead")) == 467)
    expect("drop_all", pg_less("dead", "drop", "--all", "--yes"), DONE, "467 of 467")
    expect("drop_all_of_nothing", pg_less("dead", "drop", "--all", "--yes"), DONE, "no dead letters")
    check("drop_leaves_the_queue", r.xlen(key("dead")) == 0 and r.xlen(key("updates")) == 233)


def pad(entry_id):
    return "-".join(part.zfill(20) for part in entry_id.split("-"))


def lanes_are_whole():
    clear()
    lane = "telegram:persona:" + "9" * 183
    held = r.xadd(key("updates"), {"bot": "persona", "lane": lane, "body": "{}", "key": "k" * 200})
    r.hset(key("lanes"), lane, "w1-1~abcd " + held)
    ran = pg_less("queue", "lanes")
    check("lanes_are_shown_whole", ran.code == DONE and lane in ran.out.split(), ran)
    check("peek_shows_lane_and_key_whole", {lane, "k" * 200} <= set(pg_less("queue", "peek").out.split()))
    check("and_is_found_by_what_it_shows", [e["lane"] for e in pg_less.json("queue", "peek", "--lane", lane)] == [lane])
    states = lambda: [pg_less.json("queue", *args)[0]["state"] for args in (["peek"], ["peek", "--lane", lane], ["lanes"])]  # noqa: E731
    check("what_a_worker_holds_that_nobody_knows_is_stray", states() == ["stray"] * 3, states())
    r.zadd(key("workers"), {"w1-1~abcd": 1})
    check("what_one_holds_that_is_known_is_in_hand", states() == ["in_hand"] * 3, states())
    r.hset(key("lanes"), lane, "two words")
    r.zadd(key("waiting"), {lane + "\1x": 0})
    got = pg_less.json("queue", "peek", "--lane", lane), pg_less.json("queue", "lanes")
    check("what_another_hand_wrote_is_no_lane", ([e["state"] for e in got[0]], got[1]) == (["unread"], []), got)
    for place, waits in ("two words", lane + "\1" + "9" * 30 + "-1"), ("@ " + "9" * 30 + "-1", lane + "\1x"):
        r.delete(key("waiting"))
        r.hset(key("lanes"), lane, place)
        r.zadd(key("waiting"), {waits: 0})
        check("what_is_no_id_stops_no_peek", pg_less("queue", "peek", "--lane", lane).code == DONE, place)
    nines = "9" * 30 + "-1"
    for limit, place, behind, waits in (
            ("1", "@ " + nines, 0, None), ("20", held, 18, nines), ("20", held, 40, "05-1"), ("2", held, 0, "9" * 20 + "-1"),
            ("20", "@ 18446744073709551615-18446744073709551615", 0, "18446744073709551615-18446744073709551615")):
        r.delete(key("waiting"))
        r.hset(key("lanes"), lane, place if " " in place else "w1-1~abcd " + place)
        ids = [r.xadd(key("updates"), {"bot": "persona", "lane": lane, "body": "{}", "key": "n%d" % n}) for n in range(behind)]
        for one in [pad(i) for i in ids] + [lane and waits] * bool(waits):
            r.zadd(key("waiting"), {lane + "\1" + one: 0})
        ran = pg_less("queue", "peek", "--lane", lane, "--limit", limit)
        check("what_is_no_id_ends_every_peek", ran.code == DONE, (limit, place, waits, ran))
        r.xdel(key("updates"), *ids, "0-1")
    r.delete(key("waiting"), key("lanes"))
    updates = r.dump(key("updates"))
    r.delete(key("updates"))
    r.set(key("updates"), "x")
    for of in [], ["--lane", lane]:
        ran = pg_less("queue", "peek", *of)
        check("a_stream_that_is_none_is_told", ran.code != DONE and "WRONGTYPE" in ran.err, ran)
    r.delete(key("updates"))
    r.restore(key("updates"), 0, updates)
    r.hset(key("conf"), "v", "1")
    expect("a_mark_without_its_shard_is_nobody_elses", pg_less("queue", "pause", "--bot", "persona"), DONE)
    r.delete(key("conf"))


def big_letters():
    """Bodies of 200 kB each: more than one call looks at."""
    for n in range(30):
        bury("%d-9" % n, bot="big", lane="L", body="x" * 200000)
    got = pg_less.json("dead", "list", "--bot", "big", "--limit", "1000")
    for l in got:
        pg_less("dead", "drop", l["id"]) if l is got[0] else r.xdel(key("dead"), l["id"][2:])
    return got


def usage():
    clear()
    for args, text in ((["dead", "retry"], "--all"), (["dead", "retry", "--all", "0:1-1"], "not both"),
                       (["dead", "retry", "0:1-1", "--bot", "persona"], "--bot"),
                       (["dead", "list", "--limit", "0"], "--limit"),
                       (["dead", "show"], "ID"), (["dead", "show", "1-1", "--raw", "--json"], "--raw"),
                       (["queue", "peek", "--limit", "x"], "\"x\""), (["queue", "peek", "--lane", ""], "--lane"),
                       (["queue", "peek", "1-1", "--lane", "L"], "--lane"), (["queue", "lanes", "x"], "\"x\""),
                       (["queue", "pause", "--bot", "pesrona"], "persona, escrow, ladder"),
                       (["queue", "resume", "--bot", ""], "persona, escrow, ladder")):
        expect("usage_" + "_".join(args), pg_less(*args), USAGE, text)
    check("usage_changed_nothing", r.dbsize() == 0)
    for args in (["queue", "peek"], ["queue", "lanes"], ["dead", "list"]):
        check("nothing_there_" + "_".join(args), pg_less.json(*args) == [])
    expect("help_of_dead", pg_less("help", "dead"), DONE, "shoal dead retry --all")
    for shell in ("bash", "zsh"):
        expect("completion_" + shell, pg_less("completion", shell), DONE, "status peek lanes pause resume",
              "list show retry drop")


def pause_is_idempotent():
    clear()
    paused = lambda: r.hget(key("conf"), "paused")  # noqa: E731
    expect("pause_one", pg_less("queue", "pause", "--bot", "persona"), DONE, "persona is paused")
    expect("pause_without_postgres_says_so", pg_less("queue", "pause", "--bot", "ladder"), DONE,
          "not noted in admin_audit")
    check("pause_two", paused() == "persona,ladder", paused())
    ran = pg_less("queue", "pause", "--bot", "persona")
    check("pause_twice", ran.code == DONE and "already was paused" in ran.out and ran.err == "" and
          paused() == "persona,ladder", ran)
    check("pause_shows_in_status", pg_less.json("queue", "status")[0]["paused"] == "persona,ladder")
    expect("resume_one", pg_less("queue", "resume", "--bot", "persona"), DONE, "persona goes on; paused now: ladder")
    expect("resume_one_twice", pg_less("queue", "resume", "--bot", "persona"), DONE, "already went on")
    check("resume_one_leaves_the_other", paused() == "ladder")
    expect("pause_all", pg_less("queue", "pause"), DONE, "every bot is paused; paused now: all")
    check("pause_one_of_all", not pg_less.json("queue", "pause", "--bot", "ladder")[0]["changed"] and paused() == "*")
    expect("resume_one_of_all", pg_less("queue", "resume", "--bot", "ladder"), FAILED, "all bots are paused",
          "`shoal queue resume`")
    check("resume_one_of_all_changes_nothing", paused() == "*")
    check("resume_all", pg_less.json("queue", "resume") == [
        {"shard": 0, "reachable": True, "changed": True, "paused": None}] and paused() is None)
    r.hset(key("conf"), mapping={"v": "0\x1b[31m", "shard": "0/1\u202e"})
    for argv in (["queue", "pause"], ["queue", "status"], ["dead", "list"]):
        ran = pg_less(*argv)
        check("%s_shows_no_mark_that_a_terminal_obeys" % "_".join(argv), ran.code == FAILED and "format 0\ufffd[31m, shard 0/1\ufffd," in ran.err and
              "\x1b" not in ran.err and "\u202e" not in ran.err, ran)
    r.hset(key("conf"), mapping={"v": "0", "shard": "0/1"})
    expect("pause_of_another_version", pg_less("queue", "pause"), FAILED, "format 0")
    letter = bury("1-1", bot="persona", lane="L", body="{}")
    expect("retry_of_another_version", pg_less("dead", "retry", letter), FAILED, "format 0")
    check("another_version_is_left_alone", paused() is None and r.xlen(key("dead")) == 1 and
          not r.exists(key("updates")))


def a_key_of_another_type():
    for word in ("updates", "tries", "conf"):
        clear()
        r.set(key(word), "junk")
        for args in (["queue", "status"], ["status"]):
            ran = pg_less(*args)
            check("wrong_type_%s_%s" % (args[0], word), key(word) + " is a string" in ran.out + ran.err, ran)
    clear()


def a_full_redis_loses_no_letter():
    clear()
    letters = [bury("%d-1" % n, bot="persona", lane="L", body="{}") for n in range(1, 5)]
    r.config_set("maxmemory", "1")
    expect("retry_on_a_full_redis", pg_less("dead", "retry", letters[0]), FAILED, "full")
    ran = pg_less("dead", "retry", "--all", "--json")
    check("retry_all_on_a_full_redis", ran.code == FAILED and ran.json()["done"] == 0 and ran.json()["left"] == 3 and
          ran.err.count("full") == 1, ran)
    check("a_full_redis_keeps_the_letters", [l for l, _ in r.xrange(key("dead"))] == letters and
          not r.exists(key("updates")))
    check("list_on_a_full_redis", len(pg_less.json("dead", "list")) == 4)
    expect("drop_on_a_full_redis", pg_less("dead", "drop", letters[3]), DONE, "dropped")
    expect("pause_on_a_full_redis", pg_less("queue", "pause"), DONE, "every bot is paused")
    r.config_set("maxmemory", "0")
    expect("retry_when_there_is_room", pg_less("dead", "retry", "--all"), DONE, "3 of 3")


def ctrl_c_stops_between_letters():
    clear()
    for n in range(1, 201):
        bury("%d-1" % n, bot="persona", lane="L", body="{}")
    r.execute_command("CLIENT", "PAUSE", "120000", "WRITE")
    p = pg_less.begin("dead", "retry", "--all")
    blocked = wait_for(lambda: any(c.get("flags") == "b" for c in r.client_list()))
    check("retry_all_waits_for_redis", blocked and p.poll() is None, r.client_list())
    p.send_signal(signal.SIGINT)
    r.execute_command("CLIENT", "UNPAUSE")
    ran = pg_less.end(p)
    check("ctrl_c_stops_after_the_letter_in_hand", ran.code == FAILED and "1 of 200" in ran.err and "199" in ran.err,
          ran)
    check("ctrl_c_leaves_the_rest", (r.xlen(key("dead")), r.xlen(key("updates"))) == (199, 1))


# ---- a whole stack

def whole():
    """Everything that has an end state, in one stack: two workers, two attempts."""
    stack = Stack(binary_from_argv(), workers=0, SHOAL_MAX_ATTEMPTS=2, SHOAL_LOG_UPDATES=0)
    prepare(stack, max(CHATS, 3))
    stack.start_workers(2)
    cli = Cli(stack.env)
    check("workers_are_listed", wait_for(lambda: len(cli.json("workers")) == 2))
    sr = stack.redis.client(decode_responses=True)
    stack.control("POST", "messages", {"bot": "persona", "updates": [
        {"user_id": FIRST + n, "text": "hello"} for n in range(max(CHATS, 3))]})  # a bot may not begin a chat
    check("the stack works", wait_for(lambda: len(stored(stack)) == max(CHATS, 3)) and
          stack.settled())
    states(stack, cli, sr)
    pause_under_load(stack, cli, sr)
    poison(stack, cli, sr)
    stack.stop_workers()


def stored(stack):
    return {(user, text): n for user, text, n in stack.pg.rows(
        "SELECT u.telegram_id, m.text, count(*) FROM messages m JOIN chats c ON c.id = m.chat_id "
        "JOIN users u ON u.id = c.user_id WHERE m.direction = 'in' GROUP BY 1, 2")}


def texts_of(stack, user):
    return [t for t, in stack.pg.rows(
        "SELECT m.text FROM messages m JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = c.user_id "
        "WHERE m.direction = 'in' AND u.telegram_id = %s AND m.text <> 'hello' ORDER BY m.id", user)]


def one_of(rows, entry_id):
    return [e for e in rows if e["id"] == "0:" + entry_id][0]


def states(stack, cli, sr):
    """Where an entry can stand: in hand, behind another, unread; and back."""
    stack.control("POST", "faults", {"method": "sendMessage", "kind": "hang", "chat_id": FIRST, "count": 1,
                                     "ms": 600000})
    ids = [sr.xadd(key("updates"), entry(100 + n, FIRST, "s%d" % n)) for n in range(4)]
    ready = wait_for(lambda: [e["state"] for e in cli.json("queue", "peek")] == ["in_hand"] + ["waiting"] * 3)
    got = cli.json("queue", "peek")
    workers = {w["id"] for w in cli.json("workers")}
    check("peek_in_hand_and_waiting", ready and [e["id"] for e in got] == ["0:" + i for i in ids], got)
    check("peek_names_the_worker", got[0]["worker"] in workers and got[1]["worker"] is None, (got[0], workers))
    check("peek_says_behind_whom", got[0]["behind"] is None and {e["behind"] for e in got[1:]} == {"0:" + ids[0]}, got)
    fields = ("bot", "lane", "key", "retries", "takeovers", "sent")
    check("peek_fields", tuple(got[1][f] for f in fields) == (
        "persona", "telegram:persona:%d" % FIRST, "telegram:persona:101", 0, 0, 0) and
          0 <= got[1]["age_seconds"] < 600 and
          got[1]["received_at"].endswith("Z") and got[1]["body_bytes"] > 50 and "body" not in got[1], got[1])
    lanes = cli.json("queue", "lanes")
    check("lanes_of_one", len(lanes) == 1 and (lanes[0]["lane"], lanes[0]["waiting"], lanes[0]["state"],
          lanes[0]["entry"]) == (
        "telegram:persona:%d" % FIRST, 3, "in_hand", "0:" + ids[0]) and lanes[0]["worker"] in workers, lanes)
    one = cli.json("queue", "peek", "0:" + ids[2])
    check("peek_one_has_its_body", one["body"]["message"]["text"] == "s2" and one["state"] == "waiting", one)
    table = cli("queue", "peek")
    check("peek_table", "in hand of " in table.out and table.out.count("waiting behind 0:" + ids[0]) == 3, table)
    check("peek_limit", [e["id"] for e in cli.json("queue", "peek", "--limit", "2")] == ["0:" + i for i in ids[:2]])
    cli("queue", "pause")
    time.sleep(0.2)
    more = [sr.xadd(key("updates"), entry(110 + n, FIRST + n % 2, "u%d" % n)) for n in range(700)]
    mine = ["0:" + i for n, i in enumerate(more) if n % 2 == 0]
    got = cli.json("queue", "peek", "--lane", "telegram:persona:%d" % FIRST)
    check("peek_of_a_lane_in_order", [e["id"] for e in got] == ["0:" + i for i in ids] + mine and
          {e["state"] for e in got[4:]} == {"unread"}, [(e["id"], e["state"]) for e in got[:8]])
    check("peek_all_over_many_calls", [e["id"] for e in cli.json("queue", "peek", "--limit", "700")] == [
        "0:" + i for i in (ids + more)[:700]])
    check("peek_of_another_lane", cli.json("queue", "peek", "--lane", "nobody's") == [])
    number = int(one_of(got, ids[0])["worker"][1:].split("-")[0])
    stack.workers[number - 1].kill()
    first = lambda: one_of(cli.json("queue", "peek"), ids[0])  # noqa: E731
    check("peek_of_what_a_dead_worker_held", wait_for(lambda: first()["takeovers"] == 1) and
          (first()["state"], first()["worker"]) == ("paused", None), first())
    check("lanes_of_what_a_dead_worker_held", (lambda l: (l["takeovers"], l["worker"], l["waiting"]) == (1, None, 3))(
        cli.json("queue", "lanes")[0]), cli.json("queue", "lanes"))
    check("and_what_waits_behind_it_stays", not {"s1", "s2", "s3"} & set(texts_of(stack, FIRST)))
    stack.start_workers(1)
    cli("queue", "resume")


def pause_under_load(stack, cli, sr):
    check("resume_goes_on", stack.settled(), stack.queue())
    check("pause_kept_the_order",
          texts_of(stack, FIRST) == ["s%d" % n for n in range(4)] + ["u%d" % n for n in range(0, 700, 2)],
          texts_of(stack, FIRST)[:10])
    stop, number = threading.Event(), [10000]

    def load():
        c = stack.redis.client()
        while not stop.wait(0.002):
            n = number[0] - 10000
            c.xadd(key("updates"), entry(number[0], FIRST + n % 3, "p%d" % n))
            number[0] += 1
    writer = threading.Thread(target=load)
    writer.start()
    wait_for(lambda: number[0] > 10100)
    ran = cli("queue", "pause", "--bot", "persona")
    check("pause_under_load", ran.code == DONE, ran)
    handled = [-1]

    def at_rest():
        handled.append(len(texts_of(stack, FIRST)))
        return handled[-1] == handled[-2]
    quiet = wait_for(at_rest, every=0.3)
    before = number[0]
    check("a_paused_bot_is_accepted_and_not_handled", quiet and wait_for(lambda: number[0] > before + 100))
    check("a_paused_bot's_entries_stay", cli.json("queue", "status")[0]["length"] > 100, cli.json("queue", "status"))
    # a bot that is none of this build: nobody can handle it, but only once it is handed out
    sr.xadd(key("updates"), {"bot": "escrow", "lane": "telegram:escrow:1", "body": "{}", "key": "e1"})
    check("the_other_bot_goes_on", wait_for(lambda: [l["key"] for l in cli.json("dead", "list")] == ["e1"]),
          cli.json("dead", "list"))
    cli("queue", "pause", "--bot", "escrow")
    cli("queue", "resume", "--bot", "persona")
    sr.xadd(key("updates"), {"bot": "escrow", "lane": "telegram:escrow:2", "body": "{}", "key": "e2"})
    stop.set()
    writer.join()
    sent = number[0] - 10000
    check("resume_of_one_bot", wait_for(lambda: cli.json("queue", "status")[0]["length"] == 1), stack.queue())
    got = cli.json("queue", "peek")
    check("the_paused_bot_stays", [(e["bot"], e["state"]) for e in got] == [("escrow", "paused")], got)
    check("lanes_of_a_paused_bot", [
        (l["lane"], l["waiting"]) for l in cli.json("queue", "lanes")] == [("telegram:escrow:2", 0)])
    wrong = [u for u in range(3) if [t for t in texts_of(stack, FIRST + u) if t[0] == "p"] != [
        "p%d" % n for n in range(sent) if n % 3 == u]]
    check("nothing_is_lost_and_in_order", not wrong, wrong)
    cli("queue", "resume")
    check("resume_of_all", wait_for(lambda: len(cli.json("dead", "list")) == 2) and stack.settled())
    expect("drop_says_what_it_was", cli("dead", "drop", cli.json("dead", "list", "--oldest")[0]["id"]), DONE,
          "telegram:escrow:1", "e1")
    cli("dead", "drop", "--all", "--yes")
    check("what_was_dropped_is_gone", cli.json("dead", "list") == [])
    check("audited", stack.pg.rows(
        "SELECT action, target, count(*), bool_and(actor LIKE 'cli:%%') FROM admin_audit WHERE action LIKE 'queue%%' "
        "GROUP BY 1, 2 ORDER BY 1, 2") == [
        ("queue.pause", "bot:*", 1, True), ("queue.pause", "bot:escrow", 1, True),
        ("queue.pause", "bot:persona", 1, True),
        ("queue.resume", "bot:*", 2, True), ("queue.resume", "bot:persona", 1, True)],
        stack.pg.rows("SELECT action, target, details FROM admin_audit"))


POISON = """CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'this table does not take %%', NEW.text; END $$;
CREATE TRIGGER poison BEFORE INSERT ON messages FOR EACH ROW WHEN (NEW.text LIKE 'poison%%')
EXECUTE FUNCTION poison()"""


def letters_of(cli):
    return cli.json("dead", "list", "--limit", "100000")


def poison(stack, cli, sr):
    """In every thousand one that its handler fails on and one that cannot be read."""
    stack.pg.rows(POISON)
    first, bad, broken, plain, keys = 1000000, {}, {}, {}, {}
    pipe = sr.pipeline(transaction=False)
    for n in range(UPDATES):
        user = FIRST + n % CHATS
        number = first + n
        if n % 1000 == 500:
            bad[user, "poison %d" % n] = number
            pipe.xadd(key("updates"), entry(number, user, "poison %d" % n, keyed=n % 2000 != 500))
        elif n % 1000 == 700:
            broken[number] = user
            pipe.xadd(key("updates"), entry(number, user, "", body='{"update_id": %d, "message": {' % number))
        else:
            plain.setdefault(user, []).append("t%d" % n)
            pipe.xadd(key("updates"), entry(number, user, "t%d" % n))
        if n % 500 == 499:
            pipe.execute()
    pipe.execute()
    check("poison: the queue empties", stack.settled(300), stack.queue())
    wrong = [u for u in plain if [t for t in texts_of(stack, u) if t[0] == "t"] != plain[u]]
    check("poison: %d updates in %d lanes go on, in order" % (UPDATES, CHATS), not wrong, wrong)
    letters = letters_of(cli)
    failed = [l for l in letters if "does not take" in l["error"]]
    unread = [l for l in letters if l["error"].startswith("body:")]

    def named(found):
        """Texts, by the key or, where there was none, by the body."""
        return sorted(cli.json("dead", "show", l["id"])["body"]["message"]["text"] for l in found)
    check("poison: the dead letters hold exactly those", len(letters) == len(failed) + len(unread) and
          named(failed) == sorted(t for _, t in bad) and
          sorted(l["key"] for l in unread) == sorted("telegram:persona:%d" % n for n in broken), letters[:5])
    check("poison: they say why and how often", all(l["retries"] == 2 and not l["maybe_applied"] and
          l["bot"] == "persona" and
                                                    not l["retried"] for l in failed), failed[:3])
    check("poison: they name the worker that held them", {l["worker"] for l in letters} <= {
        w["id"] for w in cli.json("workers")}, letters[:3])
    keyless = [l for l in failed if not l["key"]]
    check("poison: some came without a key", len(keyless) >= 1, failed[:3])

    # the same update again while it is dead: known, so dropped
    (user, text), number = [(k, n) for k, n in bad.items() if any(
        l["key"] == "telegram:persona:%d" % n for l in failed)][0] if len(bad) > 1 else ((None, None), None)
    if user:
        sr.xadd(key("updates"), entry(number, user, text))
    stack.settled()
    check("poison: a second copy changes nothing", len(letters_of(cli)) == len(letters))

    ran = cli("dead", "retry", "--all", "--json")
    check("poison: retried too early, each once", ran.code == DONE and
          ran.json()["done"] == ran.json()["letters"] == len(letters), ran)
    check("poison: and dead again", wait_for(lambda: len(letters_of(cli)) == len(letters))
          and stack.settled())
    second_time = letters_of(cli)
    check("poison: known as retried before", all(l["retried"] and l["key"] for l in second_time), second_time[:3])
    check("poison: a keyless one goes by its first id",
          {l["entry"] for l in keyless} <= {l["key"] for l in second_time})

    stack.pg.rows("DROP TRIGGER poison ON messages")
    runs = [cli.begin("dead", "retry", "--all", "--json") for _ in range(2)]
    ended = [cli.end(p) for p in runs]
    # one that cannot be read dies anew at once: the other run may meet it again
    done = sum(e.json()["done"] for e in ended)
    check("poison: two retries at once, each letter by one", all(e.code == DONE for e in ended) and
          len(letters) <= done <= len(letters) + len(unread), ended)
    check("poison: what failed is healed", wait_for(lambda: len(letters_of(cli)) == len(unread))
          and stack.settled(), cli.json("dead", "list"))
    again = cli("dead", "retry", *[l["id"] for l in second_time], "--json")
    check("poison: retried once more, they are gone", again.code == NOT_THERE and
          {x["result"] for x in again.json()} == {"gone"}, again)
    if user:
        sr.xadd(key("updates"), entry(number, user, text))
    check("poison: the queue is empty", stack.settled())
    have = stored(stack)
    twice = {k: n for k, n in have.items() if n != 1}
    check("poison: every effect once", not twice and {k for k in have if "poison" in k[1]} == set(bad), twice)
    inbound = sum(have.values())
    answers = [0]

    def all_recorded():  # the simulator writes its record now and then
        answers[0] = sum(c["method"].lower() == "sendmessage" and c["ok"] for c in stack.calls())
        return answers[0] >= inbound
    wait_for(all_recorded)
    check("poison: every reply once", answers[0] == inbound, (answers[0], inbound))
    left = letters_of(cli)
    check("poison: what cannot be read stays",
          sorted(l["key"] for l in left) == sorted("telegram:persona:%d" % n for n in broken))
    ran = cli("dead", "drop", *[l["id"] for l in left])
    check("poison: and can be dropped", ran.code == DONE and cli.json("dead", "list") == [], ran)
    rows = stack.pg.rows("SELECT target, (details->>'done')::int FROM admin_audit WHERE action = 'dead.retry' AND "
                         "actor LIKE 'cli:%%'")
    check("poison: audited", {t for t, _ in rows} == {"dead:*"} and
          sum(n for _, n in rows) == len(letters) + done, rows)
    q = stack.queue()
    check("poison: nothing is left over", all(q[k] == 0 for k in q), q)


retry_rebuilds_the_entry()
retry_moves_the_marker()
retry_asks_before_it_may_happen_twice()
ids_name_their_shard()
a_dead_shard_leaves_the_others()
bodies_are_shown_safely()
another_list_of_shards()
lists_are_cut_and_sorted()
lanes_are_whole()
usage()
pause_is_idempotent()
a_key_of_another_type()
a_full_redis_loses_no_letter()
ctrl_c_stops_between_letters()
whole()
finish()
