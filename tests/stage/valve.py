"""A TCP relay that can hold back what one side says: a connection that goes silent at a moment of choice."""

import contextlib
import socket
import threading


class Valve:
    """Relays connections to a target. While it is held, requests still arrive and no answer comes back.

    Args:
        address: address of this machine to listen on, at a port of the system's choice (`port`).
        target: address and port to connect to.
    """

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []
        self.connections = 0

    def __enter__(self) -> "Valve":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        for each in (self._listener, *self._sockets):
            _shut(each)

    def hold(self) -> None:
        """From now on keep back what the target answers, on all connections."""
        self._open.clear()

    def release(self) -> None:
        """Pass on what was kept back, where anybody still listens."""
        self._open.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._target, timeout=10)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self._sockets += [near, far]
                self.connections += 1
                threading.Thread(target=self._relay, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._relay, args=(far, near, True), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers:
                    self._open.wait()
                sink.sendall(data)
        for each in (source, sink):
            _shut(each)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
