"""The ways out of an algorithm's pod: the one list that the isolation check, the tests and the documentation go by.

`WAYS` says what each way is; `probes` makes of it what the diagnostics algorithm is told to try here. Facts about where
these things are come from `launcher.surroundings`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from launcher.algorithmenv import EGRESS_HOST, PROXY_HOST

OPEN, SHUT = "open", "shut"
METADATA = "169.254.169.254"
API_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105  a path
CLUSTER_NAME = "kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Way:
    """A way out of an algorithm's pod."""

    name: str
    kind: str
    """How the diagnostics algorithm tries it."""
    what: str
    """What it would be, in a sentence of the documentation."""
    expected: str = SHUT
    acceptable: bool = False
    """Whether a site may put up with it (`isolation.accept`): no way to the outside or to other pods ever is."""
    may_refuse: bool = False
    """Whether a refusal proves nothing: a Service without pods is refused before any policy is asked."""
    arranged: bool = False
    """Whether the target is made for a test, as the launcher can't find one by itself."""


WAYS = (
    Way("proxy", "http", "the node's proxy, by its name", OPEN),
    Way("egress-proxy", "tcp", "the egress proxy, by its name, where something is whitelisted", OPEN),
    Way("whitelisted", "via", "a whitelisted host, through the egress proxy", OPEN, arranged=True),
    Way("own-database", "tcp", "a database that the task asked for", OPEN, arranged=True),
    Way("not-whitelisted", "via", "a host that is not whitelisted, through the egress proxy"),
    Way("vantage6-server", "tcp", "the vantage6 server, past the proxy"),
    Way("internet-ipv4", "tcp", "a host beyond the cluster, over IPv4"),
    Way("internet-ipv6", "tcp", "a host beyond the cluster, over IPv6"),
    Way("external-dns-udp", "dns-udp", "a DNS server beyond the cluster, over UDP"),
    Way("external-dns-tcp", "dns-tcp", "a DNS server beyond the cluster, over TCP"),
    Way("external-dns-udp-ipv6", "dns-udp", "a DNS server beyond the cluster, over UDP and IPv6"),
    Way("icmp-ipv4", "icmp", "an echo request to a host beyond the cluster"),
    Way("icmp-ipv6", "icmp", "the same over IPv6"),
    Way("cluster-dns-udp", "dns-udp", "the cluster's DNS, over UDP"),
    Way("cluster-dns-tcp", "dns-tcp", "the cluster's DNS, over TCP"),
    Way("lookup", "lookup", "looking up a name"),
    Way("api-service", "tcp", "the API server, by its Service"),
    Way("api-address", "tcp", "the API server, by its own address"),
    Way("kubelet", "tcp", "the kubelet of the machine", acceptable=True),
    Way("node-address", "icmp", "an address of the machine", acceptable=True),
    Way("node-port", "tcp", "a Service's port on the machine", acceptable=True, arranged=True),
    Way("metadata", "tcp", "the cloud's metadata service"),
    Way("launcher", "tcp", "the launcher's pod"),
    Way("other-run", "tcp", "another run's pod", arranged=True),
    Way("other-namespace", "tcp", "a pod of another namespace", arranged=True),
    Way("other-node", "tcp", "the proxy of another vantage6 node", arranged=True),
    Way("other-database", "tcp", "a database that the task did not ask for", may_refuse=True),
    Way("api-token", "file", "the token of a service account"),
    Way("variables", "variables", "variables that announce the cluster's Services"),
    Way("root-file-system", "write", "changing the image's files"),
    Way("other-runs-files", "other-runs", "another run's files"),
)
BY_NAME = {way.name: way for way in WAYS}
CONTROLLED = frozenset({"vantage6-server", "api-service", "api-address", "cluster-dns-tcp"})
"""Ways on which the launcher itself gets through: somebody is there who answers."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the things are that an algorithm must not reach. Pairs are of address and port."""

    proxy_port: int
    server: tuple[tuple[str, int], ...] = ()
    api_service: tuple[tuple[str, int], ...] = ()
    api_address: tuple[tuple[str, int], ...] = ()
    nameservers: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()
    launcher: tuple[tuple[str, int], ...] = ()
    outside: tuple[str, ...] = ()
    databases: tuple[tuple[str, int], ...] = ()
    egress_port: int | None = None
    """Port of the egress proxy, where there is one."""

    @property
    def controls(self) -> dict[str, tuple[str, int]]:
        """Targets that the launcher itself reaches, by way: if it can't, that an algorithm can't shows nothing."""
        found = {"vantage6-server": self.server, "api-service": self.api_service, "api-address": self.api_address}
        controls = {name: targets[0] for name, targets in found.items() if targets}
        return controls | ({"cluster-dns-tcp": (self.nameservers[0], 53)} if self.nameservers else {})


def probes(here: Surroundings, seconds: float) -> list[dict[str, Any]]:
    """What the diagnostics algorithm is to try here, each for at most so many seconds."""
    return [
        {"name": name, "kind": BY_NAME[name].kind, "expected": BY_NAME[name].expected, "timeout": seconds, **target}
        for name, target in _targets(here)
    ]


def _targets(here: Surroundings) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "proxy", {"host": PROXY_HOST, "port": here.proxy_port}
    if here.egress_port:
        yield "egress-proxy", {"host": EGRESS_HOST, "port": here.egress_port}
        for host, port in here.api_service:  # which no whitelist has
            yield "not-whitelisted", {"host": host, "port": port, "proxy": [EGRESS_HOST, here.egress_port]}
    pairs = {
        "vantage6-server": here.server,
        "api-service": here.api_service,
        "api-address": here.api_address,
        "launcher": here.launcher,
        "other-database": here.databases,
        "kubelet": tuple((address, 10250) for address in here.machine),
        "metadata": ((METADATA, 80),),
    }
    for name, targets in pairs.items():
        yield from ((name, {"host": host, "port": port}) for host, port in targets)
    for address in here.nameservers:
        yield "cluster-dns-udp", {"host": address, "port": 53}
        yield "cluster-dns-tcp", {"host": address, "port": 53}
    for address in here.outside:
        yield from _beyond(address)
    for address in here.machine:
        yield "node-address", {"host": address}
    yield "lookup", {"host": CLUSTER_NAME}
    yield "api-token", {"host": API_TOKEN}
    yield "variables", {"host": "environment"}
    yield "root-file-system", {"host": "/etc"}
    yield "other-runs-files", {"host": "/mnt/data"}


def _beyond(address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if ":" in address:
        yield "internet-ipv6", {"host": address, "port": 443}
        yield "external-dns-udp-ipv6", {"host": address, "port": 53}
        yield "icmp-ipv6", {"host": address}
    else:
        yield "internet-ipv4", {"host": address, "port": 443}
        yield "external-dns-udp", {"host": address, "port": 53}
        yield "external-dns-tcp", {"host": address, "port": 53}
        yield "icmp-ipv4", {"host": address}
