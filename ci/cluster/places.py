"""Where everything of the local cluster lives, and the addresses it uses: the one place to change either."""

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import product
from pathlib import Path

SLOTS = 8
RANGE = IPv4Network("198.18.0.0/15")
"""Set aside by RFC 2544 for tests between devices, so that it collides with no real network."""

INTERNET = IPv4Network("203.0.113.0/24")
"""TEST-NET-3 of RFC 5737. Only the node's network namespace has a route to it."""
INTERNET_GATEWAY = INTERNET[1]
INTERNET_HOST = INTERNET[10]
INTERNET6 = IPv6Network("2001:db8:203::/64")
"""Of the documentation prefix of RFC 3849; likewise."""
INTERNET6_GATEWAY = INTERNET6[1]
INTERNET6_HOST = INTERNET6[0x10]
INTERNET_NAME = "internet.test"
METADATA = IPv4Address("169.254.169.254")
"""Where clouds tell machines who they are; here the stand-in internet answers, or a test of that would show nothing."""

INSIDE = Path("/run/v6-node")
"""Where the state folder appears to all that runs inside the node: short enough for a Unix socket's 107 bytes."""
MACHINE = Path("/run/v6-node-cluster")
"""Locks shared by every checkout and every cache on this machine."""


@dataclass(frozen=True)
class Addresses:
    """The addresses of the cluster in one slot of the machine; clusters in different slots run side by side.

    Pods, Services and the node have IPv6 addresses (RFC 4193) too; this machine and the node talk IPv4 only.
    """

    slot: int

    @property
    def block(self) -> IPv4Network:
        """A /18 of the range; slot 0 has the last."""
        return list(RANGE.subnets(new_prefix=18))[SLOTS - 1 - self.slot]

    @property
    def pods(self) -> IPv4Network:
        """The lower half of the block, of which each node takes a /24."""
        return next(iter(self.block.subnets(1)))

    @property
    def services(self) -> IPv4Network:
        return list(self.block.subnets(2))[2]

    @property
    def block6(self) -> IPv6Network:
        return IPv6Network(f"fd98:7636:{self.slot}::/48")

    @property
    def pods6(self) -> IPv6Network:
        """Of which each node takes a /64."""
        return list(self.block6.subnets(new_prefix=56))[1]

    @property
    def services6(self) -> IPv6Network:
        return next(list(self.block6.subnets(new_prefix=56))[2].subnets(new_prefix=112))

    @property
    def link(self) -> IPv4Network:
        """The wire between this machine and the node."""
        return list(self.block.subnets(new_prefix=24))[48]

    @property
    def host(self) -> IPv4Address:
        """This machine, as pods reach it."""
        return self.link[1]

    @property
    def node(self) -> IPv4Address:
        """The first machine, which has the API server, and the only way to all others."""
        return Machine(self).address

    @property
    def api_service(self) -> IPv4Address:
        return self.services[1]

    @property
    def dns_service(self) -> IPv4Address:
        return self.services[10]

    @property
    def host_link(self) -> str:
        """The machine's end of the wire; the kernel removes it with the node's network namespace."""
        return f"v6n{self.slot}"

    @property
    def cgroup(self) -> str:
        """A cgroup root of its own: two kubelets below one root remove each other's pods."""
        return f"v6-node-{self.slot}"


@dataclass(frozen=True)
class Machine:
    """A machine of the cluster, as Kubernetes sees it: a kubelet with what it needs.

    The first is all of the node's namespaces, and has the control plane. A second has a network, mount and process
    namespace of its own below them, where its state is at the same places as the first's.
    """

    addresses: Addresses
    number: int = 1

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def first(self) -> bool:
        return self.number == 1

    @property
    def address(self) -> IPv4Address:
        return self.addresses.link[self.number + 1]

    @property
    def address6(self) -> IPv6Address:
        return self.addresses.block6[self.number + 1]

    @property
    def folder(self) -> Path:
        """Where its state is in the cluster's state folder."""
        return Path() if self.first else Path(self.name, "state")

    @property
    def cgroup(self) -> str:
        """Beside the first one's pods, not among them."""
        return self.addresses.cgroup if self.first else f"{self.addresses.cgroup}/{self.name}"


def cache() -> Path:
    """The folder for what takes long to make."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "v6-node"


@dataclass(frozen=True)
class Home:
    """The folder of one local cluster: a cache's normal one, or another (without policies, of two nodes, with DRA)."""

    root: Path
    enforcing: bool = True
    nodes: int = 1
    dra: bool = False
    """Whether devices can be claimed (Dynamic Resource Allocation): with containerd 2, and a driver that has some."""

    @classmethod
    def of(cls, *, enforcing: bool = True, nodes: int = 1, dra: bool = False) -> "Home":
        others = {"-no-policy": not enforcing, f"-{nodes}-nodes": nodes > 1, "-dra": dra}
        name = "cluster" + "".join(suffix for suffix, applies in others.items() if applies)
        return cls(cache() / name, enforcing, nodes, dra)

    @classmethod
    def every(cls) -> list["Home"]:
        """The normal one first."""
        kinds = product((False, True), (1, 2), (True, False))
        return [cls.of(enforcing=enforcing, nodes=nodes, dra=dra) for dra, nodes, enforcing in kinds]

    def machines(self, addresses: Addresses) -> list[Machine]:
        return [Machine(addresses, number) for number in range(1, self.nodes + 1)]

    @property
    def kubeconfig(self) -> Path:
        """Written last: it exists when the cluster has booted."""
        return self.root / "kubeconfig"

    @property
    def state(self) -> Path:
        """All that the running cluster writes, and that goes with it."""
        return self.root / "state"

    @property
    def states(self) -> list[Path]:
        """The part of each machine."""
        return [self.state / machine.folder for machine in self.machines(Addresses(0))]

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def failed(self) -> Path:
        """The logs of the last boot that failed."""
        return self.root / "failed-log"

    @property
    def lock(self) -> Path:
        """Held while the cluster is booted or taken down."""
        return self.root / "lock"

    @property
    def users(self) -> Path:
        """Held, shared, by every process that is using the cluster."""
        return self.root / "users"
