"""From terms to a settled match: two players queue, are matched, report; once, whatever is pressed twice, delivered again,
said at one moment or by one of two only; and nobody waits without knowing how long."""
import concurrent.futures
import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..")]
import discord  # noqa: E402
from discord import command, form, press  # noqa: E402
from lib import check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

signer, api = discord.Signer(), discord.Server()
stack = Stack(binary_from_argv(), workers=0, webhook=False, bot="ladder", SHOAL_LADDER_PUBLIC_KEY=signer.public,
              SHOAL_DISCORD_API=api.url)
URL = stack.gateway_url + "/discord/ladder"
redis = stack.redis.client(decode_responses=True)
sql = stack.pg.rows
LINE = "shoal:{0}:line"
ACTIONS = "SELECT action FROM player_action_logs WHERE discord_uid = %s ORDER BY id"


def send(one):
    """Into the gateway; the interaction again."""
    answer = signer.post(URL, one)
    if answer.status != 200:
        raise RuntimeError("the gateway says %s" % (answer,))
    return one


def said(one, seconds=30):
    """The answer to an interaction; those behind it come from more()."""
    wait_for(lambda: any(c[0] == "PATCH" for c in api.of(one)), seconds)
    texts = [c[2]["content"] for c in api.of(one) if c[0] == "PATCH"]
    return texts[-1] if texts else "(nothing)"


def more(one):
    """What is said by the token of an interaction later, to the person alone."""
    return [c[2]["content"] for c in api.of(one) if c[0] == "POST" and c[2]["flags"] & 64]


def called(user):
    """What was said in a channel to somebody."""
    return [c[2]["content"] for c in api.calls if c[0] == "POST" and "/channels/" in c[1]
            and c[2]["allowed_mentions"] == {"users": [str(user)]} and c[2]["content"].startswith("<@%d> " % user)]


def slash(user, name, **options):
    return send(command(name, *options.items(), user=user))


def expect(title, one, part):
    text = said(one)
    check(title, part in text, text)


def player(uid, name, region="euw"):
    sql("INSERT INTO players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at) "
        "VALUES (%s, %s, 'DE', %s, now(), now())", uid, name, region)
    return uid


def waiting():
    return set(redis.zrange(LINE + ":since", 0, -1))


def paired(uid):
    return sql("SELECT id, player_1, player_2, race_1, race_2, map, region, result, mmr_change_1, idempotency_key "
               "FROM matches_1v1 WHERE %s IN (player_1, player_2) ORDER BY id DESC LIMIT 1", uid)


def match_of(one, other, **choices):
    """Two who queue and are matched: the match's id."""
    for uid in (one, other):
        slash(uid, "queue", races="bw_zerg", **choices)
    check("%d and %d have a match" % (one, other), wait_for(
        lambda: paired(one) and paired(one) == paired(other) and paired(one)[0][7] is None))
    return paired(one)[0][0]


def from_terms_to_a_settled_match():
    ann, bob = 80351110224678912, 91351110224678913
    for uid, name in ((ann, "Ann"), (bob, "B*o*b")):
        expect("%s: not without the terms" % name, slash(uid, "queue", races="bw_zerg"), "/termsofservice")
        terms = slash(uid, "termsofservice")
        said(terms)
        button = api.of(terms)[-1][2]["components"][0]["components"][0]["custom_id"]
        expect("%s: accepts" % name, send(press(button, user=uid)), "you have accepted")
        expect("%s: not without the setup" % name, slash(uid, "queue", races="bw_zerg"), "/setup")
        expect("%s: sets up" % name, send(form("setup:mark0001", user=uid, name=name, country="DE",
                                               region="euw" if uid == ann else "eue")), "You are set up")
    queued = slash(ann, "queue", races="bw_zerg sc2_terran", vetoes="red_terrace")
    expect("she waits", queued, "You are waiting for an opponent as Zerg (bw), Terran (sc2), without Red Terrace.")
    expect("again: she keeps the place", slash(ann, "queue", races="bw_zerg"), "keep your place, now as Zerg (bw), without")
    check("once", waiting() == {str(ann)}, waiting())
    expect("he waits", slash(bob, "queue", races="sc2_zerg"), "You are waiting for an opponent as Zerg (sc2).")
    check("they are matched", wait_for(lambda: paired(ann)))
    match = paired(ann)[0]
    check("the match is as both chose", match[1:5] == (ann, bob, "bw_zerg", "sc2_zerg") and match[5] != "red_terrace"
          and match[6] == "eun" and match[9].startswith("match_%d_%d_1" % (ann, bob)), match)
    again = [c for c in api.calls if c[0] == "POST"]
    check("both are told, each alone, by what they said last", wait_for(lambda: sum(
        "Your match" in c[2]["content"] and c[2]["flags"] == 68 for c in api.calls if c[0] == "POST") == 2), again)
    texts = [c[2]["content"] for c in api.calls if c[0] == "POST"]
    check("what they are told", any("against **Ann**" in t for t in texts)
          and any("against **B\\*o\\*b**" in t and "Northern Europe" in t for t in texts), texts)
    check("nobody waits", waiting() == set() and redis.zcard(LINE + ":mmr") == 0)
    expect("first the report", slash(ann, "queue"), "tell how your match against **B\\*o\\*b** ended")
    expect("no longer waiting", slash(bob, "leave"), "You are not waiting.")
    expect("her report is noted", slash(ann, "report", result="won"), "Noted")
    expect("the same again", slash(ann, "report", result="won"), "You have said so before")
    expect("she may queue before he reports", slash(ann, "queue"), "You are waiting for an opponent as Zerg (bw), without Red")
    expect("and leave", slash(ann, "leave"), "You are not waiting any more.")
    expect("his report settles it", slash(bob, "report", result="lost"),
           "settled: you lost. Your rating is **1480** now (-20), theirs 1520.")
    check("she is called and told", wait_for(lambda: len(called(ann)) == 1) and "you won" in called(ann)[0], called(ann))
    expect("that was it", slash(ann, "report", result="lost"), "now (+20), theirs 1480.\nYou have no other match to report.")
    check("both ratings, once", sql("SELECT discord_uid, race, mmr, games_played, games_won, games_lost FROM mmrs_1v1 ORDER BY 1")
          == [(ann, "bw_zerg", 1520, 1, 1, 0), (bob, "sc2_zerg", 1480, 1, 0, 1)])
    check("these actions and no others", [r[0] for r in sql(ACTIONS, ann)] == [
        "accepted terms of service", "completed player setup", "joined queue", "reported match result", "joined queue"]
        and [r[0] for r in sql(ACTIONS, bob)] == ["accepted terms of service", "completed player setup", "joined queue",
                                                  "reported match result"], sql(ACTIONS, ann))


def delivered_again():
    """Each interaction comes several times, some at one moment, as from a platform that did not hear our answer."""
    ann, bob = player(101, "Ann2"), player(102, "Bob2")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        first = [command("queue", ("races", "bw_zerg"), user=uid) for uid in (ann, bob)]
        list(pool.map(send, first * 4))
        check("again: one match", wait_for(lambda: paired(ann) and paired(ann) == paired(bob)))
        list(pool.map(send, first * 2))
        reports = [command("report", ("result", r), user=u) for u, r in ((ann, "draw"), (bob, "draw"))]
        list(pool.map(send, reports * 4))
    check("again: settled", wait_for(lambda: paired(ann)[0][7] == "draw"), paired(ann))
    check("again: all is done", stack.settled(), stack.queue())
    check("again: one match, one change, each action once", sql(
        "SELECT count(*) FROM matches_1v1 WHERE player_1 = 101") == [(1,)] and sql(
        "SELECT sum(games_played), sum(games_drawn), sum(mmr) FROM mmrs_1v1 WHERE discord_uid IN (101, 102)") == [(2, 2, 3000)]
        and sorted(r[0] for r in sql("SELECT action FROM player_action_logs WHERE discord_uid IN (101, 102)")) ==
        ["joined queue"] * 2 + ["reported match result"] * 2, sql("SELECT * FROM player_action_logs"))
    check("again: who was matched does not wait", waiting() == set(), waiting())
    check("again: both know", all("settled" in said(r) or "Noted" in said(r) for r in reports), list(map(said, reports)))


def at_one_moment():
    """Both report at one moment, in five matches: each match is settled once, and whoever came first is called."""
    pairs = [(player(200 + 2 * i, "a%d" % i), player(201 + 2 * i, "b%d" % i)) for i in range(5)]
    for a, b in pairs:
        sql("INSERT INTO matches_1v1 (player_1, player_2, race_1, race_2, channel_1, channel_2) "
            "VALUES (%s, %s, 'bw_zerg', 'bw_zerg', 70, 71)", a, b)
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda p: slash(p[0], "report", result=p[1]), [
            (uid, "won" if uid == a else "lost") for a, b in pairs for uid in (a, b)]))
    check("at one moment: all settled", wait_for(lambda: sql(
        "SELECT count(*) FROM matches_1v1 WHERE player_1 BETWEEN 200 AND 220 AND result = '1' AND mmr_change_1 = 20") == [(5,)]))
    check("at one moment: done", stack.settled(), stack.queue())
    check("at one moment: each rated once", sql("SELECT DISTINCT mmr, games_played FROM mmrs_1v1 WHERE discord_uid BETWEEN 200 "
                                               "AND 220 ORDER BY 1") == [(1480, 1), (1520, 1)])
    check("at one moment: one of each two is called", all(len(called(a)) + len(called(b)) == 1 for a, b in pairs))


def who_disagrees():
    ann, bob = player(301, "Ann3"), player(302, "Bob3")
    match_of(ann, bob)
    expect("noted", slash(bob, "report", result="draw"), "it was a draw")
    expect("may be said otherwise", slash(bob, "report", result="won"), "Noted")
    expect("they disagree", slash(ann, "report", result="won"), "An admin decides")
    check("the other hears of it", wait_for(lambda: called(bob) and "disagree" in called(bob)[-1]), called(bob))
    check("in conflict, nothing rated", paired(ann)[0][7] == "conflict" and not sql(
        "SELECT 1 FROM mmrs_1v1 WHERE discord_uid IN (301, 302)"), paired(ann))
    expect("an admin has it", slash(bob, "report", result="lost"), "an admin decides")
    expect("it keeps nobody from the next one", slash(bob, "queue", races="bw_zerg"), "You are waiting")
    expect("out again", slash(bob, "leave"), "You are not waiting any more")


def gone_meanwhile():
    """One of a pair is no player any more when the match is made: the other waits on, in the same place."""
    ann, bob = player(401, "Ann4"), player(402, "Bob4")
    stack.stop_workers()
    stack.start_workers(1)
    slash(ann, "queue", races="bw_zerg")
    check("gone: she waits", wait_for(lambda: str(ann) in waiting()))
    since = redis.zscore(LINE + ":since", ann)
    sql("DELETE FROM players WHERE discord_uid = %s", bob)
    key = "match_401_402_%d" % (time.time() * 1000)
    with redis.pipeline() as p:  # as the matcher does it
        record = json.loads(redis.hget(LINE, ann))
        p.hset(LINE, ann, json.dumps({**record, "s": "paired", "key": key}))
        p.zrem(LINE + ":since", ann)
        p.zrem(LINE + ":mmr", "%d bw_zerg" % ann)
        told = {k + "_1": v for k, v in record["with"].items()}
        p.xadd("shoal:{0}:updates", {"bot": "ladder", "lane": "discord:ladder:401", "key": key, "body": json.dumps({
            "shoal": "due", "chat_id": 401, "what": "match", "of": key, "with": {
                **told, "player_1": "401", "race_1": "bw_zerg", "mmr_1": "1500", "player_2": "402", "race_2": "bw_zerg",
                "mmr_2": "1500", "token_2": "x", "till_2": "1"}}, separators=(",", ":"))})
        p.execute()
    check("gone: she is back in her place", wait_for(lambda: redis.zscore(LINE + ":since", ann) == since), redis.hgetall(LINE))
    check("gone: no match", stack.settled() and not paired(ann))
    bob = player(403, "Bob5")
    slash(bob, "queue", races="bw_zerg")
    check("gone: the next one fits", wait_for(lambda: paired(ann) and paired(ann)[0][2] == bob))


def waits_too_long():
    """Who has waited for 14 minutes is told so; an entry that comes that late puts nobody into the line."""
    ann, bob = player(501, "Ann6"), player(502, "Bob6")

    def late(uid, seconds):
        one = command("queue", ("races", "sc2_zerg"), user=uid)
        redis.xadd("shoal:{0}:updates", {
            "bot": "ladder", "lane": "discord:ladder:%d" % uid, "key": "discord:ladder:" + one["id"],
            "at": int(time.time() * 1000) - seconds * 1000, "body": json.dumps(one)})
        return one
    one = late(ann, 14 * 60 - 3)
    expect("late: she waits", one, "You are waiting")
    check("late: and is told when it is over", wait_for(lambda: any("Nobody was found" in t for t in more(one))), api.of(one))
    check("late: she does not wait any more", waiting() == set())
    expect("late: in vain", late(ann, 14 * 60 + 1), "could not see to your /queue in time")
    late(bob, 15 * 60)
    check("too late even for that: he is called", wait_for(lambda: called(bob) and "in time" in called(bob)[-1]), api.calls[-2:])
    check("late: nobody waits", waiting() == set())


def dead_tokens():
    """What was decided while a token was good reaches the person when it is dead, too: in the channel, by a call."""
    ann, bob, cid, dan = people = [player(551 + i, name) for i, name in enumerate(("Ann8", "Bob8", "Cid8", "Dan8"))]
    refused = {}
    api.rule = lambda method, path: method == "POST" and refused.get(path.split("/")[-1].split("?")[0])
    for uid in people:
        one = command("queue", ("races", "bw_zerg" if uid in (ann, bob) else "sc2_zerg"), user=uid)
        refused[one["token"]] = ((401, {"message": "Invalid Webhook Token", "code": 50027}, {}) if uid in (ann, bob) else
                                 (403, {"message": "Missing Access", "code": 50001}, {}))
        send(one)
        if uid == bob:
            check("dead: the first two are a pair", wait_for(lambda: paired(ann) and paired(ann) == paired(bob)), paired(ann))
    check("dead: all are called", wait_for(lambda: all(called(uid) for uid in people)) and stack.settled())
    check("dead: of their match, once each", all(len(called(uid)) == 1 and "Your match" in called(uid)[0] for uid in people),
          [called(uid) for uid in people])
    api.rule = lambda method, path: "/channels/" in path and (403, {"message": "Missing Access", "code": 50001}, {})
    for uid, result in ((ann, "won"), (bob, "lost")):
        slash(uid, "report", result=result)
    check("closed channel: settled", wait_for(lambda: paired(ann)[0][7] == "1") and stack.settled())
    expect("closed channel: she hears of it by asking", slash(ann, "report", result="won"),
           "settled: you won. Your rating is **1520** now (+20), theirs 1480.\nYou have no other match to report.")
    api.rule = None
    one = command("help", user=ann)
    key = "discord:ladder:" + one["id"]
    sql("INSERT INTO guards (key, effects) VALUES (%s, %s)", key, json.dumps([
        {"m": "followUp", "c": 77, "g": False, "t": one["token"], "b": {
            "content": "late word", "flags": 68, "allowed_mentions": {"users": [str(ann)]}}}]))
    redis.xadd("shoal:{0}:updates", {"bot": "ladder", "lane": "discord:ladder:%d" % ann, "key": key, "again": "1",
                                     "at": int((time.time() - 1000) * 1000), "body": json.dumps(one)})
    check("dead for certain: not tried, but called", wait_for(lambda: "<@%d> late word" % ann in called(ann)) and not api.of(one),
          called(ann))


def the_line_is_away():
    """Redis is full when somebody is to enter the line: that is tried again without an attempt, nothing is decided anew."""
    ann = player(601, "Ann7")
    holder = stack.pg.connect()
    holder.cursor().execute("LOCK TABLE preferences_1v1 IN EXCLUSIVE MODE")  # the commit waits
    one = slash(ann, "queue", races="bw_zerg")
    check("away: decided", wait_for(lambda: sql("SELECT 1 FROM pg_locks WHERE NOT granted")))
    redis.config_set("maxmemory", 1)
    holder.rollback()
    holder.close()
    check("away: committed", wait_for(lambda: sql("SELECT 1 FROM player_action_logs WHERE discord_uid = 601")))
    check("away: not answered while it is not so", said(one, 2.5) == "(nothing)" and waiting() == set(), said(one, 0))
    check("away: no attempt is used up", stack.queue()["length"] == 1 and stack.queue()["tries"] == 0, stack.queue())
    redis.config_set("maxmemory", 0)
    expect("away: done in the end", one, "You are waiting")
    check("away: waits once, joined once", waiting() == {"601"} and [r[0] for r in sql(ACTIONS, ann)] == ["joined queue"])
    expect("out", slash(ann, "leave"), "You are not waiting any more.")


def killed_workers():
    """Workers die at any moment of it: one match, all that was to be said is said."""
    stack.start_workers(1)
    pairs = [(player(700 + 2 * i, "k%d" % i), player(701 + 2 * i, "l%d" % i)) for i in range(2)]
    for i, (a, b) in enumerate(pairs):
        queued = [slash(uid, "queue", races=("bw_zerg", "sc2_zerg")[i]) for uid in (a, b)]
        stack.workers[-1].stop(signal.SIGKILL)
        stack.start_workers(1)
        check("killed: a match", wait_for(lambda: paired(a) and paired(b), 60))
        reports = [slash(a, "report", result="won"), slash(b, "report", result="lost")]
        stack.workers[-1].stop(signal.SIGKILL)
        stack.start_workers(1)
        check("killed: settled", wait_for(lambda: paired(a)[0][7] == "1" and paired(a)[0][8] in (20,), 60), paired(a))
        check("killed: answered", all(said(r) != "(nothing)" for r in queued + reports))
    check("killed: all is done", stack.settled(60), stack.queue())
    ids = "player_1 BETWEEN 700 AND 720"
    check("killed: each match once", sql("SELECT count(*), count(DISTINCT player_1) FROM matches_1v1 WHERE " + ids) == [(2, 2)])
    check("killed: each report once", sql("SELECT count(*) FROM player_action_logs WHERE action = 'reported match result' AND "
                                         "discord_uid BETWEEN 700 AND 720") == [(4,)])
    check("killed: nobody waits", waiting() == set(), waiting())


def main():
    began = time.monotonic()
    stack.start_workers(2)
    for run in (from_terms_to_a_settled_match, delivered_again, at_one_moment, who_disagrees, gone_meanwhile, waits_too_long, dead_tokens,
                the_line_is_away, killed_workers):
        run()
        print("# %.1f s" % (time.monotonic() - began))
    check("no dead letters", stack.queue()["dead"] == 0, redis.xrange("shoal:{0}:dead"))
    finish()


main()
