"""The ways out that a pod can think of by itself, for a researcher who has no list."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
METADATA = "169.254.169.254"
NAME = "kubernetes.default.svc.cluster.local"
_RESOLVER = Path("/etc/resolv.conf")


def ways_found_here() -> list[dict[str, Any]]:
    """The proxy, which must answer; and what no algorithm should reach, see or change."""
    server = urlsplit(os.environ.get("HOST", "http://proxyserver"))
    open_ways = [
        {"name": "proxy", "kind": "http", "host": server.hostname or "", "port": int(os.environ.get("PORT") or 80)}
    ]
    shut = [
        {"name": "metadata", "kind": "tcp", "host": METADATA, "port": 80},
        {"name": "lookup", "kind": "lookup", "host": NAME},
        {"name": "api-token", "kind": "file", "host": TOKEN},
        {"name": "variables", "kind": "variables", "host": "environment"},
        {"name": "root-file-system", "kind": "write", "host": "/etc"},
        {"name": "other-runs-files", "kind": "other-runs", "host": "/mnt/data"},
    ]
    for address in _nameservers():
        shut.append({"name": "cluster-dns-udp", "kind": "dns-udp", "host": address, "port": 53})
    for gateway in _gateways():
        shut.append({"name": "node-address", "kind": "icmp", "host": gateway})
        shut.append({"name": "kubelet", "kind": "tcp", "host": gateway, "port": 10250})
    return [{**way, "expected": "open"} for way in open_ways] + [{**way, "expected": "shut"} for way in shut]


def _nameservers() -> list[str]:
    lines = _RESOLVER.read_text().splitlines() if _RESOLVER.exists() else []
    found = [line.split()[1] for line in lines if line.startswith("nameserver") and len(line.split()) > 1]
    return [address for address in found if not address.startswith("127.")]


def _gateways() -> list[str]:
    """The IPv4 default gateways in the kernel's routing table: on many clusters the machine itself."""
    table = Path("/proc/net/route")
    rows = [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []
    addresses = [bytes.fromhex(row[2])[::-1] for row in rows if row[1] == "00000000" and row[2] != "00000000"]
    return [".".join(map(str, address)) for address in addresses]
