"""The ladder bot by Discord's interactions: who may send, what is answered at once, what enters the stream, what the
workers do with it. FIXTURES=DIR takes also the recorded interactions of that folder (DIR/discord)."""
import concurrent.futures
import glob
import json
import os
import signal
import sys
import time
from types import SimpleNamespace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../chaos")]
import discord  # noqa: E402
from discord import command, form, interaction, press  # noqa: E402
from faults import postgres_pids, signal_all  # noqa: E402
from lib import check, finish, free_port, http, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402
from standstill import Standstill  # noqa: E402

STREAM = "shoal:{0}:updates"
signer, api, still = discord.Signer(), discord.Server(), Standstill()
stack = Stack(binary_from_argv(), workers=0, webhook=False, SHOAL_BOTS="ladder", SHOAL_LADDER_TOKEN=discord.TOKEN,
              SHOAL_LADDER_APP_ID=discord.APP_ID, SHOAL_LADDER_PUBLIC_KEY=signer.public, SHOAL_DISCORD_API=api.url)
URL = stack.gateway_url + "/discord/ladder"
redis = stack.redis.client()


def post(one, **how):
    return signer.post(how.pop("url", URL), one, **how)


def said(answer):
    return json.loads(answer.body) if answer.status == 200 and answer.body else answer


def entries():
    return [{k.decode(): v.decode() for k, v in f.items()} for _, f in redis.xrange(STREAM)]


def refusals():
    good = json.dumps(command("help")).encode()
    now = time.time()
    zero = "00" * 64
    cases = [
        ("no signature", 401, dict(X_Signature_Ed25519=None)),
        ("no timestamp", 401, dict(X_Signature_Timestamp=None)),
        ("a signature of zeros", 401, dict(X_Signature_Ed25519=zero)),
        ("a signature that is too short", 401, dict(X_Signature_Ed25519=zero[2:])),
        ("a signature that is no hex", 401, dict(X_Signature_Ed25519="x" * 128)),
        ("another timestamp than the one signed", 401, dict(X_Signature_Timestamp=str(int(now) + 100))),
        ("a timestamp that is no number", 401, dict(timestamp="now")),
        ("an empty timestamp", 401, dict(timestamp="")),
        ("a negative timestamp", 401, dict(timestamp="-5")),
        ("a timestamp of 20 minutes ago", 401, dict(timestamp=str(int(now - 1200)))),
        ("a timestamp of 20 minutes hence", 401, dict(timestamp=str(int(now + 1200)))),
        ("a bot that is not there", 404, dict(url=stack.gateway_url + "/discord/nobody")),
        ("a bot of Telegram", 404, dict(url=stack.gateway_url + "/discord/persona")),
        ("the ladder at Telegram's path", 404, dict(url=stack.gateway_url + "/telegram/ladder")),
        ("a body over 1 MiB", 413, dict(one=json.dumps({"x": "x" * (1 << 20)}).encode())),
        ("a body over 1 MiB without a good signature", 413, dict(one=b" " * (1 << 20) + b"{}", X_Signature_Ed25519=zero)),
        ("no JSON", 400, dict(one=b"hello")),
        ("an empty body", 400, dict(one=b"")),
        ("half an interaction", 400, dict(one=good[:-1])),
        ("an array", 400, dict(one=b"[%s]" % good)),
        ("no type", 400, dict(one=b'{"id":"5"}')),
        ("a type as text", 400, dict(one=b'{"type":"2","id":"5"}')),
        ("no id", 400, dict(one=b'{"type":2}')),
        ("an id that is a number", 400, dict(one=b'{"type":2,"id":5}')),
        ("an id beyond 63 bits", 400, dict(one=b'{"type":2,"id":"9223372036854775808"}')),
        ("ill-formed UTF-8", 400, dict(one=b'{"type":2,"id":"5","x":"\xff"}')),
        ("nesting without end", 400, dict(one=b'{"type":2,"id":"5","x":' + b"[" * 100000)),
    ]
    for name, status, how in cases:
        given = post(how.pop("one", good), **how)
        check("refused with %d: %s" % (status, name), given.status == status, given)
    given = http("GET", URL)
    check("refused with 405: GET", given.status == 405 and given.headers.get("allow") == "POST", given)
    check("a signature of another key is refused", discord.Signer().post(URL, good).status == 401)
    headers = signer.headers(good)
    check("a signature of another body is refused", http("POST", URL, good.replace(b"help", b"helq"), headers).status == 401)
    check("refusals leave nothing in the stream", redis.xlen(STREAM) == 0, entries())


def pings():
    for name, body in [("as Discord sends it", interaction(1)), ("with nothing but its type", {"type": 1})]:
        given = post(body)
        check("PING gets PONG: " + name, said(given) == {"type": 1} and
              given.headers["content-type"] == "application/json", given)
    check("also an old one, which does nothing", said(post({"type": 1}, timestamp="1721936669")) == {"type": 1})
    check("but none with a bad signature", post({"type": 1}, X_Signature_Ed25519="00" * 64).status == 401)
    check("a PING leaves nothing in the stream", redis.xlen(STREAM) == 0, entries())


def answer_of(name, one, want, key=True):
    """want: the answer, or a function that judges it. key: whether one entry comes of it."""
    before = redis.xlen(STREAM)
    given = said(post(one))
    check("answered at once: " + name, want(given) if callable(want) else given == want, given)
    added = entries()[before:]
    if not key:
        check("without an entry: " + name, not added, added)
        return
    who = (one.get("member") or one)["user"]["id"]
    good = len(added) == 1 and {k: added[0][k] for k in ("bot", "lane", "key")} == {
        "bot": "ladder", "lane": "discord:ladder:" + who, "key": "discord:ladder:" + one["id"]}
    check("with its entry: " + name, good and json.loads(added[0]["body"]) == one and
          abs(int(added[0]["at"]) / 1000 - time.time()) < 60, added)


def is_private_text(given):
    data = given["data"]
    return given["type"] == 4 and data["flags"] == 64 and data["content"] and data["allowed_mentions"] == {"parse": []}


def firsts():
    hidden = {"type": 5, "data": {"flags": 64}}
    button = {"type": 2, "style": 3, "label": "I accept", "custom_id": "terms_yes:abcd1234"}
    link = {"type": 2, "style": 5, "label": "Site", "url": "https://example.org"}
    answer_of("a command", command("termsofservice"), hidden)
    answer_of("a command in private", discord.in_private(command("help")), hidden)
    answer_of("a form that was handed in", form("setup", name="Nelly", country="DE", region=["euw"]), hidden)
    answer_of("a press", press("terms_yes:abcd1234", [{"type": 1, "components": [button, link]}]), {
        "type": 7, "data": {"components": [{"type": 1, "components": [{**button, "disabled": True}, link]}]}})
    post(command("help"), traceparent="00-" + "ab" * 16 + "-00f067aa0ba902b7-01")
    check("a trace goes on", entries()[-1]["traceparent"].startswith("00-" + "ab" * 16 + "-"), entries()[-1])
    answer_of("a press under a message without components", press("terms_yes:abcd1234"), {"type": 6, "data": {}})
    answer_of("a command that is not there", command("of_yesterday"), is_private_text)
    answer_of("a press of nobody's", press("not|ours"), is_private_text)
    answer_of("a form of nobody's", form("of_yesterday"), is_private_text)
    answer_of("an interaction of a later kind", interaction(6), is_private_text)
    answer_of("a command of a message's menu", interaction(2, {"type": 3, "name": "help"}), is_private_text)
    answer_of("a command of a bot", command("help", member={"user": {"id": "7", "bot": True}}), is_private_text)
    redis.delete(STREAM)


def regions_in(given):
    fields = given["data"]["components"]
    return given["type"] == 9 and given["data"]["custom_id"] == "setup" and \
        [f["component"]["custom_id"] for f in fields] == ["name", "country", "region"] and \
        {"label": "South Korea", "value": "kor"} not in fields[2]["component"]["options"] and \
        {"label": "Korea", "value": "kor"} in fields[2]["component"]["options"]


def choices(given):
    return [(c["name"], c["value"]) for c in given["data"]["choices"]] if given["type"] == 8 else given


def forms_and_suggestions():
    # the gateway reads the tables when it has come up, and until then it makes forms without them
    wait_for(lambda: "options" in said(post(command("setup")))["data"]["components"][2]["component"])
    answer_of("a form is opened", command("setup"), regions_in, key=False)

    def suggest(typed):
        return command("setcountry", ("country", typed, True), kind=4)
    answer_of("a suggestion", suggest("germ"), lambda g: choices(g) == [("Germany", "DE")], key=False)
    answer_of("by its code", suggest("de"), lambda g: choices(g)[0] == ("Germany", "DE"), key=False)
    answer_of("with an accent less", suggest("cote"), lambda g: choices(g) == [("Côte d'Ivoire", "CI")], key=False)
    answer_of("when nothing is typed", suggest(""), lambda g: len(choices(g)) == 25, key=False)
    answer_of("where nothing fits", suggest("atlantis"), lambda g: choices(g) == [], key=False)
    answer_of("for no such command", command("x", ("country", "g", True), kind=4), lambda g: choices(g) == [], key=False)
    answer_of("for no such option", command("setcountry", ("x", "g", True), kind=4), lambda g: choices(g) == [], key=False)
    answer_of("for no option", command("setcountry", kind=4), lambda g: choices(g) == [], key=False)
    stack.pg.rows("INSERT INTO countries (code, name) VALUES ('ZZ', 'Atlantis')")
    check("a new country is offered", wait_for(lambda: choices(said(post(suggest("atlan")))) == [("Atlantis", "ZZ")]))


def without_redis():
    stack.redis.stop()
    for name, one in [("a command", command("help")), ("a press", press("terms_yes:abcd1234")), ("a form", form("setup")),
                      ("the opening of a form", command("setup"))]:
        given = said(post(one))
        check("Redis gone, %s: an apology" % name, is_private_text(given), given)
    check("Redis gone: PING gets PONG", said(post({"type": 1})) == {"type": 1})
    check("Redis gone: suggestions go on", choices(said(post(command(
        "setcountry", ("country", "germ", True), kind=4)))) == [("Germany", "DE")])
    check("Redis gone: a bad signature stays one", post({"type": 2}, X_Signature_Ed25519="00" * 64).status == 401)
    stack.redis = stack.redis.again()
    check("Redis back: taken again", wait_for(lambda: said(post(command("help")))["type"] == 5))
    stack.redis.client().delete(STREAM)
    stack.redis.send(signal.SIGSTOP)
    began = time.monotonic()
    given = said(post(command("help")))
    took = time.monotonic() - began
    stack.redis.send(signal.SIGCONT)
    check("Redis hangs: an apology within its time, which does not deny what may have arrived", is_private_text(given) and
          given["data"]["content"].startswith("I am not sure") and took < 20, (took, given))
    if took >= 3:
        print("# it took %.1f s on this machine" % took)
    check("and on it goes", wait_for(lambda: said(post(command("help")))["type"] == 5))
    stack.redis.client().delete(STREAM)


def without_postgres():
    """A gateway that remembers nothing yet, nor does Redis: an answer must not wait for a server that stands still."""
    listen = "127.0.0.1:%d" % free_port()
    url, one = "http://%s/discord/ladder" % listen, command("setcountry", ("country", "germ", True), kind=4)
    pids = postgres_pids(SimpleNamespace(stack=stack))
    signal_all(pids, signal.SIGSTOP)
    redis.flushdb()  # after that, or whoever has read the tables writes them there again
    gateway = stack.start("gateway-new", ["gateway"], SHOAL_GATEWAY_LISTEN=listen, SHOAL_METRICS_LISTEN="0")
    check("another gateway comes up", wait_for(lambda: said(post({"type": 1}, url=url)) == {"type": 1}))
    given, took = [], []
    for asked in one, command("setup"):
        began = time.time()
        given.append(said(post(asked, url=url)))
        took.append(still.took(began, time.time()))
    signal_all(pids, signal.SIGCONT)
    check("Postgres hangs: a suggestion of nothing, and a form all the same", choices(given[0]) == [] and
          given[1]["type"] == 9, given)
    check("each within its time", max(took) < 3, took)
    check("Postgres back: suggestions", wait_for(lambda: choices(said(post(one, url=url))) == [("Germany", "DE")]))
    gateway.stop()


def signed_by_discord():
    with open(os.path.join(HERE, "../fixtures/discord-signed-ping.json"), encoding="utf-8") as f:
        ping = json.load(f)
    listen = "127.0.0.1:%d" % free_port()
    gateway = stack.start("gateway-genuine", ["gateway"], SHOAL_LADDER_PUBLIC_KEY=ping["public_key"],
                          SHOAL_GATEWAY_LISTEN=listen, SHOAL_METRICS_LISTEN="0")
    url = "http://%s/discord/ladder" % listen
    headers = {"X-Signature-Ed25519": ping["signature"], "X-Signature-Timestamp": ping["timestamp"]}
    given = wait_for(lambda: http("POST", url, ping["body"], headers))
    check("the PING that Discord signed gets PONG", said(given) == {"type": 1}, given)
    check("and not another body", http("POST", url, ping["body"] + " ", headers).status == 401)
    gateway.stop()


def recorded():
    """A line each: what Discord, or a library that imitates it, has sent. None of them is a command of ours."""
    with open(os.path.join(HERE, "../fixtures/discord-interactions.jsonl"), "rb") as f:
        bodies = [("line %d" % (n + 1), line.strip()) for n, line in enumerate(f)]
    for path in sorted(glob.glob(os.path.join(os.environ.get("FIXTURES", "/dev/null"), "discord", "*.json"))):
        with open(path, "rb") as f:
            bodies.append((os.path.basename(path), f.read()))
    for name, body in bodies:
        kind = json.loads(body).get("type")
        if kind:
            given = said(post(body))
            check("recorded: " + name, given["type"] == {1: 1, 2: 4, 3: 4, 4: 8, 5: 4}[kind], given)
    redis.delete(STREAM)


# ---- with a worker

def call_of(one, n=1):
    """The nth call that answers an interaction."""
    return wait_for(lambda: api.of(one)[n - 1])


def done(name, one, *parts):
    """Sends it, and checks that the answer takes the place of the deferral and says all the parts."""
    given = post(one)
    call = call_of(one)
    good = call and call[0] == "PATCH" and call[1] == "/api/v10/webhooks/%s/%s/messages/@original" % (
        discord.APP_ID, one["token"]) and all(p in call[2]["content"] for p in parts) and \
        call[2]["allowed_mentions"] == {"parse": []} and "Authorization" not in call[3]
    check("done: " + name, given.status == 200 and good, (given, call))
    return call[2] if call else {}


def a_person(user):
    done("a command before the terms", command("setcountry", ("country", "DE"), user=user), "/termsofservice")
    done("a setup before the terms", form("setup", user=user, name="x", country="DE", region=["euw"]), "/termsofservice")
    terms = done("the terms", command("termsofservice", user=user), "**Terms of service**")
    button = terms["components"][0]["components"][0]
    check("with a button", button["label"] == "I accept" and button["style"] == 3 and
          button["custom_id"].startswith("terms_yes:"), terms)
    yes = press(button["custom_id"], terms["components"], user=user)
    done("accepted", yes, "Thank you")
    again = {**press(button["custom_id"], user=user), "message": yes["message"]}
    post(again)
    check("a second click has no effect", stack.settled() and not api.of(again), api.of(again))
    done("accepted again, under another message", press("terms_yes:zzzz9999", user=user), "before")
    done("a command before the setup", command("setcountry", ("country", "DE"), user=user), "/setup")
    done("no name", form("setup", user=user, name=" \u200b ", country="DE", region=["euw"]), "2 to 32")
    done("no such country", form("setup", user=user, name="Nel", country="Lemuria", region=["euw"]), "no such country")
    done("no such region", form("setup", user=user, name="Nel", country="DE", region=["mars"]), "no such country or region")
    done("set up", form("setup", user=user, name=" *Nelly* <@1> ", country="germany", region=["euw"]),
         "**\\*Nelly\\* \\<@\u200b1>**")
    done("another country", command("setcountry", ("country", "FR"), user=user), "**FR**")
    done("another country, by its name", command("setcountry", ("country", "south korea"), user=user), "south korea")
    done("no such country", command("setcountry", ("country", "Lemuria"), user=user), "no such country")
    done("help", command("help", user=user), "/setcountry", "/termsofservice")


def effects():
    user = 80351110224678912
    a_person(user)
    rows = stack.pg.rows("SELECT player_name, country, region, tos_accepted_at IS NOT NULL, setup_completed_at IS NOT NULL "
                         "FROM players WHERE discord_uid = %s", user)
    check("the player is as told", rows == [("*Nelly* <@1>", "KR", "euw", True, True)], rows)
    log = stack.pg.rows("SELECT action, count(*) FROM player_action_logs WHERE discord_uid = %s GROUP BY 1 ORDER BY 1", user)
    check("what is to be logged is logged, each once", log == [("accepted terms of service", 1), ("changed country", 2),
                                                               ("completed player setup", 1)], log)
    check("nothing is left", stack.settled() and stack.queue()["dead"] == 0, stack.queue())


def once_each():
    user = 77
    accept = press("terms_yes:abcd1234", user=user)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: post(accept), range(8)))
    check("sent eight times", stack.settled())
    check("it is done once", stack.pg.rows("SELECT count(*) FROM player_action_logs WHERE discord_uid = 77") == [(1,)] and
          len(api.of(accept)) == 1, api.of(accept))


def answers_of_the_platform():
    """Calls by a token: what comes of them."""
    limited = {"message": "You are being rate limited.", "retry_after": 0.3, "global": False}
    for name, answers, calls in [
            ("quicker than the first response", [(404, {"message": "Unknown Webhook", "code": 10015}, {})] * 2, 3),
            ("a token of another time", [(401, {"message": "Invalid Webhook Token", "code": 50027}, {})], 1),
            ("a body that is refused", [(400, {"message": "Invalid Form Body", "code": 50035}, {})], 1),
            ("a limit", [(429, limited, {"Retry-After": "1"})], 2),
            ("a failure", [(500, {"message": "500: Internal Server Error", "code": 0}, {})], 2)]:
        api.answers[:] = answers
        one = command("help", user=88)
        post(one)
        check("%s: settled" % name, stack.settled() and stack.queue()["dead"] == 0, stack.queue())
        check("%s: after %d calls" % (name, calls), len(api.of(one)) == calls, api.of(one))
    check("the bot is still served", http("GET", "http://127.0.0.1:%d/readyz" % stack.ports[stack.workers[0]]).status == 200)


refusals()
pings()
firsts()
forms_and_suggestions()
signed_by_discord()
recorded()
without_redis()
redis = stack.redis.client()
without_postgres()
stack.start_workers(1)
effects()
once_each()
answers_of_the_platform()
check("no token is in a log", not any(discord.TOKEN in p.output() for p in stack.programs))
finish()
