"""The image's pods from the project's own manifests, played by podman: an overlay of its own on k8s/base, under load
against the simulator, with 2 workers, then 5, then 1; then the judge of the chaos runs: nothing lost, order kept.

    play.py [BINARY]    IMAGE (localhost/shoal:play: what `make image IMAGE=...` made), PODMAN, KUBECTL, RATE, SECONDS

What podman cannot play is replaced here, and nothing else: Secrets become ConfigMaps, Deployments and Jobs become the
pods that their controllers would make, probes (podman asks them by a curl inside the image) are asked from here, the
cluster's network becomes the host's loopback, so that ports are given one by one. Redis, Postgres and the simulator are
this test's. Everything is on 127.0.0.1, under names of this process, and gone at the end."""
import collections
import datetime
import json
import os
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../chaos"), os.path.join(HERE, "..")]
import check as chaos_judge  # noqa: E402
import lib  # noqa: E402
import manifests as m  # noqa: E402
from faults import now_ms  # noqa: E402
from lib import check, finish, free_port, http, temp_dir, wait_for  # noqa: E402
from machine import Machine  # noqa: E402
from pods import PODMAN, Player, overlay, podman  # noqa: E402
from stack import SECRET, TOKEN, binary_from_argv  # noqa: E402

IMAGE = os.environ.get("IMAGE", "localhost/shoal:play")
RATE, SECONDS = int(os.environ.get("RATE", 100)), int(os.environ.get("SECONDS", 60))
PREFIX = "shoal-play-%d" % os.getpid()
FIRST, CHATS, REPLIES = 1000000, 200, 50
LIMITED, PLACES = "chaos9", 7
API_MS = 100  # how long the platform takes: whoever leaves has something in hand


def can_play():
    """Why it cannot be done here, or None."""
    kubectl, why = m.find_kubectl()
    if not kubectl:
        return why
    if not shutil.which(PODMAN):
        return "there is no %s here" % PODMAN
    if subprocess.run([PODMAN, "image", "exists", IMAGE], check=False).returncode != 0:
        return "there is no image %s here: make image IMAGE=%s" % (IMAGE, IMAGE)
    return None


# ---- the run

def short(name):
    """The id of the worker in a pod: its number."""
    return "w" + name.rsplit("-", 1)[1]


def together(deeds):
    """All at once; what one raises is raised when all are over."""
    raised = []

    def do(deed):
        try:
            deed()
        except Exception as e:
            raised.append(e)

    threads = [threading.Thread(target=do, args=(deed,)) for deed in deeds]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if raised:
        raise raised[0]


class Run:
    def __init__(self, binary):
        self.folder, self.kept = temp_dir(), os.path.join(os.path.dirname(binary), "k8s-play")
        shutil.rmtree(self.kept, ignore_errors=True)
        os.makedirs(self.kept)
        self.redis, self.pg = lib.start_redis(), lib.start_postgres(synchronous_commit="on")
        self.record = os.path.join(self.kept, "calls.jsonl")
        self.sim_url = "http://127.0.0.1:%d" % free_port()
        lib.Process([binary, "sim", "--listen", self.sim_url[7:], "--bot", "persona=" + TOKEN, "--limits", "off",
                     "--record", self.record], os.path.join(self.folder, "sim.log"), env=lib.clean_env())
        wait_for(lambda: http("GET", self.sim_url + "/healthz").status == 200)
        docs = overlay(self.folder, IMAGE, {
            "SHOAL_REDIS_URL": self.redis.url, "SHOAL_POSTGRES_URL": self.pg.url, "SHOAL_PERSONA_TOKEN": TOKEN,
            "SHOAL_WEBHOOK_SECRET": SECRET, "SHOAL_ADMIN_TOKEN": "play"}, {
            "SHOAL_BOTS": "persona", "SHOAL_TELEGRAM_API": self.sim_url, "SHOAL_LOG_UPDATES": "0",
            "SHOAL_USER_RATE": "0", "SHOAL_FLOOD_CHAT": "0", "SHOAL_FLOOD_GROUP": "0",
            "SHOAL_INFLIGHT": "8"})  # at 100 ms a call two workers fall behind, five catch up, one falls behind again
        self.player = Player(docs, self.folder, PREFIX)
        self.grace = {d["metadata"]["name"]: m.template(d)["spec"].get("terminationGracePeriodSeconds", 30)
                      for d in docs if d["kind"] == "Deployment"}
        self.ports, self.workers, self.gateways, self.number, self.faults = {}, [], [], 0, []
        self.took = {}  # role: s from a container's start to its readiness
        self.guard, self.over = threading.Lock(), threading.Event()

    def deployment(self, name):
        return self.player.doc("Deployment", name)

    def control(self, method, path, body=None):
        answer = http(method, self.sim_url + "/sim/" + path, None if body is None else json.dumps(body),
                      {"Content-Type": "application/json"})
        if answer.status >= 300:
            raise RuntimeError("%s /sim/%s: %d %s" % (method, path, answer.status, answer.body[:300]))

    def ready(self, name):
        return http("GET", "http://127.0.0.1:%d/readyz" % self.ports[name], timeout=5).status == 200

    def start(self, role, **env):
        """Plays one pod and waits until it is ready; its name."""
        port = free_port()
        with self.guard:
            self.number += 1
            number = self.number
        name = "%s-%s-%d" % (PREFIX, role, number)
        self.ports[name] = port
        if role == "worker":
            env["SHOAL_WORKER_ID"] = short(name)
        self.player.play(self.deployment(role), number, SHOAL_METRICS_LISTEN="127.0.0.1:%d" % port, **env)
        good = wait_for(lambda: self.ready(name), every=0.005)
        ready = time.time()
        if not good:
            raise RuntimeError("%s did not become ready:\n%s" % (name, self.player.output(name)[-1500:]))
        started = datetime.datetime.fromisoformat(self.player.inspect(name)["State"]["StartedAt"][:26].rstrip("Z"))
        self.took.setdefault(role, []).append(ready - started.replace(tzinfo=datetime.timezone.utc).timestamp())
        return name

    def start_worker(self):
        name = self.start("worker")
        with self.guard:
            self.workers.append(name)

    def scale(self, count):
        """What a Deployment's controller does when the one number changes."""
        with self.guard:
            going, self.workers = self.workers[count:], self.workers[:count]
        missing = count - len(self.workers)
        together([lambda name=name: self.leave(name) for name in going] + [self.start_worker] * missing)
        r = self.redis.client()
        known = wait_for(lambda: r.zcard("shoal:{0}:workers") == count)
        check("%d workers, and the queue knows as many" % count, known, r.zrange("shoal:{0}:workers", 0, -1))

    def leave(self, name):
        note = {"kind": "down", "worker": short(name) + "-", "at": now_ms()}
        note["code"], took = self.player.stop(name, self.grace["shoal-worker"])
        note["end"] = now_ms()
        self.log(note)
        print("# %s left after %.1f s with %d" % (name, took, note["code"]), flush=True)

    def log(self, entry):
        with self.guard:
            self.faults.append(entry)

    def people(self):
        self.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', %s, %s)",
                     chaos_judge.GREETING, ["answer %d" % n for n in range(REPLIES)])
        self.pg.rows("INSERT INTO start_codes (code) SELECT 'chaos' || n FROM generate_series(0, 9) n")
        self.pg.rows("UPDATE start_codes SET max_uses = %s WHERE code = %s", PLACES, LIMITED)
        self.control("POST", "messages", {"bot": "persona", "updates": [
            {"user_id": FIRST + i, "text": "hello"} for i in range(CHATS)]})
        self.control("POST", "faults", {"method": "*", "kind": "delay", "ms": API_MS})

    def schema(self):
        """A worker that comes before the schema waits for it in its init container; then the Job."""
        failed = []

        def early():
            try:
                self.start_worker()
            except RuntimeError as e:
                failed.append(str(e))

        t = threading.Thread(target=early)
        t.start()
        init = "%s-worker-1-schema" % PREFIX
        said = wait_for(lambda: "waiting" in podman("logs", init, fails=True) or "waiting" in subprocess.run(
            [PODMAN, "logs", init], capture_output=True, check=False).stderr.decode())
        check("a worker waits for the schema", said and t.is_alive())
        job = self.player.play(self.player.doc("Job", "migrate"), 0)
        code = int(podman("wait", self.player.container(job)))
        check("the migration's Job brings it", code == 0, self.player.output(job))
        podman("pod", "rm", "-f", job)
        self.player.played.remove(job)
        t.join()
        check("then the worker becomes ready", not failed, failed)

    def confined(self, name):
        """What the manifest asks for is so of the running process."""
        inspected = self.player.inspect(name)
        with open("/proc/%d/status" % inspected["State"]["Pid"], encoding="ascii") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        host = inspected["HostConfig"]
        role = name[len(PREFIX) + 1:].rsplit("-", 1)[0]
        check("%s: no root, no rights, no new ones, seccomp, nothing to write to" % role,
              status["Uid"].split() == ["65532"] * 4 and int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1"
              and status["Seccomp"] == "2" and host["ReadonlyRootfs"] and host["Memory"] > 0,
              (status.get("Uid"), status.get("CapEff"), status.get("Seccomp"), host["ReadonlyRootfs"], host["Memory"]))

    def gateway(self):
        port = free_port()
        name = self.start("gateway", SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % port)
        self.gateways.append((name, port))

    def admin(self):
        port = free_port()
        name = self.start("admin", SHOAL_ADMIN_LISTEN="127.0.0.1:%d" % port)
        page = http("GET", "http://127.0.0.1:%d/" % port)
        listed = http("GET", "http://127.0.0.1:%d/api/workers" % port, headers={"Authorization": "Bearer play"})
        check("the dashboard is there, and its API knows the workers", page.status == 200 and listed.status == 200
              and all(short(w).encode() + b"-" in listed.body for w in self.workers), listed.body[:500])
        said = json.loads(podman("exec", self.player.container(name), "shoal", "queue", "status", "--json"))
        check("its container runs the verbs", said[0]["workers"] == len(self.workers), said)
        code, _ = self.player.stop(name, self.grace["shoal-admin"])
        check("the admin server ended well", code == 0)

    def pids(self):
        with self.guard:
            names = list(self.workers)
        out = {}
        for name in names:
            try:
                out[short(name) + "-"] = self.pid_of(name)
            except (RuntimeError, KeyError, IndexError):
                pass
        return {**out, "redis": self.redis.pid}

    known = {}

    def pid_of(self, name):
        if name not in self.known:
            self.known[name] = self.player.inspect(name)["State"]["Pid"]
        return self.known[name]

    def send(self):
        words = {"gateways": ",".join("127.0.0.1:%d" % port for _, port in self.gateways), "secret": SECRET,
                 "journal": os.path.join(self.kept, "journal.jsonl"), "chats": CHATS, "first": FIRST, "rate": RATE,
                 "seconds": SECONDS, "cut": 0}
        self.sender = lib.Process(["/usr/bin/python3", os.path.join(HERE, "../chaos/sender.py")] + [
            "%s=%s" % w for w in words.items()], os.path.join(self.kept, "sender.log"))

    def settled(self):
        r = self.redis.client()
        return r.xlen("shoal:{0}:updates") == 0 and r.hlen("shoal:{0}:lanes") == 0

    def watch(self):
        """The queue's books, every moment."""
        self.watched = {"looks": 0, "blind": 0, "imbalance": 0, "longest": 0}
        r = self.redis.client()
        while not self.over.wait(0.5):
            length = chaos_judge.books(r, self.watched)
            self.watched["longest"] = max(self.watched["longest"], length)

    def load(self):
        self.send()
        threading.Thread(target=self.watch, daemon=True).start()
        threading.Thread(target=Machine(self.pids, self.log).watch, args=(self.over,), daemon=True).start()
        for share, count in ((0.25, 5), (0.35, 1)):
            time.sleep(share * SECONDS)
            print("# the queue is %d long" % self.redis.client().xlen("shoal:{0}:updates"), flush=True)
            self.scale(count)
        code = self.sender.wait(SECONDS + 240)
        check("every update was accepted", code == 0, self.sender.output()[-1500:])
        ended = time.monotonic()
        check("one worker empties the queue", wait_for(self.settled, 240, 0.05))
        self.emptied = time.monotonic() - ended
        time.sleep(0.7)
        self.over.set()
        time.sleep(0.2)

    def end(self):
        imbalance = [wait_for(lambda: [float(line.rsplit(" ", 1)[1]) for line in http(
            "GET", "http://127.0.0.1:%d/metrics" % self.ports[name]).body.decode().splitlines()
            if line.startswith("shoal_queue_imbalance{")][:1], 15) for name in self.workers]
        self.scale(0)
        for name, _ in self.gateways:
            code, _ = self.player.stop(name, self.grace["shoal-gateway"])
            check("the gateway ended well", code == 0)
        chaos_judge.dump_tables(self.kept, self.pg.url)
        chaos_judge.dump_queue(self.kept, "127.0.0.1", self.redis.port)
        with open(os.path.join(self.kept, "faults.jsonl"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(entry) + "\n" for entry in self.faults)
        sender = json.loads(self.sender.output().splitlines()[-1])
        with open(os.path.join(self.kept, "run.json"), "w", encoding="utf-8") as f:
            json.dump({"replies": REPLIES, "calm": False, "kinds": ["down"], "seconds": SECONDS, "seed": 1,
                       "emptied_s": round(self.emptied, 2), "ended": now_ms(), "watched": self.watched,
                       "metric_imbalance": [v[0] if v else None for v in imbalance], "limited": {LIMITED: PLACES},
                       "sender": sender}, f)


def shared(run):
    """How many calls each worker made."""
    calls = chaos_judge.read_calls(run.kept)
    count = collections.Counter(call.worker for chat in calls.values() for call in chat)
    names = {short(name) for name in run.ports if "-worker-" in name}
    check("every worker did its share", len(names) == 5 and names <= set(count), dict(count))
    print("# calls of the platform by worker: %s" % ", ".join("%s %d" % c for c in sorted(count.items())))


def main():
    why = can_play()
    if why:
        sys.exit("not played: " + why)
    run = Run(os.path.abspath(binary_from_argv()))
    try:
        run.schema()
        run.people()
        run.gateway()
        run.gateway()
        run.scale(2)
        run.confined(run.workers[0])
        run.confined(run.gateways[0][0])
        run.admin()
        run.load()
        run.end()
        for role, took in run.took.items():
            print("# %s ready after %s s" % (role, ", ".join("%.2f" % s for s in took)))
    finally:
        run.over.set()
        run.player.clean()
    shared(run)
    check("nothing is left of it", PREFIX not in podman("ps", "-a", "--pod") + podman("pod", "ps"))
    for promise in chaos_judge.judge(chaos_judge.load(run.kept)).lines():
        check(*promise)
    finish()


main()
