"""What the doctor makes in the cluster for a moment, as manifests: no I/O here.

open, closed    listen; nothing may connect to `closed`, by a NetworkPolicy
free            connects to both, looks names up, asks the server; nothing bars it
shut            connects to `open`, which a NetworkPolicy forbids
volume          writes to a volume like the node's own
image-…         only pulls an image

Each is a Job of one pod. What enforces policies may go by who owns a pod, and by its name up to the last dash, as the
Amazon VPC CNI does (https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html, and `GetPodIdentifier` in
https://github.com/aws/aws-network-policy-agent): bare pods would say of it what is not so of algorithms.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from launcher.admin.plan import ENFORCE, RESTRICTED
from launcher.doctor import inside
from launcher.doctor.wishes import Image, Wishes
from launcher.kubeapi import Tree
from launcher.runs import PREFIX

MANAGER = "v6-node-doctor"
MANAGED = {"app.kubernetes.io/managed-by": MANAGER}
SELECTOR = f"app.kubernetes.io/managed-by={MANAGER}"
HOLDER = f"{PREFIX}/doctor"
"""Annotation that says whose it is: machine and process."""
PART = f"{PREFIX}/doctor-part"
OPEN, CLOSED, FREE, SHUT, VOLUME = "open", "closed", "free", "shut", "volume"
CONTAINER = "doctor"
SECRET = "v6-node-doctor"  # noqa: S105  its name
PORT = 8080
LONGEST_SECONDS = 600
"""After which the cluster itself ends a pod of the doctor's, should nobody be left to delete it."""
_KUBERNETES = "kubernetes.default.svc"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the manifests of one examination.

    Args:
        name: of everything that is made, with a part behind it.
        namespace: where.
        holder: machine and process.
        wishes: of the values.
    """

    name: str
    namespace: str
    holder: str
    wishes: Wishes

    def meta(self, part: str = "") -> Tree:
        """The metadata of an object."""
        labels = {**MANAGED, **({PART: part} if part else {})}
        name = f"{self.name}-{part}" if part else self.name
        return {"name": name, "namespace": self.namespace, "labels": labels, "annotations": {HOLDER: self.holder}}

    def own_namespace(self) -> Tree:
        """A namespace for the examination, as the node's will be."""
        meta = {
            "name": self.namespace,
            "labels": {**MANAGED, ENFORCE: RESTRICTED},
            "annotations": {HOLDER: self.holder},
        }
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}

    def policies(self) -> list[Tree]:
        """Nobody connects to `closed`, and `shut` connects to nobody."""
        return [self._policy(CLOSED, "Ingress"), self._policy(SHUT, "Egress")]

    def _policy(self, part: str, direction: str) -> Tree:
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": self.meta(part),
            "spec": {"podSelector": {"matchLabels": {PART: part}}, "policyTypes": [direction]},
        }

    def secret(self, key: str, authority: str) -> Tree:
        """What the pod `free` needs to ask the server."""
        data = {"key": key, "authority": authority}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": self.meta(), "type": "Opaque", "stringData": data}

    def claim(self) -> Tree:
        """A small volume like the task volume."""
        storage = self.wishes.storage
        spec: Tree = {
            "accessModes": list(storage.get("accessModes") or ["ReadWriteOnce"]),
            "resources": {"requests": {"storage": "1Gi"}},
        }
        if storage.get("storageClassName") is not None:
            spec["storageClassName"] = storage["storageClassName"]
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": self.meta(VOLUME), "spec": spec}

    def listener(self, part: str) -> Tree:
        """`open` or `closed`."""
        return self._job(part, self._diagnostics, {"listen": PORT})

    def shut(self, targets: Mapping[str, Sequence[str]]) -> Tree:
        """The one that a policy bars from everything.

        Args:
            targets: addresses of `open`, by part.
        """
        return self._job(SHUT, self._diagnostics, {"connect": _connections(targets, {OPEN: "shut"})})

    def free(self, targets: Mapping[str, Sequence[str]], *, key: bool, authority: bool) -> Tree:
        """The one that nothing bars.

        Args:
            targets: addresses of `open` and `closed`, by part.
            key: whether there is an API key in the Secret.
            authority: whether there is an authority.
        """
        order: dict[str, Any] = {
            "connect": _connections(targets, {OPEN: "open", CLOSED: "shut"}),
            "look_up": [_KUBERNETES, *([host] if (host := server_host(self.wishes)) else [])],
            "clock": f"https://{_KUBERNETES}/version",
        }
        if self.wishes.server:
            order |= {"server": self.wishes.server}
            order |= {"key": "/run/doctor/key"} if key else {}
            order |= {"authority": "/run/doctor/authority"} if authority else {}
        job = self._job(FREE, self.wishes.images[0], order)
        secret = {"secret": {"secretName": self.name, "defaultMode": 0o440}}
        container = _mount(job, secret, {"mountPath": "/run/doctor", "readOnly": True})
        if self.wishes.http_proxy:
            names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
            container["env"] += [{"name": name, "value": self.wishes.http_proxy} for name in names]
        return job

    def writer(self) -> Tree:
        """The one that writes to a volume."""
        job = self._job(VOLUME, self._diagnostics, {"write": "/volume"})
        claim = {"persistentVolumeClaim": {"claimName": self.meta(VOLUME)["name"]}}
        _mount(job, claim, {"mountPath": "/volume"})
        return job

    def puller(self, image: Image) -> Tree:
        """One that is there to have an image pulled; what it would do is of no interest."""
        job = self._job(f"image-{image.what.partition('.')[0]}", image, {})
        job["spec"]["template"]["spec"]["containers"][0]["command"] = ["true"]
        return job

    @property
    def _diagnostics(self) -> Image:
        return self.wishes.images[1]

    def _job(self, part: str, image: Image, order: Mapping[str, Any]) -> Tree:
        security: Tree = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        if self.wishes.user is not None:
            security["runAsUser"] = self.wishes.user
        if self.wishes.group is not None:
            security |= {"runAsGroup": self.wishes.group, "fsGroup": self.wishes.group}
        container = {
            "name": CONTAINER,
            "image": image.ref,
            "imagePullPolicy": image.pull_policy,
            "command": ["python", "-c", inspect.getsource(inside)],
            "env": [{"name": "DOCTOR", "value": json.dumps(order)}],
            "resources": {
                "requests": {"cpu": "10m", "memory": "32Mi"},
                "limits": {"cpu": "500m", "memory": "128Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        spec = {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LONGEST_SECONDS,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "imagePullSecrets": [{"name": name} for name in self.wishes.pull_secrets],
            "securityContext": security,
            "containers": [container],
        }
        meta = self.meta(part)
        template = {"metadata": {key: meta[key] for key in ("labels", "annotations")}, "spec": spec}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": meta,
            "spec": {"backoffLimit": 0, "template": template},
        }


def _mount(job: Tree, volume: Tree, mount: Tree) -> Tree:
    """Add a Job's only volume; returns its container."""
    spec = job["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "volume", **volume}]
    spec["containers"][0]["volumeMounts"] = [{"name": "volume", **mount}]
    container: Tree = spec["containers"][0]
    return container


def _connections(targets: Mapping[str, Sequence[str]], wanted: Mapping[str, str]) -> dict[str, tuple[str, int, str]]:
    return {
        f"{part} {address}": (address, PORT, outcome)
        for part, outcome in wanted.items()
        for address in targets.get(part, ())
    }


def server_host(wishes: Wishes) -> str:
    """The host that is to be looked up to get to the server: the HTTP proxy's, where there is one."""
    return urlsplit(wishes.http_proxy or wishes.server).hostname or ""
