"""Probes that leave the pod."""

import errno
import os
import secrets
import socket
import struct
import time
from typing import Any

SECONDS = 3.0
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}
_UNREACHABLE |= {errno.ENETDOWN, errno.EHOSTDOWN, errno.ENOPROTOOPT}  # as a firewall that rejects may have it
_ECHO_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}


def tcp(way: dict[str, Any]) -> str:
    """A TCP connection."""
    if not _has_family(way["host"]):
        return "n/a"
    try:
        with socket.create_connection((way["host"], way["port"]), timeout=_seconds(way)):
            return "connected"
    except OSError as error:
        return _ended(error)


def http(way: dict[str, Any]) -> str:
    """A request over HTTP; any answer counts."""
    return _exchange(way, f"GET / HTTP/1.1\r\nHost: {way['host']}\r\nConnection: close\r\n\r\n".encode(), b"HTTP/")


def via(way: dict[str, Any]) -> str:
    """A connection to `host` and `port` through the HTTP proxy at `proxy`, a pair of host and port.

    Only 403 is the proxy's refusal (squid's `http_access deny`). Any other answer, such as 503 for a target that it
    tried and did not reach, says that the proxy was willing.
    """
    host = f"[{way['host']}]" if ":" in way["host"] else way["host"]
    target = f"{host}:{way['port']}"
    proxy = {**way, "host": way["proxy"][0], "port": way["proxy"][1]}
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
    try:
        with socket.create_connection((proxy["host"], proxy["port"]), timeout=_seconds(way)) as connection:
            connection.sendall(request)
            answer = connection.recv(1024)
    except OSError as error:
        return _ended(error)
    code = (answer.split()[1:2] or [b"nothing"])[0].decode(errors="replace")
    return {"200": "connected", "403": "forbidden"}.get(code, f"HTTP {code}")


def dns_tcp(way: dict[str, Any]) -> str:
    """A DNS query over TCP."""
    query = _query(secrets.token_bytes(2))
    return _exchange(way, struct.pack("!H", len(query)) + query, b"")


def dns_udp(way: dict[str, Any]) -> str:
    """DNS queries over UDP, repeated, as one may get lost."""
    return _ask(way, socket.SOCK_DGRAM, 0, lambda: _query(secrets.token_bytes(2)))


def icmp(way: dict[str, Any]) -> str:
    """Echo requests, on a socket that needs no rights where the machine lets everybody have one."""
    family = _family(way["host"])
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    return _ask(way, socket.SOCK_DGRAM, protocol, lambda: _echo(family))


def lookup(way: dict[str, Any]) -> str:
    """A look-up of a name, by whatever this pod uses for that."""
    try:
        socket.getaddrinfo(way["host"], None)
    except OSError:
        return "unresolved"
    return "resolved"


def _exchange(way: dict[str, Any], request: bytes, start: bytes) -> str:
    if not _has_family(way["host"]):
        return "n/a"
    try:
        with socket.create_connection((way["host"], way["port"]), timeout=_seconds(way)) as connection:
            connection.sendall(request)
            answer = connection.recv(1024)
    except OSError as error:
        return _ended(error)
    return "answered" if answer and answer.startswith(start) else "connected"


def _ask(way: dict[str, Any], kind: int, protocol: int, message: Any) -> str:
    if not _has_family(way["host"]):
        return "n/a"
    try:
        asking = socket.socket(_family(way["host"]), kind, protocol)
    except PermissionError:
        return "no socket"
    until = time.monotonic() + _seconds(way)
    with asking:
        asking.settimeout(0.5)
        ended, connected = "timed out", False
        while time.monotonic() < until:
            try:
                if not connected:  # gVisor refuses to do it twice
                    asking.connect((way["host"], way.get("port") or 0))
                    connected = True
                asking.send(message())
                if asking.recv(2048):
                    return "answered"
            except TimeoutError:
                continue
            except OSError as error:
                ended = _ended(error)
                time.sleep(0.1)
    return ended


def _query(number: bytes) -> bytes:
    """A DNS query for the address of example.org."""
    return number + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + b"\x07example\x03org\x00" + struct.pack("!HH", 1, 1)


def _echo(family: int) -> bytes:
    """An echo request. The kernel fills in the identifier, and for IPv6 the checksum."""
    body = b"v6-node diagnostics!"
    header = struct.pack("!BBHHH", _ECHO_REQUEST[socket.AddressFamily(family)], 0, 0, os.getpid() & 0xFFFF, 1)
    if family == socket.AF_INET6:
        return header + body
    return header[:2] + struct.pack("!H", _checksum(header + body)) + header[4:] + body


def _checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _has_family(host: str) -> bool:
    """Whether this pod has an address to talk to `host` from."""
    if ":" not in host:
        return True
    try:
        with open("/proc/net/if_inet6") as table:  # noqa: PTH123 - a file of the kernel's
            # address, index, prefix length, scope (20: of the link), flags, name
            return any(line.split()[3] != "20" and line.split()[5] != "lo" for line in table)
    except OSError:
        return False


def _ended(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "unresolved"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ConnectionRefusedError | ConnectionResetError | BrokenPipeError):
        return "refused"
    if error.errno in _UNREACHABLE:
        return "unreachable"
    return errno.errorcode.get(error.errno or 0, repr(error))


def _seconds(way: dict[str, Any]) -> float:
    return float(way.get("timeout", SECONDS))
