"""The manifests in k8s/ as data: whole overlays as kubectl makes them of their kustomization, or the plain files."""
import os
import re
import subprocess

import yaml

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
K8S = os.path.join(TOP, "k8s")
OVERLAYS = sorted(os.listdir(os.path.join(K8S, "overlays")))
KUSTOMIZE = 5  # what the overlays need: `labels`, `replacements` and patches of it


class Loader(yaml.SafeLoader):
    """A key that is there twice is an error, as for kubectl."""


def _mapping(loader, node, deep=False):
    seen = set()
    for key, _ in node.value:
        name = loader.construct_object(key, deep=True)
        if name in seen:
            raise yaml.constructor.ConstructorError(None, None, "%r is there twice" % name, key.start_mark)
        seen.add(name)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, lambda l, n: _mapping(l, n, True))


def documents(text):
    return [d for d in yaml.load_all(text, Loader=Loader) if d]


def find_kubectl():
    """The kubectl in KUBECTL or in PATH if its kustomize is a current one, else None; and why."""
    name = os.environ.get("KUBECTL", "kubectl")
    try:
        done = subprocess.run([name, "version", "--client"], capture_output=True, timeout=60, check=False)
    except OSError:
        return None, "there is no %s here" % name
    said = done.stdout.decode()
    version = re.search(r"Kustomize Version: v(\d+)", said)
    if not version or int(version.group(1)) < KUSTOMIZE:
        return None, "this kubectl is too old: %s" % " ".join(said.split())[:100]
    return name, "kubectl with kustomize %s" % version.group(1)


def build(kubectl, folder):
    """All documents of a kustomization; its warnings are errors."""
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, timeout=120, check=False)
    if done.returncode != 0 or done.stderr:
        raise RuntimeError("kubectl kustomize %s: %s" % (folder, done.stderr.decode()[-1000:]))
    return documents(done.stdout.decode())


def kustomization(folder):
    with open(os.path.join(folder, "kustomization.yaml"), encoding="utf-8") as f:
        return documents(f.read())[0]


def template(doc):
    """The pod template of a document that has one."""
    spec = doc.get("spec", {})
    if doc["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec.get("template") if doc["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob") else None


def containers(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def name_of(doc):
    return "%s/%s" % (doc["kind"], doc["metadata"]["name"])


def fits(selector, labels):
    """Whether a label selector chooses these labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for e in selector.get("matchExpressions") or []:
        if e["operator"] == "In" and labels.get(e["key"]) not in e["values"]:
            return False
        if e["operator"] == "NotIn" and labels.get(e["key"]) in e["values"]:
            return False
        if e["operator"] == "Exists" and e["key"] not in labels:
            return False
        if e["operator"] == "DoesNotExist" and e["key"] in labels:
            return False
    return True
