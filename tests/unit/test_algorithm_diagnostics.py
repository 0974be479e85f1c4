"""The diagnostics algorithm has to see what is open and what is shut, or the gate believes a lie."""

import errno
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from launcher.isolationcheck import CAME_THROUGH, REFUSED, STOPPED
from launcher.waysout import WAYS
from tests.unit.algorithm_module import imported


@pytest.fixture(scope="module")
def diagnostics() -> Iterator[ModuleType]:
    with imported("diagnostics") as module:
        yield module


def observed(diagnostics: ModuleType, kind: str, host: str, port: int | None = None, **keys: Any) -> str:
    way = {"name": "a", "kind": kind, "host": host, "expected": "shut", "timeout": 0.3, **keys}
    [row] = diagnostics.probe([way | ({} if port is None else {"port": port})])
    return str(row["observed"])


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def answer(server: socket.socket, text: bytes) -> None:
    """Answer one connection in the background."""

    def once() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(text)

    threading.Thread(target=once, daemon=True).start()


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_it_knows_every_kind_of_way_and_the_gate_its_words(diagnostics: ModuleType) -> None:
    probing = diagnostics.probing
    assert {way.kind for way in WAYS} <= set(probing.KINDS)
    assert probing.OPEN == CAME_THROUGH
    assert STOPPED | {REFUSED} == probing.SHUT


def test_a_connection(diagnostics: ModuleType, listening: socket.socket) -> None:
    assert observed(diagnostics, "tcp", *listening.getsockname()) == "connected"
    assert observed(diagnostics, "tcp", "127.0.0.1", free_port(socket.SOCK_STREAM)) == "refused"


def test_a_connection_that_nobody_answers(diagnostics: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def dropped(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", dropped)
    assert observed(diagnostics, "tcp", "203.0.113.10", 80) == "timed out"


def test_a_request(diagnostics: ModuleType, listening: socket.socket) -> None:
    answer(listening, b"HTTP/1.1 404 Not Found\r\n\r\n")
    assert observed(diagnostics, "http", *listening.getsockname()) == "answered"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"HTTP/1.1 200 OK", "connected"),
        (b"HTTP/1.1 403 Forbidden", "forbidden"),
        (b"HTTP/1.1 503 Service Unavailable", "HTTP 503"),
        (b"", "HTTP nothing"),
    ],
)
def test_a_connection_through_a_proxy(
    diagnostics: ModuleType, listening: socket.socket, text: bytes, word: str
) -> None:
    answer(listening, text + b"\r\n\r\n")
    assert observed(diagnostics, "via", "203.0.113.10", 80, proxy=listening.getsockname()) == word


def test_a_query_over_tcp(diagnostics: ModuleType, listening: socket.socket) -> None:
    answer(listening, b"\0\x02ab")
    assert observed(diagnostics, "dns-tcp", *listening.getsockname()) == "answered"


def test_a_query_over_udp(diagnostics: ModuleType) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def once() -> None:
            query, asker = server.recvfrom(1024)
            server.sendto(query, asker)

        threading.Thread(target=once, daemon=True).start()
        assert observed(diagnostics, "dns-udp", *server.getsockname()) == "answered"
    assert observed(diagnostics, "dns-udp", "127.0.0.1", free_port(socket.SOCK_DGRAM)) in {"refused", "timed out"}


class ConnectsOnce(socket.socket):
    """As gVisor has it, whose sockets for echo requests can't be connected again."""

    connected = False

    def connect(self, address: Any) -> None:
        if self.connected:
            raise OSError(errno.EADDRINUSE, "a second time")
        super().connect(address)
        self.connected = True


def test_who_does_not_answer_is_asked_again_on_the_same_connection(
    diagnostics: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", ConnectsOnce)
    with ConnectsOnce(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert observed(diagnostics, "dns-udp", *silent.getsockname(), timeout=0.6) == "timed out"
        silent.setblocking(False)
        assert silent.recv(1024), "asked"
        assert silent.recv(1024), "and asked again"


def test_an_echo_request_is_one_that_a_machine_answers(diagnostics: ModuleType) -> None:
    assert observed(diagnostics, "icmp", "127.0.0.1") in {"answered", "no socket"}
    packet = diagnostics.network._echo(socket.AF_INET)
    assert diagnostics.network._checksum(packet) == 0, "the sum over a packet with its checksum is zero (RFC 1071)"


def test_a_look_up(diagnostics: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert observed(diagnostics, "lookup", "localhost") == "resolved"

    def nobody(*_: Any) -> None:
        raise socket.gaierror(-3, "no")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    assert observed(diagnostics, "lookup", "localhost") == "unresolved"


def test_files(diagnostics: ModuleType, tmp_path: Path) -> None:
    assert observed(diagnostics, "file", str(tmp_path)) == "present"
    assert observed(diagnostics, "file", str(tmp_path / "none")) == "absent"
    assert observed(diagnostics, "write", str(tmp_path)) == "written"
    assert list(tmp_path.iterdir()) == []
    assert observed(diagnostics, "write", "/proc/self") not in CAME_THROUGH


def test_other_runs(diagnostics: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics.inside, "DATA", tmp_path)
    monkeypatch.setenv("INPUT_FILE", str(tmp_path / "own" / "input"))
    (tmp_path / "own").mkdir()
    assert observed(diagnostics, "other-runs", "x") == "absent"
    (tmp_path / "other").mkdir()
    assert observed(diagnostics, "other-runs", "x") == "present"


def test_variables(diagnostics: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "")
    assert observed(diagnostics, "variables", "x") == "absent"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert observed(diagnostics, "variables", "x") == "present"


def test_a_researcher_needs_no_list(diagnostics: ModuleType) -> None:
    found = diagnostics.probing.ways_found_here()
    assert {way["kind"] for way in found} <= set(diagnostics.probing.KINDS)
    assert {way["name"] for way in found} >= {"proxy", "lookup", "api-token"}


def test_who_holds_sees_who_came(diagnostics: ModuleType) -> None:
    port = free_port(socket.SOCK_STREAM)
    seen: dict[str, Any] = {}
    holding = threading.Thread(target=lambda: seen.update(diagnostics.hold(60.0, port)))
    holding.start()
    for _ in range(50):
        if observed(diagnostics, "tcp", "127.0.0.1", port) == "connected":
            break
    with socket.create_connection(("127.0.0.1", port)) as last:
        last.sendall(b"enough")
    holding.join(10)
    assert [visitor.removeprefix("::ffff:") for visitor in seen["visitors"]] == ["127.0.0.1"] * 2
