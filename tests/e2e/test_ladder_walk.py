"""A person's way into the ladder by the simulated Discord: terms, setup, country; times and traces of it."""
import os
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")]
from lib import check, finish  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

ANN, BEN = "80351110224678912", "80351110224678913"
stack = Stack(binary_from_argv(), bot="ladder", sim_args=["--answer-ms", "20000"])
check("the gateway's endpoint is verified as Discord does it", stack.discord("GET",
    "app")["interactions_endpoint_url"] == stack.gateway_url + "/discord/ladder")
check("its ping", stack.discord("POST", "ping")["answer_type"] == 1)
for name, how in [("by another", {"other_key": True}), ("not at all", {"signature": ""}), ("twenty minutes ago",
    {"timestamp": str(int(time.time()) - 1200)})]:
    got = stack.discord("POST", "raw", {"body": {"type": 2, "id": "5", "token": "x", "data": {"name": "help"}},
        **how})
    check("what is signed %s is refused" % name, got["status"] == 401, got)


def says(name, one, *parts):
    text = one.get("original", {}).get("content", "")
    check("%s" % name, one["state"] == "answered" and all(p in text for p in parts) and one.get("edits") == 1 and
        one["done_ms"] >= one["first_ms"] > 0, one)
    return one.get("original") or {}


says("a command before the terms", stack.command(ANN, "setcountry", country="DE"), "/termsofservice")
terms = says("the terms", stack.command(ANN, "termsofservice"), "**Terms of service**")
go = terms["components"][0]["components"][0]["custom_id"]
clicks = stack.click(ANN, terms["id"], go, times=2, wait="first")
check("a double click takes effect once", stack.settled() and
    stack.pg.rows("SELECT count(*) FROM player_action_logs") == [(1,)])
first = [i for i in stack.discord("GET", "interactions") if i["kind"] == "component"]
check("and is answered both times", len(first) == 2 and all(i["state"] == "answered" and
    i["answer_type"] == 7 for i in first), (clicks, first))
check("the message is thanks", "Thank you" in stack.feed(ANN)[-1]["content"] and
    not stack.feed(ANN)[-1]["components"], stack.feed(ANN))
opened = stack.command(ANN, "setup", wait="first")
check("a form", opened["answer_type"] == 9 and
    [p["component"]["custom_id"] for p in opened["answer"]["components"]] == ["name", "country", "region"], opened)
says("handed in", stack.submit(ANN, opened, name="Nelly", country="Germany", region=["euw"]), "**Nelly**")
got = stack.discord("POST", "autocomplete", {"user_id": ANN, "name": "setcountry", "option": "country",
    "options": {"country": "fra"}})
check("a suggestion", got["answer"]["choices"][0] == {"name": "France", "value": "FR"}, got)
says("a country", stack.command(ANN, "setcountry", country="FR"), "FR")
check("the player is as told",
    stack.pg.rows("SELECT player_name, country, region FROM players WHERE discord_uid = %s", int(ANN)) == [("Nelly",
    "FR", "euw")])
says("in private", stack.discord("POST", "command", {"user_id": ANN, "name": "help", "dm": True, "wait": "done"}),
    "/setcountry")
check("others see nothing of it", (stack.discord("POST", "users", {"id": BEN, "name": "Ben"}),
    stack.feed(BEN))[1] == [], stack.feed(BEN))
numbers = stack.control("GET", "stats")["discord"]
check("the times are counted", numbers["first_response_ms"]["count"] == numbers["interactions"]["answered"] and
    numbers["done_ms"]["count"] >= 6 and
      numbers["interactions"]["malformed"] == numbers["interactions"]["refused"] == numbers["interactions"]["no_answer"] == 0 and
      numbers["done_ms"]["p99"] > 0 and numbers["invalid_total"] == 0, numbers)
calls = stack.calls()
check("and stand in the record",
    [c["method"] for c in calls if c["method"] == "interaction" or c["method"] == "editOriginal" and c["status"] == 200][:3] ==
    ["interaction", "interaction", "editOriginal"] and  # an edit that is faster than the first response gets 404, and comes again
      all(c["took_ms"] > 0 for c in calls if c["method"] == "interaction"), calls[:4])
stack.control("POST", "faults", {"method": "interaction", "kind": "delay", "ms": 700, "count": 1})
late = stack.command(ANN, "help")
edits = [c["status"] for c in stack.calls() if c["parameters"].get("interaction_id") == late["id"] and c["via"] == "http"]
check("where Discord knows late of the first response, it is asked again", "/queue" in late["original"]["content"] and
    len(edits) > 1 and edits[-1] == 200 and set(edits[:-1]) == {404}, (edits, late))
check("nothing is left", stack.settled() and stack.queue()["dead"] == 0, stack.queue())
finish()
