"""The local cluster itself, tried on others beside the first: what they enforce, how they end, what they leave."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from ci.cluster import Cluster, processes, teardown
from ci.cluster.kubectl import Kubectl
from ci.cluster.places import INSIDE, INTERNET_HOST, Addresses, Home, cache

pytestmark = pytest.mark.slow  # it boots four clusters beside the one that the other tests use

WELL = "cluster-no-policy: well"
PRISON = "v6-prison"


def prison(**machines: str) -> str:
    """Two pods, one of them under a policy that allows nothing; ``machines``: where each is, if that matters."""
    container = {
        "name": "it",
        "image": "localhost/busybox:test",
        "imagePullPolicy": "Never",
        "command": ["sleep", "900"],
    }
    spec = {"terminationGracePeriodSeconds": 0, "securityContext": {"runAsUser": 65532}, "containers": [container]}
    policy = {"podSelector": {"matchLabels": {"app": "prisoner"}}, "policyTypes": ["Ingress", "Egress"]}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PRISON}},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "nothing", "namespace": PRISON},
            "spec": policy,
        },
    ]
    for name in ("prisoner", "free"):
        about = {"name": name, "namespace": PRISON, "labels": {"app": name}}
        place = {"nodeSelector": {"kubernetes.io/hostname": machines[name]}} if name in machines else {}
        objects.append({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": {**spec, **place}})
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


@dataclass(frozen=True)
class Second:
    """A cluster of its own cache, driven by the command line as a person would."""

    folder: Path
    home: Home
    options: tuple[str, ...] = ("--no-policy",)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m ci.cluster``; its output is collected, so that it must not be kept open by the cluster."""
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder)}
        environment.pop("KUBECONFIG", None)
        return subprocess.run(
            [sys.executable, "-m", "ci.cluster", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )

    def up(self) -> str:
        result = self.command("up", *self.options)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def node(self) -> processes.Node:
        node = processes.of(self.home)
        assert node
        return node


@pytest.fixture(scope="module")
def second(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    if not cluster.local:
        pytest.skip("KUBECONFIG is set: the local cluster is not what is used here")
    folder = tmp_path_factory.mktemp("cache")
    (folder / "v6-node").mkdir()
    (folder / "v6-node/components").symlink_to(cache() / "components")
    second = Second(folder, Home(folder / "v6-node/cluster-no-policy", enforcing=False))
    second.up()
    yield second
    second.command("down", "--force")


@pytest.fixture
def pair(second: Second) -> Iterator[Second]:
    """A cluster of two machines."""
    pair = Second(second.folder, Home(second.folder / "v6-node/cluster-2-nodes", nodes=2), ("--nodes", "2"))
    pair.up()
    yield pair
    pair.command("down", "--nodes", "2", "--force")


def reaches_internet(kubectl: Kubectl, pod: str) -> bool:
    """Whether the pod gets an answer from the stand-in internet."""
    return reaches(kubectl, pod, INTERNET_HOST, 443)


def reaches(kubectl: Kubectl, pod: str, host: IPv4Address, port: int) -> bool:
    return kubectl.succeeds("exec", "-n", PRISON, pod, "--", "nc", "-w", "3", str(host), str(port))


def kubelet_in(state: Path) -> int:
    """The kubelet of the machine with this state folder."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (path / "comm").read_text() == "kubelet\n" and (path / f"root{INSIDE}").samefile(state):
                return int(path.name)
    raise AssertionError(f"no kubelet has {state}")


def machine() -> dict[str, set[str]]:
    """What this machine has of the kinds of things that a cluster makes."""
    namespaces = {
        str(path.readlink()) for kind in ("net", "pid", "mnt") for path in Path("/proc").glob(f"[0-9]*/ns/{kind}")
    }
    return {
        "links": {path.name for path in Path("/sys/class/net").iterdir()},
        "routes": set(subprocess.check_output(["ip", "route", "show", "table", "all"], text=True).splitlines()),
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob("**/v6-node-[0-9]")},
        "namespaces": namespaces,
    }


def of_namespace(pid: int) -> list[int]:
    """All processes in the process namespace of ``pid``: the whole cluster but its pods."""
    own = Path(f"/proc/{pid}/ns/pid").readlink()
    found = []
    for path in Path("/proc").glob("[0-9]*/ns/pid"):
        try:
            if path.readlink() == own:
                found.append(int(path.parts[2]))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("enforcing", [True, False])
def test_network_policies_count_where_they_are_enforced_and_nowhere_else(
    enforcing: bool, cluster: Cluster, second: Second
) -> None:
    kubectl = Kubectl(cluster.kubeconfig if enforcing else second.home.kubeconfig)
    kubectl("apply", "-f", "-", text=prison())
    try:
        kubectl("-n", PRISON, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=15s")
        assert reaches_internet(kubectl, "free")
        assert reaches_internet(kubectl, "prisoner") is not enforcing
    finally:
        kubectl("delete", "namespace", PRISON, "--wait=false")


def test_up_again_changes_nothing_and_is_quick(second: Second) -> None:
    before, started = second.node(), time.monotonic()
    assert "running already" in second.up()
    assert second.node() == before
    assert time.monotonic() - started < 15


def test_a_cluster_whose_processes_were_killed_from_outside_is_replaced(second: Second) -> None:
    before = second.node()
    for pid in of_namespace(before.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it went with process 1
    assert "cluster-no-policy: dead" in second.command("status").stdout
    assert "is dead: replacing it" in second.up()
    assert second.node() != before
    assert WELL in second.command("status").stdout


def test_down_leaves_nothing_behind_and_says_so_again(second: Second) -> None:
    slot = second.node().slot
    assert Addresses(slot).host_link in machine()["links"], "the check sees what is there"
    assert teardown.leftovers(slot)
    namespaces = {str(Path(f"/proc/{second.node().pid}/ns/{kind}").readlink()) for kind in ("net", "pid", "mnt")}
    assert second.command("down").stdout == "cluster-no-policy: down\ncluster: was not running\n"
    after = machine()
    assert teardown.leftovers(slot) == []
    assert Addresses(slot).host_link not in after["links"]
    assert not {route for route in after["routes"] if Addresses(slot).host_link in route}
    assert not {path for path in after["cgroups"] if path.endswith(Addresses(slot).cgroup)}
    assert not {path for path in after["mounts"] if path.startswith((str(second.folder), "/run/v6-node"))}
    assert not namespaces & after["namespaces"]
    assert not second.home.state.exists()
    assert second.command("down").stdout == "cluster: was not running\n"


def test_a_cluster_whose_cache_was_removed_goes_with_the_next_command(second: Second) -> None:
    second.up()
    node = second.node()
    (second.home.root).rename(second.folder / "moved")
    assert processes.of(second.home) is None
    assert f"{node.root}, process {node.pid}" in second.command("status").stdout
    (second.folder / "moved/state/node.json").unlink()
    assert f"process {node.pid}, abandoned" in second.command("status").stdout
    second.command("down")
    assert node.pid not in [found.pid for found in processes.running()]
    assert teardown.leftovers(node.slot) == []


def test_two_machines_are_one_cluster_and_end_together(pair: Second) -> None:
    kubectl, node = Kubectl(pair.home.kubeconfig), pair.node()
    kubectl("apply", "-f", "-", text=prison(free="node1", prisoner="node2"))
    kubectl("-n", PRISON, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=30s")
    assert reaches_internet(kubectl, "free")
    assert not reaches_internet(kubectl, "prisoner"), "policies count on the second machine too"
    kubectl("-n", PRISON, "delete", "networkpolicy", "nothing")
    deadline = time.monotonic() + 10
    while not reaches_internet(kubectl, "prisoner"):
        assert time.monotonic() < deadline
    for pod in ("free", "prisoner"):  # one of them beside the DNS, one across the wire
        assert reaches(kubectl, pod, Addresses(node.slot).dns_service, 53)

    os.kill(kubelet_in(pair.home.states[1]), signal.SIGKILL)
    while processes.of(pair.home):
        assert time.monotonic() < deadline + 10
        time.sleep(0.1)
    assert "cluster-2-nodes: dead (node2 ended with status 1)" in pair.command("status").stdout
    assert pair.command("down", "--nodes", "2").stdout == "cluster-2-nodes: was not running\n"
    assert teardown.leftovers(node.slot) == []
    assert not pair.home.state.exists()
