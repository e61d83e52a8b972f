"""What a worker and the gateway need goes away, in many ways, while people go on writing. Judged from outside: what the
gateway accepted is in the end stored once and in order, no attempt is used up (SHOAL_MAX_ATTEMPTS=1: one would make a
dead letter), what it did not accept was refused with 503 and Retry-After, /readyz and the metrics say what is away, and
nobody burns CPU or gathers memory or descriptors meanwhile.
  OUTAGES=all     every outage, held longer (make outages); else a sample for every test run
  OUTAGES=a,b     only these"""
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, descriptors, finish, free_port, http, own_kib, wait_for  # noqa: E402
from pgbouncer import pooled  # noqa: E402
from proxy import Proxy  # noqa: E402
from stack import Stack, TOKEN, binary_from_argv, light  # noqa: E402
from standstill import DISTURBED_S, Standstill  # noqa: E402

WHICH = os.environ.get("OUTAGES", "")
ALL = WHICH == "all"
HOLD = 8 if ALL else 1.5
CHATS, FIRST = 20, 7000000
PACE = 0.02  # s between two messages
TICK = os.sysconf("SC_CLK_TCK")
machine = Standstill()
SHARE = 0.6 if light() else 0.35  # of one CPU; a busy loop takes all of it


class Sender:
    """Writes numbered messages in turn to each chat, by hand to the webhook; repeats what was refused, as Telegram does."""

    def __init__(self, stack):
        self.stack, self.accepted, self.refused, self.odd = stack, [0] * CHATS, 0, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        n = 0
        while not self.stop.is_set():
            chat = n % CHATS
            number = self.accepted[chat] + 1
            user = {"id": FIRST + chat, "is_bot": False, "first_name": "P"}
            update = {"update_id": 2 * 10 ** 9 + n, "message": {
                "message_id": 1000 + number, "date": 1700000000, "text": str(number), "from": user,
                "chat": {"id": FIRST + chat, "type": "private", "first_name": "P"}}}
            while not self.post(update) and not self.stop.is_set():
                time.sleep(0.1)
            else:
                if self.last == 200:
                    self.accepted[chat] = number
            n += 1
            time.sleep(PACE)

    def post(self, update):
        try:
            answer = self.stack.post(update)
        except OSError as e:
            self.last = 0
            self.odd.append(repr(e))
            return False
        self.last = answer.status
        if answer.status == 503 and 1 <= int(answer.headers.get("retry-after", 0)) <= 60:
            self.refused += 1
        elif answer.status != 200:
            self.odd.append((answer.status, answer.headers, answer.body))
        return answer.status == 200

    def end(self):
        self.stop.set()
        self.thread.join()


def used(pid):
    """CPU seconds so far."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class World:
    def __init__(self):
        self.api = None
        self.stack = s = Stack(binary_from_argv(), workers=0, 
                               pg_conf={"max_connections": 40, "synchronous_commit": "on"},
                               SHOAL_MAX_ATTEMPTS=1, SHOAL_LOG_UPDATES=0, SHOAL_PG_CONNECTIONS=2)
        s.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) "
                  "SELECT %s + n, 'P', now() FROM generate_series(0, %s) n", FIRST, CHATS)
        s.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'E', 'Hello', %s)", ["yes"])
        for n in range(CHATS + 1):
            s.control("POST", "users", {"id": FIRST + n, "first_name": "P"})
            s.say(FIRST + n, "0")  # Telegram knows a chat from its first message on
        self.proxy = Proxy(s.sim_port)  # between the workers and the platform
        self.api = "http://127.0.0.1:%d" % self.proxy.port
        s.env["SHOAL_TELEGRAM_API"] = self.api
        s.start_workers(2)
        self.workers = list(s.workers)
        self.sender = Sender(s)

    def programs(self):
        return [self.stack.gateway, *self.workers]

    def readyz(self, program):
        port = self.stack.gateway_metrics if program is self.stack.gateway else self.stack.ports[program]
        return http("GET", "http://127.0.0.1:%d/readyz" % port)

    def says(self, program, words):
        answer = self.readyz(program)
        return answer.status == 503 and words in answer.body.decode()

    def metrics(self, program):
        port = self.stack.gateway_metrics if program is self.stack.gateway else self.stack.ports[program]
        lines = http("GET", "http://127.0.0.1:%d/metrics" % port).body.decode().splitlines()
        return [(line.split("{")[0].split(" ")[0], line, float(line.rsplit(" ", 1)[1])) for line in lines
                if not line.startswith("#")]

    def metric(self, program, name, *parts):
        return sum(v for n, line, v in self.metrics(program) if n == name and all(p in line for p in parts))

    def taken(self, worker):
        """Updates that have been through its hands, or are in them."""
        return sum(v for n, _, v in self.metrics(worker) if n in ("shoal_updates_total", "shoal_inflight"))

    def done(self):
        return self.stack.pg.rows("SELECT count(*) FROM messages WHERE direction = 'in'")[0][0]

    def goes_on(self):
        """Everyone is ready, and all that was accepted up to now gets done."""
        wanted = CHATS + 1 + sum(self.sender.accepted)
        return wait_for(lambda: all(self.readyz(p).status == 200 for p in self.programs()), every=0.1) and \
            wait_for(lambda: self.done() >= wanted, every=0.1)


def outage(w, name, begin, end, says=(), cut_off=(), refused=None, hold=HOLD):
    """begin() ... end(). says: {program: words of its /readyz}; cut_off: {program: peer} in the metrics; refused:
    whether the sender is to be refused meanwhile."""
    before, since = w.sender.refused, time.time()
    begin()
    for program, words in dict(says).items():
        check("%s: /readyz of %s says \"%s\"" % (name, os.path.basename(program.log), words),
              wait_for(lambda: w.says(program, words), every=0.05), w.readyz(program))
    for program, peer in dict(cut_off).items():
        check("%s: the metrics of %s name %s" % (name, os.path.basename(program.log), peer),
              wait_for(lambda: w.metric(program, "shoal_cut_off", 'peer="%s"' % peer) == 1, every=0.1))
    taken = {p: w.taken(p) for p in dict(says) if p in w.workers}
    cpu, at = {p: used(p.pid) for p in w.programs()}, time.monotonic()
    time.sleep(hold)
    passed = time.monotonic() - at
    shares = {os.path.basename(p.log): round((used(p.pid) - cpu[p]) / passed, 3) for p in w.programs()}
    more = {os.path.basename(p.log): w.taken(p) - n for p, n in taken.items()}
    if refused:
        wait_for(lambda: w.sender.refused > before)
    end()
    if taken:
        # a pooler answers for the server: who is behind it finds out by its failures
        check("%s: who is cut off takes nothing" % name, sum(more.values()) <= (64 if pooled() else 0), more)
    check("%s: nobody burns CPU" % name, max(shares.values()) < SHARE, shares)
    if refused is not None:
        excused = not refused and machine.lost(since, time.time()) >= DISTURBED_S
        check("%s: the sender %s 503 with Retry-After" % (name, "got" if refused else "got no"),
              (w.sender.refused > before) == refused or excused, w.sender.refused - before)
    began = time.monotonic()
    check("%s: all go on by themselves" % name, w.goes_on(), [w.readyz(p).body for p in w.programs()])
    print("# %s: held %.1f s, back after %.1f s, CPU %s" % (name, passed, time.monotonic() - began, shares))


# ---- the outages: each is given the world


def both(w, words):
    return {p: words for p in w.workers}


def postgres_restarts(w):
    def back():
        w.stack.pg = w.stack.pg.again()
    outage(w, "Postgres stopped", lambda: w.stack.pg.stop(), back, both(w, "connection"),
           both(w, "postgres"), refused=False)


def postgres_dies(w):
    def back():
        w.stack.pg = w.stack.pg.again()
    outage(w, "Postgres shut down at once", lambda: w.stack.pg.stop(signal.SIGQUIT), back, both(w, "connection"),
           both(w, "postgres"), refused=False)


def postgres_paused(w):
    """Longer than the client waits: its connections are dropped and made anew."""
    backends = []

    def pause():
        backends.extend(r[0] for r in w.stack.pg.rows("SELECT pid FROM pg_stat_activity WHERE application_name "
                                                      "LIKE 'shoal-worker%%'"))
        w.stack.pg.send(signal.SIGSTOP)
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)

    def go_on():
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
        w.stack.pg.send(signal.SIGCONT)
    outage(w, "Postgres paused", pause, go_on, both(w, "no answer in time"), both(w, "postgres"), refused=False)


def setting(w, name, value):
    w.stack.pg.rows("ALTER SYSTEM SET %s = %s" % (name, value))
    w.stack.pg.rows("SELECT pg_reload_conf()")


def postgres_read_only(w):
    outage(w, "Postgres read-only", lambda: setting(w, "default_transaction_read_only", "on"),
           lambda: setting(w, "default_transaction_read_only", "off"),
           both(w, "read-only"), both(w, "postgres"), refused=False)


def postgres_out_of_connections(w):
    held = []

    def begin():
        import psycopg2
        w.stack.pg.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name "
                        "LIKE 'shoal-worker%%'")
        try:
            while True:
                held.append(w.stack.pg.connect())
        except psycopg2.OperationalError:
            pass
        for db in held[:1]:  # those that came back in between
            with db.cursor() as cur:
                cur.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name "
                            "LIKE 'shoal-worker%%'")

        def fill():
            while not stop.is_set():
                try:
                    held.append(w.stack.pg.connect())
                except psycopg2.OperationalError:
                    time.sleep(0.01)
        stop.clear()
        threading.Thread(target=fill, daemon=True).start()
    stop = threading.Event()

    def end():
        stop.set()
        time.sleep(0.1)
        for db in held:
            db.close()
    outage(w, "Postgres out of connections", begin, end, both(w, "clients"), both(w, "postgres"), refused=False)


def postgres_disk_full(w):
    def begin():
        w.stack.pg.rows("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING "
                        "ERRCODE = '53100', MESSAGE = 'could not extend file: No space left on device'; END $$")
        w.stack.pg.rows("CREATE TRIGGER full_disk BEFORE INSERT ON guards FOR EACH ROW EXECUTE FUNCTION full_disk()")
    outage(w, "Postgres's disk full", begin, lambda: w.stack.pg.rows("DROP FUNCTION full_disk CASCADE"),
           both(w, "No space left on device"), both(w, "postgres"), refused=False)


def postgres_without_schema(w):
    outage(w, "Postgres without its tables", lambda: w.stack.pg.rows("ALTER TABLE guards RENAME TO hidden"),
           lambda: w.stack.pg.rows("ALTER TABLE hidden RENAME TO guards"), both(w, "does not exist"),
           both(w, "postgres"), refused=False)


def redis_restarts(w):
    def back():
        w.stack.redis = w.stack.redis.again()
    outage(w, "Redis stopped", lambda: w.stack.redis.stop(), back, {w.stack.gateway: "no connection", **both(w, "Redis cannot be reached")},
           {w.stack.gateway: "queue", **both(w, "cache")}, refused=True)


def redis_paused(w):
    outage(w, "Redis paused", lambda: w.stack.redis.send(signal.SIGSTOP), lambda: w.stack.redis.send(signal.SIGCONT),
           {w.stack.gateway: "no connection", **both(w, '"queue":"shard 0: ')}, {w.stack.gateway: "queue", **both(w, "queue")},
           refused=True)


def redis_full(w):
    """Workers go on and empty the queue; only the gateway takes nothing."""
    w.proxy.cut()  # so that something is left to be done while Redis is full
    wait_for(lambda: w.says(w.workers[0], "telegram"))
    gone = FIRST + CHATS  # one who has blocked the bot: a note of that goes through the queue
    w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "403", "chat_id": gone, "count": 1})
    w.stack.say(gone, "anyone there?")
    wait_for(lambda: w.stack.queue()["length"] > CHATS)
    waiting = w.stack.queue()["length"]
    w.stack.redis.client().config_set("maxmemory", 1000000)
    w.proxy.mend()
    r = w.stack.redis.client()

    def end():
        check("Redis full: a chat that has gone is noted", wait_for(lambda: w.stack.pg.rows(
            "SELECT 1 FROM bot_users b JOIN users u ON u.id = b.user_id WHERE u.telegram_id = %s AND b.blocked_at "
            "IS NOT NULL", gone)))
        w.stack.control("DELETE", "faults")
        check("Redis full: workers went on settling", waiting > 0 and r.xlen("shoal:{0}:updates") == 0,
              (waiting, w.stack.queue()))
        answer = w.stack.post({"update_id": 1})
        check("Redis full: the answer says so", answer.status == 503 and b"full" in answer.body, answer)
        r.config_set("maxmemory", 0)
    outage(w, "Redis full", lambda: wait_for(lambda: r.xlen("shoal:{0}:updates") == 0), end,
           {w.stack.gateway: "full"}, {w.stack.gateway: "queue"}, refused=True)


def redis_read_only(w):
    r = w.stack.redis.client()
    outage(w, "Redis read-only", lambda: r.execute_command("REPLICAOF", "127.0.0.1", free_port()),
           lambda: r.execute_command("REPLICAOF", "NO", "ONE"), {w.stack.gateway: "shard 0", **both(w, "Redis")},
           {w.stack.gateway: "queue", **both(w, "cache")}, refused=True)


def redis_loading(w):
    """Busy with a script, as good as loading: it answers everything with an error until it is done."""
    r = w.stack.redis.client(socket_timeout=60)

    def begin():
        r.config_set("busy-reply-threshold", 100)
        threading.Thread(target=spin, daemon=True).start()

    def spin():
        try:
            r.eval("while true do end", 0)
        except Exception:  # killed
            pass
    outage(w, "Redis hangs in a script", begin, lambda: w.stack.redis.client().script_kill(),
           {w.stack.gateway: "no connection", **both(w, "Redis")}, {w.stack.gateway: "queue"}, refused=True)


def redis_cannot_save(w):
    """Its last snapshot failed, so it refuses writes (MISCONF), as it does with a full disk."""
    r, place = w.stack.redis.client(), os.path.join(w.stack.redis.folder, "dump.rdb")

    def begin():
        os.mkdir(place)
        r.config_set("save", "3600 1")
        r.bgsave()

    def end():
        r.config_set("save", "")
        os.rmdir(place)
    outage(w, "Redis cannot save", begin, end, {w.stack.gateway: "no connection", **both(w, "Redis")},
           {w.stack.gateway: "queue", **both(w, "cache")}, refused=True)


def redis_wants_password(w):
    r = w.stack.redis.client()
    r.ping()

    def begin():
        r.config_set("requirepass", "changed")
        r.client_kill_filter(_type="normal", skipme=True)
    outage(w, "Redis wants another password", begin, lambda: r.config_set("requirepass", ""),
           {w.stack.gateway: "no connection", **both(w, "Redis cannot be reached")},
           {w.stack.gateway: "queue", **both(w, "cache")}, refused=True)


def redis_gives_no_rights(w):
    r = w.stack.redis.client()
    outage(w, "Redis gives no rights", lambda: r.execute_command("ACL", "SETUSER", "default", "-@write", "-@scripting"),
           lambda: r.execute_command("ACL", "SETUSER", "default", "+@all"),
           {w.stack.gateway: "denied", **both(w, "access denied")}, {w.stack.gateway: "queue", **both(w, "queue")},
           refused=True)


def postgres_locked(w):
    """An operator's lock on a table that every commit needs: the server gives up on each after 10 s."""
    held = []

    def begin():
        held.append(w.stack.pg.connect())
        with held[0].cursor() as cur:
            cur.execute("LOCK TABLE guards IN ACCESS EXCLUSIVE MODE")
    outage(w, "Postgres locked", begin, lambda: held[0].close(), refused=False, hold=HOLD + 12)


def fault(kind, name, function):
    def run(w):
        outage(w, name, lambda: w.stack.control("POST", "faults", {"method": "*", "kind": kind}),
               lambda: w.stack.control("DELETE", "faults"), both(w, "telegram cannot be reached"),
               both(w, "telegram"), refused=False)
    run.__name__ = function
    return run


platform_fails = fault("500", "Platform answers 500", "platform_fails")
platform_resets = fault("reset", "Platform resets connections", "platform_resets")


def platform_unreachable(w):
    outage(w, "Platform unreachable", w.proxy.cut, w.proxy.mend, both(w, "telegram cannot be reached"),
           both(w, "telegram"), refused=False)


def platform_hangs(w):
    """Taken are at most SHOAL_INFLIGHT, until the first calls time out."""
    w.stack.control("POST", "faults", {"method": "*", "kind": "hang"})
    for p in w.workers:
        check("Platform hangs: a worker notices", wait_for(lambda: w.says(p, "telegram cannot be reached"), every=0.2))
    outage(w, "Platform hangs", lambda: None, lambda: w.stack.control("DELETE", "faults"),
           both(w, "telegram cannot be reached"), both(w, "telegram"), refused=False)


def platform_slow(w):
    """Slow is no outage: nobody is cut off, and what is in hand stays bounded."""
    w.stack.control("POST", "faults", {"method": "sendMessage", "kind": "delay", "ms": 1500})
    time.sleep(2 * HOLD)
    check("Platform slow: workers stay ready", all(w.readyz(p).status == 200 for p in w.workers))
    w.stack.control("DELETE", "faults")
    check("Platform slow: all go on", w.goes_on())


def cut_off_alone(w):
    """Workers that lack one thing each, some for the want of a name's address, beside two that lack nothing."""
    pg = Proxy(w.stack.pg.port)
    api = Proxy(w.stack.sim_port)
    queue = Proxy(w.stack.redis.port)
    url = w.stack.pg.url.replace(":%d/" % w.stack.pg.port, ":%d/" % pg.port)
    cut = {w.stack.add_worker(SHOAL_POSTGRES_URL=url): "connection",
           w.stack.add_worker(SHOAL_TELEGRAM_API="http://127.0.0.1:%d" % api.port): "telegram cannot be reached",
           w.stack.add_worker(SHOAL_REDIS_URL="redis://127.0.0.1:%d/0" % queue.port,
                              SHOAL_CACHE_REDIS_URL=w.stack.redis.url): '"queue":"shard 0: redis: ',
           w.stack.add_worker(SHOAL_TELEGRAM_API="http://nowhere.invalid"): "telegram cannot be reached: not reachable",
           w.stack.add_worker(SHOAL_POSTGRES_URL="postgresql://nowhere.invalid/shoal"): "has no address",
           w.stack.add_worker(SHOAL_CACHE_REDIS_URL="redis://nowhere.invalid:6379"): "the caches' Redis cannot be reached",
           w.stack.add_worker(SHOAL_PERSONA_TOKEN=TOKEN[::-1]): "the token of the bot"}
    reached = list(cut)[:3]
    for p in reached:
        w.stack.expect("worker", lambda: w.stack.ready(p))
    for proxy in (pg, api, queue):
        proxy.cut()
    for p, words in cut.items():
        check("Cut off alone: /readyz says \"%s\"" % words, wait_for(lambda: w.says(p, words), every=0.05),
              w.readyz(p))
    time.sleep(0.5)
    taken, others = {p: w.taken(p) for p in cut}, sum(w.taken(p) for p in w.workers)
    cpu, at = {p: used(p.pid) for p in cut}, time.monotonic()
    time.sleep(HOLD)
    more = {words: w.taken(p) - taken[p] for p, words in cut.items()}
    shares = {words: round((used(p.pid) - cpu[p]) / (time.monotonic() - at), 3) for p, words in cut.items()}
    check("Cut off alone: they take nothing", not any(more.values()), more)
    check("Cut off alone: the others go on", wait_for(lambda: sum(w.taken(p) for p in w.workers) > others + 5))
    check("Cut off alone: they burn no CPU", max(shares.values()) < SHARE, shares)
    for proxy in (pg, api, queue):
        proxy.mend()
    for p in reached:
        check("Cut off alone: ready again (%s)" % cut[p], wait_for(lambda: w.stack.ready(p), every=0.1))
    for p in cut:
        p.stop()
    check("Cut off alone: nothing was lost by it", w.goes_on())


SAMPLE = [postgres_restarts, postgres_read_only, postgres_disk_full, redis_full, redis_restarts, redis_read_only,
          platform_fails, cut_off_alone]
REST = [postgres_dies, postgres_out_of_connections, postgres_without_schema, postgres_paused, postgres_locked,
        redis_paused, redis_loading, redis_cannot_save, redis_wants_password, redis_gives_no_rights, platform_unreachable, platform_resets, platform_slow, platform_hangs]


def judge(w):
    w.sender.end()
    check("the queue empties", w.stack.settled(), w.stack.queue())
    rows = dict(w.stack.pg.rows("SELECT u.telegram_id, array_agg(m.text ORDER BY m.id) FROM messages m JOIN chats c "
                                "ON c.id = m.chat_id JOIN users u ON u.id = c.user_id WHERE m.direction = 'in' GROUP BY 1"))
    wanted = {FIRST + n: [str(i) for i in range(k + 1)] for n, k in enumerate(w.sender.accepted)}
    wrong = [(chat, texts, rows.get(chat)) for chat, texts in wanted.items() if rows.get(chat) != texts]
    print("# %d accepted, %d times refused" % (sum(w.sender.accepted), w.sender.refused))
    check("what was accepted is stored once, in order", not wrong, wrong[:2])
    def unanswered():
        answered = dict.fromkeys(range(FIRST, FIRST + CHATS + 1), 0)
        for call in w.stack.calls():
            if call["method"].lower() == "sendmessage" and call["ok"]:
                answered[int(call["parameters"]["chat_id"])] += 1
        return [(chat, len(texts), answered[chat]) for chat, texts in wanted.items() if answered[chat] < len(texts)]
    check("every message is answered", wait_for(lambda: not unanswered(), every=0.2), unanswered())
    check("no attempt was used up: no dead letters", w.stack.queue()["dead"] == 0,
          w.stack.redis.client().xrange("shoal:{0}:dead", count=2))
    check("the gateway answered nothing but 200 and 503 with Retry-After", not w.sender.odd, w.sender.odd[:3])


def main():
    w = World()
    chosen = SAMPLE + REST if ALL else [f for f in SAMPLE + REST if f.__name__ in WHICH.split(",")] or SAMPLE
    check("all go on at the beginning", w.goes_on())
    time.sleep(1)
    memory, files = ({p: f(p.pid) for p in w.programs()} for f in (own_kib, descriptors))
    for run in chosen:
        run(w)
    time.sleep(1)
    grown = {os.path.basename(p.log): own_kib(p.pid) - memory[p] for p in w.programs()}
    opened = {os.path.basename(p.log): descriptors(p.pid) - files[p] for p in w.programs()}
    print("# memory grew by %s KiB, descriptors by %s" % (grown, opened))
    if not light():  # freed memory stays in the sanitizer's quarantine
        check("memory stays flat", max(grown.values()) < 8192, grown)
    # connections to the platform are kept, at most one for each chat that was answered at the same time
    check("descriptors stay flat", max(opened.values()) < CHATS + 20, opened)
    judge(w)
    finish()


main()
