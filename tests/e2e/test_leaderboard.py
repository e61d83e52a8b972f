"""Profiles and the leaderboard as people on Discord see them, and `shoal ladder`: pages, places, filters, what is asked
of PostgreSQL for them, what operators see and decide."""
import json
import os
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")]
import lib  # noqa: E402
from lib import check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

DONE, FAILED, USAGE, NO_SERVER, NOT_THERE = range(5)
BASE = 80351110224678000  # ids of people: more than a double can hold

stack = Stack(binary_from_argv(), workers=2, bot="ladder")
pg = stack.pg


def shoal(*args, **env):
    done = subprocess.run([stack.binary, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
                          env={**stack.env, **env}, timeout=lib.PATIENCE)
    return done.returncode, done.stdout.decode() + done.stderr.decode(), done.stdout.decode()


def expect(name, ran, code, *texts):
    return check(name, ran[0] == code and all(t in ran[1] for t in texts), "want exit %d with %r, got %d\n%s" % (
        code, texts, ran[0], ran[1]))


def listing(*args):
    return json.loads(shoal(*args, "--json")[2])


def answer(interaction):
    """(text, custom ids of the buttons that can be pressed, by label) of the message that an interaction led to."""
    message = interaction.get("original") or interaction.get("message") or {}
    return message.get("content", ""), {b["label"]: b["custom_id"] for row in message.get("components", [])
                                        for b in row["components"] if not b.get("disabled")}, message.get("id")


def page_of(user, **filters):
    return answer(stack.command(user, "leaderboard", **filters))


def press(user, page, label):
    return answer(stack.click(user, page[2], page[1][label]))


def loads(statement):
    return stack.total("shoal_sql_statements_total", 'statement="%s"' % statement)


# ---- somebody comes, and sets themselves up

ME = BASE + 500
said = answer(stack.command(ME, "profile"))[0]
check("a stranger is told what comes first", "/termsofservice" in said, said)
terms = stack.command(ME, "termsofservice")
press(ME, answer(terms), "I accept")
said = answer(stack.command(ME, "profile"))[0]
check("and then what comes next", "/setup" in said, said)
stack.submit(ME, stack.command(ME, "setup", wait="first"), name="*Me* @everyone", country="Germany", region=["euw"])
said = answer(stack.command(ME, "profile"))[0]
check("the profile is there as soon as the setup is answered, and its name is no markup",
      said.startswith("**Player** `*Me* @everyone`\nGermany, plays from Western Europe") and "No rating yet" in said, said)
check("nobody is on the leaderboard", page_of(ME)[0] == "**Leaderboard**\nNobody is on it yet.", page_of(ME))

# ---- 35 others: Pn has 2000 - n with Zerg; the even ones also 1000 - n with Terran

pg.rows("INSERT INTO players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at) "
        "SELECT %s + i, 'P' || i, CASE WHEN i <= 20 THEN 'AT' ELSE 'BR' END, 'kor', now(), now() "
        "FROM generate_series(1, 35) i", BASE)
pg.rows("INSERT INTO mmrs_1v1 (discord_uid, race, mmr, games_played, games_won) SELECT %s + i, 'sc2_zerg', 2000 - i, 3, 3 "
        "FROM generate_series(1, 35) i", BASE)
pg.rows("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) SELECT %s + i, 'bw_terran', 1000 - i "
        "FROM generate_series(2, 35, 2) i", BASE)
expect("ladder_refresh", shoal("ladder", "refresh"), DONE, "52 entries")
check("ladder_refresh_json", shoal("ladder", "refresh", "--json")[2] == '{"ok":true}\n')

first = page_of(BASE + 12)
lines = first[0].split("\n")
check("a page has ten lines", lines[0] == "**Leaderboard**" and lines[1] == "**1** `P1` **1999**, Zerg (sc2), AT" and
      lines[10] == "**10** `P10` **1990**, Zerg (sc2), AT" and lines[11] == "", first)
check("and tells where one is, with each race", lines[12:] == [
    "Page 1 of 6", "You: place **12** with **1988**, Zerg (sc2)", "You: place **41** with **988**, Terran (bw)"], first)
check("from the first page one cannot go back", set(first[1]) == {"My place", "Next", "Last"}, first)
second = press(BASE + 12, first, "Next")
check("the next page", "**11** `P11`" in second[0] and "Page 2 of 6" in second[0] and
      set(second[1]) == {"First", "Previous", "Next", "Last"} and second[2] == first[2], second)
last = press(BASE + 12, second, "Last")
check("the last page", "**52** `P34` **966**, Terran (bw), BR" in last[0] and "Page 6 of 6" in last[0] and
      set(last[1]) == {"First", "Previous", "My place"}, last)
check("back to one's own place", "Page 2 of 6" in press(BASE + 12, last, "My place")[0])
check("who has no rating is not on it", "You are not on it." in page_of(ME)[0])

filtered = page_of(BASE + 12, race="sc2_zerg", country="austria", region="KOR")
check("filters are understood as they are typed, and named", filtered[0].split("\n")[0] ==
      "**Leaderboard** of Zerg (sc2), Korea, Austria" and "Page 1 of 2\nYou: place **12** with" in filtered[0], filtered)
filtered = press(BASE + 12, filtered, "Next")
check("they go on from page to page", "**20** `P20`" in filtered[0] and "Page 2 of 2" in filtered[0] and
      filtered[0].startswith("**Leaderboard** of Zerg (sc2), Korea, Austria"), filtered)
check("nobody of these", page_of(BASE + 12, country="AQ")[0] == "**Leaderboard** of Antarctica\nNobody is on it yet.")
for name, filters in [("race", {"race": "jedi"}), ("region", {"region": "eu|w"}), ("country", {"country": "x" * 64})]:
    said = page_of(BASE + 12, **filters)[0]
    check("a filter that means nothing: " + name, said.startswith("I know no such race, region or country"), said)

# ---- a page is computed once in the fleet

stack.command(BASE + 1, "leaderboard", race="bw_terran")
computed = loads("cache_board")
for n in range(1, 13):
    said = page_of(BASE + n, race="bw_terran")[0]
    check("everyone has their own place on the same page: %d" % n, said.startswith("**Leaderboard** of Terran (bw)\n**1** "
          "`P2` **998**") and said.endswith("You: place **%d** with **%d**, Terran (bw)" % (n // 2, 1000 - n)
                                            if n % 2 == 0 else "You are not on it."), said)
check("the page is computed once for all of them, by all workers", loads("cache_board") == computed, (computed, loads("cache_board")))
check("both workers have shown it", all(
    stack.metrics(w).get('shoal_updates_total{bot="ladder",kind="slash",outcome="done"}', 0) > 0 or
    any("shoal_updates_total" in k and v for k, v in stack.metrics(w).items()) for w in stack.workers))
two = loads("ladder_ranks")
page_of(BASE + 1)
check("a page needs one question to PostgreSQL", loads("ladder_ranks") == two + 1)

# ---- what changes is seen after the next refresh

pg.rows("UPDATE mmrs_1v1 SET mmr = 3000 WHERE discord_uid = %s AND race = 'sc2_zerg'", BASE + 35)
check("until then the old one is shown", "**1** `P1` **1999**" in page_of(BASE + 1)[0])
expect("ladder_refresh_again", shoal("ladder", "refresh"), DONE)
check("afterwards the new one, at once and by every worker", all(
    "**1** `P35` **3000**" in page_of(BASE + n)[0] for n in range(1, 9)))
pg.rows("UPDATE mmrs_1v1 SET mmr = 4000 WHERE discord_uid = %s AND race = 'sc2_zerg'", BASE + 34)
stack.redis.client().delete("shoal:{cache}:job:leaderboard:last")  # a minute is over
check("the fleet does it by itself", wait_for(lambda: "**1** `P34` **4000**" in page_of(BASE + 1)[0], 200, 1))

# ---- profiles of others

pg.rows("INSERT INTO players (discord_uid, player_name, country) VALUES (7, 'p1', 'DE')")
for name, told in [("name", "p12"), ("id", str(BASE + 12)), ("mention", "<@%d>" % (BASE + 12)), ("old mention", "<@!%d>" % (BASE + 12))]:
    said = answer(stack.command(ME, "profile", player=told))[0]
    check("a profile by " + name, said == "**Player** `P12`\nAustria, plays from Korea\n\nZerg (sc2): **1988**, 3 played: 3 won, "
          "0 lost, 0 drawn\nTerran (bw): **988**, 0 played: 0 won, 0 lost, 0 drawn", said)
said = answer(stack.command(ME, "profile", player="P1"))[0]
check("namesakes are listed", "More than one player" in said and "`7` Germany" in said and "`%d` Austria" % (BASE + 1) in said, said)
said = answer(stack.command(ME, "profile", player="7"))[0]
check("somebody who is not set up", "has not told the ladder" in said, said)
said = answer(stack.command(ME, "profile", player="`nobody` <@1>"))[0]
check("nobody", said.startswith("I know no player `\u02cbnobody\u02cb <@1>`"), said)

# ---- operators

found = listing("ladder", "players", "--q", "p1")
check("ladder_players_json", [p["player_name"] for p in found][:3] == ["p1", "P1", "P10"] and len(found) == 12 and
      found[1]["discord_uid"] == str(BASE + 1) and found[1]["ratings"] == [
          {"race": "sc2_zerg", "mmr": 1999, "games_played": 3, "games_won": 3, "games_lost": 0, "games_drawn": 0}] and
      found[0]["ratings"] == [] and found[0]["setup_completed_at"] is None and found[1]["created_at"].endswith("Z"), found[:3])
expect("ladder_players_by_id", shoal("ladder", "players", "--q", BASE + 12), DONE, "P12", "sc2_zerg", "1988")
check("ladder_players_of_a_country", len(listing("ladder", "players", "--country", "br", "--region", "KOR")) == 15)
check("ladder_players_limit", len(listing("ladder", "players", "--limit", 2)) == 2)
expect("ladder_players_nobody", shoal("ladder", "players", "--q", "%"), DONE, "there is no such player")
expect("ladder_players_bad_q", shoal("ladder", "players", "--q", ""), USAGE, "--q")
expect("ladder_players_bad_limit", shoal("ladder", "players", "--limit", "0"), USAGE, "limit")

pg.rows("INSERT INTO matches_1v1 (id, player_1, player_2, race_1, race_2, map, region, report_1, report_2, result) VALUES "
        "(1, %s, %s, 'sc2_zerg', 'sc2_zerg', 'frostbound', 'kor', '1', '2', 'conflict'), "
        "(2, %s, %s, 'sc2_zerg', 'bw_terran', 'frostbound', 'kor', NULL, NULL, NULL), "
        "(3, %s, %s, NULL, NULL, NULL, NULL, NULL, NULL, NULL)", BASE + 1, BASE + 2, BASE + 3, BASE + 4, BASE + 1, BASE + 4)
channel = stack.discord("GET", "app")["channel_id"]
pg.rows("UPDATE matches_1v1 SET channel_1 = %s, channel_2 = %s", int(channel), int(channel))


def heard(user):
    """What the channel tells this person about decisions, oldest first."""
    return [m["content"] for m in stack.feed(user) if "An admin has decided" in m.get("content", "") and
            m["content"].startswith("<@%d>" % user)]


ids = lambda *args: [m["id"] for m in listing("ladder", "matches", *args)]
check("ladder_matches", ids() == [3, 2, 1] and ids("--conflict") == [1] and ids("--open") == [3, 2] and ids("--settled") == [] and
      ids("--player", BASE + 1) == [3, 1] and ids("--player", BASE + 1, "--open") == [3] and ids("--limit", 1) == [3] and
      ids("--player", 5) == [])
match = listing("ladder", "matches", "--conflict")[0]
check("ladder_matches_json", match["player_1"] == str(BASE + 1) and match["name_2"] == "P2" and match["report_1"] == "1" and
      match["result"] == "conflict" and match["mmr_change_1"] is None and match["played_at"] is None, match)
expect("ladder_matches_two_states", shoal("ladder", "matches", "--open", "--conflict"), USAGE, "only one of")
expect("ladder_matches_bad_player", shoal("ladder", "matches", "--player", "x"), USAGE, "Discord id")
expect("ladder_resolve_bad_id", shoal("ladder", "resolve", "x", "1"), USAGE, "no match's id")
expect("ladder_resolve_bad_result", shoal("ladder", "resolve", "1", "3"), USAGE, "must be 1")
expect("ladder_resolve_not_there", shoal("ladder", "resolve", "99", "1"), NOT_THERE, "there is no match 99")
expect("ladder_resolve_conflict", shoal("ladder", "resolve", "1", "2", "--note", "seen the replay"), DONE,
       "match 1 is settled: P2 has won; MMR -20 for P1, +20 for P2")
check("ladder_resolve_changes_both", pg.rows("SELECT mmr, games_played, games_won, games_lost FROM mmrs_1v1 WHERE race = "
      "'sc2_zerg' AND discord_uid IN (%s, %s) ORDER BY discord_uid", BASE + 1, BASE + 2) == [(1979, 4, 3, 1), (2018, 4, 4, 0)])
check("ladder_resolve_is_audited", pg.rows("SELECT action, target, details->>'result', details->>'before', details->>'note', "
      "(details->>'mmr_change_2')::int, actor like 'cli:%%' FROM admin_audit WHERE action LIKE 'ladder%%'") ==
      [("ladder.resolve", "match:1", "2", "conflict", "seen the replay", 20, True)])
expect("ladder_resolve_again", shoal("ladder", "resolve", "1", "2"), DONE, "was settled so before", "nothing was done")
check("ladder_resolve_again_json", listing("ladder", "resolve", "1", "2") == {
    "ok": True, "match_id": 1, "result": "2", "settled_now": False, "mmr_change_1": -20, "mmr_change_2": 20})
expect("ladder_resolve_otherwise", shoal("ladder", "resolve", "1", "draw"), FAILED, "settled already: P2 has won")
check("both hear of it, once each", wait_for(lambda: len(heard(BASE + 1)) == 1 == len(heard(BASE + 2))) and
      "against **P2**: you lost. Your rating is **1979** now (-20), theirs 2018." in heard(BASE + 1)[0] and
      "against **P1**: you won. Your rating is **2018** now (+20), theirs 1979." in heard(BASE + 2)[0], (heard(BASE + 1), heard(BASE + 2)))
expect("ladder_resolve_unreported", shoal("ladder", "resolve", "2", "draw", "--json", SHOAL_REDIS_URL="redis://127.0.0.1:1/0"), DONE,
       '{"ok":true,"match_id":2,"result":"draw","settled_now":true,"mmr_change_1":-20,"mmr_change_2":20}', "the fleet will tell the two when it can")
check("nobody has heard of that one yet", heard(BASE + 3) == [] == heard(BASE + 4) and
      pg.rows("SELECT count(*) FROM ladder_notices WHERE match_id = 2") == [(2,)])
stack.redis.client().delete("shoal:{cache}:job:due_matches:last")  # half a minute is over
check("the fleet tells them", wait_for(lambda: len(heard(BASE + 3)) == 1 == len(heard(BASE + 4))))
expect("ladder_resolve_without_races", shoal("ladder", "resolve", "3", "1"), DONE, "no MMR changes")
check("ladder_resolve_without_races_json", listing("ladder", "resolve", "3", "1")["mmr_change_2"] is None)
check("ladder_resolve_once", pg.rows("SELECT count(*) FROM admin_audit WHERE action LIKE 'ladder%%'") == [(3,)] and
      ids("--settled") == [3, 2, 1] and pg.rows("SELECT sum(mmr_change_1 + mmr_change_2) FROM matches_1v1") == [(0,)])
nowhere = {"SHOAL_POSTGRES_URL": "host=127.0.0.1 port=1 dbname=x connect_timeout=2", "SHOAL_POSTGRES_DIRECT_URL":
           "host=127.0.0.1 port=1 dbname=x connect_timeout=2"}
for args in [("players",), ("matches",), ("resolve", "1", "1"), ("refresh",)]:
    expect("ladder_%s_without_a_server" % args[0], shoal("ladder", *args, **nowhere), NO_SERVER)
expect("ladder_refresh_without_redis", shoal("ladder", "refresh", SHOAL_CACHE_REDIS_URL="redis://127.0.0.1:1/0"), NO_SERVER,
       "it is done, but Redis could not be told")
check("the pages are no cache that is named", [c["cache"] for c in listing("cache", "list")] == [
    "startcode", "persona", "player", "static"])
expect("nor one that can be asked for", shoal("cache", "get", "board", "|||1"), NOT_THERE, "there is no cache")
check("nothing is left over", wait_for(lambda: pg.rows("SELECT count(*) FROM ladder_notices") == [(0,)]) and stack.settled() and stack.queue()["dead"] == 0, stack.queue())
finish()
