"""Effects happen once, whatever the commit's fate (SPEC P2, P4): a commit whose answer is lost, one that never arrived, one
that was made before; stored effects are sent and not decided anew, also to other chats, one of which has gone; races
that Postgres breaks off use no attempt."""
import json
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from lib import check, finish, start_redis, wait_for  # noqa: E402
from pgbouncer import pooled  # noqa: E402
from proxy import Proxy  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

FIRST = 8000000


def words(statement):
    """What stands in a request to run it: its name, or where no names are kept how it begins."""
    if not pooled():
        return statement.encode()
    with open(os.path.join(HERE, "../../sql/queries", statement + ".sql"), "rb") as f:
        return f.readline().strip()


class World:
    def __init__(self):
        self.stack = s = Stack(binary_from_argv(), workers=0, SHOAL_MAX_ATTEMPTS=1, SHOAL_PG_CONNECTIONS=1)
        s.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'E', 'Hello', %s)",
                  ["first", "second"])
        port = int(re.search(r":(\d+)/", s.env["SHOAL_POSTGRES_URL"]).group(1))
        self.proxy = Proxy(port)
        s.env["SHOAL_POSTGRES_URL"] = s.env["SHOAL_POSTGRES_URL"].replace(":%d/" % port, ":%d/" % self.proxy.port)
        s.start_workers(1)
        self.users = 0

    def new(self):
        user = FIRST + self.users
        self.users += 1
        self.stack.control("POST", "users", {"id": user, "first_name": "P"})
        self.stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) VALUES (%s, 'P', now())", user)
        self.stack.say(user, "hello")
        wait_for(lambda: self.heard(user) == ["first"])
        return user

    def heard(self, user):
        return [m["text"] for m in self.stack.chat(user)["messages"] if m.get("from", {}).get("is_bot")]

    def lines(self, user):
        return [r[0] for r in self.stack.pg.rows(
            "SELECT m.text FROM messages m JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = c.user_id "
            "WHERE u.telegram_id = %s ORDER BY m.id", user)]

    def blocked(self, user):
        return self.stack.pg.rows("SELECT b.blocked_at IS NOT NULL FROM bot_users b JOIN users u ON u.id = b.user_id "
                                  "WHERE u.telegram_id = %s", user) == [(True,)]

    def persona_says(self, replies):
        self.stack.pg.rows("UPDATE personas SET replies = %s WHERE key = 'default'", replies)
        self.stack.tell_caches("persona")

    def at_rest(self, name):
        check(name + ": the queue empties", self.stack.settled(), self.stack.queue())
        check(name + ": no attempt was used up", self.stack.queue()["dead"] == 0 and self.stack.queue()["tries"] == 0)


def message(user, number, text):
    return {"update_id": number, "message": {
        "message_id": 900, "date": 1700000000, "text": text, "from": {"id": user, "is_bot": False, "first_name": "P"},
        "chat": {"id": user, "type": "private", "first_name": "P"}}}


def post(w, user, number, text):
    w.stack.post(message(user, number, text))


def answer_lost(w):
    """The commit was made, but its answer is lost: what it decided is sent, though a new decision would differ."""
    user = w.new()
    asked = w.stack.total("shoal_sql_statements_total", '"guard_find"')
    w.proxy.losing = (words("persona_say"), True)
    w.stack.say(user, "once")
    check("answer lost: it was committed", wait_for(lambda: w.lines(user) == ["hello", "first", "once", "second"]))
    w.persona_says(["another", "yet another"])
    check("answer lost: the reply that was decided comes", wait_for(lambda: len(w.heard(user)) == 2)
          and w.heard(user) == ["first", "second"], w.heard(user))
    w.at_rest("answer lost")
    check("answer lost: the effects are there once", w.lines(user) == ["hello", "first", "once", "second"]
          and len(w.heard(user)) == 2, (w.lines(user), w.heard(user)))
    check("answer lost: the guard was asked", w.stack.total("shoal_sql_statements_total", '"guard_find"') > asked)
    w.persona_says(["first", "second"])


def request_lost(w):
    """The commit never arrived: it is decided anew, and made."""
    user = w.new()
    w.proxy.losing = (words("persona_say"), False)
    w.stack.say(user, "once")
    check("request lost: it is made up for", wait_for(lambda: len(w.heard(user)) == 2), w.lines(user))
    w.at_rest("request lost")
    check("request lost: the effects are there once", w.lines(user) == ["hello", "first", "once", "second"]
          and w.heard(user) == ["first", "second"], (w.lines(user), w.heard(user)))


def overtaken(w):
    """A commit whose answer is lost is still at work when the update comes again, and is made just after the guard was asked
    for: what it decided counts, though the facts are its own doing by then."""
    user, sql = w.new(), w.stack.pg.connect
    holder, barrier = sql(), sql()
    with holder.cursor() as cur:
        cur.execute("SELECT FROM chats WHERE user_id = (SELECT id FROM users WHERE telegram_id = %s) FOR UPDATE", (user,))
    w.proxy.losing = (words("persona_stop"), True, False)
    w.stack.say(user, "/stop")
    waits = ("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s")
    check("overtaken: the commit waits", wait_for(lambda: w.stack.pg.rows(waits, "%leaves their chats%") == [(1,)]))
    stopped = threading.Thread(target=lambda: barrier.cursor().execute("LOCK TABLE chats"))
    stopped.start()
    check("overtaken: the guard was not there when it came again", wait_for(
        lambda: w.stack.pg.rows(waits, "%fallback_chat_id%") == [(1,)]))
    holder.rollback()
    stopped.join()
    barrier.rollback()
    w.at_rest("overtaken")
    check("overtaken: the reply that was decided came, once", len(w.heard(user)) == 2 and "You have left" in w.heard(user)[1],
          w.heard(user))
    holder.close()
    barrier.close()


def stored(w):
    """An update whose guard row is there already, with replies to three chats, the first of which has blocked the bot."""
    gone, other, own = w.new(), w.new(), w.new()
    number = 1900000000
    calls = [{"m": "sendMessage", "c": chat, "g": False, "b": {"chat_id": chat, "text": "as stored"}}
             for chat in (gone, other, own)]
    w.stack.pg.rows("INSERT INTO guards (key, effects) VALUES (%s, %s)", "telegram:persona:%d" % number, json.dumps(calls))
    w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "403", "chat_id": gone, "count": 1})
    post(w, own, number, "not to be stored")
    check("stored effects: they are sent", wait_for(lambda: "as stored" in w.heard(own)))
    w.at_rest("stored effects")
    w.stack.control("DELETE", "faults")
    check("stored effects: each chat got what was stored, nothing else",
          w.heard(other) == w.heard(own) == ["first", "as stored"] and w.heard(gone) == ["first"],
          [w.heard(u) for u in (gone, other, own)])
    check("stored effects: nothing was decided anew", w.lines(own) == ["hello", "first"], w.lines(own))
    check("stored effects: the chat that has gone is blocked, the others are not",
          w.blocked(gone) and not w.blocked(other) and not w.blocked(own))


def errands(w):
    """Stored errands are done before what is stored to be said, and again after a crash in between."""
    own, r = w.new(), w.stack.redis.client()
    kept, lease = "shoal:{cache}:v:player:5", "shoal:{cache}:l:player:5"
    for number in (1900000010, 1900000011):
        r.mset({kept: "a-1|", lease: "a lease"})
        w.stack.pg.rows("INSERT INTO guards (key, effects) VALUES (%s, %s)", "telegram:persona:%d" % number, json.dumps(
            [{"w": ["player", "5"], "o": "forget"},
             {"m": "sendMessage", "c": own, "g": False, "b": {"chat_id": own, "text": "said %d" % number}}]))
        post(w, own, number, "not to be stored")
        check("errands: what was to be said is said", wait_for(lambda: "said %d" % number in w.heard(own)), w.heard(own))
        check("errands: what was to be forgotten is forgotten before", not r.exists(kept) and not r.exists(lease))
    w.at_rest("errands")


def unknown_errand(w):
    """An errand that this release does not know, or whose words make no sense, is not passed over."""
    own = w.new()
    for number, errand in ((1900000012, {"o": "juggle", "w": ["player", "5"]}),
                           (1900000013, {"o": "forget", "w": ["player"]}),
                           (1900000014, {"o": "forget", "w": ["jester", "5"]}),
                           (1900000015, {"o": "forget", "w": ["player", ""]})):
        dead = w.stack.queue()["dead"]
        w.stack.pg.rows("INSERT INTO guards (key, effects) VALUES (%s, %s)", "telegram:persona:%d" % number, json.dumps(
            [errand, {"m": "sendMessage", "c": own, "g": False, "b": {"chat_id": own, "text": "not to be said"}}]))
        post(w, own, number, "x")
        check("unknown errand %s: a dead letter" % errand, wait_for(lambda: w.stack.queue()["dead"] == dead + 1))
        letter = w.stack.redis.client(decode_responses=True).xrevrange("shoal:{0}:dead", count=1)[0][1]
        check("unknown errand %s: it says so, and may be retried" % errand, "no errand" in letter["error"]
              and letter["maybe_applied"] == "1", letter)
    check("unknown errand: nothing is said", w.heard(own) == ["first"], w.heard(own))


def broken_off(w):
    """Postgres breaks transactions off (40001), more often than an update loads again at once."""
    user = w.new()
    retried = w.stack.total("shoal_updates_total", 'outcome="retried"')
    w.stack.pg.rows("CREATE FUNCTION race() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING "
                    "ERRCODE = '40001', MESSAGE = 'could not serialize access'; END $$")
    w.stack.pg.rows("CREATE TRIGGER race BEFORE INSERT ON guards FOR EACH ROW EXECUTE FUNCTION race()")
    w.stack.say(user, "once")
    check("broken off: it comes again", wait_for(
        lambda: w.stack.total("shoal_updates_total", 'outcome="retried"') > retried))
    w.stack.pg.rows("DROP FUNCTION race CASCADE")
    check("broken off: it is done in the end", wait_for(lambda: len(w.heard(user)) == 2))
    w.at_rest("broken off")
    check("broken off: the effects are there once", w.lines(user) == ["hello", "first", "once", "second"], w.lines(user))


def conflict(w):
    """The state that was decided on has changed at each try: nothing stays behind, not even the guard row."""
    user = w.new()
    w.stack.pg.rows("CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING "
                    "ERRCODE = 'SH001', MESSAGE = 'changed'; END $$")
    w.stack.pg.rows("CREATE TRIGGER change AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION change()")
    guards = w.stack.pg.rows("SELECT count(*) FROM guards")
    w.stack.say(user, "never")
    check("conflict: an update that stays in conflict is a dead letter in the end", wait_for(
        lambda: w.stack.queue()["dead"] == 1))
    check("conflict: it leaves nothing behind", w.lines(user) == ["hello", "first"] and w.heard(user) == ["first"]
          and w.stack.pg.rows("SELECT count(*) FROM guards") == guards, w.lines(user))
    letter = w.stack.redis.client(decode_responses=True).xrange("shoal:{0}:dead")[0][1]
    check("conflict: the dead letter says so", "conflict" in letter["error"] and letter["maybe_applied"] == "0", letter)
    w.stack.pg.rows("DROP FUNCTION change CASCADE")
    w.stack.say(user, "again")
    check("conflict: the next message goes through", wait_for(lambda: w.heard(user) == ["first", "second"]),
          w.heard(user))


def unreadable(w):
    """Somebody has changed a guard row by hand: an update does not come back for ever with it."""
    own, number = w.new(), 1900000001
    dead = w.stack.queue()["dead"]
    w.stack.pg.rows("INSERT INTO guards (key, effects) VALUES (%s, '{}')", "telegram:persona:%d" % number)
    post(w, own, number, "x")
    check("unreadable effects: a dead letter, nothing sent or stored", wait_for(
        lambda: w.stack.queue()["dead"] == dead + 1) and w.heard(own) == ["first"] and w.lines(own) == ["hello", "first"])
    letter = w.stack.redis.client(decode_responses=True).xrevrange("shoal:{0}:dead", count=1)[0][1]
    check("unreadable effects: it says so", "stored effects" in letter["error"], letter)


def erased(w):
    """Of a person that was erased after the commit nothing is known any more, what was to be said included."""
    own, number = w.new(), 1900000002
    w.stack.pg.rows("INSERT INTO guards (key) VALUES (%s)", "telegram:persona:%d" % number)
    asked = w.stack.total("shoal_sql_statements_total", '"guard_find"')
    post(w, own, number, "x")
    check("erased effects: the guard was asked", wait_for(
        lambda: w.stack.total("shoal_sql_statements_total", '"guard_find"') > asked))
    check("erased effects: the queue empties", w.stack.settled(), w.stack.queue())
    check("erased effects: nothing is sent or stored", w.heard(own) == ["first"] and w.lines(own) == ["hello", "first"],
          (w.heard(own), w.lines(own)))


def guard_fails(w):
    """A redelivered update whose guard cannot be asked: the dead letter says what Postgres had against it."""
    own, dead = w.new(), w.stack.queue()["dead"]
    w.stack.pg.rows("CREATE FUNCTION odd() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'odd guard'; END $$")
    w.stack.pg.rows("INSERT INTO guards (key) VALUES ('telegram:persona:1900000003')")
    w.stack.pg.rows("ALTER TABLE guards RENAME TO kept")
    w.stack.pg.rows("CREATE VIEW guards AS SELECT key, odd() AS effects, at FROM kept")
    w.stack.redis.client().xadd("shoal:{0}:updates", {
        "bot": "persona", "lane": "telegram:persona:%d" % own, "key": "telegram:persona:1900000003", "again": "1",
        "body": json.dumps(message(own, 1900000003, "x"))})
    check("guard fails: a dead letter", wait_for(lambda: w.stack.queue()["dead"] == dead + 1), w.stack.queue())
    letter = w.stack.redis.client(decode_responses=True).xrevrange("shoal:{0}:dead", count=1)[0][1]
    check("guard fails: it says why", letter["error"] == "guard_find: P0001 odd guard", letter)
    w.stack.pg.rows("DROP VIEW guards")
    w.stack.pg.rows("ALTER TABLE kept RENAME TO guards")


def same_id(w):
    """Any program may append an entry without a key, and entries of two shards may have the same id."""
    second = start_redis()
    first, other = w.new(), w.new()
    worker, queue = w.stack.workers.pop(), w.stack.redis.client()
    worker.stop()
    w.stack.gateway.stop()  # it would mark the emptied queue as the only shard again
    queue.flushall()
    clients = [queue, second.client()]
    same = "%d-0" % (time.time() * 1000)
    for shard, user in enumerate((first, other)):
        clients[shard].xadd("shoal:{%d}:updates" % shard, {
            "bot": "persona", "lane": "telegram:persona:%d" % user,
            "body": json.dumps(message(user, 1, "I am %d" % user))}, id=same)
    w.stack.env["SHOAL_REDIS_URL"] += "," + second.url
    w.stack.start_workers(1)
    check("same id: both are handled", wait_for(lambda: not any(
        c.xlen("shoal:{%d}:updates" % n) for n, c in enumerate(clients))))
    for user in (first, other):
        check("same id: each is stored and answered", w.lines(user)[2:] == ["I am %d" % user, "second"]
              and w.heard(user) == ["first", "second"], (w.lines(user), w.heard(user)))
    check("same id: each has a guard", w.stack.pg.rows("SELECT key FROM guards WHERE key LIKE %s ORDER BY 1", "%" + same)
          == [("1/" + same,), (same,)])


def main():
    w = World()
    began = time.monotonic()
    for run in (answer_lost, request_lost, overtaken, stored, errands, broken_off, conflict, unreadable, unknown_errand, erased,
                guard_fails, same_id):
        run(w)
    print("# took %.1f s" % (time.monotonic() - began))
    finish()


main()
