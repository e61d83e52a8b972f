#!/usr/bin/python3
"""The simulator against a client that it does not know: python-telegram-bot, which is strict about what it reads.

    sim_strict_client.py [build/shoal]
"""
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
import warnings

warnings.filterwarnings("ignore")
import telegram  # noqa: E402
import telegram.error  # noqa: E402
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from telegram_client import Forbidden, WrongToken, client  # noqa: E402

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/shoal"
TOKEN, OTHER = "1234567:AAE-strict_client", "7654321:AAE-second"
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


class Sim:
    def __init__(self, *args):
        self.process = subprocess.Popen(
            [BINARY, "sim", "--listen", "127.0.0.1:0", "--bot", "persona=" + TOKEN, "--bot", "escrow=" + OTHER, *args],
            stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip().rstrip("/")
        assert self.url.startswith("http://127.0.0.1:"), self.url

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        assert code == 0, f"the simulator ended with {code}"

    def raw(self, method, path, body=None, headers=None):
        """status, parsed JSON"""
        host = self.url.split("//")[1]
        c = http.client.HTTPConnection(host, timeout=20)
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        text = r.read()
        c.close()
        return r.status, json.loads(text) if text else None

    def sim(self, path, **body):
        status, answer = self.raw("POST", "/sim/" + path, json.dumps(body), {"Content-Type": "application/json"})
        assert status == 200, (status, answer)
        return answer

    def call(self, name, token=TOKEN, **parameters):
        return self.raw("POST", f"/bot{token}/{name}", json.dumps(parameters), {"Content-Type": "application/json"})

    def get(self, path):
        status, answer = self.raw("GET", "/sim/" + path)
        assert status == 200, (status, answer)
        return answer

    def forget_updates(self):
        equal(self.call("deleteWebhook", drop_pending_updates=True)[0], 200)

    def bot(self, token=TOKEN, timeout=20):
        return client(token, self.url + "/bot", timeout)

    def say(self, user_id, text="/start", **more):
        return self.sim("message", bot="persona", user_id=user_id, text=text, **more)

    def press(self, user_id, message_id, data, **more):
        return self.sim("press", bot="persona", user_id=user_id, message_id=message_id, data=data, **more)


def refused(kind, text, fn, *args, **kwargs):
    try:
        fn(*args, **kwargs)
    except kind as error:
        assert text.lower() in str(error).lower(), f"{error!r} does not say {text!r}"
        return error
    raise AssertionError(f"{kind.__name__} {text!r} was expected, nothing was raised")


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def wait_for(condition, seconds=5, what="it"):
    end = time.time() + seconds
    while time.time() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen in {seconds} s")


keyboard = telegram.InlineKeyboardMarkup([[telegram.InlineKeyboardButton("Yes", callback_data="y"),
                                           telegram.InlineKeyboardButton("No", callback_data="n")]])


@test
def who_am_i(sim):
    me = sim.bot().get_me()
    equal((me.id, me.is_bot, me.username), (1234567, True, "persona_bot"))
    assert me.can_join_groups is True


@test
def wrong_tokens_and_methods(sim):
    refused(WrongToken, "unauthorized", sim.bot("1234567:wrong").get_me)
    equal(sim.raw("GET", "/botnonsense/getMe")[0], 404)
    status, answer = sim.raw("GET", f"/bot{TOKEN}/getYou")
    equal((status, answer["ok"], answer["error_code"]), (404, False, 404))
    equal(sim.raw("GET", f"/bot{TOKEN}/GETME")[1]["ok"], True)


@test
def polling(sim):
    bot = sim.bot()
    sim.forget_updates()
    first = sim.say(5000000101, "/start code_1", first_name="Åsa <b>", username="asa", language_code="sv")
    second = sim.say(5000000101, "hello 😀")
    updates = bot.get_updates(limit=1)
    equal([u.update_id for u in updates], [first["update_id"]])
    m = updates[0].message
    equal((m.text, m.chat.id, m.chat.type, m.from_user.first_name), ("/start code_1", 5000000101, "private", "Åsa <b>"))
    equal((m.from_user.username, m.from_user.language_code, m.from_user.is_bot), ("asa", "sv", False))
    equal([(e.type, e.offset, e.length) for e in m.entities], [("bot_command", 0, 6)])
    equal(m.message_id, first["message_id"])
    assert abs(m.date.timestamp() - time.time()) < 5
    equal(second["update_id"], first["update_id"] + 1)
    equal([u.update_id for u in bot.get_updates(offset=second["update_id"])], [second["update_id"]])
    equal([u.update_id for u in bot.get_updates()], [second["update_id"]])  # confirmed below the offset only
    equal(bot.get_updates(offset=second["update_id"] + 1), [])


@test
def long_poll_waits_and_wakes(sim):
    bot = sim.bot()
    sim.forget_updates()
    offset = sim.say(5000000102)["update_id"] + 1
    got = []
    started = time.time()
    t = threading.Thread(target=lambda: got.extend(bot.get_updates(offset=offset, timeout=10)))
    t.start()
    time.sleep(0.3)
    sim.say(5000000102, "now")
    t.join(5)
    assert 0.25 < time.time() - started < 3
    equal([u.message.text for u in got], ["now"])
    started = time.time()
    equal(bot.get_updates(offset=got[0].update_id + 1, timeout=1), [])
    assert 0.9 < time.time() - started < 3


@test
def two_pollers_conflict(sim):
    bot, errors = sim.bot(), []
    sim.forget_updates()
    offset = sim.say(5000000103)["update_id"] + 1

    def first():
        try:
            bot.get_updates(offset=offset, timeout=10)
        except telegram.error.TelegramError as error:
            errors.append(error)

    t = threading.Thread(target=first)
    t.start()
    time.sleep(0.3)
    sim.bot().get_updates(offset=offset, timeout=0)
    t.join(5)
    assert isinstance(errors[0], telegram.error.Conflict), errors
    assert "terminated by other getUpdates" in str(errors[0])


@test
def send_and_read_back(sim):
    user = 5000000104
    sim.say(user)
    m = sim.bot().send_message(user, "  <b>Hi</b> &lt;you&gt; 😀 <a href='http://x.y/'>link</a> <code>1</code>\n",
                               parse_mode="HTML", reply_markup=keyboard)
    equal(m.text, "Hi <you> 😀 link 1")
    found = [(e.type, m.parse_entity(e)) for e in m.entities]
    equal(found, [("bold", "Hi"), ("text_link", "link"), ("code", "1")])
    equal([(e.offset, e.length) for e in m.entities], [(0, 2), (12, 4), (17, 1)])
    equal(m.entities[1].url, "http://x.y/")
    equal((m.chat.id, m.from_user.id, m.from_user.is_bot), (user, 1234567, True))
    equal([[b.callback_data for b in row] for row in m.reply_markup.inline_keyboard], [["y", "n"]])
    again = sim.bot().send_message(user, "answer", reply_to_message_id=m.message_id)
    equal(again.reply_to_message.text, m.text)
    assert again.message_id > m.message_id
    refused(telegram.error.BadRequest, "message to be replied not found", sim.bot().send_message, user, "x",
            reply_to_message_id=1)
    equal(sim.bot().send_message(user, "x", reply_to_message_id=1, allow_sending_without_reply=True).text, "x")


@test
def ways_to_give_parameters(sim):
    user = 5000000105
    sim.say(user)
    path = f"/bot{TOKEN}/sendMessage"
    markup = json.dumps({"inline_keyboard": [[{"text": "A", "callback_data": "a"}]]})
    fields = {"chat_id": str(user), "text": "grüße & + =", "reply_markup": markup}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    boundary = "x----b"
    parts = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items())
    multipart = {"Content-Type": "multipart/form-data; boundary=" + boundary}
    as_object = dict(fields, reply_markup=json.loads(markup), chat_id=user)
    as_json = {"Content-Type": "application/json"}
    ways = [("GET", path + "?" + urllib.parse.urlencode(fields), None, {}),
            ("POST", path, urllib.parse.urlencode(fields), form),
            ("POST", path, (parts + f"--{boundary}--\r\n").encode(), multipart),
            ("POST", path, json.dumps(fields), as_json),
            ("POST", path, json.dumps(as_object), as_json)]
    for way in ways:
        status, answer = sim.raw(*way)
        equal(status, 200)
        equal(answer["result"]["text"], "grüße & + =")
        equal(answer["result"]["reply_markup"], json.loads(markup))
    calls = [c for c in sim.get("calls")["calls"] if c.get("chat_id") == user]
    equal([c["parameters"]["text"] for c in calls], ["grüße & + ="] * len(ways))
    equal([c["message_id"] for c in calls], sorted(c["message_id"] for c in calls))
    equal(sim.raw("POST", path, "{broken", as_json)[0], 400)


@test
def refusals_of_texts(sim):
    user, bot = 5000000106, sim.bot()
    sim.say(user)
    bad = telegram.error.BadRequest
    refused(bad, "message text is empty", bot.send_message, user, "   \n")
    refused(bad, "message text is empty", bot.send_message, user, "<b> </b>", parse_mode="HTML")
    refused(bad, "message is too long", bot.send_message, user, "x" * 4097)
    refused(bad, "message is too long", bot.send_message, user, "😀" * 2049)
    equal(len(bot.send_message(user, "😀" * 2048).text), 2048)
    equal(bot.send_message(user, "<b>" + "y" * 4096 + "</b>", parse_mode="HTML").text, "y" * 4096)
    cases = [("<b>x", "can't find end tag corresponding to start tag \"b\""),
             ("x</b>", "unexpected end tag at byte offset 1"),
             ("<b><i>x</b></i>", "unmatched end tag at byte offset 7, expected \"</i>\", found \"</b>\""),
             ("a <p>x</p>", "unsupported start tag \"p\" at byte offset 2"),
             ("1 < 2 >", "unsupported start tag \"\" at byte offset 2"),
             ("<b", "unclosed start tag at byte offset 0"), ("<a href=\"x>y</a>", "unclosed start tag"),
             ("<span>x</span>", "tag \"span\" must have class \"tg-spoiler\""),
             ("<a href>x</a>", "expected equal sign in declaration of an attribute")]
    for text, why in cases:
        error = refused(bad, why, bot.send_message, user, text, parse_mode="HTML")
        assert str(error).lower().startswith("can't parse entities: "), error
    refused(bad, "not supported by this simulator", bot.send_message, user, "*x*", parse_mode="MarkdownV2")
    refused(bad, "strings must be encoded in utf-8", lambda: raise_bad(
        sim.raw("GET", f"/bot{TOKEN}/sendMessage?chat_id={user}&text=%ff")))


def raise_bad(answer):
    if answer[0] == 400:
        raise telegram.error.BadRequest(answer[1]["description"])


@test
def html_entities(sim):
    user, bot = 5000000107, sim.bot()
    sim.say(user)
    cases = [("<pre><code class=\"language-c\">int x;</code></pre>", [("pre", "int x;")]),
             ("<blockquote expandable>q</blockquote>", [("expandable_blockquote", "q")]),
             ("<tg-spoiler>s</tg-spoiler>", [("spoiler", "s")]),
             ("<u>a<s>b</s></u>", [("underline", "ab"), ("strikethrough", "b")]),
             ("<code><b>x</b></code>", [("code", "x")]),
             ("&quot;&#65;&#x1F600;&nope; &copy;", []),
             ("a/b &lt;/b&gt; //c x@y.z 1#2", []),
             ("see https://example.org/a?b=1. @someone #tag /go", [("url", "https://example.org/a?b=1"),
                                                                   ("mention", "@someone"), ("hashtag", "#tag"),
                                                                   ("bot_command", "/go")])]
    for text, want in cases:
        m = bot.send_message(user, text, parse_mode="HTML")
        equal([(e.type, m.parse_entity(e)) for e in m.entities], want)
    equal(bot.send_message(user, "&quot;&#65;&#x1F600;&nope; &copy;", parse_mode="HTML").text, "\"A😀&nope; &copy;")


@test
def refusals_of_keyboards(sim):
    user = 5000000108
    sim.say(user)

    def send(markup):
        return sim.raw("GET", f"/bot{TOKEN}/sendMessage?" + urllib.parse.urlencode(
            {"chat_id": user, "text": "x", "reply_markup": markup if isinstance(markup, str) else json.dumps(markup)}))

    def one(**button):
        return {"inline_keyboard": [[button]]}

    cases = [(one(text="a", callback_data=""), "BUTTON_DATA_INVALID"),
             (one(text="a", callback_data="x" * 65), "BUTTON_DATA_INVALID"),
             (one(text="a", callback_data="é" * 33), "BUTTON_DATA_INVALID"),
             (one(text="a"), "Text buttons are unallowed"), (one(callback_data="a"), "Can't find field \"text\""),
             (one(text="a", url="javascript:x"), "is invalid"), ("{", "can't parse reply keyboard markup"),
             ("[]", "object expected as reply markup"),
             ({"inline_keyboard": [[{"text": "a", "callback_data": "b"}] * 8] * 13}, "reply markup is too long")]
    for markup, why in cases:
        status, answer = send(markup)
        equal(status, 400)
        assert why in answer["description"], (answer, why)
    equal(send(one(text="a", callback_data="x" * 64))[0], 200)
    equal(send({"keyboard": [["One", {"text": "Two"}]], "resize_keyboard": True})[0], 200)
    shown = sim.get(f"chat?bot=persona&chat_id={user}")
    equal([[k["text"] for k in row] for row in shown["reply_keyboard"]["keyboard"]], [["One", "Two"]])
    equal(send({"remove_keyboard": True})[0], 200)
    equal(sim.get(f"chat?bot=persona&chat_id={user}")["reply_keyboard"], None)


@test
def edits(sim):
    user, bot, bad = 5000000109, sim.bot(), telegram.error.BadRequest
    said = sim.say(user)
    m = bot.send_message(user, "one", reply_markup=keyboard)
    edited = bot.edit_message_text("two", user, m.message_id)
    equal((edited.text, edited.reply_markup, edited.message_id), ("two", None, m.message_id))
    assert edited.edit_date is not None
    refused(bad, "message is not modified", bot.edit_message_text, "two", user, m.message_id)
    equal(bot.edit_message_reply_markup(user, m.message_id, reply_markup=keyboard).reply_markup, keyboard)
    refused(bad, "message is not modified", bot.edit_message_reply_markup, user, m.message_id, reply_markup=keyboard)
    refused(bad, "message to edit not found", bot.edit_message_text, "x", user, m.message_id + 1000)
    refused(bad, "message can't be edited", bot.edit_message_text, "x", user, said["message_id"])
    refused(bad, "message text is empty", bot.edit_message_text, "", user, m.message_id)
    assert bot.delete_message(user, m.message_id) is True
    refused(bad, "message to delete not found", bot.delete_message, user, m.message_id)
    refused(bad, "message to edit not found", bot.edit_message_text, "x", user, m.message_id)


@test
def presses(sim):
    user, bot, bad = 5000000110, sim.bot(), telegram.error.BadRequest
    sim.forget_updates()
    offset = sim.say(user)["update_id"] + 1
    m = bot.send_message(user, "sure?", reply_markup=keyboard)
    sim.press(user, m.message_id, "y")
    update = bot.get_updates(offset=offset)[0]
    q = update.callback_query
    equal((q.data, q.from_user.id, q.message.message_id, q.message.text), ("y", user, m.message_id, "sure?"))
    equal(q.message.reply_markup, keyboard)
    assert q.chat_instance
    refused(bad, "MESSAGE_TOO_LONG", bot.answer_callback_query, q.id, "x" * 201)
    before = sim.get(f"chat?bot=persona&chat_id={user}")["seq"]
    assert bot.answer_callback_query(q.id, "x" * 200) is True
    notes = sim.get(f"chat?bot=persona&chat_id={user}&after={before}")["notes"]
    equal([(n["kind"], n["text"], n["message_id"]) for n in notes], [("toast", "x" * 200, m.message_id)])
    refused(bad, "query is too old and response timeout expired or query id is invalid", bot.answer_callback_query, q.id)
    refused(bad, "query is too old", bot.answer_callback_query, "12")
    refused(bad, "query is too old", sim.bot(OTHER).answer_callback_query, q.id)
    status, _ = sim.raw("POST", "/sim/press", json.dumps({"bot": "persona", "user_id": user,
                                                          "message_id": m.message_id, "data": "gone"}))
    equal(status, 409)
    sim.press(user, m.message_id, "gone", force=True)
    equal(bot.get_updates(offset=update.update_id + 1)[0].callback_query.data, "gone")


@test
def old_queries(sim):
    user, bot = 5000000111, sim.bot()
    sim.say(user)
    m = bot.send_message(user, "sure?", reply_markup=keyboard)
    query = sim.press(user, m.message_id, "n")["callback_query_id"]
    time.sleep(1.2)
    refused(telegram.error.BadRequest, "query is too old", bot.answer_callback_query, query)


old_queries.options = {"--query-ttl-s": "1"}


@test
def chats_that_may_not_be_written_to(sim):
    user, bot = 5000000112, sim.bot()
    refused(telegram.error.BadRequest, "chat not found", bot.send_message, 5999999999, "x")
    refused(telegram.error.BadRequest, "chat not found", bot.send_message, "@nobody", "x")
    equal(sim.call("sendMessage", text="x")[1]["description"], "Bad Request: chat_id is empty")
    sim.sim("users", id=user, first_name="Quiet")
    refused(Forbidden, "bot can't initiate conversation with a user", bot.send_message, user, "x")
    sim.forget_updates()
    offset = sim.say(user)["update_id"] + 1
    bot.send_message(user, "x")
    sim.sim("block", bot="persona", user_id=user)
    refused(Forbidden, "bot was blocked by the user", bot.send_message, user, "x")
    refused(Forbidden, "bot was blocked by the user", bot.send_chat_action, user, "typing")
    sim.sim("unblock", bot="persona", user_id=user)
    sim.sim("unblock", bot="persona", user_id=user)  # nothing new, no update
    bot.send_message(user, "back")
    changes = [(u.my_chat_member.old_chat_member.status, u.my_chat_member.new_chat_member.status,
                u.my_chat_member.new_chat_member.user.id, u.my_chat_member.from_user.id)
               for u in bot.get_updates(offset=offset)]
    equal(changes, [("member", "kicked", 1234567, user), ("kicked", "member", 1234567, user)])
    # another bot's chats are its own
    refused(Forbidden, "bot can't initiate", sim.bot(OTHER).send_message, user, "x")


@test
def groups(sim):
    bot = sim.bot()
    sim.forget_updates()
    made = sim.sim("groups", bot="persona", user_id=5000000113, chat_id=-1001234567890, title="Team")
    said = sim.say(5000000113, "hi all", chat_id=-1001234567890)
    joined, message = bot.get_updates(offset=made["update_id"])
    equal(joined.my_chat_member.new_chat_member.status, "member")
    equal((message.message.chat.type, message.message.chat.title), ("supergroup", "Team"))
    refused(telegram.error.BadRequest, "can't be deleted", bot.delete_message, -1001234567890, said["message_id"])
    equal(bot.send_message(-1001234567890, "hello").chat.id, -1001234567890)
    equal(bot.get_chat(-1001234567890).title, "Team")


@test
def media_and_raw_updates(sim):
    bot, user = sim.bot(), 5000000114
    sim.forget_updates()
    offset = sim.say(user)["update_id"] + 1
    kinds = ["photo", "sticker", "document", "voice", "audio", "video", "animation", "video_note", "location", "contact"]
    for kind in kinds:
        sim.sim("message", bot="persona", user_id=user, kind=kind, caption="see" if kind == "photo" else "")
    raw = sim.sim("update", bot="persona", update={"update_id": 7, "edited_message": {
        "message_id": 1, "date": 1, "chat": {"id": user, "type": "private"}, "text": "big 9007199254740993"}})
    got = bot.get_updates(offset=offset)
    equal([bool(u.message.effective_attachment) for u in got[:-1]], [True] * len(kinds))
    equal(got[0].message.caption, "see")
    equal((got[-1].update_id, got[-1].edited_message.text), (raw["update_id"], "big 9007199254740993"))


@test
def allowed_updates(sim):
    bot, user = sim.bot(), 5000000115
    bot.get_updates(offset=-1, allowed_updates=["message"])
    offset = sim.say(user)["update_id"] + 1
    equal(sim.sim("block", bot="persona", user_id=user)["update_id"], None)
    sim.sim("unblock", bot="persona", user_id=user)
    equal(bot.get_updates(offset=offset, allowed_updates=[]), [])
    sim.sim("block", bot="persona", user_id=user)
    equal(len(bot.get_updates(offset=offset)), 1)


@test
def commands_and_description(sim):
    bot = sim.bot()
    assert bot.set_my_commands([("start", "begin"), ("help", "what I do")]) is True
    equal([(c.command, c.description) for c in bot.get_my_commands()], [("start", "begin"), ("help", "what I do")])
    scope = telegram.BotCommandScopeAllGroupChats()
    equal(bot.get_my_commands(scope=scope), [])
    bot.set_my_commands([("only", "here")], scope=scope, language_code="de")
    equal([c.command for c in bot.get_my_commands(scope=scope, language_code="de")], ["only"])
    refused(telegram.error.BadRequest, "BOT_COMMAND_INVALID", bot.set_my_commands, [("No", "x")])
    bot.delete_my_commands()
    equal(bot.get_my_commands(), [])
    equal(sim.call("setMyDescription", description="Hello")[1]["result"], True)
    equal(sim.call("getMyDescription")[1]["result"], {"description": "Hello"})
    equal(sim.call("setMyDescription", description="x" * 513)[0], 400)


@test
def flood_limits(sim):
    user, bot = 5000000116, sim.bot()
    sim.say(user)
    error = None
    for n in range(40):
        try:
            bot.send_message(user, f"n {n}")
        except telegram.error.RetryAfter as e:
            error = e
            break
    assert error and 1 <= error.retry_after <= 2, error
    assert 15 <= n <= 25, n
    status, answer = sim.call("sendMessage", chat_id=user, text="x")
    equal((status, answer["error_code"], answer["parameters"]["retry_after"] >= 1), (429, 429, True))
    time.sleep(1.1)
    bot.send_message(user, "later")
    refused(telegram.error.RetryAfter, "", lambda: [bot.set_webhook("https://example.org/") for _ in range(2)])
    sim.forget_updates()


flood_limits.options = {"--limits": "on"}


@test
def faults(sim):
    user, bot = 5000000117, sim.bot(timeout=3)
    sim.say(user)
    send = lambda text: bot.send_message(user, text)  # noqa: E731
    sim.sim("faults", method="sendMessage", kind="429", retry_after=7, count=1)
    equal(refused(telegram.error.RetryAfter, "", send, "a").retry_after, 7)
    sim.sim("faults", method="*", chat_id=user, kind="500", count=1)
    refused(telegram.error.TelegramError, "Internal Server Error", send, "b")
    sim.sim("faults", method="sendmessage", kind="reset", when="before", count=1)
    refused(telegram.error.NetworkError, "", lambda: bot.get_chat(user) and sim_reset_free(sim, user, "c"))
    sim.sim("faults", method="sendMessage", kind="reset", when="after", count=1)
    refused(telegram.error.NetworkError, "", lambda: sim_reset_free(sim, user, "d"))
    sim.sim("faults", method="sendMessage", kind="delay", ms=400, count=1)
    started = time.time()
    send("e")
    assert 0.35 < time.time() - started < 2
    sim.sim("faults", method="sendMessage", kind="hang", count=1)
    refused(telegram.error.TimedOut, "", send, "f")
    sim.sim("faults", method="sendMessage", kind="403", count=1)
    refused(Forbidden, "bot was blocked", send, "g")
    sim.sim("faults", method="sendMessage", kind="400", description="Bad Request: PEER_ID_INVALID", count=1)
    refused(telegram.error.BadRequest, "PEER_ID_INVALID", send, "h")
    send("i")
    sim.sim("faults", method="sendMessage", kind="500")
    equal(sim.raw("DELETE", "/sim/faults")[0], 200)
    send("j")
    shown = [m["text"] for m in sim.get(f"chat?bot=persona&chat_id={user}")["messages"]]
    equal(shown, ["/start", "d", "e", "i", "j"])
    equal(sim.raw("POST", "/sim/faults", json.dumps({"method": "*", "kind": "explode"}))[0], 422)


def sim_reset_free(sim, user, text):
    """One attempt without the client's own retries."""
    try:
        sim.call("sendMessage", chat_id=user, text=text)
    except (ConnectionError, http.client.HTTPException) as error:
        raise telegram.error.NetworkError(str(error))


# --- webhooks

class Hook:
    """A bot's own server: keeps what came, answers what it is told to."""

    def __init__(self):
        self.seen, self.answers, self.lock = [], {}, threading.Lock()  # answers: of a person's updates
        self.delay, self.running, self.most = 0, 0, 0
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with hook.lock:
                    hook.running += 1
                    hook.most = max(hook.most, hook.running)
                    hook.seen.append((time.time(), body, dict(self.headers)))
                    user = body.get("message", body.get("callback_query", {})).get("from", {}).get("id")
                    due = hook.answers.get(user)
                    status, text, headers = due.pop(0) if due else (200, b"", {})
                time.sleep(hook.delay)
                with hook.lock:
                    hook.running -= 1
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def ids(self):
        with self.lock:
            return [body["update_id"] for _, body, _ in self.seen]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def with_hook(fn):
    def run(sim):
        hook = Hook()
        sim.forget_updates()
        try:
            fn(sim, hook)
        finally:
            sim.forget_updates()
            hook.stop()
    run.__name__ = fn.__name__
    run.options = getattr(fn, "options", {})
    return run


@test
@with_hook
def webhook_delivers(sim, hook):
    bot, user = sim.bot(), 5000000201
    sim.forget_updates()
    waiting = sim.say(user, "before the webhook")
    equal(sim.call("setWebhook", url=hook.url, secret_token="s-3_cret", max_connections=7)[1]["result"], True)
    wait_for(lambda: hook.ids() == [waiting["update_id"]], what="the delivery of what waited")
    sent = [sim.say(user, f"n {n}")["update_id"] for n in range(20)]
    wait_for(lambda: len(hook.ids()) == 21)
    equal(hook.ids()[1:], sent)  # one chat's messages come in order
    equal(hook.seen[0][2]["X-Telegram-Bot-Api-Secret-Token"], "s-3_cret")
    equal(hook.seen[0][2]["Content-Type"], "application/json")
    telegram.Update.de_json(hook.seen[0][1], bot)
    # the last one's response may not have arrived yet
    info = wait_for(lambda: bot.get_webhook_info().pending_update_count == 0 and bot.get_webhook_info(), what="the last response")
    equal((info.url, info.max_connections), (hook.url, 7))
    refused(telegram.error.Conflict, "can't use getUpdates method while webhook is active", bot.get_updates)
    assert bot.delete_webhook() is True
    equal(bot.get_webhook_info().url, "")
    equal(bot.get_updates(), [])


@test
@with_hook
def webhook_is_parallel_over_chats(sim, hook):
    hook.delay = 0.2
    sim.call("setWebhook", url=hook.url, max_connections=5)
    started = time.time()
    for n in range(20):
        sim.say(5000000300 + n % 10, f"n {n}")
    wait_for(lambda: len(hook.ids()) == 20 and not hook.running)
    assert 0.75 < time.time() - started < 2.5, time.time() - started
    equal(hook.most, 5)
    for chat in range(10):
        texts = [b["message"]["text"] for _, b, _ in hook.seen if b["message"]["chat"]["id"] == 5000000300 + chat]
        equal(texts, [f"n {chat}", f"n {chat + 10}"])


@test
@with_hook
def webhook_tries_again(sim, hook):
    bot, user = sim.bot(), 5000000202
    hook.answers[user] = [(500, b"", {}), (301, b"", {}), (404, b"", {}), (200, b"", {})]
    sim.call("setWebhook", url=hook.url)
    first, second = sim.say(user)["update_id"], sim.say(user, "behind it")["update_id"]
    other = sim.say(user + 1)["update_id"]
    wait_for(lambda: len(hook.ids()) == 6, 10)
    ids = hook.ids()
    equal([i for i in ids if i != other], [first] * 4 + [second])
    assert ids.index(other) < 4, "another chat does not wait"
    at = [t for t, b, _ in hook.seen if b["update_id"] == first]
    gaps = [b - a for a, b in zip(at, at[1:])]
    for gap, want in zip(gaps, (0.1, 0.2, 0.4)):  # 1, 2, 4 s, scaled
        assert want * 0.9 < gap < want + 0.15, gaps
    info = bot.get_webhook_info()
    equal(info.last_error_message, "Wrong response from the webhook: 404 Not Found")
    assert abs(info.last_error_date.timestamp() - time.time()) < 5


webhook_tries_again.options = {"--retry-scale": "0.1"}


@test
@with_hook
def webhook_honours_retry_after(sim, hook):
    hook.answers[5000000203] = [(503, b"", {"Retry-After": "1"})]
    sim.call("setWebhook", url=hook.url)
    sim.say(5000000203)
    wait_for(lambda: len(hook.ids()) == 2)
    gap = hook.seen[1][0] - hook.seen[0][0]
    assert 0.95 < gap < 1.5, gap


webhook_honours_retry_after.options = {"--retry-scale": "0.01"}


@test
@with_hook
def webhook_of_a_dead_server(sim, hook):
    with socket.socket() as s:  # bound and not listening: nobody else can be there meanwhile
        s.bind(("127.0.0.1", 0))
        sim.call("setWebhook", url=f"http://127.0.0.1:{s.getsockname()[1]}/")
        update = sim.say(5000000204)["update_id"]
        info = wait_for(lambda: sim.bot().get_webhook_info().last_error_message and sim.bot().get_webhook_info())
    equal((info.last_error_message, info.pending_update_count), ("Connection refused", 1))
    sim.call("setWebhook", url=hook.url)
    wait_for(lambda: hook.ids() == [update])


@test
@with_hook
def webhook_replies_are_calls(sim, hook):
    bot, user = sim.bot(), 5000000205
    sim.call("setWebhook", url=hook.url)
    sim.say(user)
    m = bot.send_message(user, "sure?", reply_markup=keyboard)
    wait_for(lambda: len(hook.ids()) == 1)
    before = sim.get(f"chat?bot=persona&chat_id={user}")["seq"]
    query = sim.press(user, m.message_id, "y", force=True)["callback_query_id"]
    wait_for(lambda: len(hook.ids()) == 2)
    answer = json.dumps({"method": "answerCallbackQuery", "callback_query_id": query, "text": "ok!"}).encode()
    answered = sim.get("stats")["press_to_answer_ms"]["count"]
    hook.answers[user] = [(200, answer, {"Content-Type": "application/json"})]
    sim.say(user, "anything")
    notes = wait_for(lambda: sim.get(f"chat?bot=persona&chat_id={user}&after={before}")["notes"])
    equal([n["text"] for n in notes if n["kind"] == "toast"], ["ok!"])
    call = [c for c in sim.get("calls")["calls"] if c["method"] == "answerCallbackQuery"][-1]
    equal((call["via"], call["ok"], call["parameters"]["callback_query_id"]), ("webhook", True, query))
    equal(sim.get("stats")["press_to_answer_ms"]["count"], answered + 1)


@test
def webhook_settings_are_checked(sim):
    cases = [({"url": "ftp://x/"}, "invalid webhook URL"), ({"url": "http://example.org/"}, "HTTPS URL must be provided"),
             ({"url": "https://example.org/", "secret_token": "a b"}, "unallowed characters"),
             ({"url": "https://example.org/", "secret_token": "x" * 257}, "too long"),
             ({"url": "https://example.org/", "allowed_updates": "message"}, "can't parse allowed updates")]
    for parameters, why in cases:
        status, answer = sim.call("setWebhook", **parameters)
        equal(status, 400)
        assert why in answer["description"], answer
    equal(sim.call("setWebhook", url="https://example.org/", allowed_updates=["message"])[0], 200)
    equal(sim.call("getWebhookInfo")[1]["result"]["allowed_updates"], ["message"])
    equal(sim.call("setWebhook", url="", allowed_updates=[])[0], 200)


# --- the control API

@test
def many_at_once_and_numbers(sim):
    bot = sim.bot()
    sim.forget_updates()
    made = sim.sim("messages", bot="persona", updates=[{"user_id": 5000000400 + n % 50, "text": f"m {n}"} for n in range(500)])
    equal(made["accepted"], 500)
    seen, offset = [], made["last_update_id"] - 499
    while len(seen) < 500:
        updates = bot.get_updates(offset=offset)
        equal(len(updates), 100)
        seen += updates
        offset = updates[-1].update_id + 1
    equal([u.message.text for u in seen], [f"m {n}" for n in range(500)])
    for u in seen[:50]:
        bot.send_message(u.message.chat.id, "reply")
    stats = sim.get("stats")
    assert stats["message_to_reply_ms"]["count"] >= 50 and stats["message_to_reply_ms"]["p99"] > 0
    equal(stats["bots"]["persona"]["pending"], 100)
    status, answer = sim.raw("POST", "/sim/messages", json.dumps({"bot": "persona", "updates": [
        {"user_id": 5000000400, "text": "good"}, {"user_id": "x", "text": "bad"}]}))
    equal((status, answer["accepted"]), (422, 1))


@test
def the_record_goes_to_a_file(sim):
    user = 5000000118
    sim.say(user)
    sim.raw("POST", f"/bot{TOKEN}/sendMessage", json.dumps({"chat_id": user, "text": "recorded"}),
            {"Content-Type": "application/json", "User-Agent": "shoal-worker/w-7 x"})
    # a line without its end is still being written: the kernel shows a long write page by page
    line = wait_for(lambda: [json.loads(x) for x in open(sim.record) if '"recorded"' in x and x.endswith("\n")])[0]
    equal((line["method"], line["bot"], line["worker"], line["ok"], line["via"]),
          ("sendMessage", "persona", "w-7", True, "http"))
    shown = sim.get(f"chat?bot=persona&chat_id={user}")["messages"][-1]
    equal((shown["worker"], shown["text"], shown["latency_ms"] > 0), ("w-7", "recorded", True))


@test
def chat_long_poll(sim):
    user = 5000000119
    sim.say(user)
    seq = sim.get(f"chat?bot=persona&chat_id={user}")["seq"]
    got = []
    t = threading.Thread(target=lambda: got.append(sim.get(f"chat?bot=persona&chat_id={user}&after={seq}&wait=8000")))
    t.start()
    time.sleep(0.2)
    bot = sim.bot()
    m = bot.send_message(user, "wake")
    t.join(3)
    equal([x["text"] for x in got[0]["messages"]], ["wake"])
    bot.delete_message(user, m.message_id)
    equal(sim.get(f"chat?bot=persona&chat_id={user}&after={got[0]['seq']}")["messages"][0]["deleted"], True)


@test
def reset_forgets_people_but_not_numbers(sim):
    user, bot = 5000000120, sim.bot()
    before = sim.say(user)["update_id"]
    sim.sim("reset")
    refused(telegram.error.BadRequest, "chat not found", bot.send_message, user, "x")
    assert sim.say(user)["update_id"] > before


@test
def hostile_requests(sim):
    json_type = {"Content-Type": "application/json"}
    equal(sim.raw("POST", "/sim/message", "[1", json_type)[0], 400)
    equal(sim.raw("POST", "/sim/message", "[]", json_type)[0], 400)
    equal(sim.raw("POST", "/sim/message", '{"bot":"nobody"}', json_type)[0], 404)
    equal(sim.raw("POST", "/sim/message", '{"bot":"persona","user_id":99999999999999999,"text":"x"}', json_type)[0], 422)
    equal(sim.raw("POST", "/sim/message", '{"bot":"persona","user_id":1.5,"text":"x"}', json_type)[0], 422)
    equal(sim.raw("POST", "/sim/update", '{"bot":"persona","update":{"update_id":1}}', json_type)[0], 422)
    equal(sim.raw("POST", "/sim/reset", "{}", {"Origin": "http://evil.example"})[0], 403)
    equal(sim.raw("GET", "/sim/nothing")[0], 404)
    equal(sim.raw("GET", "/sim/message")[0], 405)
    equal(sim.raw("GET", "/../../etc/passwd")[0], 404)
    user = 5000000121
    sim.say(user, "\u0000\u202e<script>" + "é" * 100)
    for text in ("<" * 4000, "&#x110000;&#0;&#99999999999;&", "<a href='" + "x" * 4000 + "'>y</a>", "<b>" * 200):
        sim.raw("POST", f"/bot{TOKEN}/sendMessage", json.dumps({"chat_id": user, "text": text, "parse_mode": "HTML"}), json_type)
    equal(sim.call("getMe")[1]["ok"], True)


@test
def the_page_is_locked_down(sim):
    for path, kind in (("/", "text/html"), ("/app.js", "text/javascript"), ("/text.js", "text/javascript"),
                       ("/api.js", "text/javascript"), ("/style.css", "text/css"), ("/icon.svg", "image/svg+xml")):
        with urllib.request.urlopen(sim.url + path) as r:
            body = r.read().decode()
            assert r.headers["Content-Type"].startswith(kind), (path, r.headers["Content-Type"])
            policy = r.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy, policy
            assert "innerHTML" not in body and "onclick=" not in body and "style=" not in body, path
    with urllib.request.urlopen(sim.url + "/healthz") as r:
        equal(r.read(), b"ok\n")


def wrong_usage():
    for args in (["--limits", "perhaps"], ["--bot", "x"], ["--bot", "a=1:b", "--bot", "a=2:b"], ["--retry-scale", "no"],
                 ["surplus"]):
        run = subprocess.run([BINARY, "sim", *args], capture_output=True, text=True, timeout=10)
        equal(run.returncode, 2)
        assert run.stderr.startswith("shoal sim: "), run.stderr
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        run = subprocess.run([BINARY, "sim", "--listen", "127.0.0.1:%d" % s.getsockname()[1]], capture_output=True,
                             text=True, timeout=10)
        equal(run.returncode, 1)
        assert "--listen" in run.stderr, run.stderr


def main():
    failed = 0
    sims = {}
    with tempfile.TemporaryDirectory() as folder:
        record = os.path.join(folder, "calls.jsonl")
        default = {"--limits": "off", "--record": record}
        for fn in TESTS + [wrong_usage]:
            try:
                if fn is wrong_usage:
                    fn()
                else:
                    wanted = dict(default, **getattr(fn, "options", {}))
                    options = tuple(x for pair in wanted.items() for x in pair)
                    if options not in sims:
                        sims[options] = Sim(*options)
                        sims[options].record = record
                    fn(sims[options])
                print("ok", fn.__name__, flush=True)
            except Exception:
                failed += 1
                for line in traceback.format_exc().splitlines():
                    print("#", line)
                print("not ok", fn.__name__, flush=True)
        for sim in sims.values():
            try:
                sim.stop()
                print("ok stops_cleanly", flush=True)
            except Exception as error:
                failed += 1
                print("#", error)
                print("not ok stops_cleanly", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
