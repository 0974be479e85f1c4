"""A vantage6 node in the cluster: a namespace, a values file, and the chart's release in it."""

import json
import os
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ci.cluster.locks import exclusive
from ci.images import Image
from ci.tools import cache_folder
from tests.stage import StageError
from tests.stage.federation import Collaboration, NodeAccount
from tests.stage.kube import Kubectl
from tests.stage.waiting import wait_until

CHART = Path(__file__).parents[2] / "charts" / "v6-node"
RELEASE = "v6-node"
ONLINE_SECONDS = 120.0
# Hosts beyond the cluster: the local cluster's stand-in for the internet; elsewhere addresses that pods there reach.
INTERNET = tuple(os.environ.get("V6_NODE_TEST_INTERNET", "203.0.113.10,2001:db8:203::10").split(","))
LAUNCHER = "v6-node-launcher-0"
OPTIONAL = {"egress": "v6-node-egress", "tunnels": "v6-node-tunnel"}


def values_for(
    account: NodeAccount, server_url: str, port: int, images: Mapping[str, Image], **node: Any
) -> dict[str, Any]:
    """Make the chart's values for a node of a server on this stage.

    Args:
        account: what the server knows the node by.
        server_url: scheme and host of the server.
        port: its port.
        images: the product's, which the cluster has already; those of egress proxy and tunnels may be missing.
        node: further keys of the section `node`, such as `databases`.
    """
    return {
        "node": {
            "api_key": account.api_key,
            "server_url": server_url,
            "port": port,
            "api_path": "/api",
            # The images are in the cluster, and in no registry.
            "policies": {"require_algorithm_pull": False},
            **node,
        },
        **images_for(images),
        "taskVolume": {"size": "1Gi"},
    }


def images_for(images: Mapping[str, Image]) -> dict[str, Any]:
    """The part of the values that says which images the product consists of, and what the isolation check tries."""
    return {
        "image": image_for(images["v6-node"].ref),
        "isolation": {"image": image_for(images["v6-node-diagnostics"].ref), "outside": list(INTERNET)},
        **{section: {"image": image_for(images[name].ref)} for section, name in OPTIONAL.items() if name in images},
    }


def image_for(reference: str) -> dict[str, str]:
    """The values' way to name an image."""
    repository, _, tag = reference.rpartition(":")
    return {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}


class Release:
    """The chart's release in a namespace of its own.

    Args:
        kubectl: the cluster.
        namespace: name of the namespace to make for it.
        values: the chart's values.
        folder: where the values file is kept.
        owner: value of the namespace's label that says whose it is.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, values: dict[str, Any], *, folder: Path, owner: str) -> None:
        self.kubectl = kubectl
        self.namespace = namespace
        self.values = values
        self.values_file = folder / f"{namespace}.yaml"
        self.owner = owner

    def create_namespace(self) -> None:
        self.kubectl.create_namespace(self.namespace, self.owner)

    def install(self) -> None:
        """Install the chart, or upgrade it to the values as they are now; returns before the node is online."""
        self.values_file.touch(mode=0o600)  # it holds the API key
        self.values_file.write_text(yaml.dump(self.values, Dumper=Quoting, sort_keys=False))
        self.kubectl.helm(
            "upgrade", "--install", RELEASE, str(CHART), "-f", str(self.values_file), namespace=self.namespace
        )

    def launcher_log(self, *, previous: bool = False) -> str:
        return self.kubectl("logs", LAUNCHER, *(["--previous"] if previous else []), namespace=self.namespace)

    def _last_words(self) -> str:
        try:
            return "\n".join(self.launcher_log().splitlines()[-20:])
        except StageError as error:  # it may not have started at all
            return f"{error}\n{self.kubectl.story(self.namespace)}"

    def launcher_events(self) -> list[dict[str, Any]]:
        """Return what the launcher said so far, a JSON object for each line."""
        return [json.loads(line) for line in self.launcher_log().splitlines() if line.startswith("{")]

    def scale_launcher(self, replicas: int) -> None:
        """Take the launcher away (0) or bring it back (1), as an administrator does it."""
        self.kubectl("scale", "statefulset/v6-node-launcher", f"--replicas={replicas}", namespace=self.namespace)

    def pods(self, role: str) -> list[dict[str, Any]]:
        """Return the pods of a role: launcher, proxy or algorithm."""
        pods = self.kubectl.get("pods", namespace=self.namespace, selector=f"v6-node.vantage6.ai/role={role}")
        return list(pods)

    def jobs(self) -> list[dict[str, Any]]:
        return list(self.kubectl.get("jobs", namespace=self.namespace))

    def kill_launcher(self) -> str:
        """End the launcher's process with SIGKILL, no warning given; returns how.

        Where the cluster's processes are this machine's, the signal goes to the very process, and its container is
        restarted in the same pod. Elsewhere the pod is deleted with a grace period of 0, the closest the API offers.
        """
        (pod,) = self.pods("launcher")
        process = process_of(pod["metadata"]["uid"])
        if process is not None:
            os.kill(process, signal.SIGKILL)
            return f"SIGKILL to process {process}"
        self.kubectl("delete", "pod", LAUNCHER, "--grace-period=0", "--force", namespace=self.namespace)
        return "pod deleted with grace period 0"

    def kill_proxy(self) -> None:
        """End a proxy without warning, as far as the API lets one."""
        pod = self.pods("proxy")[0]["metadata"]["name"]
        self.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false", namespace=self.namespace)

    def uninstall(self, *options: str) -> str:
        """Uninstall the chart as an administrator does; returns what helm says, and the pod that it runs before."""
        words = ("uninstall", RELEASE, "--ignore-not-found", *options)
        return self.kubectl.helm(*words, namespace=self.namespace, aside=True)

    def remove(self, *, wait: bool = False) -> None:
        """Uninstall it (what is cluster-wide goes with the release), without a farewell, and delete its namespace."""
        self.uninstall("--no-hooks")
        self.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", f"--wait={str(wait).lower()}")


class Node(Release):
    """One node of a collaboration.

    Args:
        kubectl, namespace, values, folder, owner: as of a release.
        collaboration: the node's.
        account: which of its nodes.
    """

    def __init__(
        self,
        kubectl: Kubectl,
        collaboration: Collaboration,
        account: NodeAccount,
        namespace: str,
        values: dict[str, Any],
        *,
        folder: Path,
        owner: str,
    ) -> None:
        super().__init__(kubectl, namespace, values, folder=folder, owner=owner)
        self.collaboration = collaboration
        self.account = account

    def start(self) -> "Node":
        """Make the namespace, install the chart and wait until the server calls the node online."""
        self.create_namespace()
        self.install()
        return self.wait_online()

    def status(self) -> str:
        """Return what the server says: `online` or `offline`."""
        answer = self.collaboration.federation.root.node.get(self.account.id)
        return str(answer["status"] or "offline")

    def wait_online(self, seconds: float = ONLINE_SECONDS) -> "Node":
        """Wait for the server to call it online.

        Raises:
            StageError: it did not; the message ends with what its launcher said last.
        """
        return self._wait_status("online", seconds)

    def wait_offline(self, seconds: float = ONLINE_SECONDS) -> "Node":
        return self._wait_status("offline", seconds)

    def _wait_status(self, status: str, seconds: float) -> "Node":
        def describe() -> str:
            return (
                f"node {self.account.name} is {self.status()}, not {status}; its launcher said:\n{self._last_words()}"
            )

        wait_until(lambda: self.status() == status, seconds, describe)
        return self


class Quoting(yaml.SafeDumper):
    """Quotes what looks like a number to Go's YAML though not to Python's, such as an image tag 12e456."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "'" if re.fullmatch(r"[0-9.][0-9.eE+_-]*", text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Quoting.add_representer(str, Quoting.represent_text)


def owner_of_this_process() -> str:
    """Return a label value that tells which machine's which process made something."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}"


def process_of(pod_uid: str) -> int | None:
    """Find the launcher of a pod among this machine's processes: their cgroup names the pod."""
    for cgroup in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            # The systemd driver writes the uid with underscores.
            inside = pod_uid in cgroup.read_text().replace("_", "-")
            command = cgroup.with_name("cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if inside and b"launcher" in command:
            return int(cgroup.parent.name)
    return None


def remove_orphans(kubectl: Kubectl, label: str) -> list[str]:
    """Remove what processes of this machine made that are no more (a test session that was killed).

    Returns:
        The names of the namespaces that were removed.

    Raises:
        StageError: the cluster refused.
    """
    removed = []
    # One process at a time: of two that uninstall a release, helm tells one that there was none to remove.
    with exclusive(cache_folder() / "orphans.lock", "waiting for another process that tidies up"):
        for namespace in kubectl.get("namespaces", selector=label):
            name = namespace["metadata"]["name"]
            if orphaned(namespace["metadata"]["labels"][label]):
                kubectl.helm("uninstall", RELEASE, "--ignore-not-found", "--no-hooks", namespace=name)
                kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")  # it may be going already
                removed.append(name)
    return removed


def orphaned(owner: str) -> bool:
    """Whether what has this owner was made by a process of this machine that is no more."""
    host, _, pid = owner.rpartition("-")
    return host == socket.gethostname()[:40] and pid.isdigit() and not Path(f"/proc/{pid}").exists()
