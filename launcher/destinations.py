"""The names that an algorithm may use: looked up at launch, given to it as fixed addresses, and let through.

An algorithm's pod has no DNS. What it may reach by name (the proxy, the databases its task asked for, the egress proxy)
is looked up here and written into its /etc/hosts. For hosts outside of the cluster a NetworkPolicy of the chart is
kept to the addresses found, and to those that running algorithms were given earlier.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from launcher.algorithmenv import EGRESS_HOST, PROXY_HOST, UnknownDatabase, requested
from launcher.cluster import Cluster
from launcher.config import NodeConfig
from launcher.config.kubernetes import Destination
from launcher.jobcontext import HostAlias
from launcher.names import LookUp, OneQuestion
from launcher.runs import Run

log = logging.getLogger(__name__)


class Unresolved(Exception):  # noqa: N818
    """A name has no address, or none that may be used; the message says whose name it is and what to do."""


class Destinations:
    """Looks names up and keeps the policies of databases to what it finds.

    Args:
        config: the node's configuration.
        cluster: where the policies and the Jobs are.
        look_up: finds the addresses of a name; None: as the DNS has them.
    """

    def __init__(self, config: NodeConfig, cluster: Cluster, look_up: LookUp | None = None) -> None:
        self._config = config
        self._kubernetes = config.kubernetes
        self._cluster = cluster
        self._look_up = look_up or OneQuestion()
        self._opened: dict[str, list[dict[str, Any]]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def own_aliases(self) -> tuple[HostAlias, ...]:
        """The names that every algorithm gets: the proxy's, and the egress proxy's where there is one.

        Raises:
            OSError: a Service of our own does not resolve; that passes.
        """
        aliases = _aliases(PROXY_HOST, await self._look_up(self._kubernetes.proxy.service))
        if egress := self._kubernetes.egress:
            aliases += _aliases(EGRESS_HOST, await self._look_up(egress.service))
        return aliases

    async def open(self, run: Run) -> tuple[HostAlias, ...]:
        """Let a run's databases be reached, and return every name that its algorithm gets.

        Raises:
            UnknownDatabase: the task asks for a database that the node does not have.
            Unresolved: a host of a database has no address that may be used.
            ClusterUnavailable, ApiRefusal: a policy can't be kept current.
            OSError: a Service of our own does not resolve, or the DNS does not answer.
        """
        aliases = await self.own_aliases()
        for destination in self.of(run):
            aliases += _aliases(destination.host, await self._addresses(destination))
        named = [destination for destination in self.of(run) if destination.policy]
        # Two runs at once must not each write a policy without the other's addresses.
        async with self._one_at_a_time:
            for policy in dict.fromkeys(destination.policy for destination in named):
                await self._keep(policy, aliases)
        return tuple(dict.fromkeys(aliases))

    @property
    def kept(self) -> set[str]:
        """The names of the policies whose egress this launcher keeps."""
        places = self._kubernetes.databases
        return {destination.policy for place in places for destination in place.reach if destination.policy}

    @property
    def disturbed(self) -> list[str]:
        """The policies whose egress is not what this launcher made it, but somebody else or an earlier launcher."""
        egress = {policy["metadata"]["name"]: policy["spec"].get("egress") or [] for policy in self._cluster.policies}
        return sorted(name for name in self.kept & egress.keys() if egress[name] != self._opened.get(name))

    async def restore(self) -> None:
        """Make every disturbed policy let through what running algorithms were given, and nothing else.

        Raises:
            ClusterUnavailable, ApiRefusal: it can't be written.
        """
        async with self._one_at_a_time:
            for policy in self.disturbed:
                if policy in self._opened:
                    log.warning("a NetworkPolicy was changed by somebody else", extra={"fields": {"policy": policy}})
                    del self._opened[policy]
                await self._keep(policy, ())

    def of(self, run: Run) -> list[Destination]:
        """Where the databases are that a run's task asked for."""
        labels = dict.fromkeys(database.label for database, _ in requested(self._config.node, run))
        return [destination for label in labels for destination in self._kubernetes.place_of(label).reach]

    async def moved(self, run: Run, job: Mapping[str, Any]) -> str:
        """A sentence on hosts whose addresses are no longer those that a run's algorithm was given, or nothing."""
        try:
            destinations = self.of(run)
        except UnknownDatabase:  # the configuration is another by now
            return ""
        given = _given(job)
        sentences = []
        for destination in destinations:
            try:
                now = set(await self._addresses(destination))
            except Unresolved as error:
                sentences.append(str(error))
                continue
            except OSError:  # the DNS does not answer: nothing can be said
                continue
            if (before := given.get(destination.host, now)) != now:
                sentences.append(
                    f"While the algorithm ran, the address of {destination.host} changed from {_listed(before)} to "
                    f"{_listed(now)}; an algorithm keeps the addresses it was started with, so send the task again."
                )
        return " ".join(dict.fromkeys(sentences))

    async def _addresses(self, destination: Destination) -> tuple[str, ...]:
        if destination.addresses:
            return destination.addresses
        if is_address(destination.host):
            return (destination.host,)
        name = destination.service or destination.host
        try:
            found = await self._look_up(name)
        except OSError as error:
            if error.errno == socket.EAI_AGAIN:  # the DNS did not answer: that passes
                raise
            raise Unresolved(
                f"The database host {name!r} has no address ({error.strerror or error}); "
                "ask the node's administrator to check the name, or to give its addresses."
            ) from error
        if unfit := [address for address in found if not _fit(address)]:
            raise Unresolved(
                f"The database host {name!r} has the address {unfit[0]}, which is a machine's own; "
                "ask the node's administrator to check the name."
            )
        return found

    async def _keep(self, policy: str, fresh: Iterable[HostAlias]) -> None:
        """Make a policy let through what was found just now, and what running algorithms were given."""
        destinations = [
            destination
            for place in self._kubernetes.databases
            for destination in place.reach
            if destination.policy == policy
        ]
        known = _by_name(fresh)
        for job in self._cluster.jobs:
            for host, addresses in _given(job).items():
                known.setdefault(host, set()).update(addresses)
        rules = egress_rules(destinations, known)
        if self._opened.get(policy) != rules:
            # Beforehand: a watch may show the change before the API server's answer is here.
            self._opened[policy] = rules
            try:
                await self._cluster.apply_egress(policy, rules)
            except BaseException:
                del self._opened[policy]
                raise


def egress_rules(destinations: Iterable[Destination], known: Mapping[str, set[str]]) -> list[dict[str, Any]]:
    """The egress rules that let algorithms reach these destinations at their known addresses, always in one order."""
    rules = []
    for destination in destinations:
        if addresses := known.get(destination.host):
            blocks = [{"ipBlock": {"cidr": single(address)}} for address in sorted(addresses)]
            rules.append({"to": blocks, "ports": [{"protocol": "TCP", "port": destination.port}]})
    return rules


def single(address: str) -> str:
    """The CIDR of one address."""
    return str(ipaddress.ip_network(address))


def is_address(host: str) -> bool:
    """Whether a host is given by its address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _fit(address: str) -> bool:
    """Whether a database may be at an address: a name must not open the way to the machine itself."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast)


def _aliases(host: str, addresses: Iterable[str]) -> tuple[HostAlias, ...]:
    # One line for each address: a client's resolver then returns all of them, as DNS would.
    return () if is_address(host) else tuple(HostAlias(address, (host,)) for address in addresses)


def _by_name(aliases: Iterable[HostAlias]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for alias in aliases:
        for name in alias.hostnames:
            known.setdefault(name, set()).add(alias.ip)
    return known


def _given(job: Mapping[str, Any]) -> dict[str, set[str]]:
    """The addresses that a Job's algorithm was given, by name."""
    spec = job["spec"]["template"]["spec"]
    return _by_name(_read(spec.get("hostAliases") or ()))


def _read(lines: Iterable[Mapping[str, Any]]) -> Iterator[HostAlias]:
    for line in lines:
        yield HostAlias(line["ip"], tuple(line.get("hostnames") or ()))


def _listed(addresses: Iterable[str]) -> str:
    return ", ".join(sorted(addresses))
