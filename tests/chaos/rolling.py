"""A rolling restart of every role under load, as Kubernetes does it: a new one comes, is ready and is sent to; then an old one
is told to go, and those who send to it hear of that a little later, by its readiness. Meanwhile the webhook's secret is
changed. With a second binary, of another version, the fleet is rolled from that one to the first, back, and forward again,
with both side by side for a while each time. Then check.py judges.

    rolling.py [BINARY [OTHER]]     by environment: WORKERS, CHATS, RATE, PAUSE (s between two steps), SEED"""
import json
import os
import signal
import sys
import threading
import time

import run
from faults import now_ms
from lib import check, finish, free_port, http, wait_for
from run import option
from stack import SECRET, Stack, binary_from_argv, light
import check as judge

ROLES = ("gateway", "worker", "admin")
GATEWAYS, ADMINS = 2, 2
HEAR_S = 0.5     # so often readiness is asked, as a kubelet does
NEW_SECRET = "the-next-secret-of-the-tests"
TOKEN = "token-of-an-admin-1"


class Pod:
    """One gateway or admin server, on ports of its own; what it is sent to by hangs on its readiness."""

    def __init__(self, stack, role, number, secrets):
        self.role, self.port, self.metrics, self.listed = role, free_port(), free_port(), False
        self.process = stack.start("%s-pod-%d" % (role, number), [role], SHOAL_ADMIN_TOKEN=TOKEN, **secrets, **{
            "SHOAL_%s_LISTEN" % role.upper(): "127.0.0.1:%d" % self.port,
            "SHOAL_METRICS_LISTEN": "127.0.0.1:%d" % self.metrics})

    def ready(self):
        try:
            return http("GET", "http://127.0.0.1:%d/readyz" % self.metrics, timeout=5).status == 200
        except OSError:
            return False


class Rolling(run.Chaos):
    def __init__(self, binary, other):
        super().__init__(binary)
        self.binary, self.other = os.path.abspath(binary), other and os.path.abspath(other)
        self.folder = os.path.join(os.path.dirname(self.binary), "upgrade" if other else "rolling")
        self.kinds, self.calm = [], False
        self.wanted = option("WORKERS", 3)
        self.chats = option("CHATS", 60 if light() else 300)
        self.rate = option("RATE", 40 if light() else 150)
        self.pause = option("PAUSE", 1.0)
        self.seconds = 3600  # until it is told
        self.pods, self.started, self.secrets = [], 0, {"SHOAL_WEBHOOK_SECRET": SECRET}
        self.secret, self.sending = SECRET, threading.Lock()
        self.asked, self.unanswered = 0, []

    # ---- the fleet

    def begin(self):
        os.makedirs(self.folder, exist_ok=True)
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        self.fault_log = open(os.path.join(self.folder, "faults.jsonl"), "w", encoding="utf-8")
        self.stack = Stack(self.other or self.binary, workers=0, webhook=False, pg_conf={"synchronous_commit": "on"},
                           SHOAL_LOG_UPDATES=0, SHOAL_DRAIN_S=10)
        self.stack.gateway.stop()  # it has none of the pods' ways
        self.people()
        for role, n in (("gateway", GATEWAYS), ("admin", ADMINS)):
            for _ in range(n):
                self.come(role)
        for w in [self.add() for _ in range(self.wanted)]:
            if not self.ready(w):
                raise RuntimeError("a worker did not come up:\n" + w.output()[-1500:])
        self.stack.control("POST", "faults", {"method": "*", "kind": "delay", "ms": run.API_MS, "probability": 0.5})
        self.list_ready()
        threading.Thread(target=self.hear, daemon=True).start()
        threading.Thread(target=self.operate, daemon=True).start()
        self.words = {"service": self.service, "cut": 0, "fresh": 0.5}
        self.gateways = []

    @property
    def service(self):
        return os.path.join(self.folder, "service.json")

    def come(self, role):
        self.started += 1
        pod = Pod(self.stack, role, self.started, self.secrets if role == "gateway" else {})
        if not wait_for(pod.ready):
            raise RuntimeError("a %s did not come up:\n%s" % (role, pod.process.output()[-1500:]))
        with self.guard:
            self.pods.append(pod)
        return pod

    def list_ready(self):
        """The addresses to which a Service sends now."""
        with self.guard:
            pods = list(self.pods)
        for pod in pods:
            pod.listed = pod.ready()
        with self.sending:
            with open(self.service + ".new", "w", encoding="utf-8") as f:
                json.dump({"secret": self.secret, "gateways": ["127.0.0.1:%d" % p.port for p in pods
                                                               if p.role == "gateway" and p.listed]}, f)
            os.rename(self.service + ".new", self.service)

    def hear(self):
        while not self.stop_watch.wait(HEAR_S):
            self.list_ready()

    def operate(self):
        """Somebody with the dashboard open."""
        turn = 0
        while not self.stop_watch.wait(0.1):
            with self.guard:
                admins = [p for p in self.pods if p.role == "admin" and p.listed]
            turn += 1
            path = ("/api/queue", "/api/workers")[turn % 2]
            try:
                status = http("GET", "http://127.0.0.1:%d%s" % (admins[turn % len(admins)].port, path),
                              headers={"Authorization": "Bearer " + TOKEN}).status
            except OSError as e:
                status = repr(e)
            self.asked += 1
            if status != 200:
                self.unanswered.append((path, status))

    # ---- rolling

    def go(self, role, name, process, of):
        note = {"kind": "roll-" + role, "at": now_ms(), "of": of}
        if role == "worker":
            note["worker"] = name
        process.send(signal.SIGTERM)
        note["code"] = process.wait()
        self.log(note)

    def roll(self, role, of):
        """All of one role, one at a time, none less than there were at any moment."""
        if role == "worker":
            for w in self.workers():
                if not self.ready(self.add()):
                    raise RuntimeError("a worker did not come up")
                self.forget(w)
                self.go(role, self.name(w), w, of)
                time.sleep(self.pause)
            return
        with self.guard:
            old = [p for p in self.pods if p.role == role]
        for pod in old:
            self.come(role)
            time.sleep(2 * HEAR_S)
            self.go(role, None, pod.process, of)
            with self.guard:
                self.pods.remove(pod)
            time.sleep(self.pause)

    def roll_all(self, of):
        for role in ROLES:
            self.roll(role, of)

    def change_secret(self):
        """Both for a while; Telegram is told; then the new one alone."""
        self.secrets = {"SHOAL_WEBHOOK_SECRET": NEW_SECRET, "SHOAL_WEBHOOK_SECRET_OLD": self.secret}
        self.roll("gateway", "both secrets")
        many = [self.stack.start("webhook-set-%d" % i, ["webhook", "set", "--json"], **self.secrets) for i in range(4)]
        codes = [p.wait() for p in many]
        told = [c for c in self.stack.calls() if c["method"] == "setWebhook"]
        check("of four who set the webhook with the new secret, one calls", codes == [0] * 4 and len(told) == 1 and
              told[0]["parameters"]["secret_token"] == NEW_SECRET, (codes, told, [p.output() for p in many]))
        with self.sending:
            self.secret = NEW_SECRET
        self.list_ready()
        time.sleep(self.pause)
        self.secrets = {"SHOAL_WEBHOOK_SECRET": NEW_SECRET}
        self.roll("gateway", "the new secret")

    # ---- another version

    def versions(self):
        return {w["version"] for w in json.loads(self.stack.shoal("workers", "--json").splitlines()[-1])}

    def take(self, binary, of):
        """Half of the workers first, both side by side for a while, then all."""
        self.stack.binary = binary
        said = self.stack.shoal("migrate")
        print("# %s: %s" % (of, " ".join(said.split())[-200:]))
        self.roll("gateway", of)
        for w in self.workers()[:self.wanted // 2]:
            if not self.ready(self.add()):
                raise RuntimeError("a worker did not come up")
            self.forget(w)
            self.go("worker", self.name(w), w, of)
        both = wait_for(lambda: len(self.versions()) == 2)
        check("%s: both versions work side by side" % of, both, self.versions())
        time.sleep(5 * self.pause)
        self.roll("worker", of)
        self.roll("admin", of)

    def upgrade(self):
        self.take(self.binary, "upgrade")
        self.take(self.other, "back")
        self.take(self.binary, "upgrade again")

    # ---- the run

    def run(self):
        self.send()
        threading.Thread(target=self.watch, daemon=True).start()
        time.sleep(2 * self.pause)
        if self.other:
            self.upgrade()
        else:
            self.roll_all("restart")
            self.change_secret()
        time.sleep(self.pause)
        self.ended = now_ms()
        self.stack.control("DELETE", "faults")
        self.sender.send(signal.SIGTERM)
        code = self.sender.wait(run.EMPTY_S)
        check("the sender got everything accepted", code == 0, self.sender.output()[-1500:])
        waiting = time.monotonic()
        check("the queue empties", wait_for(self.settled, run.EMPTY_S, 0.05), self.stack.queue())
        self.emptied = time.monotonic() - waiting
        time.sleep(0.5)
        self.stop_watch.set()
        time.sleep(HEAR_S)

    def judge_senders(self):
        said = json.loads(self.sender.output().splitlines()[-1])
        print("# webhooks: %(posts)d posted, answered %(status)s, %(refused)d not connected, %(again)d again" % said)
        print("# admin API: %d asked" % self.asked)
        clean = said["refused"] == said["again"] == 0 and list(said["status"]) == ["200"]
        if self.other:  # an old version may close its door before others have heard
            check("what failed of the webhooks was healed by sending again", said["made"] == said["accepted"] and
                  set(said["status"]) <= {"200", "503"}, said)
        else:
            check("no webhook failed", clean and said["posts"] == said["accepted"] > 0, said)
            check("no request of an admin failed", self.asked > 0 and not self.unanswered, self.unanswered[:10])


def main():
    sys.path.insert(0, run.HERE)
    r = Rolling(binary_from_argv(), sys.argv[2] if len(sys.argv) > 2 else None)
    r.begin()
    try:
        r.run()
    finally:
        r.stop_watch.set()
    r.end()
    r.judge_senders()
    for promise in judge.judge(judge.load(r.folder)).lines():
        check(*promise)
    finish()


main()
