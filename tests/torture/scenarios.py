"""The end-to-end cases to be tortured. Each is a generator over a World: up to its first yield it prepares, undisturbed;
from there on the program under torture has its nth operation failed; each later yield waits until all is at rest; what
follows the last one says what must be so, whatever failed."""
import http.server
import json
import threading
import time

SCENARIOS = {}  # name -> function
HI = {"luna": "Stars & <i>sky</i>", "default": "<b>Hi</b> & welcome"}
REPLIES = {"luna": ["moon", "sun"], "default": ["one", "two <i>2</i> & more", "three"]}
ANY = object()  # some words of the bot's own


RESETS = ("before", "middle", "after")
ALL = RESETS + ("timeout", "storm", "silence")


def scenario(fn=None, *, of="worker", stack="webhook", group="plain", kinds=RESETS):
    """of: the program whose operations fail.  stack: webhook, poll or shards.  group: what the worker needs, see GROUPS.
    kinds: of faults"""
    def take(fn):
        fn.of, fn.stack, fn.group, fn.kinds, fn.name = of, stack, group, kinds, fn.__name__
        SCENARIOS[fn.name] = fn
        return fn
    return take(fn) if fn else take


# what a worker gets beside its usual environment
GROUPS = {
    "plain": {},
    "answering": {"SHOAL_TELEGRAM_MODE": "poll"},  # the worker answers buttons itself, as where the gateway polls
    "responder": {"SHOAL_RESPONDER_URL": "http://127.0.0.1:%(responder)d/v1/chat/completions",
                  "SHOAL_RESPONDER_TIMEOUT_S": "2"},
}


def talk(persona, *texts, first=0):
    """The rows of a conversation."""
    rows, replies = [], REPLIES[persona]
    for n, text in enumerate(texts):
        rows += [[persona, "in", text], [persona, "out", replies[(first + n) % len(replies)]]]
    return rows


# ---- coming in

@scenario
def stranger_is_asked(w):
    u = w.person()
    yield
    w.say(u, "/start Good-1")
    yield
    w.expect(u, source="Good-1", verified=False, uses=["Good-1"], calls=[("sendMessage", ANY)])
    w.expect_buttons(u)


@scenario(kinds=ALL)
def yes(w):
    u = w.person()
    press = w.asked(u, "/start Good-1")
    yield
    press("yes")
    yield
    w.expect(u, source="Good-1", uses=["Good-1"], open="luna", chats=["luna"],
             calls=[("editMessageReplyMarkup", None), ("sendMessage", HI["luna"])], answers="webhook")


@scenario
def no(w):
    u = w.person()
    press = w.asked(u, "/start Good-1")
    yield
    press("no")
    yield
    w.expect(u, source="Good-1", uses=["Good-1"], verified=False,
             calls=[("editMessageReplyMarkup", None), ("sendMessage", ANY)], answers="webhook")


@scenario(kinds=RESETS + ("storm",))
def double_click(w):
    u = w.person()
    press = w.asked(u, "/start Good-1")
    yield
    press("yes", times=3)
    yield
    w.expect(u, source="Good-1", uses=["Good-1"], open="luna", chats=["luna"],
             calls=[("editMessageReplyMarkup", None), ("sendMessage", HI["luna"])], answers="webhook")


@scenario(group="answering")
def yes_answered_by_the_worker(w):
    u = w.person()
    press = w.asked(u, "/start Good-1")
    yield
    press("yes")
    yield
    w.expect(u, source="Good-1", uses=["Good-1"], open="luna", chats=["luna"],
             calls=[("editMessageReplyMarkup", None), ("sendMessage", HI["luna"])], answers="http")


@scenario(kinds=RESETS + ("storm",))
def first_touch(w):
    u = w.person(verified=True)
    yield
    w.say(u, "/start plain", "/start Good-1", "/start good-1")
    yield
    w.expect(u, source="plain", uses=["plain"], open="default", chats=["default", "luna"],
             calls=[("sendMessage", HI["default"]), ("sendMessage", HI["luna"]), ("sendMessage", ANY)])


@scenario(kinds=RESETS + ("storm",))
def limited_code(w):
    u = w.person(verified=True)
    yield
    w.say(u, "/start few")
    yield
    w.expect(u, source="few", uses=["few"], open="luna", chats=["luna"], calls=[("sendMessage", HI["luna"])])


@scenario
def useless_codes(w):
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "/start Nowhere", "/start old", "/start full")
    yield
    w.expect(u, open="luna", chats=["luna"], calls=[("sendMessage", ANY)] * 3)


# ---- staying and leaving

@scenario(kinds=ALL)
def text(w):
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "hello")
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello"), activity=1, calls=[("sendMessage", "moon")])


@scenario(kinds=RESETS + ("timeout", "storm"))
def conversation(w):
    u = w.person(verified=True, persona="luna")
    texts = ["message %d" % n for n in range(3)]
    yield
    w.say(u, *texts)
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", *texts), activity=3,
             calls=[("sendMessage", t) for t in ("moon", "sun", "moon")])


@scenario(kinds=RESETS + ("timeout", "storm"))
def crowd(w):
    """Many at once: several updates are under way on the connection that fails."""
    people = [w.person(verified=True, persona="luna") for _ in range(8)]
    yield
    w.messages((u, text) for text in ("a", "b") for u in people)
    yield
    for u in people:
        w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "a", "b"), activity=2,
                 calls=[("sendMessage", "moon"), ("sendMessage", "sun")])


@scenario
def stop_and_back(w):
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "/stop", "hello")
    yield
    w.expect(u, open="default", chats=["default", "luna"], lines=talk("default", "hello"), activity=1,
             calls=[("sendMessage", ANY), ("sendMessage", "one")])


@scenario
def stop(w):
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "/stop")
    yield
    w.expect(u, open=None, chats=["luna"], calls=[("sendMessage", ANY)])


@scenario
def help_(w):
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "/help", "/dance")
    yield
    w.expect(u, open="luna", chats=["luna"], calls=[("sendMessage", ANY)] * 2)


@scenario
def help_for_a_stranger(w):
    u = w.person()
    yield
    w.say(u, "/help")
    yield
    w.expect(u, exists=False, calls=[("sendMessage", ANY)])


@scenario
def media(w):
    u = w.person(verified=True, persona="luna")
    yield
    w.messages([(u, {"kind": "photo", "caption": "look & <see>"}), (u, {"kind": "sticker"})])
    yield
    w.expect(u, open="luna", chats=["luna"], lines=[
        ["luna", "in", "[photo] look & <see>"], ["luna", "out", "moon"], ["luna", "in", "[sticker]"],
        ["luna", "out", "sun"]], activity=2, calls=[("sendMessage", "moon"), ("sendMessage", "sun")])


@scenario(group="responder")
def responder(w):
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "hello")
    yield
    lines = w.state(u)["lines"]
    said = lines[1][2] if len(lines) == 2 else None
    if said not in ("I heard hello", "moon"):  # where it cannot be asked, the persona's replies do
        w.wrong("the answer is neither the responder's nor the persona's: %s" % lines)
    w.expect(u, open="luna", chats=["luna"], lines=[["luna", "in", "hello"], ["luna", "out", said]], activity=1,
             calls=[("sendMessage", said)])


@scenario
def group(w):
    u = w.person(verified=True)
    chat = w.group(u)
    yield
    w.messages((u, {"chat_id": chat, "text": t}) for t in ("hi", "/start Good-1", "hi"))
    yield
    w.expect(u, calls=[])
    w.expect_calls(chat, [("sendMessage", ANY)])


@scenario
def suspended(w):
    u = w.person(verified=True, persona="luna", suspended=True)
    yield
    w.say(u, "hello", "/stop")
    yield
    w.expect(u, open="luna", chats=["luna"], suspended=True, calls=[("sendMessage", ANY)] * 2)


@scenario
def blocked(w):
    u = w.person(verified=True, persona="luna")
    w.say(u, "hello")
    w.rest()
    yield
    w.block(u)
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello"), activity=1, blocked=True, calls=[])


@scenario
def let_in_again(w):
    u = w.person(verified=True, persona="luna", blocked=True)
    yield
    w.say(u, "still here")
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "still here"), activity=1, blocked=False,
             calls=[("sendMessage", "moon")])


@scenario(kinds=RESETS + ("storm",))
def refused_for_good(w):
    """A 403: the chat is marked by an entry of the worker's own."""
    u = w.person(verified=True, persona="luna")
    w.api_fault(u, kind="403")
    yield
    w.say(u, "hello")
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello"), activity=1, blocked=True, calls=[])


@scenario(kinds=RESETS + ("storm",))
def told_to_wait(w):
    """A 429: the chat is left alone as long as told; it takes no attempt."""
    u = w.person(verified=True, persona="luna")
    w.api_fault(u, kind="429", retry_after=2, count=1)
    yield
    w.say(u, "hello", "again")
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello", "again"), activity=2,
             calls=[("sendMessage", "moon"), ("sendMessage", "sun")])
    w.expect_obeyed(u, 2)


@scenario
def duplicate_update(w):
    u = w.person(verified=True, persona="luna")
    w.say(u, "hello")
    w.rest()
    yield
    w.post_twice(u, "only once")
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello", "only once"), activity=2,
             calls=[("sendMessage", "sun")])


# ---- the worker's own beginning and end

@scenario(kinds=RESETS + ("timeout", "storm"))
def cold_start(w):
    """From the first connection on; the update is there already."""
    u = w.person(verified=True, persona="luna")
    w.stop_worker()
    w.say(u, "hello", "again")
    w.delivered()
    yield
    w.start_worker(wait=False)
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello", "again"), activity=2,
             calls=[("sendMessage", "moon"), ("sendMessage", "sun")])


@scenario
def draining(w):
    """Told to stop with work in hand: it ends well, and another one does what is left."""
    u, v = w.person(verified=True, persona="luna"), w.person(verified=True, persona="luna")
    for x in (u, v):
        w.api_fault(x, kind="delay", ms=150)
    w.from_here()
    w.messages((x, t) for t in ("a", "b", "c") for x in (u, v))
    w.delivered()
    time.sleep(0.05)
    yield
    w.stop_worker()
    w.disarm()
    w.start_worker()
    yield
    for x in (u, v):
        w.expect(x, open="luna", chats=["luna"], lines=talk("luna", "a", "b", "c"), activity=3,
                 calls=[("sendMessage", t) for t in ("moon", "sun", "moon")])


@scenario(kinds=("silence",))
def taken_over(w):
    """Silence, and there is another worker: it may take over what this one still believes to have."""
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "hello", "again")
    w.delivered()
    time.sleep(0.1)
    other = w.start_undisturbed()
    w.taken_over = True
    yield
    w.stop_undisturbed(other)
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello", "again"), activity=2,
             calls=[("sendMessage", "moon"), ("sendMessage", "sun")])


# ---- the gateway

@scenario(of="gateway", kinds=RESETS + ("timeout", "storm"))
def webhook_text(w):
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "hello", "again")
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello", "again"), activity=2,
             calls=[("sendMessage", "moon"), ("sendMessage", "sun")])


@scenario(of="gateway")
def webhook_press(w):
    u = w.person()
    press = w.asked(u, "/start Good-1")
    yield
    press("yes")
    yield
    w.expect(u, source="Good-1", uses=["Good-1"], open="luna", chats=["luna"],
             calls=[("editMessageReplyMarkup", None), ("sendMessage", HI["luna"])], answers="webhook")


@scenario(of="gateway", kinds=RESETS + ("timeout", "storm"))
def webhook_crowd(w):
    people = [w.person(verified=True, persona="luna") for _ in range(6)]
    yield
    w.messages((u, t) for t in ("a", "b") for u in people)
    yield
    for u in people:
        w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "a", "b"), activity=2,
                 calls=[("sendMessage", "moon"), ("sendMessage", "sun")])


@scenario(of="gateway", kinds=RESETS + ("timeout", "storm"))
def gateway_cold_start(w):
    u = w.person(verified=True, persona="luna")
    w.stop_gateway()
    yield
    w.start_gateway(wait=False)
    w.say(u, "hello", "again")
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "hello", "again"), activity=2,
             calls=[("sendMessage", "moon"), ("sendMessage", "sun")])


@scenario(of="gateway")
def gateway_stops(w):
    """Told to stop while updates arrive: what it has not accepted is sent again."""
    people = [w.person(verified=True, persona="luna") for _ in range(6)]
    yield
    w.messages((u, t) for t in ("a", "b") for u in people)
    w.after_operations(3)
    w.stop_gateway()
    w.disarm()
    w.start_gateway()
    yield
    for u in people:
        w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "a", "b"), activity=2,
                 calls=[("sendMessage", "moon"), ("sendMessage", "sun")])


@scenario(of="gateway", stack="poll", kinds=RESETS + ("timeout", "storm"))
def polled(w):
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "a", "b", "c")
    yield
    time.sleep(0.1)  # the next question, which confirms them
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "a", "b", "c"), activity=3,
             calls=[("sendMessage", t) for t in ("moon", "sun", "moon")])


@scenario(of="gateway", stack="poll")
def poller_cold_start(w):
    u = w.person(verified=True, persona="luna")
    w.stop_gateway()
    w.say(u, "a", "b", "c")
    yield
    w.start_gateway(wait=False)
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "a", "b", "c"), activity=3,
             calls=[("sendMessage", t) for t in ("moon", "sun", "moon")])


@scenario(of="gateway", stack="poll")
def poller_stops(w):
    """Its lock goes to the next one, or runs out."""
    u = w.person(verified=True, persona="luna")
    yield
    w.say(u, "a", "b", "c")
    w.after_operations(1)
    w.stop_gateway()
    w.disarm()
    w.start_gateway()
    yield
    w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "a", "b", "c"), activity=3,
             calls=[("sendMessage", t) for t in ("moon", "sun", "moon")])


# ---- two shards: each has connections of its own

@scenario(stack="shards", kinds=RESETS + ("storm",))
def crowd_on_two_shards(w):
    people = [w.person(verified=True, persona="luna") for _ in range(4)]
    yield
    w.messages((u, text) for text in ("a", "b") for u in people)
    yield
    for u in people:
        w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "a", "b"), activity=2,
                 calls=[("sendMessage", "moon"), ("sendMessage", "sun")])


@scenario(of="gateway", stack="shards", kinds=RESETS + ("storm",))
def webhook_on_two_shards(w):
    people = [w.person(verified=True, persona="luna") for _ in range(4)]
    yield
    w.messages((u, "a") for u in people)
    yield
    for u in people:
        w.expect(u, open="luna", chats=["luna"], lines=talk("luna", "a"), activity=1, calls=[("sendMessage", "moon")])


# ---- verbs: all or nothing, said truly; and once more does what is missing

@scenario(of="cli", kinds=RESETS + ("timeout",))
def code_added(w):
    name, audited = w.name(), "code:%s"
    yield
    first = w.verb("code", "add", name, "--persona", "luna")
    w.expect_done_or_not(first, w.one("SELECT count(*) FROM start_codes WHERE code = %s", name), 1)
    second = w.verb("code", "add", name, "--persona", "luna", disturbed=False)
    yield
    if second not in ((0, 1) if first else (1,)):
        w.wrong("once more ended with %s: %s" % (second, w.printed))
    w.expect_rows(1, "SELECT count(*) FROM start_codes WHERE code = %s", name)
    w.expect_rows(1, "SELECT count(*) FROM admin_audit WHERE target = %s", audited % name)


@scenario(of="cli", kinds=RESETS + ("timeout",))
def codes_imported(w):
    names = [w.name() for _ in range(3)]
    table = "code,persona\n" + "".join("%s,luna\n" % n for n in names)
    yield
    first = w.verb("code", "import", "-", stdin=table)
    w.expect_done_or_not(first, w.one("SELECT count(*) FROM start_codes WHERE code = ANY(%s)", names), 3)
    second = w.verb("code", "import", "-", stdin=table, disturbed=False)
    yield
    if second not in ((0, 1) if first else (1,)):
        w.wrong("once more ended with %s: %s" % (second, w.printed))
    w.expect_rows(3, "SELECT count(*) FROM start_codes WHERE code = ANY(%s)", names)
    w.expect_rows(3, "SELECT count(*) FROM admin_audit WHERE target = ANY(%s)", ["code:" + n for n in names])


@scenario(of="cli", kinds=RESETS + ("timeout",))
def person_suspended(w):
    u = w.person(verified=True)
    yield
    first = w.verb("user", "suspend", str(u))
    w.expect_done_or_not(first, w.one("SELECT count(suspended_at) FROM users WHERE telegram_id = %s", u), 1)
    if w.verb("user", "suspend", str(u), disturbed=False) != 0:
        w.wrong("once more failed: " + w.printed)
    yield
    w.expect(u, suspended=True)


@scenario(of="cli", kinds=RESETS + ("timeout",))
def migrated(w):
    name, versions = w.name().lower(), "SELECT array_agg(version ORDER BY version) FROM schema_migrations"
    w.rows("CREATE DATABASE " + name)
    url = w.stack.pg.url.rsplit("/", 1)[0] + "/" + name
    yield
    first = w.verb("migrate", SHOAL_POSTGRES_URL=url)
    if first not in (0, 3):
        w.wrong("migrate ended with %s: %s" % (first, w.printed))
    if w.verb("migrate", SHOAL_POSTGRES_URL=url, disturbed=False) != 0:
        w.wrong("once more failed: " + w.printed)
    yield
    db = w.stack.pg.connect(name)
    with db.cursor() as cur:
        cur.execute(versions)
        there = cur.fetchall()
    db.close()
    if there != w.rows(versions):
        w.wrong("migrations: %s" % there)
    w.rows("DROP DATABASE " + name)


# ---- what the responder of a persona is

class Endpoint:
    """A chat-completions endpoint."""

    def __init__(self, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                try:
                    asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                    answer = json.dumps({"choices": [{"message": {
                        "role": "assistant", "content": "I heard " + asked["messages"][-1]["content"]}}]}).encode()
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except (OSError, ValueError):  # the other side is gone
                    self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
