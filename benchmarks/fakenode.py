"""A machine that there is none of: kwok says in its kubelet's place that pods run, and that they end.

What it leaves is the work of API server, scheduler, controllers and node. It needs the local cluster: the API server
asks a kubelet for logs only if the cluster's own authority signed its certificate. The node's check of its isolation
runs on a real machine as ever.
"""

import asyncio
import contextlib
import json
import secrets
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.scene import Scene
from ci.cluster import build
from ci.cluster.certificates import Authority
from tests.stage import StageError
from tests.stage.claims import claim_folder
from tests.stage.kube import STAGE_LABEL
from tests.stage.node import owner_of_this_process

PORT = 10250
ENDS = "benchmark.example.org/ends"
SOON = "soon"
RUN_MILLISECONDS = 1000
PODS = 1000
"""How many run at once."""
_CLAIM = "tasks"
_READY_SECONDS = 60
_GONE_SECONDS = 900
# The scheduling of all but checks, which have task number 0.
_TEMPLATE = """\
{{% extends "shipped/job.yaml.j2" %}}
{{% block scheduling %}}
{{% if task.id %}}
      nodeSelector:
        kubernetes.io/hostname: {name}
      tolerations:
        - key: {taint}
          operator: Exists
{{% else %}}
{{{{ super() }}}}
{{% endif %}}
{{% endblock %}}
"""
_RUNNING = """\
phase: Running
startTime: {{ Now | Quote }}
conditions:
- {type: Ready, status: "True", lastTransitionTime: {{ Now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  restartCount: 0
  state: {running: {startedAt: {{ Now | Quote }}}}
{{ end }}
"""
_ENDED = """\
phase: Succeeded
conditions:
- {type: Ready, status: "False", reason: PodCompleted, lastTransitionTime: {{ Now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  restartCount: 0
  state:
    terminated: {exitCode: 0, reason: Completed, startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }}}
{{ end }}
"""


@dataclass(frozen=True)
class FakeNode:
    """The machine, and what a node that uses it is installed with."""

    name: str
    scene: Scene
    tasks: Path
    namespaces: list[str] = field(default_factory=list)
    """Those that have pods on it."""

    def values(self, *, ending: bool) -> dict[str, Any]:
        """The chart's values: all runs are for this machine, and end after a second, or not at all."""
        template = _TEMPLATE.format(name=self.name, taint=ENDS)
        jobs: dict[str, Any] = {"templates": {"job.yaml.j2": template}}
        if ending:
            jobs["podLabels"] = {ENDS: SOON}
        return {"jobs": jobs, "taskVolume": {"existingClaim": _CLAIM, "accessModes": ["ReadWriteMany"]}}

    def prepare(self, namespace: str) -> None:
        """Make a task volume that pods of any machine may have: a folder of the real one, at no particular machine."""
        self.namespaces.append(namespace)
        claim_folder(self.scene.kubectl, namespace, _CLAIM, self.tasks)


@contextlib.asynccontextmanager
async def fake_node(scene: Scene) -> AsyncIterator[FakeNode]:
    """A fake machine, until the end.

    Raises:
        StageError: the cluster is not the local one, or kwok does not start.
    """
    if scene.cluster.home is None:
        raise StageError("A simulated kubelet needs the local cluster; unset KUBECONFIG.")
    await asyncio.to_thread(build.ensure, print, (build.KWOK,))
    name = f"v6-fake-{secrets.token_hex(3)}"
    folder = scene.folder / name
    folder.mkdir()
    address = IPv4Address(scene.cluster.host_address) + 8
    (folder / "log").write_text(f"{datetime.now(UTC).isoformat().replace('+00:00', 'Z')} stdout F simulated\n")
    (folder / "kwok.yaml").write_text(configuration(folder / "log", address))
    issue_certificate(scene.cluster.home.state / "pki", folder, address)
    nodes = "/api/v1/nodes"
    with contextlib.ExitStack() as stack:
        # Beside the scene's own folder, which has secrets: the launcher is nobody in particular on this machine.
        tasks = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="v6-bench-tasks-")))
        tasks.chmod(0o777)
        stack.enter_context(own_address(scene.cluster.host_address, address))
        await scene.api.call("POST", nodes, machine(name))
        try:
            kwok = stack.enter_context(program(scene, name, folder, address))
            await ready(scene, name, kwok)
            fake = FakeNode(name, scene, tasks)
            try:
                yield fake
            finally:
                await emptied(fake)
        finally:
            await scene.api.call("DELETE", f"{nodes}/{name}")
            volumes = "/api/v1/persistentvolumes"
            chosen = {"labelSelector": f"{STAGE_LABEL}={owner_of_this_process()}"}
            await scene.api.call("DELETE", volumes, query=chosen)


async def ready(scene: Scene, name: str, kwok: "subprocess.Popen[bytes]") -> None:
    """Wait until kwok keeps the machine's lease: until then the cluster thinks that it is lost."""
    lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}"
    for _ in range(_READY_SECONDS * 2):
        if kwok.poll() is not None:
            raise StageError(f"kwok ended with code {kwok.returncode}: see what it printed.")
        with contextlib.suppress(StageError):
            await scene.api.call("GET", lease)
            return
        await asyncio.sleep(0.5)
    raise StageError(f"kwok did not take machine {name} within {_READY_SECONDS} s.")


async def emptied(fake: FakeNode) -> None:
    """Wait until the namespaces with pods on the machine are gone: without its kubelet they would go slowly."""
    for namespace in fake.namespaces:
        arguments = ("wait", "--for=delete", f"namespace/{namespace}", f"--timeout={_GONE_SECONDS}s")
        with contextlib.suppress(StageError):  # they still go, when the cluster misses the machine
            await asyncio.to_thread(fake.scene.kubectl, *arguments, seconds=_GONE_SECONDS + 10)


@contextlib.contextmanager
def program(scene: Scene, name: str, folder: Path, address: IPv4Address) -> Any:
    """Run kwok."""
    command = [
        str(build.KWOK.folder / "kwok"),
        f"--kubeconfig={scene.cluster.kubeconfig}",
        f"--config={folder / 'kwok.yaml'}",
        f"--manage-single-node={name}",
        f"--node-ip={address}",
        f"--node-port={PORT}",
        f"--server-address={address}:{PORT}",
        f"--tls-cert-file={folder / 'kubelet.crt'}",
        f"--tls-private-key-file={folder / 'kubelet.key'}",
        "--node-lease-duration-seconds=40",
    ]
    with (folder / "kwok.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    except BaseException:
        print((folder / "kwok.log").read_text()[-3000:])
        raise
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def own_address(host: str, address: IPv4Address) -> Any:
    """Give this machine one more address on the wire to the cluster: the fake machine's.

    Were it one that the cluster knows as this machine's, policies would take the vantage6 server for a machine.
    """
    told = subprocess.run(["ip", "-json", "address"], capture_output=True, text=True, check=True).stdout
    (link,) = [each["ifname"] for each in json.loads(told) for one in each["addr_info"] if one.get("local") == host]
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", link], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "address", "del", f"{address}/32", "dev", link], check=False)


def issue_certificate(pki: Path, folder: Path, address: IPv4Address) -> None:
    """Write kubelet.crt and kubelet.key, of the cluster's own authority."""
    key = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    authority = Authority(folder, key, x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes()))
    authority.issue("kubelet", "system:node:fake", "system:nodes", server=[address])


def machine(name: str) -> dict[str, Any]:
    """The machine, which nothing is put on that does not ask for it."""
    taint = {"key": ENDS, "value": "never", "effect": "NoSchedule"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    labels[STAGE_LABEL] = owner_of_this_process()
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [taint]},
    }


def configuration(log: Path, address: IPv4Address) -> str:
    """What kwok does: the machine is ready; a pod runs at once, ends where it is marked so, goes when it is deleted."""
    ready = {
        "key": '.status.conditions.[] | select(.type == "Ready") | .status',
        "operator": "NotIn",
        "values": ["True"],
    }
    left = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    pending, running = ({"key": ".status.phase", "operator": "In", "values": [each]} for each in ("Pending", "Running"))
    marked = {"key": f'.metadata.labels["{ENDS}"]', "operator": "In", "values": [SOON]}
    deleted = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}
    stages = [
        _stage("is ready", [ready], {"statusTemplate": _machine_status(address)}, kind="Node"),
        _stage("starts", [left, pending], {"statusTemplate": _RUNNING}),
        _stage("ends", [left, running, marked], {"statusTemplate": _ENDED}, RUN_MILLISECONDS),
        _stage("goes", [deleted], {"delete": True}),
    ]
    logs = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "logs"},
        "spec": {"logs": [{"logsFile": str(log), "follow": True}]},
    }
    return yaml.safe_dump_all([*stages, logs])


def _machine_status(address: IPv4Address) -> str:
    """What a kubelet would say of the machine."""
    room = {"cpu": "10k", "memory": "100Ti", "ephemeral-storage": "100Ti", "pods": str(PODS)}
    now = "{{ Now }}"
    ready = {"type": "Ready", "status": "True", "reason": "Simulated", "lastHeartbeatTime": now}
    told = {
        "conditions": [ready | {"lastTransitionTime": now}],
        "addresses": [{"type": "InternalIP", "address": str(address)}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": PORT}},
        "capacity": room,
        "allocatable": room,
    }
    return json.dumps(told)  # JSON is YAML


def _stage(
    name: str, when: list[dict[str, Any]], then: dict[str, Any], milliseconds: int = 0, *, kind: str = "Pod"
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": when},
        "next": then,
    }
    if milliseconds:
        spec["delay"] = {"durationMilliseconds": milliseconds}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name.replace(" ", "-")},
        "spec": spec,
    }
