"""A whole Shoal for end-to-end tests: Redis, PostgreSQL, simulator, gateway, workers; all private, gone at exit.
lib.finish() stops every stack and fails the test where a program of it ended badly."""
import json
import os
import re
import signal
import sys
import threading
import time

from lib import PATIENCE, Process, before_finish, check, clean_env, free_port, http, start_postgres, start_redis, \
    temp_dir, wait_for
from pgbouncer import pooled, postgres_env, start_pgbouncer

TOKEN = "100000001:token-of-the-tests"
SECRET = "secret-of-the-tests"
APP_ID, APP_TOKEN = "1000003", "MTAwMDAwMw.token-of_the.tests"  # of the ladder, on Discord
# what no log of a program may hold, whatever its exit code
BROKEN = re.compile(r"(Address|Leak|Thread|UndefinedBehavior|Memory)Sanitizer|runtime error:")
NEW_S = 5  # under a tool that slows it down a program may take so long to its first word
_stacks = []


class Stack:
    def __init__(self, binary, workers=1, sim_args=(), redis_conf=None, pg_conf=None, poll=False, webhook=True,
                 limits="off", bot="persona", redis=None, **env):
        """bot: the one that runs, and whom the people of this stack talk to. The ladder's platform is Discord: with it
        the simulator plays Discord, and with webhook it is told of the gateway and the commands. redis: what is there
        already, with .url and .client()."""
        _stacks.append(self)
        self.bot = bot
        self.programs = []
        self.binary = os.path.abspath(binary)
        self.folder = temp_dir()
        self.redis = redis or start_redis(**(redis_conf or {}))
        self.pg = start_postgres(**(pg_conf or {}))
        self.pooler = start_pgbouncer(self.pg) if pooled() else None
        self.sim_port, self.gateway_port, self.gateway_metrics = free_port(), free_port(), free_port()
        self.sim_url = "http://127.0.0.1:%d" % self.sim_port
        self.gateway_url = "http://127.0.0.1:%d" % self.gateway_port
        values = {
            "SHOAL_REDIS_URL": self.redis.url, **postgres_env(self.pg, self.pooler), "SHOAL_BOTS": bot,
            "SHOAL_%s_TOKEN" % bot.upper(): APP_TOKEN if bot == "ladder" else TOKEN, "SHOAL_WEBHOOK_SECRET": SECRET,
            "SHOAL_TELEGRAM_API": self.sim_url, "SHOAL_DISCORD_API": self.sim_url + "/api/v10", "SHOAL_LADDER_APP_ID": APP_ID,
            "SHOAL_WEBHOOK_URL": self.gateway_url,
            "SHOAL_TELEGRAM_MODE": "poll" if poll else "webhook",
            "SHOAL_GATEWAY_LISTEN": "127.0.0.1:%d" % self.gateway_port, "SHOAL_METRICS_LISTEN": "0",
            "SHOAL_FLOOD_CHAT": "0", "SHOAL_FLOOD_GROUP": "0", "SHOAL_USER_RATE": "0", "SHOAL_LOG_FORMAT": "text"}
        values.update(env)
        self.env = clean_env(**values)
        self.shoal("migrate")
        self.record = os.path.join(self.folder, "calls.jsonl")
        self._calls, self._read, self._reading = [], 0, threading.Lock()
        whom = ["--discord", "ladder=%s:%s" % (APP_ID, APP_TOKEN)] if bot == "ladder" else ["--bot", "%s=%s" % (bot, TOKEN)]
        self.sim = self.start("sim", ["sim", "--listen", "127.0.0.1:%d" % self.sim_port, *whom,
                                      "--limits", limits, "--record", self.record, *sim_args])
        self.expect("simulator", lambda: http("GET", self.sim_url + "/healthz").status == 200)
        if bot == "ladder":
            self.env.setdefault("SHOAL_LADDER_PUBLIC_KEY", self.discord("GET", "app")["public_key"])
        self.workers, self.ports, self.seen = [], {}, 0
        self.gateway = self.start_gateway()
        self.start_workers(workers)
        if webhook and bot == "ladder":
            self.shoal("webhook", "set", "--force")
        elif webhook and not poll:
            answer = self.api("setWebhook", url=self.gateway_url + "/telegram/" + bot, secret_token=SECRET)
            if not answer.get("ok"):
                raise RuntimeError("setWebhook: %s" % answer)

    def expect(self, what, fn, seconds=PATIENCE):
        if not wait_for(fn, seconds):
            raise RuntimeError(what + " did not come up\n" + "\n".join(
                p.log + ":\n" + p.output()[-1500:] for p in [self.gateway, *self.workers] if p))

    gateway = None

    def start(self, name, argv, **env):
        p = Process([self.binary, *argv], os.path.join(self.folder, name + ".log"),
                    env={**self.env, **{k: str(v) for k, v in env.items()}})
        self.programs.append(p)
        return p

    def shoal(self, *argv, fails=False, **env):
        """Runs a verb to its end; its output."""
        p = self.start("cli-" + argv[0], list(argv), **env)
        code = p.wait()
        if code != 0 and not fails:
            raise RuntimeError("shoal %s ended with %s:\n%s" % (" ".join(argv), code, p.output()[-1500:]))
        return p.output()

    def start_gateway(self):
        p = self.start("gateway", ["gateway"], SHOAL_METRICS_LISTEN="127.0.0.1:%d" % self.gateway_metrics)
        self.expect("gateway", lambda: http("GET", "http://127.0.0.1:%d/readyz" % self.gateway_metrics).status == 200)
        return p

    def add_worker(self, **env):
        port = free_port()
        self.seen += 1
        p = self.start("worker-%d" % self.seen, ["worker"], SHOAL_METRICS_LISTEN="127.0.0.1:%d" % port,
                       SHOAL_WORKER_ID="w%d" % self.seen, **env)
        self.ports[p] = port
        self.workers.append(p)
        return p

    def start_workers(self, n):
        for w in [self.add_worker() for _ in range(n)]:
            self.expect("worker", lambda: self.ready(w))

    def ready(self, worker):
        return http("GET", "http://127.0.0.1:%d/readyz" % self.ports[worker]).status == 200

    def metrics(self, worker, timeout=PATIENCE):
        """{'name{labels}': value} of a worker."""
        text = http("GET", "http://127.0.0.1:%d/metrics" % self.ports[worker], timeout=timeout).body.decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def total(self, name, *parts):
        """The sum over all running workers of the series of a metric whose labels hold all the parts."""
        return sum(v for w in self.workers if w.running() for k, v in self.metrics(w).items()
                   if k.split("{")[0] == name and all(p in k for p in parts))

    def tell_caches(self, *caches):
        """Returns when every worker has heard of what plain SQL has changed of these until now."""
        for name in caches:
            self.shoal("cache", "invalidate", name, "--all")

    # ---- the platform's side

    def api(self, method, **parameters):
        return json.loads(http("POST", "%s/bot%s/%s" % (self.sim_url, TOKEN, method), json.dumps(parameters),
                               {"Content-Type": "application/json"}).body)

    def control(self, method, path, body=None):
        answer = http(method, self.sim_url + "/sim/" + path, None if body is None else json.dumps(body),
                      {"Content-Type": "application/json"})
        if answer.status >= 300:
            raise RuntimeError("%s /sim/%s: %d %s" % (method, path, answer.status, answer.body[:500]))
        return json.loads(answer.body or b"{}")

    def say(self, user, text, **more):
        return self.control("POST", "message", {"bot": self.bot, "user_id": user, "text": text, **more})

    def press(self, user, message, data, **more):
        return self.control("POST", "press", {"bot": self.bot, "user_id": user, "chat_id": user,
                                              "message_id": message, "data": data, **more})

    # ---- Discord: people are ids; each deed returns its interaction as the simulator shows it

    def rest(self, method, path, body=None, token=APP_TOKEN):
        """A call of Discord's API, as the bot."""
        headers = {"Content-Type": "application/json", **({"Authorization": "Bot " + token} if token else {})}
        return http(method, self.sim_url + "/api/v10" + path, None if body is None else json.dumps(body), headers)

    def discord(self, method, path, body=None):
        return self.control(method, "discord/" + path, body)

    def command(self, user, name, wait="done", **options):
        return self.discord("POST", "command", {"user_id": str(user), "name": name, "options": options, "wait": wait})

    def click(self, user, message, custom_id, wait="done", **more):
        return self.discord("POST", "press", {"user_id": str(user), "message_id": message, "custom_id": custom_id,
                                              "wait": wait, **more})

    def submit(self, user, opened, wait="done", **fields):
        """opened: the interaction that was answered with a modal."""
        return self.discord("POST", "submit", {"user_id": str(user), "interaction_id": opened["id"], "fields": fields,
                                               "wait": wait})

    def feed(self, user):
        """All messages that this person sees, oldest first."""
        return self.discord("GET", "feed?user_id=%s" % user)["messages"]

    def chat(self, user):
        return self.control("GET", "chat?bot=%s&chat_id=%d" % (self.bot, user))

    def calls(self):
        """Every call of the platform's API up to now, oldest first. The simulator writes its record now and then."""
        upto = self.control("GET", "stats")["calls"]
        if not wait_for(lambda: self._recorded() >= upto):
            raise RuntimeError("the simulator does not write its record: %d of %d calls" % (self._recorded(), upto))
        return list(self._calls)

    def _recorded(self):
        """The number of the last call in the record."""
        with self._reading, open(self.record, "rb") as f:
            f.seek(self._read)
            text = f.read()
            text = text[:text.rfind(b"\n") + 1]
            self._read += len(text)
            self._calls += map(json.loads, text.splitlines())
        return self._calls[-1]["seq"] if self._calls else 0

    def post(self, update, secret=SECRET, bot=None):
        """One update to the gateway's webhook, by hand."""
        body = update if isinstance(update, (bytes, str)) else json.dumps(update)
        return http("POST", self.gateway_url + "/telegram/" + (bot or self.bot), body,
                    {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret})

    # ---- the queue, seen from outside

    def queue(self):
        r = self.redis.client()
        lanes, waiting = r.hlen("shoal:{0}:lanes"), r.zcard("shoal:{0}:waiting")
        return {"length": r.xlen("shoal:{0}:updates"), "pending": lanes + waiting, "lanes": lanes, "waiting": waiting,
                "due": r.zcard("shoal:{0}:due"), "tries": r.hlen("shoal:{0}:tries"), "dead": r.xlen("shoal:{0}:dead")}

    def settled(self, seconds=PATIENCE):
        """Waits until nothing is unsettled."""
        return wait_for(lambda: self.queue()["length"] == 0 and self.queue()["pending"] == 0, seconds, 0.05)

    def stop_workers(self, number=signal.SIGTERM):
        for w in self.workers:
            if w.running():
                w.stop(number)

    def stop(self):
        """Asks every program to end. What went wrong with any: an exit code that is not 0 (a kill -9 was the test's
        own; one that was started within NEW_S and has said nothing yet may not know what SIGTERM asks), a report of a
        sanitizer."""
        unheard = {p for p in self.programs if time.monotonic() - p.began < NEW_S and not p.output()}
        for p in self.programs:
            if p.argv[1] in ("gateway", "admin"):
                p.send(signal.SIGTERM)  # serves newcomers for a second, unless told again
        self.stop_workers()
        for p in reversed(self.programs):
            p.stop()
        wrong = []
        for p in self.programs:
            report = BROKEN.search(p.output())
            verb, code = p.argv[1] in ("gateway", "worker", "admin", "sim"), p.child.returncode
            right = (0, -signal.SIGKILL, *[-signal.SIGTERM] * (p in unheard))
            if report or (verb and code not in right):
                wrong.append("%s ended with %s\n%s" % (p.log, code, p.output()[
                    max(report.start() - 500, 0) if report else -3000:][:3000]))
        return wrong


def _check_ends():
    for number, stack in enumerate(_stacks):
        wrong = stack.stop()
        check("stack %d: every program ended well" % (number + 1), not wrong, "\n".join(wrong))


before_finish.append(_check_ends)


def binary_from_argv():
    return sys.argv[1] if len(sys.argv) > 1 else "build/shoal"


def light():
    """A smaller load where the same test runs a second time under sanitizers."""
    return bool(os.environ.get("SHOAL_TEST_LIGHT"))
