"""What the end-to-end tests share: servers of their own, HTTP, waiting. Everything started here is stopped at exit."""
import atexit
import contextlib
import http.client as http_client
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

# the program that the tests' servers are of: Redis, or Valkey where there is no Redis, unless the environment names one
REDIS_SERVER = os.environ.get("REDIS_SERVER") or shutil.which("redis-server") or "valkey-server"
# s, for what has to come: a busy machine may stand still for seconds, and is no fault
PATIENCE = int(os.environ.get("SHOAL_TEST_PATIENCE") or 60)

_children = []
_folders = []
_failed = 0
programs_ended = []  # called at exit, before folders are removed


def script_text(name):
    """A script of Redis as the programs have it: with what it includes (src/embed.sh)."""
    folder = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lua")

    def read(*path):
        with open(os.path.join(folder, *path), encoding="utf-8") as f:
            return f.read()
    return re.sub(r"(?m)^-- @include (\S+)\n", lambda line: line[0] + read("part", line[1]), read(name))


def _stop_all():
    for child in reversed(_children):
        child.stop()
    for fn in programs_ended:
        fn()
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)


atexit.register(_stop_all)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def temp_dir():
    """A new folder that other users may enter; gone at exit."""
    folder = tempfile.mkdtemp(prefix="shoal-test-")
    os.chmod(folder, 0o755)
    _folders.append(folder)
    return folder


def own_kib(pid):
    """What this process has in memory for itself alone, files that it maps left out; also of others' programs."""
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("RssAnon:", "VmSwap:")))


def descriptors(pid):
    """How many it has open. Shoal's programs hide that from all but root, also from who started them."""
    folder = "/proc/%d/fd" % pid
    try:
        return len(os.listdir(folder))
    except PermissionError:
        done = subprocess.run(["sudo", "-n", "ls", folder], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("only root may count the descriptors of a program: " + done.stderr.strip()) from None
        return len(done.stdout.split())


PORTS_FROM, PORTS_EACH = 12000, 50  # as in tests/port.h
_marks = []  # abstract sockets that keep blocks of ports ours


def _unasked_ports():
    """The numbers that the kernel gives to nobody who has not asked for just this one: to no client, to no bind to 0."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        low, high = map(int, f.read().split())
    return max(range(PORTS_FROM, low), range(high + 1, 65536), key=len) or range(PORTS_FROM, 65536)


def _own_ports():
    ports = _unasked_ports()
    blocks = [ports[i:i + PORTS_EACH] for i in range(0, len(ports), PORTS_EACH)]
    first = os.getpid() * 7 % len(blocks)
    for block in blocks[first:] + blocks[:first]:
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind("\0shoal-test-ports-%d" % block[0])
        except OSError:  # another test's
            mark.close()
            continue
        _marks.append(mark)
        yield from block


_ports = _own_ports()
_ports_lock = threading.Lock()


def free_port():
    """A port that is ours until this program ends, whether or not anybody listens on it at the moment."""
    with _ports_lock:
        for port in _ports:
            with socket.socket() as s:
                try:
                    s.bind(("", port))
                    return port
                except OSError:
                    pass
    raise RuntimeError("no port is left")


def wait_for(fn, seconds=PATIENCE, every=0.02):
    """The first true result of fn(), or None when time runs out. A shorter time than PATIENCE is only for what must not
    come. Exceptions count as not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            result = fn()
            if result:
                return result
        except (OSError, http_client.HTTPException, AssertionError, LookupError, RuntimeError):
            pass
        if time.monotonic() >= end:
            return None
        time.sleep(every)


_held = None  # checks that are not reported yet


@contextlib.contextmanager
def checks_held():
    """Collects checks, as arguments of check(), instead of reporting them."""
    global _held
    _held = []
    try:
        yield _held
    finally:
        _held = None


def check(name, good, detail=""):
    """One line of the report, whole also where several threads report."""
    global _failed
    good, said = bool(good), ""
    if _held is not None:
        _held.append((name, good, detail))
        return good
    if not good:
        _failed += 1
        if detail != "":
            said = "# " + str(detail)[:2000].replace("\n", "\n# ") + "\n"
    sys.stdout.write(said + ("ok " if good else "not ok ") + name + "\n")
    sys.stdout.flush()
    return good


before_finish = []  # called by finish() while everything still runs


_SECRET = re.compile(r"SHOAL_\w*(TOKEN|SECRET|SECRET_OLD|RESPONDER_KEY)$")


def secrets_of(env):
    """What the programs with this environment must keep to themselves."""
    found = {value for name, value in (env or {}).items() if _SECRET.match(name)}
    for name, value in (env or {}).items():
        if name.startswith("SHOAL_") and name.endswith("_URL"):
            found.update(re.findall(r"://[^/@:]*:([^@/]+)@", value))
            found.update(re.findall(r"[?&](?:key|password)=([^&]+)", value))
    return {secret for secret in found if len(secret) >= 6}  # shorter ones may be words of their own


def _check_secrets():
    """Of all programs that were started here: neither what they said nor how they were called holds a secret."""
    told = []
    for child in _children:
        said = child.output() if os.path.exists(child.log) else ""
        told += ["%s: %s..." % (child.log, secret[:3]) for secret in child.secrets if secret in said or
                 any(secret in word for word in child.argv if "=" not in word)]
    if any(child.secrets for child in _children):
        check("no program tells a secret", not told, told[:5])


def finish():
    for fn in before_finish:
        fn()
    _check_secrets()
    sys.exit(1 if _failed else 0)


class Process:
    """A child with its output in a file."""

    def __init__(self, argv, log, env=None, cwd=None, user=None):
        self.argv, self.log, self.secrets = argv, log, secrets_of(env)
        extra = {}
        if user and os.geteuid() == 0:
            who = pwd.getpwnam(user)
            extra = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        with open(log, "ab") as out:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd,
                                          **extra)
        self.pid, self.began = self.child.pid, time.monotonic()
        _children.append(self)

    def running(self):
        return self.child.poll() is None

    def send(self, number):
        if self.running():
            self.child.send_signal(number)

    def wait(self, seconds=PATIENCE):
        """The exit code (negative: the signal that ended it), or None while it runs."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        if self.running():
            self.send(signal.SIGCONT)
            self.send(number)
            if self.wait(seconds) is None:
                self.send(signal.SIGKILL)
                self.wait(seconds)
        return self.child.returncode

    def kill(self):
        self.send(signal.SIGKILL)
        return self.wait()

    def output(self):
        with open(self.log, "rb") as f:
            return f.read().decode("utf-8", "replace")


class Redis(Process):
    """A Redis server on a port of its own; .url, .client() (python3-redis). Data stays in its folder between starts."""

    def __init__(self, folder, port, **conf):
        self.folder, self.port, self.conf = folder, port, conf
        self.url = "redis://127.0.0.1:%d/0" % port
        settings = {"bind": "127.0.0.1", "port": port, "dir": folder, "save": "", "appendonly": "yes",
                    "appendfsync": "always", "maxmemory-policy": "noeviction", "daemonize": "no"}
        settings.update({k.replace("_", "-"): v for k, v in conf.items()})
        argv = [REDIS_SERVER]
        for name, value in settings.items():
            argv += ["--" + name, str(value)]
        super().__init__(argv, os.path.join(folder, "redis.log"))
        if not wait_for(self._answers):
            raise RuntimeError(REDIS_SERVER + " did not start:\n" + self.output()[-2000:])

    def client(self, **options):
        import redis
        password = self.conf.get("requirepass")
        return redis.Redis(host="127.0.0.1", port=self.port, password=password, **options)

    def _answers(self):
        import redis
        try:
            return self.client(socket_timeout=2).ping()
        except redis.RedisError:
            return False

    def again(self, **conf):
        """Started anew on the same port and data, after stop() or kill()."""
        return Redis(self.folder, self.port, **{**self.conf, **conf})


def start_redis(folder=None, port=None, **conf):
    """conf: directives with _ for -, e.g. maxmemory="8mb"."""
    folder = folder or temp_dir()
    os.makedirs(folder, exist_ok=True)
    return Redis(folder, port or free_port(), **conf)


def _postgres_bin(name):
    for root in [os.environ.get("PGBIN", "")] + sorted(
            ["/usr/lib/postgresql/%s/bin" % v for v in os.listdir("/usr/lib/postgresql")]
            if os.path.isdir("/usr/lib/postgresql") else [], reverse=True):
        if root and os.path.exists(os.path.join(root, name)):
            return os.path.join(root, name)
    found = shutil.which(name)
    if not found:
        raise RuntimeError(name + " is not installed")
    return found


class Postgres(Process):
    """A PostgreSQL cluster of its own with a database `shoal`; .url for programs, .connect() (python3-psycopg2)."""

    def __init__(self, folder, port, **conf):
        self.folder, self.port, self.conf = folder, port, conf
        self.data = os.path.join(folder, "data")
        user = "postgres" if os.geteuid() == 0 else None
        self.user = user or pwd.getpwuid(os.geteuid()).pw_name
        self.url = "postgresql://%s@127.0.0.1:%d/shoal" % (self.user, port)
        log = os.path.join(folder, "postgres.log")
        if not os.path.exists(self.data):
            self._initdb(user)
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off",
                    "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB"}
        settings.update(conf)
        argv = [_postgres_bin("postgres"), "-D", self.data]
        for name, value in settings.items():
            argv += ["-c", "%s=%s" % (name, value)]
        super().__init__(argv, log, cwd=folder, user=user)
        if not wait_for(self._ready):
            raise RuntimeError("postgres did not start:\n" + self.output()[-2000:])

    def _initdb(self, user):
        if user:
            shutil.chown(self.folder, user)
        made = Process([_postgres_bin("initdb"), "-D", self.data, "-A", "trust", "-E", "UTF8", "--locale=C",
                        "-U", self.user, "-N"], os.path.join(self.folder, "initdb.log"), cwd=self.folder, user=user)
        if made.wait() != 0:
            raise RuntimeError("initdb failed:\n" + made.output()[-2000:])

    def connect(self, database="shoal"):
        import psycopg2
        return psycopg2.connect(host="127.0.0.1", port=self.port, user=self.user, dbname=database, connect_timeout=PATIENCE)

    def _ready(self):
        import psycopg2
        try:
            db = self.connect("postgres")
            db.autocommit = True
            with db.cursor() as cur:
                cur.execute("select 1 from pg_database where datname = 'shoal'")
                if not cur.fetchone():
                    cur.execute("create database shoal")
            db.close()
            return True
        except psycopg2.OperationalError:
            return False

    def rows(self, sql, *parameters):
        db = self.connect()
        db.autocommit = True
        try:
            with db.cursor() as cur:
                cur.execute(sql, parameters)
                return cur.fetchall() if cur.description else []
        finally:
            db.close()

    def stop(self, number=signal.SIGINT, seconds=PATIENCE):
        return super().stop(number, seconds)  # fast shutdown: does not wait for clients

    def again(self, **conf):
        return Postgres(self.folder, self.port, **{**self.conf, **conf})


def start_postgres(folder=None, port=None, **conf):
    """Works as root too (the servers run as user postgres then). conf: settings of postgresql.conf."""
    folder = folder or temp_dir()
    os.makedirs(folder, exist_ok=True)
    return Postgres(folder, port or free_port(), **conf)


def clean_env(**values):
    """The environment for a program: nothing of SHOAL_, PG or SSL_CERT_ from outside, then values (None: not set)."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SHOAL_", "PG", "SSL_CERT_"))}
    env.update({k: str(v) for k, v in values.items() if v is not None})
    return env


class Answer(tuple):
    """status, headers (names in lower case), body (bytes)."""
    status = property(lambda self: self[0])
    headers = property(lambda self: self[1])
    body = property(lambda self: self[2])


def http(method, url, body=None, headers=None, timeout=PATIENCE):
    where = urllib.parse.urlsplit(url)
    conn = (http_client.HTTPSConnection if where.scheme == "https" else http_client.HTTPConnection)(
        where.hostname, where.port, timeout=timeout)
    try:
        path = where.path + ("?" + where.query if where.query else "") or "/"
        if isinstance(body, str):
            body = body.encode()
        conn.request(method, path, body, headers or {})
        res = conn.getresponse()
        return Answer((res.status, {k.lower(): v for k, v in res.getheaders()}, res.read()))
    finally:
        conn.close()
