"""The judge of the crowd finds what is wrong: a sound end passes, and each way to spoil it is noticed."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
import judge  # noqa: E402
import lib  # noqa: E402
from lib import check  # noqa: E402

BIN = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/shoal")
LINE = judge.LINE
pg, r = lib.start_postgres(), lib.start_redis(appendonly="no").client(decode_responses=True)
lib.subprocess.run([BIN, "migrate"], env=lib.clean_env(SHOAL_POSTGRES_URL=pg.url), check=True, capture_output=True,
                   timeout=lib.PATIENCE)
KEY = "match_1_2_1700000005000"


def sound():
    pg.rows("TRUNCATE players, matches_1v1, mmrs_1v1, player_action_logs RESTART IDENTITY CASCADE")
    r.flushdb()
    pg.rows("INSERT INTO players (discord_uid) SELECT generate_series(1, 5)")
    pg.rows("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) VALUES (1, 'a', 1500), (2, 'b', 1640), (3, 'a', 1700), (5, 'a', 1801)")
    pg.rows("INSERT INTO player_action_logs (discord_uid, action, details, created_at, idempotency_key) SELECT i, 'joined queue', "
            "jsonb_build_object('races', ARRAY['a', 'b'], 'vetoes', ARRAY['red_terrace']), to_timestamp(1700000000), 'k' || i "
            "FROM generate_series(1, 5) i")
    pg.rows("INSERT INTO matches_1v1 (player_1, player_2, race_1, race_2, map, region, idempotency_key) "
            "VALUES (1, 2, 'a', 'b', 'frostbound', 'euw', %s)", KEY)
    stands(1, "met"), stands(2, "met"), stands(4, "left")
    waits(3, {"a": "1700"}), waits(5, {"a": "1801"})


def stands(uid, state, **more):
    r.hset(LINE, uid, json.dumps({"s": state, "n": "1", **more}))


def waits(uid, races):
    stands(uid, "waiting", races=races)
    r.zadd(LINE + ":since", {uid: 5})
    r.zadd(LINE + ":mmr", {"%d %s" % (uid, race): int(mmr) for race, mmr in races.items()})


def also_matched(one, two, key):
    pg.rows("INSERT INTO matches_1v1 (player_1, player_2, race_1, race_2, map, region, idempotency_key) VALUES "
            "(%s, %s, 'a', 'a', 'frostbound', 'euw', %s)", one, two, key)


SPOILT = [
    ("a player in two matches", lambda: also_matched(2, 3, "match_2_3_1700000006000")),
    ("a player who waits and has a match", lambda: waits(1, {"a": "100"})),
    ("a player who left and has a match", lambda: stands(2, "left")),
    ("a player who is nowhere", lambda: r.hdel(LINE, 4)),
    ("a pairing that led to nothing", lambda: stands(4, "paired")),
    ("a match of somebody who did not ask", lambda: pg.rows("DELETE FROM player_action_logs WHERE discord_uid = 1")),
    ("somebody who joined twice", lambda: pg.rows(
        "INSERT INTO player_action_logs (discord_uid, action) VALUES (4, 'joined queue')")),
    ("who waits is not in line", lambda: r.zrem(LINE + ":since", 3)),
    ("who left is still in line", lambda: r.zadd(LINE + ":since", {4: 5})),
    ("who waits cannot be found", lambda: r.zrem(LINE + ":mmr", "3 a")),
    ("who is matched can be found", lambda: r.zadd(LINE + ":mmr", {"1 a": 1500})),
    ("who waits is found by another rating", lambda: r.zadd(LINE + ":mmr", {"3 a": 1690})),
    ("a match without its key", lambda: pg.rows("UPDATE matches_1v1 SET idempotency_key = NULL")),
    ("a match with the key of others", lambda: pg.rows(
        "UPDATE matches_1v1 SET idempotency_key = 'match_1_3_1700000005000'")),
    ("a race that was not chosen", lambda: pg.rows("UPDATE matches_1v1 SET race_2 = 'c'")),
    ("a map that was vetoed", lambda: pg.rows("UPDATE matches_1v1 SET map = 'red_terrace'")),
    ("no map", lambda: pg.rows("UPDATE matches_1v1 SET map = NULL")),
    ("a region that there is not", lambda: pg.rows("UPDATE matches_1v1 SET region = 'moon'")),
    ("two who were too far apart", lambda: pg.rows("UPDATE mmrs_1v1 SET mmr = 1661 WHERE discord_uid = 2")),
    ("two who wait and fit", lambda: waits(5, {"a": "1800"})),
]

sound()
found, gaps, waiting = judge.look(pg.rows, r)
check("a sound end is found sound", found == [] and gaps == [(140, 5.0)] and set(waiting) == {3, 5}, found)
for what, spoil in SPOILT:
    sound()
    spoil()
    check("found: " + what, judge.look(pg.rows, r)[0] != [])
lib.finish()
