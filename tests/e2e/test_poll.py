"""Poll mode: one poller fleet-wide, nothing confirmed that is not in Redis, order kept, conflicts said clearly. Telegram is
played here by a few lines of its own."""
import http.server
import itertools
import json
import os
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..")]
import lib
from lib import check, wait_for

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/shoal"
TOKEN = "12345:poll-TOKEN"
STREAM = "shoal:{0}:updates"


class Telegram:
    """getUpdates as the Bot API words it: offset confirms what is below it, 100 at most, waits for `timeout`."""

    def __init__(self):
        self.updates, self.calls, self.trouble = [], [], []
        self.refused = []  # when
        self.asking = 0
        self.confirmed = 0
        self.changed = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = outer.answer(self.path, body)
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, *raw):
        with self.changed:
            self.updates += raw
            self.changed.notify_all()

    def fail(self, status, description, times=1, **parameters):
        body = {"ok": False, "error_code": status, "description": description}
        if parameters:
            body["parameters"] = parameters
        with self.changed:
            self.trouble += [(status, json.dumps(body).encode())] * times
            self.changed.notify_all()

    def well_again(self):
        """From now on all goes well. -> when the last question was refused, and how many there were up to now"""
        with self.changed:
            self.trouble.clear()
            return self.refused[-1], len(self.calls)

    def answer(self, path, body):
        with self.changed:
            self.calls.append((time.monotonic(), path, body))
            if path != "/bot%s/getUpdates" % TOKEN:
                return 404, b'{"ok":false,"error_code":404,"description":"Not Found"}'
            self.asking += 1
            number = len(self.calls)
            try:
                self.confirmed = max(self.confirmed, body.get("offset", 0))
                self.updates = [u for u in self.updates if json.loads(u)["update_id"] >= body.get("offset", 0)]
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.updates or self.trouble or number < len(self.calls),
                                      min(body.get("timeout", 0), 25))
                if number < len(self.calls):
                    return 409, b'{"ok":false,"error_code":409,"description":"Conflict: terminated by other"}'
                if self.trouble:
                    self.refused.append(time.monotonic())
                    return self.trouble.pop(0)
                return 200, b'{"ok":true,"result":[%s]}' % b",".join(self.updates[:body.get("limit", 100)])
            finally:
                self.asking -= 1


class Gateway(lib.Process):
    count = itertools.count(1)

    def __init__(self, folder, redis_url, api, **env):
        self.port, self.health = lib.free_port(), lib.free_port()
        values = dict(SHOAL_REDIS_URL=redis_url, SHOAL_BOTS="persona", SHOAL_PERSONA_TOKEN=TOKEN,
                      SHOAL_TELEGRAM_API=api, SHOAL_TELEGRAM_MODE="poll", SHOAL_DRAIN_S=5,
                      SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % self.port,
                      SHOAL_METRICS_LISTEN="127.0.0.1:%d" % self.health)
        values.update(env)
        super().__init__([BINARY, "gateway"], os.path.join(folder, "poll%d.log" % next(self.count)),
                         env=lib.clean_env(**values))

    def says(self, *words):
        return wait_for(lambda: all(w in self.output() for w in words))


def update(n, chat=7, more=""):
    return ('{"update_id":%d, "message":{"chat":{"id":%d},"v":1.50%s}}' % (n, chat, more)).encode()


def bodies(redis):
    return [f[b"body"] for _, f in redis.xrange(STREAM)]


def keys(redis):
    return [f[b"key"].decode() for _, f in redis.xrange(STREAM)]


def main():
    folder = lib.temp_dir()
    server = lib.start_redis()
    redis = server.client()
    telegram = Telegram()
    first = Gateway(folder, server.url, telegram.url)
    if not check("asks Telegram", wait_for(lambda: telegram.calls), first.output()):
        lib.finish()
    asked = telegram.calls[0][2]
    check("for 100 at most, waiting up to 50 s", asked["limit"] == 100 and 0 < asked["timeout"] <= 50, asked)
    check("without an offset that it cannot know", "offset" not in asked, asked)
    check("for the kinds that the bot handles", set(asked["allowed_updates"]) ==
          {"message", "callback_query", "my_chat_member"}, asked)

    made = [update(n, chat=n % 3 + 1) for n in range(500, 750)]
    telegram.add(*made)
    check("250 updates come in, in order, untouched", wait_for(lambda: bodies(redis) == made), len(bodies(redis)))
    check("and are confirmed by highest + 1", wait_for(lambda: telegram.confirmed == 750), telegram.confirmed)
    fields = redis.xrange(STREAM)[0][1]
    check("with the fields of the contract", list(fields) == [b"bot", b"lane", b"key", b"at", b"body", b"traceparent"] and
          fields[b"lane"] == b"telegram:persona:3" and fields[b"key"] == b"telegram:persona:500", fields)
    traces = {f[b"traceparent"].split(b"-")[1] for _, f in redis.xrange(STREAM)}
    check("each in a trace of its own", len(traces) == 250, len(traces))
    check("the webhook's path is not there", lib.http("POST", "http://127.0.0.1:%d/telegram/persona" % first.port,
                                                      "{}").status == 404)
    redis.delete(STREAM)

    # A full Redis: nothing is confirmed that is not there, and order is kept
    redis.config_set("maxmemory", redis.info()["used_memory"] + 1_000_000)
    made = [update(n, more=',"p":"%s"' % ("x" * 60_000)) for n in range(800, 840)]
    telegram.add(*made)
    wait_for(lambda: redis.xlen(STREAM) > 0)
    time.sleep(2)
    inside = len(bodies(redis))
    check("Redis full: part is in, nothing is confirmed", 0 < inside < 40 and telegram.confirmed == 750,
          (inside, telegram.confirmed))
    redis.config_set("maxmemory", 0)
    check("room again: all are in, in order", wait_for(lambda: list(dict.fromkeys(bodies(redis))) == made),
          keys(redis))
    check("then they are confirmed", wait_for(lambda: telegram.confirmed == 840), telegram.confirmed)
    redis.delete(STREAM)

    # Redis goes away in between
    server.stop()
    made = [update(n) for n in range(900, 910)]
    telegram.add(*made)
    time.sleep(1)
    check("Redis gone: nothing is confirmed", telegram.confirmed == 840, telegram.confirmed)
    server = server.again()
    redis = server.client()
    check("Redis back: all are in, in order", wait_for(lambda: list(dict.fromkeys(bodies(redis))) == made),
          keys(redis))
    check("and confirmed", wait_for(lambda: telegram.confirmed == 910))

    # One poller in the fleet
    second = Gateway(folder, server.url, telegram.url)
    second.says("gateway started")
    time.sleep(3)
    check("a second gateway does not ask", '"msg":"polling"' not in second.output(), second.output())
    lock = redis.get("shoal:{cache}:lock:poll:persona")
    check("the lock is held by a random value with an end", lock and len(lock) >= 16 and
          0 < redis.pttl("shoal:{cache}:lock:poll:persona") <= 15000)
    telegram.add(update(940))
    wait_for(lambda: telegram.confirmed == 941 and telegram.asking)
    first.send(signal.SIGTERM)
    code = first.wait()
    # the long poll under way takes 25 s, also if nobody waits for its answer any more
    check("told to stop it ends at once, with 0", code == 0 and telegram.asking, (code, first.output()))
    check("without complaints of a sanitizer", "Sanitizer" not in first.output() and
          "runtime error" not in first.output(), first.output()[-3000:])
    made = [update(n) for n in range(950, 953)]
    telegram.add(*made)
    check("the other takes over", wait_for(lambda: made[-1] in bodies(redis)), second.output())
    check("and says so", second.says('"msg":"polling"'))

    # the lock is lost: stops at once, comes back when it is free
    redis.set("shoal:{cache}:lock:poll:persona", "somebody else")
    check("a stolen lock is noticed", second.says("polling no more"), second.output())
    before = len(telegram.calls)
    time.sleep(1)
    check("no question without the lock", len(telegram.calls) == before)
    check("another's lock is not released", redis.get("shoal:{cache}:lock:poll:persona") == b"somebody else")
    redis.delete("shoal:{cache}:lock:poll:persona")
    check("free again: polls again", wait_for(lambda: len(telegram.calls) > before), second.output())

    # refusals
    def ready():
        answer = lib.http("GET", "http://127.0.0.1:%d/readyz" % second.health)
        return answer.status == 200, answer.body.decode()

    def refused(name, seconds, log, *how, **parameters):
        telegram.fail(*how, times=1000, **parameters)
        check(name + ": said", second.says(log), second.output()[-500:])
        if seconds >= 3:
            check(name + ": not ready, and says why", wait_for(
                lambda: not ready()[0] and how[1][:40] in ready()[1]), ready())
        at, calls = telegram.well_again()
        again = wait_for(lambda: len(telegram.calls) > calls and telegram.asking)
        check(name + ": asks again, not before %.1f s" % seconds,
              again and telegram.calls[calls][0] - at >= seconds - 0.1, [c[0] - at for c in telegram.calls[-3:]])
        check(name + ": ready again", wait_for(lambda: ready()[0]), ready())

    refused("a webhook is set", 3, "a webhook is set for this bot", 409,
            "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")
    refused("another poller", 3, "another program asks", 409, "Conflict: terminated by other getUpdates request")
    refused("429", 2, "Too Many Requests", 429, "Too Many Requests: retry after 2", retry_after=2)
    refused("a wrong token", 0, "does not accept the bot's token", 401, "Unauthorized")
    refused("busy for a day", 7, "Service Unavailable", 503, "Service Unavailable", retry_after=86400)
    refused("trouble inside", 0, "Internal Server Error", 500, "Internal Server Error")
    telegram.add(update(960))  # all is well: the next trouble begins with the shortest pause
    check("an update in between", wait_for(lambda: telegram.confirmed == 961 and telegram.asking))
    calls = len(telegram.calls)
    telegram.fail(500, "Internal Server Error", times=1000, retry_after=0)
    wait_for(lambda: len(telegram.calls) >= calls + 3)
    gaps = [b[0] - a[0] for a, b in zip(telegram.calls[calls:], telegram.calls[calls + 1:])]
    check("told to come again after 0 s it takes its time all the same", len(gaps) >= 2 and min(gaps) > 0.2, gaps)
    telegram.trouble.clear()
    check("and goes on", wait_for(lambda: telegram.asking and ready()[0]), ready())
    check("the token is in no log", TOKEN not in second.output() + first.output())
    check("deleteWebhook is never called", all(c[1].endswith("/getUpdates") for c in telegram.calls))

    # dies hard: the other waits for the lock's end
    third = Gateway(folder, server.url, telegram.url)
    third.says("gateway started")
    second.kill()
    check("a dead poller is replaced", third.says('"msg":"polling"'), third.output())
    telegram.add(update(2000))
    check("and updates go on", wait_for(lambda: update(2000) in bodies(redis)), third.output())
    check("stops with 0", third.stop() == 0)
    check("nothing is left of the lock", redis.get("shoal:{cache}:lock:poll:persona") is None)
    lib.finish()


main()
