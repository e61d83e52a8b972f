"""The persona bot from outside: people write in the simulator, the judge reads Postgres, the simulator's record, logs
and metrics. What the bot says is compared only where SPEC or the test itself gives the words."""
import concurrent.futures
import glob
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, free_port, http, wait_for  # noqa: E402
from pgbouncer import pooled  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402
from standstill import DISTURBED_S, Standstill  # noqa: E402

LUNA, DORA = "Luna <3 & co", "Dora"
DORA_HI, LUNA_HI = "<b>Hi</b> & welcome", "Stars & <i>sky</i>"
REPLIES = ["one", "two <i>2</i> & more &amp;", "three"]
LUNA_REPLIES = ["moon", "sun"]
LONG_REPLY = ("&<>x" * 1024)
machine = Standstill()
RESPONDER_S = 5  # it may take so long: a busy machine is quicker
KEY = "sk-key-that-no-log-may-show"


def prepare(stack):
    def persona(key, name, greeting, replies, active=True, prompt=None):
        return stack.pg.rows("INSERT INTO personas (key, name, greeting, replies, active, prompt) "
                             "VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                             key, name, greeting, replies, active, prompt)[0][0]

    stack.default = persona("default", DORA, DORA_HI, REPLIES, prompt="You are <Dora> & \"kind\".")
    stack.luna = persona("luna", LUNA, LUNA_HI, LUNA_REPLIES, prompt="You are Luna.")
    long = persona("long", "L" * 64, "g" * 5000, [LONG_REPLY, "\U0001f600" * 2048, "y" * 5000])
    away = persona("away", "Away", "not here", ["no"], active=False)
    for code, persona_id, active, max_uses, expires in [
            ("Good-1", stack.luna, True, None, "infinity"), ("good-1", stack.default, True, None, None),
            ("long", long, True, None, "2999-01-01"), ("off", stack.luna, False, None, None),
            ("old", stack.luna, True, None, "2020-01-01"), ("few", stack.luna, True, 5, None),
            ("few-2", stack.luna, True, 5, None), ("away", away, True, None, None), ("plain", None, True, None, None)]:
        stack.pg.rows("INSERT INTO start_codes (code, persona_id, active, max_uses, expires_at) "
                      "VALUES (%s, %s, %s, %s, %s)", code, persona_id, active, max_uses, expires)


class World:
    """A stack with its people."""

    def __init__(self, stack):
        self.stack, self.person, self.update_id = stack, 7000000000, 4 * 10**12
        self.fleets = 1

    def new(self, verified=False, persona=None):
        """A person that the bot has never seen, or one who confirmed their age and talks to a persona."""
        self.person += 1
        if verified:
            self.stack.control("POST", "users", {"id": self.person, "first_name": "Known"})
            self.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) VALUES (%s, 'Known', now())",
                      self.person)
        if persona:
            self.rows("INSERT INTO chats (user_id, persona_id, opened_at) SELECT id, %s, now() FROM users "
                      "WHERE telegram_id = %s", persona, self.person)
        return self.person

    def rows(self, sql, *parameters):
        return self.stack.pg.rows(sql, *parameters)

    def one(self, sql, *parameters):
        rows = self.rows(sql, *parameters)
        return rows[0][0] if rows else None

    def rest(self):
        """Until the simulator has delivered everything and the queue is empty."""
        def quiet():
            b = self.stack.control("GET", "stats")["bots"]["persona"]
            q = self.stack.queue()
            return b["pending"] == 0 and b["in_flight"] == 0 and q["length"] == 0 and q["pending"] == 0
        if not wait_for(quiet):
            print("# not at rest: %s %s" % (self.stack.queue(), self.stack.control("GET", "stats")["bots"]))

    def messages(self, chat):
        return [m for m in self.stack.chat(chat).get("messages", []) if m["from"]["is_bot"]]

    def talk(self, user, text, **more):
        """Says something; what the bot answered."""
        before = len(self.messages(more.get("chat_id", user)))
        self.stack.say(user, text, **more)
        self.rest()
        return [m["text"] for m in self.messages(more.get("chat_id", user))[before:]]

    def buttons(self, user):
        """(message id, rows of buttons) of the last message that has any."""
        with_buttons = [m for m in self.messages(user) if m.get("reply_markup", {}).get("inline_keyboard")]
        return (with_buttons[-1]["message_id"], with_buttons[-1]["reply_markup"]["inline_keyboard"]) \
            if with_buttons else (0, [])

    def press(self, user, which):
        """Presses yes (0) or no (1); what the bot answered."""
        before = len(self.messages(user))
        message, rows = self.buttons(user)
        flat = [b for row in rows for b in row]
        if not flat:
            return ["there are no buttons"]
        self.stack.press(user, message, flat[which]["callback_data"])
        self.rest()
        return [m["text"] for m in self.messages(user)[before:]]

    def press_unheard(self, user, which):
        """The same while no worker may take anything: it is answered all the same. Then they may."""
        redis, before = self.stack.redis.client(), len(self.messages(user))
        message, rows = self.buttons(user)
        redis.hset("shoal:{0}:conf", "paused", "*")
        self.stack.press(user, message, [b for row in rows for b in row][which]["callback_data"])
        check("a press is answered before any worker has heard of it",
              wait_for(lambda: len(self.calls(user, "answerCallbackQuery")) == 1) and self.stack.queue()["length"] == 1,
              self.stack.queue())
        check("and nothing else has happened", len(self.messages(user)) == before and self.buttons(user)[0] == message,
              self.messages(user)[before:])
        redis.hdel("shoal:{0}:conf", "paused")
        self.rest()
        return [m["text"] for m in self.messages(user)[before:]]

    def update(self, **members):
        self.update_id += 1
        return {"update_id": self.update_id, **members}

    def message_of(self, user, text):
        who = {"id": user, "first_name": "Direct", "is_bot": False}
        return {"message_id": self.update_id % 10**6, "date": 1, "from": who,
                "chat": {"id": user, "type": "private", "first_name": "Direct"}, "text": text}

    def press_of(self, user, message, data, query):
        who = {"id": user, "first_name": "Direct", "is_bot": False}
        return {"id": query, "from": who, "chat_instance": "1", "data": data,
                "message": {"message_id": message, "date": 1, "chat": {"id": user, "type": "private"}}}

    def together(self, updates):
        """Posts them to the gateway at the same time; the answers."""
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            return list(pool.map(self.stack.post, updates))

    def user(self, telegram_id):
        rows = self.rows("SELECT acquisition_source, age_verified_at IS NOT NULL, suspended_at IS NOT NULL FROM users "
                         "WHERE telegram_id = %s", telegram_id)
        return rows[0] if rows else None

    def lines(self, telegram_id):
        return self.rows("SELECT p.key, m.direction, m.text, m.update_key FROM messages m JOIN chats c "
                         "ON c.id = m.chat_id JOIN personas p ON p.id = c.persona_id JOIN users u ON u.id = c.user_id "
                         "WHERE u.telegram_id = %s ORDER BY m.id", telegram_id)

    def activity(self, telegram_id):
        return self.rows("SELECT a.messages, a.day = (now() AT TIME ZONE 'UTC')::date FROM activity_daily a "
                         "JOIN users u ON u.id = a.user_id WHERE u.telegram_id = %s", telegram_id)

    def open_chat(self, telegram_id):
        return self.one("SELECT p.key FROM chats c JOIN personas p ON p.id = c.persona_id JOIN users u "
                        "ON u.id = c.user_id WHERE u.telegram_id = %s AND c.opened_at IS NOT NULL "
                        "ORDER BY c.opened_at DESC LIMIT 1",
                        telegram_id)

    def blocked(self, telegram_id):
        return self.one("SELECT blocked_at IS NOT NULL FROM bot_users b JOIN users u ON u.id = b.user_id "
                        "WHERE u.telegram_id = %s AND b.bot = 'persona'", telegram_id)

    def calls(self, chat, *methods):
        return [c for c in self.stack.calls() if (not methods or c["method"] in methods)
                and chat in (c.get("chat_id"), c["parameters"].get("chat_id"))]

    def outcomes(self, outcome):
        return self.stack.total("shoal_updates_total", 'outcome="%s"' % outcome)

    def over_two(self):
        """Updates that took more than two statements."""
        most = self.stack.total("shoal_sql_per_update_bucket", 'le="2"')
        return self.stack.total("shoal_sql_per_update_count") - most

    def workers(self, n, **env):
        """From here on n new workers with this environment."""
        self.fleets += 1
        self.stack.stop_workers()
        for w in [self.stack.add_worker(**env) for _ in range(n)]:
            self.stack.expect("worker", lambda: self.stack.ready(w))


def cut(said, whole):
    """Whether one message was said that is as much of a text as fits into one."""
    return len(said) == 1 and len(said[0]) == 4096 and said[0][:4000] == whole[:4000]


# ---- coming in

def first_contact(w):
    ann = w.new()
    said = w.talk(ann, "/start Good-1", first_name="<b>Ann</b> &amp;")
    message, rows = w.buttons(ann)
    flat = [b for row in rows for b in row]
    check("a stranger is asked their age, by name as it is", len(said) == 1 and "<b>Ann</b> &amp;" in said[0], said)
    check("with two buttons, yes first", len(flat) == 2 and flat[0]["text"].lower().startswith("yes")
          and flat[1]["text"].lower().startswith("no"), rows)
    check("the buttons' data fit", all(0 < len(b["callback_data"].encode()) <= 64 for b in flat), flat)
    check("their source is the code's text, their age is open", w.user(ann) == ("Good-1", False, False), w.user(ann))
    check("text before the answer asks again and is stored nowhere",
          len(w.talk(ann, "hello?")) == 1 and w.lines(ann) == [] and w.buttons(ann)[0] != message, w.lines(ann))
    w.press(ann, 0)  # the question that came last: it carries no code
    ben = w.new()
    w.talk(ben, "/start Good-1", first_name="Ben")
    message, rows = w.buttons(ben)
    said = w.press_unheard(ben, 0)
    check("yes: the greeting of the code's persona, as it was written", said == [LUNA_HI], said)
    check("yes: the buttons are gone", w.buttons(ben)[0] == 0, w.buttons(ben))
    check("yes: the age is confirmed, the chat is open", w.user(ben) == ("Good-1", True, False)
          and w.open_chat(ben) == "luna", (w.user(ben), w.open_chat(ben)))
    answers = w.calls(ben, "answerCallbackQuery")
    check("the press was answered once, in the webhook's reply", len(answers) == 1 and answers[0]["via"] == "webhook"
          and answers[0]["ok"] and answers[0]["parameters"].get("text"), answers)
    check("a use of the code is a person whose source it became", w.one(
        "SELECT count(*) FROM start_code_uses s JOIN start_codes c ON c.id = s.code_id WHERE c.code = 'Good-1'") == 2)
    return ben


def conversation(w, ben):
    said = [w.talk(ben, "message %d" % n)[0] for n in range(3)]
    check("replies in turn, from the beginning again", said == ["moon", "sun", "moon"], said)
    lines = w.lines(ben)
    check("both sides are stored, in order", [(r[1], r[2]) for r in lines] == [
        x for n, reply in enumerate(["moon", "sun", "moon"]) for x in (("in", "message %d" % n), ("out", reply))],
        lines)
    check("what came in has its update's key, what went out has none", all(
        (r[3] or "").startswith("telegram:persona:") if r[1] == "in" else r[3] is None for r in lines), lines)
    said = w.talk(ben, "/start good-1")
    check("a second code opens its persona", said == [DORA_HI] and w.open_chat(ben) == "default", said)
    check("and the source stays the first", w.user(ben)[0] == "Good-1", w.user(ben))
    check("the new persona begins with its own first reply", w.talk(ben, "and you?") == REPLIES[:1])
    check("HTML in a reply is text", w.talk(ben, "<u>more</u> &lt;") == REPLIES[1:2])
    check("HTML of a person is stored as written", w.lines(ben)[-2][2] == "<u>more</u> &lt;")
    said = w.talk(ben, "/start Good-1")
    check("coming back: welcome back, with the persona's name as it is", len(said) == 1 and LUNA in said[0]
          and LUNA_HI not in said[0], said)
    check("the turn goes on where it was", w.talk(ben, "again") == ["sun"])
    check("messages are counted for today", w.activity(ben) == [(6, True)], w.activity(ben))


def kind_refusals(w):
    for code, what in [("Nowhere", "unknown"), ("GOOD-1", "of other case"), ("off", "inactive"), ("old", "expired"),
                       ("away", "of an absent persona"), ("a b", "ill-formed"), ("x" * 65, "too long")]:
        new, known = w.new(), w.new(verified=True, persona=w.stack.luna)
        asked = w.talk(new, "/start " + code, first_name="New")
        check("a code that is %s: the stranger is asked all the same, with a word about it" % what,
              len(asked) == 1 and len(w.buttons(new)[1]) > 0 and "\n\n" in asked[0], asked)
        check("a code that is %s: no source" % what, w.user(new) == (None, False, False), w.user(new))
        check("a code that is %s: after yes the default persona greets" % what, w.press(new, 0)[-1:] == [DORA_HI])
        said = w.talk(known, "/start " + code)
        check("a code that is %s: the present persona goes on" % what, len(said) == 1 and LUNA in said[0]
              and "\n\n" in said[0] and w.open_chat(known) == "luna" and w.user(known)[0] is None, said)
    plain = w.new()
    w.talk(plain, "/start plain")
    check("a code without a persona leads to the default one", w.press(plain, 0) == [DORA_HI]
          and w.user(plain)[0] == "plain")
    bare = w.new()
    check("/start without a code asks too", len(w.talk(bare, "/start")) == 1 and len(w.buttons(bare)[1]) > 0)


def too_young(w):
    kid = w.new()
    w.talk(kid, "/start Good-1")
    said = w.press(kid, 1)
    check("no: a polite end without buttons", len(said) == 1 and w.buttons(kid)[0] == 0, said)
    check("no: nothing is confirmed or opened", w.user(kid) == ("Good-1", False, False) and w.open_chat(kid) is None)
    check("asked again at the next /start", len(w.talk(kid, "/start Good-1")) == 1 and len(w.buttons(kid)[1]) > 0)
    check("and yes opens the code's persona then", w.press(kid, 0) == [LUNA_HI] and w.user(kid)[1], w.user(kid))


def limited_codes(w):
    strangers = [w.new() for _ in range(20)]
    for u in strangers:
        w.stack.control("POST", "users", {"id": u, "first_name": "Racer"})
    w.stack.control("POST", "messages", {"bot": "persona", "updates": [
        {"user_id": u, "text": "/start few"} for u in strangers]})
    w.rest()
    uses = "SELECT count(*) FROM start_code_uses s JOIN start_codes c ON c.id = s.code_id WHERE c.code = %s"
    sources = "SELECT telegram_id FROM users WHERE acquisition_source = %s"
    winners = [r[0] for r in w.rows(sources, "few")]
    check("20 strangers race for 5 places: 5 uses, 5 sources", w.one(uses, "few") == 5 and len(winners) == 5, winners)
    noted = [u for u in strangers if "\n\n" in w.messages(u)[0]["text"]]
    check("everybody is asked their age, 15 hear that the places are taken",
          all(len(w.messages(u)) == 1 for u in strangers) and len(noted) == 15
          and not set(noted) & set(winners), (len(noted), winners))
    loser = noted[0]
    check("a winner comes to the code's persona, another to the default one",
          w.press(winners[0], 0) == [LUNA_HI] and w.press(loser, 0) == [DORA_HI])
    check("a used-up code stays used up", "\n\n" in w.talk(loser, "/start few")[0] and w.user(loser)[0] is None)
    check("whose source it is may use it again", LUNA in w.talk(winners[0], "/start few")[0])
    known = [w.new(verified=True) for _ in range(20)]
    w.stack.control("POST", "messages", {"bot": "persona", "updates": [
        {"user_id": u, "text": "/start few-2"} for u in known]})
    w.rest()
    greeted = [u for u in known if [m["text"] for m in w.messages(u)] == [LUNA_HI]]
    check("20 known people race for 5 places: 5 uses, 5 greetings",
          w.one(uses, "few-2") == 5 and sorted(greeted) == sorted(r[0] for r in w.rows(sources, "few-2")), greeted)
    first_touch = w.new(verified=True)
    w.talk(first_touch, "/start plain")
    check("with another source a used-up code still opens its persona",
          w.talk(first_touch, "/start few-2") == [LUNA_HI] and w.user(first_touch)[0] == "plain"
          and w.one(uses, "few-2") == 5)


def full_codes(w):
    w.workers(1)  # what one has learned no other knows
    w.rows("INSERT INTO start_codes (code, persona_id, max_uses) VALUES ('brim', %s, 1)", w.stack.luna)
    first, late = w.new(), w.new()
    check("the only place of a code is taken", wait_for(
        lambda: w.talk(first, "/start brim") and w.user(first)[0] == "brim"), w.user(first))

    def statements():
        return w.stack.total("shoal_sql_asked_total", 'statement="persona_')

    def asked(person):
        before = statements()
        return "\n\n" in w.talk(person, "/start brim")[0] and statements() - before

    check("who comes too late hears of it by two statements, once it is known", wait_for(lambda: asked(late) == 2))
    w.rows("UPDATE start_codes SET max_uses = 2 WHERE code = 'brim'")
    w.stack.tell_caches("startcode")
    check("a limit that is raised counts at once", w.talk(late, "/start brim") and w.user(late)[0] == "brim", w.user(late))
    later, since = w.new(), time.monotonic()
    check("the raised limit is reached, too", asked(later) and w.user(later)[0] is None, w.user(later))
    w.rows("DELETE FROM users WHERE telegram_id = %s", first)
    check("a place that became free is not looked for at once",
          asked(later) == 2 and w.user(later)[0] is None or time.monotonic() - since > 9, w.user(later))  # known for 10 s
    check("but after a while", wait_for(
        lambda: w.talk(later, "/start brim") and w.user(later)[0] == "brim", every=1), w.user(later))
    w.rows("INSERT INTO start_codes (code, persona_id, max_uses) VALUES ('dip', %s, 9)", w.stack.luna)
    holder, unlucky, next_one = w.new(), w.new(), w.new()
    check("nine places, one is taken", wait_for(
        lambda: w.talk(holder, "/start dip") and w.user(holder)[0] == "dip"), w.user(holder))
    admin = w.stack.pg.connect()
    admin.cursor().execute("UPDATE start_codes SET max_uses = 1 WHERE code = 'dip'")
    w.stack.say(unlucky, "/start dip")
    check("a use waits for the limit that is changed", wait_for(
        lambda: w.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1))
    admin.commit()
    admin.close()
    w.rest()
    check("and is refused by the new one", w.user(unlucky)[0] is None and len(w.messages(unlucky)) == 1, w.user(unlucky))
    w.rows("UPDATE start_codes SET max_uses = 9 WHERE code = 'dip'")
    w.stack.tell_caches("startcode")
    check("which is forgotten when the limit is as before", w.talk(next_one, "/start dip") and
          w.user(next_one)[0] == "dip", w.user(next_one))


# ---- staying and leaving

def commands(w):
    eve = w.new(verified=True, persona=w.stack.luna)
    help_ = w.talk(eve, "/help")
    check("/help names the commands", len(help_) == 1 and all(c in help_[0] for c in ("/start", "/stop", "/help")),
          help_)
    check("/HELP@bot is the same", w.talk(eve, "/HELP@persona_bot") == help_)
    check("an unknown command gets a word and changes nothing", len(w.talk(eve, "/dance")) == 1 and w.lines(eve) == [])
    said = w.talk(eve, "/stop")
    check("/stop: a word, no chat is open, the account stays", len(said) == 1 and w.open_chat(eve) is None
          and w.user(eve)[1], said)
    check("/stop again: a word, nothing more", len(w.talk(eve, "/stop")) == 1)
    said = w.talk(eve, "/start Good-1")
    check("coming back after /stop: no age question, welcome back", len(said) == 1 and LUNA in said[0]
          and w.open_chat(eve) == "luna" and not w.buttons(eve)[1], said)
    w.talk(eve, "/stop")
    check("text after /stop opens the default persona's chat", w.talk(eve, "hello") == REPLIES[:1]
          and w.open_chat(eve) == "default")
    new = w.new()
    check("/help for a stranger makes no account", len(w.talk(new, "/help")) == 1 and w.user(new) is None)


def media(w):
    u = w.new(verified=True, persona=w.stack.luna)
    w.talk(u, None, kind="photo", caption="look & <see>")
    w.talk(u, None, kind="sticker")
    got = [r[2] for r in w.lines(u) if r[1] == "in"]
    check("media are stored by kind and caption", len(got) == 2 and "photo" in got[0] and "look & <see>" in got[0]
          and "sticker" in got[1], got)
    check("and answered and counted", [m["text"] for m in w.messages(u)] == LUNA_REPLIES
          and w.activity(u) == [(2, True)])


def groups(w):
    u, group = w.new(verified=True), -1000000 - w.person
    w.stack.control("POST", "groups", {"bot": "persona", "user_id": u, "chat_id": group, "title": "<Group>"})
    w.stack.control("POST", "messages", {"bot": "persona", "updates": [
        {"user_id": u, "chat_id": group, "text": t} for t in ("hi", "/start Good-1", "/help", "hi", "/stop")]})
    w.rest()
    check("a group is told once that this bot talks in private", len(w.messages(group)) == 1
          and "private" in w.messages(group)[0]["text"], w.messages(group))
    check("and nothing is stored", w.lines(u) == [] and w.user(u)[0] is None and w.open_chat(u) is None)


def suspended(w):
    u = w.new()
    w.talk(u, "/start Good-1")
    w.press(u, 0)
    w.talk(u, "before")
    w.stack.shoal("user", "suspend", str(u))
    state = ("SELECT to_jsonb(u), (SELECT jsonb_agg(c) FROM chats c WHERE c.user_id = u.id) FROM users u "
             "WHERE telegram_id = %s")
    before = w.rows(state, u), w.lines(u), w.activity(u)
    answers = [w.talk(u, t) for t in ("hello", "/start good-1", "/stop", "/help")]
    check("a suspended person gets one polite answer each time, always the same",
          all(len(a) == 1 and a == answers[0] for a in answers) and answers[0][0] not in LUNA_REPLIES, answers)
    check("and nothing changes", (w.rows(state, u), w.lines(u), w.activity(u)) == before)
    w.stack.shoal("user", "unsuspend", str(u))
    check("unsuspended, the conversation goes on", w.talk(u, "back") == ["sun"])
    fresh = w.new()
    w.talk(fresh, "/start Good-1")
    w.stack.shoal("user", "suspend", str(fresh))
    said = w.press(fresh, 0)
    check("a suspended person's yes has no effect", said == answers[0] and not w.user(fresh)[1], said)


def blocking(w):
    u = w.new(verified=True, persona=w.stack.luna)
    w.talk(u, "hello")
    w.stack.control("POST", "block", {"bot": "persona", "user_id": u})
    w.rest()
    check("blocked: blocked_at is set", w.blocked(u) is True)
    w.stack.control("POST", "unblock", {"bot": "persona", "user_id": u})
    w.rest()
    check("let in again: blocked_at is cleared", w.blocked(u) is False)
    w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "403", "chat_id": u, "count": 1})
    w.talk(u, "refused")
    check("a 403 sets blocked_at", w.blocked(u) is True)
    check("and is not tried again", len([c for c in w.calls(u, "sendMessage") if c["status"] == 403]) == 1)
    check("the next message is answered and clears it", len(w.talk(u, "still here")) == 1 and w.blocked(u) is False)
    w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "403", "chat_id": u, "count": 1})
    w.talk(u, "refused again")
    check("so does a command", w.blocked(u) is True and len(w.talk(u, "/help")) == 1 and w.blocked(u) is False)
    w.stack.control("DELETE", "faults")


def odd_texts(w):
    u = w.new()
    w.talk(u, "/start long", first_name="&" * 64)
    check("a greeting longer than a message is cut to one", cut(w.press(u, 0), "g" * 5000))
    check("a reply of 4,096 characters of markup comes whole", w.talk(u, "\u00e9" * 4096) == [LONG_REPLY])
    check("so does one of 2,048 emoji", w.talk(u, "\U0001f468" * 2048) == ["\U0001f600" * 2048])
    check("a longer one is cut to one message", cut(w.talk(u, "&lt;" * 1024), "y" * 5000))
    check("4,096 characters are stored whole", [r[2] for r in w.lines(u) if r[1] == "in"] == [
        "\u00e9" * 4096, "\U0001f468" * 2048, "&lt;" * 1024])
    check("the welcome back holds the longest name", "L" * 64 in w.talk(u, "/start")[0])
    for text, stored in [("a\u0000b", "a\ufffdb"), ("\u0000", "\ufffd"), ("\u202e\u05e9\U0001f600", None),
                         ("'; DROP TABLE users; --", None), ("%s%n\\x00", None), ("line\nline\ttab", None)]:
        answer = w.stack.post(w.update(message=w.message_of(u, text)))
        w.rest()
        check("stored as it came: %r" % (stored or text), answer.status == 200
              and w.lines(u)[-2][2] == (stored or text), w.lines(u)[-2:])
    w.stack.post(w.update(message={**w.message_of(u, "x"), "from": {
        "id": u, "is_bot": False, "first_name": "a\u0000<", "username": "n\u0000", "language_code": "\u0000"}}))
    w.rest()
    check("U+0000 in a name too", w.rows("SELECT first_name, username FROM users WHERE telegram_id = %s", u) == [
        ("a\ufffd<", "n\ufffd")])


# ---- once is once

def double_clicks(w):
    u = w.new()
    w.talk(u, "/start Good-1")
    message, rows = w.buttons(u)
    data = rows[0][0]["callback_data"]
    twice = w.outcomes("double_click")
    w.stack.control("POST", "messages", {"bot": "persona", "updates": [
        {"user_id": u, "message_id": message, "data": data, "force": True} for _ in range(2)]})
    w.rest()
    check("two presses of one button: one greeting", [m["text"] for m in w.messages(u)][1:] == [LUNA_HI])
    check("the second one is counted", w.outcomes("double_click") - twice == 1)
    check("both are answered", len(w.calls(u, "answerCallbackQuery")) == 2)

    u = w.new()
    w.talk(u, "/start Good-1")
    message, rows = w.buttons(u)
    data = rows[0][0]["callback_data"]
    twice, done = w.outcomes("double_click"), w.outcomes("done")
    answers = w.together([w.update(callback_query=w.press_of(u, message, data, "q%d" % n)) for n in range(30)])
    replies = [json.loads(a.body or b"{}") for a in answers]
    w.rest()
    check("30 clicks at once: each is answered in the webhook's reply", all(a.status == 200 for a in answers) and [
        (r.get("method"), r.get("callback_query_id")) for r in replies] == [
        ("answerCallbackQuery", "q%d" % n) for n in range(30)], replies[:3])
    check("30 clicks at once: one effect", [m["text"] for m in w.messages(u)][1:] == [LUNA_HI]
          and len(w.calls(u, "editMessageReplyMarkup")) == 1)
    check("30 clicks at once: 29 are counted",
          (w.outcomes("double_click") - twice, w.outcomes("done") - done) == (29, 1),
          (w.outcomes("double_click") - twice, w.outcomes("done") - done))

    u = w.new()
    w.talk(u, "/start Good-1")
    message, rows = w.buttons(u)
    same = w.update(callback_query=w.press_of(u, message, rows[0][0]["callback_data"], "again"))
    before, twice = w.outcomes("duplicate"), w.outcomes("double_click")
    answers = w.together([same] * 30)
    w.rest()
    check("30 redeliveries at once: accepted, one effect", all(a.status == 200 for a in answers)
          and [m["text"] for m in w.messages(u)][1:] == [LUNA_HI], [m["text"] for m in w.messages(u)])
    check("30 redeliveries at once: 29 duplicates, no double click",
          (w.outcomes("duplicate") - before, w.outcomes("double_click") - twice) == (29, 0))


def duplicates(w):
    u = w.new(verified=True, persona=w.stack.luna)
    w.talk(u, "hello")
    before, same = w.outcomes("duplicate"), w.update(message=w.message_of(u, "only once"))
    for _ in range(2):
        check("an update is accepted", w.stack.post(same).status == 200)
        w.rest()
    check("the second of one update_id is dropped and counted", w.outcomes("duplicate") - before == 1
          and [r[2] for r in w.lines(u) if r[1] == "in"] == ["hello", "only once"] and len(w.messages(u)) == 2)


def killed(w, when):
    """kill -9 while the reply hangs: after the commit, before anybody knows that it was sent."""
    w.workers(1)
    u = w.new(verified=True, persona=w.stack.luna)
    w.talk(u, "before")
    w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "hang", "when": when, "chat_id": u, "count": 1,
                                       "ms": 600000})
    w.stack.say(u, "in flight")
    w.stack.say(u, "behind it")
    hit = wait_for(lambda: w.stack.control("GET", "faults")[0]["hits"] == 1)
    committed = [r[2] for r in w.lines(u)]
    w.stack.workers[-1].kill()
    w.stack.control("DELETE", "faults")
    w.stack.add_worker()
    w.rest()
    check("killed %s the reply: it was committed and in flight" % when, hit and committed == [
        "before", "moon", "in flight", "sun"], committed)
    check("killed %s the reply: every effect is there once" % when, [r[2] for r in w.lines(u)] == [
        "before", "moon", "in flight", "sun", "behind it", "moon"] and w.activity(u) == [(3, True)], w.lines(u))
    got = [m["text"] for m in w.messages(u)]
    wanted = ["moon", "sun", "moon"] if when == "before" else ["moon", "sun", "sun", "moon"]
    check("killed %s the reply: the reply that was decided is delivered" % when, got == wanted, got)
    check("killed %s the reply: no attempt is lost" % when, w.stack.queue()["dead"] == 0
          and w.stack.total("shoal_takeovers_total") == 1)


# ---- limits

def flooding(w):
    w.workers(2, SHOAL_USER_RATE="5/10")
    flooder, other = w.new(verified=True, persona=w.stack.luna), w.new(verified=True, persona=w.stack.luna)
    n = 60 if light() else 200
    for u in (flooder, other):
        w.stack.control("POST", "message", {"bot": "persona", "user_id": u, "text": "/help"})
    w.rest()
    asked = w.stack.total("shoal_sql_asked_total", '"persona_load"')
    updates = [w.update(message=w.message_of(flooder, "flood %d" % k)) for k in range(n)]
    for u in updates:
        u["message"]["from"]["language_code"] = "de-AT"
    flood = threading.Thread(target=lambda: w.together(updates))
    began, slowest = time.time(), 0
    flood.start()
    for k in range(3):
        w.stack.say(other, "calm %d" % k)
        sent, have = time.time(), k + 2
        wait_for(lambda: len(w.messages(other)) >= have)
        slowest = max(slowest, machine.took(sent, time.time()))
    flood.join()
    w.rest()
    took = time.time() - began
    got = [m["text"] for m in w.messages(flooder)][1:]
    stored = len([r for r in w.lines(flooder) if r[1] == "in"])
    notices = [t for t in got if t not in LUNA_REPLIES]
    most = 4 + took / 2 + 1  # one went for /help, one comes back every 2 s
    check("a flooder: what is beyond the rate has no effect", 4 <= stored <= most and len(got) - len(notices) == stored,
          (stored, most, got))
    check("a flooder: one notice, in their language", len(notices) == 1 and "faster" not in notices[0], notices)
    asked = w.stack.total("shoal_sql_asked_total", '"persona_load"') - asked - stored
    check("a flooder: the rest asks Postgres for next to nothing", asked < n / 4, (asked, n))
    check("a flooder: the rest is counted as throttled", w.outcomes("throttled") == n - stored,
          (w.outcomes("throttled"), n, stored))
    check("another person is not delayed", slowest < (5 if light() else 2)
          and [m["text"] for m in w.messages(other)][1:] == ["moon", "sun", "moon"], slowest)
    print("# %d updates of a flood took %.1f s; the other waited %.3f s at most" % (n, took, slowest))


def obeyed(calls):
    """Of the calls for one chat: how many 429s there were, and those after which it was not left alone as
    long as told."""
    limits, bad = 0, []
    for i, c in enumerate(calls):
        if c["status"] != 429:
            continue
        limits += 1
        ms = 1000 * int(re.search(r"retry after (\d+)", c["description"]).group(1))
        if i + 1 == len(calls) or calls[i + 1]["time"] - c["time"] < ms - 20:
            bad.append((c["time"], ms, calls[i + 1:i + 2]))
    return limits, bad


def told_to_wait(w):
    w.workers(2)
    a, b = w.new(verified=True, persona=w.stack.luna), w.new(verified=True, persona=w.stack.luna)
    w.talk(a, "hello")
    w.talk(b, "hello")
    for u, s in ((a, 1), (b, 4)):
        w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "429", "retry_after": s, "chat_id": u,
                                           "count": 1})
    w.stack.control("POST", "messages", {"bot": "persona", "updates": [
        {"user_id": u, "text": "number %d" % n} for n in range(3) for u in (a, b)]})
    w.rest()
    w.stack.control("DELETE", "faults")
    for u, s in ((a, 1), (b, 4)):
        limits, bad = obeyed(w.calls(u, "sendMessage"))
        check("told to wait %d s: waited for, then delivered once, in order" % s, limits == 1 and not bad
              and [m["text"] for m in w.messages(u)] == ["moon", "sun", "moon", "sun"],
              (bad, [m["text"] for m in w.messages(u)]))
    check("waiting takes no attempt", w.stack.queue()["tries"] == 0 and w.stack.queue()["dead"] == 0)


def platform_limits():
    stack = Stack(binary_from_argv(), workers=0, limits="on")
    prepare(stack)
    w = World(stack)
    w.workers(2)
    u, n = w.new(verified=True, persona=stack.luna), 24
    stack.control("POST", "messages", {"bot": "persona", "updates": [
        {"user_id": u, "text": "number %d" % k} for k in range(n)]})
    w.rest()
    limits, bad = obeyed(w.calls(u, "sendMessage"))
    check("the platform's own limits: its 429s are obeyed", limits > 0 and not bad, (limits, bad[:3]))
    check("the platform's own limits: everything arrives once, in order",
          [m["text"] for m in w.messages(u)] == ["moon", "sun"] * (n // 2))
    print("# %d messages, %d times told to wait" % (n, limits))
    stack.stop_workers()


# ---- the responder

class Endpoint:
    """A chat-completions endpoint."""

    def __init__(self, port=None):
        self.asked, self.mode, endpoint = [], "answer", self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.asked.append((self.path, dict(self.headers), json.loads(body)))
                endpoint.answer(self)

            def log_message(self, *_):
                pass

        self.port = port or free_port()
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        last = self.asked[-1][2]["messages"][-1]["content"]
        content = {"answer": "I heard <%s> & \u00fc" % last, "long": "z&" * 5000, "blank": " \n", "nul": "a\u0000b"}
        status, body = 200, {"choices": [{"message": {"role": "assistant", "content": content.get(self.mode)}}]}
        if self.mode == "hang":
            time.sleep(4 * RESPONDER_S)
        if self.mode == "refuse":
            status, body = 401, {"error": {"message": "wrong key " + KEY}}
        if self.mode == "fail":
            status, body = 500, {"error": {"message": "no"}}
        text = json.dumps(body).encode() if self.mode != "garbage" else b'{"choices": [{]}' + b"\xff" * 100
        try:
            request.send_response(status)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(text)))
            request.end_headers()
            request.wfile.write(text)
        except OSError:
            pass


def responder(w):
    endpoint = Endpoint()
    w.workers(2, SHOAL_RESPONDER_URL="http://127.0.0.1:%d/v1/chat/completions" % endpoint.port, SHOAL_RESPONDER_KEY=KEY,
              SHOAL_RESPONDER_MODEL="model-1", SHOAL_RESPONDER_TIMEOUT_S=RESPONDER_S, SHOAL_LOG="debug")
    u = w.new(verified=True, persona=w.stack.default)
    said = w.talk(u, "first & <foremost>")
    check("the responder answers", said == ["I heard <first & <foremost>> & \u00fc"], said)
    path, headers, body = endpoint.asked[-1]
    check("it is asked at its path, with the key and the model", path == "/v1/chat/completions"
          and headers.get("Authorization") == "Bearer " + KEY and body.get("model") == "model-1", (path, body))
    check("with the prompt and the text", body["messages"] == [
        {"role": "system", "content": "You are <Dora> & \"kind\"."}, {"role": "user", "content": "first & <foremost>"}],
        body["messages"])
    w.talk(u, None, kind="photo", caption="second")
    messages = endpoint.asked[-1][2]["messages"]
    check("then with what was said before", [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
          and messages[1]["content"] == "first & <foremost>" and messages[2]["content"] == said[0]
          and "photo" in messages[3]["content"] and "second" in messages[3]["content"], messages)
    for k in range(12):
        w.talk(u, "message %d" % k)
    messages = endpoint.asked[-1][2]["messages"]
    check("the history is the last messages, not all", 10 <= len(messages) <= 24
          and [m["content"] for m in messages if m["role"] == "user"][-3:] == ["message 9", "message 10", "message 11"],
          len(messages))
    check("what it said is stored", w.lines(u)[-1][2] == "I heard <message 11> & \u00fc")
    asked = len(endpoint.asked)
    new = w.new()
    for text in ("/start", "hello"):
        w.talk(new, text)
    w.talk(u, "/help")
    check("it is not asked for commands and strangers", len(endpoint.asked) == asked)
    u, turn = w.new(verified=True, persona=w.stack.default), 0
    for mode in ("fail", "refuse", "hang", "garbage", "blank", "absent"):
        endpoint.mode = mode
        began = time.time()
        said = w.talk(u, mode)
        took = machine.took(began, time.time())
        check("when it does %s, the replies are used" % mode, said == [REPLIES[turn % 3]]
              and took < 2 * RESPONDER_S, (said, took))
        turn += 1
    endpoint.mode = "long"
    said = w.talk(u, "long")
    check("its answer is cut to one message", cut(said, "z&" * 5000), [len(t) for t in said])
    endpoint.mode = "nul"
    check("U+0000 in its answer too becomes U+FFFD", w.talk(u, "nul") == ["a\ufffdb"]
          and w.lines(u)[-1][2] == "a\ufffdb")
    endpoint.server.shutdown()
    endpoint.server.server_close()
    said = w.talk(u, "gone")
    check("when it is gone, the replies are used", said and said[0] in REPLIES, said)
    cut_off = lambda: w.stack.total("shoal_cut_off", 'peer="responder"')
    said = [w.talk(u, "anyone?") for _ in range(22)]  # one of two workers has had more than ten of them
    check("when it stays away, it is left alone", cut_off() >= 1 and all(s and s[0] in REPLIES for s in said), cut_off())
    back = Endpoint(endpoint.port)
    check("when it is back, it is asked again", wait_for(
        lambda: w.talk(u, "back?") == ["I heard <back?> & \u00fc"] and cut_off() == 0, every=0.2))
    back.server.shutdown()
    back.server.server_close()
    check("answers take no more statements", w.over_two() == 0)
    texts = [open(f, "rb").read() for f in glob.glob(w.stack.folder + "/*.log")]
    check("its key is in no log", len(texts) > 3 and not any(KEY.encode() in t for t in texts))
    check("nor in the metrics", all(KEY.encode() not in http(
        "GET", "http://127.0.0.1:%d/metrics" % p).body for k, p in w.stack.ports.items() if k.running()))


# ---- statements, as Postgres saw them

def statements(stack, offset):
    """What the workers executed since that place in Postgres's log, comments left out."""
    with open(stack.pg.log, "rb") as f:
        f.seek(offset)
        text = f.read().decode("utf-8", "replace")
    entries = []
    for line in text.split("\n"):
        if line.startswith("\t"):
            if entries:
                entries[-1] += "\n" + line[1:]
        else:
            entries.append(line)
    ran = [re.match(r"shoal-worker/\S*\|LOG:  (?:execute [^:]*|statement): (.*)", e, re.S) for e in entries]
    return [re.sub(r"--[^\n]*", "", m.group(1)).strip() for m in ran if m]


def log_size(stack):
    return os.path.getsize(stack.pg.log)


def scans_of_a_life(w, updates):
    """How often the tables of the caches were scanned from the start of two workers to their end (backends report their
    numbers at the latest when they end)."""
    def scans():
        return dict(w.rows("SELECT relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables "
                           "WHERE relname IN ('personas', 'start_codes')"))

    def gone():
        return w.one("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'shoal-worker%%'") == 0
    w.stack.stop_workers()
    wait_for(gone)
    before = scans()
    w.workers(2)
    if updates:
        w.stack.control("POST", "messages", {"bot": "persona", "updates": updates})
    w.rest()
    over = w.over_two()
    w.stack.stop_workers()
    wait_for(gone)
    after = scans()
    return {table: after[table] - before[table] for table in after}, over


def counted_by_postgres(w):
    """A phase in which every statement counts: no limited codes, no changes by an admin."""
    n = 10 if light() else 40
    people = [w.new(verified=True, persona=w.stack.luna) for _ in range(n)]
    w.rows("UPDATE users SET acquisition_source = 'plain' WHERE telegram_id = ANY(%s)", people)
    updates = [{"user_id": u, "text": t} for t in ("/start Good-1", "hello", "/start Nowhere", "/start off", "/help",
                                                   "more") for u in people]
    idle, _ = scans_of_a_life(w, [])
    place = log_size(w.stack)
    busy, over = scans_of_a_life(w, updates)
    ran = statements(w.stack, place)
    # of one person six updates after each other, of all people at the same time: those share statements
    check("Postgres counts at most two statements an update", 6 < len(ran) <= 2 * len(updates) + 20,
          "%d statements, %d updates" % (len(ran), len(updates)))
    check("so does the metric", over == 0, over)
    check("who returns with codes and talks causes no look at codes or personas in Postgres", busy == idle,
          (idle, busy))


def loads_stay_away(w, place, since):
    """Over everything since the workers were ready: commits apart, nobody looks into the tables of the caches."""
    ran = statements(w.stack, place)
    loads = [s for s in ran if not re.search(r"INSERT INTO guards", s)]
    table = re.compile(r"\b(start_codes|personas)\b")
    check("the caches were read from Postgres when the workers started", any(
        table.search(s) for s in statements(w.stack, 0)[:-len(ran)]))
    bad = [s for s in loads if table.search(s) and " AS fits" not in s]
    stood_still = machine.lost(since, time.time()) >= DISTURBED_S  # then the caches may not believe their memory for a moment
    check("no load asks Postgres for codes or personas (%d statements, %d commits)" % (len(ran), len(ran) - len(loads)),
          len(loads) > 50 and len(ran) - len(loads) > 50 and (not bad or stood_still), bad[:2])
    whole = [s for s in loads if " AS fits" in s]
    check("the caches are loaded whole when a fleet begins, once for all (%d times)" % len(whole),
          0 < len(whole) <= 2 * w.fleets, (len(whole), w.fleets))


# ---- all of it

def whole_story():
    stack = Stack(binary_from_argv(), workers=0, pg_conf={"log_statement": "all", "log_line_prefix": "%a|",
                                                          "log_min_messages": "log"})
    prepare(stack)
    w = World(stack)
    stack.start_workers(2)
    w.rest()
    place, since = log_size(stack), time.time()
    ben = first_contact(w)
    conversation(w, ben)
    kind_refusals(w)
    too_young(w)
    commands(w)
    media(w)
    groups(w)
    suspended(w)
    blocking(w)
    odd_texts(w)
    double_clicks(w)
    duplicates(w)
    check("at most two statements an update", w.over_two() == 0 and stack.total("shoal_sql_per_update_count") > 100,
          (w.over_two(), stack.total("shoal_sql_per_update_count")))
    limited_codes(w)
    if pooled():
        stack.stop_workers()
    else:
        machine.undisturbed(counted_by_postgres, w)
        loads_stay_away(w, place, since)
    w.workers(2)
    killed(w, "before")
    killed(w, "after")
    flooding(w)
    check("a flood takes no more statements", w.over_two() == 0)
    told_to_wait(w)
    responder(w)
    full_codes(w)
    check("every 'in' row has a key of its own, no 'out' row has one", w.one(
        "SELECT count(*) FROM messages WHERE (direction = 'in') <> (update_key IS NOT NULL)") == 0)
    check("every message has its answer and is counted", w.rows(
        "SELECT count(*) FILTER (WHERE direction = 'in') = count(*) FILTER (WHERE direction = 'out'), count(*) FILTER "
        "(WHERE direction = 'in') = (SELECT sum(messages) FROM activity_daily) FROM messages") == [(True, True)])
    check("sources and uses agree", w.one(
        "SELECT count(*) FROM users u LEFT JOIN start_code_uses s ON s.user_id = u.id LEFT JOIN start_codes c "
        "ON c.id = s.code_id WHERE u.acquisition_source IS DISTINCT FROM c.code "
        "AND NOT (s.code_id IS NULL AND u.acquisition_source = 'plain')") == 0)
    check("there are no dead letters and no leftovers", all(v == 0 for v in stack.queue().values()), stack.queue())
    stack.stop_workers()


def polling():
    stack = Stack(binary_from_argv(), workers=0, poll=True)
    prepare(stack)
    w = World(stack)
    stack.start_workers(1)
    u = w.new()
    check("polling: asked", len(w.talk(u, "/start Good-1")) == 1 and len(w.buttons(u)[1]) > 0)
    check("polling: greeted", w.press(u, 0) == [LUNA_HI])
    calls = w.calls(u)
    check("polling: the press is answered by the worker's first call", [c["method"] for c in calls[1:]] == [
        "answerCallbackQuery", "editMessageReplyMarkup", "sendMessage"] and all(c["via"] == "http" for c in calls),
        [(c["method"], c["via"]) for c in calls])
    stack.control("POST", "messages", {"bot": "persona", "updates": [
        {"user_id": u, "text": str(n)} for n in range(50)]})
    w.rest()
    check("polling: a conversation, in order", [r[2] for r in w.lines(u) if r[1] == "in"] == [str(n) for n in range(50)]
          and [m["text"] for m in w.messages(u)][2:] == ["moon", "sun"] * 25)
    check("polling: at most two statements an update", w.over_two() == 0)
    stack.stop_workers()


began_all = time.monotonic()
for part in (whole_story, platform_limits, polling):
    if os.environ.get("ONLY", part.__name__) == part.__name__:
        part()
print("# took %.1f s" % (time.monotonic() - began_all))
finish()
