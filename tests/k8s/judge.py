"""What must be so of the manifests of one overlay, whatever tool made them: judge(Overlay) gives the faults by rule."""
import re

import manifests as m

SHARED = {"shoal", "shoal-tls", "shoal-keda"}  # Secrets that operators bring
# who opens connections to whom, by component; "443": public addresses on that port
TALKS = {("gateway", "redis"), ("gateway", "postgres"), ("worker", "redis"), ("worker", "postgres"), ("worker", "443"),
         ("admin", "redis"), ("admin", "postgres"), ("migrate", "postgres"), ("webhook", "redis"), ("webhook", "443")}
WITH_SIM = {("worker", "sim"), ("webhook", "sim"), ("sim", "gateway")}
PORTS = {"redis": 6379, "postgres": 5432, "sim": 8090, "gateway": 8080, "443": 443}
PUBLIC, PRIVATE, METADATA = "149.154.167.220", "10.1.2.3", "169.254.169.254"


class Overlay:
    """docs: all documents. options: {name: default} of the program, verbs: {verb: its help}. whole: made by kubectl, so
    that names, images and namespaces are those that a cluster would see."""

    def __init__(self, docs, options, verbs, whole):
        self.docs, self.options, self.verbs, self.whole = docs, options, verbs, whole
        self.pods = [(d, m.template(d)) for d in docs if m.template(d)]
        self.faults = []

    def kind(self, *kinds):
        return [d for d in self.docs if d["kind"] in kinds]

    def named(self, kind, name):
        """By its name, also with the hash that a generator puts at its end."""
        for d in self.kind(kind):
            if re.fullmatch(re.escape(d["metadata"]["name"]) + (r"(-[a-z0-9]{10})?" if not self.whole else ""), name):
                return d
        return None

    def fault(self, rule, doc, text):
        self.faults.append((rule, "%s: %s" % (m.name_of(doc) if isinstance(doc, dict) else doc, text)))

    def ours(self, container):
        return bool(re.search(r"(^|/)shoal(:|@|$)", container["image"]))

    def config(self, container):
        """The options that a container of ours is given in plain text."""
        out = {}
        for e in container.get("envFrom") or []:
            found = self.named("ConfigMap", e.get("configMapRef", {}).get("name", ""))
            out.update(found["data"] if found else {})
        out.update({e["name"]: e["value"] for e in container.get("env") or [] if "value" in e})
        return out

    def option(self, container, name):
        return self.config(container).get(name) or self.options.get(name, "")


def labels_of(pod):
    return pod["metadata"].get("labels") or {}


def component(pod):
    return labels_of(pod).get("app.kubernetes.io/component")


def every_container(o):
    for d, pod in o.pods:
        for c in m.containers(pod):
            yield d, pod, c


# ---- the rules

def selectors(o):
    for d, pod in o.pods:
        if d["kind"] in ("Deployment", "StatefulSet") and not m.fits(d["spec"]["selector"], labels_of(pod)):
            o.fault("selectors", d, "its selector does not choose its own pods")
        for t in pod["spec"].get("topologySpreadConstraints") or []:
            if not m.fits(t["labelSelector"], labels_of(pod)):
                o.fault("selectors", d, "is spread by labels that it has not")
    for d in o.kind("Service", "PodDisruptionBudget"):
        wanted = d["spec"]["selector"] if d["kind"] == "PodDisruptionBudget" else {"matchLabels": d["spec"]["selector"]}
        chosen = {component(pod) for _, pod in o.pods if m.fits(wanted, labels_of(pod))}
        if chosen != {labels_of(d).get("app.kubernetes.io/component")}:
            o.fault("selectors", d, "chooses the pods of %s" % sorted(map(str, chosen)))
    for d in o.kind("Deployment", "StatefulSet"):
        others = [n for n, pod in o.pods if n is not d and m.fits(d["spec"]["selector"], labels_of(pod))]
        if others:
            o.fault("selectors", d, "also chooses the pods of %s" % m.name_of(others[0]))


def references(o):
    def secret(d, name, key=None):
        found = o.named("Secret", name)
        if not found and name not in SHARED:
            o.fault("references", d, "there is no Secret %s, and nobody is told to bring it" % name)
        elif found and key and key not in {**found.get("data", {}), **found.get("stringData", {})}:
            o.fault("references", d, "the Secret %s has no %s" % (name, key))

    for d, pod, c in every_container(o):
        for e in c.get("envFrom") or []:
            if not o.named("ConfigMap", e["configMapRef"]["name"]):
                o.fault("references", d, "there is no ConfigMap %s" % e["configMapRef"]["name"])
        for e in c.get("env") or []:
            ref = e.get("valueFrom", {}).get("secretKeyRef")
            if ref:
                secret(d, ref["name"], None if ref.get("optional") else ref["key"])
        volumes = {v["name"] for v in pod["spec"].get("volumes") or []} | {
            v["metadata"]["name"] for v in d["spec"].get("volumeClaimTemplates") or []}
        for v in c.get("volumeMounts") or []:
            if v["name"] not in volumes:
                o.fault("references", d, "there is no volume %s" % v["name"])
    for d, pod in o.pods:
        if not o.named("ServiceAccount", pod["spec"].get("serviceAccountName", "default")):
            o.fault("references", d, "has no ServiceAccount of ours")
        for v in pod["spec"].get("volumes") or []:
            if "secret" in v:
                secret(d, v["secret"]["secretName"])
    for d in o.kind("StatefulSet"):
        if not o.named("Service", d["spec"]["serviceName"]):
            o.fault("references", d, "there is no Service %s" % d["spec"]["serviceName"])
    for d in o.kind("ScaledObject", "HorizontalPodAutoscaler"):
        if not o.named(d["spec"]["scaleTargetRef"]["kind"], d["spec"]["scaleTargetRef"]["name"]):
            o.fault("references", d, "there is nothing that it could scale")
        for t in d["spec"].get("triggers") or []:
            if not o.named("TriggerAuthentication", t["authenticationRef"]["name"]):
                o.fault("references", d, "there is no TriggerAuthentication %s" % t["authenticationRef"]["name"])
    for d in o.kind("TriggerAuthentication"):
        for ref in d["spec"]["secretTargetRef"]:
            secret(d, ref["name"], ref["key"])
    service_ports(o)


def service_ports(o):
    for d in o.kind("Service"):
        pods = [pod for _, pod in o.pods if m.fits({"matchLabels": d["spec"]["selector"]}, labels_of(pod))]
        names = {p["name"] for pod in pods for c in m.containers(pod) for p in c.get("ports") or []}
        for p in d["spec"]["ports"]:
            if p["targetPort"] not in names:
                o.fault("references", d, "no pod has a port %s" % p["targetPort"])
    for d in o.kind("Ingress"):
        for rule in d["spec"]["rules"]:
            for p in rule["http"]["paths"]:
                service = p["backend"]["service"]
                found = o.named("Service", service["name"])
                if not found or service["port"]["name"] not in {p["name"] for p in found["spec"]["ports"]}:
                    o.fault("references", d, "leads to %s, which is not there" % service)


def restricted(o):
    for d, pod in o.pods:
        spec, security = pod["spec"], pod["spec"].get("securityContext") or {}
        if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
            o.fault("restricted", d, "may run as root")
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            o.fault("restricted", d, "runs without seccomp")
        if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
            o.fault("restricted", d, "shares a namespace of its host")
        if spec.get("automountServiceAccountToken") is not False:
            o.fault("restricted", d, "gets a token")
        if spec.get("enableServiceLinks") is not False:
            o.fault("restricted", d, "gets variables of Services, which have names like options")
        for v in spec.get("volumes") or []:
            if not set(v) <= {"name", "emptyDir", "secret", "configMap"}:
                o.fault("restricted", d, "volume %s" % v)
    for d, _, c in every_container(o):
        security = c.get("securityContext") or {}
        if (security.get("allowPrivilegeEscalation") is not False or security.get("privileged")
                or security.get("capabilities") != {"drop": ["ALL"]}
                or not set(security) <= {"allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"}):
            o.fault("restricted", d, "%s may gain rights: %s" % (c["name"], security))
        if security.get("readOnlyRootFilesystem") is not True:
            o.fault("restricted", d, "%s may write to its image" % c["name"])
        if any("hostPort" in p for p in c.get("ports") or []):
            o.fault("restricted", d, "%s takes a port of its host" % c["name"])
    for d in o.kind("ServiceAccount"):
        if d.get("automountServiceAccountToken") is not False:
            o.fault("restricted", d, "hands out tokens")
    for d in o.kind("Namespace"):
        if labels_of(d).get("pod-security.kubernetes.io/enforce") != "restricted":
            o.fault("restricted", d, "does not enforce it")


def resources(o):
    for d, _, c in every_container(o):
        r = c.get("resources") or {}
        if not {"cpu", "memory"} <= set(r.get("requests") or {}) or "memory" not in (r.get("limits") or {}):
            o.fault("resources", d, "%s asks for %s" % (c["name"], r))


def probes(o):
    """Names lead to ports, ports are those that the program listens on, and paths are those that it serves there."""
    for d, _, c in every_container(o):
        ports = {p["name"]: p["containerPort"] for p in c.get("ports") or []}
        if d["kind"] in ("Deployment", "StatefulSet") and c in m.template(d)["spec"]["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe not in c:
                    o.fault("probes", d, "%s has no %s" % (c["name"], probe))
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            http = (c.get(probe) or {}).get("httpGet")
            if http and (http["port"] not in ports or http["path"] not in ("/healthz", "/readyz")):
                o.fault("probes", d, "%s of %s asks %s" % (probe, c["name"], http))
        if not o.ours(c):
            continue
        if "/readyz" == ((c.get("livenessProbe") or {}).get("httpGet") or {}).get("path"):
            o.fault("probes", d, "%s would be restarted for a server that is away" % c["name"])
        verb, listens = c["args"][0], {}
        if verb in ("gateway", "admin"):
            listens["http"] = "SHOAL_%s_LISTEN" % verb.upper()
        if verb in ("gateway", "admin", "worker"):
            listens["metrics"] = "SHOAL_METRICS_LISTEN"
        for name, option in listens.items():
            host, port = o.option(c, option).rsplit(":", 1)
            if host != "0.0.0.0" or ports.get(name) != int(port):
                o.fault("probes", d, "%s is port %s, but it listens on %s:%s" % (name, ports.get(name), host, port))


def options(o):
    for d in o.kind("ConfigMap", "Secret"):
        if re.fullmatch(r"shoal(-\w{10})?", d["metadata"]["name"]):
            for name in {**d.get("data", {}), **d.get("stringData", {})}:
                if name not in o.options:
                    o.fault("options", d, "%s is no option" % name)
    for d, _, c in every_container(o):
        if not o.ours(c):
            continue
        for e in c.get("env") or []:
            ref = e.get("valueFrom", {}).get("secretKeyRef", {"key": e["name"]})
            if e["name"] not in o.options or ref["key"] != e["name"]:
                o.fault("options", d, "%s from %s is no option" % (e["name"], ref["key"]))
        words = c["args"]
        if words[0] not in o.verbs:
            o.fault("options", d, "there is no verb %s" % words[0])
        for word in words[1:]:
            if word.split("=")[0] not in o.verbs.get(words[0], ""):
                o.fault("options", d, "%s does not know %s" % (words[0], word))


def patience(o):
    """What is left of the grace period after preStop is more than the time that a program takes to finish."""
    for d, pod in o.pods:
        for c in pod["spec"]["containers"]:
            if not o.ours(c) or d["kind"] != "Deployment" or c["args"][0] == "sim":
                continue
            before = c.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            needs = before + int(o.option(c, "SHOAL_DRAIN_S")) + 3
            if pod["spec"].get("terminationGracePeriodSeconds", 30) < needs:
                o.fault("patience", d, "is killed before %d s have passed" % needs)
            if c["args"][0] == "gateway" and before < 5:
                o.fault("patience", d, "stops listening before all know that it goes")


def images(o):
    used = {c["image"] for d, _, c in every_container(o) if o.ours(c)}
    if len(used) != 1:
        o.fault("images", "overlay", "not one image: %s" % sorted(used))
    for image in {c["image"] for _, _, c in every_container(o)}:
        if o.whole and (":" not in image.split("/")[-1] or image.endswith(":latest")):
            o.fault("images", "overlay", "%s is not one version" % image)
    for d in o.kind("Job"):
        tag = m.containers(m.template(d))[0]["image"].split(":")[-1]
        if o.whole and not d["metadata"]["name"].endswith("-" + tag):
            o.fault("images", d, "is not named after its version %s, so it could never be another one" % tag)
        if any(c.get("envFrom") for c in m.containers(m.template(d))):
            o.fault("images", d, "would change with a ConfigMap, and cannot")


def order(o):
    """The schema comes before those who need it."""
    if not [d for d in o.kind("Job") if m.containers(m.template(d))[0]["args"] == ["migrate"]]:
        o.fault("order", "overlay", "nobody migrates")
    for d, pod in o.pods:
        if component(pod) == "worker":
            first = (pod["spec"].get("initContainers") or [{}])[0]
            if first.get("args") != ["migrate", "--wait"]:
                o.fault("order", d, "does not wait for the schema")
            names = {e["name"] for e in first.get("env") or []}
            if not {"SHOAL_POSTGRES_URL", "SHOAL_POSTGRES_DIRECT_URL"} <= names:
                o.fault("order", d, "waits for the schema without a database")


def scaling(o):
    scalers = o.kind("ScaledObject", "HorizontalPodAutoscaler")
    for d in o.kind("Deployment"):
        scaled = any(s["spec"]["scaleTargetRef"]["name"] == d["metadata"]["name"] for s in scalers)
        if o.whole and scaled == ("replicas" in d["spec"]):
            o.fault("scaling", d, "has a number%s" % (" beside its autoscaler" if scaled else " nowhere"))
    for d in o.kind("HorizontalPodAutoscaler"):
        if d["spec"]["minReplicas"] < 1:
            o.fault("scaling", d, "may leave nobody")
    for d in o.kind("ScaledObject"):
        if d["spec"].get("minReplicaCount", 0) < 1:
            o.fault("scaling", d, "may leave nobody, and jobs of the fleet need a worker")
        for t in d["spec"]["triggers"]:
            meta = t["metadata"]
            if not re.fullmatch(r"shoal:\{\d+\}:updates", meta["stream"]) or "streamLength" not in meta or (
                    {"consumerGroup", "lagCount", "pendingEntriesCount"} & set(meta)):
                o.fault("scaling", d, "looks at %s" % meta)
    for d in o.kind("PodDisruptionBudget"):
        if d["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow" or d["spec"].get("maxUnavailable") in (0, "0%"):
            o.fault("scaling", d, "may keep a node from being drained for ever")
    if {component(d) for d in o.kind("PodDisruptionBudget")} != {"gateway", "worker"}:
        o.fault("scaling", "overlay", "budgets for others than gateways and workers")


def namespaces(o):
    if not o.whole:
        return
    names = {d["metadata"].get("namespace") for d in o.docs if d["kind"] != "Namespace"}
    if names != {d["metadata"]["name"] for d in o.kind("Namespace")}:
        o.fault("namespaces", "overlay", "documents for %s" % sorted(map(str, names)))


# ---- who may talk to whom

def policies_of(o, pod, direction):
    return [d for d in o.kind("NetworkPolicy") if direction in d["spec"]["policyTypes"]
            and m.fits(d["spec"]["podSelector"], labels_of(pod))]


def rules_of(o, pod, direction):
    return [rule for d in policies_of(o, pod, direction) for rule in d["spec"].get(direction.lower()) or []]


def port_fits(rule, number, name):
    return any(p["port"] in (number, name) for p in rule.get("ports") or [{"port": number}])


def in_block(address, block):
    import ipaddress
    a = ipaddress.ip_address(address)
    return a in ipaddress.ip_network(block["cidr"]) and not any(
        a in ipaddress.ip_network(e) for e in block.get("except") or [] if ipaddress.ip_network(e).version == a.version)


def peer_fits(peers, pod=None, address=None):
    for p in peers:
        if pod and "podSelector" in p and "namespaceSelector" not in p and m.fits(p["podSelector"], labels_of(pod)):
            return True
        if address and "ipBlock" in p and in_block(address, p["ipBlock"]):
            return True
    return False


def may_leave(o, source, number, name, pod=None, address=None):
    return any(port_fits(r, number, name) and peer_fits(r.get("to") or [], pod, address)
               for r in rules_of(o, source, "Egress"))


def may_enter(o, target, number, name, source):
    return any(port_fits(r, number, name) and peer_fits(r.get("from") or [], source)
               for r in rules_of(o, target, "Ingress"))


def network(o):
    for d, pod in o.pods:
        for direction in ("Ingress", "Egress"):
            if not any(not p["spec"].get(direction.lower()) for p in policies_of(o, pod, direction)):
                o.fault("network", d, "nothing denies its %s" % direction)
        if not any(port_fits(r, 53, "dns") for r in rules_of(o, pod, "Egress")):
            o.fault("network", d, "may not ask for names")
        if may_leave(o, pod, 80, "", address=METADATA) or may_leave(o, pod, 443, "", address=METADATA):
            o.fault("network", d, "may ask a cloud's metadata service")
        if may_leave(o, pod, 443, "", address=PRIVATE):
            o.fault("network", d, "may call its neighbours")
    by = {component(pod): (d, pod) for d, pod in o.pods}
    for source, (d, pod) in by.items():
        for target in PORTS:
            if target == source:
                continue
            wanted = (source, target) in TALKS or ("sim" in by and (source, target) in WITH_SIM)
            if may_talk(o, pod, target, by) != wanted:
                o.fault("network", d, "may%s talk to %s" % (" not" if wanted else "", target))
    for name, port in (("gateway", "http"), ("gateway", "metrics"), ("worker", "metrics"), ("admin", "metrics")):
        if name in by and not any(port_fits(r, 0, port) and any("namespaceSelector" in p for p in r.get("from") or [])
                                  for r in rules_of(o, by[name][1], "Ingress")):
            o.fault("network", by[name][0], "its port %s cannot be reached" % port)


def may_talk(o, pod, target, by):
    number = PORTS[target]
    name = {"gateway": "http"}.get(target, target)
    if target in by:
        return may_leave(o, pod, number, name, pod=by[target][1]) and may_enter(o, by[target][1], number, name, pod)
    address = PUBLIC if target == "443" else PRIVATE  # a server outside the cluster
    return may_leave(o, pod, number, name, address=address)


RULES = {f.__name__: f for f in (selectors, references, restricted, resources, probes, options, patience, images, order,
                                 scaling, namespaces, network)}


def judge(docs, known_options, verbs, whole):
    """[(rule, what is wrong)]"""
    o = Overlay(docs, known_options, verbs, whole)
    for rule in RULES.values():
        rule(o)
    return o.faults
