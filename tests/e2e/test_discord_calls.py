"""Calls of Discord's API by three workers, against servers that count as Discord does: buckets by route and channel, the
limit of the whole bot, refusals, and the answers that nobody may be left without. SHOAL_MAX_ATTEMPTS is 1 all along:
whatever used up an attempt would be a dead letter."""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import discord  # noqa: E402
from discord import command, press  # noqa: E402
from lib import check, finish, http, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402
from standstill import Standstill  # noqa: E402

WORKERS = 3
machine = Standstill()
signer, api = discord.Signer(), discord.Server()
ENV = dict(SHOAL_BOTS="ladder", SHOAL_LADDER_TOKEN=discord.TOKEN, SHOAL_LADDER_APP_ID=discord.APP_ID,
           SHOAL_LADDER_PUBLIC_KEY=signer.public)
stack = Stack(binary_from_argv(), workers=0, webhook=False, SHOAL_DISCORD_API=api.url, SHOAL_MAX_ATTEMPTS=1,
              SHOAL_USER_RATE="5/60", **ENV)
URL = stack.gateway_url + "/discord/ladder"
redis = stack.redis.client(decode_responses=True)
people = iter(range(1000, 10**6))


def post(one):
    return signer.post(URL, one)


def player():
    """A new one, who may play."""
    user = next(people)
    stack.pg.rows("INSERT INTO players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at) "
                  "VALUES (%s, 'P', 'DE', 'euw', now(), now())", user)
    return user


def announce(*channels, edit=None):
    """A player does something whose commit stored these messages to channels; an edit of that message instead. -> the
    interaction"""
    one = command("setcountry", ("country", "FR"), user=player())
    calls = [{"m": "editMessage" if edit else "createMessage", "c": c, "g": False, **({"i": edit} if edit else {}),
              "b": {"content": "Round %d" % n}} for n, c in enumerate(channels)]
    stack.pg.rows("INSERT INTO guards (key, effects) VALUES (%s, %s)", "discord:ladder:" + one["id"], json.dumps(calls))
    post(one)
    return one


def arrived(channel, n):
    return wait_for(lambda: len([c for _, c in api.to(channel)]) >= n)


def settled(name):
    check("%s: all is settled, with no attempt used up" % name, stack.settled() and stack.queue()["dead"] == 0, stack.queue())


# ---- buckets

def buckets():
    api.rule = rule = discord.Buckets(limit=5, window=1.5)
    since = time.time()
    for _ in range(15):
        announce(70)
    for channel in (71, 72, 73):
        announce(channel, channel)
    quiet = [wait_for(lambda: len(api.to(c)) >= 2) for c in (71, 72, 73)]
    check("a busy channel: the others go on", all(quiet) and len(api.to(70)) < 15, [len(api.to(c)) for c in range(70, 74)])
    settled("a busy channel")
    times = [t for t, _ in api.to(70)]
    check("a busy channel: every message arrived once", len(times) - len(rule.refused) == 15, (len(times), rule.refused))
    lost = machine.lost(since, time.time())
    check("a busy channel: no call before its bucket fills again", not rule.refused or lost > 0.3, (rule.refused, lost))
    check("a busy channel: no more than may be", times[-1] - times[0] >= 2.9, times[-1] - times[0])
    print("# 15 messages at 5 in 1.5 s took %.1f s" % (times[-1] - times[0]))
    announce(74, edit=9007199254740993)
    check("an edit goes to its message", arrived(74, 1) and api.to(74)[0][1][:2] == (
        "PATCH", "/api/v10/channels/74/messages/9007199254740993"), api.to(74))
    check("in the name of the bot", api.to(74)[0][1][3]["Authorization"] == "Bot " + discord.TOKEN)
    settled("an edit")


def limits():
    """429s, by whom they are meant for."""
    api.rule = rule = discord.Buckets(limit=50)
    before = refusals()
    rule.stop("/channels/80/", 1.5)
    announce(80)
    until = wait_for(lambda: rule.refused and rule.stopped["/channels/80/"][0])
    for channel in (81, 82):
        announce(channel)
    others = wait_for(lambda: len(api.to(81)) == 1 and len(api.to(82)) == 1)
    check("a channel's 429: the others go on", others)
    check("a channel's 429: later it goes out, and not before", arrived(80, 2) and api.to(80)[1][0] >= until, api.to(80))
    settled("a channel's 429")
    check("a channel's 429 counts as a refusal", wait_for(lambda: refusals() == before + 1), refusals())

    rule.stop("/channels/83/", 0.5, "shared")
    announce(83)
    check("a 429 of a shared resource: later it goes out", arrived(83, 2))
    settled("a 429 of a shared resource")
    check("a 429 of a shared resource is none of ours", refusals() == before + 1, refusals())

    rule.stop("/channels/", 2.0, "global")
    announce(84)
    wait_for(lambda: api.to(84))
    until = rule.stopped["/channels/"][0]
    time.sleep(0.3)  # a word takes a moment to get around
    heard = time.time()
    for channel in (85, 86):
        announce(channel)
    helps = [command("help", user=next(people)) for _ in range(12)]
    for one in helps:
        post(one)
    wait_for(lambda: all(api.of(one) for one in helps))
    times = [t for t, c in zip(api.when, api.calls) for one in helps if "/%s/" % one["token"] in c[1]]
    check("the bot's 429: interactions are answered all the same", len(times) == 12 and (
        max(times) < until or machine.lost(heard, until) > 0.5), [t - until for t in times])
    check("the bot's 429: then all goes out", all(arrived(c, 1) for c in (85, 86)))
    early = [t for c in (84, 85, 86) for t, _ in api.to(c) if heard < t < until]
    check("the bot's 429: no message before its time", not early, early)
    settled("the bot's 429")

    slow, other = command("help", user=next(people)), command("help", user=next(people))
    rule.stop("/%s/" % slow["token"], 1.5)
    post(slow)
    wait_for(lambda: api.of(slow))
    post(other)
    check("a token's 429: others are answered", wait_for(lambda: api.of(other)) and len(api.of(slow)) == 1)
    check("a token's 429: and this one later", wait_for(lambda: len(api.of(slow)) == 2), api.of(slow))
    settled("a token's 429")


def shut_out():
    """A 429 that no API has written: whatever stands before it lets nothing in."""
    api.rule = None
    one, since = command("help", user=next(people)), time.time()
    api.answers[:] = [(429, "error code: 1015", {"Retry-After": "2"})]
    post(one)
    check("shut out: later it is answered", wait_for(lambda: len(api.of(one)) == 2))
    first, then = [t for t, c in zip(api.when, api.calls) if "/%s/" % one["token"] in c[1]]
    check("shut out: and not before its time by the worker that was", then - first >= 1.9 or len({
        c[3]["User-Agent"] for c in api.of(one)}) == 2, then - first)
    check("shut out: it is in the log", any("has shut this address out" in w.output() for w in stack.workers))
    check("shut out: it is over", wait_for(lambda: all(stack.ready(w) for w in stack.workers)), since)
    settled("shut out")


def whole_bot():
    """50 calls in a second, whatever their channels."""
    api.rule = discord.Buckets(limit=50)
    n, begin = 90, 1000
    people_of = [player() for _ in range(n)]
    ones = [command("setcountry", ("country", "FR"), user=u) for u in people_of]
    for i, one in enumerate(ones):
        stack.pg.rows("INSERT INTO guards (key, effects) VALUES (%s, %s)", "discord:ladder:" + one["id"], json.dumps(
            [{"m": "createMessage", "c": begin + i, "g": False, "b": {"content": "x"}}]))
    since = time.time()
    for one in ones:
        post(one)
    check("all channels: every message arrives", wait_for(lambda: all(api.to(begin + i) for i in range(n))))
    times = sorted(api.to(begin + i)[0][0] for i in range(n))
    most = max(sum(1 for t in times if a <= t < a + 1) for a in times)
    lost = machine.lost(since, time.time())
    # calls leave at their times, and their ways here take unlike long: in a tenth of a second five more may come together
    check("all channels: never more than 50 leave in a second", most <= 55 or lost > 0.1, (most, lost))
    print("# %d messages to as many channels in %.1f s, %d in one second at most" % (n, times[-1] - times[0], most))
    settled("all channels")


def known_again():
    """A message whose worker died while it was on its way is sent again, and so that Discord knows it."""
    ann, bob = player(), player()
    stack.pg.rows("INSERT INTO matches_1v1 (player_1, player_2, race_1, race_2, channel_1, channel_2) "
                  "VALUES (%s, %s, 'bw_zerg', 'bw_zerg', 90, 91)", ann, bob)
    api.rule = lambda method, path: (0, 10, {}) if "/channels/9" in path and len(told()) < 2 else None

    def told():
        return [c for channel in (90, 91) for _, c in api.to(channel)]
    for user, result in ((ann, "won"), (bob, "lost")):
        one = command("report", ("result", result), user=user)
        post(one)
        wait_for(lambda: api.of(one))
    first = wait_for(lambda: told()[0])
    who = int(first[3]["User-Agent"].split("/")[1].split("-")[0][1:])  # shoal-worker/w2-...
    stack.workers[who - 1].kill()
    check("a message in flight when its worker died: sent again", wait_for(lambda: len(told()) == 2))
    again = told()[-1]
    check("a message in flight when its worker died: as the same", first[2] == again[2] and
          first[3]["User-Agent"] != again[3]["User-Agent"], (first, again))
    check("a message in flight when its worker died: with a name that Discord shall take once", len(first[2]["nonce"]) == 16 and
          first[2]["enforce_nonce"] is True, first)
    settled("a message in flight when its worker died")
    stack.start_workers(1)


# ---- nobody is left waiting

def refusals():
    return sum(int(v) for k, v in redis.hgetall("shoal:{cache}:refusals:discord").items() if k != "till")


def courtesies():
    api.rule = None
    user = next(people)
    ones = [command("help", user=user) for _ in range(8)]
    for one in ones:
        post(one)
        wait_for(lambda: api.of(one))
    kinds = [[(c[0], c[1].split("/")[-1]) for c in api.of(one)] for one in ones]
    check("too fast: five are answered", kinds[:5] == [[("PATCH", "@original")]] * 5, kinds)
    check("too fast: one is told so", kinds[5] == [("PATCH", "@original")] and
          "faster" in api.of(ones[5])[0][2]["content"], api.of(ones[5]))
    check("too fast: of the others the promise is taken back", kinds[6:] == [[("DELETE", "@original")]] * 2, kinds)
    check("too fast: with no body", api.of(ones[6])[0][2] is None, api.of(ones[6]))
    api.answers[:] = [(404, {"message": "Unknown Webhook", "code": 10015}, {})]
    one = command("help", user=user)
    post(one)
    check("too fast: also where the worker is quicker than the promise", wait_for(
        lambda: [c[0] for c in api.of(one)] == ["DELETE", "DELETE"]), api.of(one))
    one = press("terms_yes:abcd1234", user=user)
    post(one)
    check("too fast: a press, of which a notice was given, says nothing", stack.settled() and not api.of(one), api.of(one))

    one = command("of_yesterday", user=next(people))
    post(one)
    check("a command that is no more is told so", wait_for(lambda: api.of(one)) and api.of(one)[0][0] == "PATCH" and
          "not know" in api.of(one)[0][2]["content"], api.of(one))
    for one in (press("not|ours", user=next(people)), discord.interaction(6, user=next(people))):
        post(one)
        check("nothing is said of what is nobody's", stack.settled() and not api.of(one), api.of(one))

    old = command("help", user=next(people))
    redis.xadd("shoal:{0}:updates", {"bot": "ladder", "lane": "discord:ladder:1", "key": "discord:ladder:" + old["id"],
                                     "at": int((time.time() - 1000) * 1000), "body": json.dumps(old)})
    check("a token that is dead is not tried", stack.settled() and not api.of(old), api.of(old))
    settled("courtesies")


def dead_letters():
    api.rule = None
    stack.pg.rows("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no such luck'; END $$")
    one = command("setcountry", ("country", "FR"), user=player())
    stack.pg.rows("CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON players FOR EACH ROW EXECUTE FUNCTION fail()")
    post(one)
    check("a dead letter: who waits is told", wait_for(lambda: api.of(one)) and api.of(one)[0][0] == "PATCH" and
          "went wrong" in api.of(one)[0][2]["content"], api.of(one))
    check("a dead letter: it is one", wait_for(lambda: stack.queue()["dead"] == 1) and stack.settled(), stack.queue())
    pressed = press("terms_yes:abcd1234", user=next(people))
    post(pressed)
    check("a dead letter: under a message of its own where a button was pressed", wait_for(lambda: api.of(pressed)) and
          api.of(pressed)[0][:2] == ("POST", "/api/v10/webhooks/%s/%s" % (discord.APP_ID, pressed["token"])) and
          api.of(pressed)[0][2]["flags"] & 64, api.of(pressed))
    check("a dead letter: another", wait_for(lambda: stack.queue()["dead"] == 2) and stack.settled(), stack.queue())
    stack.pg.rows("DROP FUNCTION fail CASCADE")
    stack.shoal("dead", "retry", "--all")
    check("a dead letter: once the cause is gone the answer takes the place of that", wait_for(
        lambda: len(api.of(one)) == 2) and "FR" in api.of(one)[1][2]["content"], api.of(one))
    settled("dead letters")


# ---- the guard

def too_many_refusals():
    """A platform that refuses everything is left alone before it shuts the address out."""
    stack.stop_workers()
    stack.workers.clear()
    fast = discord.FastServer(403, {"message": "Missing Access", "code": 50001})
    told = 7000 if light() else 0
    redis.delete("shoal:{cache}:refusals:discord")
    if told:  # by other workers
        redis.hset("shoal:{cache}:refusals:discord", str(int(time.time()) // 10), told)
        redis.pexpire("shoal:{cache}:refusals:discord", 600000)
    pipe, n = redis.pipeline(transaction=False), 9500 - told
    for i in range(n):
        one = {"type": 2, "id": str(10**15 + i), "token": "t%d" % i, "data": {"type": 1, "name": "help"},
               "member": {"user": {"id": str(10**9 + i), "username": "x"}}}
        pipe.xadd("shoal:{0}:updates", {"bot": "ladder", "lane": "discord:ladder:%d" % (10**9 + i),
                                        "key": "discord:ladder:%d" % (10**15 + i), "body": json.dumps(one)})
    pipe.execute()
    stack.env["SHOAL_DISCORD_API"] = fast.url
    began = time.time()
    for _ in range(WORKERS):
        stack.add_worker()
    stopped = wait_for(lambda: all(stack.metrics(w).get('shoal_cut_off{peer="discord"}') == 1 for w in stack.workers))
    check("too many refusals: every worker leaves Discord alone", stopped)
    time.sleep(0.5)
    calls = fast.calls
    print("# %d calls, %d refusals were known before; %.1f s" % (calls, told, time.time() - began))
    check("too many refusals: at 8,000 and what was on the wire, before 10,000", 8000 <= calls + told < 10000, calls)
    time.sleep(1.5)
    check("too many refusals: not one more", fast.calls == calls, (calls, fast.calls))
    ready = http("GET", "http://127.0.0.1:%d/readyz" % stack.ports[stack.workers[0]])
    check("too many refusals: /readyz says so", ready.status == 503 and b"discord has refused" in ready.body, ready)
    check("too many refusals: so does the log", all("a platform refuses too much" in w.output() for w in stack.workers))
    check("too many refusals: the metrics count them", all(
        stack.metrics(w)['shoal_platform_refusals{platform="discord"}'] >= 8000 for w in stack.workers))
    left = n - calls
    q = stack.queue()
    check("too many refusals: what is not answered waits in the queue", left > 0 and q["length"] == left and q["dead"] == 0,
          (left, q))
    fast.tell(200, {"id": "5"})
    redis.delete("shoal:{cache}:refusals:discord")  # the ten minutes are over
    settled("too many refusals, ten minutes later")
    check("too many refusals, ten minutes later: each was answered once", fast.calls == n, (fast.calls, n))


stack.start_workers(WORKERS)
buckets()
limits()
shut_out()
whole_bot()
known_again()
courtesies()
dead_letters()
too_many_refusals()
check("no token is in a log", not any(discord.TOKEN in p.output() for p in stack.programs))
finish()
