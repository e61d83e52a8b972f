"""What seldom happens: a worker that is there before the schema, a platform whose answers nobody can read, a button that no
command knows, a question that is too long for the responder, somebody's hand in Redis."""
import http.server
import json
import math
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

FIRST = 6000000


class Peer:
    """Answers every POST with the same body, the first ones with another status; `calls` has the last part of each path."""

    def __init__(self, answer, *statuses):
        self.calls = []
        outer, statuses = self, list(statuses)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.calls.append(self.path.rsplit("/")[-1])
                try:
                    self.send_response(statuses.pop(0) if statuses else 200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # it has read enough

        server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()


def known(stack, user):
    stack.control("POST", "users", {"id": user, "first_name": "P"})
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) VALUES (%s, 'P', now())", user)


def heard(stack, user):
    return [m["text"] for m in stack.chat(user)["messages"] if m.get("from", {}).get("is_bot")]


def before_the_schema(stack):
    """Workers are rolled out before anybody has migrated: what comes in meanwhile waits."""
    stack.pg.rows("DROP SCHEMA public CASCADE")
    stack.pg.rows("CREATE SCHEMA public")
    worker = stack.add_worker(SHOAL_MAX_ATTEMPTS=1)
    for n in range(20):
        stack.say(FIRST + n, "hello")
    check("no schema: the worker says so", wait_for(lambda: "does not exist" in worker.output()), worker.output())
    wait_for(lambda: stack.queue()["length"] == 20)
    time.sleep(2)
    check("no schema: all waits, nothing dies", stack.queue()["dead"] == 0 and stack.queue()["length"] == 20,
          stack.queue())
    stack.shoal("migrate")
    check("no schema: migrated, all are answered", wait_for(lambda: all(heard(stack, FIRST + n) for n in range(20))),
          stack.queue())
    check("no schema: no attempt was used up", stack.settled() and stack.queue()["dead"] == 0, stack.queue())
    worker.stop()


def another_schema(stack):
    """As during an upgrade: a worker goes on with a newer schema, and with an older one while that will do; and says so."""
    newest = stack.pg.rows("SELECT max(version) FROM schema_migrations")[0][0]
    for n, (words, sql) in enumerate([
            ("schema is newer than this program",
             "INSERT INTO schema_migrations (version, name, checksum) VALUES (99999, 'later', 'x')"),
            ("schema is older than this program", "DELETE FROM schema_migrations WHERE version >= %d" % newest)]):
        stack.pg.rows("CREATE TABLE kept AS TABLE schema_migrations")
        stack.pg.rows(sql)
        worker = stack.add_worker()
        check("another schema: it says that the " + words, wait_for(lambda: words in worker.output()), worker.output())
        stack.say(FIRST + n, "again")
        check("another schema: and goes on", wait_for(lambda: len(heard(stack, FIRST + n)) == 2), stack.queue())
        worker.stop()
        stack.pg.rows("TRUNCATE schema_migrations")
        stack.pg.rows("INSERT INTO schema_migrations SELECT * FROM kept")
        stack.pg.rows("DROP TABLE kept")
    worker = stack.add_worker()
    stack.say(FIRST, "once more")
    check("its own schema: nothing is said of it", wait_for(lambda: len(heard(stack, FIRST)) == 3) and
          "than this program" not in worker.output(), worker.output())
    worker.stop()


def answers_too_long(stack):
    """Something on the way answers each call with megabytes. In trouble: the message goes out later. Else it is out, so it does
    not go out again."""
    platform = Peer(b'{"ok":true,"result":{"message_id":1,"pad":"' + b"x" * (5 << 20) + b'"}}', 502, 429)
    worker = stack.add_worker(SHOAL_TELEGRAM_API=platform.url)
    known(stack, FIRST + 50)
    stack.say(FIRST + 50, "hello")
    check("answer too long: settled", wait_for(lambda: platform.calls and stack.settled(0)), stack.queue())
    check("answer too long: sent until it is out", platform.calls.count("sendMessage") == 3, platform.calls)
    check("answer too long: logged", "too long" in worker.output(), worker.output())
    worker.stop()


def question_too_long(stack):
    """A prompt that was put in by plain SQL and has no limit: answered without the responder, and said."""
    responder = Peer(b'{"choices":[{"message":{"content":"not to be asked"}}]}')
    stack.pg.rows("INSERT INTO personas (key, name, greeting, prompt, replies) VALUES ('default', 'E', 'Hello', "
                  "repeat('x', 1200000), '{own words}')")
    stack.tell_caches("persona")
    worker = stack.add_worker(SHOAL_RESPONDER_URL=responder.url + "/v1/chat/completions")
    known(stack, FIRST + 51)
    stack.say(FIRST + 51, "hello")
    check("question too long: own words", wait_for(lambda: heard(stack, FIRST + 51)) and
          heard(stack, FIRST + 51) == ["own words"], heard(stack, FIRST + 51))
    check("question too long: logged, not asked", "the question to the responder is too long" in worker.output() and
          not responder.calls, (responder.calls, worker.output()))
    worker.stop()


def unknown_button():
    """In poll mode the worker answers a press that no command knows, as the gateway does for webhooks: else it spins."""
    stack = Stack(binary_from_argv(), poll=True)
    stack.say(FIRST, "/start")
    shown = wait_for(lambda: [m for m in stack.chat(FIRST)["messages"] if m.get("reply_markup")])
    stack.control("POST", "update", {"bot": "persona", "update": {"callback_query": {
        "id": "123456", "chat_instance": "1", "data": "nobody:knows", "from": {"id": FIRST, "is_bot": False, "first_name": "P"},
        "message": {"message_id": shown[-1]["message_id"], "date": 1, "chat": {"id": FIRST, "type": "private"}}}}})
    check("unknown button: it is answered", wait_for(lambda: [c for c in stack.calls() if c["method"].lower() ==
                                                              "answercallbackquery"]), stack.calls()[-3:])
    check("unknown button: settled", stack.settled())


def hand_in_redis():
    """A key of a wrong type, entries that somebody else reads: nothing is lost, though what was read elsewhere loses its place."""
    stack, people = Stack(binary_from_argv()), [FIRST + 60 + n for n in range(5)]
    r = stack.redis.client()
    stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'E', 'Hello', '{yes}')")
    stack.tell_caches("persona")
    for p in people:
        known(stack, p)
    r.set("shoal:{0}:seen_old", "no hash")
    worker = stack.workers[0]
    check("hand in Redis: the worker says which key", wait_for(
        lambda: "shoal:{0}:seen_old is a string, not a hash" in worker.output()))
    for n in range(2):
        for p in people:
            stack.say(p, "word %d" % n)
    check("hand in Redis: the updates are there", wait_for(lambda: stack.queue()["length"] == 10), stack.queue())
    took = r.xreadgroup("workers", "somebody", {"shoal:{0}:updates": ">"}, count=5)
    check("hand in Redis: entries are nobody's", len(took[0][1]) == 5 and wait_for(
        lambda: stack.metrics(worker).get('shoal_queue_imbalance{shard="0"}', 0) > 0), stack.queue())
    r.delete("shoal:{0}:seen_old")
    r.execute_command("ACL", "SETUSER", "default", "-xinfo")
    check("hand in Redis: what cannot be asked is not a number", wait_for(
        lambda: math.isnan(stack.metrics(worker)['shoal_queue_imbalance{shard="0"}'])))
    check("hand in Redis: and why is told", wait_for(lambda: "its numbers cannot be asked for" in worker.output()))
    r.execute_command("ACL", "SETUSER", "default", "+xinfo")
    check("hand in Redis: all is handled", stack.settled(), stack.queue())
    for p in people:
        said = [t for t, in stack.pg.rows(
            "SELECT m.text FROM messages m JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = c.user_id "
            "WHERE u.telegram_id = %s AND m.text LIKE %s ORDER BY m.id", p, "word%")]
        check("hand in Redis: once each", sorted(said) == ["word 0", "word 1"], said)
    check("hand in Redis: it is told", wait_for(lambda: "reads anew what is not settled" in worker.output()))


def main():
    stack = Stack(binary_from_argv(), workers=0)
    before_the_schema(stack)
    another_schema(stack)
    answers_too_long(stack)
    question_too_long(stack)
    unknown_button()
    hand_in_redis()
    finish()


main()
