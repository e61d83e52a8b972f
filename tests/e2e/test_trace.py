"""What is said of one update, from the gateway to its dead letter: a trace id that goes along with it, whatever comes as
traceparent; its line in the log; slow and failing statements with the update that they belong to."""
import http.client
import http.server
import json
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, wait_for  # noqa: E402
from stack import SECRET, Stack, binary_from_argv  # noqa: E402

STREAM = "shoal:{0}:updates"
FIRST = 5000
ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = "00-%s-%s-01" % (ID, SPAN)
WHOLE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]\Z")
SLOW_MS, FAST_MS = 150, 20


class Responder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    heard = []  # traceparent of each question

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append(self.headers.get_all("traceparent"))
        body = json.dumps({"choices": [{"message": {"role": "assistant", "content": "said"}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


responder = Server(("127.0.0.1", 0), Responder)
threading.Thread(target=responder.serve_forever, daemon=True).start()

# the gateway's own lines of each update are for those who debug
stack = Stack(binary_from_argv(), workers=0, webhook=False, SHOAL_LOG_FORMAT="json", SHOAL_LOG="debug", SHOAL_MAX_ATTEMPTS=2,
              SHOAL_SLOW_QUERY_MS=SLOW_MS, SHOAL_FAST_MS=FAST_MS, SHOAL_PG_CONNECTIONS=2,
              SHOAL_RESPONDER_URL="http://127.0.0.1:%d/v1/chat/completions" % responder.server_port)
redis = stack.redis.client()
number = 0


def once(pairs):
    """No key of a log line may come twice: whoever reads it as JSON would see one of them only."""
    names = [k for k, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("twice: %s" % names)
    return dict(pairs)


def lines(program, **like):
    """What a program has logged, as objects."""
    out = [json.loads(line, object_pairs_hook=once) for line in program.output().splitlines() if line.startswith("{")]
    return [x for x in out if all(x.get(k) == v for k, v in like.items())]


def listed(*argv):
    p = stack.start("cli-%d" % len(stack.programs), [*argv, "--json"], SHOAL_LOG="error")
    p.wait()
    return json.loads(p.output())


def update(user, text):
    global number
    number += 1
    who = {"id": user, "is_bot": False, "first_name": "P%d" % user}
    return {"update_id": number, "message": {
        "message_id": number, "date": int(time.time()), "chat": {"id": user, "type": "private", "first_name": "P"},
        "from": who, "text": text}}


def post(body, *traceparents):
    """To the gateway, with each as a header of its own."""
    conn = http.client.HTTPConnection("127.0.0.1", stack.gateway_port, timeout=60)
    text = json.dumps(body).encode()
    conn.putrequest("POST", "/telegram/persona")
    for name, value in [("X-Telegram-Bot-Api-Secret-Token", SECRET), ("Content-Length", str(len(text)))] + [
            ("TraceParent", t) for t in traceparents]:
        conn.putheader(name, value)
    conn.endheaders(text)
    status = conn.getresponse().status
    conn.close()
    return status


def entry(key):
    """The fields of the entry with this key, in the stream or a dead letter."""
    for stream in (STREAM, "shoal:{0}:dead"):
        for _, fields in redis.xrange(stream):
            if fields.get(b"key") == key.encode():
                return {k.decode(): v.decode("utf-8", "replace") for k, v in fields.items()}
    return {}


def prepare():
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) "
                  "SELECT %s + n, 'P', now() FROM generate_series(0, 9) n", FIRST)
    stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', 'Hello', '{yes}')")
    for user in range(FIRST, FIRST + 10):
        stack.control("POST", "users", {"id": user, "first_name": "P"})
        stack.say(user, "hi")  # goes to nobody; from now on the bot may write to them
    stack.pg.rows("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                  "IF NEW.text = 'poison' THEN RAISE EXCEPTION 'no poison here'; END IF; RETURN NEW; END $$;"
                  "CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION refuse()")


def gateway():
    """No worker yet: what the gateway has made of each can be looked at."""
    cases = [("a good one", [GIVEN], True), ("of a version to come", ["cc-%s-%s-01-more" % (ID, SPAN)], True),
             ("none", [], False), ("two", [GIVEN, GIVEN], False), ("of version ff", ["ff" + GIVEN[2:]], False),
             ("zeros", ["00-%s-%s-01" % ("0" * 32, SPAN)], False), ("capitals", [GIVEN.upper()], False),
             ("too long", [GIVEN + "0"], False), ("very long", ["0" * 8000], False), ("no ASCII", ["\xff\xfe"], False),
             ("quotes", ['"}\\u0000 \x1b[2J'], False)]
    seen = set()
    for name, given, kept in cases:
        status = post(update(FIRST, "hello"), *given)
        if status == 400:  # bytes that no header may hold
            check("gateway: %s: refused" % name, not entry("telegram:persona:%d" % number))
            continue
        got = entry("telegram:persona:%d" % number).get("traceparent", "")
        trace, span = got.split("-")[1:3] if WHOLE.match(got) else ("", "")
        good = status == 200 and trace and (trace == ID) == kept and span != SPAN and span not in seen
        check("gateway: %s: %s" % (name, "continued" if kept else "a new one"), good, (status, got))
        check("gateway: %s: in its log" % name, wait_for(lambda: lines(stack.gateway, msg="update appended", trace_id=trace)))
        seen.add(span)
    check("gateway: flags", entry("telegram:persona:1")["traceparent"].endswith("-01"))


def by_hand():
    """Any program may append, with what it likes in it."""
    hostile = ["", "x", GIVEN + "\n", "\x1b[2J\x00\r\n{\"msg\":\"forged\"}", "0" * 100000, "00-" + "\xff" * 52, GIVEN.upper()]
    for n, value in enumerate([None, GIVEN] + hostile):
        body = update(FIRST + 1, "by hand %d" % n)
        fields = {"bot": "persona", "lane": "telegram:persona:%d" % (FIRST + 1), "key": "hand:%d" % n, "body": json.dumps(body)}
        redis.xadd(STREAM, {**fields, **({} if value is None else {"traceparent": value.encode("latin-1")})})
    redis.xadd(STREAM, {"bot": "persona", "lane": "L", "traceparent": GIVEN})  # no body: the script buries it


def handled(worker):
    check("all is settled", stack.settled())
    told = {x["entry"]: x for x in lines(worker, msg="update")}
    check("a line for each update", len(told) == len(lines(worker, msg="update")) == 9 + number_of_posts, len(told))
    known = {x["trace_id"] for x in lines(stack.gateway, msg="update appended")}
    check("the worker's lines have the gateway's ids", known <= {x["trace_id"] for x in told.values()})
    # in the order of their appending
    mine = [x for x in told.values() if x["lane"].endswith(str(FIRST + 1))]
    mine.sort(key=lambda x: [int(n) for n in x["entry"].split("-")])
    ids = [x["trace_id"] for x in mine]
    check("by hand: the given one is kept", ids[1] == ID, ids)
    others = ids[:1] + ids[2:]
    check("by hand: a sound one where it is none", len(set(others)) == len(others) and ID not in others and
          all(re.fullmatch("[0-9a-f]{32}", i) for i in others), ids)
    check("nothing is forged", not lines(worker, msg="forged"))
    buried = lines(worker, msg="entry became a dead letter", trace_id=ID)
    check("what the script buries has its id, too", len(buried) == 1 and buried[0]["error"] == "no body", buried)
    heard = [h for h in Responder.heard]
    check("the responder hears of it", heard and all(len(h) == 1 and WHOLE.match(h[0]) for h in heard) and
          {h[0].split("-")[1] for h in heard} == {x["trace_id"] for x in told.values()}, heard[:3])
    spans = [h[0].split("-")[2] for h in heard]
    check("under a span of its own", len(set(spans)) == len(spans) and SPAN not in spans)


def one_line(worker):
    """SPEC 8: bot, command, outcome, total and stage times, the speed."""
    line = lines(worker, msg="update", outcome="done")[-1]
    stages = [k for k in ("decode", "acknowledge", "load", "decide", "commit", "reply") if k in line]
    check("the line says what it must", line["bot"] == "persona" and line["command"] == "text" and
          line["sql"] == 2 and line["lane"] and line["level"] == "info" and "load" in stages and "commit" in stages, line)
    check("stages under 0.1 ms are left out", all(x[k] >= 0.1 for x in lines(worker, msg="update") for k in stages if k in x))
    check("stages are within the total", all(sum(x.get(k, 0) for k in stages) <= x["total_ms"] + 0.01
                                             for x in lines(worker, msg="update")))
    slow_ms = 100
    odd = [x for x in lines(worker, msg="update") if x["speed"] != (
        "FAST" if x["total_ms"] < FAST_MS else "SLOW" if x["total_ms"] > slow_ms else "OK")]
    check("FAST, SLOW, OK", not odd, odd)


def poison(worker):
    """Fails, is tried again, becomes a dead letter, is retried: one trace."""
    mine = "00-" + "ab" * 16 + "-" + SPAN + "-00"
    post(update(FIRST + 2, "poison"), mine)
    key = "telegram:persona:%d" % number
    check("it becomes a dead letter", wait_for(lambda: stack.queue()["dead"] == 2))
    told = [x for x in lines(worker, msg="update") if x["trace_id"] == "ab" * 16]
    check("each attempt has the trace", [x["outcome"] for x in told] == ["retried", "dead"] and
          len({x["entry"] for x in told}) == 1 and all("no poison" in x["error"] for x in told), told)
    check("what is not sampled stays so", entry(key)["traceparent"].endswith("-00"), entry(key))
    letters = listed("dead", "list")
    mine = [x for x in letters if x["key"] == key]
    check("dead list tells it", [x["trace_id"] for x in mine] == ["ab" * 16], letters)
    one = listed("dead", "show", mine[0]["id"])
    check("dead show tells it", one["trace_id"] == "ab" * 16, one)
    stack.pg.rows("DROP TRIGGER refuse ON messages")
    stack.shoal("dead", "retry", mine[0]["id"], SHOAL_LOG="error")
    check("the retried letter", wait_for(lambda: [x["outcome"] for x in lines(worker, msg="update", trace_id="ab" * 16)] == [
        "retried", "dead", "done"]), lines(worker, msg="update", trace_id="ab" * 16))
    # a letter that carries none is shown with what its worker logged
    redis.xadd(STREAM, {"bot": "nobody", "lane": "L", "body": "{}"})
    check("an unknown bot", wait_for(lambda: stack.queue()["dead"] == 2))
    logged = [x for x in lines(worker, msg="update", outcome="dead") if "unknown bot" in x["error"]]
    shown = listed("dead", "list")
    check("is shown as it was logged", [shown[0]["trace_id"]] == [x["trace_id"] for x in logged], (shown, logged))


def refused(worker):
    """A chat that refuses its reply: the entry that writes that down belongs to the same trace, and so do the warnings."""
    stack.control("POST", "faults", {"method": "sendMessage", "kind": "403", "chat_id": FIRST + 3, "count": 1})
    post(update(FIRST + 3, "hello"), "00-" + "cd" * 16 + "-" + SPAN + "-01")
    check("an entry caused by an update", wait_for(lambda: sorted(
        x["command"] for x in lines(worker, msg="update", trace_id="cd" * 16)) == ["refused", "text"]),
        lines(worker, msg="update", trace_id="cd" * 16))
    stack.control("POST", "faults", {"method": "sendMessage", "kind": "400", "chat_id": FIRST + 4, "count": 1})
    post(update(FIRST + 4, "hello"), "00-" + "ef" * 16 + "-" + SPAN + "-01")
    check("a reply that is refused", wait_for(lambda: lines(worker, msg="reply refused for good", trace_id="ef" * 16)))


def slow(worker):
    """A statement that waits for a lock is logged by its name, with the update that it belongs to."""
    before = stack.total("shoal_sql_slow_total")
    db = stack.pg.connect()
    with db.cursor() as cur:
        cur.execute("SELECT * FROM users WHERE telegram_id = %s FOR UPDATE", (FIRST + 5,))
        post(update(FIRST + 5, "hello"), "00-" + "12" * 16 + "-" + SPAN + "-01")
        wait_for(lambda: stack.pg.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        time.sleep(2 * SLOW_MS / 1000)
    db.rollback()
    db.close()
    found = wait_for(lambda: [x for x in lines(worker, msg="slow statement", trace_id="12" * 16)])
    told = wait_for(lambda: lines(worker, msg="update", trace_id="12" * 16))
    check("a slow statement has its name, its time and its update", found and told and found[0]["ms"] >= SLOW_MS and
          os.path.exists("sql/queries/%s.sql" % found[0]["statement"]) and found[0]["entry"] == told[0]["entry"], (found, told))
    check("it is counted", stack.total("shoal_sql_slow_total") >= before + 1)
    check("its update is SLOW", told and told[0]["speed"] == "SLOW", told)


def quiet():
    """SHOAL_LOG_UPDATES=0"""
    stack.stop_workers()
    worker = stack.add_worker(SHOAL_LOG_UPDATES=0, SHOAL_LOG="info")
    before = stack.pg.rows("SELECT count(*) FROM messages WHERE direction = 'in'")[0][0]
    post(update(FIRST + 6, "hello"))
    check("handled without a line", wait_for(lambda: stack.pg.rows(
        "SELECT count(*) FROM messages WHERE direction = 'in'")[0][0] > before) and stack.settled() and
        not lines(worker, msg="update") and lines(worker, msg="worker started"))


def slow_though_fast():
    """Who asks to hear of all above 0 ms hears of it, whatever counts as fast."""
    stack.stop_workers()
    worker = stack.add_worker(SHOAL_SLOW_MS=0)
    post(update(FIRST + 7, "hello"))
    said = wait_for(lambda: lines(worker, msg="update"))
    check("what is slow is not called fast", said and said[0]["speed"] == "SLOW" and said[0]["total_ms"] > 0, said)


prepare()
gateway()
number_of_posts = int(redis.xlen(STREAM))
by_hand()
worker = stack.add_worker()
handled(worker)
one_line(worker)
poison(worker)
refused(worker)
slow(worker)
quiet()
slow_though_fast()
responder.shutdown()
finish()
