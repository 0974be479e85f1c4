"""The internet of the cluster: one host that answers, and writes down who came (standard library only).

``python -I internet.py NAME ADDRESS...``: HTTP on port 80, a greeting over TCP on port 443, DNS on port 53 over UDP and
TCP that knows only ``NAME``. Whatever leaves the cluster arrives here or nowhere, and its log shows it.
"""

import socket
import socketserver
import struct
import sys
import threading
from ipaddress import IPv4Address

_GREETING = b"stand-in internet\n"
_NO_SUCH_NAME = 3


def _note(service: str, peer: tuple[str, int]) -> None:
    print(f"{service} from {peer[0]}", flush=True)


def answer(query: bytes, address: IPv4Address, name: str) -> bytes:
    """A DNS response (RFC 1035 section 4): ``address`` to a question for ``name``, else that it does not exist."""
    end, labels = 12, []
    while query[end]:
        labels.append(query[end + 1 : end + 1 + query[end]].decode("ascii", "replace"))
        end += 1 + query[end]
    end += 5  # the root label, type and class
    known = ".".join(labels).lower() == name and query[end - 4 : end - 2] == b"\0\1"
    code = 0 if ".".join(labels).lower() == name else _NO_SUCH_NAME
    header = query[:2] + struct.pack("!HHHHH", 0x8400 | code, 1, int(known), 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 30, 4) + address.packed if known else b""
    return header + query[12:end] + record


class _Web(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self) -> None:
        _note("http", self.client_address)
        self.rfile.readline()
        head = f"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(_GREETING)}\r\n\r\n"
        self.wfile.write(head.encode() + _GREETING)


class _Greeter(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        _note("tcp 443", self.client_address)
        self.wfile.write(_GREETING)


class _DnsOverUdp(socketserver.DatagramRequestHandler):
    def handle(self) -> None:
        _note("dns", self.client_address)
        self.wfile.write(answer(self.rfile.read(), IPv4Address(sys.argv[2]), sys.argv[1]))


class _DnsOverTcp(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self) -> None:
        _note("dns", self.client_address)
        (length,) = struct.unpack("!H", self.rfile.read(2))
        reply = answer(self.rfile.read(length), IPv4Address(sys.argv[2]), sys.argv[1])
        self.wfile.write(struct.pack("!H", len(reply)) + reply)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = socket.SOMAXCONN


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _UdpServer6(_UdpServer):
    address_family = socket.AF_INET6


def main() -> None:
    servers: list[socketserver.BaseServer] = []
    for address in sys.argv[2:]:
        tcp, udp = (_Server6, _UdpServer6) if ":" in address else (_Server, _UdpServer)
        servers += [tcp((address, 80), _Web), tcp((address, 443), _Greeter)]
        servers += [tcp((address, 53), _DnsOverTcp), udp((address, 53), _DnsOverUdp)]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
