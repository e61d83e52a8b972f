"""The verbs of the administration against a real Redis and PostgreSQL: what they do, print and return."""
import csv
import hashlib
import io
import json
import os
import pty
import pwd
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lib  # noqa: E402
from lib import check  # noqa: E402
from pgbouncer import pooled, postgres_env, start_pgbouncer  # noqa: E402

BIN = os.path.abspath(sys.argv[1])
DONE, FAILED, USAGE, NO_SERVER, NOT_THERE = range(5)

redis = lib.start_redis()
pg = lib.start_postgres(log_statement="all")
r = redis.client()
BASE = {"SHOAL_REDIS_URL": redis.url, **postgres_env(pg)}


class Ran:
    def __init__(self, done):
        self.code, self.raw, self.err_raw = done.returncode, done.stdout, done.stderr
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.raw.decode("utf-8"))

    def __str__(self):
        return "exit %d\n%s\n%s" % (self.code, self.out, self.err)


def shoal(*args, stdin=b"", **env):
    settings = {**BASE, **env}
    return Ran(subprocess.run([BIN, *args], input=stdin, capture_output=True, env=lib.clean_env(**settings),
                              timeout=lib.PATIENCE))


def expect(name, ran, code, *texts):
    """Exit code, and each text somewhere in what it printed; nothing may crash."""
    said = ran.out + ran.err
    return check(name, ran.code == code and all(t in said for t in texts),
                 "want exit %d with %r, got %s" % (code, texts, ran))


def one(sql, *parameters):
    rows = pg.rows(sql, *parameters)
    return rows[0][0] if rows else None


def audits():
    return one("select count(*) from admin_audit")


for word in ("version", "--version"):
    ran = shoal(word)
    check("tells_its_version_" + word, ran.code == 0 and ran.out.startswith("shoal ") and len(ran.out.split()) == 2, ran)

# --- migrate

ran = shoal("migrate", "--status", "--json")
MIGRATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sql/migrations")
files = sorted(f for f in os.listdir(MIGRATIONS) if f.endswith(".sql"))


def sha256_of(name):
    with open(os.path.join(MIGRATIONS, name), "rb") as sql:
        return hashlib.sha256(sql.read()).hexdigest()


check("migrate_status_of_a_new_database", ran.code == DONE and [
    ("%03d_%s.sql" % (m["version"], m["name"]), m["state"], m["applied_at"]) for m in ran.json()] == [
    (f, "pending", None) for f in files], ran)
check("migrate_status_changes_nothing", one("select to_regclass('schema_migrations')") is None)
expect("verbs_say_that_the_schema_is_missing", shoal("code", "list"), FAILED, "run `shoal migrate`")



def waits(**env):
    """`migrate --wait` under way, once it has said why it does not return yet; and what it said."""
    p = subprocess.Popen([BIN, "migrate", "--wait"], env=lib.clean_env(**{**BASE, **env}), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    return p, p.stderr.readline().decode()


early, says = waits()
check("migrate_wait_waits_for_the_schema", "not applied yet" in says and early.poll() is None, says)
nowhere, says = waits(SHOAL_POSTGRES_URL="postgresql://127.0.0.1:%d/shoal" % lib.free_port(), SHOAL_POSTGRES_DIRECT_URL=None)
check("migrate_wait_waits_for_the_server", "cannot reach PostgreSQL" in says and nowhere.poll() is None, says)
nowhere.terminate()
check("migrate_wait_ends_when_told", nowhere.wait(lib.PATIENCE) == 128 + 15)
check("migrate_wait_applies_nothing", one("select to_regclass('schema_migrations')") is None)

five = [subprocess.Popen([BIN, "migrate"], env=lib.clean_env(**BASE), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(5)]
ends = [p.communicate(timeout=lib.PATIENCE) + (p.returncode,) for p in five]
applied = sum(out.count(b" applied in ") for out, _, _ in ends)
check("migrate_by_five_at_once_all_succeed", all(code == DONE for _, _, code in ends), ends)
check("migrate_by_five_at_once_applies_each_once", applied == len(files) == one(
    "select count(*) from schema_migrations"), ends)
out, err = early.communicate(timeout=lib.PATIENCE)
check("migrate_wait_returns_when_another_has_applied", early.returncode == DONE, err)
expect("migrate_again_has_nothing_to_do", shoal("migrate"), DONE, "up to date")
ran = shoal("migrate", "--json")
check("migrate_json", ran.code == DONE and all(m["state"] == "applied" and m["applied_at"].endswith("Z")
                                               for m in ran.json()), ran)
check("migrate_checksum_is_sha256_of_the_file", one(
    "select checksum from schema_migrations where version = 1") == sha256_of(files[0]))

holder = pg.connect()
holder.autocommit = True
with holder.cursor() as cur:
    cur.execute("select pg_advisory_lock(5500210713)")
waiting = subprocess.Popen([BIN, "migrate"], env=lib.clean_env(**BASE), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
says = waiting.stderr.readline()
time.sleep(0.6)
check("migrate_waits_for_another", waiting.poll() is None and b"waiting" in says, says)
holder.close()
out, err = waiting.communicate(timeout=lib.PATIENCE)
check("migrate_goes_on_after_the_other", waiting.returncode == DONE, err)

pg.rows("update schema_migrations set checksum = repeat('0', 64) where version = 2")
name = files[1][:-4]
expect("migrate_refuses_a_changed_migration", shoal("migrate"), FAILED, name, "changed after it was applied")
expect("migrate_wait_refuses_a_changed_migration", shoal("migrate", "--wait"), FAILED, name)
ran = shoal("migrate", "--status", "--json")
check("migrate_status_shows_a_changed_migration", ran.code == FAILED and [
    m["state"] for m in ran.json() if m["version"] == 2] == ["changed"], ran)
pg.rows("delete from schema_migrations where version = 2")
ran = shoal("migrate")
expect("migrate_that_fails_names_file_and_reason", ran, FAILED, name, "already exists")
check("migrate_that_fails_leaves_no_row", one("select count(*) from schema_migrations where version = 2") == 0)
# whoever does not ask for the lock
faster = pg.connect()
with faster.cursor() as cur:
    cur.execute("insert into schema_migrations (version, name, checksum) values (2, 'x', %s)", (sha256_of(files[1]),))
slower = subprocess.Popen([BIN, "migrate"], env=lib.clean_env(**BASE), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
lib.wait_for(lambda: one("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"))
faster.commit()
faster.close()
out, err = slower.communicate(timeout=lib.PATIENCE)
check("migrate_applies_once_even_without_the_lock", slower.returncode == DONE and b"by another" in out, (out, err))
pg.rows("insert into schema_migrations (version, name, checksum) values (99999, 'from_the_future', 'x')")
expect("migrate_warns_of_an_unknown_one", shoal("migrate"), DONE, "99999_from_the_future", "does not know")
check("migrate_status_shows_an_unknown_one", [
    m["state"] for m in shoal("migrate", "--status", "--json").json() if m["version"] == 99999] == ["unknown"])
pg.rows("delete from schema_migrations where version = 99999")
expect("migrate_takes_no_operand", shoal("migrate", "now"), USAGE, "too much")
dead_pg = "postgresql://x:secretword@127.0.0.1:%d/shoal" % lib.free_port()
ran = shoal("migrate", SHOAL_POSTGRES_URL=dead_pg, SHOAL_POSTGRES_DIRECT_URL=None)
expect("migrate_without_a_server", ran, NO_SERVER, "cannot reach PostgreSQL")
check("no_password_in_an_error", "secretword" not in ran.out + ran.err, ran)
expect("migrate_goes_to_the_direct_url", shoal("migrate", SHOAL_POSTGRES_URL=dead_pg, SHOAL_POSTGRES_DIRECT_URL=pg.url),
       DONE, "up to date")

# through a pooler alone, whose sessions outlive whoever used them
behind = postgres_env(pg, start_pgbouncer(pg))
behind["SHOAL_POSTGRES_DIRECT_URL"] = behind["SHOAL_POSTGRES_URL"]
for again in "", "_again":
    six = [subprocess.Popen([BIN, "migrate"], env=lib.clean_env(**{**BASE, **behind}), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
           for _ in range(6)]
    ends = [p.communicate(timeout=lib.PATIENCE) + (p.returncode,) for p in six]
    check("migrate_by_six_behind_a_pooler" + again, all(code == DONE for _, _, code in ends), ends)

# --- persona


OLD = "0123456789abcdef-old"


def mark(cache, key="default"):
    """A value, the list of all, and loaders under way, as workers leave them."""
    r.set("shoal:{cache}:v:" + cache, OLD)
    for k in ("%", key):
        r.set("shoal:{cache}:v:%s:%s" % (cache, k), OLD + "|{}")
        r.set("shoal:{cache}:l:%s:%s" % (cache, k), "token")


def told(cache, key="default"):
    """Nothing of it can be believed or filled any more: its generation has ended, or it went by its key."""
    if r.get("shoal:{cache}:v:" + cache) != OLD.encode():
        return r.exists("shoal:{cache}:l:%s:%%" % cache) == 0
    return r.exists(*["shoal:{cache}:%s:%s:%s" % (part, cache, k) for part in "vl" for k in ("%", key)]) == 0


expect("persona_list_empty", shoal("persona", "list"), DONE, "no personas yet")
check("persona_list_empty_json", shoal("persona", "list", "--json").json() == [])
mark("persona")
before = audits()
ran = shoal("persona", "add", "sam", "--name", "Sam \U0001F41F", "--greeting", "Hi,\n\"you\"'; --",
                            "--prompt", "Be kind.", "--reply", "one", "--reply", "two, {\"x\"}")
expect("persona_add", ran, DONE, "sam added")
check("what_goes_well_leaves_stderr_alone", ran.err == "", ran)
check("persona_add_tells_the_cache", told("persona"))
check("persona_add_is_audited", audits() == before + 1 and pg.rows(
    "select actor, action, target, details->>'key' from admin_audit order by id desc limit 1")[0] == (
    "cli:" + pwd.getpwuid(os.getuid()).pw_name, "persona.add", "persona:sam", "sam"))
check("persona_list_json", shoal("persona", "list", "--json").json() == [{
    "key": "sam", "name": "Sam \U0001F41F", "greeting": "Hi,\n\"you\"'; --", "prompt": "Be kind.",
    "replies": ["one", "two, {\"x\"}"], "active": True, "codes": 0, "chats": 0}])
expect("persona_list_table", shoal("persona", "list"), DONE, "KEY", "sam", "yes")
pg.rows("update personas set name = repeat('\u6f01', 3000) where key = 'sam'")
head, row = shoal("persona", "list").out.splitlines()
name = "\u6f01" * 31 + "\u2026"
check("table_cuts_a_name_that_is_too_wide", row.split()[:2] == ["sam", name] and
      head.index("ACTIVE") == row.index("yes") + 31, (head, row))
check("json_has_all_of_a_name", shoal("persona", "list", "--json").json()[0]["name"] == "\u6f01" * 3000)
unseen = "\u009b\u061c\u200e\u200f\u2028\u2029\u202e\u2066\uffff"
pg.rows("update personas set name = %s where key = 'sam'", "a" + unseen + "b")
check("table_shows_nothing_that_a_terminal_obeys", "a" + "\ufffd" * len(unseen) + "b" in shoal("persona", "list").out)
ran = shoal("persona", "list", "--json")
check("json_escapes_what_a_terminal_obeys", ran.out.isascii() and ran.json()[0]["name"] == "a" + unseen + "b", ran)
pg.rows("update personas set name = 'Sam' where key = 'sam'")
before = audits()
expect("persona_add_again", shoal("persona", "add", "sam", "--name", "x", "--greeting", "y"), FAILED, "already")
check("what_is_refused_is_not_audited", audits() == before)
expect("persona_add_needs_name", shoal("persona", "add", "x", "--greeting", "y"), USAGE, "--name")
expect("persona_key_rule", shoal("persona", "add", "Sam!", "--name", "x", "--greeting", "y"), USAGE, '"Sam!"', "a-z 0-9")
expect("persona_name_too_long", shoal("persona", "add", "x", "--name", "n" * 65, "--greeting", "y"), USAGE, "65", "64")
expect("persona_greeting_too_long", shoal("persona", "set", "sam", "--greeting", "n" * 4097), USAGE, "4096")
expect("persona_blank_greeting", shoal("persona", "set", "sam", "--greeting", " \n "), USAGE, "must not be empty")
mark("persona")
expect("persona_set", shoal("persona", "set", "sam", "--name", "Samuel", "--inactive", "--prompt", "", "--no-replies"),
       DONE, "sam changed")
check("persona_set_tells_the_cache", told("persona"))
sam = shoal("persona", "list", "--json").json()[0]
check("persona_set_changes_what_is_given", (sam["name"], sam["active"], sam["prompt"], sam["replies"],
                                            sam["greeting"]) == ("Samuel", False, None, [], "Hi,\n\"you\"'; --"), sam)
expect("persona_set_replies_in_order", shoal("persona", "set", "sam", *sum((["--reply", str(i)] for i in range(12)), []),
                                             "--active"), DONE)
check("persona_replies_keep_their_order", shoal("persona", "list", "--json").json()[0]["replies"] == [
    str(i) for i in range(12)])
expect("persona_set_nothing", shoal("persona", "set", "sam"), USAGE, "nothing to set")
expect("persona_set_both", shoal("persona", "set", "sam", "--active", "--inactive"), USAGE, "exclude")
expect("persona_set_unknown", shoal("persona", "set", "nobody", "--name", "x"), NOT_THERE, "no persona nobody")
expect("persona_remove_unknown", shoal("persona", "remove", "nobody"), NOT_THERE, "no persona nobody")
expect("persona_takes_no_other_option", shoal("persona", "remove", "sam", "--name", "x"), USAGE, "takes no --name")
shoal("persona", "add", "gone", "--name", "Gone", "--greeting", "Bye")
mark("persona")
expect("persona_remove", shoal("persona", "remove", "gone"), DONE, "gone removed")
check("persona_remove_tells_the_cache", told("persona"))
check("persona_is_removed", [p["key"] for p in shoal("persona", "list", "--json").json()] == ["sam"])

# --- code

expect("code_list_empty", shoal("code", "list"), DONE, "no start codes yet")
mark("startcode", "Spring_26")
expect("code_add", shoal("code", "add", "Spring_26", "--persona", "sam", "--description", "a \"b\", c\nd \u4e2d",
                         "--max-uses", "9223372036854775807", "--expires", "2027-01-31T12:00:00.250+02:00"), DONE)
check("code_add_tells_the_cache", told("startcode", "Spring_26"))
ran = shoal("code", "list", "--json")
code = ran.json()[0]
created = code.pop("created_at")
check("code_list_json", code == {"code": "Spring_26", "persona": "sam", "description": "a \"b\", c\nd \u4e2d",
                                 "active": True, "max_uses": 9223372036854775807,
                                 "expires_at": "2027-01-31T10:00:00.250Z", "user_count": 0} and created.endswith("Z"),
      ran)
expect("code_add_again", shoal("code", "add", "Spring_26", "--persona", "sam"), FAILED, "already")
expect("code_is_case_sensitive", shoal("code", "add", "spring_26", "--persona", "sam", "--inactive"), DONE)
expect("code_add_unknown_persona", shoal("code", "add", "x", "--persona", "nobody"), NOT_THERE, "no persona nobody")
expect("code_add_needs_a_persona", shoal("code", "add", "x"), USAGE, "--persona")
expect("code_add_needs_a_code", shoal("code", "add", "--persona", "sam"), USAGE, "CODE missing")
for name, bad in [("empty", ""), ("long", "x" * 65), ("very_long", "x" * 100000), ("space", "a b"), ("dot", "a.b"),
                  ("escape", "\x1b[31mred"), ("quote", "'; drop table users; --"), ("newline", "a\n"),
                  ("not_utf8", b"\xff\xfe")]:
    ran = shoal("code", "add", bad, "--persona", "sam")
    expect("code_refuses_" + name, ran, USAGE, "must be 1 to 64 characters of A-Z")
    check("code_refusal_is_short_and_clean_" + name, len(ran.err_raw) < 700 and b"\x1b" not in ran.err_raw and
          b"\xff" not in ran.err_raw, ran)
for args, text in [(["help", "\x1b[2J"], '"\\x1b[2J"'), (["z" * 5000], "(5000 bytes)"), (["code", "list", "--\x1b[31m"], '"--\\x1b[31m"'),
                   (["code", "list", "--" + "z" * 5000 + "=1"], "(5002 bytes)"), (["version", "\u202e"], '"\\xe2\\x80\\xae"'),
                   (["workers", "\u061c"], '"\\xd8\\x9c"')]:
    ran = shoal(*args)
    expect("typed_wrong_" + ascii(args[-1][:9]), ran, USAGE, text)
    check("typed_wrong_is_short_and_clean_" + ascii(args[-1][:9]), len(ran.err) < 200 and ran.err.isascii() and
          b"\x1b" not in ran.err_raw, ran)
for option, bad in [("--max-uses", "0"), ("--max-uses", "-1"), ("--max-uses", "9223372036854775808"),
                    ("--max-uses", "1e3"), ("--max-uses", " 1"), ("--max-uses", ""), ("--expires", "tomorrow"),
                    ("--expires", "2027-02-30T00:00:00Z"), ("--expires", "2027-01-01"), ("--expires", ""),
                    ("--expires", "1969-12-31T23:59:59Z"), ("--expires", "2027-01-01T00:00:00"),
                    ("--description", "x" * 1001), ("--description", "a\x01b"), ("--description", b"\xc3("),
                    ("--persona", "../x")]:
    expect("code_refuses_%s_%r" % (option, bad[:20]), shoal("code", "set", "Spring_26", option, bad), USAGE, "must be"
           if option != "--description" else "the description is")
expect("code_notes_a_past_time", shoal("code", "set", "spring_26", "--expires", "2001-01-01T00:00:00Z"), DONE,
       "in the past")
mark("startcode", "Spring_26")
expect("code_set", shoal("code", "set", "Spring_26", "--no-max-uses", "--no-expires", "--description", "", "--inactive"),
       DONE, "changed")
check("code_set_tells_the_cache", told("startcode", "Spring_26"))
check("code_set_is_audited_with_before_and_after", pg.rows(
    "select action, target, details#>>'{before,active}', details#>>'{after,active}' from admin_audit "
    "order by id desc limit 1")[0] == ("code.set", "code:Spring_26", "true", "false"))
code = [c for c in shoal("code", "list", "--json").json() if c["code"] == "Spring_26"][0]
check("code_set_clears", (code["max_uses"], code["expires_at"], code["description"], code["active"], code["persona"]) ==
      (None, None, None, False, "sam"), code)
expect("code_set_both", shoal("code", "set", "Spring_26", "--expires", "2027-01-01T00:00:00Z", "--no-expires"), USAGE,
       "exclude")
expect("code_set_nothing", shoal("code", "set", "Spring_26"), USAGE, "nothing to set")
expect("code_set_unknown", shoal("code", "set", "nope", "--active"), NOT_THERE, "no start code nope")
expect("code_set_unknown_persona", shoal("code", "set", "Spring_26", "--persona", "nobody"), NOT_THERE, "no persona")
expect("code_unknown_option", shoal("code", "list", "--wide"), USAGE, "--wide")
expect("code_option_of_another", shoal("code", "list", "--persona", "sam"), USAGE, "takes no --persona")
expect("code_without_subverb", shoal("code"), USAGE, "list, add, set")
expect("code_unknown_subverb", shoal("code", "rename"), USAGE, '"rename"', "list, add, set")
expect("persona_in_use_is_not_removed", shoal("persona", "remove", "sam"), FAILED, "2 start codes and 0 chats")

pg.rows("insert into users (telegram_id, acquisition_source) select g, 'Spring_26' from generate_series(1, 7) g")
pg.rows("insert into start_code_uses (code_id, user_id) select c.id, u.id from start_codes c, users u "
        "where c.code = 'Spring_26'")
check("code_list_counts_people", {c["code"]: c["user_count"] for c in shoal("code", "list", "--json").json()} == {
    "Spring_26": 7, "spring_26": 0})
ran = shoal("code", "remove", "Spring_26")
expect("code_with_uses_is_not_removed", ran, FAILED, "7 people came by", "--force")
mark("startcode", "Spring_26")
expect("code_remove_by_force", shoal("code", "remove", "Spring_26", "--force"), DONE, "removed")
check("code_remove_tells_the_cache", told("startcode", "Spring_26"))
check("code_remove_keeps_where_people_came_from", one(
    "select count(*) from users where acquisition_source = 'Spring_26'") == 7 and one(
    "select count(*) from start_code_uses") == 0)
expect("code_remove_unknown", shoal("code", "remove", "Spring_26"), NOT_THERE)
expect("code_remove", shoal("code", "remove", "spring_26", "--json"), DONE, '{"ok":true}')
check("codes_are_all_removed", shoal("code", "list", "--json").json() == [])

# --- CSV

HEAD = "code,persona,description,max-uses,expires,inactive\n"


def import_text(text, *more, **env):
    return shoal("code", "import", "-", *more, stdin=text if isinstance(text, bytes) else text.encode(), **env)


def codes():
    return {c["code"]: c for c in shoal("code", "list", "--json").json()}


mark("startcode")
before = audits()
expect("import", import_text(HEAD + 'a,sam,plain,,,\nb,sam,"quotes "" and, commas\nand \u4e2d\U0001F41F lines",5,'
                             '2030-01-01T00:00:00Z,true\nc,,,,,no\n'), DONE, "3 codes imported")
check("import_tells_the_cache", told("startcode"))
check("import_is_audited", audits() == before + 3)
got = codes()
check("import_values", (got["a"]["description"], got["a"]["max_uses"], got["a"]["active"], got["b"]["description"],
                        got["b"]["max_uses"], got["b"]["expires_at"], got["b"]["active"], got["c"]["persona"],
                        got["c"]["description"]) == (
    "plain", None, True, 'quotes " and, commas\nand \u4e2d\U0001F41F lines', 5, "2030-01-01T00:00:00.000Z", False, None,
    None), got)
exported = shoal("code", "export")
check("export_is_what_a_csv_reader_reads", exported.code == DONE and list(csv.reader(
    io.StringIO(exported.raw.decode("utf-8"), newline=""))) == [
    ["code", "persona", "description", "max-uses", "expires", "inactive"], ["a", "sam", "plain", "", "", "false"],
    ["b", "sam", 'quotes " and, commas\nand \u4e2d\U0001F41F lines', "5", "2030-01-01T00:00:00.000Z", "true"],
    ["c", "", "", "", "", "false"]], exported)
for c in "abc":
    shoal("code", "remove", c)
path = os.path.join(lib.temp_dir(), "codes.csv")
with open(path, "wb") as f:
    f.write(exported.raw)
expect("import_of_an_export", shoal("code", "import", path), DONE, "3 codes")
check("round_trip", shoal("code", "export").raw == exported.raw)
after = codes()
check("round_trip_values", [{k: v for k, v in c.items() if k != "created_at"} for c in after.values()] == [
    {k: v for k, v in c.items() if k != "created_at"} for c in got.values()])
expect("import_with_mark_and_crlf", import_text("\ufeffpersona,code\r\nsam,d\r\n\r\nsam,e\r\n"), DONE, "2 codes")
stays = codes()
for name, text, exit_code, words in [
    ("existing", HEAD + "n,sam,,,,\na,sam,,,,\n", FAILED, ["line 3", "start code a already"]),
    ("missing_persona", HEAD + "n,sam,,,,\nm,nobody,,,,\n", NOT_THERE, ["line 3", "no persona nobody"]),
    ("both", HEAD + "a,sam,,,,\nm,nobody,,,,\n", FAILED, ["line 2", "line 3"]),
    ("twice", HEAD + "n,sam,,,,\nm,sam,,,,\nn,sam,,,,\n", FAILED, ["line 4", '"n" stands on line 2']),
    ("bad_code", HEAD + "n,sam,,,,\nm m,sam,,,,\n", FAILED, ["line 3", '"m m"']),
    ("bad_number", HEAD + "n,sam,,-4,,\n", FAILED, ["line 2", '"-4"']),
    ("bad_time", HEAD + "n,sam,,,soon,\n", FAILED, ["line 2", '"soon"', "RFC 3339"]),
    ("bad_flag", HEAD + "n,sam,,,,maybe\n", FAILED, ["line 2", '"maybe"']),
    ("line_after_a_long_record", HEAD + 'n,sam,"x\ny\nz",,,\nm!,sam,,,,\n', FAILED, ["line 5"]),
    ("few_fields", HEAD + "n,sam\n", FAILED, ["line 2", "2 fields", "6"]),
    ("unknown_column", "code,persona,colour\nn,sam,red\n", FAILED, ["line 1", '"colour"', "unknown"]),
    ("column_twice", "code,persona,code\nn,sam,m\n", FAILED, ["line 1", "twice"]),
    ("no_code_column", "persona\nsam\n", FAILED, ["line 1", "code and persona"]),
    ("empty", "", FAILED, ["header is missing"]),
    ("open_quote", HEAD + 'n,sam,"x,,,\n', FAILED, ["line 2", "never closed"]),
    ("not_utf8", HEAD.encode() + b"n,sam,\xff,,,\n", FAILED, ["line 2", "UTF-8"]),
    ("nul", HEAD.encode() + b"n,sam,a\0b,,,\n", FAILED, ["line 2", "NUL"]),
    ("control", HEAD.encode() + b"n,sam,a\x1bb,,,\n", FAILED, ["line 2", "control"]),
    ("many", HEAD + "".join("x %d,sam,,,,\n" % i for i in range(500)), FAILED, ["and 490 more"]),
]:
    before = audits()
    ran = import_text(text)
    expect("import_refuses_" + name, ran, exit_code, "nothing was imported", *words)
    check("import_is_all_or_nothing_" + name, codes() == stays and audits() == before)
rival = pg.connect()
with rival.cursor() as cur:
    cur.execute("insert into start_codes (code) values ('race')")
importing = subprocess.Popen([BIN, "code", "import", "-"], env=lib.clean_env(**BASE), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
importing.stdin.write((HEAD + "n,sam,,,,\nrace,sam,,,,\n").encode())
importing.stdin.close()
lib.wait_for(lambda: one("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"))
rival.commit()
rival.close()
importing.wait(lib.PATIENCE)
check("import_that_loses_a_race_leaves_nothing", importing.returncode == FAILED and
      b"at the same moment" in importing.stdout.read() and "n" not in codes() and "race" in codes())
pg.rows("delete from start_codes where code = 'race'")
expect("import_of_a_header_only", import_text(HEAD), DONE, "nothing to import")
expect("import_of_no_file", shoal("code", "import", path + ".no"), FAILED, "No such file")
expect("import_of_a_folder", shoal("code", "import", os.path.dirname(path)), FAILED, "directory")
expect("import_of_ten_thousand", import_text("code,persona\n" + "".join("m%05d,sam\n" % i for i in range(10000))), DONE,
       "10000 codes")
before = pg.output().count("LOG:  execute") + pg.output().count("LOG:  statement")
check("list_of_ten_thousand", len(codes()) == 10005)
check("list_of_ten_thousand_is_one_query", pooled() or
      pg.output().count("LOG:  execute") + pg.output().count("LOG:  statement") == before + 1)
pg.rows("delete from start_codes where code like 'm_____'")

# --- user

ID = 9007199254740993  # beyond what a double holds
EVE = "Eve \x1b[31m\u009b\u202e\u2066"
pg.rows("insert into users (telegram_id, first_name, username, language_code, acquisition_source, age_verified_at, "
        "last_seen_at) values (%s, %s, 'eve', 'en', 'a', now(), now())", ID, EVE)
user = one("select id from users where telegram_id = %s", ID)
pg.rows("insert into users (telegram_id, first_name) values (%s, 'Other')", ID - 1)
other = one("select id from users where telegram_id = %s", ID - 1)
for who, said in [(user, "my secret"), (other, "their words")]:
    pg.rows("insert into chats (user_id, persona_id, opened_at) select %s, id, now() from personas limit 1", who)
    pg.rows("insert into messages (chat_id, update_key, direction, text) select id, 'telegram:persona:' || user_id, 'in', "
            "%s from chats where user_id = %s", said, who)
    pg.rows("insert into activity_daily (user_id, day, messages) values (%s, '2026-01-01', 3)", who)
    pg.rows("insert into bot_users (bot, user_id, blocked_at) values ('persona', %s, now())", who)
    pg.rows("insert into guards (key, effects) values ('telegram:persona:' || %s, 'answer')", who)
    pg.rows("insert into guards (key, effects) select 'telegram:persona:9' || id, '[{\"m\":\"sendMessage\",\"c\":' || "
            "telegram_id || ',\"g\":false,\"b\":{}}]' from users where id = %s", who)
    pg.rows("insert into conversations (bot, chat_id, state) select 'persona', telegram_id, '{\"x\": 1}' from users "
            "where id = %s", who)
pg.rows("insert into start_code_uses (code_id, user_id) select id, %s from start_codes where code = 'a'", user)
for lane in ["telegram:persona:%d" % ID, "telegram:escrow:user:%d" % ID, "telegram:persona:%d" % (ID - 1),
             "telegram:persona:%d0" % ID, "discord:ladder:%d" % ID]:
    r.xadd("shoal:{0}:dead", {"id": "1-1", "lane": lane, "entry": "follows", "body": "{}"})

ran = shoal("user", "show", str(ID), "--json")
check("user_show_json", ran.code == DONE and (ran.json()["telegram_id"], ran.json()["first_name"], ran.json()["chats"],
                                              ran.json()["messages"], ran.json()["active_days"],
                                              ran.json()["blocked_bots"], ran.json()["suspended_at"]) == (
    str(ID), EVE, 1, 1, 1, "persona", None), ran)
ran = shoal("user", "show", str(ID))
check("user_show_is_safe_on_a_terminal", ran.code == DONE and str(ID) in ran.out and b"\x1b" not in ran.raw, ran)
for bad in ["abc", "-5", "0", "1.0", "+7", " 7", "", "007", "9223372036854775808", "1; drop table users", "x" * 5000]:
    expect("user_refuses_id_%r" % bad[:20], shoal("user", "show", bad), USAGE, "whole number from 1")
for verb in ["show", "suspend", "unsuspend", "export"]:
    expect("user_%s_of_nobody" % verb, shoal("user", verb, "424242"), NOT_THERE, "424242")
expect("user_erase_of_nobody", shoal("user", "erase", "424242", "--yes"), NOT_THERE, "424242")
expect("user_suspend", shoal("user", "suspend", str(ID)), DONE, "is suspended")
since = one("select suspended_at from users where id = %s", user)
before = audits()
expect("user_suspend_again", shoal("user", "suspend", str(ID)), DONE, "already")
check("user_suspended_once", since is not None and audits() == before and since == one(
    "select suspended_at from users where id = %s", user))
expect("user_unsuspend", shoal("user", "unsuspend", str(ID)), DONE, "not suspended")
check("user_unsuspended", one("select suspended_at from users where id = %s", user) is None and pg.rows(
    "select action, target from admin_audit order by id desc limit 1")[0] == ("user.unsuspend", "user:%d" % user))

ran = shoal("user", "export", str(ID))
data = ran.json()
check("user_export", ran.code == DONE and data["user"]["telegram_id"] == str(ID) and
      data["user"]["first_name"] == EVE and ran.out.isascii() and data["chats"][0]["messages"][0]["text"] == "my secret" and
      data["chats"][0]["persona"] == "sam" and data["activity_daily"] == [{"day": "2026-01-01", "messages": 3}] and
      data["conversations"][0]["chat_id"] == str(ID) and data["bot_users"][0]["bot"] == "persona" and
      data["start_code_uses"][0]["code"] == "a" and len(data["guards"]) == 2 and
      [a["action"] for a in data["admin_audit"]] == ["user.suspend", "user.unsuspend"], data)
check("user_export_has_nothing_of_others", "their words" not in ran.out and str(ID - 1) not in ran.out)
check("user_export_times_are_utc", data["user"]["created_at"].endswith("+00:00"), data["user"])

everything = one("select string_agg(t::text, ';') from (select * from users order by id) t")
expect("user_erase_without_a_terminal", shoal("user", "erase", str(ID)), FAILED, "--yes")


def on_terminal(answer, *args):
    """Runs it on a terminal and answers its question."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(BIN, [BIN, *args], lib.clean_env(**BASE))
    said = b""
    while b"Type yes" not in said:
        part = os.read(fd, 4096)
        if not part:
            break
        said += part
    os.write(fd, answer)
    try:
        while True:
            part = os.read(fd, 4096)
            if not part:
                break
            said += part
    except OSError:
        pass
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), said.decode()


code, said = on_terminal(b"no\n", "user", "erase", str(ID))
check("user_erase_asks_and_takes_no", code == FAILED and "nothing was erased" in said, said)
code, said = on_terminal(b"yesterday\n", "user", "erase", str(ID))
check("user_erase_wants_exactly_yes", code == FAILED and "nothing was erased" in said, said)
check("user_erase_refused_changes_nothing", everything == one(
    "select string_agg(t::text, ';') from (select * from users order by id) t"))
pg.rows("insert into users (telegram_id) values (777)")
code, said = on_terminal(b"yes\n", "user", "erase", "777")
check("user_erase_takes_yes", code == DONE and one("select count(*) from users where telegram_id = 777") == 0, said)

# a worker that is committing for this person at the same moment
busy = pg.connect()
with busy.cursor() as cur:
    cur.execute("update users set last_seen_at = now() where id = %s", (user,))
    cur.execute("insert into personas (key) values ('second') returning id")
    second = cur.fetchone()[0]
    cur.execute("insert into chats (user_id, persona_id) values (%s, %s) returning id", (user, second))
    late = cur.fetchone()[0]
    cur.execute("insert into messages (chat_id, text) values (%s, 'late words')", (late,))
erasing = subprocess.Popen([BIN, "user", "erase", str(ID), "--yes"], env=lib.clean_env(**BASE), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
lib.wait_for(lambda: one("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"))
check("user_erase_waits_for_a_commit", erasing.poll() is None)
busy.commit()
busy.close()
out, _ = erasing.communicate(timeout=lib.PATIENCE)
check("user_erase", erasing.returncode == DONE and b"2 chats with 2 messages" in out and b"2 of their updates" in out, out)
check("user_erase_leaves_a_row_without_a_name", pg.rows(
    "select telegram_id, first_name, username, language_code, age_verified_at, last_seen_at, acquisition_source "
    "from users where id = %s", user) == [(None, None, None, None, None, None, "a")])
check("user_erase_removes", [one("select count(*) from %s where user_id = %d" % (t, user)) for t in (
    "chats", "activity_daily", "bot_users", "start_code_uses")] == [0, 0, 0, 1] and one(
    "select count(*) from conversations where chat_id = %s", ID) == 0 and one("select count(*) from messages") == 1)
check("user_erase_keeps_guards_without_texts", pg.rows(
    "select effects is null from guards where key in (%s, %s)", "telegram:persona:%d" % user,
    "telegram:persona:9%d" % user) == [(True,), (True,)])
check("user_erase_leaves_others_alone", one("select count(*) from guards where effects is not null") == 2 and pg.rows(
    "select first_name from users where id = %s", other) == [("Other",)] and one(
    "select text from messages") == "their words" and one("select count(*) from conversations") == 1)
check("user_erase_removes_their_dead_letters", [e[1][b"lane"].decode() for e in r.xrange("shoal:{0}:dead")] == [
    "telegram:persona:%d" % (ID - 1), "telegram:persona:%d0" % ID, "discord:ladder:%d" % ID])
check("nothing_names_the_person_afterwards", not any(str(ID) in str(pg.rows("select t::text from %s t" % t)) for t in (
    "users", "admin_audit", "conversations", "guards", "messages")))
expect("user_erased_is_nobody", shoal("user", "show", str(ID)), NOT_THERE)
r.xadd("shoal:{0}:dead", {"id": "1-1", "lane": "telegram:persona:%d" % ID})
expect("user_erase_again_finishes_in_redis", shoal("user", "erase", str(ID), "--yes"), DONE, "1 of their updates")
expect("persona_in_chats_is_not_removed", shoal("persona", "remove", "sam"), FAILED, "1 chats")

# --- caches that cannot be told

nowhere = "redis://127.0.0.1:%d/0" % lib.free_port()
ran = shoal("code", "add", "quiet", "--persona", "sam", SHOAL_CACHE_REDIS_URL=nowhere)
expect("change_without_redis_stands_and_says_so", ran, NO_SERVER, "code quiet added", "the change is made",
       "startcode cache")
check("change_without_redis_stands", "quiet" in codes())
cache = lib.start_redis(requirepass="word")
cache.client().set("shoal:{cache}:v:startcode:quiet", "old")
ran = shoal("code", "set", "quiet", "--inactive",
            SHOAL_CACHE_REDIS_URL="redis://:word@127.0.0.1:%d/0" % cache.port)
check("change_tells_the_caches_own_redis", ran.code == DONE and not cache.client().exists("shoal:{cache}:v:startcode:quiet"), ran)
ran = shoal("code", "set", "quiet", "--active", SHOAL_CACHE_REDIS_URL="redis://:wrong@127.0.0.1:%d/0" % cache.port)
expect("change_with_a_wrong_password", ran, NO_SERVER, "the change is made")
check("wrong_password_is_not_shown", "wrong@" not in ran.err, ran)
expect("code_without_postgres", shoal("code", "list", SHOAL_POSTGRES_URL=dead_pg), NO_SERVER, "cannot reach PostgreSQL")
expect("code_with_a_wrong_setting", shoal("code", "list", SHOAL_INFLIGHT="many"), FAILED, "SHOAL_INFLIGHT")
expect("code_with_a_wrong_url", shoal("code", "list", SHOAL_POSTGRES_URL="postgres=x y"), FAILED, "SHOAL_POSTGRES_URL")

# --- workers, queue

expect("workers_none", shoal("workers"), DONE, "no worker is alive")
check("workers_none_json", shoal("workers", "--json").json() == [])
for i in range(3):
    r.set("shoal:{cache}:worker:w%d~ab" % i, json.dumps({
        "id": "w%d~ab" % i, "host": "h", "pid": 7, "version": "1", "started_at": "2026-01-31T12:00:00.000Z",
        "state": "running", "in_flight": i, "in_flight_max": 256, "done": 10 ** 12, "per_second": 12.34}))
r.set("shoal:{cache}:worker:broken", "{")
r.set("shoal:{cache}:worker:strange", json.dumps({"id": "zz\x1b[31m", "pid": "x", "started_at": 3}))
r.set("shoal:workers", "not one")
ran = shoal("workers", "--json")
check("workers_json", ran.code == DONE and ran.json()[1] == {
    "id": "w1~ab", "host": "h", "pid": 7, "state": "running", "in_flight": 1, "in_flight_max": 256, "done": 10 ** 12,
    "per_second": 12.3, "version": "1", "started_at": "2026-01-31T12:00:00.000Z"} and
    [w["id"] for w in ran.json()] == ["w0~ab", "w1~ab", "w2~ab", "zz\x1b[31m"] and ran.json()[3]["pid"] is None, ran)
ran = shoal("workers")
check("workers_table", ran.code == DONE and "w2~ab" in ran.out and b"\x1b" not in ran.raw, ran)
expect("workers_without_redis", shoal("workers", SHOAL_REDIS_URL=nowhere), NO_SERVER, "cannot reach Redis")
r.lpush("shoal:{cache}:worker:list", "x")
check("workers_key_of_another_type", len(shoal("workers", "--json").json()) == 4)

for i in range(3):
    r.xadd("shoal:{0}:updates", {"bot": "persona", "body": "{}"})
second_redis = lib.start_redis()
second_redis.client().xadd("shoal:{1}:updates", {"bot": "persona", "body": "{}"})
r.hset("shoal:{0}:conf", "paused", "*")
ran = shoal("queue", "status", "--json")
row = ran.json()[0]
oldest = row.pop("oldest_seconds")
check("queue_status_json", ran.code == DONE and len(ran.json()) == 1 and row == {
    "shard": 0, "reachable": True, "length": 3, "pending": 0, "lanes": 0, "waiting": 0, "due": 0, "retrying": 0,
    "dead": 3, "workers": 0, "imbalance": 0, "paused": "all"} and 0 <= oldest < 60, ran)
both = redis.url + "," + second_redis.url
ran = shoal("queue", "status", SHOAL_REDIS_URL=both)
total = [line.split() for line in ran.out.splitlines() if line.startswith("total")]
check("queue_status_total", ran.code == DONE and total and total[0][1] == "4", ran)
r.xgroup_create("shoal:{0}:updates", "workers", "0")
r.xreadgroup("workers", "thief", {"shoal:{0}:updates": ">"}, noack=True)
ran = shoal("queue", "status", "--json", SHOAL_REDIS_URL=both)
check("queue_status_tells_of_what_is_nobodys", [s["imbalance"] for s in ran.json()] == [3, 0], ran)
r.xgroup_destroy("shoal:{0}:updates", "workers")
check("queue_status_json_has_only_shards", [s["length"] for s in shoal(
    "queue", "status", "--json", SHOAL_REDIS_URL=both).json()] == [3, 1])
ran = shoal("queue", "status", "--json", SHOAL_REDIS_URL=redis.url + "," + nowhere)
check("queue_status_with_a_dead_shard", ran.code == NO_SERVER and "shard 1" in ran.err and [
    (s["reachable"], s["length"]) for s in ran.json()] == [(True, 3), (False, None)], ran)
expect("queue_without_subverb", shoal("queue"), USAGE, "status")
second_redis.client().xadd("shoal:{1}:dead", {"id": "1-1", "lane": "telegram:persona:424242"})
r.set("shoal:{cache}:rate:persona:424242", "1")
for n in 0, 1:
    r.hset("shoal:{cache}:soon:%d" % n, mapping={"": "7", "shoal:{cache}:rate:persona:424242": "1", "shoal:{cache}:flood:persona:424242": "1 1",
                                                 "shoal:{cache}:rate:persona:4242421": "1", "x" * 65: "1", **{"n%d" % i: "" for i in range(3000)}})
three = nowhere + "," + second_redis.url + "," + nowhere
ran = shoal("user", "erase", "424242", "--yes", SHOAL_REDIS_URL=three, SHOAL_CACHE_REDIS_URL=redis.url)
expect("user_erase_with_dead_shards", ran, NO_SERVER, "shard 0", "shard 2")
check("user_erase_goes_on_where_it_can", second_redis.client().xlen("shoal:{1}:dead") == 0 and
      not r.exists("shoal:{cache}:rate:persona:424242"), ran)
check("user_erase_looks_into_what_ends_soon", [
    sorted(k for k in r.hkeys("shoal:{cache}:soon:%d" % n) if b"persona" in k) for n in (0, 1)] == [
    [b"shoal:{cache}:rate:persona:4242421"]] * 2 and r.hlen("shoal:{cache}:soon:0") == 3003)
r.delete("shoal:{cache}:soon:0", "shoal:{cache}:soon:1")
r.set("shoal:{cache}:soon:0", "x")
r.hset("shoal:{cache}:soon:1", mapping={"": "7", "shoal:{cache}:rate:persona:424242": "1"})
expect("user_erase_takes_away_what_is_no_hash", shoal("user", "erase", "424242", "--yes", SHOAL_REDIS_URL=second_redis.url,
                                                      SHOAL_CACHE_REDIS_URL=redis.url), NOT_THERE, "nobody")
check("user_erase_goes_on_behind_it", not r.exists("shoal:{cache}:soon:0") and r.hkeys("shoal:{cache}:soon:1") == [b""])
r.delete("shoal:{cache}:soon:1")

# --- output that is not taken

with open("/dev/full", "wb") as full:
    for args in (["code", "list", "--json"], ["code", "export"], ["user", "export", str(ID - 1)], ["workers"]):
        done = subprocess.run([BIN, *args], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                              env=lib.clean_env(**BASE), timeout=lib.PATIENCE)
        check("full_disk_" + "_".join(args[:2]), done.returncode == FAILED and b"cannot write" in done.stderr, done)
        done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "-", BIN, *args], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              env=lib.clean_env(**BASE), timeout=lib.PATIENCE)
        check("no_stdout_" + "_".join(args[:2]), done.returncode == FAILED and b"cannot write" in done.stderr, done)

# --- PostgreSQL goes away in the middle

locked = pg.connect()
with locked.cursor() as cur:
    cur.execute("select * from personas where key = 'sam' for update")
setting = subprocess.Popen([BIN, "persona", "set", "sam", "--name", "New"], env=lib.clean_env(**BASE),
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
lib.wait_for(lambda: one("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"))
pg.stop()
out, err = setting.communicate(timeout=lib.PATIENCE)
check("server_lost_in_the_middle", setting.returncode == NO_SERVER and b"PostgreSQL" in err and out == b"", (out, err))

lib.finish()
