"""Every update that Telegram may send, and many that it would not: through the webhook, the stream and a worker.

Recorded ones (tests/fixtures/telegram-updates*.jsonl; FIXTURES=DIR takes those of another folder), then random ones of
every type and field of the Bot API, sound and hostile (SEED=N for others). The rules that the judge holds them to:
- a JSON object with an integer update_id from 0 to 2^53 is accepted (200), anything else is refused (400);
- what was accepted is settled once, under its kind; kinds that no bot handles are ignored;
- a dead letter is only what is no JSON object, which can come into the stream by hand alone; so here there are none."""
import collections
import concurrent.futures
import glob
import itertools
import json
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402
from standstill import DISTURBED_S, Standstill  # noqa: E402
import random_updates  # noqa: E402

FIXTURES = os.environ.get("FIXTURES") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures")
SEED = int(os.environ.get("SEED", 1))
KINDS = [k for k in random_updates.TYPES["Update"]["fields"] if k != "update_id"]
HANDLED = ("message", "callback_query", "my_chat_member")
PATIENCE = 180
machine = Standstill()


def parsed(body):
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def wanted_status(body):
    update = parsed(body)
    number = update.get("update_id") if isinstance(update, dict) else None
    return 200 if type(number) is int and 0 <= number <= 2**53 else 400


def kind_of(update):
    """The kind under which it is counted."""
    found = [k for k in KINDS if isinstance(update.get(k), dict)]
    return found[0] if found else "unknown"


def renumbered(body, number):
    """The same bytes with another update_id; those without a good one stay as they are."""
    if wanted_status(body) != 200:
        return body
    old = parsed(body)["update_id"]
    new, n = re.subn(rb'("update_id"\s*:\s*)%d\b' % old, rb"\g<1>%d" % number, body, count=1)
    if n != 1 or parsed(new)["update_id"] != number:
        raise RuntimeError("cannot renumber %r" % body[:200])
    return new


def press_id(update):
    """The id under which a press must be answered at once, or None where it need not."""
    q = update.get("callback_query") if kind_of(update) == "callback_query" else None
    if not isinstance(q, dict) or not isinstance(q.get("id"), str) or not q["id"] or "\0" in q["id"]:
        return None
    who = q.get("from")
    return q["id"] if isinstance(who, dict) and type(who.get("id")) is int and 0 < who["id"] < 2**52 else None


class Run:
    """One stack, several waves of updates."""

    def __init__(self):
        self.stack = Stack(binary_from_argv(), workers=0, webhook=False, SHOAL_LOG_FORMAT="json", SHOAL_LOG_UPDATES=0)
        self.stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) "
                           "VALUES ('default', 'Echo', 'Hello', ARRAY['one', 'two'])")
        self.stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) SELECT n, 'Known', now() "
                           "FROM unnest(ARRAY[42, 2147483647, 4294967297, 16479069, 1893294]) n")
        self.stack.start_workers(2)
        self.started = list(self.stack.workers)
        self.number = 10**9
        self.repeated, self.began = False, time.time()

    def by_kind(self):
        """{kind: {outcome: updates}} of all workers."""
        out = collections.defaultdict(collections.Counter)
        for w in self.stack.workers:
            for series, n in self.stack.metrics(w).items():
                m = re.fullmatch(r'shoal_updates_total\{bot="persona",kind="([^"]*)",outcome="([^"]*)"\}', series)
                if m:
                    out[m.group(1)][m.group(2)] += int(n)
        return out

    def post(self, body):
        """Where the machine stands still, an update may be refused for the time being; Telegram sends it again too."""
        while True:
            began = time.time()
            answer = self.stack.post(body)
            if answer.status != 503 or machine.lost(began - 3, time.time()) < DISTURBED_S:
                return answer
            self.repeated = True

    def wave(self, name, bodies):
        before, began = self.by_kind(), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(self.post, bodies))
        wrong = [(b[:300], a) for b, a in zip(bodies, answers) if a.status != wanted_status(b)]
        check("%s: %d updates get the status that they deserve" % (name, len(bodies)), not wrong, wrong[:3])
        taken = [parsed(b) for b, a in zip(bodies, answers) if a.status == 200]
        self.judge_answers(name, [(parsed(b), a) for b, a in zip(bodies, answers) if a.status == 200])
        check(name + ": nothing is stuck", self.stack.settled(PATIENCE), self.stack.queue())
        posted = collections.Counter(kind_of(u) for u in taken)
        wait_for(lambda: self.settled_of(before) == posted)
        self.judge_outcomes(name, before, posted)
        print("# %s: %d updates, %d accepted, %.1f s" % (name, len(bodies), len(taken), time.monotonic() - began))
        check(name + ": no dead letters", self.stack.queue()["dead"] == 0, self.dead())

    def judge_answers(self, name, pairs):
        wrong = []
        for update, answer in pairs:
            reply, wanted = parsed(answer.body) if answer.body else None, press_id(update)
            if wanted is not None and (not reply or reply.get("callback_query_id") != wanted):
                wrong.append((update, answer.body))
            if reply is not None and (kind_of(update) != "callback_query"
                                      or reply.get("method") != "answerCallbackQuery"):
                wrong.append((update, answer.body))
        check("%s: presses and nothing else are answered in the webhook's reply (%d)" % (
            name, sum(press_id(u) is not None for u, _ in pairs)), not wrong, wrong[:3])

    def settled_of(self, before):
        """Updates by kind that came to an end since: each counts once, whatever it went through."""
        now = self.by_kind()
        beside = ("retried", "fenced", "duplicate") if self.repeated else ("retried", "fenced")
        out = collections.Counter({k: sum(n - before[k][o] for o, n in v.items() if o not in beside)
                                   for k, v in now.items()})
        return +out

    def judge_outcomes(self, name, before, posted):
        got = self.settled_of(before)
        check(name + ": every update is settled once, under its kind", got == posted,
              "got %s\nwant %s" % (sorted(got.items()), sorted(posted.items())))
        now, wrong = self.by_kind(), []
        for kind in posted:
            new = now[kind] - before[kind]
            may = {"ignored"} if kind not in HANDLED else {"done", "ignored", "double_click", "retried"}
            if set(new) - may - ({"duplicate"} if self.repeated else set()):
                wrong.append((kind, new))
        check("%s: kinds that no bot handles are ignored (%d of them)" % (name, len(set(posted) - set(HANDLED))),
              not wrong, wrong)
        print("# " + ", ".join("%s %s" % (k, dict(now[k] - before[k])) for k in HANDLED if k in posted))

    def dead(self):
        return [(f.get(b"error"), f.get(b"body", b"")[:500]) for _, f in
                self.stack.redis.client().xrange("shoal:{0}:dead", count=5)]

    # ---- the waves

    def recorded(self):
        files = sorted(glob.glob(os.path.join(FIXTURES, "telegram-updates*.jsonl")))
        check("there are recorded updates in " + FIXTURES, files)
        for path in files:
            with open(path, "rb") as f:
                lines = [line.strip() for line in f if line.strip()]
            bodies = [renumbered(line, self.number + n) for n, line in enumerate(lines)]
            self.number += len(lines)
            self.wave(os.path.basename(path), bodies)

    def random(self):
        every, missing = random_updates.covering(SEED, self.number)
        check("random updates cover every type and field (%d updates)" % len(every), not missing, sorted(missing)[:10])
        if light():
            every = every[:300]
        self.number += len(every)
        self.wave("random, sound", [random_updates.dumps(u, n) for n, u in enumerate(every)])
        n = 300 if light() else 2000
        strange = list(itertools.islice(random_updates.hostile(SEED, self.number), n))
        self.number += n
        self.wave("random, hostile", [random_updates.dumps(u, k) for k, u in enumerate(strange)])

    def talk(self):
        """Strange things said and pressed where the bot listens."""
        r, bodies = random.Random(SEED), []
        people = [42, 2**31 - 1, 2**32 + 1, 2**52 - 1, 1, 77]
        data = ["y", "n", "y:-", "y:-:abcd1234", "n:-:abcd1234", "y:1:abcd1234", "y:-1:abcd1234", "n:" + "9" * 60,
                "y:99999999999999999999:abcd1234", "y:0x1:abcd1234", "y:1:2:3:4:5:6:abcd1234",
                "y:1:2:3:4:5:6:7:8:abcd1234",
                "Y:-:abcd1234", "y:\0:abcd1234", ":", "y:", ":y", "\ud83d", "\U0001f600" * 16] + random_updates.TEXTS
        texts = random_updates.TEXTS + ["/start " + t for t in random_updates.TEXTS] + [
            "/" + "a" * 33, "/start@" + "b" * 100, "/start\u00a0x", "/start " + "c" * 64, "/start " + "c" * 65,
            "/start -"]
        names = ["", " ", "Ann", "\0", "<b>", "&" * 64, "\u202e", "x" * 300, None, 7, [], True]
        media = ["photo", "voice", "poll", "rich_message", "successful_payment", "pinned_message", "of_tomorrow"]
        for _ in range(300 if light() else 1500):
            who = {"id": r.choice(people), "is_bot": False, "first_name": r.choice(names), "username": r.choice(names),
                   "language_code": r.choice(names)}
            m = {"message_id": r.choice(random_updates.INTEGERS), "date": 1, "from": who,
                 "chat": {"id": who["id"], "type": "private"}}
            way = r.randrange(4)
            if way == 0:
                update = {"callback_query": {"id": "p%d" % self.number, "from": who, "message": m, "chat_instance": "1",
                                             "data": r.choice(data)}}
            elif way == 1:
                update = {"message": {**m, r.choice(media): r.choice([{}, [], True, 1, "x"]),
                                      "caption": r.choice(texts)}}
            elif way == 2:
                update = {"my_chat_member": {**m, "new_chat_member": {"user": who, "status": r.choice(
                    ["kicked", "member", "left", "restricted", "", None])}}}
            else:
                update = {"message": {**m, "text": r.choice(texts)}}
            bodies.append(json.dumps({"update_id": self.number, **update}).encode())
            self.number += 1
        self.wave("random, talk", bodies)

    def by_hand(self):
        """What only an XADD by hand can bring in: the only dead letters, each with its reason; the rest goes on."""
        r = self.stack.redis.client()
        broken = [b"", b"{", b"[]", b"7", b"null", b'"text"', b'{"a":' * 300 + b"1" + b"}" * 300, b"\xff\xfe{}",
                  b'{"message":{}} {}', b"\x00"]
        for n, body in enumerate(broken):
            r.xadd("shoal:{0}:updates", {"bot": "persona", "lane": "telegram:persona:42", "key": "hand-%d" % n,
                                         "body": body})
        r.xadd("shoal:{0}:updates", {"bot": "nobody", "lane": "telegram:persona:42", "body": "{}"})
        before = self.stack.pg.rows("SELECT count(*) FROM messages WHERE direction = 'in'")[0][0]
        good = {"message": {"text": "behind them", "chat": {"id": 42, "type": "private"}, "from": {"id": 42}}}
        r.xadd("shoal:{0}:updates", {"bot": "persona", "lane": "telegram:persona:42", "key": "hand-good",
                                     "body": json.dumps(good)})
        check("by hand: nothing is stuck", self.stack.settled(PATIENCE), self.stack.queue())
        dead = r.xrange("shoal:{0}:dead")
        check("by hand: broken bodies and unknown bots are the dead letters, each with its reason",
              len(dead) == len(broken) + 1 and all(f.get(b"error") for _, f in dead), (len(dead), self.dead()))
        check("by hand: with their bodies untouched", sorted(f.get(b"body") for _, f in dead) == sorted(
            broken + [b"{}"]), self.dead())
        check("by hand: what came behind them in their lane is answered", self.stack.pg.rows(
            "SELECT count(*) FROM messages WHERE direction = 'in'")[0][0] == before + 1)

    # ---- after all

    def judge_programs(self):
        check("no worker ended", all(w.running() for w in self.started) and self.stack.gateway.running())
        errors = [line for p in [self.stack.gateway, *self.started] for line in p.output().splitlines()
                  if (parsed(line) or {}).get("level", "none") not in ("info", "warn")]
        stood_still = machine.lost(self.began, time.time()) >= DISTURBED_S  # then they complain about their servers
        check("no program complains about itself", not errors or stood_still, "\n".join(errors[:5]))
        odd = [r for r in self.stack.pg.rows("SELECT first_name, username, language_code FROM users") if any(
            "\0" in (v or "") for v in r)]
        check("no U+0000 got through", not odd, odd[:3])
        q = self.stack.queue()
        check("the queue holds nothing but those dead letters", all(v == 0 for k, v in q.items() if k != "dead"), q)


run = Run()
run.recorded()
if not os.environ.get("FIXTURES"):
    run.random()
    run.talk()
run.by_hand()
run.judge_programs()
finish()
