"""The manifests of k8s/: every overlay as a current kubectl makes it, or where there is none, the plain files; and the
judge itself, on manifests that are spoilt in many ways.

    test_manifests.py [BINARY]     KUBECTL: another one than in PATH"""
import base64
import copy
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
import lib  # noqa: E402
import manifests as m  # noqa: E402
from judge import RULES, judge  # noqa: E402
from lib import check, finish, http, wait_for  # noqa: E402
from stack import binary_from_argv  # noqa: E402

BIN = os.path.abspath(binary_from_argv())


def run(*argv, **env):
    return subprocess.run([BIN, *argv], env=lib.clean_env(**env), capture_output=True, timeout=lib.PATIENCE,
                          check=False)


OPTIONS = dict(line.split("=", 1) for line in run("config").stdout.decode().splitlines())
VERBS = {verb: run("help", verb).stdout.decode()
         for verb in re.findall(r"^  ([a-z]+) ", run("help").stdout.decode(), re.M)}


def generated(folder):
    """The ConfigMaps and Secrets of a kustomization's literals."""
    out = {}
    for kind in ("ConfigMap", "Secret"):
        for g in m.kustomization(folder).get(kind.lower().replace("map", "Map") + "Generator") or []:
            data = dict(literal.split("=", 1) for literal in g["literals"])
            out[(kind, g["name"])] = {"apiVersion": "v1", "kind": kind, "metadata": {"name": g["name"]},
                                      "data" if kind == "ConfigMap" else "stringData": data}
    return out


def assembled(folder):
    """As far as it goes without kubectl: all files that an overlay names, and what its generators would make."""
    docs, made = [], {}
    for name in m.kustomization(folder)["resources"]:
        path = os.path.normpath(os.path.join(folder, name))
        if os.path.isdir(path):
            below, more = assembled(path)
            docs += below
            made.update(more)
        else:
            with open(path, encoding="utf-8") as f:
                docs += m.documents(f.read())
    for key, doc in generated(folder).items():
        if key in made:
            made[key]["data"].update(doc["data"])
        else:
            made[key] = doc
    return docs, made


def without_kubectl(folder):
    docs, made = assembled(folder)
    return docs + list(made.values())


def unfiled(folder):
    """Files that no kustomization names."""
    named = set(m.kustomization(folder)["resources"])
    return sorted(f for f in os.listdir(folder) if f != "kustomization.yaml" and f not in named)


def judged(name, docs, whole):
    faults = judge(docs, OPTIONS, VERBS, whole)
    for rule in RULES:
        found = [text for r, text in faults if r == rule]
        check("%s: %s" % (name, rule), not found, "\n".join(found[:10]))


def configured(name, docs):
    """The program itself takes what a gateway is given."""
    env = {}
    for d in docs:
        if d["kind"] in ("ConfigMap", "Secret") and re.fullmatch(r"shoal(-\w{10})?", d["metadata"]["name"]):
            env.update(d.get("data") if d["kind"] == "ConfigMap" else d.get("stringData") or {
                k: base64.b64decode(v).decode() for k, v in d["data"].items()})
    done = run("config", "--check", **env)
    check("%s: the program takes its options" % name, done.returncode == 0, done.stderr.decode())


def served():
    """The paths that the probes ask are there."""
    port, gateway = lib.free_port(), lib.free_port()
    p = lib.Process([BIN, "gateway"], os.path.join(lib.temp_dir(), "gateway.log"), env=lib.clean_env(
        SHOAL_WEBHOOK_SECRET="x", SHOAL_REDIS_URL="redis://127.0.0.1:%d" % lib.free_port(),
        SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % gateway, SHOAL_METRICS_LISTEN="127.0.0.1:%d" % port))
    url = "http://127.0.0.1:%d" % port
    alive = wait_for(lambda: http("GET", url + "/healthz").status == 200)
    check("probes: /healthz is served, also without Redis", alive, p.output())
    away = http("GET", url + "/readyz").status == 503
    check("probes: /readyz is served, and says that Redis is away", away, p.output())
    p.stop()


def secrets_of(docs, name):
    d = next(d for d in docs if d["kind"] == "Secret" and d["metadata"]["name"] == name)
    return d.get("stringData") or {k: base64.b64decode(v).decode() for k, v in d["data"].items()}


def simulated(docs):
    """dev's simulator starts with the arguments that stand there, and signs with the key that the gateways know."""
    tokens, port = secrets_of(docs, "shoal"), lib.free_port()
    seed = os.path.join(lib.temp_dir(), "seed")
    with open(seed, "w", encoding="ascii") as f:
        f.write(secrets_of(docs, "shoal-sim")["seed"])
    args = [re.sub(r"\$\((\w+)\)", lambda v: tokens[v.group(1)], a) for a in main_of(docs, "sim")["args"]]
    args = [a.replace("/run/secrets/sim/seed", seed).replace("0.0.0.0:8090", "127.0.0.1:%d" % port) for a in args]
    p = lib.Process([BIN, *args], os.path.join(lib.temp_dir(), "sim.log"), env=lib.clean_env())
    url = "http://127.0.0.1:%d" % port
    up = wait_for(lambda: http("GET", url + "/healthz").status == 200)
    check("dev: the simulator takes its arguments", up, p.output())
    key = find(docs, "ConfigMap")["data"]["SHOAL_LADDER_PUBLIC_KEY"]
    check("dev: it signs with the key that gateways know", up and key.encode() in http(
        "GET", url + "/sim/discord/app").body)
    for bot in ("PERSONA", "ESCROW"):
        answer = http("GET", "%s/bot%s/getMe" % (url, tokens["SHOAL_%s_TOKEN" % bot]))
        check("dev: it plays host to %s" % bot.lower(), answer.status == 200, answer.body)
    p.stop()


# ---- the judge

def find(docs, kind, part=""):
    return next(d for d in docs if d["kind"] == kind and part in d["metadata"]["name"])


def main_of(docs, part):
    return m.template(find(docs, "Deployment", part))["spec"]["containers"][0]


def env_of(docs, part, name):
    return next(e for e in main_of(docs, part)["env"] if e["name"] == name)


def pod_of(docs, part):
    return m.template(find(docs, "Deployment", part))["spec"]


def selector_of(docs, kind, part):
    return find(docs, kind, part)["spec"]["selector"]


COMPONENT = "app.kubernetes.io/component"
SPOILT = {  # rule: functions of the documents, each of which breaks it
    "selectors": [
        lambda d: selector_of(d, "Deployment", "worker")["matchLabels"].update({COMPONENT: "x"}),
        lambda d: selector_of(d, "Service", "gateway").update({COMPONENT: "admin"}),
        lambda d: selector_of(d, "PodDisruptionBudget", "worker")["matchLabels"].pop(COMPONENT),
        lambda d: selector_of(d, "Deployment", "gateway")["matchLabels"].pop(COMPONENT)],
    "references": [
        lambda d: d.remove(find(d, "ServiceAccount")),
        lambda d: main_of(d, "worker")["envFrom"][0]["configMapRef"].update(name="other"),
        lambda d: env_of(d, "worker", "SHOAL_REDIS_URL")["valueFrom"]["secretKeyRef"].update(name="other"),
        lambda d: find(d, "Service", "admin")["spec"]["ports"][0].update(targetPort="https"),
        lambda d: main_of(d, "worker").update(volumeMounts=[{"name": "x", "mountPath": "/x"}])],
    "restricted": [
        lambda d: m.template(find(d, "Job"))["spec"]["securityContext"].pop("runAsNonRoot"),
        lambda d: m.template(find(d, "CronJob"))["spec"]["securityContext"].update(runAsUser=0),
        lambda d: pod_of(d, "worker")["initContainers"][0].pop("securityContext"),
        lambda d: main_of(d, "admin")["securityContext"]["capabilities"].update(add=["NET_BIND_SERVICE"]),
        lambda d: main_of(d, "admin")["securityContext"].update(readOnlyRootFilesystem=False),
        lambda d: pod_of(d, "worker").pop("automountServiceAccountToken"),
        lambda d: pod_of(d, "worker").pop("enableServiceLinks"),
        lambda d: pod_of(d, "gateway").update(hostNetwork=True),
        lambda d: pod_of(d, "gateway").update(volumes=[{"name": "x", "hostPath": {"path": "/"}}]),
        lambda d: find(d, "Namespace")["metadata"]["labels"].clear()],
    "resources": [
        lambda d: main_of(d, "gateway")["resources"].pop("limits"),
        lambda d: main_of(d, "gateway")["resources"]["requests"].pop("cpu")],
    "probes": [
        lambda d: main_of(d, "gateway").pop("readinessProbe"),
        lambda d: main_of(d, "worker")["livenessProbe"]["httpGet"].update(port="health"),
        lambda d: main_of(d, "worker")["livenessProbe"]["httpGet"].update(path="/health"),
        lambda d: main_of(d, "worker")["livenessProbe"]["httpGet"].update(path="/readyz"),
        lambda d: main_of(d, "admin")["env"].remove(env_of(d, "admin", "SHOAL_ADMIN_LISTEN")),
        lambda d: main_of(d, "worker")["ports"][0].update(containerPort=9465)],
    "options": [
        lambda d: find(d, "ConfigMap")["data"].update(SHOAL_DRAIN="20"),
        lambda d: env_of(d, "worker", "SHOAL_REDIS_URL").update(name="SHOAL_REDIS"),
        lambda d: env_of(d, "worker", "SHOAL_ESCROW_TOKEN")["valueFrom"]["secretKeyRef"].update(key="SHOAL_ESCROW"),
        lambda d: main_of(d, "worker")["args"].append("--threads"),
        lambda d: main_of(d, "worker").update(args=["work"])],
    "patience": [
        lambda d: find(d, "ConfigMap")["data"].update(SHOAL_DRAIN_S="60"),
        lambda d: pod_of(d, "worker").pop("terminationGracePeriodSeconds")
        and find(d, "ConfigMap")["data"].update(SHOAL_DRAIN_S="28"),
        lambda d: main_of(d, "gateway").pop("lifecycle")],
    "images": [
        lambda d: main_of(d, "worker").update(image="registry.example.org/shoal:other"),
        lambda d: m.containers(m.template(find(d, "Job")))[0].update(envFrom=[{"configMapRef": {"name": "shoal"}}])],
    "order": [
        lambda d: d.remove(find(d, "Job")),
        lambda d: pod_of(d, "worker").pop("initContainers"),
        lambda d: pod_of(d, "worker")["initContainers"][0].pop("env")],
    "scaling": [
        lambda d: find(d, "PodDisruptionBudget", "worker")["spec"].update(maxUnavailable=0),
        lambda d: d.remove(find(d, "PodDisruptionBudget", "gateway"))],
    "network": [
        lambda d: d.remove(find(d, "NetworkPolicy", "default-deny")),
        lambda d: d.remove(find(d, "NetworkPolicy", "dns")),
        lambda d: d.remove(find(d, "NetworkPolicy", "at-metrics")),
        lambda d: d.remove(find(d, "NetworkPolicy", "to-postgres")),
        lambda d: d.remove(find(d, "NetworkPolicy", "at-gateway")),
        lambda d: d.remove(find(d, "NetworkPolicy", "to-platforms")),
        lambda d: find(d, "NetworkPolicy", "to-redis")["spec"].update(podSelector={}),
        lambda d: find(d, "NetworkPolicy", "to-platforms")["spec"]["egress"][0]["to"][0]["ipBlock"].pop("except")],
}
SPOILT_WHOLE = {  # what only kubectl's work shows
    "images": [
        lambda d: main_of(d, "worker").update(image="shoal"),
        lambda d: find(d, "Job")["metadata"].update(name="shoal-migrate-0")],
    "scaling": [
        lambda d: find(d, "Deployment", "worker")["spec"].update(replicas=3),
        lambda d: find(d, "ScaledObject")["spec"].update(minReplicaCount=0),
        lambda d: find(d, "ScaledObject")["spec"]["triggers"][0]["metadata"].update(consumerGroup="workers"),
        lambda d: find(d, "ScaledObject")["spec"]["triggers"][0]["metadata"].update(stream="shoal:updates")],
    "references": [
        lambda d: find(d, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"].update(name="x"),
        lambda d: find(d, "ScaledObject")["spec"]["scaleTargetRef"].update(name="x"),
        lambda d: d.remove(find(d, "TriggerAuthentication"))],
    "namespaces": [
        lambda d: find(d, "Service", "admin")["metadata"].pop("namespace")],
}


def judge_of_judge(docs, whole):
    for rule, spoilers in list(SPOILT.items()) + (list(SPOILT_WHOLE.items()) if whole else []):
        for n, spoil in enumerate(spoilers):
            spoilt = copy.deepcopy(docs)
            spoil(spoilt)
            found = {r for r, _ in judge(spoilt, OPTIONS, VERBS, whole)}
            check("judge finds what breaks %s, %d" % (rule, n + 1), rule in found, "found: %s" % sorted(found))


kubectl, why = m.find_kubectl()
print("# %s%s" % (why, "" if kubectl else ": only the files themselves are judged, not what kustomize makes of them"))
made = {}
for overlay in m.OVERLAYS:
    folder = os.path.join(m.K8S, "overlays", overlay)
    made[overlay] = m.build(kubectl, folder) if kubectl else without_kubectl(folder)
    judged(overlay, made[overlay], bool(kubectl))
    configured(overlay, made[overlay])
    check("%s: every file is used" % overlay, not unfiled(folder), unfiled(folder))
check("base: every file is used", not unfiled(os.path.join(m.K8S, "base")))
check("the overlays are dev, hpa, keda, prod", m.OVERLAYS == ["dev", "hpa", "keda", "prod"], m.OVERLAYS)
served()
simulated(made["dev"])
judge_of_judge(made["keda"], bool(kubectl))
finish()
