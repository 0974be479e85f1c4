"""Where the things are that an algorithm must not reach: found with no more rights than every pod has."""

import asyncio
import contextlib
import os
import time
from pathlib import Path
from urllib.parse import urlsplit

from launcher.config import NodeConfig
from launcher.destinations import is_address
from launcher.kubeapi import KubeApi
from launcher.names import LookUp, look_up
from launcher.serverconnection import first_hop
from launcher.status import PORT
from launcher.waysout import Surroundings

_RESOLVER = Path("/etc/resolv.conf")
_CONTROL_SECONDS = 5.0


class NoControl(Exception):  # noqa: N818
    """The launcher itself does not get to where algorithms must not: the check would show nothing."""


async def surroundings(config: NodeConfig, api: KubeApi, look_up: LookUp = look_up) -> Surroundings:
    """Find everything.

    Raises:
        ClusterUnavailable: the API server does not answer.
        OSError: the name of the vantage6 server, or of the HTTP proxy before it, does not resolve.
    """
    # Behind an HTTP proxy that one is the way to the server, and the site's DNS may not even know the server's name.
    host, port = first_hop(config.node.server)
    return Surroundings(
        proxy_port=config.kubernetes.proxy.port,
        server=tuple((address, port) for address in await look_up(host)),
        api_service=_pair(os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")),
        api_address=await _api_addresses(api),
        nameservers=nameservers(await asyncio.to_thread(_RESOLVER.read_text)),
        machine=_listed("HOST_IPS"),
        launcher=tuple((address, PORT) for address in _listed("POD_IPS")),
        outside=config.kubernetes.isolation.outside,
        databases=await _databases(config, look_up),
        egress_port=config.kubernetes.egress.port if config.kubernetes.egress else None,
    )


async def try_controls(here: Surroundings) -> float:
    """Connect to everything that the launcher may reach and an algorithm may not; returns the slowest, in seconds.

    Raises:
        NoControl: one of them can't be reached.
    """
    slowest = 0.0
    for name, (host, port) in here.controls.items():
        start = time.monotonic()
        try:
            async with asyncio.timeout(_CONTROL_SECONDS):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            why = str(error) or "no answer"
            raise NoControl(
                f"The launcher itself can't connect to {host} port {port} ({name}: {why}), so that algorithms can't "
                "would prove nothing; check `network` in the chart's values."
            ) from error
        slowest = max(slowest, time.monotonic() - start)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return slowest


def nameservers(resolver: str) -> tuple[str, ...]:
    """The DNS servers that a resolv.conf names."""
    lines = [line.split() for line in resolver.splitlines()]
    return tuple(words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")


async def _api_addresses(api: KubeApi) -> tuple[tuple[str, int], ...]:
    """The API server's own addresses, which it tells every client that asks for its versions."""
    told = (await api.call("GET", "/api")).get("serverAddressByClientCIDRs") or ()
    addresses = [urlsplit(f"//{entry['serverAddress']}") for entry in told]
    return tuple((str(found.hostname), found.port or 443) for found in addresses if found.hostname)


async def _databases(config: NodeConfig, look_up: LookUp) -> tuple[tuple[str, int], ...]:
    """The hosts of all databases: a check asks for none of them. One that has no address now can't be reached."""
    pairs = []
    for destination in (each for place in config.kubernetes.databases for each in place.reach):
        addresses = destination.addresses
        if not addresses and is_address(destination.host):
            addresses = (destination.host,)
        if not addresses:
            with contextlib.suppress(OSError):
                addresses = await look_up(destination.service or destination.host)
        pairs += [(address, destination.port) for address in addresses]
    return tuple(dict.fromkeys(pairs))


def _pair(host: str | None, port: str | None) -> tuple[tuple[str, int], ...]:
    return ((host, int(port)),) if host and port else ()


def _listed(variable: str) -> tuple[str, ...]:
    return tuple(part for part in os.environ.get(variable, "").split(",") if part)
