import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.stage.valve import Valve
from tests.stage.waiting import wait_until


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that answers what it is told in capitals."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        while data := connection.recv(100):
            connection.sendall(data.upper())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()
    thread.join(5)
    listener.close()


def test_a_held_valve_lets_requests_through_and_keeps_answers_until_it_is_released(echo: tuple[str, int]) -> None:
    with Valve("127.0.0.1", echo) as valve, socket.create_connection(("127.0.0.1", valve.port), timeout=5) as client:
        client.sendall(b"one")
        assert client.recv(100) == b"ONE"
        valve.hold()
        client.sendall(b"two")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        valve.release()
        client.settimeout(5)
        assert client.recv(100) == b"TWO"


@pytest.fixture
def echoes() -> Iterator[tuple[str, int]]:
    """The same for as many connections as there come; what it heard is told by `heard`."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(100):
                heard.append(data)
                self.request.sendall(data.upper())

    heard.clear()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address
        server.shutdown()


heard: list[bytes] = []


def says(port: int, word: bytes) -> bytes:
    """What is answered on a new connection; nothing if it ends."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(word)
            return client.recv(100)
    except ConnectionError:
        return b""


def test_a_cut_valve_ends_old_and_new_connections_until_it_is_mended(echoes: tuple[str, int]) -> None:
    with Valve("127.0.0.1", echoes) as valve:
        with socket.create_connection(("127.0.0.1", valve.port), timeout=5) as client:
            client.sendall(b"one")
            assert client.recv(100) == b"ONE"
            valve.cut()
            assert not client.recv(100)
        assert not says(valve.port, b"two")
        valve.cut()
        valve.mend()
        assert not says(valve.port, b"three"), "somebody else cut it too"
        valve.mend()
        assert says(valve.port, b"four") == b"FOUR"
        assert heard == [b"one", b"four"]


def test_an_outage_is_over_by_itself(echoes: tuple[str, int]) -> None:
    with Valve("127.0.0.1", echoes) as valve:
        valve.away(0.5)
        assert not says(valve.port, b"one")
        wait_until(lambda: says(valve.port, b"two") == b"TWO", 5, lambda: "it is still cut", every=0.05)
        assert b"one" not in heard


def test_what_is_asked_of_the_silent_arrives_and_is_never_answered(echoes: tuple[str, int]) -> None:
    with Valve("127.0.0.1", echoes) as valve:
        valve.silent(0.5)
        began = time.monotonic()
        assert not says(valve.port, b"one")
        assert time.monotonic() - began > 0.3
        assert heard == [b"one"]
        wait_until(lambda: says(valve.port, b"two") == b"TWO", 5, lambda: "it is still cut", every=0.05)
