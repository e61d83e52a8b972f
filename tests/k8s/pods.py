"""From the project's manifests to pods that podman can play: see play.py for what is replaced, and why."""
import base64
import copy
import json
import os
import subprocess
import time

import yaml

import manifests as m

PODMAN = os.environ.get("PODMAN", "podman")


def podman(*argv, fails=False):
    done = subprocess.run([PODMAN, *argv], capture_output=True, check=False, timeout=300)
    if done.returncode != 0 and not fails:
        raise RuntimeError("podman %s: %s" % (" ".join(argv), done.stderr.decode()[-1500:]))
    return done.stdout.decode()


def overlay(folder, image, secrets, options):
    """An overlay as an operator would write it; its documents."""
    name, tag = image.rsplit(":", 1)
    with open(os.path.join(folder, "kustomization.yaml"), "w", encoding="utf-8") as f:
        yaml.safe_dump({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "resources": [os.path.relpath(os.path.join(m.K8S, "base"), os.path.realpath(folder))],
            "images": [{"name": "shoal", "newName": name, "newTag": tag}],
            "configMapGenerator": [{"name": "shoal", "namespace": "shoal", "behavior": "merge",
                                    "literals": ["%s=%s" % kv for kv in options.items()]}],
            "secretGenerator": [{"name": "shoal", "namespace": "shoal", "options": {"disableNameSuffixHash": True},
                                 "literals": ["%s=%s" % kv for kv in secrets.items()]}]}, f)
    return m.build(m.find_kubectl()[0], folder)


class Player:
    """Plays pods of the workloads of these documents."""

    def __init__(self, docs, folder, prefix):
        """prefix: of the pods' names."""
        self.docs, self.folder, self.prefix, self.played = docs, folder, prefix, []
        self.pause = "podman-pause" in podman("images")  # podman makes it for its first pod

    def doc(self, kind, part):
        return next(d for d in self.docs if d["kind"] == kind and part in d["metadata"]["name"])

    def maps(self):
        """ConfigMaps, and Secrets as such."""
        for d in self.docs:
            if d["kind"] == "ConfigMap":
                yield d
            elif d["kind"] == "Secret":
                data = {k: base64.b64decode(v).decode() for k, v in d["data"].items()}
                yield {"apiVersion": "v1", "kind": "ConfigMap", "data": data,
                       "metadata": {"name": d["metadata"]["name"] + "-secret"}}

    def pod(self, workload, number, env):
        """The nth pod of a workload's template."""
        pod = copy.deepcopy(m.template(workload))
        pod.update(apiVersion="v1", kind="Pod")
        role = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        pod["metadata"]["name"] = "%s-%s-%d" % (self.prefix, role, number)
        # podman 4.3 removes those of its other kind when they end, and fails where it is too quick at that
        pod["metadata"]["annotations"] = {"io.podman.annotations.init.container.type": "always"}
        pod["spec"]["hostNetwork"] = True
        for c in m.containers(pod):
            for probe in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports"):
                c.pop(probe, None)
            for e in c.get("env") or []:
                ref = e.get("valueFrom", {}).pop("secretKeyRef", None)
                if ref:
                    e["valueFrom"]["configMapKeyRef"] = {**ref, "name": ref["name"] + "-secret"}
            c["env"] = [e for e in c.get("env") or [] if e["name"] not in env]
            c["env"] += [{"name": k, "value": str(v)} for k, v in env.items()]
        return pod

    def play(self, workload, number, **env):
        pod = self.pod(workload, number, env)
        name = pod["metadata"]["name"]
        path = os.path.join(self.folder, name + ".yaml")
        with open(path, "w", encoding="utf-8") as f:
            yaml.safe_dump_all([*self.maps(), pod], f)
        self.played.append(name)
        podman("kube", "play", path)
        return name

    def container(self, name):
        return "%s-%s" % (name, name[len(self.prefix) + 1:].rsplit("-", 1)[0])

    def inspect(self, name):
        return json.loads(podman("inspect", self.container(name)))[0]

    def stop(self, name, patience):
        """As Kubernetes does: SIGTERM, and after the grace period SIGKILL. Exit code and seconds."""
        began = time.monotonic()
        podman("stop", "-t", str(patience), self.container(name))
        state = self.inspect(name)["State"]
        podman("pod", "rm", "-f", name)
        self.played.remove(name)
        return state["ExitCode"], time.monotonic() - began

    def output(self, name):
        done = subprocess.run([PODMAN, "logs", self.container(name)], capture_output=True, check=False, timeout=60)
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    def clean(self):
        for name in self.played:
            podman("pod", "rm", "-f", "-t", "0", name, fails=True)
        for line in podman("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", fails=True).splitlines():
            if line.startswith("localhost/podman-pause") and not self.pause:  # made by podman for the first pod
                podman("rmi", line.split()[1], fails=True)
