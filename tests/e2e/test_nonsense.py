"""Something speaks in the place of Redis and makes no sense, or never says a word: the programs wait for better times. They
end, grow and spin in none of it, and say what is wrong."""
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import Process, check, clean_env, finish, free_port, http, start_postgres, temp_dir, wait_for  # noqa: E402
from stack import BROKEN, SECRET, TOKEN, binary_from_argv, light  # noqa: E402

SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
MEMORY = 4 << 30
ANSWERS = {"worker": 400, "gateway": 60}  # of nonsense; a gateway asks for nothing until it knows whose Redis it is


def bulk(text):
    return b"$%d\r\n%s\r\n" % (len(text), text)


def array(*values):
    return b"*%d\r\n" % len(values) + b"".join(values)


def number(n):
    return b":%d\r\n" % n


def entry(rng, fields):
    return array(bulk(b"1-1"), *[number(rng.choice((0, 1, -1, 1 << 40))) for _ in range(4)], fields)


def anything(rng, depth=0):
    kinds = [lambda: number(rng.choice((0, 1, -1, 1 << 62))), lambda: bulk(rng.randbytes(rng.randrange(40))),
             lambda: b"$-1\r\n", lambda: b"*-1\r\n", lambda: b"*2147483647\r\n", lambda: b"+OK\r\n", lambda: b"+QUEUED\r\n",
             lambda: bulk(rng.choice((b"ok", b"kept", b"gone", b"version", b"shoal:{0}:updates"))),
             lambda: b"-%s nonsense\r\n" % rng.choice((b"ERR", b"NOSCRIPT", b"MOVED 1 127.0.0.1:1", b"OOM", b"LOADING"))]
    if depth < 4:
        kinds += [lambda: array(*[anything(rng, depth + 1) for _ in range(rng.randrange(12))])] * 4
    return rng.choice(kinds)()


def nearly_right(rng):
    """An answer of the queue's script in which one part is something else."""
    fields = array(*[bulk(w) for w in (b"bot", b"persona", b"lane", b"l", b"body", b"{}")])
    parts = [bulk(b"ok"), array(entry(rng, fields)), array(), number(-1), number(1), array(),
             array(), number(0), array()]
    parts[rng.randrange(1, len(parts))] = anything(rng, 2)
    return array(*parts)


def of_verbs(rng, what):
    """What the verbs of the shell ask for, in part something else; greetings are right, so that they get to it."""
    id_or_not, key = rng.choice((bulk(b"1-1"), anything(rng, 3))), b"shoal:{cache}:worker:w"
    return {b"AUTH": b"+OK\r\n", b"SELECT": b"+OK\r\n", b"PING": b"+PONG\r\n", b"EXISTS": b":1\r\n", b"ROLE": array(bulk(b"master"), number(0), array()),
            b"SCAN": rng.choice((anything(rng), array(bulk(b"0"), array(anything(rng, 3), bulk(key))),
                                 array(anything(rng, 4), array(bulk(key))), array(bulk(b"0"), array(bulk(key))))),
            b"XRANGE": rng.choice((anything(rng), array(array(id_or_not, array(bulk(b"lane"), anything(rng, 3)))),
                                   array(anything(rng, 2), anything(rng, 2))))}.get(what)


class Impostor:
    """Listens as Redis would. mode: nonsense, of_verbs, a bytes object that answers SCAN, or silence."""

    def __init__(self, rng):
        self.rng, self.mode, self.said = rng, "nonsense", 0
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=self.speak, args=(s,), daemon=True).start()

    def answer(self, command):
        """Now and then what a client hears first is right, so that it gets further."""
        what = re.search(rb"\r\n(\w+)\r\n", command)
        what = what.group(1).upper() if what else b""
        if isinstance(self.mode, bytes) and what == b"SCAN":
            return self.mode
        polite = of_verbs(self.rng, what) if self.mode != "nonsense" else None
        if polite:
            return polite
        if what in (b"AUTH", b"SELECT", b"CLIENT") and self.rng.random() < 0.9:
            return b"+OK\r\n"
        if what == b"INFO" and self.rng.random() < 0.9:
            return bulk(b"redis_version:7.0.0\r\nrun_id:abc\r\nrole:master\r\nloading:0\r\n")
        if b"\r\nhello\r\n" in command and self.rng.random() < 0.8:
            return array(bulk(b"kept"), array())
        if b"\r\nwork\r\n" in command and self.rng.random() < 0.7:
            return nearly_right(self.rng)
        return anything(self.rng)

    def speak(self, s):
        try:
            while True:
                command = s.recv(65536)
                if not command:
                    return
                if self.mode != "silence":
                    for part in re.split(rb"(?=\*\d+\r\n\$)", command)[1:]:
                        s.sendall(self.answer(part))
                        self.said += 1
        except OSError:
            pass


def post(port):
    body = '{"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "text": "x"}}'
    return http("POST", "http://127.0.0.1:%d/telegram/persona" % port, body, {
        "Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": SECRET}).status


def cpu_s(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        parts = f.read().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def memory_kb(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def verbs(binary, pg, rng):
    """They end by themselves, whatever they are told, and say so; more than comes is not believed to come."""
    fake = Impostor(rng)
    env = clean_env(SHOAL_REDIS_URL="redis://:word@127.0.0.1:%d/1" % fake.port, SHOAL_POSTGRES_URL=pg.url, SHOAL_BOTS="persona",
                    SHOAL_PERSONA_TOKEN=TOKEN)

    def shoal(*argv):
        bounded = [] if light() else ["prlimit", "--as=%d" % MEMORY]
        return subprocess.run(bounded + [binary, *argv], env=env, capture_output=True, text=True, timeout=120, check=False)

    fake.mode, ended = "of_verbs", []
    migrated = shoal("migrate").returncode == 0
    for n in range(4 if light() else 15):
        pg.rows("INSERT INTO users (telegram_id, first_name) VALUES (%s, 'A')", n + 1)
        ended += [(argv[0], p.returncode, p.stdout[-300:], p.stderr[-300:]) for argv in (
            ("status", "--json"), ("workers",), ("user", "erase", str(n + 1), "--yes")) for p in [shoal(*argv)]]
    check("verbs: end by themselves", migrated and all(0 <= code < 126 for _, code, _, _ in ended), ended)
    check("verbs: say what is wrong", all(err for verb, code, _, err in ended if code and verb != "status"), ended)
    for claim in (b"*2147483647\r\n", b"*1048576\r\n" * 40):
        fake.mode = claim
        p = shoal("workers")
        check("verbs: %s" % claim[:12], p.returncode not in (0, -6) and re.search("more would come than any answer has|depth", p.stderr),
              (p.returncode, p.stderr))


def main():
    binary, folder, pg = os.path.abspath(binary_from_argv()), temp_dir(), start_postgres()
    rng = random.Random(SEED)
    print("# seed %d" % SEED)
    for verb in ("worker", "gateway"):
        fake, health, port = Impostor(rng), free_port(), free_port()
        env = clean_env(SHOAL_REDIS_URL="redis://:word@127.0.0.1:%d/1" % fake.port, SHOAL_POSTGRES_URL=pg.url,
                        SHOAL_BOTS="persona", SHOAL_PERSONA_TOKEN=TOKEN, SHOAL_WEBHOOK_SECRET=SECRET,
                        SHOAL_TELEGRAM_API="http://127.0.0.1:9", SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % port,
                        SHOAL_METRICS_LISTEN="127.0.0.1:%d" % health, SHOAL_DRAIN_S=1, SHOAL_LOG_FORMAT="text")
        bounded = [] if light() else ["prlimit", "--as=%d" % MEMORY]  # what an answer only claims is not taken
        p = Process(bounded + [binary, verb], os.path.join(folder, verb + ".log"), env=env)
        alive = wait_for(lambda: http("GET", "http://127.0.0.1:%d/healthz" % health).status == 200)
        check(verb + ": lives", alive and p.running(), p.output()[-2000:])
        answers = set()

        def heard_enough():
            if verb == "gateway":
                answers.add(post(port))
            return fake.said >= ANSWERS[verb] or not p.running()

        check(verb + ": hears nonsense and lives on", wait_for(heard_enough) and
              p.running(), (fake.said, p.child.returncode, p.output()[-3000:]))
        fake.mode = "silence"
        if verb == "gateway":
            check("gateway: takes what it was told is in the stream, and nothing else", 503 in answers and
                  answers <= {200, 503}, answers)
            check("gateway: refuses where nobody answers", post(port) == 503)
        before, began = cpu_s(p.pid), time.monotonic()
        time.sleep(4)
        used = (cpu_s(p.pid) - before) / (time.monotonic() - began)
        check(verb + ": waits quietly for who says nothing", p.running() and used < 0.3, used)
        check(verb + ": is not ready, and says why", http("GET", "http://127.0.0.1:%d/readyz" % health).status == 503)
        if "/san/" not in binary:
            check(verb + ": has not grown", memory_kb(p.pid) < 100000, memory_kb(p.pid))
        code = p.stop()
        check(verb + ": ends when told to", code == 0 and not BROKEN.search(p.output()), (code, p.output()[-3000:]))
        check(verb + ": keeps the password to itself", "word" not in re.sub("password", "", p.output()))
    verbs(binary, pg, rng)
    finish()


main()
