"""The Kubernetes cluster that tests and the demo use: the one KUBECONFIG names, or a local one built for them."""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import yaml

from ci.cluster import build, containerd, lifecycle
from ci.cluster.errors import ClusterError
from ci.cluster.places import Home

__all__ = ["Cluster", "ClusterError", "ensure", "foreign"]


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up. While this object lives, a local one is not taken away from under it."""

    kubeconfig: Path
    home: Home | None = None
    """The folder of a local cluster; None for one that KUBECONFIG names."""
    use: IO[str] | None = field(default=None, repr=False, compare=False)

    @property
    def local(self) -> bool:
        return self.home is not None

    @property
    def host_address(self) -> str:
        """The address at which pods reach this machine: the one from which this machine reaches the API server.

        Raises:
            ClusterError: where that is a loopback address (a cluster in containers of this machine), which pods
                cannot reach, and V6_NODE_HOST_ADDRESS does not say the right one.
        """
        if given := os.environ.get("V6_NODE_HOST_ADDRESS"):
            return given
        server = urlsplit(_server(self.kubeconfig))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # nothing is sent
            probe.connect((server.hostname or "", server.port or 443))
            address: str = probe.getsockname()[0]
        if address.startswith("127."):
            raise ClusterError(
                f"The API server's address {server.netloc} does not tell how pods reach this machine: "
                "set V6_NODE_HOST_ADDRESS to an address of this machine that they can reach."
            )
        return address

    def load(self, tars: list[Path]) -> None:
        """Put the images of OCI archives where pods can use them, except those that are there already.

        Raises:
            ClusterError: for an archive that containerd refuses, and for a cluster that is not ours.
        """
        if self.home is None:
            raise ClusterError(f"The cluster of {self.kubeconfig} is not a local one: push or load images its own way.")
        containerd.load(self.home, tars)

    def add_gvisor(self) -> None:
        """Have pods of the RuntimeClass gvisor run; where it was never built, that takes minutes.

        Raises:
            ClusterError: when it can't be built, and for a cluster that is not ours.
        """
        if self.home is None:
            raise ClusterError(f"The cluster of {self.kubeconfig} is not a local one: install gVisor its own way.")
        lifecycle.add(self.home, build.GVISOR)


def foreign() -> Path | None:
    """The kubeconfig that KUBECONFIG names (the first, if it names several), unless it is a local cluster's."""
    names = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    ours = {home.kubeconfig for home in Home.every()}
    return names[0] if names and names[0] not in ours else None


def ensure(*, enforcing: bool = True, nodes: int = 1, dra: bool = False) -> Cluster:
    """The cluster to test on: KUBECONFIG's, or else the local one, booted if need be.

    With ``enforcing`` False, another local cluster, in which NetworkPolicies have no effect; with ``nodes`` 2, another
    one of two machines; with ``dra``, another one of which devices can be claimed.

    Raises:
        ClusterError: in one sentence, when there is none and none can be made.
    """
    kubeconfig = foreign()
    if kubeconfig is None:
        home = Home.of(enforcing=enforcing, nodes=nodes, dra=dra)
        return Cluster(home.kubeconfig, home, lifecycle.up(home, using=True))
    if not kubeconfig.exists():
        raise ClusterError(f"KUBECONFIG names {kubeconfig}, which does not exist: correct or unset it.")
    return Cluster(kubeconfig)


def _server(kubeconfig: Path) -> str:
    """The API server's URL in the current context."""
    config = yaml.safe_load(kubeconfig.read_text())

    def named(kind: str, name: str) -> dict[str, Any]:
        return next(entry[kind] for entry in config[f"{kind}s"] if entry["name"] == name)

    try:
        context = named("context", config["current-context"])
        return str(named("cluster", context["cluster"])["server"])
    except (KeyError, StopIteration, TypeError) as error:
        raise ClusterError(f"{kubeconfig} has no current context with a cluster's server: choose one.") from error
