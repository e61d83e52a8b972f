#!/usr/bin/python3
"""Links that a crowd follows at once: who was here before is let in by one statement, of everybody else it tells the worker
what there is. Who is who, what they are told and what is written must be the same as for those who come one by one; nobody's
update may take more than two statements; and all that holds while workers are killed and Postgres closes its connections.

    test_crowd_links.py [BINARY]
"""
import collections
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import PATIENCE, check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402

FIRST, OF_EACH = 8000000, 8
CONF, STREAM = "shoal:{0}:conf", "shoal:{0}:updates"
BACK = "Welcome back! <b>Luna</b> is glad to see you again."
HI = "Luna says hi"
OPENED = "extract(epoch FROM now() - opened_at) < 3600"

# how somebody stands before they follow the link: the columns of users, whether they have a chat with Luna, the answer
KINDS = collections.OrderedDict([
    ("new", (None, False, "are you 18 or older")),
    ("back", (("now()", "'before'", "NULL"), True, BACK)),
    ("unverified", (("NULL", "'before'", "NULL"), False, "are you 18 or older")),
    ("without a source", (("now()", "NULL", "NULL"), True, BACK)),
    ("never with her", (("now()", "'before'", "NULL"), False, HI)),
    ("suspended", (("now()", "'before'", "now()"), True, "Your account is suspended")),
])


class Crowd:
    def __init__(self, stack):
        self.stack = stack
        rows = stack.pg.rows
        self.luna = rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('luna', 'Luna', %s, '{moon}') "
                         "RETURNING id", HI)[0][0]
        rows("INSERT INTO start_codes (code, persona_id) VALUES ('moon', %s)", self.luna)

    def person(self, user, kind):
        columns, chat, _ = KINDS[kind]
        self.stack.control("POST", "users", {"id": user, "first_name": "After"})
        if columns:
            self.stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at, acquisition_source, suspended_at) "
                               "VALUES (%%s, 'Before', %s, %s, %s)" % columns, user)
        if chat:
            self.stack.pg.rows("INSERT INTO chats (user_id, persona_id, opened_at) SELECT id, %s, now() - interval '1 day' "
                               "FROM users WHERE telegram_id = %s", self.luna, user)

    def rest(self):
        """Until the simulator has delivered everything and the queue is empty."""
        return wait_for(lambda: self.stack.control("GET", "stats")["bots"]["persona"]["pending"] == 0 and
                        self.stack.settled(), PATIENCE)

    def follow(self, people):
        """All of them follow the link at the same time: it is in the queue before a worker may take it."""
        redis = self.stack.redis.client()
        redis.hset(CONF, "paused", "*")
        for user in people:
            self.stack.say(user, "/start moon", first_name="After")
        if not wait_for(lambda: redis.xlen(STREAM) == len(people), PATIENCE):
            raise RuntimeError("in the queue: %d" % redis.xlen(STREAM))
        redis.hdel(CONF, "paused")

    def statements(self):
        """How many updates asked each."""
        return {name: self.stack.total("shoal_sql_asked_total", 'statement="%s"' % name)
                for name in ("persona_return", "persona_load", "persona_open", "persona_ask")}

    def heard(self):
        """{person: texts of the messages that were sent to them}"""
        heard = collections.defaultdict(list)
        for c in self.stack.calls():
            if c["method"] == "sendMessage" and c["ok"]:
                heard[c["parameters"]["chat_id"]].append(c["parameters"]["text"])
        return heard

    def stands(self, user):
        """What is written of a person: name, source, whether their age is known, chats with Luna, opened just now."""
        return self.stack.pg.rows(
            "SELECT first_name, acquisition_source, age_verified_at IS NOT NULL, count(c.id), count(c.id) FILTER (WHERE %s) "
            "FROM users u LEFT JOIN chats c ON c.user_id = u.id WHERE telegram_id = %%s GROUP BY u.id" % OPENED, user)


STANDS = {"new": ("After", "moon", False, 0, 0), "back": ("After", "before", True, 1, 1),
          "unverified": ("After", "before", False, 0, 0), "without a source": ("After", "moon", True, 1, 1),
          "never with her": ("After", "before", True, 1, 1), "suspended": ("Before", "before", True, 1, 0)}


def everybody(crowd, first, held):
    """All kinds, in turn, at once or one by one; what was asked of Postgres for it, and all guards."""
    people = [(first + n, kind) for n, kind in enumerate(list(KINDS) * OF_EACH)]
    how = "in a crowd" if held else "one by one"
    for user, kind in people:
        crowd.person(user, kind)
    before = crowd.statements()
    for part in [people] if held else [[who] for who in people]:
        crowd.follow([user for user, _ in part])
        crowd.rest()
    check("%s: all is settled" % how, crowd.rest() and crowd.stack.queue()["dead"] == 0, crowd.stack.queue())
    heard = crowd.heard()
    for kind in KINDS:
        theirs = [user for user, k in people if k == kind]
        check("%s: who is %s is told so, once" % (how, kind), all(
            len(heard[u]) == 1 and KINDS[kind][2] in heard[u][0] for u in theirs), [heard[u] for u in theirs])
        stand = [crowd.stands(u) for u in theirs]
        check("%s: who is %s stands as they should" % (how, kind), all(s == [STANDS[kind]] for s in stand), stand)
    guards = crowd.stack.pg.rows("SELECT count(*), count(DISTINCT key) FROM guards WHERE key NOT LIKE 'shoal:%%'")[0]
    return {name: n - before[name] for name, n in crowd.statements().items()}, guards


def kinds_of_people(stack, crowd):
    alone, guards = everybody(crowd, FIRST, False)
    written = OF_EACH * (len(KINDS) - 1)  # nothing of those who are suspended
    check("one by one: a guard each", guards == (written, written), guards)
    check("one by one: all are loaded first", alone["persona_return"] == 0 and alone["persona_load"] == OF_EACH * len(KINDS), alone)
    together, guards = everybody(crowd, FIRST + 1000, True)
    check("in a crowd: a guard each", guards == (2 * written, 2 * written), guards)
    few = 8  # the last ones in hand
    check("in a crowd: nearly all are looked for by the statement that lets them in", together["persona_return"] +
          together["persona_load"] == OF_EACH * len(KINDS) and together["persona_load"] < few, (alone, together))
    check("in a crowd: most who are not back need no statement but that and one that writes",
          together["persona_open"] + together["persona_ask"] >= OF_EACH * (len(KINDS) - 2), together)
    over = stack.total("shoal_sql_per_update_count") - stack.total("shoal_sql_per_update_bucket", 'le="2"')
    check("no update took more than two statements", over == 0, over)
    again = stack.total("shoal_asked_again_total")
    check("nobody's was in conflict", again == 0, again)


def blocked_and_back(stack, crowd):
    """Who was taken to have blocked the bot is not any more; only this bot."""
    people = [FIRST + 2000 + n for n in range(24)]
    for user in people:
        crowd.person(user, "back")
    stack.pg.rows("INSERT INTO bot_users (bot, user_id, blocked_at) SELECT bot, id, now() FROM users, "
                  "(VALUES ('persona'), ('escrow')) b (bot) WHERE telegram_id BETWEEN %s AND %s", people[0], people[-1])
    crowd.follow(people)
    crowd.rest()
    rows = stack.pg.rows("SELECT bot, count(*) FROM bot_users WHERE blocked_at IS NOT NULL GROUP BY bot")
    check("in a crowd: their blocks of this bot are over", rows == [("escrow", 24)], rows)


def under_fire(stack, crowd):
    """Workers die and connections are closed: each update is written once, and answered."""
    rounds, people = 2 if light() else 4, [FIRST + 3000 + n for n in range(60)]
    for user in people:
        crowd.person(user, "back" if user % 3 else "without a source")
    before = stack.pg.rows("SELECT count(*) FROM guards WHERE key NOT LIKE 'shoal:%%'")[0][0]
    sent = 0
    for n in range(rounds):
        crowd.follow(people * 3)
        sent += len(people) * 3
        wait_for(lambda: stack.queue()["length"] < len(people) * 3, 10, 0.001)
        if n % 2:
            stack.workers[-1].stop(signal.SIGKILL)
            stack.start_workers(1)
        else:
            stack.pg.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                          "backend_type = 'client backend'")
        crowd.rest()
    check("under fire: all is settled", crowd.rest() and stack.queue()["dead"] == 0, stack.queue())
    written = stack.pg.rows("SELECT count(*) FROM guards WHERE key NOT LIKE 'shoal:%%'")[0][0] - before
    check("under fire: each update is written once", written == sent, (written, sent))
    heard = crowd.heard()
    check("under fire: each is answered, and with the same", all(
        len(heard[u]) >= 3 * rounds and set(heard[u]) == {BACK} for u in people),
        {u: collections.Counter(heard[u]) for u in people if len(heard[u]) < 3 * rounds or set(heard[u]) != {BACK}})
    sources = stack.pg.rows("SELECT count(*) FROM start_code_uses s JOIN users u ON u.id = s.user_id WHERE telegram_id BETWEEN %s AND %s",
                            people[0], people[-1])
    check("under fire: the code is the source of those who had none, once", sources == [(20,)], sources)


def main():
    stack = Stack(binary_from_argv(), workers=1)
    crowd = Crowd(stack)
    stack.tell_caches("startcode", "persona")
    kinds_of_people(stack, crowd)
    blocked_and_back(stack, crowd)
    stack.start_workers(1)
    under_fire(stack, crowd)
    check("all programs end well", stack.stop() == [])


main()
finish()
