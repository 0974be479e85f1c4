import socket
import threading
from collections.abc import Iterator

import pytest

from tests.stage.valve import Valve


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
