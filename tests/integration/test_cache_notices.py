#!/usr/bin/python3
"""What the triggers of sql/migrations/003_cache.sql tell on the channel shoal_cache: of every change that a cache could
hold exactly its keys, of nothing else anything.

    test_cache_notices.py BINARY
"""
import glob
import io
import os
import re
import select
import subprocess
import sys
import time

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lib  # noqa: E402
from lib import check  # noqa: E402

QUERIES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sql/queries")
BIN = os.path.abspath(sys.argv[1])
TABLES = "startcode start_codes, persona personas, player players, static maps, static races, static regions, " \
         "static countries"

pg = lib.start_postgres()
subprocess.run([BIN, "migrate"], env=lib.clean_env(SHOAL_POSTGRES_URL=pg.url), check=True, stdout=subprocess.DEVNULL)
writer = pg.connect()
listener = pg.connect()
listener.autocommit = True
listener.cursor().execute("LISTEN shoal_cache")
fences = 0


def heard():
    """All payloads since the last call: a fence comes after what was committed before it."""
    global fences
    fences += 1
    fence = "fence %d" % fences
    with writer.cursor() as cur:
        cur.execute("SELECT pg_notify('shoal_cache', %s)", [fence])
    writer.commit()
    end = time.monotonic() + 60
    while not any(n.payload == fence for n in listener.notifies):
        if time.monotonic() > end:
            raise RuntimeError("PostgreSQL tells nothing any more")
        select.select([listener], [], [], 1)
        listener.poll()
    payloads = [n.payload for n in listener.notifies if n.payload != fence]
    listener.notifies.clear()
    return payloads


def told(*statements, commit=True):
    """Runs the statements in one transaction; "CACHE KEY" of each notice, sorted. Each must name that transaction."""
    try:
        with writer.cursor() as cur:
            for sql in statements:
                cur.execute(sql)
            cur.execute("SELECT pg_current_xact_id_if_assigned()::text")
            xid = cur.fetchone()[0]
        (writer.commit if commit else writer.rollback)()
    except BaseException:
        writer.rollback()
        raise
    keys = []
    for payload in heard():
        parts = payload.split(" ")
        keys.append(parts[0] + " " + parts[2] if len(parts) == 3 and re.fullmatch(r"%s\.\d{16}" % xid, parts[1])
                    else "wrong: " + payload)
    return sorted(keys)


def expect(name, want, *statements, **options):
    """want: "CACHE KEY KEY..., CACHE KEY...". A notice that comes twice is wrong too."""
    keys = []
    for part in want.split(", ") if want else []:
        cache, *names = part.split(" ")
        keys += [cache + " " + n for n in names]
    got = told(*statements, **options)
    check("notices: " + name, got == sorted(keys), "got  %s\nwant %s" % (got, sorted(keys)))


def clean():
    told("TRUNCATE users, guards, personas, start_codes, players RESTART IDENTITY CASCADE",
         "INSERT INTO personas (key) VALUES ('default'), ('rex')",
         "INSERT INTO start_codes (code, persona_id, max_uses) VALUES ('open', 1, NULL), ('two', 2, 2)",
         "INSERT INTO countries (code) VALUES ('DE'), ('FR') ON CONFLICT DO NOTHING",
         "INSERT INTO regions (code) VALUES ('euw'), ('kor'), ('oce') ON CONFLICT DO NOTHING",
         "INSERT INTO players (discord_uid, player_name, country, region) VALUES (11, 'Ann', 'DE', 'euw'), "
         "(12, 'Bob', 'DE', 'kor'), (13, 'Cat', NULL, NULL)")


def each(fmt, first, last):
    return " ".join(fmt % n for n in range(first, last + 1))


def refused(sql):
    try:
        told(sql)
    except psycopg2.Error:
        return heard() == []
    return False


def start_codes():
    clean()
    expect("a code is made", "startcode one #3 %", "INSERT INTO start_codes (code) VALUES ('one')")
    expect("two codes are made", "startcode a b #4 #5 %", "INSERT INTO start_codes (code) VALUES ('a'), ('b')")
    for column, value in (("active", "false"), ("max_uses", "9"), ("max_uses", "NULL"), ("persona_id", "2"),
                          ("persona_id", "NULL"), ("expires_at", "'2099-01-01'"), ("expires_at", "'-infinity'"),
                          ("expires_at", "NULL")):
        change = "UPDATE start_codes SET %s = %s WHERE id = 1" % (column, value)
        expect("a code's %s becomes %s" % (column, value), "startcode open #1", change)
        expect("a code's %s stays %s" % (column, value), "", change)
    expect("what no cache has of a code changes", "",
           "UPDATE start_codes SET description = 'x', updated_at = now() + '1 h', created_at = '2020-01-01'")
    expect("only what changed is told", "startcode two #2 b #5",
           "UPDATE start_codes SET active = code NOT IN ('two', 'b'), description = 'y' WHERE code <> 'open'")
    expect("a code is renamed", "startcode open shut #1 %", "UPDATE start_codes SET code = 'shut' WHERE id = 1")
    expect("a code gets another id", "startcode shut #1 #77 %", "UPDATE start_codes SET id = 77 WHERE id = 1")
    expect("a code takes over a name", "startcode shut old two #77 #2 %",
           "UPDATE start_codes SET code = 'old' WHERE id = 77", "UPDATE start_codes SET code = 'shut' WHERE id = 2")
    expect("a code is removed", "startcode old #77 %", "DELETE FROM start_codes WHERE id = 77")
    expect("no code is touched", "", "DELETE FROM start_codes WHERE id = 77",
           "UPDATE start_codes SET active = false WHERE id = 77",
           "INSERT INTO start_codes (code) SELECT 'x' WHERE false",
           "INSERT INTO start_codes (code) VALUES ('a') ON CONFLICT (code) DO NOTHING")


def personas():
    clean()
    expect("a persona is made", "persona 3 default %", "INSERT INTO personas (key) VALUES ('ada')")
    for column, value in (("key", "'adam'"), ("name", "'A'"), ("greeting", "'hi'"), ("prompt", "'be'"),
                          ("prompt", "NULL"), ("replies", "'{a,b}'"), ("replies", "'{b,a}'"), ("active", "false")):
        change = "UPDATE personas SET %s = %s WHERE id = 3" % (column, value)
        expect("a persona's %s becomes %s" % (column, value), "persona 3 default %", change)
        expect("a persona's %s stays %s" % (column, value), "", change)
    expect("a persona gets another id", "persona 3 -4 default %", "UPDATE personas SET id = -4 WHERE id = 3")
    expect("a persona is removed", "persona -4 default %", "DELETE FROM personas WHERE id = -4")
    check("notices: a persona that codes use stays, and nothing is told", refused("DELETE FROM personas WHERE id = 1"))
    told("ALTER TABLE personas ADD COLUMN mood text")
    expect("a column of later is told of too", "persona 2 default %", "UPDATE personas SET mood = 'x' WHERE id = 2")
    told("ALTER TABLE personas DROP COLUMN mood")
    expect("and is gone again", "persona 2 default %", "UPDATE personas SET name = 'after' WHERE id = 2")


def players():
    clean()
    expect("a player comes", "player 9223372036854775807",
           "INSERT INTO players (discord_uid) VALUES (9223372036854775807)")
    for column, value in (("player_name", "'Anna'"), ("country", "'FR'"), ("country", "NULL"), ("region", "'oce'"),
                          ("tos_accepted_at", "'2026-01-01'"), ("setup_completed_at", "'2026-01-02'")):
        change = "UPDATE players SET %s = %s WHERE discord_uid = 11" % (column, value)
        expect("a player's %s becomes %s" % (column, value), "player 11", change)
        expect("a player's %s stays %s" % (column, value), "", change)
    expect("what no cache has of a player changes", "", "UPDATE players SET created_at = '2020-01-01'")
    expect("a player gets another id", "player 11 10", "UPDATE players SET discord_uid = 10 WHERE discord_uid = 11")
    expect("a player goes", "player 10", "DELETE FROM players WHERE discord_uid = 10")
    expect("no player is touched", "", "DELETE FROM players WHERE discord_uid = 10",
           "UPDATE players SET region = NULL WHERE discord_uid = 13")


def static_tables():
    clean()
    for table in ("maps", "races", "regions", "countries"):
        one, code, other = "static " + table, "XX", "XY"
        expect(table + ": made", one, "INSERT INTO %s (code) VALUES ('%s')" % (table, code))
        expect(table + ": named", one, "UPDATE %s SET name = 'N' WHERE code = '%s'" % (table, code))
        expect(table + ": put in again by upsert", one, "INSERT INTO %s (code, name) VALUES ('%s', 'O') "
               "ON CONFLICT (code) DO UPDATE SET name = excluded.name" % (table, code))
        expect(table + ": many at once", one, "UPDATE %s SET name = name || '!'" % table)
        expect(table + ": unchanged", "", "UPDATE %s SET name = name" % table,
               "DELETE FROM %s WHERE code = '?'" % table)
        expect(table + ": renamed", one, "UPDATE %s SET code = '%s' WHERE code = '%s'" % (table, other, code))
        expect(table + ": removed", one, "DELETE FROM %s WHERE code = '%s'" % (table, other))
        expect(table + ": truncated" + (" with the players" if table in ("regions", "countries") else ""),
               one + (", player *" if table in ("regions", "countries") else ""), "TRUNCATE %s CASCADE" % table)
    expect("a map is closed", "static maps", "INSERT INTO maps (code) VALUES ('m'), ('n')",
           "UPDATE maps SET active = false WHERE code = 'm'")
    expect("a race changes the game", "static races", "INSERT INTO races (code) VALUES ('r')",
           "UPDATE races SET game = 'sc3'")


def cascades():
    clean()
    expect("a country's code changes with its players", "static countries, player 11 12",
           "UPDATE countries SET code = 'DD' WHERE code = 'DE'")
    expect("a region's code changes with its players", "static regions, player 11",
           "UPDATE regions SET code = 'eu' WHERE code = 'euw'")
    check("notices: a country with players stays, and nothing is told", refused("DELETE FROM countries"))
    told("INSERT INTO players (discord_uid, country) SELECT n, 'DD' FROM generate_series(1001, 1200) n")
    expect("a country with very many players", "static countries, player *",
           "UPDATE countries SET code = 'DE' WHERE code = 'DD'")
    expect("a person's end tells nothing", "", "INSERT INTO users (id, telegram_id) VALUES (5, 5)",
           "INSERT INTO start_code_uses (code_id, user_id) VALUES (1, 5)", "DELETE FROM users")
    expect("truncated, with what hangs on it", "persona *, startcode *", "TRUNCATE personas CASCADE")
    expect("truncated empty", "player *, startcode *", "TRUNCATE start_codes, players CASCADE")


def many():
    clean()
    expect("1000 codes are made", "startcode *",
           "INSERT INTO start_codes (code) SELECT 'c' || n FROM generate_series(1, 1000) n")
    expect("1000 codes change what no cache has", "", "UPDATE start_codes SET description = 'x' WHERE code ~ '^c'")
    expect("50 codes change: 100 keys", "startcode " + each("c%d", 1, 50) + " " + each("#%d", 3, 52),
           "UPDATE start_codes SET active = false WHERE id BETWEEN 3 AND 52")
    expect("51 codes change: 102 keys", "startcode *",
           "UPDATE start_codes SET active = true, max_uses = 4 WHERE id BETWEEN 3 AND 53")
    expect("25 codes are renamed: 76 keys",
           "startcode %% %s %s %s" % (each("c%d", 1, 25), each("d%d", 1, 25), each("#%d", 3, 27)),
           "UPDATE start_codes SET code = 'd' || substr(code, 2) WHERE id BETWEEN 3 AND 27")
    expect("1000 codes go", "startcode *", "DELETE FROM start_codes WHERE id > 2")
    expect("98 personas: 100 keys", "persona default % " + each("%d", 3, 100),
           "INSERT INTO personas (key) SELECT 'p' || n FROM generate_series(1, 98) n")
    expect("100 personas: 102 keys", "persona *", "UPDATE personas SET name = 'x'")
    expect("100 players", "player " + each("%d", 1001, 1100),
           "INSERT INTO players (discord_uid) SELECT n FROM generate_series(1001, 1100) n")
    expect("101 players", "player *", "UPDATE players SET player_name = 'x' WHERE discord_uid BETWEEN 1000 AND 1100 "
           "OR discord_uid = 11")
    expect("1000 players", "player *", "INSERT INTO players (discord_uid) SELECT n FROM generate_series(2001, 3000) n")
    expect("1000 players go", "player *", "DELETE FROM players WHERE discord_uid > 2000")
    expect("300 players by statements of 100", "player " + each("%d", 5001, 5300),
           *["INSERT INTO players (discord_uid) SELECT n FROM generate_series(%d, %d) n" % (n + 1, n + 100)
             for n in (5000, 5100, 5200)], "UPDATE players SET region = 'euw' WHERE discord_uid BETWEEN 5101 AND 5200")


def transactions():
    clean()
    expect("an upsert makes one and changes one", "startcode open new #1 #4 %",
           "INSERT INTO start_codes (code, active) VALUES ('open', false), ('new', false) "
           "ON CONFLICT (code) DO UPDATE SET active = excluded.active")
    expect("one statement changes, removes and makes", "startcode open two again #1 #2 #9 %",
           "WITH a AS (UPDATE start_codes SET active = true WHERE id = 1), "
           "b AS (DELETE FROM start_codes WHERE id = 2), "
           "c AS (UPDATE start_codes SET description = 'same' WHERE code = 'new') "
           "INSERT INTO start_codes (id, code) VALUES (9, 'again')")
    clean()
    expect("many statements, one transaction: each key once", "startcode open two #1 #2, persona 1 default %",
           "UPDATE start_codes SET active = false WHERE id = 1", "UPDATE start_codes SET active = false",
           "UPDATE start_codes SET active = true WHERE id = 1", "UPDATE personas SET name = 'Z' WHERE id = 1")
    expect("rolled back", "", "UPDATE start_codes SET active = false", "DELETE FROM players",
           "TRUNCATE personas CASCADE", "UPDATE maps SET active = false", commit=False)
    expect("rolled back in part", "startcode open #1, player 12", "UPDATE start_codes SET max_uses = 5 WHERE id = 1",
           "SAVEPOINT s", "DELETE FROM start_codes", "UPDATE personas SET name = 'n'", "ROLLBACK TO s",
           "UPDATE players SET player_name = 'n' WHERE discord_uid = 12")
    expect("within a savepoint it is the same transaction", "startcode two #2", "SAVEPOINT s",
           "UPDATE start_codes SET max_uses = 5 WHERE id = 2", "RELEASE s")
    with writer.cursor() as cur:
        cur.copy_expert("COPY players (discord_uid, player_name) FROM STDIN", io.StringIO("71\tx\n72\ty\n"))
    expect("by COPY", "player 71 72")
    expect("whatever schemas are looked through", "startcode open #1, persona 1 default %, player 11, static maps",
           "SET LOCAL search_path = ''", "UPDATE public.start_codes SET max_uses = 6 WHERE id = 1",
           "UPDATE public.personas SET name = '6' WHERE id = 1",
           "UPDATE public.players SET player_name = '6' WHERE discord_uid = 11",
           "INSERT INTO public.maps (code) VALUES ('six')")
    expect("and also what comes and goes", "startcode six #6 %, persona 6 default %, player 6",
           "SET LOCAL search_path = ''", "INSERT INTO public.start_codes (id, code) VALUES (6, 'six')",
           "INSERT INTO public.personas (id, key) VALUES (6, 'six')",
           "INSERT INTO public.players (discord_uid) VALUES (6)", "DELETE FROM public.start_codes WHERE id = 6",
           "DELETE FROM public.personas WHERE id = 6", "DELETE FROM public.players WHERE discord_uid = 6")
    told("CREATE ROLE clerk", "GRANT SELECT, INSERT, UPDATE, DELETE ON start_codes, players TO clerk")
    expect("by a role with rights on the table alone", "startcode open #1, player 11", "SET LOCAL ROLE clerk",
           "UPDATE start_codes SET max_uses = 7 WHERE id = 1", "DELETE FROM players WHERE discord_uid = 11")


# what every update of a bot commits: SQL by file, $1 and $2 (guard key, effects) left out
COMMITS = [
    ("persona_ask", "42, 'Ann', 'ann', 'en', 'persona', 'two', 2"),
    ("persona_open", "42, 'Ann', 'ann', 'en', 'persona', NULL, NULL, true, 1, NULL"),
    ("persona_open", "43, 'Bob', NULL, 'en', 'persona', 'two', 2, true, 2, NULL"),
    ("persona_return", "43, 'Bob', NULL, 'en', 'persona', 2, 2, 1"),
    ("persona_say", "42, 'Ann', 'ann', 'en', 'persona', 1, 1, 0, false, 'hi', 'ho'"),
    ("persona_stop", "42, 'Ann', 'ann', 'en', 'persona', 1"),
    ("person_block", "42, 'persona', true"),
    ("person_touch", "42, 'Ann', 'ann', 'en', 'persona'"),
    ("group_told", "'persona', -5"),
]


def text_of(name):
    with open(os.path.join(QUERIES, name + ".sql")) as f:
        return f.read()


def hot_paths():
    clean()
    files = [f for word in ("persona", "person", "group") for f in glob.glob("%s/%s_*.sql" % (QUERIES, word))]
    names = [os.path.basename(f)[:-4] for f in files]
    theirs = {n for n in names if "INSERT INTO guards" in text_of(n)}
    check("notices: every commit of the persona bot is tried", theirs == {n for n, _ in COMMITS}, sorted(theirs))
    for n, (name, values) in enumerate(COMMITS):
        values = "'k%d', '[]', %s" % (n, values)
        if text_of(name).startswith("-- many: "):  # of a set of one
            values = ", ".join("array[(%s)::text]" % v for v in values.split(", "))
        expect("%s %d tells nothing" % (name, n), "", "PREPARE c AS " + text_of(name), "EXECUTE c(%s)" % values, "DEALLOCATE c")
    check("notices: those commits were real", pg.rows(
        "SELECT (SELECT count(*) FROM guards), (SELECT count(*) FROM start_code_uses), (SELECT count(*) FROM messages)"
    ) == [(len(COMMITS), 2, 2)])


def triggers():
    want = sorted("%s tell_%s" % (t.split()[1], e) for t in TABLES.split(", ")
                  for e in ("insert", "update", "delete", "truncate"))
    got = [r[0] for r in pg.rows("SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal "
                                 "AND tgname ~ '^tell_' ORDER BY 1")]
    check("notices: every cached table has every trigger", sorted(got) == want, got)


start_codes()
personas()
players()
static_tables()
cascades()
many()
transactions()
hot_paths()
triggers()
lib.finish()
