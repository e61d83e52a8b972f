"""A stack whose worker and gateway run under fault.so, with its people, and the judge of what became of them. It reads
Postgres by plain SQL, Redis, and the simulator's record of calls."""
import html
import json
import os
import subprocess
import time

from faults import Control
from lib import free_port, http, wait_for
from scenarios import ANY, GROUPS, HI, REPLIES, Endpoint
from stack import SECRET, Stack

PATIENCE = 120  # s; a busy machine is no fault
STORM, STORM_GAP = 6, 11  # kind "storm": so many faults after the first, each so many operations later
STATE = """
SELECT json_build_object(
  'source', u.acquisition_source, 'verified', u.age_verified_at IS NOT NULL, 'suspended', u.suspended_at IS NOT NULL,
  'blocked', coalesce((SELECT b.blocked_at IS NOT NULL FROM bot_users b WHERE b.user_id = u.id AND b.bot = 'persona'),
    false),
  'chats', coalesce((SELECT json_agg(p.key ORDER BY p.key) FROM chats c JOIN personas p ON p.id = c.persona_id
    WHERE c.user_id = u.id), '[]'),
  'open', (SELECT p.key FROM chats c JOIN personas p ON p.id = c.persona_id
    WHERE c.user_id = u.id AND c.opened_at IS NOT NULL ORDER BY c.opened_at DESC LIMIT 1),
  'lines', coalesce((SELECT json_agg(json_build_array(p.key, m.direction, m.text) ORDER BY m.id) FROM messages m
    JOIN chats c ON c.id = m.chat_id JOIN personas p ON p.id = c.persona_id WHERE c.user_id = u.id), '[]'),
  'without_key', (SELECT count(*) FROM messages m JOIN chats c ON c.id = m.chat_id
    WHERE c.user_id = u.id AND (m.direction = 'in') <> (m.update_key IS NOT NULL)),
  'activity', coalesce((SELECT sum(a.messages) FROM activity_daily a WHERE a.user_id = u.id), 0),
  'uses', coalesce((SELECT json_agg(s.code ORDER BY s.code) FROM start_code_uses n
    JOIN start_codes s ON s.id = n.code_id WHERE n.user_id = u.id), '[]'))
FROM users u WHERE u.telegram_id = %s"""
# of a person of whom a scenario says nothing else
NOTHING = {"source": None, "verified": True, "suspended": False, "blocked": False, "chats": [], "open": None, "lines": [],
           "without_key": 0, "activity": 0, "uses": []}


def said(text):
    """A text of ours as the bot sends it: it writes HTML."""
    return html.escape(text, quote=False) if isinstance(text, str) else text


class TorturedStack(Stack):
    """Its gateway and workers run under the library, each with a control of its own."""

    def __init__(self, binary, library, shards, **more):
        self.shim, self.controls, self.responder_port, self.shards = library, {}, free_port(), shards
        super().__init__(binary, workers=0, sim_args=["--retry-scale", "0.1"], SHOAL_PG_CONNECTIONS="2",
                         SHOAL_FLOOD_CHAT="1000/1", SHOAL_FLOOD_GROUP="1000/1", SHOAL_USER_RATE="1000/1",
                         # one attempt used up makes a dead letter: it cannot be missed
                         SHOAL_MAX_ATTEMPTS="1", **more)

    def start(self, name, argv, **env):
        self.env["SHOAL_REDIS_URL"] = ",".join("redis://127.0.0.1:%d/%d" % (self.redis.port, n)
                                               for n in range(self.shards))
        if argv[0] in ("gateway", "worker"):
            env = {**self.control_of(argv[0]).env, **env}
        return super().start(name, argv, **env)

    def control(self, method, path, body=None):
        answer = http(method, self.sim_url + "/sim/" + path, None if body is None else json.dumps(body),
                      {"Content-Type": "application/json"}, timeout=PATIENCE)
        if answer.status >= 300:
            raise RuntimeError("%s /sim/%s: %d %s" % (method, path, answer.status, answer.body[:500]))
        return json.loads(answer.body)

    def control_of(self, program):
        if program not in self.controls:
            peers = {self.redis.port: "redis", self.pg.port: "postgres", self.sim_port: "api",
                     self.responder_port: "responder"}
            self.controls[program] = Control(os.path.join(self.folder, program + ".faults"), self.shim,
                                             {**peers, self.gateway_port: "sender"}, peers, [self.gateway_port])
        return self.controls[program]


class World:
    """kind: webhook, poll, or shards (webhook, and the queue in two databases of Redis)."""

    def __init__(self, binary, library, kind="webhook", people=7 * 10**9):
        self.shards = 2 if kind == "shards" else 1
        self.stack = TorturedStack(binary, library, shards=self.shards, poll=kind == "poll")
        self.endpoint = Endpoint(self.stack.responder_port)
        self.next_person, self.next_update = people, 4 * 10**12
        self.db = self.stack.pg.connect()
        self.db.autocommit = True
        self.redis = [self.stack.redis.client(db=n) for n in range(self.shards)]
        self.printed = ""  # by the last verb
        self.worker = self.group_now = None
        self.repeated = 0  # calls that were made twice, with good reason
        self._begin("worker")
        self._prepare()

    def _begin(self, target):
        self.target = target
        self.problems, self.fired, self.count, self.seq, self.twice = [], [], 0, None, 0
        self.taken_over = False  # there is a second worker

    def _prepare(self):
        self.persona = {key: self.one("INSERT INTO personas (key, name, greeting, replies) VALUES (%s, %s, %s, %s) "
                                      "RETURNING id", key, key.title(), HI[key], REPLIES[key])
                        for key in ("default", "luna")}
        luna = self.persona["luna"]
        for code, persona, most, expires in [
                ("Good-1", luna, None, "infinity"), ("good-1", self.persona["default"], None, None),
                ("plain", None, None, None), ("few", luna, 10**6, None), ("old", luna, None, "2020-01-01"),
                ("full", luna, 1, None)]:
            self.rows("INSERT INTO start_codes (code, persona_id, max_uses, expires_at) VALUES (%s, %s, %s, %s)",
                      code, persona, most, expires)
        self.rows("INSERT INTO start_code_uses (code_id, user_id) SELECT c.id, u.id FROM start_codes c, users u "
                  "WHERE c.code = 'full' AND u.telegram_id = %s", self.person(verified=True))
        self.warm = self.person(verified=True, persona="luna")

    def rows(self, sql, *parameters):
        with self.db.cursor() as cur:
            cur.execute(sql, parameters)
            return cur.fetchall() if cur.description else []

    def one(self, sql, *parameters):
        rows = self.rows(sql, *parameters)
        return rows[0][0] if rows else None

    # ---- people and what they do

    def person(self, verified=False, persona=None, suspended=False, blocked=False):
        """One that the bot has never seen; or one who confirmed their age, perhaps with a chat open."""
        self.next_person += 1
        u = self.next_person
        self.stack.control("POST", "users", {"id": u, "first_name": "Ann <b>"})
        if verified:
            self.rows("INSERT INTO users (telegram_id, first_name, age_verified_at, suspended_at) "
                      "VALUES (%s, 'Ann', now(), CASE WHEN %s THEN now() END)", u, suspended)
        if persona:
            self.rows("INSERT INTO chats (user_id, persona_id, opened_at) SELECT id, %s, now() FROM users "
                      "WHERE telegram_id = %s", self.persona[persona], u)
        if blocked:
            self.rows("INSERT INTO bot_users (bot, user_id, blocked_at) SELECT 'persona', id, now() FROM users "
                      "WHERE telegram_id = %s", u)
        return u

    def group(self, user):
        chat = -user
        self.stack.control("POST", "groups", {"bot": "persona", "user_id": user, "chat_id": chat, "title": "Group"})
        self.rest()
        return chat

    def messages(self, what):
        """(user, text or a spec), in this order."""
        self.stack.control("POST", "messages", {"bot": "persona", "updates": [
            {"user_id": u, **(spec if isinstance(spec, dict) else {"text": spec})} for u, spec in what]})

    def say(self, user, *texts):
        self.messages((user, t) for t in texts)

    def asked(self, user, text):
        """Lets the bot ask for the age; a function that presses a button of the question."""
        self.say(user, text)
        self.rest()
        message = [m for m in self.stack.chat(user)["messages"] if m.get("reply_markup")][-1]
        buttons = [b["callback_data"] for row in message["reply_markup"]["inline_keyboard"] for b in row]

        def press(which, times=1):
            self.messages([(user, {"message_id": message["message_id"], "force": True,
                                   "data": buttons[("yes", "no").index(which)]})] * times)
        return press

    def block(self, user):
        self.stack.control("POST", "block", {"bot": "persona", "user_id": user})

    def api_fault(self, user, **how):
        self.stack.control("POST", "faults", {"method": "sendMessage", "chat_id": user, **how})

    def post_twice(self, user, text):
        """The same update twice at the gateway, as after an answer that Telegram did not get."""
        self.next_update += 1
        update = {"update_id": self.next_update, "message": {
            "message_id": self.next_update % 10**6, "date": 1, "text": text,
            "from": {"id": user, "first_name": "Ann", "is_bot": False},
            "chat": {"id": user, "type": "private", "first_name": "Ann"}}}
        for _ in range(2):
            answer = http("POST", self.stack.gateway_url + "/telegram/persona", json.dumps(update),
                          {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": SECRET},
                          timeout=PATIENCE)
            if answer.status != 200:
                self.wrong("the gateway answers %d" % answer.status)

    # ---- at rest

    def delivered(self, seconds=PATIENCE):
        """Until the gateway has taken all."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            b = self.stack.control("GET", "stats")["bots"]["persona"]
            if b["pending"] == 0 and b["in_flight"] == 0:
                return True
            time.sleep(0.02)
        return False

    def queue(self):
        """The sums over all shards."""
        names = ("length", "lanes", "waiting", "due", "tries", "dead", "pending")
        return dict(zip(names, map(sum, zip(*(self._shard(n) for n in range(self.shards))))))

    def _shard(self, n):
        key = "shoal:{%d}:" % n
        p = self.redis[n].pipeline(transaction=False)
        p.xlen(key + "updates")
        p.hlen(key + "lanes")
        p.zcard(key + "waiting")
        p.zcard(key + "due")
        p.hlen(key + "tries")
        p.xlen(key + "dead")
        numbers = p.execute()
        return [*numbers, numbers[1] + numbers[2]]

    def rest(self, seconds=PATIENCE):
        """Until nothing is unsettled anywhere."""
        end = time.monotonic() + seconds
        if not self.delivered(seconds):
            return False
        while True:
            q = self.queue()
            if q["length"] == 0 and q["pending"] == 0:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)

    # ---- programs

    def use(self, group):
        """A worker with what this group of scenarios needs."""
        if self.group_now == group and self.worker and self.worker.running():
            return
        self.stop_worker()
        self.group_now = group
        self.start_worker()

    def start_worker(self, wait=True):
        env = {k: v % {"responder": self.stack.responder_port} for k, v in GROUPS[self.group_now or "plain"].items()}
        self.stack.workers = [w for w in self.stack.workers if w.running()]
        self.worker = self.stack.add_worker(**env)
        if wait:
            self.stack.expect("worker", self.healthy, PATIENCE)

    def start_undisturbed(self):
        """One more, whose operations do not fail."""
        worker = self.stack.add_worker(LD_PRELOAD="", **GROUPS[self.group_now])
        self.stack.expect("second worker", lambda: self.stack.ready(worker), PATIENCE)
        return worker

    def stop_undisturbed(self, worker):
        if worker.stop(15, 30) != 0:
            self.wrong("the second worker ended with %s" % worker.child.returncode)

    def stop_worker(self):
        """SIGTERM; it has to end well, and in time."""
        if not self.worker:
            return
        self.worker.send(15)
        code = self.worker.wait(PATIENCE)
        if code != 0:
            self.wrong("the worker ended with %s" % code)
            self.worker.kill()
        self.worker = None

    def stop_gateway(self):
        code = self.stack.gateway.stop(15, 30)
        if code != 0:
            self.wrong("the gateway ended with %s" % code)

    def start_gateway(self, wait=True):
        self.stack.gateway = self.stack.start("gateway", ["gateway"],
                                              SHOAL_METRICS_LISTEN="127.0.0.1:%d" % self.stack.gateway_metrics)
        if wait:
            self.stack.expect("gateway", self.gateway_ready, PATIENCE)

    def gateway_ready(self):
        return http("GET", "http://127.0.0.1:%d/readyz" % self.stack.gateway_metrics).status == 200

    def verb(self, *argv, stdin="", disturbed=True, **env):
        """Runs a verb of the command line; its exit code."""
        faults = self.stack.control_of("cli").env if disturbed else {}
        done = subprocess.run([self.stack.binary, *argv], input=stdin, text=True, capture_output=True, timeout=PATIENCE,
                              env={**self.stack.env, **faults, **env})
        self.printed = done.stdout + done.stderr
        return done.returncode

    def name(self):
        self.next_person += 1
        return "Name_%d" % self.next_person

    def healthy(self):
        return self.stack.ready(self.worker) and self.stack.metrics(self.worker).get('shoal_pg_pool{state="up"}') == 2

    def recover(self):
        """Until both programs have all their connections again; then an update, so that they are in use."""
        if not self.worker:
            self.start_worker(wait=False)
        self.stack.expect("worker", self.healthy, PATIENCE)
        self.stack.expect("gateway", self.gateway_ready, PATIENCE)
        if self.fired and self.target != "cli":
            self.say(self.warm, "so be it")
            if not self.rest():
                self.wrong("an update after the fault does not settle: %s" % self.queue())

    # ---- a run

    def from_here(self):
        """Calls up to now are none of this run's."""
        self.seq = self.stack.control("GET", "stats")["calls"]

    def after_operations(self, n):
        wait_for(lambda: self.stack.control_of(self.target).count >= n, 5, 0.001)

    def disarm(self):
        self.stack.control_of(self.target).disarm()

    def run(self, scenario, nth=0, kind=""):
        """One run; the problems that it showed. self.fired: the operations that failed. kind: one of faults.KINDS, or
        storm; with " at PEER FUNCTION" behind it the nth of those alone."""
        kind, _, only = kind.partition(" at ")
        self._begin(scenario.of)
        self.use(scenario.group)
        control = self.stack.control_of(scenario.of)
        story = scenario(self)
        next(story)
        if self.seq is None:
            self.from_here()
        if kind == "storm":
            control.arm(nth, "before", again=STORM, gap=STORM_GAP)
        else:
            control.arm(nth, kind, only=only.split() if only else None)
        try:
            while not self.problems:
                next(story)  # raises StopIteration where the story judges
                if not self.rest():
                    self.wrong("stuck: %s; simulator: %s" % (
                        self.queue(), self.stack.control("GET", "stats")["bots"]["persona"]))
                    break
                self.count, self.fired = control.count, control.failed()
        except StopIteration:
            self.expect_few_repeated()
        control.disarm()
        self.stack.control("DELETE", "faults")
        q = self.queue()
        if any(q.values()):
            self.wrong("left in the queue: %s%s" % (q, self.dead_letters()))
        if not self.problems:
            self.recover()
        return self.problems

    # ---- the judge

    def wrong(self, what):
        self.problems.append(what)

    def dead_letters(self):
        return "".join("; dead: " + str({k.decode(): v.decode("utf-8", "replace")[:150] for k, v in fields.items()})
                       for n in range(self.shards) for _, fields in self.redis[n].xrange("shoal:{%d}:dead" % n, count=3))

    def state(self, user):
        return self.one(STATE, user) or {}

    def may_repeat(self):
        """How many calls can have reached the platform without an answer, or without a note of it: only they are made
        again."""
        most = sum(o.peer == "api" and (o.function, o.kind) not in (
            ("write", "before"), ("write", "middle"), ("read", "after")) for o in self.fired)
        # a worker that was taken for dead while it could not reach Redis: what it sent last is noted nowhere
        return most + (self.taken_over and any(o.peer == "redis" and o.kind == "silence" for o in self.fired))

    def expect(self, user, exists=True, calls=(), answers=None, **rows):
        """The person's rows are these and no others, and so are the calls for their chat."""
        state = self.state(user)
        wanted = {**NOTHING, **rows} if exists else {}
        if state != wanted:
            self.wrong("rows: %s" % {k: (state.get(k), "wanted", wanted.get(k)) for k in {**state, **wanted}
                                     if state.get(k) != wanted.get(k)})
        self.expect_calls(user, calls, answers)

    def calls(self, *methods):
        """What the simulator recorded since the run began."""
        return [c for c in self.stack.control("GET", "calls?after=%d&limit=1000" % self.seq)["calls"]
                if c["method"] in methods]

    def expect_calls(self, chat, wanted, answers=None):
        done = [(c["method"], c["parameters"].get("text")) for c in self.calls("sendMessage", "editMessageReplyMarkup")
                if c["ok"] and c["parameters"]["chat_id"] == chat]
        i, last = 0, None
        for at, got in enumerate(done):
            fits = i < len(wanted) and got[0] == wanted[i][0] and said(wanted[i][1]) in (ANY, got[1])
            if got == last and (not fits or len(done) - at > len(wanted) - i):
                self.twice += 1
            elif fits:
                i += 1
            else:
                i = None
                break
            last = got
        if i != len(wanted):
            self.wrong("calls for %d: %s, wanted %s" % (chat, done, [
                (m, "..." if t is ANY else t) for m, t in wanted]))
        via = [c["via"] for c in self.calls("answerCallbackQuery")]
        if answers and answers not in via and not (self.fired and answers == "http"):
            self.wrong("the press was not answered (%s): %s" % (answers, via))

    def expect_rows(self, wanted, sql, *parameters):
        got = self.one(sql, *parameters)
        if got != wanted:
            self.wrong("%s: %s, wanted %s" % (sql, got, wanted))

    def expect_done_or_not(self, code, there, whole):
        """After a verb that was disturbed: all of it there if it says so, or all or nothing."""
        if code not in (0, 3) or there not in ((whole,) if code == 0 else (0, whole)):
            self.wrong("exit %s, with %s of %s done: %s" % (code, there, whole, self.printed))

    def expect_few_repeated(self):
        """Over all chats of the run."""
        if self.twice > self.may_repeat():
            self.wrong("%d calls were made again, %d may" % (self.twice, self.may_repeat()))
        self.repeated += self.twice

    def expect_buttons(self, user):
        if not self.stack.chat(user)["messages"][-1].get("reply_markup"):
            self.wrong("the question has no buttons")

    def expect_obeyed(self, user, seconds):
        """After a 429 that was heard, no call for so long."""
        calls = [c for c in self.calls("sendMessage") if c["parameters"]["chat_id"] == user]
        for a, b in zip(calls, calls[1:]):
            early = b["time"] - a["time"] < 1000 * seconds - 20
            if a["status"] == 429 and early and not any(o.peer == "api" for o in self.fired):
                self.wrong("called again %d ms after a 429 of %d s" % (b["time"] - a["time"], seconds))
