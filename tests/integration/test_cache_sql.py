#!/usr/bin/python3
"""The statements that fill the caches, the rows that every installation begins with, and the count of the start codes'
users: what they answer, to whatever keys, and by which plans on large tables.

    test_cache_sql.py BINARY
"""
import json
import os
import subprocess
import sys

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lib  # noqa: E402
from lib import check  # noqa: E402

QUERIES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sql/queries")
ISO = "/usr/share/iso-codes/json/iso_3166-1.json"
BIN = os.path.abspath(sys.argv[1])
ROWS = 20000 if os.environ.get("SHOAL_TEST_LIGHT") else 100000
BY_KEY = ("cache_startcode", "cache_persona", "cache_player", "cache_static")
MODES = ("force_custom_plan", "force_generic_plan")

pg = lib.start_postgres(log_statement="all", max_wal_size="2GB")
ENV = lib.clean_env(SHOAL_POSTGRES_URL=pg.url)
subprocess.run([BIN, "migrate"], env=ENV, check=True, stdout=subprocess.DEVNULL)
db = pg.connect()
db.autocommit = True
cursor = db.cursor()


def text_of(name):
    with open(os.path.join(QUERIES, name + ".sql")) as f:
        return f.read()


def sql(text, *parameters):
    cursor.execute(text, parameters or None)
    return cursor.fetchall() if cursor.description else []


def prepare():
    for name in BY_KEY + tuple(n + "_all" for n in BY_KEY if n != "cache_player"):
        sql("PREPARE %s AS %s" % (name, text_of(name)))


def ask(name, *parameters):
    """The rows (field, value), which must be the same by both kinds of plan."""
    text = "EXECUTE " + name + ("(" + ", ".join(["%s"] * len(parameters)) + ")" if parameters else "")
    answers = []
    for mode in MODES:
        sql("SET plan_cache_mode = " + mode)
        answers.append(sql(text, *parameters))
    if answers[0] != answers[1]:
        raise AssertionError("%s%r: %r" % (name, parameters, answers))
    return answers[0]


def value(name, key):
    """The JSON value of a key, or None; the only row, under the key itself."""
    rows = ask(name, key)
    if not rows:
        return None
    if len(rows) != 1 or rows[0][0] != key:
        raise AssertionError("%s(%r): %r" % (name, key, rows))
    try:
        return json.loads(rows[0][1])
    except ValueError:
        return rows[0][1]


def is_refused(text, sqlstate):
    try:
        sql(text)
    except psycopg2.Error as e:
        return e.pgcode == sqlstate
    return False


def fill_small():
    sql("TRUNCATE users, personas, start_codes, players RESTART IDENTITY CASCADE")
    sql("INSERT INTO personas (id, key, name, greeting, prompt, replies, active) VALUES "
        "(1, 'off', 'Off', '', NULL, '{}', false), (2, 'rex', E'R\"e\\\\x', 'Hi\n', 'be', '{a,NULL,\"b c\"}', true), "
        "(3, 'default', 'D', 'g', NULL, '{}', true), (-4, 'minus', 'M', '', NULL, '{}', true), "
        "(9223372036854775807, 'last', 'L', '', NULL, '{}', true)")
    sql("INSERT INTO start_codes (id, code, persona_id, active, max_uses, expires_at) VALUES "
        "(1, 'open', 3, true, NULL, NULL), (2, 'Open', NULL, false, 5, '2030-01-02T03:04:05.6789Z'), "
        "(3, 'never', 9223372036854775807, true, NULL, 'infinity'), (4, 'gone', 2, true, NULL, '-infinity'), "
        "(-5, '12', 2, true, 9223372036854775807, '1960-01-01T00:00:00Z')")
    sql("INSERT INTO players VALUES (11, E'A\"nn \\\\ <b>', 'DE', 'euw', '2026-01-02T03:04:05.6789Z', "
        "'1969-12-31T23:59:59Z'), (-9223372036854775808, NULL, NULL, NULL, NULL, NULL), "
        "(9223372036854775807, 'max', NULL, 'kor', NULL, '2026-01-02T03:04:05.6789Z')")


# ---- what every installation begins with

def seeds():
    spots = {"DE": "Germany", "US": "United States", "GB": "United Kingdom", "KR": "South Korea", "KP": "North Korea",
             "CI": "Côte d'Ivoire", "AX": "Åland Islands", "CW": "Curaçao", "TR": "Türkiye", "VN": "Vietnam",
             "CD": "Democratic Republic of the Congo", "CG": "Republic of the Congo", "CZ": "Czechia", "TW": "Taiwan",
             "SS": "South Sudan", "ZW": "Zimbabwe", "AD": "Andorra"}
    countries = dict(sql("SELECT code, name FROM countries"))
    check("seeds: 249 countries", len(countries) == 249, len(countries))
    check("seeds: each country has a name of its own", len(set(countries.values())) == len(countries) and
          all(0 < len(n) <= 100 for n in countries.values()))
    check("seeds: countries by their codes", all(countries.get(c) == n for c, n in spots.items()),
          {c: countries.get(c) for c in spots})
    if os.path.exists(ISO):
        with open(ISO) as f:
            iso = {c["alpha_2"] for c in json.load(f)["3166-1"]}
        check("seeds: the codes of ISO 3166-1", iso == set(countries), iso ^ set(countries))
    else:
        print("ok seeds: the codes of ISO 3166-1 # skipped: there is no " + ISO)
    check("seeds: three races of two games", sql("SELECT code, name, game FROM races ORDER BY code") == [
        (g + "_" + n.lower(), n, g) for g in ("bw", "sc2") for n in ("Protoss", "Terran", "Zerg")])
    check("seeds: sixteen regions", sql("SELECT count(*), count(DISTINCT name), bool_and(name <> '') FROM regions") == [
        (16, 16, True)])
    check("seeds: ten maps, all active", sql("SELECT count(*), bool_and(active), bool_and(name <> '') FROM maps") == [
        (10, True, True)])


def tables():
    for table, key in (("maps", "'x'"), ("races", "'x'"), ("regions", "'x'"), ("countries", "'XX'")):
        sql("INSERT INTO %s (code) VALUES (%s)" % (table, key))
        sql("INSERT INTO %s (code, name) VALUES (%s, 'N') ON CONFLICT (code) DO UPDATE SET name = excluded.name" % (
            table, key))
        check(table + ": by its code alone, then by upsert",
              sql("SELECT name FROM %s WHERE code = %s" % (table, key)) == [("N",)])
        check(table + ": no code twice", is_refused("INSERT INTO %s (code) VALUES (%s)" % (table, key), "23505"))
        check(table + ": no code that nobody could type", is_refused("INSERT INTO %s (code) VALUES ('x y')" % table,
                                                                     "23514"))
        sql("DELETE FROM %s WHERE code = %s" % (table, key))
    sql("INSERT INTO players (discord_uid) VALUES (5)")
    check("players: a country and region that there are", is_refused("UPDATE players SET country = 'XX'", "23503") and
          is_refused("UPDATE players SET region = 'xx'", "23503"))
    check("players: times that come", is_refused("UPDATE players SET tos_accepted_at = 'infinity'", "23514") and
          is_refused("UPDATE players SET setup_completed_at = '-infinity'", "23514"))


# ---- what the statements answer

CODES = {
    "open": {"id": 1, "code": "open", "persona_id": "3", "active": True, "max_uses": None, "expires_ms": None},
    "Open": {"id": 2, "code": "Open", "persona_id": None, "active": False, "max_uses": 5,
             "expires_ms": 1893553445678},
    "never": {"id": 3, "code": "never", "persona_id": "9223372036854775807", "active": True, "max_uses": None,
              "expires_ms": None},
    "gone": {"id": 4, "code": "gone", "persona_id": "2", "active": True, "max_uses": None, "expires_ms": 1},
    "12": {"id": -5, "code": "12", "persona_id": "2", "active": True, "max_uses": 9223372036854775807,
           "expires_ms": 1},
}
PERSONAS = {
    "1": {"id": 1, "key": "off", "name": "Off", "greeting": "", "prompt": None, "replies": [], "active": False},
    "2": {"id": 2, "key": "rex", "name": 'R"e\\x', "greeting": "Hi\n", "prompt": "be", "replies": ["a", "b c"],
          "active": True},
    "3": {"id": 3, "key": "default", "name": "D", "greeting": "g", "prompt": None, "replies": [], "active": True},
    "-4": {"id": -4, "key": "minus", "name": "M", "greeting": "", "prompt": None, "replies": [], "active": True},
    "9223372036854775807": {"id": 9223372036854775807, "key": "last", "name": "L", "greeting": "", "prompt": None,
                            "replies": [], "active": True},
}


def start_codes():
    fill_small()
    for code, want in CODES.items():
        check("startcode: " + code, value("cache_startcode", code) == want, value("cache_startcode", code))
        rows = ask("cache_startcode", "#%d" % want["id"])
        check("startcode: #%d" % want["id"], rows == [("#%d" % want["id"], code)], rows)
    check("startcode: none", ask("cache_startcode", "nope") == ask("cache_startcode", "#6") == [])
    whole = ask("cache_startcode_all", 5)
    one_by_one = [r for c in CODES for k in (c, "#%d" % CODES[c]["id"]) for r in ask("cache_startcode", k)]
    check("startcodes whole: as one by one", sorted(whole[:-1]) == sorted(one_by_one), whole)
    check("startcodes whole: last the directory", whole[-1][0] == "%" and json.loads(whole[-1][1]) == sorted(CODES),
          whole[-1])
    check("startcodes whole: too many", ask("cache_startcode_all", 4) == [("%", "many")])
    sql("DELETE FROM start_codes")
    check("startcodes whole: none", ask("cache_startcode_all", 5) == [("%", "[]")] == ask("cache_startcode_all", 0))


def personas():
    fill_small()
    for key, want in PERSONAS.items():
        check("persona: " + key, value("cache_persona", key) == want, value("cache_persona", key))
    check("persona: none", ask("cache_persona", "6") == [])
    # who is the default one, after each of these
    for change, want in (("SELECT", "3"), ("UPDATE personas SET active = false WHERE id = 3", "-4"),
                         ("DELETE FROM personas WHERE id = -4", "2"),
                         ("UPDATE personas SET active = false WHERE id = 2", "9223372036854775807"),
                         ("UPDATE personas SET active = false", None)):
        sql(change)
        default = value("cache_persona", "default")
        whole = dict(ask("cache_persona_all", 5))
        listed = json.loads(whole.pop("%"))
        check("personas whole: all are listed, default is %s" % want, sorted(listed) == sorted(whole), listed)
        check("persona: default is %s" % want, default == (value("cache_persona", want) if want else None), default)
        check("personas whole: as one by one, default is %s" % want,
              whole == {k: v for key in [*PERSONAS, "default"] for k, v in ask("cache_persona", key)}, whole)
    check("personas whole: too many", ask("cache_persona_all", 3) == [("%", "many")])
    # plain SQL may write a text[] of any shape: what is odd in one row is that row's
    sql("UPDATE personas SET replies = '{{a,b},{NULL,d}}' WHERE id = 2")
    check("persona: answers of two dimensions are a list", value("cache_persona", "2")["replies"] == ["a", "b", "d"]
          and len(ask("cache_persona_all", 6)) > 1, value("cache_persona", "2"))
    # texts too large for a cache, and large ones that are too many to be loaded at once
    check("persona: too large for a cache", is_refused(
        "UPDATE personas SET greeting = repeat('x', 4000000) WHERE id = 2", "23514"))
    check("persona: too large as JSON", is_refused(
        "UPDATE personas SET replies = ARRAY[repeat('\"', 2000000)] WHERE id = 2", "23514"))
    sql("UPDATE personas SET prompt = repeat('x', 32768 * 3), replies = array_fill(repeat('\u20ac', 4096), ARRAY[200]), "
        "greeting = repeat('\u20ac', 4096), name = repeat('\u20ac', 64) WHERE id = 2")
    check("persona: as large as the verbs take", 2400000 < len(ask("cache_persona", "2")[0][1].encode()) < 4 << 20)
    sql("UPDATE personas SET greeting = repeat('x', 3000000) WHERE id <> 2")
    check("personas whole: as much as can be", len(ask("cache_persona_all", 6)) > 1)
    sql("INSERT INTO personas (id, key, greeting) SELECT n, 'more' || n, repeat('x', 3000000) FROM generate_series(77, 78) n")
    check("personas whole: too much", ask("cache_persona_all", 6) == [("%", "many")])
    sql("DELETE FROM start_codes")
    sql("DELETE FROM personas")
    check("personas whole: none", ask("cache_persona_all", 5) == [("%", "[]")] and
          ask("cache_persona", "default") == [])


def players():
    fill_small()
    nobody = {"name": None, "country": None, "region": None, "tos_ms": None, "setup_ms": None}
    for key, want in {"11": {"name": 'A"nn \\ <b>', "country": "DE", "region": "euw", "tos_ms": 1767323045678,
                             "setup_ms": 1},
                      "-9223372036854775808": nobody,
                      "9223372036854775807": {**nobody, "name": "max", "region": "kor",
                                              "setup_ms": 1767323045678}}.items():
        check("player: " + key, value("cache_player", key) == want, value("cache_player", key))
    check("player: none", ask("cache_player", "12") == [])


def static_tables():
    whole = dict(ask("cache_static_all"))
    check("static whole: all are listed", json.loads(whole.pop("%")) == ["maps", "races", "regions", "countries"])
    columns = {"maps": ["code", "name", "active"], "races": ["code", "name", "game"], "regions": ["code", "name"],
               "countries": ["code", "name"]}
    check("static whole: the four tables", list(whole) == list(columns), list(whole))
    for table, names in columns.items():
        rows = value("cache_static", table)
        there = set(sql("SELECT * FROM " + table))
        check(table + ": all rows with all columns", len(there) == len(rows) and all(
            list(r) == names and tuple(r.values()) in there for r in rows))
        check(table + ": alone as in the whole", rows == json.loads(whole[table]))
        if table != "countries":
            check(table + ": by code", [r["code"] for r in rows] == sorted(r["code"] for r in rows))
    names = [r["name"] for r in value("cache_static", "countries")]
    plain = str.maketrans("ÅÇÔÉåãçéíôöü", "ACOEaaceioou")
    check("countries: by name, accents apart", names == sorted(names, key=lambda n: n.translate(plain)) and
          names[:3] == ["Afghanistan", "Åland Islands", "Albania"], names)
    check("countries: no letter without a place", all(n.translate(plain).isascii() for n in names))
    sql("BEGIN")
    sql("TRUNCATE maps, races, regions, countries CASCADE")
    check("static: empty", [value("cache_static", t) for t in columns] == [[]] * 4 and
          ask("cache_static_all")[:4] == [(t, "[]") for t in columns])
    sql("ROLLBACK")


HOSTILE = ["", " ", "'", '"', "\\", "%", "_", "*", "#", "##1", "#1 ", "# 1", "#+1", "#01", "#1.0", "#1e0", "#0x1",
           "#-", "#--1", "#1\n", "1\n", " 1", "1 ", "+1", "01", "1.0", "1e0", "0x1", "-0", "--1", "1_1", "11 ",
           "011", "+11", "\u0661", "\uff11", "NaN", "Infinity", "null", "NULL", "true", "' OR true --", "open'",
           "open ", " open", "OPEN", "open\n", "default ", "DEFAULT", "maps ", "MAPS", "players", "pg_class",
           "public.maps", "maps;", "{maps}", "[1]", "9223372036854775808", "-9223372036854775809",
           "#9223372036854775808", "#-9223372036854775809", "9" * 255, "#" + "9" * 254, "-" + "1" * 254, "x" * 255,
           "\u00fc" * 127, "$1", "%s", "%%", "\x01", "\x7f"]


def hostile_keys():
    fill_small()
    for name in BY_KEY:
        wrong = []
        for key in HOSTILE:
            try:
                wrong += [(key, r) for r in ask(name, key)]
            except psycopg2.Error as e:
                wrong.append((key, str(e)))
        check("%s: %d keys that are none" % (name, len(HOSTILE)), not wrong, wrong)
    check("keys in another's cache are none", ask("cache_persona", "open") == ask("cache_player", "open") ==
          ask("cache_player", "#1") == ask("cache_player", "default") == ask("cache_startcode", "maps") == [])


# ---- by which plans

def plan(text, *parameters, analyze=True):
    """All nodes of a plan, each with its ancestors' list under "above"."""
    root = sql("EXPLAIN (FORMAT JSON%s) %s" % (", ANALYZE, TIMING OFF" if analyze else "", text), *parameters)
    nodes, left = [], [(root[0][0][0]["Plan"], [])]
    while left:
        node, above = left.pop()
        node["above"] = above
        nodes.append(node)
        left += [(n, above + [node]) for n in node.get("Plans", [])]
    return nodes


def scans(nodes, table=None):
    return [n for n in nodes if "Relation Name" in n and table in (None, n["Relation Name"])]


def by_index(nodes):
    """Every table is reached through an index if at all, and no more than two of its rows are looked at."""
    return all(
        n["Node Type"] in ("Index Scan", "Index Only Scan") and
        (n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] <= 2 for n in scans(nodes))


def shown(nodes):
    return [(n["Node Type"], n.get("Relation Name"), n.get("Actual Rows"), n.get("Actual Loops")) for n in nodes]


def fill_large():
    sql("TRUNCATE users, personas, start_codes, players RESTART IDENTITY CASCADE")
    sql("SET session_replication_role = replica")
    # the first half of the personas is inactive: the default one is not found by luck
    sql("INSERT INTO personas (key, active) SELECT 'p' || n, n > %s FROM generate_series(1, %s) n", ROWS // 2, ROWS)
    sql("INSERT INTO start_codes (code, persona_id) SELECT 'c' || n, n FROM generate_series(1, %s) n", ROWS)
    sql("INSERT INTO players (discord_uid, player_name) SELECT n, 'n' || n FROM generate_series(1, %s) n", ROWS)
    sql("SET session_replication_role = origin")
    sql("VACUUM ANALYZE personas, start_codes, players")


def plans_by_key():
    fill_large()
    for mode in MODES:
        sql("SET plan_cache_mode = " + mode)
        for name, keys in (("cache_startcode", ["c77", "#77", "nope", "#-1", "#x"]),
                           ("cache_player", ["77", "0", "x"]), ("cache_persona", ["77", "0", "x", "default"])):
            for key in keys:
                nodes = plan("EXECUTE %s(%%s)" % name, key)
                check("plan: %s(%s) by an index, %s" % (name, key, mode), by_index(nodes), shown(nodes))
    check("plan: the default persona of many", value("cache_persona", "default")["id"] == ROWS // 2 + 1)
    sql("INSERT INTO personas (key) VALUES ('default')")
    check("plan: the default persona by its key", value("cache_persona", "default")["key"] == "default" and
          by_index(plan("EXECUTE cache_persona('default')")))
    sql("SET plan_cache_mode = auto")
    for bad in ("SELECT FROM start_codes WHERE code || '' = 'c77'", "SELECT FROM personas WHERE id::text = '77'",
                "SELECT FROM personas WHERE active ORDER BY key = 'default' DESC, id LIMIT 1",
                "SELECT FROM players WHERE discord_uid > 77"):
        check("plan: would be found: " + bad, not by_index(plan(bad)))
    for name, table in (("cache_startcode_all", "start_codes"), ("cache_persona_all", "personas")):
        read = sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"]
                   for n in scans(plan("EXECUTE %s(1000)" % name), table))
        check("plan: %s of too many looks at 1001 rows" % name, read == 1001, read)


def counted_once(nodes):
    """One pass over the uses into one aggregate, whatever the number of codes; not once for each of them."""
    uses = scans(nodes, "start_code_uses")
    above = [n for u in uses for n in u["above"] + [u]]
    aggregates = [n for n in nodes if n["Node Type"] == "Aggregate" and n.get("Partial Mode") != "Partial"]
    return (len(uses) == len(scans(nodes, "start_codes")) == len(aggregates) == 1 and
            any(n is aggregates[0] for n in above) and
            not any(n["Node Type"] == "Nested Loop" or "SubPlan" in n.get("Subplan Name", "") for n in nodes))


PER_CODE = ["SELECT code, (SELECT count(*) FROM start_code_uses u WHERE u.code_id = c.id) FROM start_codes c",
            "SELECT code, n FROM start_codes c, "
            "LATERAL (SELECT count(*) AS n FROM start_code_uses u WHERE u.code_id = c.id LIMIT 1) x",
            "SELECT code, 0 FROM start_codes"]


def fill_codes(codes, users):
    """Code n has about as many users as any other, but the last one none."""
    sql("TRUNCATE users, personas, start_codes RESTART IDENTITY CASCADE")
    sql("SET session_replication_role = replica")
    sql("INSERT INTO personas (key) SELECT 'p' || n FROM generate_series(1, 4) n")
    sql("INSERT INTO start_codes (code, persona_id, description, max_uses) "
        "SELECT 'c' || n, nullif(n %% 5, 0), 'd', n FROM generate_series(1, %s) n", codes)
    sql("INSERT INTO users (telegram_id) SELECT n FROM generate_series(1, %s) n", users)
    sql("INSERT INTO start_code_uses (code_id, user_id) SELECT n %% (%s - 1) + 1, n FROM generate_series(1, %s) n",
        codes, users)
    sql("SET session_replication_role = origin")
    sql("VACUUM ANALYZE users, personas, start_codes, start_code_uses")


def counts():
    text = text_of("code_counts")
    for codes, users in ((100, 2 * ROWS), (ROWS, ROWS // 5)):
        size = "%d codes, %d users" % (codes, users)
        fill_codes(codes, users)
        nodes = plan(text, analyze=False)
        check("counts: one aggregate, " + size, counted_once(nodes), shown(nodes))
        for bad in PER_CODE:
            check("counts: would be found, %s: %s" % (size, bad), not counted_once(plan(bad, analyze=False)))
        got = {r[0]: r[6] for r in sql(text)}
        want = {"c%d" % n: users // (codes - 1) + (1 if 0 < n - 1 < 1 + users % (codes - 1) else 0)
                for n in range(1, codes)}
        want["c%d" % codes] = 0
        check("counts: right, " + size, got == want, sorted(set(got.items()) ^ set(want.items()))[:10])
    sql("DELETE FROM start_codes WHERE id > 10")
    before = len(pg.output())
    ran = subprocess.run([BIN, "code", "list", "--json"], env=ENV, capture_output=True)
    rows = json.loads(ran.stdout or b"[]")
    check("counts: `code list` tells them", {r["code"]: r["user_count"] for r in rows} == {
        k: v for k, v in got.items() if int(k[1:]) <= 10} and {r["persona"] for r in rows} == {
            None, "p1", "p2", "p3", "p4"}, rows)
    check("counts: `code list` asks once", pg.output()[before:].count("start_code_uses") == 1)


prepare()
seeds()
tables()
start_codes()
personas()
players()
static_tables()
hostile_keys()
plans_by_key()
counts()
lib.finish()
