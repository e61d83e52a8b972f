"""shoal webhook: what Telegram and Discord are told of the bots, once for the fleet; and what they say of it. Against the
simulator, with its limits on: Telegram takes setWebhook once a second."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, free_port, wait_for  # noqa: E402
from stack import APP_ID, APP_TOKEN, SECRET, TOKEN, Stack, binary_from_argv  # noqa: E402

stack = Stack(binary_from_argv(), workers=0, webhook=False, bot="ladder", limits="on", sim_args=["--bot", "persona=" + TOKEN],
              SHOAL_BOTS="persona,ladder", SHOAL_PERSONA_TOKEN=TOKEN)
stack.env["SHOAL_WEBHOOK_URL"] = stack.gateway_url
stack.env["SHOAL_LOG"] = "error"
HOOK, ENDPOINT = stack.gateway_url + "/telegram/persona", stack.gateway_url + "/discord/ladder"
redis = stack.redis.client(decode_responses=True)
number = 0


def run(*argv, **env):
    """-> exit code, output"""
    global number
    number += 1
    p = stack.start("webhook-%d" % number, ["webhook", *argv], **env)
    return p.wait(), p.output()


def listed(*argv, **env):
    """The rows of --json, by bot, or bot and what; the code must be 0."""
    code, text = run(*argv, "--json", **env)
    if code != 0:
        raise RuntimeError("%s: %s" % (code, text))
    listing = next(line for line in text.splitlines() if line.startswith("["))  # the rest is for people
    return {r["bot"] + (" " + r["what"] if "what" in r else ""): r for r in json.loads(listing)}


def calls(method):
    return [c for c in stack.calls() if c["method"] == method]


def commands():
    return [c["name"] for c in json.loads(stack.rest("GET", "/applications/%s/commands" % APP_ID).body)]


def results(rows):
    return {k: r["result"] for k, r in rows.items()}


def wrong_usage():
    for name, code, words, argv, env in [
            ("no subverb", 2, "set, info, delete", [], {}),
            ("a bot that is none", 2, "must be one of persona, escrow, ladder", ["set", "--bot", "x"], {}),
            ("an option of another subverb", 2, "takes no --drop-pending", ["set", "--drop-pending"], {}),
            ("a bot that does not run", 1, "escrow is not in SHOAL_BOTS", ["set", "--bot", "escrow"], {}),
            ("a bot without a token", 1, "SHOAL_PERSONA_TOKEN is not set", ["set"], {"SHOAL_PERSONA_TOKEN": ""}),
            ("an application without an id", 1, "SHOAL_LADDER_APP_ID is not set", ["info"], {"SHOAL_LADDER_APP_ID": ""}),
            ("nobody knows where", 1, "SHOAL_WEBHOOK_URL is not set", ["set"], {"SHOAL_WEBHOOK_URL": ""}),
            ("no secret", 1, "SHOAL_WEBHOOK_SECRET is not set", ["set"], {"SHOAL_WEBHOOK_SECRET": ""}),
            ("Redis is away", 3, "cannot reach Redis", ["set"], {"SHOAL_REDIS_URL": "redis://127.0.0.1:%d" % free_port()}),
            ("a token that is refused", 1, "does not accept the bot's token", ["info", "--bot", "ladder"],
             {"SHOAL_LADDER_TOKEN": "x" * 30}),
            ("a platform that is away", 3, "getWebhookInfo", ["info", "--bot", "persona"],
             {"SHOAL_TELEGRAM_API": "http://127.0.0.1:%d" % free_port()})]:
        got = run(*argv, **env)
        check("refused: " + name, got[0] == code and words in got[1], got)
    check("none of that told a platform anything", not calls("setWebhook") and commands() == [], calls("setWebhook"))


def before():
    rows = listed("info")
    check("before: Telegram has no webhook", rows["persona"] == {
        "bot": "persona", "platform": "telegram", "url": None, "url_ours": False, "updates_ours": None,
        "max_connections": None, "pending": 0, "last_error": None, "last_error_at": None, "commands": 0,
        "commands_ours": False}, rows["persona"])
    check("before: Discord has no endpoint, and no commands", rows["ladder"]["url"] is None and
          rows["ladder"]["pending"] is None and rows["ladder"]["commands"] == 0 and not rows["ladder"]["commands_ours"],
          rows["ladder"])


def at_once():
    """Programs that start together: one of them calls."""
    many = [stack.start("together-%d" % i, ["webhook", "set", "--json"]) for i in range(4)]
    codes = [p.wait() for p in many]
    check("four at once: each is content", codes == [0] * 4, [p.output() for p in many])
    told = [results({r["bot"] + " " + r["what"]: r for r in json.loads(p.output())}) for p in many]
    names = ["persona webhook", "persona commands", "ladder webhook", "ladder commands"]
    check("four at once: one has set each, the others find it so", all(
        sorted(t[n] for t in told) == ["set", "unchanged", "unchanged", "unchanged"] for n in names), told)
    for method in ("setWebhook", "setMyCommands"):
        check("four at once: one call of " + method, len(calls(method)) == 1, calls(method))
    given = calls("setWebhook")[0]["parameters"]
    check("the webhook is as it should be", given["url"] == HOOK and given["secret_token"] == SECRET and
          json.loads(json.dumps(given["max_connections"])) == 100, given)
    info = stack.api("getWebhookInfo")["result"]
    check("with the kinds that the bot can use", sorted(info["allowed_updates"]) == [
        "callback_query", "message", "my_chat_member"], info)
    menu = [c["command"] for c in stack.api("getMyCommands")["result"]]
    check("Telegram has the commands", menu == ["start", "stop", "help"], menu)
    check("Discord has the commands", {"help", "setup", "termsofservice", "setcountry"} <= set(commands()), commands())
    application = json.loads(stack.rest("GET", "/applications/@me").body)
    check("Discord has the endpoint", application["interactions_endpoint_url"] == ENDPOINT, application)
    rows = listed("info")
    check("info finds all of it ours", all(rows[b][k] is True for b in rows for k in ("url_ours", "updates_ours", "commands_ours")),
          rows)
    check("info counts", rows["persona"]["commands"] == 3 and rows["persona"]["max_connections"] == 100 and
          rows["ladder"]["commands"] == len(commands()), rows)
    code, text = run("info")
    check("for people, too", code == 0 and HOOK in text and ENDPOINT in text and "yes" in text, text)


def again():
    rows = listed("set")
    check("again: nothing is called", set(results(rows).values()) == {"unchanged"} and len(calls("setWebhook")) == 1, rows)
    wait_for(lambda: stack.api("setWebhook", url=HOOK)["ok"], every=0.3)
    before_it = len(calls("setWebhook"))
    code, text = run("set", "--force", "--bot", "persona")  # within a second of the last one, if the machine is quick
    statuses = [c["status"] for c in calls("setWebhook")[before_it:]]
    check("--force: calls all the same", code == 0 and statuses in ([200], [429, 200]), (text, statuses))
    check("--force: and waits as it is asked to", ("asks to wait" in text) == (429 in statuses), (text, statuses))
    rows = listed("set", "--bot", "persona", SHOAL_WEBHOOK_SECRET="another-secret")
    check("another secret is another webhook", results(rows) == {"persona webhook": "set", "persona commands": "unchanged"}, rows)
    check("and no secret lies in Redis", not any(s in (redis.get(k) or "") for k in redis.keys("shoal:{cache}:webhook:*")
                                                 for s in (SECRET, TOKEN, APP_TOKEN, "another-secret")))
    check("what is known of it ends", all(0 < redis.ttl(k) <= 300 for k in redis.keys("shoal:{cache}:webhook:*")) and
          len(redis.keys("shoal:{cache}:webhook:*")) == 4, redis.keys("shoal:{cache}:webhook:*"))
    check("the lock is given back", not redis.exists("shoal:{cache}:lock:webhook"))


def others_change_it():
    dead = "http://127.0.0.1:%d/x" % free_port()
    wait_for(lambda: stack.api("setWebhook", url=dead, allowed_updates=["message"])["ok"], every=0.3)
    stack.api("setMyCommands", commands=[{"command": "start", "description": "Other"}])
    stack.rest("PUT", "/applications/%s/commands" % APP_ID, [{"name": "x", "type": 1, "description": "y"}])
    stack.control("POST", "message", {"bot": "persona", "user_id": 5, "text": "hello"})
    rows = wait_for(lambda: [r for r in [listed("info")] if r["persona"]["last_error"]][0])
    p = rows and rows["persona"]
    check("info: somebody else's webhook", p and p["url"] == dead and not p["url_ours"] and not p["updates_ours"], rows)
    check("info: what waits, and why", p and p["pending"] == 1 and "refused" in p["last_error"] and p["last_error_at"], rows)
    check("info: other commands", p and not p["commands_ours"] and p["commands"] == 1 and not rows["ladder"]["commands_ours"],
          rows)


def nobody_there():
    code, text = run("set", "--bot", "ladder", "--force", SHOAL_WEBHOOK_URL="http://127.0.0.1:%d" % free_port())
    check("an endpoint where nobody answers is refused by Discord, and it says why", code == 1 and
          "interactions_endpoint_url" in text, (code, text))
    check("the commands are set all the same", "help" in commands(), commands())


def polling():
    code, text = run("set", "--bot", "persona", "--force", SHOAL_TELEGRAM_MODE="poll")
    check("poll mode: no webhook, and the reason", code == 1 and "SHOAL_TELEGRAM_MODE is poll" in text and
          "refused" in text, (code, text))
    check("poll mode: but the commands", [c["command"] for c in stack.api("getMyCommands")["result"]] == [
        "start", "stop", "help"], stack.api("getMyCommands"))
    rows = listed("set", "--commands", SHOAL_TELEGRAM_MODE="poll")
    check("poll mode: the commands alone are no failure", set(rows) == {"persona commands", "ladder commands"}, rows)
    check("poll mode: a webhook that is still set is not as it should be", listed(
        "info", SHOAL_TELEGRAM_MODE="poll")["persona"]["url_ours"] is False)


def deletion():
    check("delete", run("delete")[0] == 0)
    info = stack.api("getWebhookInfo")["result"]
    check("delete: no webhook any more, and what waits is kept", info["url"] == "" and info["pending_update_count"] == 1, info)
    check("delete: Discord's commands are gone", commands() == [], commands())
    check("poll mode: then it is as it should be", listed("info", SHOAL_TELEGRAM_MODE="poll")["persona"]["url_ours"] is True)
    check("delete --drop-pending", run("delete", "--bot", "persona", "--drop-pending")[0] == 0 and
          stack.api("getWebhookInfo")["result"]["pending_update_count"] == 0, stack.api("getWebhookInfo"))
    rows = listed("set")
    check("after it set calls again", results(rows)["persona webhook"] == "set" and
          results(rows)["ladder commands"] == "set" and stack.api("getWebhookInfo")["result"]["url"] == HOOK, rows)


wrong_usage()
before()
at_once()
again()
others_change_it()
nobody_there()
polling()
deletion()
check("no secret is printed", not any(s in p.output() for p in stack.programs for s in (TOKEN, APP_TOKEN, SECRET, "another-secret")))
finish()
