"""The judge of a chaos run. It knows what was sent (the sender's journal), what Postgres holds (read by plain SQL),
what the platform was told (the simulator's record of calls), what Redis has left, and when which fault took place. It
imports nothing of the product and shares no code with it.

    check.py FOLDER      judges what a run left there, again
"""
import collections
import json
import os
import re
import sys

SQL = {
    "users": "SELECT telegram_id, acquisition_source, age_verified_at IS NOT NULL FROM users",
    "chats": "SELECT u.telegram_id, c.id, c.turns FROM chats c JOIN users u ON u.id = c.user_id",
    "messages": "SELECT u.telegram_id, m.direction, m.update_key, m.text FROM messages m "
                "JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = c.user_id ORDER BY m.id",
    "activity": "SELECT u.telegram_id, sum(a.messages)::bigint FROM activity_daily a "
                "JOIN users u ON u.id = a.user_id GROUP BY 1",
    "uses": "SELECT u.telegram_id, s.code FROM start_code_uses x JOIN users u ON u.id = x.user_id "
            "JOIN start_codes s ON s.id = x.code_id",
    "guards": "SELECT key FROM guards",
}
KEY = "telegram:persona:%d"   # an update's key
SETTLE_MS = 1000              # an answered reply is noted within this, unless something keeps its worker from it
OWN = re.compile(r"shoal:\{cache\}:(v|l|trusts|deaf|since|listening)\b")  # of the caches' engine: may stay
RINGS = 100                   # bells that nobody needs any more may be left
TAKEOVER_MS = 5000            # a dead worker's chats go on within this
# entries of the log that are no faults of ours: the machine stood still, or had no time for a worker or Redis
MACHINE = {"stall": "the machine stood still", "starved": "no processor in time"}
TIMEOUT_MS = 29500            # a call without an answer for so long has failed for its worker
DEAD_MS = 2400                # a worker that stands still for so long may be taken for dead
AFTER_MS = 60000              # a second copy comes within this after its cause, while the machine has time

# ---- what a run leaves


def dump_tables(folder, url):
    import psycopg2
    db = psycopg2.connect(url)
    with db.cursor() as cur:
        for name, sql in SQL.items():
            cur.execute(sql)
            with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as f:
                for row in cur:
                    f.write(json.dumps(row) + "\n")
    db.close()


def size_of(r, key):
    return {b"stream": r.xlen, b"hash": r.hlen, b"zset": r.zcard, b"string": r.strlen, b"list": r.llen,
            b"set": r.scard}[r.type(key)](key)


BOOKS = """
local UPDATES, LANES, WAITING = KEYS[1], KEYS[2], KEYS[3]
local function table_of(list)
	local t = {}
	for i = 1, #list, 2 do t[list[i]] = list[i + 1] end
	return t
end
local function last_read()
	for _, g in ipairs(redis.call('XINFO', 'GROUPS', UPDATES)) do
		local group = table_of(g)
		if group.name == 'workers' then return group['last-delivered-id'] end
	end
	return '0-0'
end
local function is_somebodys(id, lane) -- what is read anew stands behind the last that was read
	local holder = redis.call('HGET', LANES, lane) or ''
	local ms, seq = id:match('(%d+)-(%d+)')
	local place = lane .. '\\1' .. ('0'):rep(20 - #ms) .. ms .. '-' .. ('0'):rep(20 - #seq) .. seq
	return holder:match('^%S+ (%S+)') == id or redis.call('ZSCORE', WAITING, place)
end
local behind = redis.call('EXISTS', UPDATES) == 1 and redis.call('XRANGE', UPDATES, '(' .. last_read(), '+', 'COUNT', ARGV[1]) or {}
local unread = 0
for _, e in ipairs(behind) do
	if not is_somebodys(e[1], table_of(e[2]).lane or '') then unread = unread + 1 end
end
return {redis.call('XLEN', UPDATES), #behind, unread, redis.call('HLEN', LANES), redis.call('ZCARD', WAITING)}
"""
BEHIND_MAX = 1000  # entries that a look goes through: Redis serves others too


def books(client, watched, shard=0):
    """A look at the queue's books, which is noted in watched: is all that is read and not settled in a lane, or waits? Returns
    how many entries there are."""
    length, behind, unread, lanes, waiting = client.eval(BOOKS, 3, *["shoal:{%d}:%s" % (shard, k) for k in (
        "updates", "lanes", "waiting")], BEHIND_MAX)
    if behind == BEHIND_MAX:
        watched["blind"] += 1
    else:
        watched["looks"] += 1
        watched["imbalance"] += length - unread != lanes + waiting
    return length


def dump_queue(folder, host, port):
    """Every key of the queue's Redis: its type, size, life in ms (-1: for ever)."""
    import redis
    r = redis.Redis(host=host, port=port)
    keys = {}
    for key in r.scan_iter(count=1000):
        kind = r.type(key)
        if kind != b"none":
            keys[key.decode("latin-1")] = {"type": kind.decode(), "size": size_of(r, key), "life": r.pttl(key)}
    stream = "shoal:{0}:updates"
    groups = [{"name": g["name"].decode(), "pending": g["pending"]} for g in r.xinfo_groups(stream)]
    dead = [{k.decode("latin-1"): v.decode("latin-1") for k, v in fields.items()}
            for _, fields in r.xrange("shoal:{0}:dead")]
    with open(os.path.join(folder, "queue.json"), "w", encoding="utf-8") as f:
        json.dump({"keys": keys, "groups": groups, "dead": dead}, f)


Call = collections.namedtuple("Call", "seq at took method text message status applied worker")


def read_lines(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        for line in f:
            yield json.loads(line)


def read_calls(folder):
    """{chat: calls in the order in which they took effect}"""
    chats = collections.defaultdict(list)
    for c in read_lines(folder, "calls.jsonl"):
        p = c["parameters"]
        if c["method"] in ("sendMessage", "editMessageReplyMarkup") and "chat_id" in p:
            chats[int(p["chat_id"])].append(Call(
                c["seq"], c["time"], c["took_ms"], c["method"], p.get("text"), int(p.get("message_id", 0)), c["status"],
                c["applied"], c.get("worker", "").split("-")[0]))
    return chats


def load(folder):
    data = {name: [tuple(row) for row in read_lines(folder, name + ".jsonl")] for name in SQL}
    data["sent"] = list(read_lines(folder, "journal.jsonl"))
    data["calls"] = read_calls(folder)
    data["faults"] = list(read_lines(folder, "faults.jsonl"))
    for name in ("queue", "run"):
        with open(os.path.join(folder, name + ".json"), encoding="utf-8") as f:
            data[name] = json.load(f)
    return data


# ---- the verdict


class Promise:
    """One line of the verdict: what was broken, at most a few of them in words."""

    def __init__(self, name):
        self.name, self.broken, self.words = name, 0, []

    def breaks(self, words):
        self.broken += 1
        if len(self.words) < 5:
            self.words.append(words)


class Verdict:
    NAMES = {
        "accepted": "every update has a number and a key of its own",
        "lost": "no effect is lost",
        "twice": "no effect took place twice",
        "foreign": "nothing took place that nobody sent",
        "order": "effects took place in the order of sending, in every chat",
        "missing": "every accepted update has its reply",
        "reply_order": "replies came in the order of sending, in every chat",
        "cause": "every reply that came twice has a cause that allows it",
        "dead": "no dead letters but of updates whose worker died three times",
        "residue": "the queue is empty and nothing is left of it",
        "books": "the queue's books were right at every look",
        "instant": "every accepted press was answered in the webhook's reply",
        "exit": "every worker that was told to stop ended well",
        "still_kill": "a chat stands still for less than 5 s after a kill -9 (p99)",
        "still_term": "a chat stands still for less than 200 ms after SIGTERM, beyond the update in hand (p99)",
    }

    def __init__(self):
        self.promises = {key: Promise(name) for key, name in self.NAMES.items()}
        self.figures, self.unasked = [], set()

    def __getitem__(self, key):
        return self.promises[key]

    def say(self, text):
        self.figures.append(text)

    def broken(self):
        return sorted(key for key, p in self.promises.items() if p.broken)

    def lines(self):
        for text in self.figures:
            print("# " + text)
        for key, p in self.promises.items():
            if key in self.unasked:
                continue
            yield p.name, p.broken == 0, "%d times: %s" % (p.broken, "; ".join(p.words))


class Chat:
    """What was accepted in one chat. `excused` are the updates that became dead letters as they had to: they may have
    had no effect, or one without a reply."""

    def __init__(self):
        self.start = None
        self.texts, self.presses, self.extra, self.excused = [], [], [], set()

    def add(self, u):
        if u["kind"] == "start":
            self.start = u
        elif u["kind"] == "text":
            self.texts.append(u)
        elif u["click"] == 1:
            self.presses.append(u)
        else:
            self.extra.append(u)

    def sort(self):
        self.texts.sort(key=lambda u: u["n"])
        self.presses.sort(key=lambda u: u["n"])


def provoked(data):
    """Ids of updates that are dead letters by right: three workers died, or stood still for so long that they had to be
    taken for dead, between the update's acceptance and its end."""
    deaths = [f["at"] for f in data["faults"] if "worker" in f and (
        f["kind"] == "kill" or (f["kind"] == "stop" and f["end"] - f["at"] >= DEAD_MS))]
    accepted = {KEY % u["id"]: u for u in data["sent"]}
    out = set()
    for letter in data["queue"]["dead"]:
        u = accepted.get(letter.get("key"))
        if u and letter["error"].startswith("killed its worker"):
            if sum(u["first"] <= at <= int(letter["died_at"]) for at in deaths) >= 3:
                out.add(u["id"])
    return out


def chats_of(data):
    chats, excused = collections.defaultdict(Chat), provoked(data)
    guards = {key for (key,) in data["guards"]}
    for u in data["sent"]:
        if u["id"] in excused:
            chats[u["chat"]].excused.add(u["id"])
        if u["id"] not in excused or u["kind"] == "press" or KEY % u["id"] in guards:
            chats[u["chat"]].add(u)
    for c in chats.values():
        c.sort()
    return chats


# ---- effects


def judge_sent(data, v):
    ids = collections.Counter(u["id"] for u in data["sent"])
    for number, times in ids.items():
        if times > 1:
            v["accepted"].breaks("update %d was accepted %d times" % (number, times))
    seen = sum(k["size"] for key, k in data["queue"]["keys"].items() if re.fullmatch(r"shoal:\{\d+\}:seen(_old)?", key))
    if seen != len(ids):
        v["accepted"].breaks("%d updates were accepted, Redis knows %d keys" % (len(ids), seen))


def rows_by_chat(rows):
    out = collections.defaultdict(list)
    for row in rows:
        out[row[0]].append(row[1:])
    return out


def judge_messages(data, chats, v):
    answers = data["run"]["replies"]
    stored = rows_by_chat(data["messages"])
    for chat in stored.keys() - chats.keys():
        v["foreign"].breaks("chat %d has messages" % chat)
    for chat, c in chats.items():
        rows = stored.get(chat, [])
        said = [(key, text) for direction, key, text in rows if direction == "in"]
        told = [text for direction, _, text in rows if direction == "out"]
        judge_said(chat, c, said, v)
        if [d for d, _, _ in rows] != ["in", "out"] * len(said):
            v["order"].breaks("chat %d: what was said and answered does not alternate" % chat)
        for n, text in enumerate(told):
            if text != "answer %d" % (n % answers):
                v["order"].breaks("chat %d: answer %d is %r" % (chat, n + 1, text))
                break


def judge_said(chat, c, said, v):
    wanted = {KEY % u["id"]: u for u in c.texts}
    count = collections.Counter()
    last = 0
    for key, text in said:
        u = wanted.get(key)
        if not u or u["text"] != text:
            v["foreign"].breaks("chat %d: %s %r" % (chat, key, text))
            continue
        count[u["id"]] += 1
        if count[u["id"]] > 1:
            v["twice"].breaks("chat %d: message %s (update %d), time %d" % (chat, text, u["id"], count[u["id"]]))
        elif int(text) < last:
            v["order"].breaks("chat %d: message %s came after %d" % (chat, text, last))
        last = max(last, int(text))
    for u in c.texts:
        if not count[u["id"]]:
            v["lost"].breaks("chat %d: message %s (update %d)" % (chat, u["text"], u["id"]))


def compare(name, chat, got, wanted, v):
    if got < wanted:
        v["lost"].breaks("chat %d: %s is %d, not %d" % (chat, name, got, wanted))
    elif got > wanted:
        v["twice"].breaks("chat %d: %s is %d, not %d" % (chat, name, got, wanted))


def judge_people(data, chats, v):
    activity, made = dict(data["activity"]), rows_by_chat(data["chats"])
    users, uses = rows_by_chat(data["users"]), rows_by_chat(data["uses"])
    for chat in (users.keys() | made.keys() | activity.keys()) - chats.keys():
        v["foreign"].breaks("person %d" % chat)
    for chat, c in chats.items():
        if c.excused:
            continue
        opened = len(c.presses) > 0
        compare("persons", chat, len(users[chat]), 1 if c.start else 0, v)
        compare("chats", chat, len(made[chat]), 1 if opened else 0, v)
        compare("activity", chat, activity.get(chat, 0), len(c.texts), v)
        compare("turns", chat, sum(turns for _, turns in made[chat]), len(c.texts), v)
        if c.start and users[chat]:
            source, verified = users[chat][0]
            compare("age verified", chat, int(verified), int(opened), v)
            compare("uses of codes", chat, len(uses[chat]), 1 if source else 0, v)
            judge_source(data, chat, c.start["text"].split()[1], source, uses[chat], v)


def judge_source(data, chat, code, source, uses, v):
    if source is None and code not in data["run"]["limited"]:
        v["lost"].breaks("chat %d: no source" % chat)
    elif source not in (None, code) or any(used != (source,) for used in uses):
        v["foreign"].breaks("chat %d came by %s: source %s, uses %s" % (chat, code, source, uses))


def judge_limits(data, chats, v):
    """A code with so many places gives exactly those away."""
    for code, places in data["run"]["limited"].items():
        came = sum(c.start is not None and c.start["text"] == "/start " + code for c in chats.values())
        compare("uses of " + code, 0, sum(used == code for _, used in data["uses"]), min(places, came), v)


def judge_guards(data, chats, v):
    wanted = set()
    for c in chats.values():
        if c.start:
            wanted.add(KEY % c.start["id"])
        wanted.update(KEY % u["id"] for u in c.texts)
        wanted.update(KEY % u["id"] for u in c.presses if u["verb"] == "y")
        wanted -= {KEY % number for number in c.excused}
    count = collections.Counter(key for (key,) in data["guards"])
    for key in wanted - count.keys():
        v["lost"].breaks("no guard of " + key)
    clicks = {KEY % u["id"] for c in chats.values() for u in c.extra}
    # what writes nothing else has one where it was delivered again
    alone = {KEY % u["id"] for c in chats.values() for u in c.presses if u["verb"] != "y"}
    excused = {KEY % number for c in chats.values() for number in c.excused}
    for key, times in count.items():
        if key in clicks:
            v["twice"].breaks("a second click had an effect: " + key)
        elif key not in wanted and key not in excused and key not in alone:
            v["foreign"].breaks("guard of " + key)
        elif times > 1:
            v["twice"].breaks("guard of %s, %d times" % (key, times))


# ---- replies

QUESTION, GREETING = "18 or older", "Hello, here I am."
WELCOME, KNOWN = "Welcome back!", "You have told us before"


class Replies:
    """Walks one chat's calls and says of each which reply to which update it was. A reply is (update id, part)."""

    def __init__(self, chat, c, answers, v):
        self.chat, self.c, self.answers, self.v = chat, c, answers, v
        self.copies = collections.defaultdict(list)   # reply -> its delivered calls
        self.text_at = self.press_at = 0              # how many texts, presses were answered first
        self.pressed = None                           # the press whose buttons were taken off last
        self.by_message = {u["message"]: n for n, u in enumerate(c.presses)}

    def out_of_order(self, what, call):
        self.v["reply_order"].breaks("chat %d: %s (call %d)" % (self.chat, what, call.seq))

    def skipped(self, updates):
        return any(u["id"] not in self.c.excused for u in updates)

    def first(self, reply, call):
        """Notes a copy; True for the first one."""
        self.copies[reply].append(call)
        return len(self.copies[reply]) == 1

    def answer(self, call, number):
        """Answers are numbered round and round: the next one, else the nearest to it."""
        ahead = (number - self.text_at) % self.answers
        n = self.text_at + ahead
        if ahead > self.answers // 2 or n >= len(self.c.texts):
            n -= self.answers
        if not 0 <= n < len(self.c.texts):
            self.v["foreign"].breaks("chat %d: %r (call %d)" % (self.chat, call.text, call.seq))
            return
        if self.first((self.c.texts[n]["id"], "answer"), call):
            if n < self.text_at or self.skipped(self.c.texts[self.text_at:n]):
                self.out_of_order("answer to %d where that to %d was due" % (n + 1, self.text_at + 1), call)
            self.text_at = max(self.text_at, n + 1)

    def disarm(self, call):
        n = self.by_message.get(call.message)
        if n is None:
            self.v["foreign"].breaks("chat %d: buttons of message %d" % (self.chat, call.message))
            return
        if self.first((self.c.presses[n]["id"], "buttons"), call):
            if n < self.press_at or self.skipped(self.c.presses[self.press_at:n]):
                self.out_of_order("press %d where %d was due" % (n + 1, self.press_at + 1), call)
            self.press_at = max(self.press_at, n + 1)
            self.pressed = n

    def press_text(self, call, verb):
        """The words after the buttons were taken off; late copies belong to the last press that had such words."""
        greeting = call.text == GREETING  # to the first press of a person, and to no other
        fits = [n for n, u in enumerate(self.c.presses[:self.press_at]) if u["verb"] == verb and (n == 0) == greeting]
        told = [n for n in fits if (self.c.presses[n]["id"], "words") in self.copies]
        if self.pressed in fits:
            self.first((self.c.presses[self.pressed]["id"], "words"), call)
        elif told:
            self.first((self.c.presses[told[-1]]["id"], "words"), call)
        else:
            self.out_of_order("%r without its press" % call.text[:30], call)

    def take(self, call):
        if call.method == "editMessageReplyMarkup":
            self.disarm(call)
            return
        answer = re.fullmatch(r"answer (\d+)", call.text)
        if answer:
            self.answer(call, int(answer.group(1)))
        elif QUESTION in call.text:
            if self.c.start and self.first((self.c.start["id"], "question"), call) and self.press_at + self.text_at:
                self.out_of_order("the first question", call)
        elif call.text.startswith(KNOWN):
            self.press_text(call, "n")
        elif call.text.startswith(WELCOME) or call.text == GREETING:
            self.press_text(call, "y")
        else:
            self.v["foreign"].breaks("chat %d: %r (call %d)" % (self.chat, call.text, call.seq))

    def wanted(self):
        if self.c.start:
            yield self.c.start, "question"
        for u in self.c.texts:
            yield u, "answer"
        for u in self.c.presses:
            yield u, "buttons"
            yield u, "words"

    def judge(self, calls):
        for call in calls:
            if delivered(call):
                self.take(call)
        for u, part in self.wanted():
            if (u["id"], part) not in self.copies and u["id"] not in self.c.excused:
                self.v["missing"].breaks("chat %d: %s of update %d (%s)" % (self.chat, part, u["id"], u["kind"]))


def delivered(call):
    """It took effect, whatever was answered; or was refused for good, as for buttons that are not there any more."""
    return call.applied or call.status == 400


# ---- why a reply may come twice


class Causes:
    """A second copy is allowed where the first one's worker could not know, or tell, that it had arrived."""

    def __init__(self, faults):
        self.died, self.still = collections.defaultdict(list), collections.defaultdict(list)
        self.touch = []  # of all workers with Redis
        self.lean = merged((f["at"], f["end"]) for f in faults if f["kind"] in MACHINE)
        for f in faults:
            worker, span = f.get("worker", "").rstrip("-"), (f["at"], f["end"])
            if f["kind"] == "kill" and worker:
                self.died[worker].append(f["at"])
            elif f["kind"] == "stop" and worker:
                self.still[worker].append(("worker stopped", *span))
            elif f["kind"] == "starved" and worker != "redis":
                self.still[worker].append((MACHINE["starved"], *span))
            elif f["kind"].startswith("redis-") or f["kind"] in MACHINE:
                self.touch.append((MACHINE.get(f["kind"], f["kind"]), *span))

    def of(self, before, again):
        """The name of the cause and when it had passed, or None."""
        done = before.at + before.took
        if before.status in (0, 500):
            return "no answer", done
        if before.took >= TIMEOUT_MS:
            return "answer too late", done
        for at in self.died[before.worker]:  # of a dead one the platform may read what still waits in its socket
            if at <= min(done + SETTLE_MS, again.at):
                return "worker killed", at
        for what, at, end in self.still[before.worker]:
            if before.at <= end and at <= done + SETTLE_MS:
                return what, end
        for what, at, end in self.still[again.worker]:  # it had been about to send, and another one took over
            if at <= before.at and again.at <= end + SETTLE_MS:
                return what + " before it sent", end
        for kind, at, end in self.touch:
            if before.at <= end + TAKEOVER_MS and at <= done + SETTLE_MS:
                return kind, end
        return None


def merged(spans):
    """The same times without overlaps, rising."""
    out = []
    for at, end in sorted(spans):
        if out and at <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((at, end))
    return out


def outside(spans, at, end):
    """How much of a time lies outside of those."""
    return end - at - sum(max(0, min(end, e) - max(at, a)) for a, e in spans)


def judge_copies(chat, replies, causes, v, tally):
    for (update, part), copies in replies.copies.items():
        copies = sorted(copies, key=lambda call: call.at)  # a slow call takes effect later than it came
        for before, again in zip(copies, copies[1:]):
            cause = causes.of(before, again)
            if not cause:
                v["cause"].breaks("chat %d: %s of update %d by %s at %d and by %s %d ms later (calls %d, %d)" % (
                    chat, part, update, before.worker, before.at, again.worker, again.at - before.at, before.seq,
                    again.seq))
            elif again.at - cause[1] > AFTER_MS and outside(causes.lean, cause[1], again.at) > AFTER_MS:
                v["cause"].breaks("chat %d: %s of update %d again %d ms after %s" % (
                    chat, part, update, again.at - cause[1], cause[0]))
            tally[cause[0] if cause else "NO CAUSE"] += 1


# ---- how long chats stood still


def quantile(values, q):
    return sorted(values)[min(int(len(values) * q), len(values) - 1)]


def next_call(flow, after, worker):
    """The first call in a chat after a moment that another worker made, with when its update was accepted."""
    for call, accepted in flow:
        if call.at > after and call.worker != worker:
            return call, accepted
    return None, None


def standstills(data, flows, kind):
    """ms, of the chats that a worker had in hand when it was killed or told to stop: until another one goes on. From
    the death; or from the end of what it still did in the chat before it left. Two lists: those to judge, and those
    while the machine was short of processors."""
    fair, short = [], []
    lean = [f for f in data["faults"] if f["kind"] in MACHINE]
    for f in data["faults"]:
        if f["kind"] != kind or not f.get("lanes") or "failed" in f:
            continue
        worker = f["worker"].rstrip("-")
        for chat in f["lanes"]:
            flow, since = flows.get(chat, []), f["at"]
            if kind == "term":
                since = max([since] + [c.at + c.took for c, _ in flow if c.worker == worker and c.at <= f["end"]])
            call, accepted = next_call(flow, since, worker)
            if call and accepted <= since:
                bad = any(m["at"] <= call.at and m["end"] >= f["at"] for m in lean)
                (short if bad else fair).append(call.at - since)
    return fair, short


def judge_standstills(data, flows, v):
    for kind, title, limit, q in (("kill", "kill -9", 5000, 0.99), ("term", "SIGTERM", 200, 0.99)):
        fair, short = standstills(data, flows, kind)
        asked = data["run"]["calm"] and kind in data["run"]["kinds"]
        if not asked:
            v.unasked.add("still_" + kind)
        elif not fair:
            v["still_" + kind].breaks("no chat was seen to stand still")
        for gaps, when in ((fair, ""), (short, " while this machine was short of processors")):
            if gaps:
                v.say("after %s %d chats stood still%s: p50 %d ms, p99 %d ms, longest %d ms" % (
                    title, len(gaps), when, quantile(gaps, 0.5), quantile(gaps, 0.99), max(gaps)))
        if asked and fair and quantile(fair, q) >= limit:
            v["still_" + kind].breaks("%d ms of %d chats" % (quantile(fair, q), len(fair)))


# ---- the queue


def judge_queue(data, v):
    q, run = data["queue"], data["run"]
    excused = {KEY % number for number in provoked(data)}
    for letter in q["dead"]:
        if letter.get("key") not in excused:
            v["dead"].breaks("%s: %s" % (letter.get("lane"), letter.get("error")))
    if excused:
        v.say("dead letters: %d whose workers died three times" % len(excused))
    most = {"updates": 0, "wake": RINGS, "seen": None, "seen_old": None, "conf": None,  # None: any number
            "dead": len(q["dead"])}
    for key, k in q["keys"].items():
        queue = re.fullmatch(r"shoal:\{\d+\}:(.*)", key)
        if queue:
            limit = most.get(queue.group(1), 0)
            if limit is not None and k["size"] > limit:
                v["residue"].breaks("%s: %s of %d" % (key, k["type"], k["size"]))
        elif k["life"] < 0 and not OWN.match(key):
            v["residue"].breaks("%s stays for ever" % key)
    for group in q["groups"]:
        if group["pending"]:
            v["residue"].breaks("%d pending of %s" % (group["pending"], group["name"]))
    for value in run["metric_imbalance"]:
        if value != 0:
            v["books"].breaks("shoal_queue_imbalance is %s" % value)
    if run["watched"]["imbalance"] or run["watched"]["looks"] <= run["watched"]["blind"]:
        v["books"].breaks("%(imbalance)d of %(looks)d looks, and %(blind)d that saw too much to count" % run["watched"])


def judge_ends(data, v):
    for f in data["faults"]:
        if f.get("code", 0) != 0:
            v["exit"].breaks("%s %s ended with %s" % (f["kind"], f.get("worker", f.get("gateway")), f["code"]))
    sender = data["run"]["sender"]
    if sender["wrong_answers"] or sender["answers"] != sum(u["kind"] == "press" for u in data["sent"]):
        v["instant"].breaks("%(answers)d right, %(wrong_answers)d wrong ones" % sender)


def judge_replies(data, chats, v):
    causes, tally, flows = Causes(data["faults"]), collections.Counter(), {}
    for chat in data["calls"].keys() - chats.keys():
        v["foreign"].breaks("chat %d was written to" % chat)
    delivered_calls = 0
    for chat, c in chats.items():
        replies = Replies(chat, c, data["run"]["replies"], v)
        replies.judge(data["calls"].get(chat, []))
        judge_copies(chat, replies, causes, v, tally)
        at = {u["id"]: u["at"] for u in [c.start, *c.texts, *c.presses] if u}
        flows[chat] = sorted(((call, at[update]) for (update, _), copies in replies.copies.items() for call in copies),
                             key=lambda pair: pair[0].at)
        delivered_calls += len(flows[chat])
    v.say("replies: %d delivered, %d of them a second time%s" % (delivered_calls, sum(tally.values()), "".join(
        "; %s: %d" % pair for pair in tally.most_common())))
    judge_standstills(data, flows, v)


def judge(data):
    v = Verdict()
    chats = chats_of(data)
    kinds = collections.Counter(f["kind"] for f in data["faults"] if "failed" not in f and f["kind"] not in MACHINE)
    slow = sum(f["end"] - f["at"] for f in data["faults"] if f["kind"] in MACHINE)
    again = sum(u["posts"] - 1 for u in data["sent"])
    v.say("faults: %d (%s)" % (sum(kinds.values()), ", ".join("%s %d" % k for k in sorted(kinds.items()))))
    if slow:
        v.say("this machine was short of processors: its programs waited for one more than they ran for %d s in all" % (
            slow / 1000))
    sent = collections.Counter(u["kind"] for u in data["sent"])
    v.say("updates: %d accepted in %d chats (%s), posted again %d times" % (
        len(data["sent"]), len(chats), ", ".join("%s %d" % k for k in sorted(sent.items())), again))
    v.say("queue: %d long at most, empty %s s after the last update" % (
        data["run"]["watched"]["longest"], data["run"]["emptied_s"]))
    judge_sent(data, v)
    judge_messages(data, chats, v)
    judge_people(data, chats, v)
    judge_limits(data, chats, v)
    judge_guards(data, chats, v)
    judge_replies(data, chats, v)
    judge_queue(data, v)
    judge_ends(data, v)
    return v


def main():
    if len(sys.argv) != 2:
        sys.exit("check.py FOLDER")
    bad = 0
    for name, good, why in judge(load(sys.argv[1])).lines():
        if not good:
            print("# " + why)
        print(("ok " if good else "not ok ") + name)
        bad += not good
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
