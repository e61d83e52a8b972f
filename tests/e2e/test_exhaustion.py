"""What a machine runs out of: room on the disk of Postgres or of Redis' log, file descriptors, memory of Redis and of a
worker. What was accepted is done once and in order, the rest is refused with 503, and all go on by themselves when there is
room again. The disks are small ones of this test's own, in a mount namespace of its own; where that is not allowed, their
cases are left out, and said to be."""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, free_port, http, programs_ended, start_redis, temp_dir, wait_for  # noqa: E402
from stack import Stack, binary_from_argv, light  # noqa: E402

FIRST, CHATS = 4000000, 6
TICK = os.sysconf("SC_CLK_TCK")
OWN_MOUNTS = "SHOAL_TEST_MOUNTS"


def with_own_mounts():
    """This program anew where it may mount, if that can be."""
    if OWN_MOUNTS in os.environ:
        return os.environ[OWN_MOUNTS] == "1"
    may = subprocess.run(["unshare", "-m", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"],
                         capture_output=True, check=False)
    os.environ[OWN_MOUNTS] = "1" if may.returncode == 0 else "0"
    if may.returncode == 0:
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
    print("# left out: full disks, as nothing can be mounted here: " + may.stderr.decode().strip())
    return False


def small_disk(mib):
    folder = os.path.join(temp_dir(), "disk")
    os.mkdir(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0777" % mib, "none", folder], check=True)
    programs_ended.append(lambda: subprocess.run(["umount", folder], check=True))
    return folder


def fill(folder):
    """To the last byte; the file that holds the room."""
    path = os.path.join(folder, "ballast")
    with open(path, "wb", buffering=0) as f:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass
    return path


def used(pid):
    """CPU seconds so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def share(process, seconds):
    """Of one processor."""
    before, at = used(process.pid), time.monotonic()
    time.sleep(seconds)
    return (used(process.pid) - before) / (time.monotonic() - at)


class World:
    def __init__(self, **more):
        self.stack = s = Stack(binary_from_argv(), workers=0, webhook=False, SHOAL_MAX_ATTEMPTS=1, SHOAL_LOG_UPDATES=0,
                               SHOAL_PG_CONNECTIONS=2, **more)
        self.accepted, self.refused, self.odd, self.number = [0] * CHATS, 0, [], 0
        s.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) "
                  "SELECT %s + n, 'P', now() FROM generate_series(0, %s) n", FIRST, CHATS - 1)
        s.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'E', 'Hello', '{yes}')")
        for n in range(CHATS):  # the simulator answers for chats that it knows
            s.control("POST", "users", {"id": FIRST + n, "first_name": "P"})
            s.say(FIRST + n, "0")

    def write(self, chat, pad=0):
        """One more numbered message of this chat, by hand: whether it was accepted."""
        self.number += 1
        user = {"id": FIRST + chat, "is_bot": False, "first_name": "P"}
        answer = self.stack.post({"update_id": 10 ** 9 + self.number, "pad": "x" * pad, "message": {
            "message_id": 1000 + self.number, "date": 1700000000, "text": "%d" % (self.accepted[chat] + 1), "from": user,
            "chat": {"id": FIRST + chat, "type": "private", "first_name": "P"}}})
        if answer.status == 200:
            self.accepted[chat] += 1
        elif answer.status == 503 and 1 <= int(answer.headers.get("retry-after", 0)) <= 60:
            self.refused += 1
        else:
            self.odd.append(answer)
        return answer.status == 200

    def all_write(self):
        return [self.write(chat) for chat in range(CHATS)]

    def rows(self):
        return dict(self.stack.pg.rows(
            "SELECT u.telegram_id - %s, array_agg(m.text ORDER BY m.id) FROM messages m JOIN chats c ON c.id = m.chat_id JOIN "
            "users u ON u.id = c.user_id WHERE m.direction = 'in' AND m.text <> '0' GROUP BY 1", FIRST))

    def wanted(self):
        return {n: ["%d" % (i + 1) for i in range(k)] for n, k in enumerate(self.accepted) if k}

    def done(self):
        return self.rows() == self.wanted() and self.stack.settled(0)

    def judge(self, name):
        check("%s: what was accepted is done, once and in order" % name, wait_for(self.done, every=0.1),
              (self.stack.queue(), self.rows(), self.accepted))
        check("%s: no attempt was used up, nothing but 200 and 503 answered" % name, self.stack.queue()["dead"] == 0 and
              not self.odd, (self.odd[:2], self.stack.redis.client().xrange("shoal:{0}:dead", count=1)))
        calls = [c["chat_id"] - FIRST for c in self.stack.calls() if c["method"] == "sendMessage" and c["ok"]]
        missing = {n: calls.count(n) for n, k in enumerate(self.accepted) if calls.count(n) < k}
        check("%s: and answered" % name, not missing, missing)


def worker_says(w, worker, words):
    def says():
        answer = http("GET", "http://127.0.0.1:%d/readyz" % w.stack.ports[worker])
        return answer.status == 503 and words in answer.body.decode()
    return wait_for(says, every=0.05)


def full_disk_of_postgres(w):
    """Its tables' disk: a tablespace of their own, so that the server itself goes on."""
    disk = small_disk(12)
    space = os.path.join(disk, "space")
    os.mkdir(space)
    os.chmod(space, 0o777)
    if os.geteuid() == 0:
        shutil.chown(space, "postgres")
    w.stack.pg.rows("CREATE TABLESPACE small LOCATION '%s'" % space)
    for table in ("guards", "messages"):
        w.stack.pg.rows("ALTER TABLE %s SET TABLESPACE small" % table)
    worker = w.stack.workers[0]
    w.all_write()
    check("Postgres' disk: before it is full", wait_for(w.done, every=0.1), w.stack.queue())
    # pages that are there hold some more rows: until a table has to grow
    ballast, full = fill(disk), []
    for n in range(400):
        w.write(n % CHATS)
        full = "No space left" in http("GET", "http://127.0.0.1:%d/readyz" % w.stack.ports[worker]).body.decode()
        if full:
            break
    check("Postgres' disk full: /readyz says it in the server's words", full or worker_says(w, worker, "No space left"))
    refused = w.refused
    check("Postgres' disk full: the gateway takes what comes", all(w.all_write()) and w.refused == refused)
    cpu = share(worker, 1.5)
    check("Postgres' disk full: nothing is half done, and it waits", w.stack.queue()["dead"] == 0 and
          w.stack.queue()["length"] >= CHATS and w.rows() != w.wanted(), w.stack.queue())
    check("Postgres' disk full: the worker does not spin", cpu < 0.5, cpu)
    os.unlink(ballast)
    w.judge("Postgres' disk has room again")
    for table in ("guards", "messages"):
        w.stack.pg.rows("ALTER TABLE %s SET TABLESPACE pg_default" % table)
    w.stack.pg.rows("DROP TABLESPACE small")


def full_disk_of_the_log(w):
    """The write-ahead log's: the server goes down by itself (PANIC), and comes back when somebody has made room."""
    disk = small_disk(40)
    log, data = os.path.join(disk, "wal"), os.path.join(w.stack.pg.data, "pg_wal")
    w.stack.pg.stop()
    subprocess.run(["cp", "-a", data, log], check=True)
    subprocess.run(["mv", data, data + ".before"], check=True)
    os.symlink(log, data)
    w.stack.pg = w.stack.pg.again(wal_recycle="off", max_wal_size="1GB", restart_after_crash="off")
    w.all_write()
    check("disk of Postgres' log: before it is full", wait_for(w.done, every=0.1), w.stack.queue())
    ballast = fill(disk)
    try:  # the present segment has room for some megabytes yet
        w.stack.pg.rows("CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 40000)")
        went = False
    except psycopg2.Error:
        went = True
    check("disk of Postgres' log full: the server gives up", went)
    taken = w.all_write()
    check("disk of Postgres' log full: the worker is not ready", wait_for(lambda: not w.stack.ready(w.stack.workers[0])))
    check("disk of Postgres' log full: the gateway takes what comes", all(taken) and
          w.stack.queue()["length"] > 0 and w.stack.queue()["dead"] == 0, w.stack.queue())
    os.unlink(ballast)
    w.stack.pg.stop()
    w.stack.pg = w.stack.pg.again()
    w.judge("disk of Postgres' log has room again")


def full_disk_of_redis(w, disk):
    """With `appendfsync always` a write of the log that fails ends the server; with everysec it refuses writes."""
    r = w.stack.redis.client()
    w.all_write()
    check("Redis' disk: before it is full", wait_for(w.done, every=0.1), w.stack.queue())
    ballast = fill(disk)
    before = w.refused
    wait_for(lambda: not all(w.all_write()), every=0.2)
    check("Redis' disk full: updates are refused with 503", w.refused > before)
    check("Redis' disk full: the gateway is not ready", wait_for(lambda: http(
        "GET", "http://127.0.0.1:%d/readyz" % w.stack.gateway_metrics).status == 503, every=0.05))
    check("Redis' disk full: so does the worker", wait_for(lambda: not w.stack.ready(w.stack.workers[0])))
    cpu = {p.log: share(p, 1) for p in (w.stack.gateway, w.stack.workers[0])}
    check("Redis' disk full: nobody spins", max(cpu.values()) < 0.5, cpu)
    os.unlink(ballast)
    check("Redis' disk has room again: updates are taken", wait_for(lambda: all(w.all_write()), every=0.2))
    w.judge("Redis' disk has room again")
    check("Redis' disk: all are ready", wait_for(lambda: w.stack.ready(w.stack.workers[0]), every=0.1) and r.ping())


def narrow(w, name, verb, descriptors, **env):
    """A program that may open so few files."""
    s = w.stack
    binary, s.binary = s.binary, "sh"
    try:
        return s.start(name, ["-c", 'ulimit -n %d; exec "$0" "$@"' % descriptors, binary, verb], **env)
    finally:
        s.binary = binary


def few_descriptors(w):
    """A worker that may open no further connection goes on with what it has; the admin server answers who gets in."""
    s, port = w.stack, free_port()
    for p in list(s.workers):
        p.stop()
        s.workers.remove(p)
    worker = s.add_worker(SHOAL_PG_CONNECTIONS=4)
    s.expect("worker", lambda: s.ready(worker))
    s.control("POST", "faults", {"method": "sendMessage", "kind": "delay", "ms": 200})
    w.all_write()
    wait_for(w.done, every=0.1)
    files = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    s.pg.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'shoal-worker%%'")
    time.sleep(0.05)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (8, files[1]))
    for _ in range(3):
        w.all_write()
    time.sleep(1)
    cpu = share(worker, 1.5)
    check("a worker without descriptors: does not spin", cpu < 0.5, cpu)
    check("a worker without descriptors: says why", wait_for(lambda: re.search("[Tt]oo many open files", worker.output())),
          worker.output()[-1500:])
    check("a worker without descriptors: nothing dies of it", s.queue()["dead"] == 0, s.queue())
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, files)
    s.control("DELETE", "faults")
    check("a worker with descriptors again: ready by itself", wait_for(lambda: s.ready(worker), every=0.1), worker.output()[-800:])
    w.judge("a worker with descriptors again")

    admin = narrow(w, "admin", "admin", 40, SHOAL_ADMIN_LISTEN="127.0.0.1:%d" % port, SHOAL_ADMIN_TOKEN="exhaustion-token")
    url, bearer = "http://127.0.0.1:%d" % port, {"Authorization": "Bearer exhaustion-token"}
    check("admin with 40 descriptors: is there", wait_for(lambda: http("GET", url + "/api/queue", headers=bearer).status == 200))
    crowd = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(80)]
    check("admin with 40 descriptors: 80 silent ones keep nobody out", wait_for(lambda: http(
        "GET", url + "/api/queue", headers=bearer, timeout=10).status == 200))
    cpu = share(admin, 1)
    check("admin with 40 descriptors: does not spin", cpu < 0.5, cpu)
    check("admin with 40 descriptors: says why", "Too many open files" in admin.output(), admin.output()[-800:])
    for s_ in crowd:
        s_.close()
    admin.stop()


def no_memory(w):
    """A worker that gets no more memory ends at once; another one goes on with what it had, and nothing is done twice."""
    s = w.stack
    doomed = s.workers[0]
    s.control("POST", "faults", {"method": "sendMessage", "kind": "delay", "ms": 1000})
    w.all_write()
    wait_for(lambda: s.metrics(doomed)["shoal_inflight"] > 0)
    with open("/proc/%d/statm" % doomed.pid, encoding="ascii") as f:
        size = int(f.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(doomed.pid, resource.RLIMIT_AS, (size, size))
    for n in range(12):  # large ones
        if not doomed.running():
            break
        w.write(n % CHATS, pad=900000)
    code = doomed.wait()
    check("a worker without memory: ends at once, and says why", code == -signal.SIGABRT and "memory" in doomed.output(),
          (code, doomed.output()[-1900:]))
    s.workers.remove(doomed)
    s.programs.remove(doomed)
    s.control("DELETE", "faults")
    other = s.add_worker()
    s.expect("worker", lambda: s.ready(other))
    w.judge("a worker without memory: the next one")


def main():
    mounts = with_own_mounts()
    disk = small_disk(32) if mounts else None
    redis = start_redis(disk, appendfsync="everysec", auto_aof_rewrite_percentage=0) if mounts else None
    w = World(redis=redis)
    w.stack.start_workers(1)
    parts = [full_disk_of_postgres, lambda w: full_disk_of_redis(w, disk), full_disk_of_the_log] if mounts else []
    parts += [few_descriptors] + ([] if light() else [no_memory])  # the sanitizer wants terabytes of addresses
    for part in parts:
        if len(sys.argv) < 3 or part.__name__ in sys.argv[2:]:
            part(w)
    finish()


main()
