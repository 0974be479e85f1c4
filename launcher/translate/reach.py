"""What an algorithm connects to, as far as a database's uri tells."""

import ipaddress
import re

PORTS = {
    "postgresql": 5432,
    "postgres": 5432,
    "redshift": 5439,
    "mysql": 3306,
    "mariadb": 3306,
    "mssql": 1433,
    "sqlserver": 1433,
    "oracle": 1521,
    "mongodb": 27017,
    "http": 80,
    "https": 443,
}
"""The port of a service that names none, by the scheme of its uri."""

_HOSTNAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_URI = re.compile(r"(?:jdbc:)?([A-Za-z][A-Za-z0-9.-]*)(?:\+[A-Za-z0-9_.-]+)?://([^/?#;\\]*)(.*)", re.ASCII | re.DOTALL)
_PAIR = re.compile(r"([A-Za-z0-9.-]+):([0-9]{1,5})(?:/.*)?", re.ASCII)
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", re.ASCII)
_PATH = re.compile(r"(/|~|\.{1,2}/|file:|[A-Za-z]:\\)")
_EMBEDDED = re.compile(r"(jdbc:)?(sqlite|duckdb)\b|[^:]*\.(db|duckdb|sqlite3?)$", re.IGNORECASE)


def is_file(uri: str) -> bool:
    """Whether a uri names a file instead of something to connect to."""
    return bool(_PATH.match(uri) or _EMBEDDED.match(uri))


def is_address(host: str) -> bool:
    """Whether a host is given by its address, in the form that the chart knows."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def is_host(host: str) -> bool:
    """Whether the chart takes a host: an address, or a name in lower case that does not look like one."""
    name = _HOSTNAME.fullmatch(host) is not None and not re.fullmatch(r"[0-9.]+", host)
    return len(host) <= 253 and (name or is_address(host))


def is_this_machine(host: str) -> bool:
    """Whether a host is, in Docker's words, the machine that the node runs on: in a pod it is something else."""
    if host in {"localhost", "host.docker.internal", "gateway.docker.internal", "172.17.0.1"}:
        return True
    return is_address(host) and (ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified)


def destinations(uri: str) -> list[tuple[str, int | None]]:
    """Host and port of each place that a uri names, in lower case; port None if neither it nor its scheme tells.

    Empty if the uri does not tell, for example because a driver finds the host in its parameters.
    """
    if pair := _PAIR.fullmatch(uri):
        return [(pair[1].lower(), int(pair[2]))] if 0 < int(pair[2]) < 65536 else []
    found = _URI.fullmatch(uri)
    # An @ behind the authority is a password with an unquoted slash: what is in front is no host.
    if not found or found[3].startswith("\\") or ("@" in found[3] and "@" not in found[2]) or "host=" in found[3]:
        return []
    default = PORTS.get(found[1].lower())
    places = []
    for part in found[2].rpartition("@")[2].split(","):
        place = _HOST_AND_PORT.fullmatch(part)
        port = int(place[2]) if place and place[2] else default
        if not place or (port is not None and not 0 < port < 65536):
            return []
        places.append((place[1].strip("[]").lower(), port))
    return places
