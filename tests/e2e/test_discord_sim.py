"""The simulator of Discord by itself: against a strict client, and an endpoint that checks signatures with
python3-cryptography."""
import contextlib
import json
import os
import sys
import threading
import time
from http.client import HTTPException

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")]
from discord_sim import PONG, Endpoint, Sim  # noqa: E402
from lib import check, finish, free_port, wait_for  # noqa: E402
from stack import APP_ID  # noqa: E402

ANN, BEN = "80351110224678912", "80351110224678913"


def do(sim, what, **spec):
    """What Ann does, unless told otherwise."""
    return sim.do(what, **{"user_id": ANN, **spec})


ORIGINAL = "/messages/@original"
bot = Endpoint()


def errors_at(answer, path):
    """Codes that a 50035 tells at this path."""
    at = answer[1]["errors"] if answer[0] == 400 and answer[1].get("code") == 50035 else {}
    for part in path.split("/") if path else []:
        at = at.get(part, {})
    return [e["code"] for e in at.get("_errors", [])]


def button(custom_id="go", **more):
    return {"type": 2, "style": 1, "label": "Go", "custom_id": custom_id, **more}


def rows(*buttons):
    return [{"type": 1, "components": list(buttons)}]


# ---- the endpoint and its signatures

def endpoint(sim):
    def ask(url):
        return sim.rest("PATCH", "/applications/@me", {"interactions_endpoint_url": url})
    key = sim.rest("GET", "/applications/@me")[1]["verify_key"]
    check("the application tells its key", len(bytes.fromhex(key)) == 32 and
          sim.control("GET", "discord/app")[1]["public_key"] == key, key)
    check("an endpoint that takes every signature is refused", errors_at(ask(bot.url), "interactions_endpoint_url"))
    check("one that is not there, too", errors_at(ask("http://127.0.0.1:%d/" % free_port()), "interactions_endpoint_url"))
    bot.key = "00" * 31 + "01"
    check("one that takes none, too", errors_at(ask(bot.url), "interactions_endpoint_url"))
    bot.key = key
    check("one that checks is taken", ask(bot.url)[0] == 200 and sim.rest("GET",
        "/applications/@me")[1]["interactions_endpoint_url"] == bot.url)
    for name, status, how in [("signed", 200, {}), ("signed by another", 401, {"other_key": True}), ("not signed", 401,
        {"signature": ""}),
                              ("signed with zeros", 401, {"signature": "00" * 64})]:
        got = do(sim, "raw", body={"type": 1}, **how)
        check("sent raw, %s: %d" % (name, status), got["status"] == status, got)
    check("a ping", do(sim, "ping")["answer_type"] == 1)


# ---- what an interaction looks like, and which first response it may have

def shapes(sim):
    sim.control("POST", "discord/users", {"id": ANN, "name": "Ann", "username": "ann"})
    sim.control("POST", "discord/users", {"id": BEN, "name": "Ben"})
    do(sim, "command", name="x", options={"a": "b", "n": 5})
    one = bot.got[-1]
    check("a command on a server", one["type"] == 2 and one["member"]["user"]["id"] == ANN and one["data"]["options"] == [
        {"type": 3, "name": "a", "value": "b"}, {"type": 4, "name": "n", "value": 5}] and one["guild_id"] and
        one["application_id"] == APP_ID and one["version"] == 1 and "user" not in one, one)
    do(sim, "command", name="x", dm=True)
    one = bot.got[-1]
    check("a command in private", one["user"]["global_name"] == "Ann" and "member" not in one and
        "guild_id" not in one and
          one["channel"]["type"] == 1, one)


def deferred(sim, **spec):
    return do(sim, "command", name="x", **spec)


def shown(sim, components, content="pick"):
    """A message with components that Ann sees."""
    bot.answers[:] = [{"type": 4, "data": {"content": content, "components": components}}]
    return do(sim, "command", name="x")["original"]


MODAL = {"custom_id": "m", "title": "T", "components": [
    {"type": 18, "label": "Name", "component": {"type": 4, "custom_id": "name", "style": 1, "min_length": 2,
        "max_length": 5}},
    {"type": 18, "label": "Where", "component": {"type": 3, "custom_id": "where", "options": [{"label": "A",
        "value": "a"}]}},
    {"type": 1, "components": [{"type": 4, "custom_id": "more", "label": "More", "style": 2, "required": False}]}]}


def with_modal(change):
    modal = json.loads(json.dumps(MODAL))
    change(modal)
    return {"type": 9, "data": modal}


def first_responses(sim):
    long = "x" * 2001
    said = {"content": "x"}
    cases = {
        ("command", "answered"): [
            {"type": 4, "data": said}, {"type": 5}, {"type": 9, "data": MODAL}, {"type": 5, "data": {"flags": 64}}],
        ("command", "malformed"): [
            PONG, {"type": 6}, {"type": 7, "data": said}, {"type": 8, "data": {"choices": []}}, {"type": 3},
            {"type": "4", "data": said}, b"hello", b"", [4], {"type": 4}, {"type": 9},
            {"type": 4, "data": {"content": long}}, {"type": 4, "data": {"content": " \n"}},
            {"type": 4, "data": {"content": 5}}, {"type": 4, "data": [said]},
            {"type": 4, "data": {**said, "components": rows(*[button(str(i)) for i in range(6)])}},
            {"type": 4, "data": {**said, "components": rows(button("a")) * 2}}, {"type": 5, "data": {"flags": "many"}},
            with_modal(lambda m: m.update(title="x" * 46)), with_modal(lambda m: m.update(components=[])),
            with_modal(lambda m: m["components"][0].update(label="x" * 46)),
            with_modal(lambda m: m["components"][0]["component"].update(type=2)),
            with_modal(lambda m: m["components"][0]["component"].update(custom_id="where")),
            with_modal(lambda m: m["components"][1]["component"].update(options=[])),
            with_modal(lambda m: m["components"][2]["components"][0].pop("label"))],
        ("command", "refused"): [
            (500, {"type": 5}), (401, {}), (204, b"")],
        ("autocomplete", "answered"): [
            {"type": 8, "data": {"choices": [{"name": "A", "value": "a"}] * 25}}],
        ("autocomplete", "malformed"): [
            {"type": 8, "data": {"choices": [{"name": "A", "value": "a"}] * 26}},
            {"type": 8, "data": {"choices": [{"name": "A", "value": 5}]}},
            {"type": 8, "data": {"choices": [{"name": "", "value": "a"}]}},
            {"type": 8, "data": {"choices": [{"name": "A", "value": "x" * 101}]}}, {"type": 8, "data": {}},
            {"type": 4, "data": said}, {"type": 5}],
        ("press", "answered"): [
            {"type": 4, "data": said}, {"type": 5}, {"type": 6},
            {"type": 7, "data": {"components": rows(button(disabled=True))}}, {"type": 9, "data": MODAL}],
        ("press", "malformed"): [
            {"type": 7, "data": {"content": ""}}, {"type": 8, "data": {"choices": []}}],
        ("submit", "answered"): [
            {"type": 5}, {"type": 4, "data": said}],
        ("submit", "malformed"): [
            {"type": 9, "data": MODAL}, {"type": 6}, {"type": 7, "data": said}],
    }
    for kind, want, answer in [(*key, answer) for key, answers in cases.items() for answer in answers]:
        spec = {"command": {"name": "x"}, "autocomplete": {"name": "x", "option": "o", "options": {"o": "t"}}}.get(kind)
        if kind == "press":
            spec = {"message_id": shown(sim, rows(button()))["id"], "custom_id": "go"}
        elif kind == "submit":
            bot.answers[:] = [{"type": 9, "data": MODAL}]
            spec = {"interaction_id": do(sim, "command", name="x")["id"], "fields": {"name": "abc", "where": ["a"]}}
        bot.answers[:] = [answer]
        before = len(sim.feed(ANN))
        got = do(sim, kind, **spec)
        name = "%s, %.60s: %s" % (kind, answer, want)
        check(name, got["state"] == want, got)
        if want != "answered":
            told = sim.feed(ANN)[before:]
            notice = "The application did not respond" if kind == "command" else "This interaction failed"
            dead = sim.hook("PATCH", got["token"], ORIGINAL, said)[1]["code"] == 10015
            check("it is told, and its token is dead", got["why"] and dead and
                  (kind == "autocomplete" or [m.get("notice") for m in told] == [notice]), (got, told))


def not_called_json(sim):
    bot.content_type = "text/plain"
    got = do(sim, "command", name="x")
    bot.content_type = "application/json"
    check("a response that is not called JSON is none", got["state"] == "malformed" and "Content-Type" in got["why"], got)


def too_late(sim):
    held = threading.Event()
    bot.answers[:] = [lambda _: (held.wait(20), {"type": 5})[1]]
    early = do(sim, "command", name="x", wait="none")
    check("before its first response a token is unknown", sim.hook("PATCH", early["token"], ORIGINAL,
        {"content": "x"})[1]["code"] == 10015)
    got = wait_for(lambda: [i for i in [sim.control("GET",
        "discord/interaction?id=" + early["id"])[1]] if i["state"] != "sent"])
    held.set()
    check("an answer that comes too late is none", got and got[0]["state"] == "no_answer" and
        got[0]["first_ms"] >= 900, got)
    check("what came too late changes nothing", sim.hook("PATCH", early["token"], ORIGINAL,
        {"content": "x"})[1]["code"] == 10015)
    sim.control("POST", "faults", {"method": "interaction", "kind": "delay", "ms": 300, "count": 1})
    late = do(sim, "command", name="x", wait="none")
    check("Discord itself may know late of an answer", wait_for(lambda: sim.hook(
        "PATCH", late["token"], ORIGINAL, {"content": "x"})[0] == 200) and sim.control("GET",
            "discord/interaction?id=" + late["id"])[1]["first_ms"] >= 250)


def in_the_middle(sim):
    """Requests of every kind that wait: all are let go when the world is forgotten, and when the simulator ends."""
    sim.control("POST", "discord/app", {"answer_ms": 60000})
    held = threading.Event()
    ends = []

    def leave_waiting():
        seq = sim.control("GET", "discord/feed?user_id=" + ANN)[1]["seq"]
        sim.control("POST", "faults", {"method": "getCurrentUser", "kind": "hang"})
        sim.control("POST", "faults", {"method": "interaction", "kind": "delay", "ms": 60000, "count": 1})
        before = len(bot.got)
        bot.answers[:] = [{"type": 5}] + [lambda _: (held.wait(60), {"type": 5})[1]] * 3

        def ask(fn, *args):
            with contextlib.suppress(OSError, ValueError, HTTPException):
                fn(*args)
            ends.append(fn)
        for fn, *args in [(sim.control, "GET", "discord/feed?user_id=%s&after=%d&wait=60000" % (ANN, seq)),
                          (sim.rest, "GET", "/users/@me"),
                          (sim.control, "POST", "discord/command", {"user_id": ANN, "name": "late"}),
                          (sim.control, "POST", "discord/command", {"user_id": ANN, "name": "x"}),
                          (sim.control, "POST", "discord/command", {"user_id": ANN, "name": "x", "wait": "done"}),
                          (sim.control, "POST", "discord/raw", {"body": {"type": 2, "id": "1"}})]:
            threading.Thread(target=ask, args=(fn, *args), daemon=True).start()
            if fn == sim.control and args[0] == "POST":  # in this order, so that the first one is the late one
                wait_for(lambda: len(bot.got) > before)
                before = len(bot.got)
    sim.control("POST", "discord/users", {"id": ANN, "name": "Ann"})
    leave_waiting()
    sim.control("POST", "reset", {})
    check("what waited for what is forgotten is answered", wait_for(lambda: len(ends) >= 4) and
          sim.control("GET", "discord/interactions")[1] == [])
    sim.control("POST", "discord/users", {"id": ANN, "name": "Ann"})
    leave_waiting()
    check("the simulator ends well in the middle of all", sim.process.stop() == 0, sim.process.output())
    held.set()


# ---- by the token

def tokens(sim):
    one = deferred(sim)
    t = one["token"]
    check("a deferral shows that the bot is thinking", one["original"]["flags"] & 128 and one["original"]["type"] == 20,
        one)
    got = sim.hook("POST", t, "", {"content": "first", "flags": 64})
    check("the first follow-up fills it", got[1]["id"] == one["original"]["id"] and not got[1]["flags"] & (64 | 128), got)
    got = sim.hook("POST", t, "", {"content": "second", "flags": 64})
    check("the next is a message of its own, and may be for one alone", got[1]["id"] != one["original"]["id"] and
        got[1]["flags"] & 64, got)
    seen = [[m.get("content") for m in sim.feed(u)][-2:] for u in (ANN, BEN)]
    check("which nobody else sees", seen[0] == ["first", "second"] and seen[1][-1] == "first", seen)
    check("it can be changed", sim.hook("PATCH", t, "/messages/" + got[1]["id"],
        {"content": "third"})[1]["content"] == "third")
    check("and read", sim.hook("GET", t, "/messages/" + got[1]["id"])[1]["content"] == "third")
    check("but not through its channel", sim.rest("GET", "/channels/%s/messages/%s" % (got[1]["channel_id"],
        got[1]["id"]))[1]["code"] == 10008)
    check("and removed", sim.hook("DELETE", t, "/messages/" + got[1]["id"])[0] == 204 and sim.hook("GET", t,
        "/messages/" + got[1]["id"])[0] == 404)
    check("a message of another interaction is not reached", sim.hook("GET", deferred(sim)["token"],
        "/messages/" + one["original"]["id"])[0] == 404)
    check("what is edited keeps what is not told", sim.hook("PATCH", t, ORIGINAL,
        {"components": rows(button())})[1]["content"] == "first")
    check("an empty text makes an empty message", sim.hook("PATCH", t, ORIGINAL, {"content": ""})[1]["code"] == 50006)
    check("another application's token", sim.hook("PATCH", t, ORIGINAL, {"content": "x"}, app="5")[1]["code"] == 10015)
    check("a token of nothing", sim.hook("PATCH", "abc", ORIGINAL, {"content": "x"})[:2] == (401,
        {"message": "Invalid Webhook Token", "code": 50027}))
    sim.control("POST", "discord/age", {"seconds": 899, "interaction_id": one["id"]})
    check("a token of almost 15 minutes", sim.hook("PATCH", t, ORIGINAL, {"content": "x"})[0] == 200)
    sim.control("POST", "discord/age", {"seconds": 1, "interaction_id": one["id"]})
    check("a token of 15 minutes is over", sim.hook("PATCH", t, ORIGINAL, {"content": "x"})[1]["code"] == 50027)
    one = deferred(sim)
    check("removed, the original is unknown", sim.hook("DELETE", one["token"], ORIGINAL)[0] == 204 and
          sim.hook("PATCH", one["token"], ORIGINAL, {"content": "x"})[1]["code"] == 10008)


# ---- what a client lets a person do

def clients(sim):
    menu = {"type": 3, "custom_id": "menu", "max_values": 2, "options": [{"label": v, "value": v} for v in "abc"]}
    m = shown(sim, rows(button(), button("off", disabled=True)) + [{"type": 1, "components": [menu]}])
    cases = [
        ("a button that is off", 409, {"custom_id": "off"}),
        ("a button that is not there", 422, {"custom_id": "x"}),
        ("too many of a menu", 422, {"custom_id": "menu", "values": list("abc")}),
        ("none of a menu", 422, {"custom_id": "menu", "values": []}),
        ("what a menu does not have", 422, {"custom_id": "menu", "values": ["z"]}),
        ("values of a button", 422, {"custom_id": "go", "values": ["a"]}),
        ("a message that is not there", 404, {"custom_id": "go", "message_id": "77"}),
    ]
    for name, status, spec in cases:
        got = do(sim, "press", **{"message_id": m["id"], **spec})
        check("a client does not send " + name, got[0] == status, got)
    check("but a late click can be had", do(sim, "press", message_id=m["id"], custom_id="off",
        force=True)["state"] == "answered")
    do(sim, "press", message_id=m["id"], custom_id="menu", values=["a", "c"])
    one = bot.got[-1]
    check("a menu's choice", one["data"]["values"] == ["a", "c"] and one["data"]["component_type"] == 3 and
        one["message"]["id"] == m["id"] and
          one["message"]["components"][1]["components"][0]["custom_id"] == "menu", one)
    got = len(bot.got)
    do(sim, "press", message_id=m["id"], custom_id="go", times=2)
    check("a double click is two", wait_for(lambda: len(bot.got) == got + 2))
    bot.answers[:] = [{"type": 4, "data": {"content": "mine", "flags": 64, "components": rows(button())}}]
    mine = do(sim, "command", name="x")["original"]
    check("nobody presses what another alone sees", do(sim, "press", user_id=BEN, message_id=mine["id"],
        custom_id="go")[0] == 404)
    bot.answers[:] = [{"type": 9, "data": MODAL}]
    opened = do(sim, "command", name="x")["id"]
    good = {"name": "abc", "where": ["a"]}
    for name, fields in [("no name", {"where": ["a"]}), ("a short name", {**good, "name": "a"}), ("a long name",
        {**good, "name": "abcdef"}), ("no choice", {"name": "abc"}),
                         ("a choice that is none", {**good, "where": ["b"]}), ("a field that is none", {**good,
                             "x": "y"})]:
        check("a modal is not handed in with " + name, do(sim, "submit", interaction_id=opened, fields=fields)[0] == 422)
    check("nor by somebody else", do(sim, "submit", user_id=BEN, interaction_id=opened, fields=good)[0] == 404)
    check("handed in", do(sim, "submit", interaction_id=opened, fields=good)["state"] == "answered")
    parts = bot.got[-1]["data"]["components"]
    check("as Discord does", [p["type"] for p in parts] == [18, 18, 1] and parts[0]["component"]["value"] == "abc" and
          parts[1]["component"]["values"] == ["a"] and parts[2]["components"][0]["value"] == "", parts)
    check("and not again", do(sim, "submit", interaction_id=opened, fields=good)[0] == 409)


# ---- commands

def commands(sim):
    path = "/applications/%s/commands" % APP_ID
    option = {"type": 3, "name": "country", "description": "c", "required": True, "autocomplete": True}
    good = {"name": "setcountry", "description": "d", "options": [option, {"type": 6, "name": "who", "description": "w"}]}
    status, listed, _ = sim.rest("PUT", path, [good])
    check("commands are registered", status == 200 and listed[0]["options"][0] == option and listed[0]["id"] and
        listed[0]["type"] == 1, listed)
    check("and listed", sim.rest("GET", path)[1] == listed)
    check("a command keeps its id", sim.rest("PUT", path, [good])[1][0]["id"] == listed[0]["id"])
    cases = [
        ("0/name", {**good, "name": "Set"}),
        ("0/name", {"description": "d"}),
        ("0/description", {"name": "x"}),
        ("0/options/0/choices/0/value", {**good, "options": [{"type": 4, "name": "n", "description": "d",
            "choices": [{"name": "a", "value": "b"}]}]}),
        ("0/options", {**good, "options": [{**option, "required": False}, {**option, "name": "b"}]}),
        ("0/options", {**good, "options": [option, option]}),
        ("0/options/0/description", {**good, "options": [{**option, "description": "x" * 101}]}),
        ("0/options/0/autocomplete", {**good, "options": [{**option, "choices": [{"name": "a", "value": "b"}]}]}),
        ("0/options/0/type", {**good, "options": [{**option, "type": 12, "autocomplete": False}]}),
    ]
    for at, wrong in cases:
        got = sim.rest("PUT", path, [wrong])
        check("refused at %s" % at, errors_at(got, at), got)
    check("refused: twice the same name", errors_at(sim.rest("PUT", path, [good, good]), ""))
    check("refused: no list", sim.rest("PUT", path, good)[0] == 400)
    check("refused: another application", sim.rest("PUT", "/applications/5/commands", [good])[1]["code"] == 10002)
    check("what was refused changed nothing", sim.rest("GET", path)[1][0]["name"] == "setcountry")
    for name, options in [("without what it needs", {}), ("with what it does not have", {"country": "DE", "x": "y"}),
        ("with a number for a text", {"country": 5}),
                          ("with nobody's id", {"country": "DE", "who": "99"})]:
        check("a client does not send a command " + name, do(sim, "command", name="setcountry", options=options)[0] == 422)
    do(sim, "command", name="setcountry", options={"country": "DE", "who": BEN})
    data = bot.got[-1]["data"]
    check("a person comes along", data["options"][1] == {"type": 6, "name": "who", "value": BEN} and
        data["id"] == listed[0]["id"] and
          data["resolved"]["users"][BEN]["global_name"] == "Ben" and BEN in data["resolved"]["members"], data)


# ---- messages of channels

def channels(sim):
    channel = sim.control("GET", "discord/app")[1]["channel_id"]
    path = "/channels/%s/messages" % channel

    def post(**body):
        return sim.rest("POST", path, body)
    check("a message to all", post(content=" hello ")[1]["content"] == "hello" and
        [m["content"] for m in sim.feed(BEN)][-1] == "hello")
    menu = {"type": 3, "custom_id": "m", "options": [{"label": "a", "value": "a"}]}
    cases = [
        ("content", {"content": "x" * 2001}),
        ("content", {"content": {}}),
        ("tts", {"content": "x", "tts": "no"}),
        ("components", {"content": "x", "components": rows(button()) * 6}),
        ("components", {"content": "x", "components": rows(button("a"), button("a"))}),
        ("components/0/components", {"content": "x", "components": rows(*[button(str(i)) for i in range(6)])}),
        ("components/0/components", {"content": "x", "components": rows(button(), menu)}),
        ("components/0/type", {"content": "x", "components": [button()]}),
        ("components/0/components/0/label", {"content": "x", "components": rows(button(label="x" * 81))}),
        ("components/0/components/0/custom_id", {"content": "x", "components": rows(button("x" * 101))}),
        ("components/0/components/0/custom_id", {"content": "x", "components": rows(button(""))}),
        ("components/0/components/0/style", {"content": "x", "components": rows(button(style=7))}),
        ("components/0/components/0/url", {"content": "x", "components": rows({"type": 2, "style": 5, "label": "x"})}),
        ("components/0/components/0/url", {"content": "x", "components": rows({"type": 2, "style": 5, "label": "x",
            "url": "ftp://x"})}),
        ("components/0/components/0", {"content": "x", "components": rows({"type": 2, "style": 5, "label": "x",
            "url": "https://x", "custom_id": "y"})}),
        ("components/0/components/0", {"content": "x", "components": rows(button(label=""))}),
        ("components/0/components/0/options", {"content": "x", "components": rows({**menu,
            "options": menu["options"] * 2})}),
        ("components/0/components/0/options", {"content": "x", "components": rows({**menu, "options": [{"label": str(i),
            "value": str(i)} for i in range(26)]})}),
        ("components/0/components/0/placeholder", {"content": "x", "components": rows({**menu,
            "placeholder": "x" * 151})}),
        ("embeds", {"embeds": [{"title": "x"}] * 11}),
        ("embeds/0/title", {"embeds": [{"title": "x" * 257}]}),
        ("embeds/0/fields/0/value", {"embeds": [{"fields": [{"name": "a", "value": ""}]}]}),
        ("embeds/0/color", {"embeds": [{"title": "x", "color": 1 << 24}]}),
        ("embeds", {"embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]}),
        ("nonce", {"content": "x", "nonce": "x" * 26}),
        ("nonce", {"content": "x", "nonce": {}}),
        ("allowed_mentions/parse/0", {"content": "x", "allowed_mentions": {"parse": ["people"]}}),
        ("allowed_mentions", {"content": "x", "allowed_mentions": {"parse": ["users"], "users": [ANN]}}),
        ("message_reference", {"content": "x", "message_reference": {"message_id": "5"}}),
        ("flags", {"content": "x", "flags": "a"}),
    ]
    for at, body in cases:
        got = sim.rest("POST", path, body)
        check("refused at %s: %.50s" % (at, body), errors_at(got, at), got)
    check("refused: nothing in it", post(content="  ")[1]["code"] == 50006 and
        post(components=rows(button()))[1]["code"] == 50006)
    check("2000 characters", post(content="x" * 2000)[0] == 200)
    check("five rows of five", post(content="x", components=[rows(*[button("%d%d" % (r,
        b)) for b in range(5)])[0] for r in range(5)])[0] == 200)
    check("no JSON", sim.rest("POST", path, "{")[1]["code"] == 50109)
    check("not called JSON", sim.rest("POST", path, "{}", Content_Type="text/plain")[0] == 400)
    check("an unknown channel", sim.rest("POST", "/channels/5/messages", {"content": "x"})[1]["code"] == 10003)
    check("a wrong token", sim.rest("POST", path, {"content": "x"}, token="wrong")[:2] == (401,
        {"message": "401: Unauthorized", "code": 0}))
    check("no token", sim.rest("GET", "/users/@me", token=None)[0] == 401 and sim.rest("GET",
        "/users/@me")[1]["bot"] is True)
    check("an unknown path", sim.rest("GET", "/nothing")[0] == 404 and sim.rest("DELETE", "/users/@me")[0] == 405)
    a, b = post(content="once", nonce="n1", enforce_nonce=True)[1], post(content="twice", nonce="n1",
        enforce_nonce=True)[1]
    check("one nonce, one message", a["id"] == b["id"] and b["content"] == "once" and post(content="x",
        nonce="n1")[1]["id"] != a["id"], (a, b))
    told = post(content="<@%s> <@!%s> @everyone" % (ANN, BEN), allowed_mentions={"parse": [], "users": [BEN]})[1]
    check("who is told is as allowed", [u["id"] for u in told["mentions"]] == [BEN] and not told["mention_everyone"],
        told)
    check("and all without a word", [u["id"] for u in post(content="<@%s>" % ANN)[1]["mentions"]] == [ANN])
    m = post(content="old", components=rows(button()))[1]
    one = path + "/" + m["id"]
    check("a message is changed", sim.rest("PATCH", one, {"components": []})[1]["components"] == [] and sim.rest("GET",
        one)[1]["content"] == "old")
    check("and removed", sim.rest("DELETE", one)[0] == 204 and sim.rest("PATCH", one,
        {"content": "x"})[1]["code"] == 10008)
    dm = sim.rest("POST", "/users/@me/channels", {"recipient_id": BEN})[1]
    check("a private channel is opened once", dm["type"] == 1 and sim.rest("POST", "/users/@me/channels",
        {"recipient_id": BEN})[1]["id"] == dm["id"] and
          sim.rest("GET", "/channels/" + dm["id"])[1]["recipients"][0]["id"] == BEN)
    check("for people only", sim.rest("POST", "/users/@me/channels", {"recipient_id": "5"})[1]["code"] == 50033 and
          errors_at(sim.rest("POST", "/users/@me/channels", {}), "recipient_id"))
    sim.rest("POST", "/channels/%s/messages" % dm["id"], {"content": "between us"})
    check("a private message is private", sim.feed(BEN)[-1]["content"] == "between us" and
        "between us" not in [m.get("content") for m in sim.feed(ANN)])
    sim.control("POST", "discord/users", {"id": BEN, "closed": True})
    check("who takes none gets none", sim.rest("POST", "/channels/%s/messages" % dm["id"],
        {"content": "x"})[1]["code"] == 50007)
    sim.control("POST", "discord/users", {"id": BEN, "closed": False})


# ---- limits and faults

def used_up(burst):
    """The answers of a burst of which the last one is refused, on something fresh each time: a machine that stands still
    outlasts a window."""
    for _ in range(10):
        got = burst()
        if got[-1][0] == 429:
            break
    return got


def limits(sim):
    people = iter(range(1000, 2000))
    began = time.time()

    def new_dm():
        user = str(next(people))
        sim.control("POST", "discord/users", {"id": user})
        return sim.rest("POST", "/users/@me/channels", {"recipient_id": user})[1].get("id")

    def to_a_channel():
        path = "/channels/%s/messages" % new_dm()
        return sim.burst("POST", lambda _: path, {"content": "x"}, n=6)
    got = used_up(to_a_channel)
    left = [int(g[2]["x-ratelimit-remaining"]) for g in got]
    over, h = got[5][1], got[5][2]
    check("five messages to a channel, then a wait", [g[0] for g in got] == [200] * 5 + [429] and
          left == [4, 3, 2, 1, 0, 0] and over["global"] is False and 0 < over["retry_after"] <= 5, got[5])
    check("as the headers tell", h["x-ratelimit-scope"] == "user" and int(h["retry-after"]) >= over["retry_after"] and
          began <= float(h["x-ratelimit-reset"]) - float(h["x-ratelimit-reset-after"]) + 0.1 <= time.time() + 0.2, h)
    dm = new_dm()
    other = sim.rest("POST", "/channels/%s/messages" % dm, {"content": "x"})
    check("another channel has its own five in the same bucket", other[0] == 200 and
        other[2]["x-ratelimit-bucket"] == h["x-ratelimit-bucket"], other)

    def by_a_token():
        path = "/webhooks/%s/%s%s" % (APP_ID, deferred(sim)["token"], ORIGINAL)
        return sim.burst("PATCH", lambda _: path, {"content": "x"}, token=None, n=6)
    check("a token has its own, too", [g[0] for g in used_up(by_a_token)] == [200] * 5 + [429] and sim.hook(
        "PATCH", deferred(sim)["token"], ORIGINAL, {"content": "x"})[0] == 200)

    def of_the_bot():
        time.sleep(1.1)
        return sim.burst("GET", lambda i: "/channels/%d" % (5000 + i), n=51)
    got = used_up(of_the_bot)
    over = got[-1]
    check("50 a second for the bot", [g[0] for g in got] == [404] * 50 + [429] and over[1]["global"] and
        over[2]["x-ratelimit-global"] == "true" and
          over[2]["x-ratelimit-scope"] == "global" and 0 < over[1]["retry_after"] <= 1, over)
    check("which interactions are exempt from", sim.hook("GET", deferred(sim)["token"], ORIGINAL)[0] == 200)
    before = sim.control("GET", "stats")[1]["discord"]["invalid_total"]
    sim.rest("GET", "/users/@me", token="wrong")
    check("invalid answers are counted", sim.control("GET", "stats")[1]["discord"]["invalid_total"] == before + 1 and
        before >= 3)
    sim.control("POST", "discord/app", {"invalid_limit": before + 1})
    got = sim.rest("GET", "/channels/" + dm)
    check("too many shut the address out", got[0] == 429 and got[1] == b"error code: 1015" and
        int(got[2]["retry-after"]) > 60 and
          "x-ratelimit-limit" not in got[2], got)
    sim.control("POST", "discord/app", {"invalid_limit": 10000})


def faults(sim):
    channel = sim.control("GET", "discord/app")[1]["channel_id"]
    path = "/channels/%s/messages" % channel

    def with_fault(**fault):
        sim.control("POST", "faults", {"method": "createMessage", "count": 1, **fault})
        try:
            return sim.rest("POST", path, {"content": "under a fault"})
        except OSError as error:
            return error
    got = with_fault(kind="429", retry_after=0.25, scope="shared")
    check("a 429 on request", got[:2] == (429, {"message": "You are being rate limited.", "retry_after": 0.25,
        "global": False}) and
          got[2]["x-ratelimit-scope"] == "shared" and got[2]["retry-after"] == "1", got)
    got = with_fault(kind="429", scope="global", retry_after=2)
    check("a global one", got[1]["global"] and got[2]["x-ratelimit-global"] == "true", got)
    got = with_fault(kind="429", scope="address")
    check("one of what stands before the API", got[0] == 429 and got[1] == b"error code: 1015", got)
    check("a 500", with_fault(kind="500")[:2] == (500, {"message": "500: Internal Server Error", "code": 0}))
    check("a 403", with_fault(kind="403", description="Missing Access")[:2] == (403, {"message": "Missing Access",
        "code": 50001}))
    check("a cut connection", isinstance(with_fault(kind="reset"), OSError))
    count = len(sim.feed(ANN))
    check("a cut connection after the effect", isinstance(with_fault(kind="reset", when="after"), OSError) and
          sim.feed(ANN)[count:][0]["content"] == "under a fault")
    began = time.monotonic()
    check("a slow answer", with_fault(kind="delay", ms=300)[0] == 200 and time.monotonic() - began >= 0.25)
    check("each is recorded", [c["status"] for c in sim.control("GET", "calls?limit=100000")[1]["calls"]][-8:] == [429,
        429, 429, 500, 403, 0, 0, 200])
    sim.control("POST", "reset", {})
    check("all is forgotten on request", sim.control("GET", "discord/interactions")[1] == [] and
          sim.control("GET", "discord/app")[1]["interactions_endpoint_url"] == bot.url and
          sim.control("GET", "discord/feed?user_id=" + ANN)[0] == 404)


def by_itself():
    sim = Sim("--answer-ms", "20000", "--limits", "off")
    for part in (endpoint, shapes, first_responses, not_called_json, tokens, clients, commands, channels, faults):
        part(sim)
    sim.control("POST", "discord/users", {"id": ANN, "name": "Ann"})
    sim.control("POST", "discord/app", {"answer_ms": 1000})
    too_late(sim)
    in_the_middle(sim)
    sim = Sim("--answer-ms", "20000")
    bot.key = sim.rest("GET", "/applications/@me")[1]["verify_key"]
    sim.control("POST", "discord/app", {"interactions_endpoint_url": bot.url})
    limits(sim)
    check("and with its limits, too", sim.process.stop() == 0, sim.process.output())


by_itself()
finish()
