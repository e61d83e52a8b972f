"""Many chats write numbered messages at once; workers are killed meanwhile. Every message is stored once, in order, and
the answers come in order. The judge reads Postgres and the simulator's record only."""
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402
from standstill import Standstill  # noqa: E402

CHATS = int(os.environ.get("CHATS", 200 if light() else 2000))
EACH = int(os.environ.get("EACH", 20))
FIRST = 1000000
TAKEN_FOR_DEAD = 1  # s; where the machine stands still for longer, living workers may be taken for dead too
machine = Standstill()


def prepare(stack):
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) "
                  "SELECT %s + n, 'Person ' || n, now() FROM generate_series(0, %s) n", FIRST, CHATS - 1)
    stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', 'Hello', %s)",
                  ["answer %d" % n for n in range(EACH)])
    for n in range(0, CHATS, 500):
        for user in range(FIRST + n, FIRST + min(n + 500, CHATS)):
            stack.control("POST", "users", {"id": user, "first_name": "Person %d" % user})


def write_all(stack):
    """Every chat's messages in turn: the simulator delivers them as fast as the gateway takes them."""
    for number in range(1, EACH + 1):
        stack.control("POST", "messages", {"bot": "persona", "updates": [
            {"user_id": FIRST + n, "text": str(number)} for n in range(CHATS)]})


def stored(stack):
    return stack.pg.rows("SELECT count(*) FROM messages WHERE direction = 'in'")[0][0]


def unexplained(pairs, kills):
    """Of answers that came twice, those that no death explains, each with the deaths of its first worker: that one was
    killed at most 30 s after the first and before the second, and a death explains one answer a chat. The first may
    well bear a later time than the death: that is when the simulator read it, and what a process wrote before it
    died waits in the socket. No other process has its name. kills: (when, worker)"""
    used, odd = set(), []
    for first, second in pairs:
        sent, again = first["time"] / 1000, second["time"] / 1000
        deaths = [(at, worker) for at, worker in kills if first.get("worker", "").startswith(worker + "-")]
        free = [(at, worker, first["chat_id"]) for at, worker in deaths
                if sent >= at - 30 and again >= at and (at, worker, first["chat_id"]) not in used]
        used.update(free[:1])
        if not free and machine.lost(sent - TAKEN_FOR_DEAD, again) < TAKEN_FOR_DEAD:
            odd.append((first, second, deaths))
    return odd


def judge(name, stack, kills):
    rows = stack.pg.rows("SELECT u.telegram_id, array_agg(m.text ORDER BY m.id) FROM messages m JOIN chats c ON c.id = m.chat_id "
                         "JOIN users u ON u.id = c.user_id WHERE m.direction = 'in' GROUP BY 1")
    wanted = [str(n) for n in range(1, EACH + 1)]
    wrong = [(user, texts) for user, texts in rows if texts != wanted]
    check(name + ": every message once, in sending order, in each of %d chats" % CHATS,
          len(rows) == CHATS and not wrong, "%d chats, wrong: %s" % (len(rows), wrong[:3]))
    answers = {}
    for call in stack.calls():
        if call["method"].lower() == "sendmessage" and call["ok"]:
            answers.setdefault(int(call["parameters"]["chat_id"]), []).append(call)
    twice, bad = [], []
    for user in range(FIRST, FIRST + CHATS):
        got, last = [], None
        for call in answers.get(user, []):
            if last and call["parameters"]["text"] == last["parameters"]["text"]:
                twice.append((last, call))
            else:
                got.append(call["parameters"]["text"])
            last = call
        if got != ["answer %d" % n for n in range(EACH)]:
            bad.append((user, got))
    check(name + ": the answers come in order in each chat", not bad, bad[:3])
    odd = unexplained(twice, kills)
    print("# %s: %d answers came twice" % (name, len(twice)))
    check(name + ": an answer comes twice only where its worker died with it in flight", not odd, (len(odd), odd[:2]))
    q = stack.queue()
    check(name + ": nothing is left in the queue", all(q[k] == 0 for k in q),
          (q, stack.redis.client().xrange("shoal:{0}:dead", count=2)))


TAKEOVER = 2.5  # s; no chat of a dead worker can go on sooner: its deadline is 3 s, renewed every 0.5 s


def standstills(stack, kills):
    """How long each chat that a kill brought to a stand stood still, from the kill to its next answer: s, rising. Of
    several kills inside one gap the last that can have been the cause counts: a chat may be hit twice. And how
    many are left out because the machine stood still."""
    seen = {}
    for call in stack.calls():
        if call["method"].lower() == "sendmessage" and call["ok"]:
            seen.setdefault(call["chat_id"], []).append(call["time"] / 1000)
    gaps, left_out = [], 0
    for times in seen.values():
        for a, b in zip(times, times[1:]):
            causes = [k for k in kills if a <= k <= b - TAKEOVER]
            if causes and machine.lost(causes[-1], b) >= TAKEN_FOR_DEAD:
                left_out += 1
            elif causes:
                gaps.append(machine.took(causes[-1], b))
    return sorted(gaps), left_out


def on_its_last_chance(stack, worker):
    """Whether it holds an update that was taken over twice: a third time would make it a dead letter."""
    r = stack.redis.client(decode_responses=True)
    held = [place.split(" ")[:2] for place in r.hvals("shoal:{0}:lanes")]
    tries = r.hgetall("shoal:{0}:tries")
    return any(name.startswith(worker + "-") and int(tries.get(entry, "0 0 0").split(" ")[1]) >= 2
               for name, entry in held)


def run(name, kill_every):
    stack = Stack(binary_from_argv(), workers=0, SHOAL_LOG_UPDATES=0)
    prepare(stack)
    stack.start_workers(3)
    kills, stop = [], threading.Event()

    def killer():
        rng, wait = random.Random(7), min(2, kill_every)
        while not stop.wait(wait):
            wait = kill_every
            victim = rng.choice([w for w in stack.workers if w.running()])
            worker = "w" + victim.log.rsplit("-", 1)[1].split(".")[0]  # as Stack names them
            at = time.time()
            victim.send(signal.SIGSTOP)
            if on_its_last_chance(stack, worker):
                victim.send(signal.SIGCONT)
                continue
            victim.kill()
            kills.append((at, worker))
            stack.add_worker()

    began = time.time()
    writer = threading.Thread(target=write_all, args=(stack,))
    writer.start()
    if kill_every:
        threading.Thread(target=killer, daemon=True).start()
    writer.join()
    wait_for(lambda: stored(stack) >= CHATS * EACH, 300, 0.2)
    stop.set()
    check(name + ": the queue empties", stack.settled(), stack.queue())
    print("# %s: %d messages in %.1f s, %d kills" % (name, CHATS * EACH, time.time() - began, len(kills)))
    judge(name, stack, kills)
    if kill_every:
        check(name + ": workers were killed", len(kills) >= (3 if kill_every == 1 and not light() else 1), len(kills))
        gaps, left_out = standstills(stack, [at for at, _ in kills])
        if kill_every == 1 and not light():  # where few are killed they may have died with nothing in hand
            check(name + ": chats of a killed worker stood still", gaps or left_out)
        if gaps:
            p99 = gaps[int(len(gaps) * 0.99)]
            print("# %d chats stood still after a kill: p50 %.2f s, p99 %.2f s, longest %.2f s"
                  % (len(gaps), gaps[len(gaps) // 2], p99, gaps[-1]))
            check(name + ": a killed worker's chats go on within 5 s (p99)", p99 < 5, p99)
    else:
        limit = stack.total("shoal_sql_per_update_bucket", 'le="2"')
        check(name + ": at most two statements an update", limit == stack.total("shoal_sql_per_update_count") > 0, limit)
    stack.stop_workers()


run("three workers", 0)
run("kill -9 every second", 1)
if not light():  # each chat is hit once at most: the time to go on, undisturbed
    run("kill -9 every seven seconds", 7)
finish()
